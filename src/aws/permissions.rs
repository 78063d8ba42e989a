//! Whose credentials these are, and what IAM would let them do.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};

use super::{Connections, connect::READ_TIMEOUT, failure::Verb};
use crate::domain::{AccountId, CallFailure};

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The ARN: of a user, of the root, or of a session of a role.
    pub arn: String,
}

/// Actions that are needed on the same resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// As IAM names them: `ecs:UpdateService`.
    pub actions: Vec<&'static str>,
    /// The ARNs; `*` where the actions take none.
    pub resources: Vec<String>,
    /// What the conditions of a policy may ask for.
    pub context: BTreeMap<&'static str, String>,
}

/// An action that is not allowed on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// Whether a statement forbids it, rather than none allowing it.
    pub explicit: bool,
}

impl Connections {
    /// Whose credentials are used. This needs no permission.
    pub async fn caller(&self) -> Result<Caller, CallFailure> {
        const OPERATION: &str = "GetCallerIdentity";
        let call = self.sts(READ_TIMEOUT).get_caller_identity().send();
        let answer = self.calls().make("sts", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        let account = answer.account().unwrap_or_default().into();
        Ok(Caller { account, arn: answer.arn().unwrap_or_default().to_owned() })
    }

    /// The ARN of a role of our own account, with the path that a session's ARN leaves out.
    pub async fn role_arn(&self, name: &str) -> Result<String, CallFailure> {
        const OPERATION: &str = "GetRole";
        let call = self.iam().get_role().role_name(name).send();
        let answer = self.calls().make("iam", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        Ok(answer.role().map(|role| role.arn().to_owned()).unwrap_or_default())
    }

    /// What of this need the policies of a user or role do not allow. Policies of the resources themselves, and those of an
    /// organization, are not all taken into account: the simulation is as good as AWS's.
    pub async fn denials(&self, principal: &str, need: &Need) -> Result<Vec<Denial>, CallFailure> {
        const OPERATION: &str = "SimulatePrincipalPolicy";
        let context = need.context.iter().map(|(key, value)| {
            let entry = ContextEntry::builder().context_key_name(*key).context_key_values(value);
            entry.context_key_type(ContextKeyTypeEnum::String).build()
        });
        let context: Vec<ContextEntry> = context.collect();
        let (mut denials, mut next) = (Vec::new(), None);
        loop {
            let call = self.iam().simulate_principal_policy().policy_source_arn(principal);
            let call = call.set_action_names(Some(need.actions.iter().map(|it| (*it).to_owned()).collect()));
            let call = call.set_resource_arns(Some(need.resources.clone())).set_marker(next);
            let call = call.set_context_entries(Some(context.clone()));
            let page = self.calls().make("iam", OPERATION, call.send()).await;
            let page = page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
            let refused = page
                .evaluation_results()
                .iter()
                .filter(|result| !matches!(result.eval_decision(), PolicyEvaluationDecisionType::Allowed));
            denials.extend(refused.map(|result| Denial {
                action: result.eval_action_name().to_owned(),
                resource: result.eval_resource_name().unwrap_or("*").to_owned(),
                explicit: matches!(result.eval_decision(), PolicyEvaluationDecisionType::ExplicitDeny),
            }));
            next = page.marker.filter(|_| page.is_truncated);
            if next.is_none() {
                return Ok(denials);
            }
        }
    }
}

impl Caller {
    /// The user or role whose policies count, as far as the ARN tells it; none for the root, whom no policy binds. Of a role
    /// with a path only the name is told: [`Connections::role_arn`] finds the rest.
    pub fn principal(&self) -> Option<Principal> {
        let (partition, rest) = self.arn.strip_prefix("arn:")?.split_once(':')?;
        let resource = rest.splitn(4, ':').nth(3)?;
        if resource.starts_with("user/") {
            return Some(Principal::User(self.arn.clone()));
        }
        let role = resource.strip_prefix("assumed-role/")?.split('/').next()?;
        let arn = format!("arn:{partition}:iam::{}:role/{role}", self.account);
        Some(Principal::Role { name: role.to_owned(), arn })
    }
}

/// Whose policies decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user, by its ARN.
    User(String),
    /// A role.
    Role {
        /// Its name.
        name: String,
        /// Its ARN, if it has no path.
        arn: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_tells_its_role_and_the_root_none() {
        let principal = |arn: &str| {
            let caller = Caller { account: "111122223333".into(), arn: arn.into() };
            caller.principal()
        };
        let role = Principal::Role {
            name: "lockkeeper-task".into(),
            arn: "arn:aws-cn:iam::111122223333:role/lockkeeper-task".into(),
        };
        assert_eq!(
            principal("arn:aws-cn:sts::111122223333:assumed-role/lockkeeper-task/session"),
            Some(role)
        );
        let user = "arn:aws:iam::111122223333:user/path/ann";
        assert_eq!(principal(user), Some(Principal::User(user.into())));
        assert_eq!(principal("arn:aws:iam::111122223333:root"), None);
        assert_eq!(principal(""), None);
    }
}
