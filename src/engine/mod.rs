//! The one loop that owns all state.
//!
//! Pollers receive; the loop decodes and routes what they bring, tells the planner, and performs what it commands;
//! each call runs beside the loop and sends its answer back as an input. So nothing that AWS does, or fails to
//! do, holds the loop up, and no two decisions are ever made at the same time.
//!
//! | file | does |
//! |---|---|
//! | `open` | what must be true before the first receive: queues, account, no FIFO |
//! | `intake` | the pollers |
//! | `discover` | reads beside the loop which services there are; before that nothing is received |
//! | `understand` | a message to what it asks for |
//! | `people` | whose decisions and requests count |
//! | `held` | the messages that are held, by lease |
//! | `perform` | a command to a call, its answer to an input |
//! | `reconcile` | looks now and then for changes that targets have not seen, and for rollouts whose end nobody saw |
//! | `losses` | looks whether a target needs an image that is gone |
//! | `renewal` | what a copy says of a message that is held for longer than SQS allows |
//! | `publish` | reports to log, metrics and history; the state to a snapshot |
//! | `seen` | tells the planner what readings of services show of what keeps targets back |
//! | `shown` | what a snapshot shows of targets and deployments |
//! | `notify` | opens the channels by which it is told elsewhere |
//! | `foreign` | rollouts that we did not start |
//! | `strangers` | what those are, as ECS shows them |
//! | `recent` | what is remembered of the newest of something |
//! | `watchdog` | logs what stands still, and what is well again |
//! | `standby` | with a lease table: one of several processes acts, for a term at a time |
//! | `drain` | the end, of the process or of a term: receives in flight end, what is held is handed back |
//!
//! Every arm of the loop's `select!` may be cancelled: each only takes from a channel or a timer. A receive is
//! never cancelled, or the messages that it brings would be held by nobody until their visibility ends.

mod clock;
mod discover;
mod drain;
mod foreign;
mod held;
mod intake;
mod live;
mod lookup;
mod losses;
mod notify;
mod open;
mod people;
mod perform;
mod publish;
mod recent;
mod reconcile;
mod renewal;
mod seen;
mod shown;
mod standby;
mod strangers;
mod understand;
mod watchdog;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use crate::{
    aws::{ecs::Ecs, queue::Queue},
    domain::{
        AccountId, Beside, ForeignState, Moment, Place, Report, ServiceReading, ServiceWarning, TargetId,
    },
    inventory::Update,
    plan::{Command, End, Input, Jitter, Now, PlanSettings, Planner},
    report::{channel::News, log},
    route::{self, Routes},
    status::{Health, QueueRecord},
};

pub(crate) use understand::when_asked;

pub use clock::EngineClock;
pub use discover::Discovery;
pub use intake::RECEIVE_WAIT;
pub use live::{LiveRoutes, RoutesNow};
pub use lookup::Lookups;
pub use losses::{Loss, Needed, who_needs};
pub use notify::open_channels;
pub use open::{Opened, open};
pub use people::People;
pub use publish::Publisher;
pub use reconcile::Reconcile;
pub use standby::Lease;
pub use watchdog::Watchdog;

use discover::{Asks, Discovering, Gate, Word};
use foreign::Foreign;
use held::HeldMessages;
use intake::Batch;
use losses::Losses;
use perform::Performer;
use reconcile::{Lately, Question, Reconciler, Targets};
use standby::Hold;
use strangers::{Looked, Strangers};
use understand::{Stir, Untold};

/// The loop turns at least this often, so that its health shows that it does.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The bodies of all held messages take no more than this: far more than waiting messages ever do.
const MOST_HELD_BYTES: usize = 128 << 20;

/// With a lease nobody has to be waited for after taking over. But reads of ECS may be so old, and not show yet what
/// was begun last.
const OLDEST_READ: Duration = Duration::from_secs(5);

/// What a process before this one held is held again this much after its visibility has ended.
const FIRST_TURNS: Duration = Duration::from_secs(30);

/// How often the queues are asked for their counts.
const COUNT_PERIOD: Duration = Duration::from_secs(30);

