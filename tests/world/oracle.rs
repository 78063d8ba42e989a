//! The promises, held against what is true in the world.

use std::collections::BTreeSet;

use lockkeeper::domain::{
    Cause, DeploymentRecord, HoldDecision, HoldVerb, LeaseId, Outcome, RolloutState, StartOrder, StopOrder,
    Timestamp,
};
use lockkeeper::plan::Promise;

use super::{
    Fate, Letter, Step, TIMEOUT, World,
    ecs::{self, Definition, Real, Service},
    script::{self, Script, Wish},
};

/// A rollout carries freshness if it was created this long after the change.
const MARGIN: u64 = 1_000;

/// How often the settings allow to try again.
const RETRIES: usize = 2;

/// P1, P3 and P4, when the planner has decided on a start and ECS is still as it saw it.
pub fn about_to_start(world: &World, order: &StartOrder, step: &mut Step) {
    let place = world.place_of(&order.target);
    let service = &world.services[place];
    let goes_back = (world.script.rollback || has_cancels(world)) && service.goes_back(order, world.clock);
    if !goes_back && !world.may_supersede(place) {
        step.breaks(Promise::P1, format!("{} is started over a rollout in progress", service.family));
    }
    if !goes_back && service.holds.paused.is_some() {
        step.breaks(Promise::P4, format!("{} is started, and somebody has paused it", service.family));
    }
    let is_given_up = |message: usize| {
        let event = &world.message(message).event;
        world.all_wishes(place).any(|(cancel, wish)| match wish {
            Wish::Cancel(of) => {
                let is_known = matches!(world.letters[cancel].fate, Fate::InFlight(_, Some(_)));
                // What is asked for, or put back, after a cancellation is none of what it means.
                let is_older = world.letters[message].floor < world.letters[cancel].version + MARGIN;
                is_known && is_older && world.script.messages[of].event == *event
            }
            _ => false,
        })
    };
    let mut wanted =
        world.owed(place).filter(|(_, wish)| !wish.decides()).map(|(message, _)| message).peekable();
    if !goes_back && wanted.peek().is_some() && wanted.all(is_given_up) {
        step.breaks(Promise::P4, format!("{} is started, and somebody has cancelled that", service.family));
    }
    let last = service.rollouts.last().expect("the first rollout stays");
    let is_wanted = |(message, wish)| {
        !is_met(world, place, message, wish) || goes_back && carries(world, service, last, message, wish)
    };
    if !world.owed(place).any(is_wanted) {
        step.breaks(Promise::P3, format!("{} is started, and nothing is asked of it", service.family));
    }
    if !goes_back
        && !world
            .owed(place)
            .filter(|(it, wish)| is_wanted((*it, *wish)))
            .any(|it| has_place(world, place, it.0))
    {
        step.breaks(Promise::P1, format!("{} is started, and its wave has no place for it", service.family));
    }
    // Where more than one message asks, each may have been tried so often.
    if world.letters.len() == 1 && service.short_of_room() > RETRIES {
        step.breaks(Promise::P3, format!("{} is tried more often than the settings say", service.family));
    }
    never_older(world, place, order, goes_back, step);
}

/// Whether the settings allow one more of the targets of this message to be deployed.
fn has_place(world: &World, place: usize, message: usize) -> bool {
    let Script { max_parallel, stop_after, ref budget, .. } = *world.script;
    let asked = world.message(message);
    // What is put back, or renewed, is for some of the targets alone: the others do not count any more.
    let others = || world.letters[message].wishes(asked).filter(|(other, _)| *other != place);
    let is_under_way = |(other, wish): &&(usize, Wish)| {
        let service = &world.services[*other];
        // One that was stuck was given up on, whatever becomes of it.
        let is_ours = |it: &&Real| it.ours && it.created + TIMEOUT > world.clock;
        service.live().filter(is_ours).is_some_and(|it| carries(world, service, it, message, *wish))
    };
    // What was set aside because it was stuck may have come to life.
    let has_failed = |(other, wish): &&(usize, Wish)| {
        world.failed.contains(&(asked.event.clone(), *other)) && !is_true(world, *other, message, *wish)
    };
    let reaches = |count: usize, limit: u32| limit > 0 && count >= limit as usize;
    // Of several events, what is in progress may be for another one. After a crash one may be started before it has been
    // seen that another is in progress.
    let is_known = world.script.messages.len() == 1 && budget.crashes == 0;
    let is_full = is_known && reaches(others().filter(is_under_way).count(), max_parallel);
    // What somebody has in progress may hide, after a crash, that ours failed before.
    let is_seen = budget.strangers == 0 || budget.crashes == 0;
    let is_stopped = is_seen && reaches(others().filter(has_failed).count(), stop_after);
    !is_full && !is_stopped
}

