//! Starts a rollout: registers a revision where the images differ, then calls UpdateService with an exact revision.
//!
//! UpdateService has no client token, and is told to force a deployment, because without that ECS deploys nothing if
//! the service has the revision already. So nothing here is tried again by itself: after an answer that was lost a
//! look decides. A revision that was registered before it was lost is found again and reused, because its content
//! and marks are the same.

use std::sync::{Arc, PoisonError};

use aws_sdk_ecs::{config::http::HttpRequest, types::Tag};
use tracing::{debug, warn};

use super::{
    Clearance, Ecs, Reach,
    definition::{Document, Registration},
    rollouts::SAME_ROLLOUT,
    service::{Entry, Service},
    stopping,
    tap::Tap,
};
use crate::{
    aws::{
        budget::{ApiClass, Place, Urgency},
        failure::{Fault, Kind, Verb},
    },
    domain::{
        CallFailure, Cause, DefinitionId, DefinitionRef, DefinitionView, MarkOrder, Marks, Remedy, RolloutId,
        RolloutKey, StartOrder, Started, TargetId,
    },
};

const REGISTER: &str = "RegisterTaskDefinition";
const TAG: &str = "TagResource";

impl Ecs {
    /// Starts a rollout of the base, or of a revision made from it, by the calls that are kept free for it. The desired
    /// count is never touched.
    pub async fn start(&self, order: &StartOrder, clearance: Clearance) -> Result<Started, CallFailure> {
        let reach = self.reach(&order.target)?;
        let Clearance { register, update } = clearance;
        let definition = reach.definition(order, register).await?;
        let edits = order.edits.len();
        debug!(target_id = %order.target, base = %order.base, edits, task_definition = %definition.id, "definition chosen");
        reach.update(&order.target, definition, update).await
    }

    /// Raises the marks of a revision that has what was asked for already.
    pub async fn mark(&self, order: &MarkOrder) -> Result<(), CallFailure> {
        let reach = self.reach(&order.target)?;
        reach.marked(&order.definition, &order.marks).await.map(|_| ())
    }
}

impl Reach {
    /// The revision to roll out.
    async fn definition(
        &self,
        order: &StartOrder,
        place: Option<Place>,
    ) -> Result<DefinitionView, CallFailure> {
        if order.edits.is_empty() {
            return self.marked(&order.base, &order.marks).await;
        }
        let lock = self.family_lock(&order.base.family);
        let _only_one_registers = lock.lock().await;
        let family = DefinitionRef { family: order.base.family.clone(), revision: None };
        let newest = self.document(&family).await?;
        let base = match &newest {
            Some(newest) if newest.id == order.base => newest.clone(),
            Some(_) | None => self.base_document(&order.base).await?,
        };
        match base.edited(&order.edits, &order.marks).map_err(invalid)? {
            None => self.marked(&base.id, &order.marks).await,
            Some(registration) => match newest.filter(|newest| newest.is(&registration)) {
                Some(same) => Ok(same.view()),
                None => self.register(&order.base, registration, place).await,
            },
        }
    }

    /// A revision that is rolled out as it is, tagged with the versions of what it is rolled out for where they are newer.
    async fn marked(&self, base: &DefinitionId, marks: &Marks) -> Result<DefinitionView, CallFailure> {
        let mut view = self.view(base).await?;
        if marks.advance(&view.marks) {
            let document = self.base_document(base).await?;
            view = document.view();
            if self.tag(&document, marks).await? {
                view.marks.raise(marks);
            }
            self.remember(view.clone(), document.logs());
        }
        Ok(view)
    }

    /// Tags a revision with what it is rolled out for, and says whether it is tagged. The rollout does not depend on
    /// it, so a role or an emulator that does not allow it is told of and passed over: older content may then give
    /// way to this rollout as it would to somebody else's.
    async fn tag(&self, document: &Document, marks: &Marks) -> Result<bool, CallFailure> {
        if self.is_closing() {
            return Err(stopping(TAG));
        }
        // Another deployment registered it: those tags stay as they are.
        let versions = Marks { deployment: None, target: None, ..marks.clone() }.to_tags();
        let tags =
            versions.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let call = self.changes.tag_resource().resource_arn(&document.arn).set_tags(Some(tags));
        match self.ask(TAG, 1, Urgency::Soon, || call.clone().send()).await {
            Ok(_) => Ok(true),
            Err(fault) if cannot_be_tagged(&fault) => {
                let error = fault.reason(TAG);
                warn!(definition = %document.id, error, "the definition could not be tagged");
                Ok(false)
            }
            // Tagging twice is tagging once.
            Err(fault) => Err(fault.of_call(TAG, Verb::Read)),
        }
    }

