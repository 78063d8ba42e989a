//! Which messages are held, what each still owes, and until when the hold lasts.
//!
//! A message is deleted when all its obligations are settled, and by its latest receipt only. A hold that ran out is
//! lost at that moment, whatever SQS would say: the message may be somebody else's by now.
//!
//! Where somebody is told elsewhere how deployments end, a message that owes nothing more is held until that was told, or
//! for so long at most: a process that dies before leaves it to the next one, which tells it again.
//!
//! Each message is kept by the moment at which something about it falls due, so that a turn costs no more than the
//! messages that it concerns, however many are held.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::domain::{EventId, LeaseId, MessageId, Moment, Report, SettledBy, TargetId};

use super::{Command, DeadLetter, End};

/// After a failed call about a message, so long until it is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// However often it failed, no longer than this.
const LONGEST_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Every message that is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    visibility: Duration,
    /// How long one receipt is held before the message is renewed.
    renew_after: Duration,
    /// How long the end of a deployment may take to be told elsewhere; `None` where nobody is.
    tell_within: Option<Duration>,
    held: BTreeMap<LeaseId, Arc<Held>>,
    by_message: BTreeMap<MessageId, LeaseId>,
    by_due: BTreeSet<(Moment, LeaseId)>,
    by_end: BTreeMap<End, BTreeSet<LeaseId>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    message: MessageId,
    event: EventId,
    expires: Moment,
    extension: Call,
    /// When it is due to be renewed; `None` once a copy was sent.
    renewal: Option<(Moment, Call)>,
    failed_renewals: u32,
    duties: BTreeMap<Option<TargetId>, Duty>,
    /// The ends that are to be told before it is deleted, and until when that may take.
    untold: BTreeMap<End, Moment>,
    /// Whether it holds a notice that is still to be delivered.
    is_notice: bool,
    deletion: Call,
    failed_deletions: u32,
    /// When something about it falls due, as it is entered in the ledger.
    due: Moment,
}

/// What is owed to one target because of one message, or for a message that names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Duty {
    Open,
    /// A letter, the call that sends it, and how often that has failed.
    SettingAside(Box<DeadLetter>, Call, u32),
    Settled(SettledBy),
}

impl Duty {
    /// The same duty under a new receipt, if it is not open: a letter that was being sent is sent once more.
    fn again(self) -> Option<Self> {
        match self {
            Self::Open => None,
            Self::SettingAside(letter, ..) => Some(Self::SettingAside(letter, Call::Idle, 0)),
            Self::Settled(by) => Some(Self::Settled(by)),
        }
    }
}

/// A call about a message: not made, under way, or to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Idle,
    Underway,
    RetryAt(Moment),
}

impl Call {
    fn is_due(self, now: Moment) -> bool {
        match self {
            Self::Idle => true,
            Self::Underway => false,
            Self::RetryAt(at) => at <= now,
        }
    }

    fn wakeup(self) -> Option<Moment> {
        match self {
            Self::Idle | Self::Underway => None,
            Self::RetryAt(at) => Some(at),
        }
    }
}

impl Ledger {
    /// An empty one, for messages that each extension holds for so long, and that are renewed after so long.
    pub(super) fn new(visibility: Duration, renew_after: Duration, tell_within: Option<Duration>) -> Self {
        Self {
            visibility,
            renew_after,
            tell_within,
            held: BTreeMap::new(),
            by_message: BTreeMap::new(),
            by_due: BTreeSet::new(),
            by_end: BTreeMap::new(),
        }
    }

