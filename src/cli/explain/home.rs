//! In which account and Region Lockkeeper would run, as far as that can be known without AWS.

use serde::Serialize;

use super::check::OWN;
use crate::{
    domain::{AccountId, Event, Region},
    settings::Settings,
};

/// The account and Region that count as Lockkeeper's own in an explanation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Home {
    pub(super) account: AccountId,
    pub(super) account_from: Source,
    pub(super) region: Region,
    pub(super) region_from: Source,
    /// Where the settings say something else: what that would change.
    pub(super) remarks: Vec<String>,
}

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Event,
    QueueUrl,
    AwsRegion,
    /// Nobody does.
    Unknown,
}

impl Home {
    /// The event's own, as most events come from where Lockkeeper runs. An account whose events are allowed is another
    /// one by what the setting means.
    pub(super) fn guess(event: &Event, settings: &Settings) -> Self {
        let url = settings.queue.url.as_deref();
        let (queue_account, queue_region) = (url.and_then(account_of), url.and_then(region_of));
        let theirs = event.account.as_ref().filter(|it| !settings.aws.allowed_accounts.contains(it));
        let region_set = settings.aws.region.clone().map(|it| (it, Source::AwsRegion));
        let region_set = region_set.or_else(|| queue_region.map(|it| (it, Source::QueueUrl)));
        let remarks = [
            theirs.zip(queue_account.as_ref()).and_then(|(event, queue)| other_account(event, queue)),
            event
                .region
                .as_ref()
                .zip(region_set.as_ref())
                .and_then(|(event, (set, _))| other_region(event, set)),
        ];
        let (account, account_from) = None
            .or_else(|| theirs.map(|it| (it.clone(), Source::Event)))
            .or_else(|| queue_account.map(|it| (it, Source::QueueUrl)))
            .unwrap_or((OWN.into(), Source::Unknown));
        let (region, region_from) = None
            .or_else(|| event.region.clone().map(|it| (it, Source::Event)))
            .or(region_set)
            .unwrap_or((OWN.into(), Source::Unknown));
        Self { account, account_from, region, region_from, remarks: remarks.into_iter().flatten().collect() }
    }
}

impl Source {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Event => "the event's",
            Self::QueueUrl => "from queue.url",
            Self::AwsRegion => "from AWS_REGION",
            Self::Unknown => "not known here",
        }
    }
}

fn other_account(event: &AccountId, queue: &AccountId) -> Option<String> {
    (event != queue).then(|| {
        format!(
            "queue.url is in account {queue}: a Lockkeeper of that account refuses this event, unless \
             aws.allowed_accounts lists {event}"
        )
    })
}

fn other_region(event: &Region, set: &Region) -> Option<String> {
    (event != set).then(|| {
        format!(
            "the settings are for {set}: there, targets without a `region` are in {set}, and a parameter, secret or \
             sign of ECS from {event} does not reach them"
        )
    })
}

/// `https://sqs.eu-west-1.amazonaws.com/111122223333/name`
fn account_of(url: &str) -> Option<AccountId> {
    let account = url.trim_end_matches('/').rsplit('/').nth(1)?;
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| account.into())
}

fn region_of(url: &str) -> Option<Region> {
    let (_, host) = url.split_once("://sqs.")?;
    let (region, rest) = host.split_once('.')?;
    rest.starts_with("amazonaws.").then(|| region.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        decode::decode,
        domain::Timestamp,
        settings::{Sources, load},
    };

    const QUEUE: (&str, &str) =
        ("LOCKKEEPER__QUEUE__URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/q");
    const THEIRS: &str = r#""account":"999900001111","region":"us-east-1","#;

    fn guess(place: &str, variables: &[(&str, &str)]) -> Home {
        let environment: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = load(&Sources { environment, ..Sources::default() }).expect("valid");
        let body = format!(r#"{{{place}"source":"x.y","detail-type":"Z"}}"#);
        Home::guess(&decode(body.as_bytes(), Timestamp::default()), &settings)
    }

    fn told(home: &Home) -> String {
        let Home { account, account_from, region, region_from, remarks } = home;
        format!("{account} {account_from:?}, {region} {region_from:?}, {} remarks", remarks.len())
    }

    #[test]
    fn the_event_tells_first_and_then_the_settings() {
        for (place, variables, expected) in [
            (THEIRS, &[][..], "999900001111 Event, us-east-1 Event, 0 remarks"),
            (THEIRS, &[QUEUE], "999900001111 Event, us-east-1 Event, 2 remarks"),
            ("", &[QUEUE], "111122223333 QueueUrl, eu-west-1 QueueUrl, 0 remarks"),
            (
                "",
                &[QUEUE, ("AWS_REGION", "eu-west-2")],
                "111122223333 QueueUrl, eu-west-2 AwsRegion, 0 remarks",
            ),
            ("", &[], "own Unknown, own Unknown, 0 remarks"),
        ] {
            assert_eq!(told(&guess(place, variables)), expected, "{place} {variables:?}");
        }
    }

    #[test]
    fn an_account_whose_events_are_allowed_is_not_our_own() {
        let allowed = ("LOCKKEEPER__AWS__ALLOWED_ACCOUNTS", "999900001111");
        assert_eq!(guess(THEIRS, &[allowed, QUEUE]).account, "111122223333".into());
        assert_eq!(guess(THEIRS, &[allowed]).account, OWN.into());
    }

    #[test]
    fn the_url_of_an_emulated_queue_tells_its_account_only() {
        let url = "http://127.0.0.1:4566/000000000000/q/";
        assert_eq!((account_of(url), region_of(url)), (Some("000000000000".into()), None));
        assert_eq!(account_of("http://127.0.0.1:4566/q"), None);
    }
}
