//! CloudTrail: whether the events of an account are told, of which Secrets Manager and S3 make use.

use aws_sdk_cloudtrail::types::{EventSelector, ReadWriteType};

use super::{Connections, failure::Verb};
use crate::domain::CallFailure;

/// What the trails of an account in a Region bring to EventBridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trails {
    /// Whether one that is switched on tells of calls that change something.
    pub writes: bool,
    /// Whether one that is switched on tells of writes to objects, of some bucket at least.
    pub objects: bool,
}

impl Connections {
    /// What the trails here tell of. Selectors of the advanced kind count as telling all: they could.
    pub async fn trails(&self) -> Result<Trails, CallFailure> {
        let mut found = Trails::default();
        for arn in self.trail_arns().await? {
            if !self.is_logging(&arn).await? {
                continue;
            }
            let (selectors, advanced) = self.selectors(&arn).await?;
            found.writes |= advanced || selectors.iter().any(tells_writes);
            found.objects |= advanced || selectors.iter().any(tells_objects);
        }
        Ok(found)
    }

    async fn trail_arns(&self) -> Result<Vec<String>, CallFailure> {
        const OPERATION: &str = "DescribeTrails";
        // Trails of other Regions and of the organization tell of calls here, too.
        let call = self.cloudtrail().describe_trails().include_shadow_trails(true).send();
        let answer = self.calls().make("cloudtrail", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        let arns = answer.trail_list().iter().filter_map(|trail| trail.trail_arn().map(str::to_owned));
        Ok(arns.collect())
    }

    async fn is_logging(&self, arn: &str) -> Result<bool, CallFailure> {
        const OPERATION: &str = "GetTrailStatus";
        let call = self.cloudtrail().get_trail_status().name(arn).send();
        let answer = self.calls().make("cloudtrail", OPERATION, call).await;
        Ok(answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?.is_logging().unwrap_or(false))
    }

    async fn selectors(&self, arn: &str) -> Result<(Vec<EventSelector>, bool), CallFailure> {
        const OPERATION: &str = "GetEventSelectors";
        let call = self.cloudtrail().get_event_selectors().trail_name(arn).send();
        let answer = self.calls().make("cloudtrail", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        let advanced = !answer.advanced_event_selectors().is_empty();
        Ok((answer.event_selectors.unwrap_or_default(), advanced))
    }
}

fn has_writes(selector: &EventSelector) -> bool {
    !matches!(selector.read_write_type(), Some(ReadWriteType::ReadOnly))
}

fn tells_writes(selector: &EventSelector) -> bool {
    has_writes(selector) && selector.include_management_events().unwrap_or(true)
}

fn tells_objects(selector: &EventSelector) -> bool {
    let of_s3 = selector.data_resources().iter().any(|it| it.r#type() == Some("AWS::S3::Object"));
    has_writes(selector) && of_s3
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::DataResource;

    use super::*;

    #[test]
    fn a_selector_of_reads_tells_of_no_write() {
        let objects = DataResource::builder().r#type("AWS::S3::Object").values("arn:aws:s3").build();
        let of = |kind: ReadWriteType| {
            EventSelector::builder().read_write_type(kind).data_resources(objects.clone()).build()
        };
        assert!(tells_writes(&of(ReadWriteType::All)) && tells_objects(&of(ReadWriteType::WriteOnly)));
        assert!(!tells_writes(&of(ReadWriteType::ReadOnly)) && !tells_objects(&of(ReadWriteType::ReadOnly)));
        let bare = EventSelector::builder().build();
        assert!(tells_writes(&bare) && !tells_objects(&bare));
        assert!(!tells_writes(&EventSelector::builder().include_management_events(false).build()));
    }
}
