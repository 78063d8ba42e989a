//! Whether the permissions suffice: by a simulation of IAM's where that is allowed, or else by calls that change nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    finding::{About, Finding, some_of},
    needs::{Loss, Needs},
};
use crate::{
    aws::{
        Connections,
        ecs::Ecs,
        permissions::{Caller, Denial, Principal},
        queue::{Queue, QueueErrorKind, Receipt},
    },
    cli::terminal::counted,
    domain::{CallFailure, TargetId},
};

/// So many actions are named in a line.
const MOST_NAMES: usize = 6;

/// Whose permissions are looked at.
pub(super) enum Whose {
    /// Those of the user or role with this ARN.
    Of(String),
    /// Nobody's: the root may do everything.
    Root,
    /// Somebody's whose ARN is not known, for this reason.
    Unknown(String),
}

/// Whose they are: of the role that was named, or of whoever runs this.
pub(super) async fn whose(connections: &Connections, caller: &Caller, role: Option<&str>) -> Whose {
    if let Some(role) = role {
        return Whose::Of(role.to_owned());
    }
    match caller.principal() {
        Some(Principal::User(arn)) => Whose::Of(arn),
        // A role with a path has another ARN than its session tells.
        Some(Principal::Role { name, arn }) => Whose::Of(connections.role_arn(&name).await.unwrap_or(arn)),
        None if caller.arn.ends_with(":root") => Whose::Root,
        None => Whose::Unknown(format!("{} is neither a user nor a role", caller.arn)),
    }
}

/// No policy binds the root, so nothing is to be shown.
pub(super) fn of_the_root() -> Finding {
    let what = "these are the root's credentials, which no policy binds: what Lockkeeper may do is not shown";
    Finding::warning(
        About::Permissions,
        what,
        "name the daemon's role by --role ARN, and never run it as the root",
    )
}

/// What a role may do cannot be said without a simulation.
pub(super) fn unknown(role: &str, because: &str) -> Finding {
    let what = format!("what {role} may do is not known: {because}");
    Finding::warning(About::Permissions, what, "allow iam:SimulatePrincipalPolicy to whoever asks")
}

/// They could not be simulated, and without a queue they are not tried either.
pub(super) fn untried(because: &str) -> Finding {
    let what = format!("permissions were not looked at: {because}; and there is no queue to try them with");
    Finding::warning(
        About::Permissions,
        what,
        "set queue.url, or allow iam:SimulatePrincipalPolicy to whoever asks",
    )
}

/// Asks IAM about all of it.
///
/// # Errors
/// If it may not be asked.
pub(super) async fn simulate(
    connections: &Connections,
    principal: &str,
    needs: &Needs,
) -> Result<Vec<Finding>, CallFailure> {
    let mut must = BTreeSet::new();
    for need in &needs.must {
        must.extend(connections.denials(principal, need).await?);
    }
    let mut should = BTreeMap::new();
    for (loss, need) in &needs.should {
        for denial in connections.denials(principal, need).await?.into_iter().filter(|it| !must.contains(it))
        {
            should.entry(denial).or_insert(*loss);
        }
    }
    let all = needs.must.iter().chain(needs.should.iter().map(|(_, need)| need));
    let actions: BTreeSet<&str> = all.flat_map(|need| need.actions.iter().copied()).collect();
    let mut findings: Vec<Finding> = must.iter().map(|it| lacking(it, principal)).collect();
    findings.extend(should.iter().map(|(denial, loss)| unread(denial, *loss, principal)));
    if findings.is_empty() {
        let what = format!(
            "{} are allowed to {principal}, as SimulatePrincipalPolicy says",
            counted(actions.len(), "action")
        );
        findings.push(Finding::ok(About::Permissions, what));
    }
    Ok(findings)
}

fn lacking(Denial { action, resource, explicit }: &Denial, principal: &str) -> Finding {
    let how = if *explicit { "is denied by a statement" } else { "is not allowed" };
    let what = format!("{action} on {resource} {how} to {principal}");
    Finding::error(About::Permissions, what, "allow it in the policy of that role")
}