    /// Takes hold of a message that owes something to these targets; returns the hold that this one replaces, if the
    /// same message was received before. What was settled or given up on then stays so.
    pub(super) fn hold(
        &mut self,
        lease: LeaseId,
        message: MessageId,
        event: EventId,
        expires: Moment,
        targets: impl Iterator<Item = TargetId>,
        now: Moment,
    ) -> Option<LeaseId> {
        let replaced = self.by_message.get(&message).copied();
        let mut duties: BTreeMap<_, _> = targets.map(|target| (Some(target), Duty::Open)).collect();
        let before = replaced.and_then(|replaced| self.remove(replaced));
        let (before, untold) = before.map(|held| (held.duties, held.untold)).unwrap_or_default();
        duties.extend(before.into_iter().filter_map(|(target, duty)| Some((target, duty.again()?))));
        for end in untold.keys() {
            self.by_end.entry(end.clone()).or_default().insert(lease);
        }
        self.by_message.insert(message.clone(), lease);
        let held = Held {
            message,
            event,
            expires,
            extension: Call::Idle,
            renewal: Some((now + self.renew_after, Call::Idle)),
            failed_renewals: 0,
            duties,
            untold,
            is_notice: false,
            deletion: Call::Idle,
            failed_deletions: 0,
            due: Moment::default(),
        };
        self.held.insert(lease, Arc::new(held));
        self.change(lease, |_| ());
        replaced
    }

    pub(super) fn holds(&self, lease: LeaseId) -> bool {
        self.held.contains_key(&lease)
    }