/// P1 and P5: only what is stuck is stopped, and only where the settings say so.
pub fn about_to_stop(world: &World, order: &StopOrder, step: &mut Step) {
    let service = &world.services[world.place_of(&order.target)];
    let is_it = |it: &&Real| ecs::name(it.id) == order.rollout;
    let is_sound =
        service.rollouts.iter().find(is_it).is_some_and(|it| it.state.is_live() && !it.is_stuck(world.clock));
    let is_cancelled = |(message, wish): (usize, Wish)| {
        let Letter { receives, fate, .. } = world.letters[message];
        let is_known = receives > 0 || fate == Fate::Deleted;
        let Wish::Cancel(of) = wish else { return false };
        let carries = |it: &Real| {
            let wishes = &world.script.messages[of].wishes;
            wishes.iter().any(|(_, wish)| carries(world, service, it, of, *wish))
        };
        is_known && service.rollouts.iter().filter(is_it).any(carries)
    };
    if world.all_wishes(world.place_of(&order.target)).any(is_cancelled) {
        return;
    }
    if is_sound || !world.script.rollback {
        step.breaks(Promise::P1, format!("a rollout of {} is stopped that is not stuck", service.family));
    }
}

/// P4: no container gets something older than what it has.
fn never_older(world: &World, place: usize, order: &StartOrder, goes_back: bool, step: &mut Step) {
    let mut after = world.services[place].clone();
    let back_at = world.script.rolled_back_at(order.marks.content, &world.letters);
    let asked_at =
        |tag: &str, claimed: Option<&Timestamp>| world.script.asked_at(place, tag, claimed, &world.letters);
    let revision = after.register(order, asked_at, back_at);
    let service = &world.services[place];
    let is_other = !is_like(&after, revision, service.good().revision);
    if service.holds.held.is_some() && back_at.is_none() && !goes_back && is_other {
        let what = format!("{} gets other content, and is held after a rollback", service.family);
        step.breaks(Promise::P4, what);
    }
    let sound = service
        .live()
        .filter(|live| live.failed_tasks == 0 && !live.is_stalled && live.created + TIMEOUT > world.clock);
    for replaced in [Some(service.good()), sound].into_iter().flatten() {
        let replaced = service.definition(replaced.revision);
        for (container, asked_at) in &after.definition(revision).asked_at {
            if *asked_at < replaced.asked_at[container] {
                let what = format!(
                    "{container} of {} goes from {} back to {}",
                    service.family,
                    replaced.tags[container],
                    after.definition(revision).tags[container]
                );
                step.breaks(Promise::P4, what);
            }
        }
    }
}

/// P2: a message is deleted only by its latest receipt, and once each of its wishes is met, set aside, or left to a newer
/// one.
pub fn about_to_delete(world: &World, lease: LeaseId, step: &mut Step) {
    let message = super::place_of(lease);
    if world.letters[message].fate == Fate::Deleted {
        return;
    }
    is_held(world, lease, "deleted", step);
    for (place, wish) in world.letters[message].wishes(world.message(message)) {
        let is_settled = world.dead.contains(&(message, *place))
            || is_true(world, *place, message, *wish)
            || is_left_to_another(world, *place, message, *wish)
            || is_given_up(world, *place, message, *wish)
            || world.services[*place].was_moved_in_vain();
        if !is_settled {
            step.breaks(Promise::P2, format!("message {message} is deleted, and {wish:?} is not done"));
        }
    }
}

