//! The budget: every call to ECS, and every read of what targets depend on, takes a token of its class before it is sent.
//!
//! ECS throttles by token buckets per account, Region and category of calls, which everybody in that account shares.
//! Ours are those, times `aws.budget_share`, in each Region. Who finds no token waits in line: first come, first
//! served, in two lines. What somebody waits for goes `Soon`. What can wait goes `Later`: glances, lanes that wait for
//! their turn to start something, and the readings of discovery, of which few wait at a time; every fourth token is theirs
//! if both lines wait, so that neither starves.
//!
//! A start is decided on by a look, and a look that is minutes old decides nothing. So a lane waits *before* it looks:
//! it holds a [`Place`], which stands for a token that nobody else gets, takes its look, and either starts at once by
//! it or lets it go. A place leaves its token in the bucket: what is sent in any span of time stays within burst and
//! rate, however many places are held, and no more are held than there are tokens.
//!
//! | file | does |
//! |---|---|
//! | `limits` | pure: the classes, with the rates that AWS documents |
//! | `bucket` | pure: tokens, places, and backing off after a throttled call |
//! | `line` | who is next |

mod bucket;
mod limits;
mod line;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    bucket::Bucket,
    line::{Line, Turn},
};
use super::Observer;
use crate::domain::{BudgetShare, Moment};

pub use self::limits::{ApiClass, Limits};
pub use self::line::Urgency;

/// The budget of one Region. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    share: BudgetShare,
    began: Instant,
    lines: Mutex<BTreeMap<ApiClass, Line>>,
    observer: Arc<dyn Observer>,
    /// Ends all waiting.
    closing: CancellationToken,
}

/// The process is stopping: nobody waits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A token that is kept for one call. Dropped, it is everybody's again.
#[derive(Debug)]
pub struct Place {
    budget: Budget,
    class: ApiClass,
    is_held: bool,
}

impl Budget {
    /// Full buckets, of this share of what AWS allows.
    pub fn new(share: BudgetShare, observer: Arc<dyn Observer>, closing: CancellationToken) -> Self {
        Self(Arc::new(Shared { share, began: Instant::now(), lines: Mutex::default(), observer, closing }))
    }

    /// Takes a token, when it is its turn. May be cancelled: no token is lost by that.
    pub async fn token(&self, class: ApiClass, urgency: Urgency) -> Result<(), Closed> {
        let turn = match urgency {
            Urgency::Soon => Turn::Soon,
            Urgency::Later => Turn::Later,
        };
        self.wait(class, turn).await
    }

    /// Whether a call that is not needed takes nothing from anybody: nobody waits, and half of the burst is there.
    pub fn has_plenty(&self, class: ApiClass) -> bool {
        let now = self.now();
        !self.0.closing.is_cancelled() && self.with(class, |line| line.has_plenty(now))
    }

    /// Waits, behind what is sent soon, for a token that can be kept.
    pub async fn place(&self, class: ApiClass) -> Result<Place, Closed> {
        self.wait(class, Turn::Place).await?;
        Ok(Place { budget: self.clone(), class, is_held: true })
    }

    /// A call was throttled all the same: others draw from the same bucket, so that we draw less for a while.
    pub fn throttled(&self, class: ApiClass) {
        let now = self.now();
        self.with(class, |line| line.throttled(now));
    }

    async fn wait(&self, class: ApiClass, turn: Turn) -> Result<(), Closed> {
        let asked = Instant::now();
        let mut waiter = Waiter::join(self, class, turn);
        tokio::select! {
            biased;
            () = self.0.closing.cancelled() => return Err(Closed),
            () = waiter.served() => {}
        }
        // A place was waited for when it was taken.
        if turn != Turn::Kept {
            self.0.observer.waited(class.as_str(), asked.elapsed());
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        Moment::from_millis(u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn with<T>(&self, class: ApiClass, act: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines: MutexGuard<'_, _> = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines
            .entry(class)
            .or_insert_with(|| Line::new(Bucket::new(class.limits(), self.0.share, self.now())));
        act(line)
    }
}

impl Place {
    /// Turns the place into the token that it stands for. That waits only if calls were throttled in between.
    pub async fn redeem(mut self) -> Result<(), Closed> {
        self.budget.wait(self.class, Turn::Kept).await?;
        self.is_held = false;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_held {
            self.budget.with(self.class, Line::give_up_place);
        }
    }
}

/// Somebody in line; dropped, they leave it.
struct Waiter<'a> {
    budget: &'a Budget,
    class: ApiClass,
    number: u64,
    bell: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    fn join(budget: &'a Budget, class: ApiClass, turn: Turn) -> Self {
        let bell = Arc::new(Notify::new());
        let number = budget.with(class, |line| line.join(turn, Arc::clone(&bell)));
        Self { budget, class, number, bell }
    }

    /// Waits for their turn, and for a token then. The line rings when they come to its head.
    async fn served(&mut self) {
        loop {
            let now = self.budget.now();
            match self.budget.with(self.class, |line| line.serve(self.number, now)) {
                line::Answer::Served => return,
                line::Answer::In(wait) => {
                    // In that time somebody may come who goes first, or give a place up.
                    let _ = timeout(wait.max(Duration::from_millis(1)), self.bell.notified()).await;
                }
                line::Answer::Behind => self.bell.notified().await,
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.budget.with(self.class, |line| line.leave(self.number));
    }
}

#[cfg(test)]
mod tests;
