//! Lockkeeper's own service: whether two of it may overlap, and whether a release of it that does not start is undone.

use super::finding::{About, Finding};
use crate::{
    aws::ecs::{Guard, Inspected},
    domain::{ServiceState, TargetId},
};

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
