//! Who is next at one bucket.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::bucket::Bucket;
use crate::domain::Moment;

/// So many of the first line are served in a row while somebody waits in the second.
const MOST_IN_A_ROW: u32 = 3;

/// Whether somebody waits for what a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A decision or a start waits for it.
    Soon,
    /// It can wait behind those.
    Later,
}

/// For what somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// For the token that was kept for them: nobody goes first.
    Kept,
    /// For a token, soon.
    Soon,
    /// For a token, later.
    Later,
    /// For a place, later.
    Place,
}

/// What somebody in line is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// They have what they waited for, and are out of the line.
    Served,
    /// They are next, and there will be a token by then at the latest.
    In(Duration),
    /// Others are before them: they will be rung for.
    Behind,
}

/// A bucket, and those who wait for it.
#[derive(Debug)]
pub(super) struct Line {
    bucket: Bucket,
    kept: VecDeque<Waiting>,
    soon: VecDeque<Waiting>,
    later: VecDeque<Waiting>,
    in_a_row: u32,
    last_number: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    turn: Turn,
    bell: Arc<Notify>,
}

impl Line {
    pub(super) fn new(bucket: Bucket) -> Self {
        let (kept, soon, later) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { bucket, kept, soon, later, in_a_row: 0, last_number: 0 }
    }

    /// Goes to the end of their line, and says under which number.
    pub(super) fn join(&mut self, turn: Turn, bell: Arc<Notify>) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let line = match turn {
            Turn::Kept => &mut self.kept,
            Turn::Soon => &mut self.soon,
            Turn::Later | Turn::Place => &mut self.later,
        };
        line.push_back(Waiting { number, turn, bell });
        number
    }

    /// Serves this one if it is their turn and there is a token.
    pub(super) fn serve(&mut self, number: u64, now: Moment) -> Answer {
        let Some(turn) = self.next().filter(|next| next.number == number).map(|next| next.turn) else {
            return Answer::Behind;
        };
        let is_served = match turn {
            Turn::Kept => self.bucket.take_kept(now),
            Turn::Soon | Turn::Later => self.bucket.take(now),
            Turn::Place => self.bucket.keep(now),
        };
        if !is_served {
            return Answer::In(self.bucket.ready_in(turn == Turn::Kept));
        }
        match turn {
            Turn::Kept => {}
            Turn::Soon => self.in_a_row += u32::from(!self.later.is_empty()),
            Turn::Later | Turn::Place => self.in_a_row = 0,
        }
        self.leave(number);
        Answer::Served
    }

    /// Whether nobody waits, and half of the burst is there.
    pub(super) fn has_plenty(&mut self, now: Moment) -> bool {
        self.next().is_none() && self.bucket.is_half_full(now)
    }

    /// Leaves the line, served or not.
    pub(super) fn leave(&mut self, number: u64) {
        for line in [&mut self.kept, &mut self.soon, &mut self.later] {
            line.retain(|it| it.number != number);
        }
        self.ring();
    }

    pub(super) fn give_up_place(&mut self) {
        self.bucket.give_up_place();
        self.ring();
    }

    pub(super) fn throttled(&mut self, now: Moment) {
        self.bucket.throttled(now);
    }

    fn next(&self) -> Option<&Waiting> {
        let is_later_due = self.soon.is_empty() || self.in_a_row >= MOST_IN_A_ROW;
        let later = self.later.front().filter(|_| is_later_due);
        self.kept.front().or(later).or(self.soon.front())
    }

    /// Who is next looks again.
    fn ring(&self) {
        if let Some(next) = self.next() {
            next.bell.notify_one();
        }
    }
}
