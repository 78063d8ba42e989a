//! One lap: a world, a storm, a daemon that is killed again and again, and then peace.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use lockkeeper::sim::{
    EcsDials, Fault, FaultKind, Rng, Service, World, WorldSettings,
    front::{Front, FrontSettings},
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    estate,
    process::Daemon,
    receiver::Receiver,
    record::{By, Life, Line, Record},
    stage::{Stage, now_ms},
    storm::Storm,
};

/// How often the world is looked at: a process that is to be killed at a call lives this much longer at most.
const TICK: Duration = Duration::from_millis(2);
/// Something happens this often, on average.
const PACE_MS: u64 = 180;
/// In peace the queue must empty within this: longer than the longest pause of the daemon.
const PATIENCE: Duration = Duration::from_mins(2);
/// In peace no hold lasts longer: a second copy of a message, and one that went to a dead process, come back by then.
const LONGEST_HOLD: Duration = Duration::from_secs(4);
/// The tag of the last image of all.
pub const LAST_TAG: &str = "v-last-of-all";
/// The calls at which a process may be killed.
const DEADLY: [(Service, &str); 9] = [
    (Service::Ecs, "UpdateService"),
    (Service::Ecs, "UpdateService"),
    (Service::Ecs, "RegisterTaskDefinition"),
    (Service::Ecs, "DescribeServices"),
    (Service::Ecs, "ListServiceDeployments"),
    (Service::Sqs, "ReceiveMessage"),
    (Service::Sqs, "SendMessage"),
    (Service::Sqs, "DeleteMessageBatch"),
    (Service::Sqs, "DeleteMessageBatch"),
];

/// What a lap is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kills: u64,
    /// Whether calls fail, and images too.
    pub faults: bool,
}

/// When a process dies.
struct Doom {
    at_call: Option<&'static str>,
    at: Instant,
}

/// Runs a lap to its end.
pub fn run(plan: Plan) -> Record {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut lap = Lap::open(plan).await;
        lap.through_the_storm().await;
        lap.make_peace().await;
        lap.close()
    })
}

struct Lap {
    plan: Plan,
    rng: Rng,
    stage: Stage,
    storm: Storm,
    receiver: Receiver,
    endpoint: String,
    settings: String,
    said: Arc<Mutex<Vec<Value>>>,
    daemon: Option<Daemon>,
    doom: Doom,
    next_happening: Instant,
    lives: Vec<Life>,
    kills: u64,
    log: Vec<Line>,
    seen: u64,
    rested_ms: Option<u64>,
}

impl Lap {
    async fn open(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let world = WorldSettings {
            allow_aws_sources: true,
            queue_base: endpoint.clone(),
            duplicates: if plan.faults { 0.05 } else { 0.0 },
            reorder: if plan.faults { 0.2 } else { 0.0 },
            log_limit: 100_000,
            ecs: EcsDials { speed: 5.0, ..EcsDials::default() },
            ..WorldSettings::default()
        };
        let callers = FrontSettings { account: estate::ACCOUNT.into(), region: estate::REGION.into() };
        let front = Front::new(World::new(plan.seed, world), callers);
        tokio::spawn(front.serve(listener));
        let mut stage = Stage::new(front);
        let (receiver, webhook) = Receiver::listen(plan.seed, plan.faults).await;
        let settings = estate::settings(&stage.furnish().await, &webhook);
        let said = Arc::new(Mutex::new(Vec::new()));
        let daemon = Some(Daemon::start(&endpoint, &settings, &said));
        let now = Instant::now();
        let mut lap = Self {
            plan,
            rng: Rng::new(plan.seed ^ 0x5EED),
            stage,
            storm: Storm::new(plan.seed, plan.faults),
            receiver,
            endpoint,
            settings,
            said,
            daemon,
            doom: Doom { at_call: None, at: now },
            next_happening: now,
            lives: Vec::new(),
            kills: 0,
            log: Vec::new(),
            seen: 0,
            rested_ms: None,
        };
        lap.stir();
        lap.doom = lap.draw_doom();
        lap
    }

    async fn through_the_storm(&mut self) {
        // The last one dies when peace comes.
        while self.kills + 1 < self.plan.kills {
            tokio::time::sleep(TICK).await;
            self.happen();
            let is_struck = self.listen();
            if is_struck || Instant::now() >= self.doom.at {
                self.succeed(true);
            } else if self.daemon.as_mut().is_none_or(Daemon::has_ended) {
                self.succeed(false);
            }
        }
    }

