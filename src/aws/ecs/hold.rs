//! Has the tags of a service say what was decided about it.

use aws_sdk_ecs::types::{ServiceField, Tag};

use super::{Ecs, Reach, service::holds, stopping};
use crate::{
    aws::{
        budget::Urgency,
        failure::{Fault, Verb},
    },
    domain::{CallFailure, Cause, Holds, Owner, Remedy, ServiceState, TagOrder},
};

const TAG: &str = "TagResource";
const UNTAG: &str = "UntagResource";

impl Ecs {
    /// Tags a service with what was decided, unless its tags say something newer; tells what they say then. Doing it twice is
    /// doing it once, so a call whose answer was lost may be made again.
    pub async fn tag_service(&self, order: &TagOrder) -> Result<Holds, CallFailure> {
        let reach = self.reach(&order.target)?;
        let (target, names) = (&order.target, [order.target.service().clone()]);
        let (answer, at) =
            reach.described(target.cluster(), &names, Urgency::Soon, Some(ServiceField::Tags)).await?;
        let service = answer.as_ref().and_then(|answer| answer.services().first());
        let Some((service, arn)) = service.and_then(|it| Some((it, it.service_arn()?))) else {
            let reason = format!("there is no service {} in cluster {}", target.service(), target.cluster());
            return Err(CallFailure { cause: Cause::TargetMissing, reason, remedy: Remedy::GiveUp });
        };
        if let ServiceState::OfAnother(owner) = reach.state(service) {
            let reason = format!("service {} is {}", target.service(), Owner::belongs_to(&owner));
            return Err(CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::GiveUp });
        }
        let before = holds(service).as_of(at);
        let Some(after) = before.after(&order.decision) else { return Ok(before) };
        reach.write_tags(arn, &before, &after).await?;
        Ok(after)
    }
}

impl Reach {
    /// What is new is written first: a resume whose second half is lost is made again, and known as the newest all the same.
    async fn write_tags(&self, arn: &str, before: &Holds, after: &Holds) -> Result<(), CallFailure> {
        let (before, after) = (before.to_tags(), after.to_tags());
        let new = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let new: Vec<Tag> = new.map(|(key, value)| Tag::builder().key(*key).value(value).build()).collect();
        let gone: Vec<String> =
            before.keys().filter(|key| !after.contains_key(*key)).map(ToString::to_string).collect();
        let failed = |operation| move |fault: Fault| fault.of_call(operation, Verb::Read);
        if self.is_closing() {
            return Err(stopping(TAG));
        }
        if !new.is_empty() {
            let call = self.changes.tag_resource().resource_arn(arn).set_tags(Some(new));
            self.ask(TAG, 1, Urgency::Soon, || call.clone().send()).await.map_err(failed(TAG))?;
        }
        if !gone.is_empty() {
            let call = self.changes.untag_resource().resource_arn(arn).set_tag_keys(Some(gone));
            self.ask(UNTAG, 1, Urgency::Soon, || call.clone().send()).await.map_err(failed(UNTAG))?;
        }
        Ok(())
    }
}
