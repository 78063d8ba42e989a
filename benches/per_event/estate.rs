//! Many targets that have all been deployed before, and some that are being deployed.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use lockkeeper::{
    decode::decode,
    domain::{
        DefinitionId, DefinitionView, Digest, Event, Glob, ImageReference, LeaseId, Look, LookOrder, Marks,
        Moment, Rollout, RolloutKey, RolloutState, Running, ServiceState, StartOrder, Started, TargetRule,
        TargetSettings, Tasks, Timestamp,
    },
    plan::{Arrival, Asks, Command, Input, Jitter, Now, PlanSettings, Planner},
    route::{self, Routes, Routing},
};

/// Of so many targets one is being deployed, and its message held.
const ONE_BUSY_OF: usize = 100;

/// As many targets have something happen to them again and again, spread over all of them. So what is compared is what
/// more targets cost, not what memory costs that no event has touched for long.
const LIVELY: usize = 99;

/// Events come at this distance, which divides no number of targets.
const STRIDE: usize = 3_571;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What is timed of an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes to trigger.
    Decode,
    /// Trigger to requests.
    Route,
    /// Requests to commands: one turn of the planner.
    Plan,
    /// The three together.
    Together,
    /// From the bytes until the message is deleted: three turns.
    Settled,
    /// The three together, for one target after the other: each one's memory has gone cold since its last event.
    Scattered,
}

/// The daemon without its calls. Time stands still: what else would fall due is not an event's cost.
pub(crate) struct Estate {
    routes: Routes,
    planner: Planner,
    bodies: Vec<String>,
    next: usize,
    received: u64,
}

impl Estate {
    /// As many targets; an event has come for each.
    pub(crate) fn of(targets: usize) -> Self {
        let rules = (0..targets).map(rule).collect();
        let mut estate = Self {
            routes: Routes::new("111122223333".into(), "eu-west-1".into(), rules, None),
            planner: Planner::new(PlanSettings::new(Duration::from_mins(1))),
            bodies: (0..targets).map(body).collect(),
            next: 0,
            received: 0,
        };
        for index in 0..targets {
            estate.pass(index, Step::Settled);
        }
        for index in (0..targets).filter(|index| is_busy(*index)) {
            estate.deploy(index);
        }
        estate
    }

    /// Takes the next event through to the end, and says how long this step of it took. The busy targets are left
    /// alone: an event for one of them would be held, too.
    pub(crate) fn next_event(&mut self, step: Step) -> Duration {
        self.next += 1;
        let all = self.bodies.len();
        let index = match step {
            Step::Scattered => self.next * STRIDE % all,
            Step::Decode | Step::Route | Step::Plan | Step::Together | Step::Settled => {
                self.next % LIVELY * all.div_ceil(LIVELY + 1) % all
            }
        };
        if is_busy(index) { self.next_event(step) } else { self.pass(index, step) }
    }

    fn pass(&mut self, index: usize, step: Step) -> Duration {
        let body = std::mem::take(&mut self.bodies[index]);
        let began = Instant::now();
        let event = decode(black_box(body.as_bytes()), sent_at());
        let decoded = Instant::now();
        let routing = self.routes.route(&event, &asked(&event));
        let routed = Instant::now();
        let commands = self.arrive(&event, routing);
        let planned = Instant::now();
        let settling = self.settle(commands);
        self.bodies[index] = body;
        match step {
            Step::Decode => decoded - began,
            Step::Route => routed - decoded,
            Step::Plan => planned - routed,
            Step::Together | Step::Scattered => planned - began,
            Step::Settled => planned - began + settling,
        }
    }

    fn arrive(&mut self, event: &Event, routing: Routing) -> Vec<Command> {
        self.received += 1;
        let arrival = Arrival {
            lease: LeaseId(self.received),
            message: event.id.as_str().into(),
            event: event.id.clone(),
            expires: Moment::from_millis(60_000),
            is_again: false,
            asks: Asks::Changes(routing.requests),
        };
        self.turn(Input::Arrived(arrival))
    }

    /// One turn, as the daemon's loop makes it.
    fn turn(&mut self, input: Input) -> Vec<Command> {
        let now = Now { moment: Moment::from_millis(1), wall: sent_at(), jitter: Jitter(0) };
        let commands = self.planner.handle(now, input);
        assert!(self.planner.broken_promises(&commands).is_empty());
        black_box(self.planner.next_wakeup());
        commands
    }

    /// Answers the look with a rollout that carries what is asked, and lets the message be deleted.
    fn settle(&mut self, commands: Vec<Command>) -> Duration {
        let order = commands.into_iter().find_map(|command| match command {
            Command::Look(order) => Some(order),
            _ => None,
        });
        let order = order.expect("without a quiet time, an idle lane looks at once");
        let look = Ok(Box::new(seen(&order, Some(RolloutState::Succeeded))));
        let began = Instant::now();
        let commands = self.turn(Input::Looked { target: order.target, look });
        let deleted = commands.into_iter().find_map(|command| match command {
            Command::Delete(leases) => Some(leases),
            _ => None,
        });
        self.turn(Input::Deleted(deleted.expect("the look settles what was asked")));
        began.elapsed()
    }

