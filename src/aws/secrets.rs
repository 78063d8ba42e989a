//! Secrets of Secrets Manager: when the version came into being that tasks read. Values are never read.

use super::{
    failure::{Fault, Kind},
    reads::{MOST_PAGES, endless, following, time},
    sources::Reach,
};
use crate::domain::{Place, Timestamp};

/// The stage of the version that tasks read.
const CURRENT: &str = "AWSCURRENT";

impl Reach {
    /// When the current version of a secret was made; `None` if there is no such secret, or it has no current version, or
    /// it is marked for deletion. What changes a description or a tag makes no version.
    ///
    /// A version that a rotation has made is current only once that has tried it: seconds to minutes after the time that
    /// is given here.
    pub(super) async fn secret(&self, place: &Place, name: &str) -> Result<Option<Timestamp>, Fault> {
        let arn = arn(place, name);
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let call = || {
                let call = self.secrets.list_secret_version_ids().secret_id(&arn);
                call.max_results(100).set_next_token(token.clone()).send()
            };
            let page = match self.reads.ask("secretsmanager", "ListSecretVersionIds", call).await {
                Err(fault) if is_gone(&fault) => return Ok(None),
                answer => answer?,
            };
            let is_current = |stages: &[String]| stages.iter().any(|stage| stage == CURRENT);
            let current = page.versions().iter().find(|version| is_current(version.version_stages()));
            if let Some(version) = current {
                return Ok(time(version.created_date()));
            }
            token = following(page.next_token);
            if token.is_none() {
                return Ok(None);
            }
        }
        Err(endless())
    }
}

/// Secrets Manager refuses to list the versions of a secret that is marked for deletion.
fn is_gone(fault: &Fault) -> bool {
    fault.kind() == Kind::Missing || fault.code() == Some("InvalidRequestException")
}

/// Secrets Manager takes an ARN without the six characters at its end, too.
fn arn(place: &Place, name: &str) -> String {
    let Place { account, region } = place;
    format!("arn:{}:secretsmanager:{region}:{account}:secret:{name}", region.partition())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_of_the_partition_of_its_region() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            let place = Place { account: "111122223333".into(), region: region.into() };
            let expected =
                format!("arn:{partition}:secretsmanager:{region}:111122223333:secret:shop/db-AbCdEf");
            assert_eq!(arn(&place, "shop/db-AbCdEf"), expected);
        }
    }
}
