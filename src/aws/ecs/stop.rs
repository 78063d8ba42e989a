//! Has ECS stop a rollout, and go back to what was there before.

use aws_sdk_ecs::types::StopServiceDeploymentStopType;

use super::Ecs;
use crate::domain::{CallFailure, StopOrder};

impl Ecs {
    /// Stops a rollout with a rollback. Asked twice it does no more than asked once: ECS refuses only what has ended.
    pub async fn stop_rollout(&self, order: &StopOrder) -> Result<(), CallFailure> {
        let reach = self.reach(&order.target)?;
        let call = reach.changes.stop_service_deployment().service_deployment_arn(order.rollout.as_str());
        let call = call.stop_type(StopServiceDeploymentStopType::Rollback).send();
        reach.change("StopServiceDeployment", None, call).await.map(|_| ())
    }
}
