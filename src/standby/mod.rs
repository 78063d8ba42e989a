//! Which of several processes acts: a state machine for one member. It reads and writes one item of a table, and
//! says until when its process may begin calls that change something.
//!
//! # What it guarantees
//!
//! No two members may begin a changing call at one time, and none may while a call that another one began can still be
//! under way. For that it needs of the table only that a conditional write is one step, and of the clocks only that
//! none runs faster than another by more than [`Timing::drift`] allows. Clocks of walls are not compared, and not read.
//!
//! # How
//!
//! A claim is the pair of owner and counter. Whoever holds it writes it again and again, each time with another counter,
//! on condition that the owner is still himself. What such a write gives is counted **from before its request was
//! sent**, by his own clock: he may begin changing calls for a lease length without the [margin](Timing::margin). The
//! margin is the longest that such a call may take, and what clocks may differ by.
//!
//! Everybody else reads. Whoever has seen the same claim for a whole lease length, counted **from after the first
//! answer that showed it**, by his own clock, writes his own claim, on condition that the item is exactly that claim.
//! The last write of that claim took effect before that first answer and after its request was sent; so when the
//! length has passed for the reader, it has passed for the holder, too, even if he was stopped all the while.
//! A claim that was given back is taken at once. An item that is not there may have been deleted under its holder's
//! hands: whoever misses it founds it anew, and acts only when that claim, too, has stood for a lease length.
//!
//! An answer that was lost decides nothing. Whoever finds himself in the item without knowing how he got there writes
//! his claim once more, and acts on the answer to that.
//!
//! A member that lost the lease tries for it again only after [`Input::Rested`]: nothing of what it began in its
//! last term is left over.
//!
//! # What is accepted
//!
//! A call that is already on its way when its process is stopped arrives whenever the network lets it. A clock that
//! stands still while its process does (a machine that was suspended) counts the lease too long.

#[cfg(test)]
mod explorer;
#[cfg(test)]
mod tests;
mod timing;

use std::time::Duration;

pub use timing::Timing;

use crate::domain::{Claim, ClaimWrite, Expects, MemberId, Moment};

/// One process, as a candidate for acting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    me: MemberId,
    timing: Timing,
    stand: Stand,
    /// Whether nothing of a term before goes on.
    rested: bool,
    /// How often this member has written, or tried to.
    counter: u64,
    /// The counter of the last claim that was written in place of a missing item. It gives nothing before it is ripe.
    founded: u64,
    /// The call that is under way; one at a time.
    calling: Option<Calling>,
    /// Before this no call is made.
    next: Moment,
    /// When the last call was asked for that the table answered.
    heard: Option<Moment>,
    /// Why the last call failed, if it did.
    trouble: Option<String>,
    /// Whom it last told of.
    told: Option<MemberId>,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// What became of the call that was under way.
    Answered(Answer),
    /// Time has passed.
    Wakeup,
    /// The process has let go of everything of its last term.
    Rested,
    /// The process ends, and has let go of everything.
    Release,
}

/// What became of a call to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A read: what the item says, if there is one.
    Read(Option<Claim>),
    /// A write took effect.
    Written,
    /// A write did not, because the item was not as expected.
    Refused,
    /// No answer, or an error: a write may have taken effect, or may yet.
    Failed(String),
}

/// What is to be done, or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Read the item, with all writes before it.
    Read,
    /// Write the item.
    Write(ClaimWrite),
    /// Tell people.
    Tell(Change),
    /// The lease was given back, or could not be: nothing follows.
    Done,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This member acts now.
    Took {
        /// Who had the lease; nobody if it was free.
        from: Option<MemberId>,
        /// For how long the claim had been seen unchanged.
        unchanged_for: Duration,
    },
    /// It no longer does.
    Lost {
        /// Why it could not renew; `None` if somebody else has the lease.
        trouble: Option<String>,
    },
    /// Somebody else has the lease.
    Follows(MemberId),
    /// The table does not answer as it should.
    Troubled(String),
    /// It does again.
    Answers,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It acts.
    Active,
    /// It is ready to take over from the holder, where one is known.
    Standby(Option<MemberId>),
    /// It does not act, and has not heard of the table for so long, or never, that it does not know who does.
    Lost {
        /// Since when; `None` if it never has.
        silent_since: Option<Moment>,
        /// Why the last call failed.
        trouble: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stand {
    /// May begin changing calls until then.
    Active { until: Moment },
    /// Watches what it saw.
    Standby { seen: Option<Seen> },
    /// Is about to give it back.
    Leaving,
    /// Nothing follows.
    Left,
}

/// What was read, and since when it has been seen so without a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    item: Option<Claim>,
    since: Moment,
}