/// Everything that the loop works with.
#[derive(Debug)]
pub struct Engine {
    /// The queue that events come from.
    pub queue: Queue,
    /// Where messages are set aside.
    pub dead_letters: Queue,
    /// The largest message that it takes, in bytes.
    pub letter_room: usize,
    /// ECS.
    pub ecs: Arc<Ecs>,
    /// Which events reach which targets.
    pub routes: Routes,
    /// How further targets are found.
    pub discovery: Option<Discovery>,
    /// The accounts whose events are taken.
    pub accounts: Vec<AccountId>,
    /// Whose decisions and requests count.
    pub people: People,
    /// How many receives are open at once.
    pub pollers: u32,
    /// How long a message is held by one receive or extension.
    pub visibility: Duration,
    /// How long one receipt of a message is held before a copy takes its place: SQS allows twelve hours.
    pub renew_after: Duration,
    /// No rollout is started before this much has passed.
    pub start_delay: Duration,
    /// How lost events are looked for; without it they are not.
    pub reconcile: Option<Reconcile>,
    /// By which one of several processes acts; without it, this one is alone.
    pub lease: Option<Lease>,
    /// The time.
    pub clock: EngineClock,
    /// Whether it is well.
    pub health: Arc<Health>,
    /// Who asks which events reach which targets now.
    pub live: LiveRoutes,
    /// Where reports and snapshots go.
    pub publisher: Publisher,
    /// Ends it.
    pub stop: CancellationToken,
}

/// The loop while it runs.
struct Running {
    engine: Engine,
    planner: Planner,
    held: HeldMessages,
    performer: Performer,
    queues: Vec<QueueRecord>,
    /// Ends receiving: with the process, or with the term.
    term: CancellationToken,
    gate: watch::Sender<Gate>,
    asks: Asks,
    losses: Losses,
    /// Has lost events looked for at once.
    reconcile_now: Arc<Notify>,
    foreign: Foreign,
    strangers: Strangers,
    /// When the targets were last looked at or tagged.
    touched: BTreeMap<TargetId, Moment>,
    /// When tags are read next that something waits for.
    tags_due: Moment,
    /// The targets that were found not to be deployed, since reconcile asked for them last.
    refused: BTreeSet<TargetId>,
}

impl Engine {
    /// Runs until it is stopped, and then lets go of everything.
    pub async fn run(mut self) {
        let mut discovering = Discovering::begin(&self);
        self.publisher.has_read(&discovering.gate.borrow());
        match self.lease.clone() {
            None => drop(Box::pin(self.act(None, &mut discovering)).await),
            Some(lease) => Box::pin(standby::run(self, lease, &mut discovering)).await,
        }
    }

    /// Acts until it is stopped, or may act no longer, and then lets go of everything.
    async fn act(self, mut hold: Option<&mut Hold>, discovering: &mut Discovering) -> Self {
        let (answers_in, mut answers) = mpsc::unbounded_channel();
        let (batches_in, mut batches) = mpsc::channel(usize::try_from(self.pollers).unwrap_or(1));
        let (counts_in, mut counts) = mpsc::channel(1);
        let (questions_in, mut questions) = mpsc::channel(1);
        let stop = self.stop.clone();
        let (strangers, mut seen) = Strangers::begin(Arc::clone(&self.ecs));
        let mut running = self.into_running(answers_in, discovering, strangers);
        running.engine.health.opens(running.engine.clock.moment());
        // Who is told that it is ready finds its targets.
        running.turn(Input::Wakeup);
        let pollers = running.spawn_pollers(&batches_in);
        drop(batches_in);
        let counting = running.engine.spawn_counting(counts_in);
        running.engine.spawn_reconciler(&running.term, questions_in, Arc::clone(&running.reconcile_now));
        let is_lost = loop {
            let wakeup = running.next_wakeup();
            tokio::select! {
                biased;
                () = stop.cancelled() => break false,
                () = lost(hold.as_deref_mut()) => break true,
                Some(input) = answers.recv() => running.on_answer(input),
                Some(batch) = batches.recv(), if running.has_room() => running.on_batch(batch),
                Some(queues) = counts.recv() => running.on_counts(queues),
                Some(word) = discovering.words.recv() => running.on_word(word),
                Some(news) = running.engine.publisher.next_news() => running.on_news(news),
                Some(question) = questions.recv() => running.on_question(question),
                Some(looked) = seen.recv() => running.on_foreign(looked),
                () = tokio::time::sleep_until(wakeup) => running.on_wakeup(),
            }
        };
        counting.abort();
        if is_lost {
            running.let_go(&pollers, &mut batches).await
        } else {
            while let Ok(looked) = seen.try_recv() {
                running.on_foreign(looked);
            }
            running.drain(&pollers, &mut batches, &mut answers, hold).await
        }
    }