/// A race that the planner accepts: what carried it made no progress for its timeout, was told to have failed while its
/// message was not held, and gave way to freshness, as it might have to somebody.
fn is_given_up(world: &World, place: usize, message: usize, wish: Wish) -> bool {
    let service = &world.services[place];
    let gave_way = |two: &[Real]| {
        let [stuck, next] = two else { return false };
        stuck.state == RolloutState::Stopped
            && stuck.created + TIMEOUT <= next.created
            && is_like(service, next.revision, good_before(service, stuck).revision)
            && carries(world, service, stuck, message, wish)
    };
    service.rollouts.windows(2).any(gave_way)
}

/// P2: nobody touches a message by a receipt that does not hold it any more.
pub fn is_held(world: &World, lease: LeaseId, what: &str, step: &mut Step) {
    let Letter { fate, .. } = world.letters[super::place_of(lease)];
    if !matches!(fate, Fate::InFlight(until, Some(holds)) if holds == lease && until > world.clock) {
        step.breaks(Promise::P2, format!("a message is {what} by {lease}, which does not hold it"));
    }
}

/// P5: what is said of the end of a deployment is so.
pub fn ended(world: &World, record: &DeploymentRecord, step: &mut Step) {
    let service = &world.services[world.place_of(&record.target)];
    let outcome = record.outcome.expect("it ended");
    let named = |it: &&Real| record.rollout_id == Some(ecs::name(it.id));
    let Some(rollout) = service.rollouts.iter().find(named) else {
        let is_without_one = match outcome {
            Outcome::AlreadyRunning | Outcome::Superseded | Outcome::Failed => true,
            Outcome::Cancelled => world.script.stop_after > 0 || has_cancels(world),
            Outcome::Succeeded | Outcome::RolledBack | Outcome::DryRun => false,
        };
        if !is_without_one {
            step.breaks(Promise::P5, format!("{outcome:?} is said of no rollout"));
        }
        return;
    };
    let is_last = service.rollouts.last().is_some_and(|last| last.id == rollout.id);
    let is_true = match outcome {
        // One that was complete before anybody saw it is named, too, where nothing shows whose it was.
        Outcome::Succeeded | Outcome::AlreadyRunning => {
            let is_as_said = record.definition.as_ref().is_some_and(|it| it.revision == rollout.revision);
            rollout.state == RolloutState::Succeeded && is_last && is_as_said
        }
        Outcome::RolledBack => rollout.state == RolloutState::RolledBack || is_undone(service, rollout),
        Outcome::Cancelled if has_cancels(world) => {
            rollout.state == RolloutState::RolledBack || is_undone(service, rollout)
        }
        Outcome::Superseded => !is_last || rollout.state == RolloutState::Stopped,
        Outcome::Failed if record.cause == Some(Cause::Timeout) => {
            let is_over = rollout.state.is_live() || is_abandoned(world, rollout);
            is_over && rollout.created + TIMEOUT <= world.clock
        }
        Outcome::Failed => {
            matches!(rollout.state, RolloutState::Failed | RolloutState::RollbackFailed)
                || is_abandoned(world, rollout)
        }
        Outcome::Cancelled | Outcome::DryRun => false,
    };
    if !is_true {
        step.breaks(Promise::P5, format!("{outcome:?} is said of a rollout that is {:?}", rollout.state));
    }
}

fn has_cancels(world: &World) -> bool {
    let wishes = world.script.messages.iter().flat_map(|it| &it.wishes);
    wishes.clone().any(|(_, wish)| matches!(wish, Wish::Cancel(_)))
}

/// Whether a rollout that was to be undone gave way to its rollback, which came to nothing, or failed before it could be
/// stopped.
fn is_abandoned(world: &World, rollout: &Real) -> bool {
    let has_ended =
        matches!(rollout.state, RolloutState::Stopped | RolloutState::Failed | RolloutState::RollbackFailed);
    world.script.rollback && has_ended
}