/// The call that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Calling {
    kind: Kind,
    /// Before it was sent.
    asked: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Read,
    Found,
    Take,
    Renew,
    Release,
}

impl Member {
    /// One that has just begun, and knows nothing.
    pub fn new(me: MemberId, timing: Timing, now: Moment) -> Self {
        Self {
            me,
            timing,
            stand: Stand::Standby { seen: None },
            rested: true,
            counter: 0,
            founded: 0,
            calling: None,
            next: now,
            heard: None,
            trouble: None,
            told: None,
        }
    }

    /// Takes one input, and does whatever else is due.
    pub fn handle(&mut self, now: Moment, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        if matches!(self.stand, Stand::Active { until } if now >= until) {
            self.lose(
                now,
                self.trouble.clone().or_else(|| Some("it was not renewed in time".into())),
                &mut out,
            );
        }
        match input {
            Input::Answered(answer) => self.answered(now, answer, &mut out),
            Input::Wakeup => {}
            Input::Rested => {
                self.rested = true;
                self.next = now;
            }
            Input::Release => {
                self.stand = Stand::Leaving;
                self.next = now;
                if self.counter == 0 {
                    // It never wrote, so that nothing can be in its name.
                    self.leave(&mut out);
                }
            }
        }
        self.call(now, &mut out);
        out
    }