    fn into_running(
        self,
        answers: mpsc::UnboundedSender<Input>,
        discovering: &Discovering,
        strangers: Strangers,
    ) -> Running {
        let mut settings = PlanSettings::new(self.visibility);
        settings.renew_after = self.renew_after;
        settings.tell_within = self.publisher.tells().then_some(PlanSettings::TELL_WITHIN);
        let delay = if self.lease.is_some() { self.start_delay.min(OLDEST_READ) } else { self.start_delay };
        settings.start_after = self.clock.moment() + delay;
        settings.glances_per_second = self.ecs.glances_per_second();
        let performer = Performer {
            queue: self.queue.clone(),
            dead_letters: self.dead_letters.clone(),
            letter_room: self.letter_room,
            ecs: Arc::clone(&self.ecs),
            clock: self.clock.clone(),
            visibility: self.visibility,
            answers,
            cleared: Arc::default(),
            tasks: TaskTracker::new(),
            dropped: CancellationToken::new(),
        };
        let planner = Planner::new(settings);
        let term = self.stop.child_token();
        let losses = Losses::begin(Arc::clone(&self.ecs), self.publisher.metrics(), term.clone());
        Running {
            planner,
            held: HeldMessages::default(),
            performer,
            queues: Vec::new(),
            term,
            losses,
            reconcile_now: Arc::default(),
            gate: discovering.gate.clone(),
            asks: discovering.asks.clone(),
            strangers,
            foreign: Foreign::silent_until(self.clock.moment() + self.visibility + FIRST_TURNS),
            touched: BTreeMap::new(),
            tags_due: Moment::default(),
            refused: BTreeSet::new(),
            engine: self,
        }
    }

    /// Takes in what was read of services.
    fn learn(&mut self, updates: Vec<Update>) {
        for update in updates {
            let (target, mut renamed) = match update {
                Update::Learn(discovered) => {
                    let target = discovered.target.clone();
                    let renamed = self.routes.renamed_by(&target);
                    self.routes.learn(discovered);
                    if let Some((_, Some(why))) = self.routes.settings_of(&target) {
                        info!(service = %target, "target found, which is not deployed: {why}");
                    }
                    (target, renamed)
                }
                Update::Forget(target, _) => {
                    let renamed = self.routes.renamed_by(&target);
                    self.routes.forget(&target);
                    self.publisher.sees_no_more(&target);
                    (target, renamed)
                }
            };
            renamed.extend(self.routes.renamed_by(&target));
            for target in renamed.iter().chain([&target]) {
                self.publisher.knows(target, &self.routes);
            }
        }
    }

    /// What discovery tells, whether this process acts or not.
    fn hear(&mut self, word: Word, gate: &watch::Sender<Gate>) {
        match word {
            Word::Updates(updates) => self.learn(updates),
            Word::Seen(seen, _) => {
                for it in seen {
                    self.publisher.sees(it.sight, &self.routes);
                }
            }
            Word::Open(unread) => {
                gate.send_replace(Some(unread));
                self.publisher.has_read(&gate.borrow());
            }
            Word::Routes(answer) => {
                let _ = answer.send(Box::new(RoutesNow::of(&self.routes, &gate.borrow())));
            }
        }
    }

    fn spawn_reconciler(
        &self,
        term: &CancellationToken,
        questions: mpsc::Sender<Question>,
        at_once: Arc<Notify>,
    ) {
        let Some(reconcile) = self.reconcile.clone() else { return };
        let reconciler = Reconciler {
            reconcile,
            ecs: Arc::clone(&self.ecs),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            questions,
            at_once,
            began: self.clock.moment(),
        };
        tokio::spawn(reconciler.keep_looking(term.clone()));
    }

