//! Everything that the next step of one target is decided on.

use aws_sdk_ecs::types::ServiceField;

use super::{
    Ecs, Reach, evidence,
    history::{Wanted, list_failed},
    rollouts::{self, Found, Good, Recorded, Revisions},
    service::Service,
};
use crate::{
    aws::{budget::Urgency, failure::Fault},
    domain::{
        CallFailure, Cause, Look, LookOrder, Remedy, Rollout, Running, ServiceState, TargetId, Timestamp,
    },
};

impl Ecs {
    /// Looks at one target: its service, its rollouts, and the definitions that matter.
    pub async fn look(&self, order: &LookOrder) -> Result<Look, CallFailure> {
        let reach = self.reach(&order.target)?;
        let since = Wanted::Since(order.since);
        let (service, listed) = tokio::join!(reach.service(&order.target), reach.list(&order.target, &since));
        let (service, taken_at) = service?;
        match service.state {
            ServiceState::Missing | ServiceState::Inactive => Ok(empty(service, taken_at)),
            ServiceState::Active
            | ServiceState::Draining
            | ServiceState::OtherController(_)
            | ServiceState::OfAnother(_) => reach.look(order, service, taken_at, listed).await,
        }
    }
}

impl Reach {
    /// One service, and when it was described.
    pub(super) async fn service(&self, target: &TargetId) -> Result<(Service, Timestamp), CallFailure> {
        let (mut services, at) = self
            .services(target.cluster(), &[target.service().clone()], Urgency::Soon, Some(ServiceField::Tags))
            .await?;
        let service = services.remove(target.service()).expect("each name is answered")?;
        Ok((Service { holds: service.holds.as_of(at), ..service }, at))
    }

    async fn look(
        &self,
        order: &LookOrder,
        service: Service,
        taken_at: Timestamp,
        listed: Result<Option<Vec<Recorded>>, Fault>,
    ) -> Result<Look, CallFailure> {
        let (recorded, revisions) = self.recorded(&order.target, &service, listed).await?;
        let found = rollouts::rollouts(&service, &recorded, &revisions).map_err(unclear)?;
        let good = rollouts::last_good(&service, &recorded, &revisions);
        let good = self.with_digests(&order.target, &service, good, recorded.is_empty()).await?;
        let running = match good {
            Some(good) => Some(Running {
                definition: self.view(&good.definition).await?,
                digests: good.digests,
                since: Some(good.since),
            }),
            None => None,
        };
        let stopped = if order.evidence { self.stopped(&order.target).await? } else { Vec::new() };
        let wanted = match &order.wanted {
            Some(which) => Some(self.wanted(which).await?),
            None => None,
        };
        let base = self.base(order, running.as_ref(), &service, &found, taken_at).await?;
        let mut rollouts = self.rollouts(order.since, found).await?;
        evidence::identify(&mut rollouts, &stopped);
        Ok(Look {
            taken_at,
            base,
            wanted,
            holds: service.holds.clone(),
            tags: service.tags.clone(),
            going_back: rollouts::going_back(&service, &recorded, &revisions),
            rollouts,
            running,
            stopped: stopped.into_iter().map(|it| (it.by, it.task)).collect(),
            desired: service.desired,
            created_at: service.created_at,
            events: if order.evidence { service.events } else { Vec::new() },
            service: service.state,
        })
    }

    /// The service deployments that matter, and the revisions that they and the service name; both empty where the
    /// endpoint does not know them.
    async fn recorded(
        &self,
        target: &TargetId,
        service: &Service,
        listed: Result<Option<Vec<Recorded>>, Fault>,
    ) -> Result<(Vec<Recorded>, Revisions), CallFailure> {
        let listed = match listed {
            Ok(Some(listed)) => listed,
            Ok(None) => return Ok(Default::default()),
            Err(fault) if self.lacks_history(&fault, service.current.as_ref()) => {
                return Ok(Default::default());
            }
            Err(fault) => return Err(list_failed(&fault)),
        };
        let mut recorded = self.complete(listed, service.current.as_ref()).await?;
        if rollouts::needs_history(service, &recorded) {
            let older = self.list(target, &Wanted::Successful).await.map_err(|fault| list_failed(&fault))?;
            recorded.extend(older.unwrap_or_default().into_iter().next());
        }
        let named = recorded.iter().flat_map(Recorded::named_revisions);
        let revisions = self.revisions(named.chain(&service.revisions).cloned().collect()).await?;
        Ok((recorded, revisions))
    }

    /// Where the endpoint has no revisions, the tasks tell what runs.
    async fn with_digests(
        &self,
        target: &TargetId,
        service: &Service,
        good: Option<Good>,
        no_history: bool,
    ) -> Result<Option<Good>, CallFailure> {
        match good {
            Some(good) if no_history && service.revisions.is_empty() => {
                let digests = self.running_digests(target, &good.definition).await?;
                Ok(Some(Good { digests, ..good }))
            }
            other => Ok(other),
        }
    }

    /// Those created since then, and those that ECS still works on, with their definitions.
    async fn rollouts(&self, since: Timestamp, found: Vec<Found>) -> Result<Vec<Rollout>, CallFailure> {
        let mut rollouts = Vec::new();
        for it in found.into_iter().filter(|it| it.created_at >= since || it.state.is_live()) {
            rollouts.push(Rollout {
                id: it.id,
                created_at: it.created_at,
                updated_at: it.updated_at,
                definition: self.view(&it.definition).await?,
                previous: match &it.previous {
                    Some(id) => Some(self.view(id).await?),
                    None => None,
                },
                digests: it.digests,
                primary: it.primary,
                state: it.state,
                rolls_back: it.rolls_back,
                stopped: rollouts::says_stopped(&it.reason),
                tripped: it.tripped,
                undone_since: it.undone_since,
                tasks: it.tasks,
                reason: it.reason,
            });
        }
        Ok(rollouts)
    }
}

/// A look at a service that is not there.
fn empty(service: Service, taken_at: Timestamp) -> Look {
    Look {
        taken_at,
        service: service.state,
        created_at: None,
        desired: 0,
        running: None,
        base: Err("there is no such service".into()),
        wanted: None,
        rollouts: Vec::new(),
        holds: service.holds,
        tags: service.tags,
        going_back: false,
        events: Vec::new(),
        stopped: Vec::new(),
    }
}

/// The lists of ECS are read one after the other, and may disagree for a moment.
pub(super) fn unclear(reason: String) -> CallFailure {
    CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::Retry }
}