/// Whether what was last complete before a rollout that failed was rolled out again next, and is complete. Somebody may
/// have begun something just before, which gave way.
fn is_undone(service: &Service, failed: &Real) -> bool {
    let next = service.rollouts.iter().find(|it| it.id > failed.id && it.state != RolloutState::Stopped);
    let good = good_before(service, failed).revision;
    matches!(failed.state, RolloutState::Failed | RolloutState::Stopped)
        && next.is_some_and(|it| it.state == RolloutState::Succeeded && is_like(service, it.revision, good))
}

/// What was complete last when this rollout began.
fn good_before<'a>(service: &'a Service, rollout: &Real) -> &'a Real {
    let complete = |it: &&Real| it.id < rollout.id && it.state == RolloutState::Succeeded;
    service.rollouts.iter().rev().find(complete).expect("the first rollout is complete")
}

/// Whether two revisions have the same images, by whatever name.
fn is_like(service: &Service, one: u32, other: u32) -> bool {
    let images =
        |revision| service.definition(revision).tags.values().map(|tag| ecs::digest(tag)).collect::<Vec<_>>();
    images(one) == images(other)
}

/// P2 and P4, when nothing is owed and nothing goes on: the newest that was asked runs, or was set aside.
pub fn at_rest(world: &World, step: &mut Step) {
    for place in 0..world.services.len() {
        newest_decision_is_in_force(world, place, step);
        holds_until_it_is_resumed(world, place, step);
        for container in ["main", "side"] {
            let asked = || world.all_wishes(place).filter(|(_, wish)| touches(*wish, container));
            let version = |(message, _): &(usize, Wish)| world.letters[*message].version;
            let Some(newest) = asked().map(|it| version(&it)).max() else { continue };
            let is_settled = |(message, wish): (usize, Wish)| {
                world.dead.contains(&(message, place))
                    || is_true(world, place, message, wish)
                    || is_given_up(world, place, message, wish)
            };
            let is_vain = world.services[place].was_moved_in_vain();
            if !is_vain && !asked().filter(|it| version(it) == newest).any(is_settled) {
                let what = format!("what was asked last of {container} does not run in the end");
                step.breaks(Promise::P4, what);
            }
        }
    }
}

/// P4: of what was decided about a target the newest is what its tags say.
fn newest_decision_is_in_force(world: &World, place: usize, step: &mut Step) {
    let decided = |(message, wish): (usize, Wish)| wish.decision(world.letters[message].version);
    let newest = world.all_wishes(place).filter_map(decided).max_by_key(|it| it.version);
    let is_paused = world.services[place].holds.paused.is_some();
    let is_to_be = newest.map(|it| it.verb == HoldVerb::Pause);
    if is_to_be.is_some_and(|is_to_be| is_to_be != is_paused) {
        step.breaks(Promise::P4, "what was decided last about a target is not in force in the end");
    }
}

/// P4: a rollback holds its target until somebody resumes that, once more where the first resume ended a pause behind which
/// it had waited.
fn holds_until_it_is_resumed(world: &World, place: usize, step: &mut Step) {
    let service = &world.services[place];
    let sent = |(message, _): &(usize, Wish)| world.letters[*message].fate != Fate::Unsent;
    let decided = |wanted: Wish| -> BTreeSet<u64> {
        let all = world.all_wishes(place).filter(sent).filter(|(_, wish)| *wish == wanted);
        all.map(|(message, _)| world.letters[message].version).collect()
    };
    let (pauses, resumes) = (decided(Wish::Pause), decided(Wish::Resume));
    let is_ended = |asked: u64| {
        let last = resumes.range(..=asked).next_back();
        let is_paused = pauses.range(..=asked).any(|paused| last.is_none_or(|last| paused > last));
        resumes.range(asked + 1..).count() > usize::from(is_paused) || resumes.contains(&asked)
    };
    let is_held = service.holds.held.is_some();
    for (message, wish) in world.all_wishes(place).filter(sent) {
        let Wish::Rollback(_, to) = wish else { continue };
        let is_so = service.running().lineage.contains(&to) && !world.dead.contains(&(message, place));
        if is_so && is_held == is_ended(world.letters[message].version) {
            let what = if is_held { "held, and was resumed" } else { "not held, and nobody has resumed it" };
            step.breaks(Promise::P4, format!("{} went back, is {what}", service.family));
        }
    }
}