    /// Has this target deployed by a message that stays held.
    fn deploy(&mut self, index: usize) {
        let event = decode(body(index).as_bytes(), sent_at());
        let routing = self.routes.route(&event, &asked(&event));
        for command in self.arrive(&event, routing) {
            let Command::Look(order) = command else { continue };
            let look = Ok(Box::new(seen(&order, None)));
            for command in self.turn(Input::Looked { target: order.target, look }) {
                let Command::Start(order) = command else { continue };
                self.turn(Input::Started { target: order.target.clone(), started: Ok(started(&order)) });
            }
        }
    }
}

/// The first is not, so that a target that is alone is not.
fn is_busy(index: usize) -> bool {
    index % ONE_BUSY_OF == ONE_BUSY_OF - 1
}

fn rule(index: usize) -> TargetRule {
    let settings = TargetSettings {
        quiet: Duration::ZERO,
        ..TargetSettings::named(format!("service-{index}").as_str().into())
    };
    TargetRule {
        account: None,
        region: None,
        cluster: format!("shop-{}", index % 20).into(),
        service: format!("shop_service_{index}_prod").into(),
        repositories: vec![Glob::new(&format!("shop/service-{index}"))],
        parameters: vec![Glob::new(&format!("/prod/shop/service-{index}/*"))],
        secrets: vec![Glob::new(&format!("shop/service-{index}/*"))],
        files: Vec::new(),
        settings: Arc::new(settings),
    }
}

/// By turns a push of the tag that runs, a parameter that changed, and a request for new tasks.
fn body(index: usize) -> String {
    let (kind, source, detail) = match index % 3 {
        0 => (
            "ECR Image Action",
            "aws.ecr",
            format!(
                r#"{{"result":"SUCCESS","repository-name":"shop/service-{index}","image-digest":"{DIGEST}","action-type":"PUSH","image-tag":"live"}}"#
            ),
        ),
        1 => (
            "Parameter Store Change",
            "aws.ssm",
            format!(
                r#"{{"operation":"Update","name":"/prod/shop/service-{index}/database/URL","type":"SecureString","description":"where the orders are"}}"#
            ),
        ),
        _ => (
            "Deploy",
            "action.deploy",
            format!(
                r#"{{"service":"service-{index}","refresh":true,"reason":"new certificates","requested_by":"ada"}}"#
            ),
        ),
    };
    format!(
        r#"{{"version":"0","id":"13cde686-328b-6117-af20-{index:012}","detail-type":"{kind}","source":"{source}","account":"111122223333","time":"2026-11-01T12:00:00Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
    )
}

fn sent_at() -> Timestamp {
    Timestamp::parse("2026-11-01T12:00:01Z").expect("it is RFC 3339")
}

fn asked(event: &Event) -> route::Arrival {
    route::Arrival { version: event.time, floor: event.time, confined_to: None }
}

/// A service whose last rollout ended so; without one, it runs something else, and nothing was rolled out lately.
fn seen(order: &LookOrder, rollout: Option<RolloutState>) -> Look {
    let definition = definition(order);
    let digest: Digest = if rollout.is_some() { DIGEST } else { "sha256:00" }.into();
    let digests = BTreeMap::from([("web".into(), digest)]);
    let created_at = order.since + Duration::from_secs(2);
    let rollouts = rollout.map(|state| Rollout {
        id: key(),
        created_at,
        updated_at: created_at,
        definition: definition.clone(),
        previous: Some(definition.clone()),
        digests: digests.clone(),
        primary: true,
        state,
        rolls_back: true,
        stopped: false,
        tripped: false,
        undone_since: None,
        tasks: Tasks { desired: 2, running: 2, ..Tasks::default() },
        reason: "ECS deployment completed.".into(),
    });
    Look {
        taken_at: order.since + Duration::from_secs(5),
        service: ServiceState::Active,
        created_at: None,
        desired: 2,
        running: Some(Running { definition: definition.clone(), digests, since: Some(order.since) }),
        base: Ok(definition),
        wanted: None,
        rollouts: rollouts.into_iter().collect(),
        holds: lockkeeper::domain::Holds::default(),
        tags: BTreeMap::new(),
        going_back: false,
        events: Vec::new(),
        stopped: Vec::new(),
    }
}

fn definition(order: &LookOrder) -> DefinitionView {
    let service = order.target.service().as_str();
    let name = service.trim_start_matches("shop_service_").trim_end_matches("_prod");
    let image = format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/service-{name}:live");
    let image: ImageReference = image.parse().expect("it is an image");
    DefinitionView {
        id: DefinitionId { family: service.into(), revision: 12 },
        images: BTreeMap::from([("web".into(), image)]),
        marks: Marks::default(),
    }
}

fn started(order: &StartOrder) -> Started {
    let definition =
        DefinitionView { id: order.base.clone(), images: BTreeMap::new(), marks: order.marks.clone() };
    Started { id: key(), created_at: sent_at(), definition }
}

fn key() -> RolloutKey {
    RolloutKey { deployment: Some("ecs-svc/1234567890123456789".into()), service_deployment: None }
}
