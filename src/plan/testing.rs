//! Tiny builders, so that tests of the planner read as stories. Times are seconds after the world began.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::domain::{
    CallFailure, Cause, Change, ContainerName, DefinitionView, DeploymentRecord, Digest, FollowedImage,
    Glance, Holds, ImageChange, ImageSource, LeaseId, LiveRollout, Look, LookOrder, Marks, Moment, Origin,
    Outcome, Refresh, Remedy, Report, Request, Rollout, RolloutKey, RolloutState, Running, ServiceState,
    StartOrder, Started, StoppedTask, TargetId, TargetSettings, Tasks, Timestamp, TriggerKind,
};

use super::{Arrival, Asks, Command, DeadLetter, Input, Jitter, Now, PlanSettings, Planner};

pub(super) const VISIBILITY: Duration = Duration::from_mins(1);

/// A time by AWS's clock.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + i64::try_from(seconds * 1_000).expect("small"))
}

pub(super) fn api() -> TargetId {
    target("api")
}

pub(super) fn target(service: &str) -> TargetId {
    TargetId::new("111122223333".into(), "eu-west-1".into(), "shop".into(), service.into())
}

pub(super) fn settings() -> TargetSettings {
    TargetSettings { quiet: Duration::ZERO, rollback: false, ..TargetSettings::named("api".into()) }
}

/// A request for the service `api`, made by an event that is named after its time.
pub(super) fn ask(seconds: u64, change: Change) -> Request {
    let reason = String::from("asked");
    let event_id = format!("event-{seconds}").as_str().into();
    Request {
        target: api(),
        change,
        version: at(seconds),
        floor: at(seconds),
        settings: Arc::new(settings()),
        guessed: false,
        origin: Arc::new(Origin {
            kind: TriggerKind::DeployRequested,
            event_id,
            reason,
            by: None,
            replayed_by: None,
            metadata: None,
        }),
    }
}

pub(super) fn restart(seconds: u64) -> Request {
    ask(seconds, Change::Refresh(Refresh::Restart))
}

pub(super) fn source(repository: &str) -> ImageSource {
    ImageSource { repository: Some(repository.into()), home: None, container: None }
}

pub(super) fn push_change(tag: &str, digest: Option<&str>) -> FollowedImage {
    let digest = digest.map(Digest::from);
    FollowedImage { source: source("shop/web"), tag: tag.into(), digest, is_index: None, any_tag: false }
}

/// A push that is followed.
pub(super) fn push(seconds: u64, tag: &str, digest: &str) -> Request {
    ask(seconds, Change::Refresh(Refresh::Image(push_change(tag, Some(digest)))))
}

/// An image that is pinned, of digest `sha256:<tag>`.
pub(super) fn pin_change(repository: &str, tag: &str) -> ImageChange {
    ImageChange {
        source: source(repository),
        tag: Some(tag.into()),
        digest: Some(digest(tag)),
        is_index: None,
        by_digest: false,
        policy: Some("newest".parse().expect("valid")),
        force: false,
    }
}

pub(super) fn pin(seconds: u64, tag: &str) -> Request {
    ask(seconds, Change::Image(pin_change("shop/web", tag)))
}

pub(super) fn definition(seconds: u64, id: &str) -> Request {
    ask(seconds, Change::Definition(id.parse().expect("valid")))
}

pub(super) fn with(mut request: Request, change: impl FnOnce(&mut TargetSettings)) -> Request {
    change(Arc::make_mut(&mut request.settings));
    request
}

pub(super) fn digest(tag: &str) -> Digest {
    format!("sha256:{tag}").as_str().into()
}

/// Revision `f:<revision>` with this image in the container `web`, and a sidecar.
pub(super) fn view(revision: u32, tag: &str) -> DefinitionView {
    DefinitionView {
        id: format!("f:{revision}").parse().expect("valid"),
        images: BTreeMap::from([
            ("web".into(), format!("shop/web:{tag}").parse().expect("valid")),
            ("side".into(), "shop/side:1".parse().expect("valid")),
        ]),
        marks: Marks::default(),
    }
}

/// The same as ours, with the image asked for at that time.
pub(super) fn marked(mut view: DefinitionView, seconds: u64) -> DefinitionView {
    view.marks.deployment = Some("d-1".into());
    view.marks.versions.insert("web".into(), at(seconds));
    view
}

/// The same, moved to as a definition that was asked for at that time.
pub(super) fn moved_to(mut view: DefinitionView, seconds: u64) -> DefinitionView {
    view.marks.deployment = Some("d-1".into());
    view.marks.content = Some(at(seconds));
    view
}

