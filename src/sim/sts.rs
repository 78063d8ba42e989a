//! Roles: who may assume which, and the credentials by which a caller counts as the role's account.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    call::{Call, Fail, Outcome, Scope, text},
    rng::Rng,
};
use crate::domain::Timestamp;

/// A role that callers of other accounts may assume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Such as `arn:aws:iam::111122223333:role/lockkeeper`.
    pub arn: String,
    /// The external id that its trust policy asks for, if it does.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// What a session of a role lasts when nobody says otherwise.
const SESSION: Duration = Duration::from_hours(1);
/// Keys of temporary credentials begin so. The world writes the account behind it, and a number behind that.
const TEMPORARY: &str = "ASIA";
/// The digits of an account.
const ACCOUNT_DIGITS: usize = 12;

/// All roles that the world was told of. While it was told of none, every role may be assumed.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles {
    known: BTreeMap<String, Role>,
    sessions: u32,
}

impl Roles {
    pub(super) fn add(&mut self, role: Role) {
        self.known.insert(role.arn.clone(), role);
    }

    pub(super) fn call(&mut self, call: &Call, now: Timestamp, rng: &mut Rng) -> Outcome {
        match call.operation.as_str() {
            "GetCallerIdentity" => {
                let account = &call.scope.account;
                Ok(json!({
                    "Arn": format!("arn:aws:iam::{account}:user/lockkeeper"), "UserId": user_id(account), "Account": account,
                }))
            }
            "AssumeRole" => self.assume(call, now, rng),
            operation => {
                Err(Fail::new("InvalidAction", format!("Could not find operation {operation} for STS.")))
            }
        }
    }

    fn assume(&mut self, call: &Call, now: Timestamp, rng: &mut Rng) -> Outcome {
        let (arn, session) = (text(&call.body, "RoleArn"), text(&call.body, "RoleSessionName"));
        check_session(session)?;
        let (account, name) =
            role_parts(arn).ok_or_else(|| Fail::new("ValidationError", format!("{arn} is invalid")))?;
        if !self.trusts(arn, call.body["ExternalId"].as_str()) {
            return Err(denied(&call.scope, arn));
        }
        self.sessions += 1;
        let id = format!("AROA{}:{session}", &rng.hex()[..16].to_uppercase());
        Ok(json!({
            "Credentials": {
                "AccessKeyId": format!("{TEMPORARY}{account}{:04X}", self.sessions % 0x1_0000),
                "SecretAccessKey": rng.hex(), "SessionToken": rng.hex(),
                "Expiration": (now + lifetime(&call.body)?).to_string(),
            },
            "AssumedRoleUser": {
                "Arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"), "AssumedRoleId": id,
            },
        }))
    }

    fn trusts(&self, arn: &str, external_id: Option<&str>) -> bool {
        if self.known.is_empty() {
            return true;
        }
        let asked = |role: &Role| role.external_id.as_deref().is_none_or(|asked| Some(asked) == external_id);
        self.known.get(arn).is_some_and(asked)
    }
}

/// What AWS calls the only user of an account.
pub(super) fn user_id(account: &str) -> String {
    format!("AIDA{account:0>17}")
}

/// The account that an access key belongs to: twelve digits are one, and the key of a role's session holds one.
pub fn account_of_key(key: &str) -> Option<&str> {
    let account = match key.strip_prefix(TEMPORARY) {
        Some(rest) => rest.get(..ACCOUNT_DIGITS)?,
        None => key,
    };
    is_account(account).then_some(account)
}

fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account of a role, and its name without the path.
fn role_parts(arn: &str) -> Option<(String, &str)> {
    let (scope, resource) = Scope::of_arn(arn)?;
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    (is_account(&scope.account) && !name.is_empty()).then_some((scope.account, name))
}

/// AWS takes 2 to 64 letters, digits and some signs.
fn check_session(name: &str) -> Result<(), Fail> {
    let of_session = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(of_session) {
        return Ok(());
    }
    Err(Fail::new("ValidationError", "Value at 'roleSessionName' failed to satisfy constraint."))
}

