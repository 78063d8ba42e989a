//! Lockkeeper's own service: whether two of it may overlap, and whether a release of it that does not start is undone.

use std::str::FromStr;

use super::finding::{About, Finding};
use crate::{
    aws::ecs::{Guard, Inspected},
    domain::{Place, ServiceState, TargetId},
};

/// A service as people name it: `CLUSTER/SERVICE`, `ACCOUNT/REGION/CLUSTER/SERVICE`, or its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// In our own account and Region.
    Here { cluster: String, service: String },
    /// Wherever that says.
    There(TargetId),
}

const FORMS: &str =
    "write it as CLUSTER/SERVICE, as ACCOUNT/REGION/CLUSTER/SERVICE, or as the ARN of the service";

impl Named {
    /// The service, where what is not said is `home`.
    pub(super) fn id(&self, home: &Place) -> TargetId {
        match self {
            Self::Here { cluster, service } => {
                let Place { account, region } = home.clone();
                TargetId::new(account, region, cluster.as_str().into(), service.as_str().into())
            }
            Self::There(id) => id.clone(),
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(arn) = text.strip_prefix("arn:") {
            return of_arn(arn).map(Self::There);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::There(id));
        }
        match text.split_once('/') {
            Some((cluster, service))
                if !cluster.is_empty() && !service.is_empty() && !service.contains('/') =>
            {
                Ok(Self::Here { cluster: cluster.to_owned(), service: service.to_owned() })
            }
            _ => Err(FORMS.to_owned()),
        }
    }
}

/// `aws:ecs:eu-west-1:111122223333:service/cluster/name`, behind its `arn:`.
fn of_arn(arn: &str) -> Result<TargetId, String> {
    let parts: Vec<&str> = arn.splitn(5, ':').collect();
    let [_, "ecs", region, account, resource] = parts.as_slice() else {
        return Err(format!("this is not the ARN of a service in ECS; {FORMS}"));
    };
    let service = resource.strip_prefix("service/").unwrap_or_default();
    if !service.is_empty() && !service.contains('/') {
        return Err(format!("this ARN is of the older form, without the cluster; write CLUSTER/{service}"));
    }
    let id = format!("{account}/{region}/{service}").parse();
    id.map_err(|_| format!("this is not the ARN of a service in ECS; {FORMS}"))
}

/// What is wrong with it. `has_lease`: a table excludes that two act at once.
pub(super) fn judge(id: &TargetId, service: &Inspected, has_lease: bool) -> Vec<Finding> {
    if service.state != ServiceState::Active {
        let what = format!("{id} is not there, or is being deleted");
        return vec![Finding::error(About::Own, what, "name Lockkeeper's own service as CLUSTER/SERVICE")];
    }
    let mut findings = Vec::new();
    let (least, most) = service.percent;
    if !has_lease && (least > 0 || most > 100) {
        let what = format!(
            "{id} is replaced with {least} % at least and {most} % at most, so two processes overlap, and nothing excludes \
             that both act"
        );
        let mend = "set minimum healthy to 0 % and maximum to 100 %, or set lease.table";
        findings.push(Finding::error(About::Own, what, mend));
    }
    if !has_lease && service.desired > 1 {
        let what = format!("{id} runs {} tasks, and nothing excludes that all act", service.desired);
        findings.push(Finding::error(About::Own, what, "run one, or set lease.table"));
    }
    if service.guard != Guard::RollsBack {
        let what = format!(
            "{id} has no circuit breaker that rolls back: a release that does not start stops every deployment"
        );
        findings.push(Finding::warning(About::Own, what, "enable deploymentCircuitBreaker with rollback"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(About::Own, format!("{id} is replaced safely")));
    }
    findings
}

/// In an account of which no role can be assumed; that is told with what to do about it.
pub(super) fn closed(id: &TargetId) -> Finding {
    let what = format!("{id} is not looked at: the role of its account cannot be assumed");
    Finding::warning(About::Own, what, "")
}

/// What is said where nobody knows which it is.
pub(super) fn unknown() -> Finding {
    let what = "it is not looked at: none of the targets receives from this queue";
    Finding::warning(About::Own, what, "name it by --own CLUSTER/SERVICE")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::finding::text, *};

    fn told(percent: (u32, u32), desired: u32, guard: Guard, has_lease: bool) -> String {
        let id = "111122223333/eu-west-1/ops/lockkeeper".parse().expect("an id");
        let service = Inspected {
            state: ServiceState::Active,
            definition: None,
            desired,
            guard,
            percent,
            strategy: None,
            complete: true,
            tags: BTreeMap::new(),
        };
        text(&judge(&id, &service, has_lease))
    }

    #[test]
    fn a_service_is_named_by_its_cluster_its_id_or_its_arn() {
        let home = Place { account: "111122223333".into(), region: "eu-west-1".into() };
        let id = |text: &str| text.parse::<Named>().map(|it| it.id(&home).to_string());
        assert_eq!(id("ops/lockkeeper"), Ok("111122223333/eu-west-1/ops/lockkeeper".into()));
        for text in [
            "444455556666/us-east-1/ops/lockkeeper",
            "arn:aws:ecs:us-east-1:444455556666:service/ops/lockkeeper",
            "arn:aws-cn:ecs:us-east-1:444455556666:service/ops/lockkeeper",
        ] {
            assert_eq!(id(text), Ok("444455556666/us-east-1/ops/lockkeeper".into()), "{text}");
        }
        let told = id("arn:aws:ecs:us-east-1:444455556666:service/lockkeeper").expect_err("no cluster");
        assert!(told.ends_with("write CLUSTER/lockkeeper"), "{told}");
        for text in [
            "",
            "lockkeeper",
            "/lockkeeper",
            "ops/",
            "a/b/c",
            "arn:aws:sqs:eu-west-1:111122223333:q",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/ops",
            "arn:aws:ecs::111122223333:service/ops/lockkeeper",
        ] {
            assert!(id(text).expect_err(text).ends_with(FORMS), "{text}");
        }
    }

    #[test]
    fn two_may_not_overlap_unless_a_lease_excludes_that_both_act() {
        insta::assert_snapshot!(told((100, 200), 2, Guard::None, false), @r#"
        error    own service: 111122223333/eu-west-1/ops/lockkeeper is replaced with 100 % at least and 200 % at most, so two processes overlap, and nothing excludes that both act; set minimum healthy to 0 % and maximum to 100 %, or set lease.table
        error    own service: 111122223333/eu-west-1/ops/lockkeeper runs 2 tasks, and nothing excludes that all act; run one, or set lease.table
        warning  own service: 111122223333/eu-west-1/ops/lockkeeper has no circuit breaker that rolls back: a release that does not start stops every deployment; enable deploymentCircuitBreaker with rollback
        2 errors, 1 warning.
        "#);
        assert!(told((100, 200), 2, Guard::RollsBack, true).starts_with("ok"));
        assert!(told((0, 100), 1, Guard::RollsBack, false).starts_with("ok"));
    }
}
