//! What keeps a lane back: a pause, or the hold of a rollback.
//!
//! The tags of the service are the truth, and every look reads them. A decision is settled once they say it, and not before:
//! so it survives a crash, and is in force from the moment it is received. Of two decisions the newer is in force,
//! in whatever order they come (`Holds::after`).
//!
//! While a target is paused nothing is started on it: requests wait in the lane as ever, folded, and their messages are held.
//! What is under way goes on to its end, and one that fails is undone: nobody is served by half a rollout. While it is
//! held after a rollback, content waits in the same way; new tasks of what runs are started, because what they read has
//! changed, and that is no way back to what was bad. Another rollback passes, too.

use std::{sync::Arc, time::Duration};

use crate::domain::{
    CallFailure, Change, DeadLetter, HoldDecision, HoldKind, HoldMove, HoldNote, HoldRequest, HoldVerb,
    Holds, LeaseId, Moment, Origin, Outcome, Refresh, Remedy, Report, SettledBy, TagOrder,
};

use super::{
    Command, Flaw, fold,
    fold::Ask,
    lane::{Lane, Phase, Turn},
    retry,
    settle::Verdict,
};

/// Reads of ECS may be this old: a look that was asked for earlier may not show what was tagged.
const STALE_READS: Duration = Duration::from_secs(5);

/// What cannot be tagged now is tried again no sooner than this.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// Where a rollback waits for its hold, it looks again after so long if nothing is heard of that.
const HOLD_PACE: Duration = Duration::from_secs(30);

/// What is known of what keeps a lane back, and what was decided about it and is not tagged yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holding {
    /// As it was last seen, or tagged since.
    known: Holds,
    /// The hold of a rollback that the service could not be tagged with: only this process knows of it.
    untagged: Option<HoldNote>,
    /// In the order of their versions.
    decrees: Vec<Decree>,
    call: Call,
    failed: u32,
    /// Whether a look that is under way may not show what was tagged.
    is_unsure: bool,
    /// A look that is asked for before then may not show it either.
    doubt: Option<Moment>,
    /// Whether a rollback waits for its hold.
    is_awaited: bool,
}

/// A decision that the service is to be tagged with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Decree {
    decision: HoldDecision,
    /// The message that it came in, and the event; none where a rollback holds its target.
    from: Option<(LeaseId, Arc<Origin>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Call {
    #[default]
    Idle,
    Underway(HoldDecision),
    RetryAt(Moment),
}

impl Holding {
    /// What is in force: what keeps back as soon as it was decided, and until the tags say that it was resumed.
    pub(super) fn in_force(&self) -> Holds {
        let keeps_back = self.decrees.iter().filter(|it| it.decision.verb != HoldVerb::Resume);
        keeps_back.fold(self.kept(), |holds, decree| holds.after(&decree.decision).unwrap_or(holds))
    }

    /// What the tags say, and what they cannot.
    fn kept(&self) -> Holds {
        let Holds { paused, held, resumed } = self.known.clone();
        Holds { paused, held: held.or_else(|| self.untagged.clone()), resumed }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.in_force().paused.is_some()
    }

    pub(super) fn is_held(&self) -> bool {
        self.in_force().held.is_some()
    }

    /// Whether nothing is known of it that has to be remembered.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_at_rest() && self.kept().record().is_none()
    }

    /// Whether nobody's decision is being kept.
    pub(super) fn is_at_rest(&self) -> bool {
        self.decrees.is_empty() && self.call == Call::Idle
    }

    /// Whether something else is in force than the tags say.
    pub(super) fn differs_from(&self, seen: &Holds) -> bool {
        self.known.record() != seen.record()
    }

    pub(super) fn is_answered(&self) -> bool {
        matches!(self.call, Call::Underway(_))
    }

    pub(super) fn has_decrees(&self) -> bool {
        !self.decrees.is_empty()
    }

    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        match self.call {
            Call::RetryAt(at) => Some(at),
            Call::Idle | Call::Underway(_) => None,
        }
    }

    pub(super) fn waits_for(&self, leases: &[LeaseId]) -> bool {
        self.decrees.iter().any(|it| it.from.as_ref().is_some_and(|(lease, _)| leases.contains(lease)))
    }

    /// These messages will be received again.
    pub(super) fn forget(&mut self, leases: &[LeaseId]) {
        self.decrees.retain(|it| it.from.as_ref().is_none_or(|(lease, _)| !leases.contains(lease)));
    }

    /// The leases that decrees hang on, to be replaced.
    pub(super) fn leases_mut(&mut self) -> impl Iterator<Item = &mut LeaseId> {
        self.decrees.iter_mut().filter_map(|it| it.from.as_mut().map(|(lease, _)| lease))
    }

    /// What a look shows that may be older than our last tag: nothing is gone for that, and what was resumed stays so.
    fn add(&mut self, seen: &Holds) {
        let resumed = self.known.resumed.as_ref().and_then(|note| note.since);
        let is_newer = |note: &&HoldNote| resumed.is_none() || note.since > resumed;
        let stands =
            |note: &&HoldNote| note.since.map_or(resumed.is_none(), |since| !self.known.has_ended(since));
        let paused = seen.paused.as_ref().filter(is_newer).cloned();
        let held = seen.held.as_ref().filter(stands).cloned();
        let known = &mut self.known;
        (known.paused, known.held) = (known.paused.take().or(paused), known.held.take().or(held));
    }

    /// A look is asked for.
    pub(super) fn look_sent(&mut self, now: Moment) {
        self.doubt = self.doubt.filter(|until| now < *until);
        self.is_unsure = self.doubt.is_some() || self.is_answered();
    }
}