/// 15 minutes to 12 hours.
fn lifetime(body: &Value) -> Result<Duration, Fail> {
    let Some(asked) = body["DurationSeconds"].as_str() else { return Ok(SESSION) };
    let seconds = asked.parse().ok().filter(|seconds| (900..=43_200).contains(seconds));
    let refused = || Fail::new("ValidationError", "The requested DurationSeconds is out of bounds.");
    seconds.map(Duration::from_secs).ok_or_else(refused)
}

fn denied(caller: &Scope, arn: &str) -> Fail {
    let who = format!("arn:aws:iam::{}:root", caller.account);
    let message = format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}");
    Fail { code: "AccessDenied", message, status: 403 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{call::Service, testkit::Bench};

    const ROLE: &str = "arn:aws:iam::111122223333:role/path/deployer";

    fn request(external_id: Option<&str>) -> Value {
        json!({"RoleArn": ROLE, "RoleSessionName": "lockkeeper", "ExternalId": external_id})
    }

    fn add(bench: &mut Bench, arn: &str, external_id: Option<&str>) {
        let role = Role { arn: arn.to_owned(), external_id: external_id.map(str::to_owned) };
        bench.world.add_role(role);
    }

    #[test]
    fn the_key_of_an_assumed_role_leads_to_its_account() {
        let mut bench = Bench::new();
        let one = bench.call(Service::Sts, "AssumeRole", request(None));
        let two = bench.call(Service::Sts, "AssumeRole", request(None));
        let key = |reply: &Value| text(&reply["Credentials"], "AccessKeyId").to_owned();
        assert_eq!((key(&one).len(), account_of_key(&key(&one))), (20, Some("111122223333")));
        assert_ne!(key(&one), key(&two), "each session has its own");
        assert_eq!(
            one["AssumedRoleUser"]["Arn"],
            "arn:aws:sts::111122223333:assumed-role/deployer/lockkeeper"
        );
        assert_eq!(one["Credentials"]["Expiration"], "2026-11-01T13:00:00Z");
    }

    #[test]
    fn a_key_that_is_no_account_leads_nowhere() {
        assert_eq!(account_of_key("111122223333"), Some("111122223333"));
        for key in [
            "",
            "test",
            "11112222333",
            "1111222233334",
            "ASIA1111",
            "ASIAX11122223333",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert_eq!(account_of_key(key), None, "{key}");
        }
    }

    #[test]
    fn once_the_world_knows_a_role_no_other_can_be_assumed() {
        let mut bench = Bench::new();
        add(&mut bench, "arn:aws:iam::999999999999:role/other", None);
        assert_eq!(bench.fails(Service::Sts, "AssumeRole", request(None)), "AccessDenied");
        add(&mut bench, ROLE, None);
        bench.call(Service::Sts, "AssumeRole", request(Some("not asked for")));
    }

    #[test]
    fn a_role_that_asks_for_an_external_id_wants_its_own() {
        let mut bench = Bench::new();
        add(&mut bench, ROLE, Some("abc"));
        for wrong in [None, Some(""), Some("abd")] {
            assert_eq!(bench.fails(Service::Sts, "AssumeRole", request(wrong)), "AccessDenied", "{wrong:?}");
        }
        bench.call(Service::Sts, "AssumeRole", request(Some("abc")));
    }

    #[test]
    fn a_request_that_sts_would_refuse_is_refused() {
        let mut bench = Bench::new();
        for (field, value) in [
            ("RoleSessionName", "x"),
            ("RoleSessionName", "a b"),
            ("RoleArn", "arn:aws:iam::1:role/x"),
            ("RoleArn", "arn:aws:iam::111122223333:user/x"),
            ("DurationSeconds", "899"),
            ("DurationSeconds", "43201"),
        ] {
            let mut body = request(None);
            body[field] = json!(value);
            assert_eq!(bench.fails(Service::Sts, "AssumeRole", body), "ValidationError", "{field} {value}");
        }
        assert_eq!(bench.fails(Service::Sts, "GetFederationToken", json!({})), "InvalidAction");
    }
}