fn unread(Denial { action, resource, .. }: &Denial, loss: Loss, principal: &str) -> Finding {
    let (so, mend) = match loss {
        Loss::Repairs => {
            ("what a lost event leaves behind is not repaired", "allow it, or switch reconcile off")
        }
        Loss::Revisions => (
            "Lockkeeper does not go back from a tag that has moved, nor deploy an image that a request names: ECS's circuit breaker \
             alone goes back",
            "allow it on the families, with iam:PassRole on the roles of their tasks (pass_role_arns of the module), or set \
             rollback = false",
        ),
        Loss::Marks => (
            "what is rolled out as it is gets no mark of its version, and an older request that comes late may take its place",
            "allow it on the families, for tags that begin with lockkeeper:",
        ),
        Loss::OwnerTag => {
            ("another Lockkeeper would not notice what is ours", "allow it, or switch aws.owner_tag off")
        }
        Loss::Holds => ("a pause or a hold could not be kept, or not be taken back", "allow it"),
        Loss::Notices => (
            "nobody is told there, unless its own policy allows it",
            "allow it (notify_bus_arns, notify_topic_arns of the module), or take it out of [notify]",
        ),
    };
    let what = format!("{action} on {resource} is not allowed to {principal}: {so}");
    Finding::warning(About::Permissions, what, mend)
}

/// What is found out without a simulation: calls that would change something, about what is not there.
pub(super) async fn probe(queue: &Queue, ecs: &Ecs, clusters: &[TargetId], because: &str) -> Vec<Finding> {
    let nothing = Receipt::new("lockkeeper-check");
    let mut tried: Vec<(&str, Option<bool>)> = Vec::new();
    let deleted = queue.delete(std::slice::from_ref(&nothing)).await;
    tried.push((
        "sqs:DeleteMessage",
        allowed(deleted.into_iter().next().and_then(Result::err).map(|it| it.kind)),
    ));
    let hidden = queue.extend(&[(nothing, Duration::ZERO)]).await;
    tried.push((
        "sqs:ChangeMessageVisibility",
        allowed(hidden.into_iter().next().and_then(Result::err).map(|it| it.kind)),
    ));
    for cluster in clusters {
        tried.push(("ecs:UpdateService", ecs.may_update(cluster).await));
    }
    told(&tried, because)
}

/// A receipt that nobody gave is refused to whoever may use one.
fn allowed(error: Option<QueueErrorKind>) -> Option<bool> {
    match error {
        None | Some(QueueErrorKind::ReceiptInvalid) => Some(true),
        Some(QueueErrorKind::Denied) => Some(false),
        Some(
            QueueErrorKind::Throttled
            | QueueErrorKind::Gone
            | QueueErrorKind::Unreachable
            | QueueErrorKind::Other,
        ) => None,
    }
}