impl Lane {
    /// A decision was received.
    pub(super) fn decide_hold(&mut self, lease: LeaseId, request: HoldRequest, turn: &mut Turn<'_>) {
        let HoldRequest { target, settings, decision, origin } = request;
        self.settings = settings;
        if self.settings.dry_run {
            turn.ledger.settle(lease, &target, SettledBy::DryRun);
            return self.report_hold(&decision.note(), kind_of(decision.verb), HoldMove::DryRun, turn);
        }
        self.holding.decrees.retain(|older| {
            let stays = older.decision.version > decision.version || !replaces(&decision, &older.decision);
            if let Some((lease, _)) = older.from.as_ref().filter(|_| !stays) {
                turn.ledger.settle(*lease, &target, SettledBy::Newer);
            }
            stays
        });
        let is_newer = |newer: &Decree| {
            newer.decision.version > decision.version && replaces(&newer.decision, &decision)
        };
        if self.holding.decrees.iter().any(is_newer) {
            turn.ledger.settle(lease, &target, SettledBy::Newer);
        } else if self.holding.known.after(&decision).is_none() {
            turn.ledger.settle(lease, &target, SettledBy::Reality);
        } else {
            self.decree(Decree { decision, from: Some((lease, origin)) });
        }
        self.wake(turn);
    }

    fn decree(&mut self, decree: Decree) {
        let decrees = &mut self.holding.decrees;
        let place = decrees.partition_point(|it| it.decision.version <= decree.decision.version);
        decrees.insert(place, decree);
    }

    /// Tags what was decided, one decision after the other.
    pub(super) fn tag_what_is_due(&mut self, turn: &mut Turn<'_>) {
        let holding = &mut self.holding;
        let is_due = match holding.call {
            Call::Idle => true,
            Call::Underway(_) => false,
            Call::RetryAt(at) => at <= turn.now.moment,
        };
        if !is_due {
            return;
        }
        let Some(first) = holding.decrees.first() else {
            return holding.call = Call::Idle;
        };
        let decision = first.decision.clone();
        holding.call = Call::Underway(decision.clone());
        holding.is_unsure = true;
        turn.out.push(Command::Tag(TagOrder { target: self.target.clone(), decision }));
    }

    /// The answer to [`Command::Tag`]: what the tags say now.
    pub(super) fn tagged(&mut self, tagged: Result<Holds, CallFailure>, turn: &mut Turn<'_>) {
        let decision = match std::mem::take(&mut self.holding.call) {
            Call::Underway(decision) => decision,
            call => return self.holding.call = call,
        };
        let now = turn.now.moment;
        match tagged {
            Ok(holds) => {
                self.holding.failed = 0;
                self.holding.doubt = Some(now + STALE_READS);
                self.took_effect(&decision, holds, turn);
            }
            Err(failure) if failure.remedy == Remedy::GiveUp => self.not_tagged(&decision, &failure, turn),
            Err(_) => {
                self.holding.failed = self.holding.failed.saturating_add(1);
                let delay = retry::delay(self.holding.failed, turn.now.jitter);
                self.holding.call = Call::RetryAt(now + delay.max(SHORTEST_RETRY));
            }
        }
        self.go_on_after_decision(turn);
    }