    /// Whether this message owes this target something that is neither settled nor being set aside.
    pub(super) fn owes(&self, lease: LeaseId, target: &TargetId) -> bool {
        let duty = self.held.get(&lease).and_then(|held| held.duties.get(&Some(target.clone())));
        matches!(duty, Some(Duty::Open))
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The leases that still owe something: what is handed back when the process stops.
    pub(super) fn owing(&self) -> Vec<LeaseId> {
        self.held
            .iter()
            .filter(|(_, held)| held.is_owing() || held.is_notice)
            .map(|(lease, _)| *lease)
            .collect()
    }

    /// Whether this message owes this target nothing any more.
    pub(super) fn is_settled(&self, lease: LeaseId) -> bool {
        self.held.get(&lease).is_none_or(|held| held.settled_by().is_some())
    }

    /// Whether this message owes anybody something still, other than that its end is told.
    pub(super) fn is_owing(&self, lease: LeaseId) -> bool {
        self.held.get(&lease).is_some_and(|held| held.is_owing())
    }

    /// How a deployment ended that this message asked for is to be told before it is deleted.
    pub(super) fn tell_first(&mut self, lease: LeaseId, end: &End, now: Moment) {
        let Some(within) = self.tell_within.filter(|_| self.holds(lease)) else { return };
        self.by_end.entry(end.clone()).or_default().insert(lease);
        self.change(lease, |held| {
            held.untold.entry(end.clone()).or_insert(now + within);
        });
    }

    /// An end was told, or was given up.
    pub(super) fn told(&mut self, end: &End) {
        for lease in self.by_end.remove(end).unwrap_or_default() {
            self.change(lease, |held| {
                held.untold.remove(end);
            });
        }
    }

    /// The notice in this message was delivered, or was given up.
    pub(super) fn delivered(&mut self, message: &MessageId) {
        if let Some(lease) = self.by_message.get(message).copied() {
            self.change(lease, |held| held.is_notice = false);
        }
    }

    /// The message holds a notice that is still to be delivered.
    pub(super) fn deliver(&mut self, lease: LeaseId) {
        self.change(lease, |held| held.is_notice = true);
    }

    /// The leases that owe nothing more than that an end is told.
    pub(super) fn telling(&self) -> Vec<LeaseId> {
        let is_telling = |held: &Held| !held.is_owing() && !held.is_notice && !held.untold.is_empty();
        self.held.iter().filter(|(_, held)| is_telling(held)).map(|(lease, _)| *lease).collect()
    }

    /// The targets that the message reached.
    pub(super) fn targets_of(&self, lease: LeaseId) -> impl Iterator<Item = &TargetId> {
        self.held.get(&lease).into_iter().flat_map(|held| held.duties.keys().flatten())
    }

    /// The message owes something that is about no target.
    pub(super) fn owe(&mut self, lease: LeaseId) {
        self.change(lease, |held| {
            held.duties.entry(None).or_insert(Duty::Open);
        });
    }

    /// What the message owed to no target is settled.
    pub(super) fn settle_whole(&mut self, lease: LeaseId, by: SettledBy) {
        self.change_duty(lease, None, |duty| *duty = Duty::Settled(by));
    }

    /// What the message owed to this target is settled.
    pub(super) fn settle(&mut self, lease: LeaseId, target: &TargetId, by: SettledBy) {
        self.change_duty(lease, Some(target), |duty| *duty = Duty::Settled(by));
    }

    /// What the message owed failed, and is to be set aside before it counts as settled.
    pub(super) fn set_aside(&mut self, lease: LeaseId, letter: DeadLetter) {
        self.change(lease, |held| {
            let duty = held.duties.entry(letter.target.clone()).or_insert(Duty::Open);
            if matches!(duty, Duty::Open) {
                *duty = Duty::SettingAside(Box::new(letter), Call::Idle, 0);
            }
        });
    }

    /// The answer to a [`Command::SetAside`].
    pub(super) fn set_aside_answered(
        &mut self,
        lease: LeaseId,
        target: Option<&TargetId>,
        done: bool,
        now: Moment,
    ) {
        self.change_duty(lease, target, |duty| {
            if let Duty::SettingAside(_, call, failed) = duty {
                if done {
                    *duty = Duty::Settled(SettledBy::SetAside);
                } else {
                    *failed = failed.saturating_add(1);
                    *call = Call::RetryAt(now + backoff(*failed));
                }
            }
        });
    }

    /// The answer to a deletion; says that the message is gone, if it is.
    pub(super) fn deletion_answered(&mut self, lease: LeaseId, done: bool, now: Moment) -> Option<Report> {
        if done {
            let held = self.remove(lease)?;
            let reason = held.settled_by()?;
            return Some(Report::Settled { event_id: held.event, reason });
        }
        self.change(lease, |held| {
            held.failed_deletions = held.failed_deletions.saturating_add(1);
            held.deletion = Call::RetryAt(now + backoff(held.failed_deletions));
        });
        None
    }

    /// The answer to an extension.
    pub(super) fn extension_answered(&mut self, lease: LeaseId, until: Option<Moment>, now: Moment) {
        self.change(lease, |held| match until {
            Some(until) => {
                held.expires = until;
                held.extension = Call::Idle;
            }
            None => held.extension = Call::RetryAt(now + RETRY_DELAY),
        });
    }

    /// The answer to a [`Command::Renew`]. The copy is received like any other message, and what hangs on this one then
    /// hangs on it.
    pub(super) fn renewal_answered(&mut self, lease: LeaseId, done: bool, now: Moment) {
        self.change(lease, |held| {
            held.failed_renewals = held.failed_renewals.saturating_add(1);
            let again = (now, Call::RetryAt(now + backoff(held.failed_renewals)));
            held.renewal = (!done).then_some(again);
        });
    }

    /// Lets go of a message that is not ours any more.
    pub(super) fn lose(&mut self, lease: LeaseId) -> Option<Report> {
        self.remove(lease).map(|held| Report::LeaseLost { event_id: held.event })
    }

    /// The holds that have run out.
    pub(super) fn expired(&self, now: Moment) -> Vec<LeaseId> {
        self.due(now).filter(|lease| self.held[lease].expires <= now).collect()
    }

    /// What is to be done about messages now: extensions with half their time left, letters, deletions.
    pub(super) fn commands(&mut self, now: Moment) -> Vec<Command> {
        let due: BTreeSet<LeaseId> = self.due(now).collect();
        for lease in &due {
            self.stop_waiting(*lease, now);
        }
        let mut commands = self.letters(&due, now);
        commands.extend(self.extensions(&due, now));
        commands.extend(self.renewals(&due, now));
        commands.extend(self.deletions(&due, now));
        commands
    }

    /// What could not be told in time holds the message no longer.
    fn stop_waiting(&mut self, lease: LeaseId, now: Moment) {
        let Some(held) = self.held.get(&lease) else { return };
        let late = held.untold.iter().filter(|(_, until)| **until <= now);
        let late: Vec<End> = late.map(|(end, _)| end.clone()).collect();
        for end in late {
            self.forget_end(&end, lease);
            self.change(lease, |held| {
                held.untold.remove(&end);
            });
        }
    }

    fn forget_end(&mut self, end: &End, lease: LeaseId) {
        if let Some(leases) = self.by_end.get_mut(end) {
            leases.remove(&lease);
            if leases.is_empty() {
                self.by_end.remove(end);
            }
        }
    }

    fn letters(&mut self, due: &BTreeSet<LeaseId>, now: Moment) -> Vec<Command> {
        let mut commands = Vec::new();
        for &lease in due {
            self.change(lease, |held| {
                for duty in held.duties.values_mut() {
                    if let Duty::SettingAside(letter, call, _) = duty
                        && call.is_due(now)
                    {
                        *call = Call::Underway;
                        commands.push(Command::SetAside { lease, letter: letter.clone() });
                    }
                }
            });
        }
        commands
    }

    /// Once one hold is due, those that will be due soon go along: calls are batched.
    fn extensions(&mut self, due: &BTreeSet<LeaseId>, now: Moment) -> Option<Command> {
        let visibility = self.visibility;
        let is_due = |held: &Held, slack| {
            held.is_wanted() && now + slack >= held.extend_at(visibility) && held.extension.is_due(now)
        };
        due.iter().any(|lease| is_due(&self.held[lease], Duration::ZERO)).then(|| {
            let soon: BTreeSet<LeaseId> = self.due(now + visibility / 4).collect();
            let leases: Vec<LeaseId> =
                soon.into_iter().filter(|lease| is_due(&self.held[lease], visibility / 4)).collect();
            for lease in &leases {
                self.change(*lease, |held| held.extension = Call::Underway);
            }
            Command::Extend(leases)
        })
    }

    /// SQS holds nothing for longer than twelve hours: of what is owed still, a copy is sent in good time.
    fn renewals(&mut self, due: &BTreeSet<LeaseId>, now: Moment) -> Vec<Command> {
        let mut commands = Vec::new();
        for &lease in due {
            self.change(lease, |held| {
                let is_owing = held.is_owing();
                let Some((at, call)) = held.renewal.as_mut().filter(|_| is_owing) else { return };
                if *at <= now && call.is_due(now) {
                    *call = Call::Underway;
                    let is_open = |(target, duty): (&Option<TargetId>, &Duty)| match duty {
                        Duty::Open => target.clone(),
                        Duty::SettingAside(..) | Duty::Settled(_) => None,
                    };
                    let targets = held.duties.iter().filter_map(is_open).collect();
                    commands.push(Command::Renew { lease, targets });
                }
            });
        }
        commands
    }

    fn deletions(&mut self, due: &BTreeSet<LeaseId>, now: Moment) -> Option<Command> {
        let is_due = |held: &Held| held.deletion.is_due(now) && held.settled_by().is_some();
        let leases: Vec<LeaseId> = due.iter().copied().filter(|lease| is_due(&self.held[lease])).collect();
        for lease in &leases {
            self.change(*lease, |held| held.deletion = Call::Underway);
        }
        (!leases.is_empty()).then_some(Command::Delete(leases))
    }

    /// When something about a message is due next.
    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// The messages about which something has fallen due by then.
    fn due(&self, by: Moment) -> impl Iterator<Item = LeaseId> {
        self.by_due.iter().take_while(move |(at, _)| *at <= by).map(|(_, lease)| *lease)
    }

    /// Changes one message, if it is held, and enters anew when something about it falls due.
    fn change(&mut self, lease: LeaseId, change: impl FnOnce(&mut Held)) {
        let Some(held) = self.held.get_mut(&lease) else { return };
        let held = Arc::make_mut(held);
        change(held);
        let due = held.falls_due(self.visibility);
        let before = std::mem::replace(&mut held.due, due);
        if before != due {
            self.by_due.remove(&(before, lease));
        }
        self.by_due.insert((due, lease));
    }

    fn change_duty(&mut self, lease: LeaseId, target: Option<&TargetId>, change: impl FnOnce(&mut Duty)) {
        self.change(lease, |held| {
            if let Some(duty) = held.duties.get_mut(&target.cloned()) {
                change(duty);
            }
        });
    }

    fn remove(&mut self, lease: LeaseId) -> Option<Held> {
        let held = self.held.remove(&lease)?;
        self.by_due.remove(&(held.due, lease));
        self.by_message.remove(&held.message);
        held.untold.keys().for_each(|end| self.forget_end(end, lease));
        Some(Arc::unwrap_or_clone(held))
    }
}

impl Held {
    /// Why the message may be deleted, if it may: the weightiest of the reasons for which its duties are settled.
    fn settled_by(&self) -> Option<SettledBy> {
        if self.is_notice || !self.untold.is_empty() {
            return None;
        }
        let mut weightiest = SettledBy::NothingAsked;
        for duty in self.duties.values() {
            match duty {
                Duty::Open | Duty::SettingAside(..) => return None,
                Duty::Settled(by) => weightiest = weightier(weightiest, *by),
            }
        }
        Some(weightiest)
    }