    async fn base_document(&self, base: &DefinitionId) -> Result<Document, CallFailure> {
        let document = self.document(&base.clone().into()).await?;
        document.ok_or_else(|| invalid(format!("there is no task definition {base}")))
    }

    /// Registers, with the document as the body of the request.
    async fn register(
        &self,
        base: &DefinitionId,
        registration: Registration,
        place: Option<Place>,
    ) -> Result<DefinitionView, CallFailure> {
        let body = registration.body();
        let call = self.changes.register_task_definition().family(&*base.family).customize();
        let call = call.mutate_request(move |request: &mut HttpRequest| replace_body(request, &body)).send();
        let answer = self.change(REGISTER, place, call).await?;
        let arn = answer.task_definition().and_then(|it| it.task_definition_arn()).unwrap_or_default();
        let id = arn
            .parse()
            .map_err(|error| Fault::unusable(format!("{error}")).of_call(REGISTER, Verb::Change))?;
        let view = registration.view(id);
        self.remember(view.clone(), registration.logs());
        Ok(view)
    }

    async fn update(
        &self,
        target: &TargetId,
        definition: DefinitionView,
        place: Option<Place>,
    ) -> Result<Started, CallFailure> {
        let tap = Tap::default();
        let call = self.changes.update_service().cluster(target.cluster().as_str());
        let call = call.service(target.service().as_str()).task_definition(definition.id.to_string());
        let call = call.force_new_deployment(true).customize().interceptor(tap.clone()).send();
        let answer = self.change("UpdateService", place, call).await?;
        let service = answer.service().map_or_else(Service::missing, Service::read);
        let Some(primary) = service.primary() else {
            return Ok(Started { id: RolloutKey::default(), created_at: tap.answered_at(), definition });
        };
        let service_deployment = self.service_deployment_of(&service, primary).await;
        let id = RolloutKey { deployment: Some(primary.id.clone()), service_deployment };
        Ok(Started { id, created_at: primary.created_at, definition })
    }

    /// The service's current service deployment, if it is this entry's: for a moment it may still be the one before.
    /// Not knowing it is no failure: the rollout has started, and the next look finds it. Where calls are short they are
    /// left to looks.
    async fn service_deployment_of(&self, service: &Service, primary: &Entry) -> Option<RolloutId> {
        let current =
            service.current.as_ref().filter(|_| self.budget.has_plenty(ApiClass::ServiceDeployment))?;
        let described = self.complete(Vec::new(), Some(current)).await.ok()?;
        let same = described.into_iter().find(|it| {
            let apart = it.created_at.since(primary.created_at).max(primary.created_at.since(it.created_at));
            apart <= SAME_ROLLOUT && !it.status.is_final()
        });
        same.map(|it| RolloutId::from(&*it.arn))
    }

    fn family_lock(&self, family: &Arc<str>) -> Arc<tokio::sync::Mutex<()>> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for a lock that only this map holds.
        families.retain(|_, lock| Arc::strong_count(lock) > 1);
        families.entry(family.clone()).or_default().clone()
    }
}

fn replace_body(request: &mut HttpRequest, body: &[u8]) {
    *request.body_mut() = body.to_vec().into();
    request.headers_mut().insert("content-length", body.len().to_string());
}

fn invalid(reason: String) -> CallFailure {
    CallFailure { cause: Cause::DefinitionInvalid, reason, remedy: Remedy::GiveUp }
}

/// Whether trying again would change nothing: no permission, no such operation, or nothing to tag.
pub(super) fn cannot_be_tagged(fault: &Fault) -> bool {
    let kind = fault.kind();
    matches!(kind, Kind::Denied | Kind::Unsupported | Kind::Refused | Kind::Missing)
        || fault.looks_unimplemented()
}