    fn took_effect(&mut self, decision: &HoldDecision, holds: Holds, turn: &mut Turn<'_>) {
        let before = self.holding.known.record();
        let has_changed = holds.record() != before;
        self.holding.known = holds;
        let known = &self.holding.known;
        let stands = |note: &HoldNote| note.since.is_some_and(|since| !known.has_ended(since));
        self.holding.untagged = self.holding.untagged.take().filter(stands);
        for (lease, _) in self.take_decrees(decision) {
            turn.ledger.settle(lease, &self.target, SettledBy::Reality);
        }
        if has_changed {
            let moved = match decision.verb {
                HoldVerb::Pause | HoldVerb::Hold => HoldMove::Begun,
                HoldVerb::Resume => HoldMove::Ended,
            };
            let ended = before.filter(|_| moved == HoldMove::Ended).map(|it| it.kind);
            self.report_hold(&decision.note(), ended.unwrap_or(kind_of(decision.verb)), moved, turn);
            let left = self.holding.kept().held.filter(|_| decision.verb == HoldVerb::Resume);
            if let Some(note) = left.filter(|_| !self.holding.is_paused()) {
                self.report_hold(&note, HoldKind::Held, HoldMove::Begun, turn);
            }
        }
    }

    /// The service cannot be tagged. Somebody waits for what comes of it, so the decision is set aside; a rollback goes on,
    /// and is held for as long as this process knows of it.
    fn not_tagged(&mut self, decision: &HoldDecision, failure: &CallFailure, turn: &mut Turn<'_>) {
        for (lease, _) in self.take_decrees(decision) {
            let letter = DeadLetter {
                target: Some(self.target.clone()),
                deployment: None,
                outcome: Some(Outcome::Failed),
                cause: Some(failure.cause),
                reason: failure.reason.clone(),
                attempts: 1,
                version: decision.version,
            };
            turn.ledger.set_aside(lease, letter);
        }
        match decision.verb {
            HoldVerb::Hold => self.holding.untagged = Some(decision.note()),
            HoldVerb::Resume => self.holding.untagged = None,
            HoldVerb::Pause => {}
        }
        let moved = HoldMove::Refused(failure.reason.clone());
        self.report_hold(&decision.note(), kind_of(decision.verb), moved, turn);
    }

    /// The messages of a decision that is settled now.
    fn take_decrees(&mut self, decision: &HoldDecision) -> Vec<(LeaseId, Arc<Origin>)> {
        let (done, left) =
            std::mem::take(&mut self.holding.decrees).into_iter().partition(|it| it.decision == *decision);
        self.holding.decrees = left;
        Vec::into_iter(done).filter_map(|it: Decree| it.from).collect()
    }

    /// What waited may not have to wait any more.
    fn go_on_after_decision(&mut self, turn: &mut Turn<'_>) {
        let was_awaited = std::mem::take(&mut self.holding.is_awaited);
        if let Some(watch) = self.watch_mut() {
            watch.spared = false;
        }
        match self.phase {
            Phase::Queued { .. } => self.look(turn, false),
            Phase::Paused { .. } if was_awaited => self.look(turn, false),
            _ => {}
        }
        self.wake(turn);
    }

    /// What a reading shows of the tags while no look is under way, that was asked for after whatever was tagged.
    pub(super) fn see_holds_at_rest(&mut self, seen: &Holds, turn: &mut Turn<'_>) {
        self.holding.is_unsure = false;
        self.see_holds(seen, turn);
    }

    /// What a look shows of the tags, unless something was tagged just now.
    pub(super) fn see_holds(&mut self, seen: &Holds, turn: &mut Turn<'_>) {
        if turn.flawed(Flaw::PausedInMemoryOnly) {
            return;
        }
        if self.holding.is_unsure {
            return self.holding.add(seen);
        }
        let before = std::mem::replace(&mut self.holding.known, seen.clone());
        let gone = [
            (HoldKind::Paused, before.paused.filter(|_| seen.paused.is_none())),
            (HoldKind::Held, before.held.filter(|_| seen.held.is_none())),
        ];
        let resumed = seen.resumed.as_ref().and_then(|note| note.since);
        for (kind, note) in gone {
            let Some(note) = note else { continue };
            // Somebody who acts beside us, or did before us, may have resumed it in good order.
            let is_resumed = resumed.is_some() && resumed > before.resumed.as_ref().and_then(|it| it.since);
            if !is_resumed {
                self.report_hold(&note, kind, HoldMove::Vanished, turn);
            }
        }
    }

