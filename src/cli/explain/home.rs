//! In which account and Region Lockkeeper would run: as AWS tells, or as far as that can be known without it.

use serde::Serialize;

use super::check::OWN;
use crate::{
    cli::estate::region_of,
    domain::{AccountId, Event, Place, Region},
    settings::Settings,
};

/// The account and Region that count as Lockkeeper's own in an explanation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Home {
    pub(super) account: AccountId,
    pub(super) account_from: Source,
    pub(super) region: Region,
    pub(super) region_from: Source,
    /// What it means that the event is from elsewhere, and what is not known here.
    pub(super) remarks: Vec<String>,
    /// Why the daemon would not take the event, if it would not.
    #[serde(skip)]
    pub(super) refusal: Option<String>,
}

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    QueueUrl,
    AwsRegion,
    /// STS, asked whose credentials these are.
    Sts,
    /// AWS's profile, or the host.
    Profile,
    /// Nothing but the event, which may as well be from elsewhere.
    Event,
    /// Nobody does.
    Unknown,
}

impl Home {
    /// What the settings tell; where they do not, the event's own, as most events come from where Lockkeeper runs. An
    /// account whose events are allowed is another one by what the setting means.
    pub(super) fn guess(event: &Event, settings: &Settings) -> Self {
        let url = settings.queue.url.as_deref();
        let allowed = &settings.aws.allowed_accounts;
        let theirs = event.account.as_ref().filter(|it| !allowed.contains(it));
        let (account, account_from) = None
            .or_else(|| settings.queue.account().map(|it| (it, Source::QueueUrl)))
            .or_else(|| theirs.map(|it| (it.clone(), Source::Event)))
            .unwrap_or((OWN.into(), Source::Unknown));
        let (region, region_from) = None
            .or_else(|| settings.aws.region.clone().map(|it| (it, Source::AwsRegion)))
            .or_else(|| url.and_then(region_of).map(|it| (it, Source::QueueUrl)))
            .or_else(|| event.region.clone().map(|it| (it, Source::Event)))
            .unwrap_or((OWN.into(), Source::Unknown));
        let mut home = Self::new(event, settings, (account, account_from), (region, region_from));
        let unasked =
            || "what discovery would find is not asked for here: only targets of the settings are told";
        home.remarks.extend(settings.discovery.as_ref().map(|_| unasked().to_owned()));
        home
    }

    /// As AWS tells.
    pub(super) fn told(event: &Event, settings: &Settings, place: &Place) -> Self {
        let from = if settings.aws.region.is_some() { Source::AwsRegion } else { Source::Profile };
        let Place { account, region } = place.clone();
        Self::new(event, settings, (account, Source::Sts), (region, from))
    }

    fn new(
        event: &Event,
        settings: &Settings,
        (account, account_from): (AccountId, Source),
        (region, region_from): (Region, Source),
    ) -> Self {
        let theirs = event.account.as_ref().filter(|it| !settings.aws.allowed_accounts.contains(it));
        let is_sure = matches!(account_from, Source::QueueUrl | Source::Sts);
        let foreign = theirs.filter(|it| is_sure && **it != account);
        let elsewhere = event.region.as_ref().filter(|it| region_from != Source::Unknown && **it != region);
        let remarks = elsewhere.map(|theirs| other_region(theirs, &region)).into_iter().collect();
        Self { account, account_from, region, region_from, remarks, refusal: foreign.map(refused) }
    }
}

impl Source {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::QueueUrl => "from queue.url",
            Self::AwsRegion => "from AWS_REGION",
            Self::Sts => "as STS says",
            Self::Profile => "from AWS's profile",
            Self::Event => "assumed, because the event is from there",
            Self::Unknown => "not known here",
        }
    }
}

fn refused(account: &AccountId) -> String {
    format!("account {account} is not allowed: it is neither ours nor one of aws.allowed_accounts")
}

fn other_region(theirs: &Region, ours: &Region) -> String {
    format!(
        "the event is from {theirs}: targets without a `region` are in {ours}, and a parameter, secret or sign of ECS \
         from {theirs} does not reach them"
    )
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
        let Home { account, account_from, region, region_from, remarks, refusal } = home;
        let refused = if refusal.is_some() { ", refused" } else { "" };
        let remarks = remarks.len();
        format!("{account} {account_from:?}, {region} {region_from:?}, {remarks} remarks{refused}")
    }

    #[test]
    fn the_settings_tell_first_and_the_event_only_where_they_do_not() {
        let london = ("AWS_REGION", "eu-west-2");
        for (place, variables, expected) in [
            (THEIRS, &[][..], "999900001111 Event, us-east-1 Event, 0 remarks"),
            (THEIRS, &[QUEUE], "111122223333 QueueUrl, eu-west-1 QueueUrl, 1 remarks, refused"),
            (THEIRS, &[london], "999900001111 Event, eu-west-2 AwsRegion, 1 remarks"),
            ("", &[QUEUE], "111122223333 QueueUrl, eu-west-1 QueueUrl, 0 remarks"),
            ("", &[QUEUE, london], "111122223333 QueueUrl, eu-west-2 AwsRegion, 0 remarks"),
            ("", &[], "own Unknown, own Unknown, 0 remarks"),
        ] {
            assert_eq!(told(&guess(place, variables)), expected, "{place} {variables:?}");
        }
    }

    #[test]
    fn an_account_whose_events_are_allowed_is_not_our_own() {
        let allowed = ("LOCKKEEPER__AWS__ALLOWED_ACCOUNTS", "999900001111");
        assert_eq!(
            told(&guess(THEIRS, &[allowed, QUEUE])),
            "111122223333 QueueUrl, eu-west-1 QueueUrl, 1 remarks"
        );
        assert_eq!(guess(THEIRS, &[allowed]).account, OWN.into());
    }

    #[test]
    fn the_url_of_an_emulated_queue_tells_its_account_only() {
        let told =
            told(&guess(THEIRS, &[("LOCKKEEPER__QUEUE__URL", "http://127.0.0.1:4566/000000000000/q/")]));
        assert!(told.starts_with("000000000000 QueueUrl") && !told.contains("eu-west-1 QueueUrl"), "{told}");
        assert_eq!(region_of("http://127.0.0.1:4566/000000000000/q/"), None);
    }
}