fn told(tried: &[(&str, Option<bool>)], because: &str) -> Vec<Finding> {
    let of = |wanted: Option<bool>| {
        let names: BTreeSet<&str> =
            tried.iter().filter(|(_, allowed)| *allowed == wanted).map(|(action, _)| *action).collect();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let denied = of(Some(false));
    let mut findings: Vec<Finding> = denied
        .iter()
        .map(|action| {
            let what = format!(
                "{action} is not allowed to whoever runs this, as a call about what is not there says"
            );
            Finding::error(About::Permissions, what, "allow it")
        })
        .collect();
    let shown: Vec<String> = of(Some(true)).into_iter().filter(|it| !denied.contains(it)).collect();
    let shown = if shown.is_empty() { "nothing".to_owned() } else { some_of(shown, MOST_NAMES) };
    let what = format!(
        "IAM was not asked ({because}). Shown to be allowed by calls about what is not there: {shown}; by this check: the reads \
         that it makes. Not shown: sqs:ReceiveMessage, sqs:SendMessage, ecs:RegisterTaskDefinition, iam:PassRole"
    );
    findings.push(Finding::warning(
        About::Permissions,
        what,
        "allow iam:SimulatePrincipalPolicy to whoever runs this",
    ));
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};

    #[test]
    fn what_calls_about_nothing_show_is_told_and_what_they_do_not() {
        let tried = [
            ("sqs:DeleteMessage", Some(true)),
            ("ecs:UpdateService", Some(false)),
            ("ecs:UpdateService", Some(true)),
            ("sqs:ChangeMessageVisibility", None),
        ];
        insta::assert_snapshot!(text(&told(&tried, "AccessDenied")), @r#"
        error    permissions: ecs:UpdateService is not allowed to whoever runs this, as a call about what is not there says; allow it
        warning  permissions: IAM was not asked (AccessDenied). Shown to be allowed by calls about what is not there: sqs:DeleteMessage; by this check: the reads that it makes. Not shown: sqs:ReceiveMessage, sqs:SendMessage, ecs:RegisterTaskDefinition, iam:PassRole; allow iam:SimulatePrincipalPolicy to whoever runs this
        1 error, 1 warning.
        "#);
    }

    #[test]
    fn a_receipt_that_nobody_gave_is_refused_to_whoever_may_use_one() {
        assert_eq!(allowed(Some(QueueErrorKind::ReceiptInvalid)), Some(true));
        assert_eq!(allowed(Some(QueueErrorKind::Denied)), Some(false));
        assert_eq!(allowed(Some(QueueErrorKind::Unreachable)), None);
    }

    #[test]
    fn what_is_warned_of_says_what_does_not_happen_without_it() {
        let family = "arn:aws:ecs:eu-west-1:111122223333:task-definition/api:1";
        let service = "arn:aws:ecs:eu-west-1:111122223333:service/shop/api";
        let told = |loss: Loss, action: &str, resource: &str| {
            let denial = Denial { action: action.into(), resource: resource.into(), explicit: false };
            unread(&denial, loss, "arn:role")
        };
        insta::assert_snapshot!(text(&[
            told(Loss::Revisions, "ecs:RegisterTaskDefinition", family),
            told(Loss::Marks, "ecs:TagResource", family),
            told(Loss::OwnerTag, "ecs:TagResource", service),
            told(Loss::Holds, "ecs:UntagResource", service),
            told(Loss::Notices, "sns:Publish", "arn:aws:sns:eu-west-1:111122223333:ops"),
        ]), @r#"
        warning  permissions: ecs:RegisterTaskDefinition on arn:aws:ecs:eu-west-1:111122223333:task-definition/api:1 is not allowed to arn:role: Lockkeeper does not go back from a tag that has moved, nor deploy an image that a request names: ECS's circuit breaker alone goes back; allow it on the families, with iam:PassRole on the roles of their tasks (pass_role_arns of the module), or set rollback = false
        warning  permissions: ecs:TagResource on arn:aws:ecs:eu-west-1:111122223333:task-definition/api:1 is not allowed to arn:role: what is rolled out as it is gets no mark of its version, and an older request that comes late may take its place; allow it on the families, for tags that begin with lockkeeper:
        warning  permissions: ecs:TagResource on arn:aws:ecs:eu-west-1:111122223333:service/shop/api is not allowed to arn:role: another Lockkeeper would not notice what is ours; allow it, or switch aws.owner_tag off
        warning  permissions: ecs:UntagResource on arn:aws:ecs:eu-west-1:111122223333:service/shop/api is not allowed to arn:role: a pause or a hold could not be kept, or not be taken back; allow it
        warning  permissions: sns:Publish on arn:aws:sns:eu-west-1:111122223333:ops is not allowed to arn:role: nobody is told there, unless its own policy allows it; allow it (notify_bus_arns, notify_topic_arns of the module), or take it out of [notify]
        0 errors, 5 warnings.
        "#);
    }

    #[test]
    fn a_denial_is_an_error_only_where_something_would_fail() {
        let denial = Denial { action: "ecs:UpdateService".into(), resource: "arn:s".into(), explicit: true };
        let findings = [
            lacking(&denial, "arn:role"),
            unread(&Denial { explicit: false, ..denial }, Loss::Repairs, "arn:role"),
        ];
        insta::assert_snapshot!(text(&findings), @r#"
        error    permissions: ecs:UpdateService on arn:s is denied by a statement to arn:role; allow it in the policy of that role
        warning  permissions: ecs:UpdateService on arn:s is not allowed to arn:role: what a lost event leaves behind is not repaired; allow it, or switch reconcile off
        1 error, 1 warning.
        "#);
    }
}