    /// Why this is not started now, if something keeps it back.
    pub(super) fn kept_back(&self, ask: &Ask) -> Option<String> {
        let Holds { paused, held, .. } = self.holding.in_force();
        let note = paused.map(|note| (HoldKind::Paused, note));
        let (kind, note) = note.or(held.filter(|_| is_content(ask)).map(|note| (HoldKind::Held, note)))?;
        let by = note.by.map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = note.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(match kind {
            HoldKind::Paused => format!("the target is paused{by}{reason}"),
            HoldKind::Held => format!("the target is held after a rollback{by}{reason}"),
        })
    }

    /// A rollback that is to hold its target does so before anything else follows from it. Tells whether it waits for that.
    pub(super) fn hold_first(&mut self, verdicts: &[Verdict], turn: &mut Turn<'_>) -> bool {
        let is_lacking = self.ask_for_hold(verdicts, turn);
        if is_lacking {
            self.pause(turn, HOLD_PACE, "the target is held first");
        }
        is_lacking
    }

    /// Whether a rollback that waits lacks its hold, which is then tagged.
    pub(super) fn ask_for_hold(&mut self, verdicts: &[Verdict], turn: &mut Turn<'_>) -> bool {
        if self.settings.dry_run || turn.flawed(Flaw::RollbackWithoutHold) {
            return false;
        }
        let goes_back = |(ask, verdict): &(&Ask, &Verdict)| {
            fold::rollback_of(&ask.request.change).is_some() && follows(verdict)
        };
        let Some(back) = self.waiting.iter().zip(verdicts).find(goes_back).map(|(ask, _)| ask) else {
            return false;
        };
        let replaced = self.covered.iter().map(|it| &it.ask);
        let decisions = std::iter::once(back).chain(replaced).filter_map(hold_of);
        let kept = self.holding.kept();
        let lacking = decisions.filter(|it| kept.after(it).is_some()).max();
        let Some(decision) = lacking else { return false };
        if self.holding.decrees.iter().all(|it| it.decision != decision) {
            self.decree(Decree { decision, from: None });
        }
        self.holding.is_awaited = true;
        self.tag_what_is_due(turn);
        true
    }

    fn report_hold(&self, note: &HoldNote, kind: HoldKind, moved: HoldMove, turn: &mut Turn<'_>) {
        let (target, name, hold) = (self.target.clone(), self.name(), note.record(kind));
        turn.report(Report::Hold { target, name, hold, moved });
    }
}

/// What a decision is about, where nothing shows what it ended.
fn kind_of(verb: HoldVerb) -> HoldKind {
    match verb {
        HoldVerb::Pause | HoldVerb::Resume => HoldKind::Paused,
        HoldVerb::Hold => HoldKind::Held,
    }
}

/// Whether nothing is left of the older decision once the newer is in force. A pause does not undo that somebody resumed, and
/// what a resume leaves behind depends on what it ended.
fn replaces(newer: &HoldDecision, older: &HoldDecision) -> bool {
    match newer.verb {
        HoldVerb::Resume => false,
        HoldVerb::Pause | HoldVerb::Hold => newer.verb == older.verb,
    }
}

/// Whether this would change what runs. A rollback is what the target is held for.
fn is_content(ask: &Ask) -> bool {
    match &ask.request.change {
        Change::Refresh(Refresh::Restart) => false,
        Change::Refresh(Refresh::Image(_)) | Change::Image(_) => true,
        Change::Definition(definition) => definition.back.is_none(),
    }
}

/// Whether what is asked for is so, or will be.
fn follows(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Needed | Verdict::NotBefore(_) | Verdict::Adopt(_) => true,
        Verdict::Settled(outcome, _) => *outcome == Outcome::AlreadyRunning,
        Verdict::Drop(_) | Verdict::Failed(_) | Verdict::Impossible(_) | Verdict::Await => false,
    }
}

/// The hold that a rollback brings.
fn hold_of(ask: &Ask) -> Option<HoldDecision> {
    let back = fold::rollback_of(&ask.request.change).filter(|back| back.hold)?;
    let (version, by, reason) = (ask.request.version, back.by.clone(), back.reason.clone());
    Some(HoldDecision { verb: HoldVerb::Hold, version, by, reason })
}