    /// Peace: nothing fails any more, all that is on its way arrives, and nobody is killed. Then two images more, one
    /// after the other.
    async fn make_peace(&mut self) {
        drop(self.daemon.take());
        // The long polls of a dead process may take messages until its connections are seen to be closed.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.stage.front.with(|world, now| {
            world.end_holds(now);
            let calm = WorldSettings { duplicates: 0.0, reorder: 0.0, ..world.settings().clone() };
            world.set_settings(calm);
        });
        self.plan.faults = false;
        self.receiver.calm_down();
        self.succeed(true);
        for happening in self.storm.rest() {
            self.stage.bring_about(happening);
        }
        let began = Instant::now();
        let mut is_at_rest = self.until_rest(began).await;
        for tag in ["v-last-but-one", LAST_TAG] {
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            for happening in self.storm.finale(tag, now_ms()) {
                self.stage.bring_about(happening);
            }
            is_at_rest = is_at_rest && self.until_rest(began).await;
        }
        let took = u64::try_from(began.elapsed().as_millis()).expect("it is short");
        self.rested_ms = is_at_rest.then_some(took);
        // What is said of the last messages is said after they are deleted.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.listen();
    }

    /// Whether the queue empties in time.
    async fn until_rest(&mut self, began: Instant) -> bool {
        let mut held_since = Instant::now();
        while began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.listen();
            if held_since.elapsed() > LONGEST_HOLD {
                self.stage.front.with(World::end_holds);
                held_since = Instant::now();
            }
            if self.daemon.as_mut().is_none_or(Daemon::has_ended) {
                self.succeed(false);
            }
            if self.stage.is_at_rest() {
                return true;
            }
        }
        false
    }

    fn close(mut self) -> Record {
        let state = self.stage.front.with(World::state);
        self.lives.push(Life { last_call: u64::MAX, killed: false });
        drop(self.daemon.take());
        let said = std::mem::take(&mut *self.said.lock().expect("nobody panics with it"));
        Record {
            seed: self.plan.seed,
            log: std::mem::take(&mut self.log),
            lives: self.lives,
            state,
            said,
            told: self.receiver.told(),
            rested_ms: self.rested_ms,
        }
    }

    /// What happens to the world meanwhile.
    fn happen(&mut self) {
        let now = now_ms();
        let mut all = self.storm.arrivals(now);
        if Instant::now() >= self.next_happening {
            self.next_happening = Instant::now() + Duration::from_millis(self.rng.below(2 * PACE_MS));
            all.extend(self.storm.next(now));
        }
        for happening in all {
            self.stage.bring_about(happening);
        }
    }

    /// Takes in the calls that were made. Says whether one was that at which the process dies.
    fn listen(&mut self) -> bool {
        let new = self.stage.calls_after(self.seen);
        self.seen = new.last().map_or(self.seen, |line| line.sequence);
        let is_struck = |line: &Line| {
            line.by == By::Daemon
                && self.doom.at_call == Some(line.operation.as_str())
                && line.result != "WAIT"
        };
        let struck = new.iter().any(is_struck);
        self.log.extend(new);
        struck
    }

    /// The process ends, and another one takes over.
    fn succeed(&mut self, killed: bool) {
        drop(self.daemon.take());
        // What the dead process had sent already arrives.
        std::thread::sleep(TICK);
        self.listen();
        self.lives.push(Life { last_call: self.seen, killed });
        self.kills += u64::from(killed);
        if self.rng.chance(0.8) {
            self.stage.front.with(World::end_holds);
        }
        self.stir();
        self.daemon = Some(Daemon::start(&self.endpoint, &self.settings, &self.said));
        self.doom = self.draw_doom();
    }

    /// How and when the present process dies.
    fn draw_doom(&mut self) -> Doom {
        let now = Instant::now();
        let ms = |ms| Duration::from_millis(ms);
        if self.rng.chance(0.45) {
            return Doom { at_call: None, at: now + ms(20 + self.rng.below(1_000)) };
        }
        let place = usize::try_from(self.rng.below(DEADLY.len() as u64)).expect("it is below nine");
        let (service, operation) = DEADLY[place];
        if self.rng.chance(0.6) {
            // It took effect, and the process dies before it hears so.
            let slow = Fault::new(service, operation, FaultKind::Slow { ms: 200 }, 1);
            self.stage.front.with(|world, _| world.add_fault(slow));
        }
        Doom { at_call: Some(operation), at: now + ms(1_500) }
    }

    /// New faults for a new life.
    fn stir(&mut self) {
        let kinds = [
            (FaultKind::Throttle, 0.03),
            (FaultKind::ServerError, 0.02),
            (FaultKind::LostAnswer { closed: true }, 0.02),
            (FaultKind::LostAnswer { closed: false }, 0.02),
            (FaultKind::Slow { ms: 150 }, 0.05),
            (FaultKind::Hang, 0.004),
        ];
        let faults = self.plan.faults;
        self.stage.front.with(|world, _| {
            world.clear_faults();
            for (kind, probability) in kinds.into_iter().filter(|_| faults) {
                for service in [Service::Ecs, Service::Sqs] {
                    world.add_fault(Fault { probability, ..Fault::new(service, "*", kind, u64::MAX) });
                }
            }
        });
    }
}
