//! One of several processes acts. The keeper looks after the lease beside the loop: it runs [`Member`], makes its calls,
//! and moves the fence. The loop acts for a term at a time, and between two of them, on standby, holds nothing.

use std::{env, sync::Arc};

use anyhow::Context as _;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{Discovering, Engine, EngineClock, HEARTBEAT};
use crate::{
    aws::{Connections, Fence, connect::CHANGE_TIMEOUT, lease_table::LeaseTable},
    domain::{ClaimWrite, MemberId},
    report::message::span,
    standby::{Answer, Change, Input, Member, Output, Standing, Timing},
    status::{Health, LeaseState},
};

const _: () = assert!(
    Timing::USUAL.call.as_millis() >= CHANGE_TIMEOUT.as_millis(),
    "a changing call that is begun in time must be over before the lease is"
);

/// The lease by which one of several processes acts.
#[derive(Clone, Debug)]
pub struct Lease {
    table: LeaseTable,
    fence: Fence,
    me: MemberId,
}

impl Lease {
    /// Looks whether the table can be read. `item` is the key of what is agreed upon; `fence` is that of all calls that
    /// change something.
    ///
    /// # Errors
    /// If it cannot: with what would mend it.
    pub async fn open(
        connections: &Connections,
        table: &str,
        item: &str,
        fence: Fence,
    ) -> anyhow::Result<Self> {
        let lease = connections.lease_table(table, item);
        lease.read().await.with_context(|| format!("the lease table {table} cannot be read"))?;
        Ok(Self { table: lease, fence, me: member_id() })
    }
}

/// A name that people recognize, and that no other life of a process has.
fn member_id() -> MemberId {
    // ECS gives the task's id and the container's, as the last part of this URL.
    let container = env::var("ECS_CONTAINER_METADATA_URI_V4").ok();
    let container = container.as_deref().and_then(|url| url.rsplit('/').next()).map(str::to_owned);
    let host = container.or_else(|| env::var("HOSTNAME").ok()).filter(|name| !name.is_empty());
    let host = host.unwrap_or_else(|| "lockkeeper".into());
    format!("{host}-{}-{:016x}", std::process::id(), fastrand::u64(..)).into()
}

/// What the loop has of the keeper.
pub(super) struct Hold {
    active: watch::Receiver<bool>,
    orders: mpsc::UnboundedSender<Order>,
    keeper: Option<JoinHandle<()>>,
}

enum Order {
    Rested,
    Release,
}

/// Runs terms until it is stopped.
pub(super) async fn run(mut engine: Engine, lease: Lease, discovering: &mut Discovering) {
    let mut hold = Hold::begin(&engine, lease);
    while engine.stand_by(&mut hold, discovering).await {
        engine.ecs.forget();
        discovering.asks.about_everything();
        engine = engine.act(Some(&mut hold), discovering).await;
        hold.rested();
    }
    engine.health.closing();
    hold.release().await;
}

impl Engine {
    /// Waits until it may act; `false` if it is stopped before.
    async fn stand_by(&mut self, hold: &mut Hold, discovering: &mut Discovering) -> bool {
        loop {
            self.show_standby();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                _ = hold.active.wait_for(|active| *active) => return true,
                Some(word) = discovering.words.recv() => self.hear(word, &discovering.gate),
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    /// Shows that this process does not act, and that it is well.
    pub(super) fn show_standby(&mut self) {
        let now = self.clock.moment();
        self.health.turned(now);
        self.publisher.publish_standby(now, &self.routes);
    }
}

impl Hold {
    fn begin(engine: &Engine, lease: Lease) -> Self {
        let (active_in, active) = watch::channel(false);
        let (orders, orders_out) = mpsc::unbounded_channel();
        let (answers, heard) = mpsc::unbounded_channel();
        let member = Member::new(lease.me.clone(), Timing::USUAL, engine.clock.moment());
        info!(member = lease.me.as_str(), "on standby");
        let keeper = Keeper {
            lease,
            member,
            clock: engine.clock.clone(),
            health: Arc::clone(&engine.health),
            active: active_in,
            orders: orders_out,
            answers,
            heard,
            done: false,
        };
        Self { active, orders, keeper: Some(tokio::spawn(keeper.keep())) }
    }

    /// Waits until this process may act no longer.
    pub(super) async fn lost(&mut self) {
        // The keeper outlives every term, unless it panicked: then nobody renews.
        let _ = self.active.wait_for(|active| !*active).await;
    }

    /// Nothing of the last term is left: the lease may be tried for again.
    fn rested(&self) {
        let _ = self.orders.send(Order::Rested);
    }

    /// Gives the lease back, if this process has it. Whatever it began must have ended.
    pub(super) async fn release(&mut self) {
        let _ = self.orders.send(Order::Release);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.await;
        }
    }
}

struct Keeper {
    lease: Lease,
    member: Member,
    clock: EngineClock,
    health: Arc<Health>,
    active: watch::Sender<bool>,
    orders: mpsc::UnboundedReceiver<Order>,
    answers: mpsc::UnboundedSender<Answer>,
    heard: mpsc::UnboundedReceiver<Answer>,
    done: bool,
}

impl Keeper {
    /// Every arm may be cancelled: each only takes from a channel or a timer.
    async fn keep(mut self) {
        while !self.done {
            let wakeup = self.next_wakeup();
            let input = tokio::select! {
                biased;
                Some(answer) = self.heard.recv() => Input::Answered(answer),
                Some(order) = self.orders.recv() => match order {
                    Order::Rested => Input::Rested,
                    Order::Release => Input::Release,
                },
                () = sleep_until(wakeup) => Input::Wakeup,
            };
            self.turn(input);
        }
    }

