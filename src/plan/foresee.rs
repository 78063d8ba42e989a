//! What would become of a request now, for people who ask before they do.

use super::{
    decide::unavailable,
    settle::{Verdict, verdict},
};
use crate::domain::{Change, DefinitionRef, Look, LookOrder, OnNewer, Outcome, Prospect, Request};

/// What would become of it, if nothing else were asked of its target meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// It asks nothing of what runs, for this reason.
    Nothing(String),
    /// It is settled without a rollout.
    Settled(Outcome, String),
    /// It would be set aside, for this reason.
    SetAside(String),
    /// A rollout that has it goes on, and would be watched.
    Watched(String),
    /// It would wait for what goes on.
    Waits(String),
    /// A rollout would be started.
    Started,
}

/// What has to be looked at for it.
pub fn look_for(request: &Request) -> LookOrder {
    let wanted: Option<DefinitionRef> = match &request.change {
        Change::Definition(wanted) if wanted.is_foreign_to(&request.target).is_none() => {
            Some(wanted.definition.clone())
        }
        Change::Definition(_) | Change::Image(_) | Change::Refresh(_) => None,
    };
    LookOrder {
        target: request.target.clone(),
        since: request.floor.min(request.version),
        base: request.settings.base.clone(),
        wanted,
        evidence: false,
        prospect: Prospect::Nothing,
    }
}

/// What would become of it, by this look.
pub fn foresee(request: &Request, look: &Look) -> Foreseen {
    if let Some(failure) = unavailable(&request.target, look) {
        return Foreseen::SetAside(failure.reason);
    }
    let live = look.rollouts.iter().find(|rollout| rollout.state.is_live());
    let live = live.map(|rollout| rollout.id.shown().map_or("a rollout", |id| id.as_str()).to_owned());
    match verdict(request, look, |_| false) {
        Verdict::Drop(why) => Foreseen::Nothing(why),
        Verdict::Settled(outcome, why) => Foreseen::Settled(outcome, why),
        Verdict::Failed(rollout) => {
            let id = rollout.id.shown().map_or("its rollout", |id| id.as_str());
            Foreseen::SetAside(format!("{id}, created at {}, failed: {}", rollout.created_at, rollout.reason))
        }
        Verdict::Impossible(failure) => Foreseen::SetAside(failure.reason),
        Verdict::Adopt(id) => {
            Foreseen::Watched(id.shown().map_or("its rollout", |id| id.as_str()).to_owned())
        }
        Verdict::Await => Foreseen::Waits(live.unwrap_or_else(|| "what goes on".into())),
        Verdict::NotBefore(_) | Verdict::Needed => match live {
            Some(live) => Foreseen::Waits(match request.settings.on_newer {
                OnNewer::Queue => live,
                OnNewer::Interrupt => format!("{live}, or would supersede it"),
                OnNewer::WhenFailing => format!("{live}, or would supersede it if it is failing"),
            }),
            None if look.going_back => Foreseen::Waits("a rollback by ECS".into()),
            None => Foreseen::Started,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        domain::{DefinitionChange, RolloutState, RolloutState::*, ServiceState, TargetSettings},
        plan::testing::*,
    };

    fn of_restart(created: u64, state: RolloutState, on_newer: OnNewer) -> Foreseen {
        let settings = Arc::new(TargetSettings { on_newer, ..settings() });
        let request = Request { settings, ..restart(50) };
        foresee(&request, &look(100, vec![rollout(created, view(1, "latest"), state)]))
    }

    #[test]
    fn what_would_become_of_a_restart_follows_from_what_goes_on() {
        let queue = |created, state| of_restart(created, state, OnNewer::Queue);
        assert_eq!(queue(10, Succeeded), Foreseen::Started);
        assert!(matches!(queue(60, Succeeded), Foreseen::Settled(Outcome::AlreadyRunning, _)));
        assert!(matches!(queue(60, Failed), Foreseen::SetAside(why) if why.contains("ecs-svc/60")));
        assert_eq!(queue(60, InProgress), Foreseen::Watched("ecs-svc/60".into()));
        assert_eq!(queue(10, InProgress), Foreseen::Waits("ecs-svc/10".into()));
        for on_newer in [OnNewer::Interrupt, OnNewer::WhenFailing] {
            let waits = of_restart(10, InProgress, on_newer);
            assert!(matches!(&waits, Foreseen::Waits(what) if what.contains("supersede")), "{waits:?}");
        }
    }

    #[test]
    fn a_service_that_is_not_there_would_have_it_set_aside() {
        let gone = Look { service: ServiceState::Missing, ..look(100, Vec::new()) };
        assert!(
            matches!(foresee(&restart(50), &gone), Foreseen::SetAside(why) if why.contains("no service"))
        );
    }

    #[test]
    fn a_definition_is_looked_for_unless_it_is_from_elsewhere() {
        let of = |name: &str| {
            let change = Change::Definition(name.parse::<DefinitionChange>().expect("valid"));
            look_for(&ask(50, change)).wanted
        };
        assert!(of("shop:12").is_some());
        assert_eq!(of("arn:aws:ecs:us-east-1:999999999999:task-definition/shop:1"), None);
        assert_eq!(look_for(&restart(50)).since, at(50));
    }
}