    fn spawn_counting(&self, counts: mpsc::Sender<Vec<QueueRecord>>) -> tokio::task::JoinHandle<()> {
        let (queue, dead_letters) = (self.queue.clone(), self.dead_letters.clone());
        tokio::spawn(async move {
            let mut period = tokio::time::interval(COUNT_PERIOD);
            loop {
                period.tick().await;
                let queues = publish::count(&queue, &dead_letters).await;
                if counts.send(queues).await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Waits until a process with a lease may act no longer; one without may act for ever.
async fn lost(hold: Option<&mut Hold>) {
    match hold {
        Some(hold) => hold.lost().await,
        None => std::future::pending().await,
    }
}

impl Running {
    fn spawn_pollers(&self, batches: &mpsc::Sender<Batch>) -> TaskTracker {
        let (pollers, engine) = (TaskTracker::new(), &self.engine);
        for number in 1..=engine.pollers {
            let poller = intake::Poller {
                number,
                queue: engine.queue.clone(),
                visibility: engine.visibility,
                clock: engine.clock.clone(),
                health: Arc::clone(&engine.health),
                stop: self.term.clone(),
                gate: self.gate.subscribe(),
                batches: batches.clone(),
            };
            pollers.spawn(poller.keep_polling());
        }
        pollers.close();
        pollers
    }

    fn now(&self) -> Now {
        Now {
            moment: self.engine.clock.moment(),
            wall: self.engine.clock.wall(),
            jitter: Jitter(fastrand::u16(..)),
        }
    }

    /// When the loop turns next if nothing comes.
    fn next_wakeup(&self) -> tokio::time::Instant {
        let now = self.engine.clock.moment();
        let heartbeat = now + HEARTBEAT;
        let planned = self.planner.next_wakeup().unwrap_or(heartbeat);
        let publish = self.engine.publisher.due().unwrap_or(heartbeat);
        self.engine.clock.instant(planned.min(publish).min(heartbeat))
    }

    fn on_answer(&mut self, input: Input) {
        self.see_refusal_in(&input);
        self.turn(input);
    }

    /// What became of what was told elsewhere.
    fn on_news(&mut self, news: News) {
        match news {
            News::Told((deployment, outcome)) => self.turn(Input::Told(End { deployment, outcome })),
            News::Delivered(message) => self.turn(Input::Delivered(message)),
            News::Unsent(unsent) => self.performer.store(unsent, self.engine.publisher.metrics()),
        }
    }

    /// What a message of our own brought, that somebody is told of something, is handed over.
    fn on_notice(&mut self, untold: Untold) {
        let Untold { message, notice, left } = untold;
        match self.engine.publisher.notifiers() {
            Some(notifiers) => notifiers.deliver(&message, notice, left),
            None => self.turn(Input::Delivered(message)),
        }
    }

    fn on_wakeup(&mut self) {
        self.turn(Input::Wakeup);
    }

    /// Bodies are kept for the dead-letter queue. If that takes nothing for long, receiving waits rather than memory
    /// grow without end.
    fn has_room(&self) -> bool {
        self.held.bytes() < MOST_HELD_BYTES
    }

    fn on_counts(&mut self, queues: Vec<QueueRecord>) {
        self.queues = queues;
        self.turn(Input::Wakeup);
    }

    fn on_word(&mut self, word: Word) {
        if let Word::Seen(seen, asked) = &word {
            for it in seen {
                self.see_holds(it, *asked);
            }
        }
        let read = seen::targets_of(&word);
        self.engine.hear(word, &self.gate);
        for (target, absence) in read {
            self.see_refusal(target, absence);
        }
        self.turn(Input::Wakeup);
    }

    /// A rollout that we are not known to have started was looked at, so that it can be told.
    fn on_foreign(&mut self, looked: Looked) {
        if let Some(rollout) = self.foreign.judged(self.engine.clock.moment(), looked) {
            if rollout.state != ForeignState::InProgress {
                self.engine.publisher.outdates(&rollout.target);
            }
            self.tell(&Report::Foreign(Box::new(rollout)));
        }
    }

    fn on_question(&mut self, question: Question) {
        let Self { engine, planner, .. } = self;
        match question {
            Question::Targets(answer) => {
                let all = engine.routes.targets().map(|(target, settings)| (target.clone(), settings));
                let refused = engine.routes.all_discovered().filter(|(_, why)| why.is_some());
                let refused = refused.map(|(target, _)| target.clone()).collect();
                let were_refused = std::mem::take(&mut self.refused);
                let _ = answer.send(Targets { all: all.collect(), refused, were_refused });
            }
            Question::Request { target, event, counts, answer } => {
                let is_busy = planner.is_busy(&target);
                let confined_to = Some([target].into());
                let arrival = route::Arrival { version: counts, floor: counts, confined_to };
                let request = engine.routes.route(&event, &arrival).requests.pop();
                let _ = answer.send(request.filter(|_| !is_busy));
            }
            Question::Lately(target, answer) => {
                let lately = if planner.is_busy(&target) {
                    Lately::Busy
                } else {
                    Lately::Ended(engine.publisher.ended(&target))
                };
                let _ = answer.send(lately);
            }
            Question::Read(readings) => {
                let is_news = |reading: &&ServiceReading| engine.publisher.would_show(reading);
                readings.iter().filter(is_news).for_each(|it| self.asks.about_known(&it.target));
            }
            Question::Passed(record) => engine.publisher.reconciled(record),
        }
    }

    fn on_batch(&mut self, batch: Batch) {
        for message in batch.messages {
            let unread = self.gate.borrow().clone().unwrap_or_default();
            let expires = batch.expires;
            let understood = understand::understand(&self.engine, message, expires, &mut self.held, &unread);
            understood.moved.iter().for_each(|target| self.asks.about(target));
            // First the message itself: what the planner does not hold yet could be forgotten by the turn of a hint.
            self.turn(Input::Arrived(understood.arrival));
            for stir in &understood.stirs {
                self.stirred(stir);
            }
            for target in understood.hints {
                self.turn(Input::Hint(target));
            }
            if let Some(untold) = understood.untold {
                self.on_notice(untold);
            }
            if let Some((beside, place)) = understood.beside {
                self.on_beside(beside, place);
            }
        }
    }

    /// What an event that asks for nothing is a sign of.
    fn on_beside(&self, beside: Beside, place: Place) {
        match beside {
            Beside::ImageGone(gone) => {
                let users = self.engine.routes.users_of(&gone.repository, &place);
                self.losses.tell(Loss { gone, registry: place, users });
            }
            // Only what is ours counts, and that is known where it was received.
            Beside::Untold(_) => {}
            Beside::Tick { rule } => match &self.engine.reconcile {
                Some(reconcile) if reconcile.rule.matches(&rule) => {
                    info!(rule = &*rule, "reconcile: a pass begins, because its rule ticked");
                    self.reconcile_now.notify_one();
                }
                Some(_) | None => {}
            },
        }
    }

    /// One turn: one input, the commands that follow, and what is to be told of them.
    fn turn(&mut self, input: Input) {
        let now = self.now();
        self.note(now, &input);
        let looked = match &input {
            Input::Looked { target, .. } => Some(target.clone()),
            _ => None,
        };
        let commands = self.planner.handle(now, input);
        for broken in self.planner.broken_promises(&commands) {
            let report = Report::PromiseBroken { promise: broken.promise.as_str(), what: broken.what };
            self.tell(&report);
        }
        for command in commands {
            if let Command::Start(order) = &command {
                self.foreign.asked(&order.target, now.wall);
            }
            match command {
                Command::Report(report) => self.tell(&report),
                Command::Look(_)
                | Command::Glance(_)
                | Command::Start(_)
                | Command::Stop(_)
                | Command::Mark(_)
                | Command::Tag(_)
                | Command::Extend(_)
                | Command::Renew { .. }
                | Command::SetAside { .. }
                | Command::Delete(_) => self.performer.perform(command, &self.held),
            }
        }
        if let Some(target) = looked {
            self.performer.decided(&target);
        }
        for named in self.foreign.due(now.moment) {
            if let Some(looked) = self.strangers.name(named) {
                self.on_foreign(looked);
            }
        }
        self.look_for_tags(now.moment);
        self.engine.health.turned(now.moment);
        self.publish(now.moment);
    }

    /// ECS told of a service of ours: that it is not well, or that a rollout moved which may be somebody's.
    fn stirred(&mut self, stir: &Stir) {
        let Stir { target, name, hint, at } = stir;
        if foreign::is_warning(&hint.event_name) {
            let (event, reason) = (hint.event_name.clone(), hint.reason.clone());
            let warning =
                ServiceWarning { target: target.clone(), name: name.clone(), event, reason, at: *at };
            self.tell(&Report::Warned(Box::new(warning)));
        } else {
            self.foreign.heard(self.engine.clock.moment(), (target, name), hint, *at);
        }
    }

    fn tell(&mut self, report: &Report) {
        log::tell(report);
        self.foreign.learn(self.engine.clock.moment(), report);
        // It may have another definition now.
        if let Report::Moved(it) | Report::Finished(it) = report {
            self.asks.about_ours(&it.target);
        }
        self.engine.publisher.told(report, self.engine.clock.wall(), &self.held);
    }

    fn publish(&mut self, now: Moment) {
        let Self { engine, planner, queues, held, .. } = self;
        if engine.publisher.may_publish(now) {
            held.keep_only(|lease| planner.holds(lease), |lease| planner.is_owing(lease));
            engine.publisher.publish(
                (now, engine.clock.wall()),
                planner,
                &engine.routes,
                queues,
                held.oldest(),
            );
        }
    }
}