impl World {
    fn all_wishes(&self, place: usize) -> impl Iterator<Item = (usize, Wish)> {
        let all = self.letters.iter().enumerate();
        all.flat_map(|(place, it)| it.wishes(self.message(place)).map(move |wish| (place, *wish)))
            .filter(move |(_, (to, _))| *to == place)
            .map(|(message, (_, wish))| (message, wish))
    }

    /// What the messages that are held ask of a target.
    fn owed(&self, place: usize) -> impl Iterator<Item = (usize, Wish)> {
        self.all_wishes(place).filter(|(message, _)| {
            matches!(self.letters[*message].fate, Fate::InFlight(..) | Fate::Visible(_))
        })
    }
}

/// Whether a rollout that still counts has been started for this, or reality is newer: nothing is to be started for it.
fn is_met(world: &World, place: usize, message: usize, wish: Wish) -> bool {
    if wish.decides() {
        return true;
    }
    let service = &world.services[place];
    let carries = |it: &Real| carries(world, service, it, message, wish);
    // Older content that was received later may have taken the place of what was complete.
    let replaces = |it: &Real| it.state == RolloutState::Succeeded || it.state.is_live();
    let is_content = matches!(wish, Wish::Image(..) | Wish::Definition(_) | Wish::Rollback(..));
    let counts = |(place, it): &(usize, &Real)| match it.state {
        RolloutState::Stopped => false,
        RolloutState::Succeeded if is_content => {
            service.rollouts[place + 1..].iter().all(|later| !replaces(later) || carries(later))
        }
        _ => !it.lacks_room,
    };
    let is_started = service.rollouts.iter().enumerate().filter(counts).any(|(_, it)| carries(it));
    let Letter { version, is_put_back, .. } = world.letters[message];
    let is_replaced = is_content && service.live().is_some_and(|live| !carries(live));
    // A definition that runs is rolled out once more where that is asked for since.
    let is_again = is_put_back && matches!(wish, Wish::Definition(_));
    is_started
        || is_newer(service.running(), wish, version + 1)
        || !is_again && !is_replaced && runs_since(service.running(), wish, version + 1)
}

/// Whether what is asked is so.
fn is_true(world: &World, place: usize, message: usize, wish: Wish) -> bool {
    let service = &world.services[place];
    if let Wish::Rollback(from, to) = wish {
        let version = world.letters[message].version;
        let hold = HoldDecision { verb: HoldVerb::Hold, version: super::at(version), by: None, reason: None };
        return if service.running().lineage.contains(&to) {
            service.holds.after(&hold).is_none()
        } else {
            // Something was deployed since.
            service.good().revision != from
        };
    }
    if let Some(decision) = wish.decision(world.letters[message].version) {
        return service.holds.after(&decision).is_none();
    }
    if let Wish::Cancel(of) = wish {
        // Whatever of it comes back must meet the cancellation still.
        return world.letters.iter().all(|it| {
            let is_it = world.script.messages[it.message].event == world.script.messages[of].event;
            let asks = it.wishes(&world.script.messages[it.message]).any(|(to, _)| *to == place);
            !(is_it && asks) || matches!(it.fate, Fate::Unsent | Fate::Deleted)
        });
    }
    let complete = |it: &&Real| it.state == RolloutState::Succeeded;
    let is_carried = match wish {
        Wish::Restart | Wish::Follow => {
            service.rollouts.iter().filter(complete).any(|it| carries(world, service, it, message, wish))
        }
        Wish::Image(..)
        | Wish::Definition(_)
        | Wish::Rollback(..)
        | Wish::Pause
        | Wish::Resume
        | Wish::Cancel(_) => false,
    };
    is_carried || runs_since(service.running(), wish, world.letters[message].version)
}

