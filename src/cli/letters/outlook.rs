//! What would follow if a letter were put back: decoded and routed as the daemon does, by the settings of this command, or by
//! all that the daemon knows where it is asked itself.

use serde::Serialize;

use super::letter::Letter;
use crate::{
    cli::explain::{Reached, Targets},
    domain::{AccountId, Region, TargetId, Timestamp, Verdict},
    engine::RoutesNow,
    route::Arrival,
    settings::Settings,
};

/// What the settings say of events.
pub(in crate::cli) struct Outlook {
    targets: Targets,
    accounts: Vec<AccountId>,
    /// Whether there may be targets that are not known here.
    discovers: bool,
}

/// What would follow.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Follows {
    pub(in crate::cli) result: Verdict,
    /// Why nothing (more) would.
    pub(in crate::cli) reason: Option<String>,
    /// Those that it would reach.
    pub(in crate::cli) targets: Vec<Reached>,
}

impl Outlook {
    /// By these settings, in this account and Region, and by what the loop knows of what discovery found.
    pub(in crate::cli) fn new(
        account: AccountId,
        region: &Region,
        settings: Settings,
        live: Option<RoutesNow>,
    ) -> Self {
        let mut accounts = settings.aws.allowed_accounts.clone();
        let is_whole = live.as_ref().is_some_and(|live| live.whole);
        let discovers = settings.discovery.is_some() && !is_whole;
        let targets = Targets::at(&account, region, settings);
        let targets = match live {
            Some(live) => targets.routed_by(live.routes),
            None => targets,
        };
        accounts.push(account);
        Self { targets, accounts, discovers }
    }

    /// The target that is called so.
    pub(in crate::cli) fn resolve(&self, name: &str) -> Option<TargetId> {
        self.targets.resolve(name)
    }

    /// Whether there may be targets that are not known here.
    pub(in crate::cli) fn may_discover(&self) -> bool {
        self.discovers
    }

    /// Why no target is called so as far as is known here, and who knows more.
    pub(in crate::cli) fn unknown(&self, name: &str) -> Option<String> {
        let discovered = "; of what discovery finds, the names that tags give are known to the daemon alone: say --url, or \
                          ECS's name";
        let more = if self.discovers { discovered } else { "" };
        Some(self.targets.unknown(name)? + more)
    }

    /// What people call this target.
    pub(in crate::cli) fn name_of(&self, target: &TargetId) -> String {
        self.targets.name_of(target).to_string()
    }

    /// What would follow if this letter were put back.
    pub(in crate::cli) fn follows(&self, letter: &Letter, force: bool) -> Follows {
        let nothing = |result, reason| Follows { result, reason: Some(reason), targets: Vec::new() };
        if let Some(why) = letter.is_not_understood() {
            return nothing(Verdict::ComesBack, why);
        }
        if let Some(account) = letter.event.account.as_ref().filter(|it| !self.accounts.contains(it)) {
            return nothing(Verdict::Refused, format!("account {account} is not allowed"));
        }
        let arrival = Arrival {
            version: letter.version,
            // Whatever comes of it is later than all that was seen until now.
            floor: Timestamp::from_millis(i64::MAX),
            confined_to: letter.target().map(|target| [target.clone()].into()),
        };
        let (targets, reason, is_unclear) = self.targets.asked_by(&letter.event, &arrival, force);
        if is_unclear {
            return Follows { result: Verdict::ComesBack, reason, targets };
        }
        match (targets.is_empty(), self.discovers) {
            (true, true) => {
                nothing(Verdict::NotKnown, "discovery was not asked, or has not read everything".into())
            }
            (true, false) => Follows { result: Verdict::AsksNothing, reason, targets },
            (false, _) => Follows { result: Verdict::Asks, reason, targets },
        }
    }
}

impl Follows {
    /// That nothing follows, and why; also where something does, if its targets are told beside it.
    pub(in crate::cli) fn in_words(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{}{reason}", in_words(self.result))
    }
}