pub(super) fn digests(tag: &str) -> BTreeMap<ContainerName, Digest> {
    BTreeMap::from([("web".into(), digest(tag)), ("side".into(), digest("1"))])
}

pub(super) fn key(id: &str) -> RolloutKey {
    RolloutKey { deployment: Some(id.into()), service_deployment: None }
}

/// A rollout `ecs-svc/<created>` from `f:1`.
pub(super) fn rollout(created: u64, definition: DefinitionView, state: RolloutState) -> Rollout {
    let running = if state == RolloutState::Succeeded { 2 } else { 0 };
    Rollout {
        id: key(&format!("ecs-svc/{created}")),
        created_at: at(created),
        updated_at: at(created),
        definition,
        previous: Some(view(1, "latest")),
        digests: BTreeMap::new(),
        primary: true,
        state,
        rolls_back: false,
        stopped: false,
        tripped: false,
        undone_since: None,
        tasks: Tasks { desired: 2, running, pending: 0, failed: 0 },
        reason: "as ECS says".into(),
    }
}

/// What a look shows where `f:1` runs with the tag `latest`, of digest `sha256:old`.
pub(super) fn look(seconds: u64, rollouts: Vec<Rollout>) -> Look {
    let running = Running { definition: view(1, "latest"), digests: digests("old"), since: None };
    Look {
        taken_at: at(seconds),
        service: ServiceState::Active,
        created_at: None,
        desired: 2,
        base: Ok(running.definition.clone()),
        running: Some(running),
        wanted: None,
        rollouts,
        holds: Holds::default(),
        tags: BTreeMap::new(),
        going_back: false,
        events: Vec::new(),
        stopped: Vec::new(),
    }
}

/// The same, where another definition runs.
pub(super) fn running(mut look: Look, definition: DefinitionView, tag: &str) -> Look {
    look.base = Ok(definition.clone());
    look.running = Some(Running { definition, digests: digests(tag), since: None });
    look
}

/// The same, with a task of that rollout that could not be placed.
pub(super) fn without_capacity(mut look: Look, created: u64) -> Look {
    let task = StoppedTask {
        stop_code: Some("TaskFailedToStart".into()),
        reason: Some("RESOURCE:MEMORY: no capacity".into()),
        ..StoppedTask::default()
    };
    look.stopped.push((format!("ecs-svc/{created}").as_str().into(), task));
    look
}

pub(super) fn refused(remedy: Remedy) -> CallFailure {
    CallFailure { cause: Cause::Throttled, reason: "slow down".into(), remedy }
}