/// Whether this definition has the content that is asked for, or some that was asked for at that time or later.
fn runs_since(running: &Definition, wish: Wish, version: u64) -> bool {
    let has_it = match wish {
        Wish::Restart | Wish::Follow | Wish::Pause | Wish::Resume | Wish::Cancel(_) => false,
        Wish::Image(container, number) => is_image(running, container, number),
        Wish::Definition(revision) | Wish::Rollback(_, revision) => running.lineage.contains(&revision),
    };
    has_it || is_newer(running, wish, version)
}

/// Whether this definition has content that was asked for at that time or later.
fn is_newer(running: &Definition, wish: Wish, version: u64) -> bool {
    match wish {
        Wish::Restart | Wish::Follow | Wish::Pause | Wish::Resume | Wish::Cancel(_) => false,
        Wish::Image(container, _) => running.asked_at[container] >= version,
        Wish::Definition(_) | Wish::Rollback(..) => running.asked_at.values().all(|at| *at >= version),
    }
}

fn is_image(definition: &Definition, container: &str, number: u32) -> bool {
    ecs::digest(&definition.tags[container]) == ecs::digest(&script::tag(number))
}

fn carries(world: &World, service: &Service, rollout: &Real, message: usize, wish: Wish) -> bool {
    let floor = world.letters[message].floor;
    let definition = service.definition(rollout.revision);
    match wish {
        Wish::Restart | Wish::Follow => rollout.created >= floor + MARGIN,
        Wish::Image(container, number) => rollout.created >= floor && is_image(definition, container, number),
        Wish::Definition(revision) => rollout.created >= floor && definition.lineage.contains(&revision),
        // What was made of the same revision before somebody went back to it is not that.
        Wish::Rollback(_, to) => {
            let is_made_for_it = definition.marks.content == Some(super::at(world.letters[message].version));
            rollout.created >= floor
                && definition.lineage.contains(&to)
                && (rollout.revision == to || is_made_for_it)
        }
        Wish::Pause | Wish::Resume | Wish::Cancel(_) => false,
    }
}

/// Whether a newer wish of the same kind was made, whose message is still there or was set aside.
fn is_left_to_another(world: &World, place: usize, message: usize, wish: Wish) -> bool {
    world.all_wishes(place).any(|(other, newer)| {
        // Whoever went back decided about all that was asked for before, also where that was outdone since.
        let is_kept = world.letters[other].fate != Fate::Deleted
            || world.dead.contains(&(other, place))
            || matches!(newer, Wish::Rollback(..));
        let is_newer = (world.letters[other].version, other) != (world.letters[message].version, message)
            && world.letters[other].version >= world.letters[message].version;
        is_kept && is_newer && replaces(newer, wish)
    })
}

fn replaces(newer: Wish, older: Wish) -> bool {
    match (newer, older) {
        (Wish::Cancel(one), Wish::Cancel(other)) => one == other,
        (Wish::Pause, Wish::Pause)
        | (Wish::Resume, Wish::Pause | Wish::Resume)
        | (Wish::Restart, Wish::Restart)
        | (Wish::Follow, Wish::Follow)
        | (
            Wish::Definition(_) | Wish::Rollback(..),
            Wish::Definition(_) | Wish::Rollback(..) | Wish::Image(..),
        ) => true,
        (Wish::Image(one, _), Wish::Image(other, _)) => one == other,
        (_, _) => false,
    }
}

fn touches(wish: Wish, container: &str) -> bool {
    match wish {
        Wish::Restart | Wish::Follow | Wish::Pause | Wish::Resume | Wish::Cancel(_) => false,
        Wish::Image(name, _) => name == container,
        Wish::Definition(_) | Wish::Rollback(..) => true,
    }
}