    /// Whether one of its duties is not settled.
    fn is_owing(&self) -> bool {
        self.duties.values().any(|duty| match duty {
            Duty::Open | Duty::SettingAside(..) => true,
            Duty::Settled(_) => false,
        })
    }

    /// Whether the hold is still needed: a message that is being deleted needs no more time.
    fn is_wanted(&self) -> bool {
        self.settled_by().is_none()
    }

    fn extend_at(&self, visibility: Duration) -> Moment {
        Moment::from_millis(
            self.expires.as_millis().saturating_sub(u64::try_from((visibility / 2).as_millis()).unwrap_or(0)),
        )
    }

    /// When something about it falls due: at once where nothing but a turn is missing.
    fn falls_due(&self, visibility: Duration) -> Moment {
        let at_once = |call: Call| call.wakeup().or((call == Call::Idle).then(Moment::default));
        let letters = self.duties.values().filter_map(|duty| match duty {
            Duty::SettingAside(_, call, _) => at_once(*call),
            Duty::Open | Duty::Settled(_) => None,
        });
        let own = if self.is_wanted() {
            match self.extension {
                Call::Idle => Some(self.extend_at(visibility)),
                Call::Underway => None,
                // One that went along with another was made early: that it failed makes it due no sooner.
                Call::RetryAt(at) => Some(at.max(self.extend_at(visibility))),
            }
        } else {
            at_once(self.deletion)
        };
        let renewal = self.renewal.filter(|_| self.is_owing()).and_then(|(at, call)| match call {
            Call::Idle => Some(at),
            Call::Underway | Call::RetryAt(_) => call.wakeup(),
        });
        let untold = self.untold.values().copied().min();
        letters.chain(own).chain(renewal).chain(untold).chain([self.expires]).min().unwrap_or(self.expires)
    }
}

/// The delay after so many failures of one call about a message.
fn backoff(failed: u32) -> Duration {
    RETRY_DELAY.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(LONGEST_RETRY_DELAY)
}

fn weightier(one: SettledBy, other: SettledBy) -> SettledBy {
    let weight = |by| match by {
        SettledBy::NothingAsked => 0,
        SettledBy::Newer => 1,
        SettledBy::DryRun => 2,
        SettledBy::Reality => 3,
        SettledBy::SetAside => 4,
    };
    if weight(other) > weight(one) { other } else { one }
}
