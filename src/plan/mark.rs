//! Remembering what was asked for where nothing has to be rolled out for it.
//!
//! Content that is asked for again while it runs, or while it is being rolled out, needs no rollout of its own. Yet
//! whatever was asked for in between is older, and must not take its place if it is received later. So the revision that
//! has it is tagged with the version first, and only then is the request settled: a message that is gone has
//! left its mark.

use std::time::Duration;

use crate::domain::{
    CallFailure, Change, DefinitionView, Look, MarkOrder, Marks, Moment, Outcome, Remedy, Rollout, Timestamp,
};

use super::{
    Command,
    decide::Sifted,
    fold::Ask,
    lane::{Lane, Phase, Turn},
    newer, retry, settle,
    settle::Verdict,
    watch::Watch,
};

/// For so long a look may be decided on while a revision is marked; what is older may miss what others started since.
const LONGEST_MARK: Duration = Duration::from_secs(3);

/// A look that is decided on once a revision is marked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Marking {
    order: MarkOrder,
    look: Look,
    /// When the look was decided on: it grows old while the mark waits for its turn.
    since: Moment,
    evidence: bool,
    blocked: Option<Watch>,
}

impl Lane {
    /// The first revision that has what was asked for by a newer request than its marks tell.
    pub(super) fn unmarked(&self, verdicts: &[Verdict], look: &Look) -> Option<MarkOrder> {
        if self.settings.dry_run {
            return None;
        }
        let mut marked: Option<(&DefinitionView, Marks)> = None;
        for (ask, verdict) in self.waiting.iter().zip(verdicts) {
            let Some((definition, lacking)) = carried_unmarked(ask, verdict, look) else { continue };
            let (first, marks) = marked.get_or_insert_with(|| (definition, Marks::default()));
            if first.id == definition.id {
                marks.raise(&lacking);
            }
        }
        let (definition, marks) = marked?;
        Some(MarkOrder { target: self.target.clone(), definition: definition.id.clone(), marks })
    }

    pub(super) fn mark(
        &mut self,
        order: MarkOrder,
        look: &Look,
        evidence: bool,
        blocked: Option<Watch>,
        turn: &mut Turn<'_>,
    ) {
        turn.out.push(Command::Mark(order.clone()));
        let since = turn.now.moment;
        self.phase =
            Phase::Marking(Box::new(Marking { order, look: look.clone(), since, evidence, blocked }));
    }

    /// The answer to [`Command::Mark`].
    pub(super) fn marked(&mut self, marked: Result<(), CallFailure>, turn: &mut Turn<'_>) {
        let Marking { order, mut look, since, evidence, blocked } =
            match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Marking(marking) => *marking,
                phase => return self.phase = phase,
            };
        // A revision that cannot be marked at all goes without: nothing waits for that for ever.
        if let Err(failure) = marked
            && failure.remedy != Remedy::GiveUp
        {
            let delay = retry::AFTER_LOST_ANSWER + retry::delay(1, turn.now.jitter);
            return self.pause(turn, delay, failure.reason);
        }
        let shown = look.running.iter_mut().map(|running| &mut running.definition);
        let rolled_out = look.rollouts.iter_mut().map(|rollout| &mut rollout.definition);
        shown.chain(rolled_out).for_each(|definition| raise(definition, &order));
        self.remember_marked(order);
        if turn.now.moment.since(since) <= LONGEST_MARK {
            return self.decide(&look, evidence, blocked, turn);
        }
        self.settle_what_is_marked(&look, evidence, turn);
        self.look(turn, evidence);
    }

    /// Settles what an old look settles; what would have to be started on it stays, and is looked at again.
    fn settle_what_is_marked(&mut self, look: &Look, evidence: bool, turn: &mut Turn<'_>) {
        let verdicts = self.verdicts(look, turn);
        if !evidence && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Failed(_))) {
            return;
        }
        let Sifted { needed, adopting, awaiting, not_before: _ } = self.sift(verdicts, look, turn);
        let adopting = adopting.into_iter().map(|(_, ask)| ask);
        self.waiting = needed.into_iter().chain(awaiting).chain(adopting).collect();
        self.waiting.sort_by_key(|ask| (ask.request.version, ask.lease));
    }
}

/// The revision that brings what this asks for and needs no rollout of its own, and the marks that it lacks.
fn carried_unmarked<'a>(ask: &Ask, verdict: &Verdict, look: &'a Look) -> Option<(&'a DefinitionView, Marks)> {
    let (definition, digests) = match verdict {
        Verdict::Settled(Outcome::AlreadyRunning, _) => {
            look.running.as_ref().map(|running| (&running.definition, &running.digests))
        }
        Verdict::Adopt(key) => {
            let carrier = look.rollouts.iter().find(|rollout| rollout.id == *key);
            carrier.map(|rollout| (&rollout.definition, &rollout.digests))
        }
        Verdict::Settled(..)
        | Verdict::Drop(_)
        | Verdict::Failed(_)
        | Verdict::Impossible(_)
        | Verdict::Await
        | Verdict::NotBefore(_)
        | Verdict::Needed => None,
    }?;
    let version = ask.request.version;
    let lacks = |mark: Option<&Timestamp>| mark.is_none_or(|mark| *mark < version);
    let mut marks = Marks::default();
    match &ask.request.change {
        Change::Image(change) => {
            let containers = settle::containers(&change.source, look.base.as_ref().ok()?);
            if !containers.iter().all(|name| settle::carries_image(change, name, definition, digests)) {
                return None;
            }
            let unmarked = containers.into_iter().filter(|name| lacks(definition.marks.versions.get(name)));
            marks.versions.extend(unmarked.map(|name| (name, version)));
        }
        // Whatever is older than somebody's move by hand gives way to that: our mark would hide it.
        Change::Definition(asked)
            if settle::names(&asked.definition, &definition.id) && !is_moved_by_hand(definition, look) =>
        {
            marks.content = Some(version).filter(|_| lacks(definition.marks.content.as_ref()));
        }
        Change::Definition(_) | Change::Refresh(_) => {}
    }
    (marks != Marks::default()).then_some((definition, marks))
}

fn is_moved_by_hand(definition: &DefinitionView, look: &Look) -> bool {
    let brings_it = |it: &&Rollout| it.definition.id == definition.id;
    let brought = look.rollouts.iter().find(brings_it);
    brought.is_some_and(|rollout| newer::decided_by_somebody(rollout, look).is_some())
}

fn raise(definition: &mut DefinitionView, order: &MarkOrder) {
    if definition.id == order.definition {
        definition.marks.raise(&order.marks);
    }
}