    /// At least once in a while, so that health tells for how long the table has been silent.
    fn next_wakeup(&self) -> Instant {
        let heartbeat = self.clock.moment() + HEARTBEAT;
        self.clock.instant(self.member.next_wakeup().map_or(heartbeat, |due| due.min(heartbeat)))
    }

    /// The fence is moved before anybody hears of it, and before any call is made.
    fn turn(&mut self, input: Input) {
        let now = self.clock.moment();
        let outputs = self.member.handle(now, input);
        self.lease.fence.allow_until(self.member.acts_until());
        self.health.leased(state(self.member.standing(now), &self.clock));
        for output in outputs {
            match output {
                Output::Read => self.read(),
                Output::Write(write) => self.write(write),
                Output::Tell(change) => tell(&change),
                Output::Done => self.done = true,
            }
        }
        let active = self.member.acts_until().is_some();
        self.active.send_if_modified(|was| std::mem::replace(was, active) != active);
    }

    fn read(&self) {
        let (table, answers) = (self.lease.table.clone(), self.answers.clone());
        tokio::spawn(async move {
            let answer = table.read().await;
            let _ = answers.send(answer.map_or_else(|error| Answer::Failed(error.to_string()), Answer::Read));
        });
    }

    /// A process whose loop stands still must neither take the lease nor keep it.
    fn write(&self, write: ClaimWrite) {
        let claims = write.puts.owner.is_some();
        if claims && !self.health.assess(self.clock.moment()).is_alive() {
            let _ = self.answers.send(Answer::Failed("the loop of this process does not turn".into()));
            return;
        }
        let (table, answers) = (self.lease.table.clone(), self.answers.clone());
        tokio::spawn(async move {
            let _ = answers.send(match table.write(&write).await {
                Ok(true) => Answer::Written,
                Ok(false) => Answer::Refused,
                Err(error) => Answer::Failed(error.to_string()),
            });
        });
    }
}

fn state(standing: Standing, clock: &EngineClock) -> LeaseState {
    match standing {
        Standing::Active => LeaseState::Active,
        Standing::Standby(Some(holder)) => {
            LeaseState::Standby(format!("on standby: {holder} holds the lease"))
        }
        Standing::Standby(None) => {
            LeaseState::Standby("on standby: nobody is known to hold the lease".into())
        }
        Standing::Lost { silent_since, trouble } => {
            let now = clock.moment();
            let silence = silent_since.map_or_else(
                || "has not answered yet".to_owned(),
                |since| format!("has not answered for {}", span(now.since(since))),
            );
            let trouble = trouble.map_or_else(String::new, |it| format!("; the last call failed: {it}"));
            let why = format!("lost: the lease table {silence}{trouble}");
            // One that never answered has been silent since this process began.
            LeaseState::Lost { since: silent_since.unwrap_or_default(), why }
        }
    }
}

fn tell(change: &Change) {
    match change {
        Change::Took { from: Some(from), unchanged_for } => info!(
            "active: took the lease over from {from}, whose claim had not changed for {}",
            span(*unchanged_for)
        ),
        Change::Took { from: None, .. } => info!("active: took the lease, which nobody held"),
        Change::Lost { trouble: Some(error) } => warn!(
            error,
            "lost the lease: it could not be renewed; nothing is begun any more, and what is held goes back"
        ),
        Change::Lost { trouble: None } => {
            warn!("lost the lease to another process: nothing is begun any more, and what is held goes back");
        }
        Change::Follows(holder) => info!("on standby: {holder} holds the lease"),
        Change::Troubled(error) => warn!(error, "a call to the lease table failed; it is tried again"),
        Change::Answers => info!("the lease table answers again"),
    }
}