    /// When [`Self::handle`] has something to do next, if nothing is told until then.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let call = (self.calling.is_none() && self.stand != Stand::Left).then_some(self.next);
        [call, self.acts_until()].into_iter().flatten().min()
    }

    /// Until when its process may begin calls that change something; `None` if it may not.
    pub fn acts_until(&self) -> Option<Moment> {
        match self.stand {
            Stand::Active { until } => Some(until),
            Stand::Standby { .. } | Stand::Leaving | Stand::Left => None,
        }
    }

    /// Whether its process may begin a call that changes something.
    pub fn may_act(&self, now: Moment) -> bool {
        self.acts_until().is_some_and(|until| now < until)
    }

    /// How it stands.
    pub fn standing(&self, now: Moment) -> Standing {
        if self.may_act(now) {
            return Standing::Active;
        }
        let is_silent = self.heard.is_none_or(|heard| now >= heard + self.timing.acting());
        match &self.stand {
            Stand::Active { .. } | Stand::Standby { .. } if is_silent => {
                Standing::Lost { silent_since: self.heard, trouble: self.trouble.clone() }
            }
            Stand::Standby { seen } => Standing::Standby(seen.as_ref().and_then(Seen::owner).cloned()),
            Stand::Active { .. } | Stand::Leaving | Stand::Left => Standing::Standby(None),
        }
    }

    fn answered(&mut self, now: Moment, answer: Answer, out: &mut Vec<Output>) {
        let Some(Calling { kind, asked }) = self.calling.take() else { return };
        if kind == Kind::Release {
            return self.leave(out);
        }
        match answer {
            Answer::Failed(reason) => return self.failed(now, reason, out),
            Answer::Read(_) | Answer::Written | Answer::Refused => self.heard(asked, out),
        }
        match answer {
            Answer::Read(item) => self.saw(now, item, out),
            Answer::Written if kind == Kind::Found => self.founded(now),
            Answer::Written => self.wrote(now, asked, out),
            Answer::Refused => self.refused(now, out),
            Answer::Failed(_) => {}
        }
    }

    fn failed(&mut self, now: Moment, reason: String, out: &mut Vec<Output>) {
        self.next = match self.stand {
            Stand::Active { .. } => now + self.timing.retry,
            Stand::Standby { .. } => now + self.timing.heartbeat,
            Stand::Leaving | Stand::Left => now,
        };
        if self.trouble.replace(reason.clone()).is_none() {
            out.push(Output::Tell(Change::Troubled(reason)));
        }
    }

    fn heard(&mut self, asked: Moment, out: &mut Vec<Output>) {
        self.heard = Some(asked);
        if self.trouble.take().is_some() {
            out.push(Output::Tell(Change::Answers));
        }
    }

    /// The item says this. Its length is counted from now, the answer, if it did not say so before.
    fn saw(&mut self, now: Moment, item: Option<Claim>, out: &mut Vec<Output>) {
        let Stand::Standby { seen } = &mut self.stand else { return };
        let since = seen.as_ref().filter(|seen| seen.item == item).map_or(now, |seen| seen.since);
        let seen = seen.insert(Seen { item, since });
        let is_free = self.rested && seen.is_free_for(&self.me, self.founded);
        let ripe = since + self.timing.lease;
        self.next = if is_free { now } else { ripe.max(now).min(now + self.timing.poll) };
        let owner = seen.owner().filter(|owner| **owner != self.me).cloned();
        if owner.is_some() && owner != self.told {
            self.told.clone_from(&owner);
            out.extend(owner.map(Change::Follows).map(Output::Tell));
        }
    }

    /// The item was missing, and says now that it is ours. Whoever had it may still act.
    fn founded(&mut self, now: Moment) {
        if let Stand::Standby { seen } = &mut self.stand {
            let item = Some(Claim { owner: Some(self.me.clone()), counter: self.founded });
            *seen = Some(Seen { item, since: now });
            self.next = now + self.timing.poll;
        }
    }

    /// The claim is ours since some time after `asked`.
    fn wrote(&mut self, now: Moment, asked: Moment, out: &mut Vec<Output>) {
        let until = asked + self.timing.acting();
        match &mut self.stand {
            Stand::Active { until: held } => {
                *held = until.max(*held);
                self.next = (asked + self.timing.heartbeat).max(now);
            }
            Stand::Standby { seen } if self.rested && now < until => {
                let seen = seen.take();
                let from = seen.as_ref().and_then(Seen::owner).filter(|owner| **owner != self.me).cloned();
                let unchanged_for = seen.map_or(Duration::ZERO, |seen| asked.since(seen.since));
                self.stand = Stand::Active { until };
                self.told = None;
                self.next = (asked + self.timing.heartbeat).max(now);
                out.push(Output::Tell(Change::Took { from, unchanged_for }));
            }
            Stand::Standby { seen } => {
                *seen = None;
                self.next = now;
            }
            Stand::Leaving | Stand::Left => {}
        }
    }

    /// The item is not what we took it for: somebody else has written it.
    fn refused(&mut self, now: Moment, out: &mut Vec<Output>) {
        match &mut self.stand {
            Stand::Active { .. } => self.lose(now, None, out),
            Stand::Standby { seen } => {
                *seen = None;
                self.next = now;
            }
            Stand::Leaving | Stand::Left => {}
        }
    }

    fn lose(&mut self, now: Moment, trouble: Option<String>, out: &mut Vec<Output>) {
        self.stand = Stand::Standby { seen: None };
        self.rested = false;
        self.next = now;
        out.push(Output::Tell(Change::Lost { trouble }));
    }

    fn leave(&mut self, out: &mut Vec<Output>) {
        self.stand = Stand::Left;
        out.push(Output::Done);
    }

    /// Makes the call that is due.
    fn call(&mut self, now: Moment, out: &mut Vec<Output>) {
        if self.calling.is_some() || now < self.next {
            return;
        }
        let (kind, expects) = match &self.stand {
            Stand::Left => return,
            Stand::Active { .. } => (Kind::Renew, Some(Expects::OwnedBy(self.me.clone()))),
            Stand::Leaving => (Kind::Release, Some(Expects::OwnedBy(self.me.clone()))),
            Stand::Standby { seen: Some(seen) } if self.rested => self.way_to_take(seen, now),
            Stand::Standby { .. } => (Kind::Read, None),
        };
        self.calling = Some(Calling { kind, asked: now });
        out.push(match expects {
            None => Output::Read,
            Some(expects) => Output::Write(ClaimWrite { expects, puts: self.claim(kind) }),
        });
    }

    fn way_to_take(&self, seen: &Seen, now: Moment) -> (Kind, Option<Expects>) {
        let may_take = now >= seen.since + self.timing.lease || seen.is_free_for(&self.me, self.founded);
        match &seen.item {
            None => (Kind::Found, Some(Expects::Nothing)),
            Some(_) if !may_take => (Kind::Read, None),
            Some(claim) if claim.owner.as_ref() == Some(&self.me) => {
                (Kind::Renew, Some(Expects::OwnedBy(self.me.clone())))
            }
            Some(claim) => (Kind::Take, Some(Expects::Exactly(claim.clone()))),
        }
    }

    /// A claim that was never written before.
    fn claim(&mut self, kind: Kind) -> Claim {
        self.counter += 1;
        if kind == Kind::Found {
            self.founded = self.counter;
        }
        Claim { owner: (kind != Kind::Release).then(|| self.me.clone()), counter: self.counter }
    }
}

impl Seen {
    fn owner(&self) -> Option<&MemberId> {
        self.item.as_ref()?.owner.as_ref()
    }

    /// Whether nobody has to be waited for: it is missing, was given back, or is ours by a write that was waited out.
    fn is_free_for(&self, me: &MemberId, founded: u64) -> bool {
        let Some(claim) = &self.item else { return true };
        claim.owner.as_ref().is_none_or(|owner| owner == me && claim.counter > founded)
    }
}