/// What a verdict is for people.
fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Asks => "it is asked for",
        Verdict::AsksNothing => "nothing follows, and the message is deleted",
        Verdict::NotKnown => {
            "it is for a target that discovery finds; `lockkeeper explain` tells what follows"
        }
        Verdict::Refused => "it is refused, and the message deleted",
        Verdict::ComesBack => "it is set aside again",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::{
        super::letter::tests::{message, set_aside},
        *,
    };
    use crate::{
        aws::queue::RawMessage,
        domain::{Dependency, Discovered, Place, TargetSettings},
        route::Routes,
        settings::{self, Sources},
    };

    /// A shop whose api pins its images by semver, and whose web reads the same images.
    pub(in crate::cli::letters) fn shop() -> Outlook {
        shop_with("")
    }

    fn shop_with(more: &str) -> Outlook {
        shop_where(more, None)
    }

    fn shop_where(more: &str, live: Option<RoutesNow>) -> Outlook {
        let document = r#"
            [defaults]
            on_push = "pin"
            tags = "semver:*"
            [[target]]
            name = "the-api"
            cluster = "shop"
            service = "api"
            repositories = ["api"]
            [[target]]
            name = "web"
            cluster = "shop"
            service = "web"
            repositories = ["web"]
        "#;
        let environment = [("LOCKKEEPER_CONFIG_TOML".to_owned(), format!("{document}{more}"))].into();
        let settings = settings::load(&Sources { environment, ..Sources::default() }).expect("valid");
        Outlook::new("111122223333".into(), &"eu-west-1".into(), settings, live)
    }

    fn follows(message: &RawMessage, force: bool) -> Follows {
        shop().follows(&Letter::read(message), force)
    }

    #[test]
    fn a_letter_leads_to_what_its_event_asks_of_its_target_alone() {
        let follows = follows(&set_aside(), false);
        assert_eq!((follows.result, follows.targets.len()), (Verdict::Asks, 1));
        assert_eq!(follows.targets[0].name.as_str(), "the-api");
    }

    #[test]
    fn a_letter_for_a_target_that_its_event_does_not_reach_any_more_leads_to_nothing() {
        let mut other = set_aside();
        other.attributes.insert("lockkeeper.target".into(), "111122223333/eu-west-1/shop/web".into());
        assert_eq!(follows(&other, false).result, Verdict::AsksNothing);
    }

    #[test]
    fn what_only_discovery_knows_is_not_said_to_lead_to_nothing() {
        let outlook = shop_with("[discovery]\nclusters = ['*']");
        let mut other = set_aside();
        other.attributes.insert("lockkeeper.target".into(), "111122223333/eu-west-1/shop/found".into());
        assert_eq!(outlook.follows(&Letter::read(&other), false).result, Verdict::NotKnown);
    }

    #[test]
    fn a_name_that_no_target_has_is_unknown_and_one_that_discovery_may_know_is_asked_of_the_daemon() {
        for known in ["the-api", "api", "111122223333/eu-west-1/shop/api"] {
            assert_eq!(shop().unknown(known), None);
        }
        let told = "no target is called `found`; known are the-api, web";
        assert_eq!(shop().unknown("found").as_deref(), Some(told));
        let told = shop_with("[discovery]\nclusters = ['*']").unknown("found").expect("unknown");
        assert!(
            told.contains("known are the-api, web; of what discovery finds") && told.contains("--url"),
            "{told}"
        );
    }

    #[test]
    fn the_daemon_knows_what_would_follow_for_a_target_that_discovery_found() {
        let found = "111122223333/eu-west-1/shop/found";
        let follows = |service: &str, whole| {
            let place = Place { account: "111122223333".into(), region: "eu-west-1".into() };
            let mut routes = Routes::new(place.account.clone(), place.region.clone(), Vec::new(), None);
            routes.learn(Discovered {
                target: found.parse().expect("valid"),
                settings: Arc::new(TargetSettings::named("found".into())),
                refused: None,
                dependencies: vec![Dependency::Repository {
                    registry: Some(place),
                    name: "api".into(),
                    container: "web".into(),
                }],
            });
            let outlook = shop_where("[discovery]\nclusters = ['*']", Some(RoutesNow { routes, whole }));
            let mut other = set_aside();
            let target = format!("111122223333/eu-west-1/shop/{service}");
            other.attributes.insert("lockkeeper.target".into(), target);
            let follows = outlook.follows(&Letter::read(&other), false);
            (follows.result, follows.targets.first().map(|it| it.name.to_string()))
        };
        assert_eq!(follows("found", true), (Verdict::Asks, Some("found".into())));
        assert_eq!(follows("gone", true), (Verdict::AsksNothing, None));
        assert_eq!(follows("gone", false), (Verdict::NotKnown, None), "it may not have been read yet");
    }

    #[test]
    fn what_is_forced_is_not_ranked_by_a_policy() {
        let would = |force| follows(&set_aside(), force).targets[0].would.clone();
        assert!(would(false).contains("ranks above"), "{}", would(false));
        assert!(!would(true).contains("ranks above"), "{}", would(true));
    }

    #[test]
    fn what_nobody_understands_comes_back_and_a_stranger_is_refused() {
        let malformed = RawMessage { body: "x".into(), ..message(&[]) };
        assert_eq!(follows(&malformed, false).result, Verdict::ComesBack);
        let body = message(&[]).body.replace("111122223333", "999900001111");
        assert_eq!(follows(&RawMessage { body, ..message(&[]) }, true).result, Verdict::Refused);
    }
}