/// One planner, and what it wanted.
pub(super) struct Story {
    pub(super) planner: Planner,
    pub(super) clock: u64,
    pub(super) jitter: u16,
    pub(super) out: Vec<Command>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self::of(PlanSettings::new(VISIBILITY))
    }

    pub(super) fn of(settings: PlanSettings) -> Self {
        Self { planner: Planner::new(settings), clock: 100_000, jitter: 0, out: Vec::new() }
    }

    /// Tells the planner something; what it wants then is in `out`.
    pub(super) fn tell(&mut self, input: Input) -> &mut Self {
        let now = Now { moment: self.moment(), wall: at(self.clock / 1_000), jitter: Jitter(self.jitter) };
        self.out = self.planner.handle(now, input);
        assert_eq!(self.planner.broken_promises(&self.out), Vec::new());
        // Tagging what runs already is always answered at once; a story of its own tells of it.
        if let Some(place) = self.out.iter().position(|it| matches!(it, Command::Mark(_))) {
            let before = self.out.split_off(0);
            self.tell(Input::Marked { target: api(), marked: Ok(()) });
            self.out.splice(0..0, before.into_iter().enumerate().filter(|it| it.0 != place).map(|it| it.1));
        }
        self
    }

    pub(super) fn moment(&self) -> Moment {
        Moment::from_millis(self.clock)
    }

    /// A message is received that asks for this.
    pub(super) fn receive(&mut self, lease: u64, requests: Vec<Request>) -> &mut Self {
        let message = format!("message-{lease}");
        self.receive_as(lease, &message, requests)
    }

    pub(super) fn receive_as(&mut self, lease: u64, message: &str, requests: Vec<Request>) -> &mut Self {
        let event = requests.first().map_or_else(|| "event".into(), |it| it.origin.event_id.clone());
        self.arrive(lease, message, event.as_str(), Asks::Changes(requests))
    }

    pub(super) fn arrive(&mut self, lease: u64, message: &str, event: &str, asks: Asks) -> &mut Self {
        let (message, event, expires) = (message.into(), event.into(), self.moment() + VISIBILITY);
        self.tell(Input::Arrived(Arrival {
            lease: LeaseId(lease),
            message,
            event,
            expires,
            is_again: false,
            asks,
        }))
    }

    pub(super) fn looked(&mut self, look: Look) -> &mut Self {
        self.tell(Input::Looked { target: api(), look: Ok(Box::new(look)) })
    }

    pub(super) fn started(&mut self, created: u64, definition: DefinitionView) -> &mut Self {
        let id = key(&format!("ecs-svc/{created}"));
        let started = Ok(Started { id, created_at: at(created), definition });
        self.tell(Input::Started { target: api(), started })
    }

    pub(super) fn not_started(&mut self, remedy: Remedy) -> &mut Self {
        self.tell(Input::Started { target: api(), started: Err(refused(remedy)) })
    }

    /// The next glance shows the rollout so; what follows is a look, if there is something to judge.
    pub(super) fn glanced(&mut self, created: u64, in_progress: bool, tasks: Tasks) -> &mut Self {
        let id = format!("ecs-svc/{created}").as_str().into();
        let live = vec![LiveRollout { id, primary: true, in_progress, tasks, reason: "".into() }];
        self.tell(Input::Glanced {
            target: api(),
            glance: Ok(Glance { service: ServiceState::Active, live }),
        })
    }

    /// Goes on to the next deadline that the planner tells, and never past it.
    pub(super) fn sleep(&mut self) -> &mut Self {
        let next = self.planner.next_wakeup().expect("a deadline");
        self.clock = self.clock.max(next.as_millis());
        self.tell(Input::Wakeup)
    }

    pub(super) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.clock += seconds * 1_000;
        self.tell(Input::Wakeup)
    }

    /// Everything until a rollout `ecs-svc/<created>` of this request is in progress.
    pub(super) fn rolling_out(
        &mut self,
        request: Request,
        created: u64,
        definition: DefinitionView,
    ) -> &mut Self {
        self.receive(1, vec![request]).looked(look(created - 1, Vec::new()));
        assert!(self.start().is_some(), "{:?}", self.out);
        self.started(created, definition).sleep()
    }

    /// The rollout is looked at once more, and shows this.
    pub(super) fn judged(&mut self, created: u64, look: Look) -> &mut Self {
        self.glanced(created, false, Tasks::default());
        assert!(self.look().is_some(), "{:?}", self.out);
        self.looked(look)
    }

    pub(super) fn look(&self) -> Option<&LookOrder> {
        self.out.iter().find_map(|it| if let Command::Look(order) = it { Some(order) } else { None })
    }

    pub(super) fn start(&self) -> Option<&StartOrder> {
        self.out.iter().find_map(|it| if let Command::Start(order) = it { Some(order) } else { None })
    }

    pub(super) fn deleted(&self) -> Vec<u64> {
        let deletes =
            self.out.iter().filter_map(|it| if let Command::Delete(it) = it { Some(it) } else { None });
        deletes.flatten().map(|lease| lease.0).collect()
    }

    pub(super) fn extended(&self) -> Vec<u64> {
        let extends =
            self.out.iter().filter_map(|it| if let Command::Extend(it) = it { Some(it) } else { None });
        extends.flatten().map(|lease| lease.0).collect()
    }

    pub(super) fn letters(&self) -> Vec<(u64, &DeadLetter)> {
        let letter = |it| match it {
            &Command::SetAside { lease, ref letter } => Some((lease.0, &**letter)),
            _ => None,
        };
        self.out.iter().filter_map(letter).collect()
    }

    pub(super) fn glances(&self) -> Vec<usize> {
        let size = |it: &Command| if let Command::Glance(targets) = it { Some(targets.len()) } else { None };
        self.out.iter().filter_map(size).collect()
    }

    pub(super) fn ends(&self) -> Vec<&DeploymentRecord> {
        let end = |it| match it {
            &Command::Report(Report::Finished(ref record)) => Some(&**record),
            _ => None,
        };
        self.out.iter().filter_map(end).collect()
    }

    /// How the only deployment that ended in this turn ended, and why it failed.
    pub(super) fn end(&self) -> (Outcome, Option<Cause>) {
        let [record] = self.ends()[..] else { panic!("not one end: {:?}", self.out) };
        (record.outcome.expect("it ended"), record.cause)
    }

    pub(super) fn reason(&self) -> String {
        self.ends()[0].reason.clone().unwrap_or_default()
    }
}
