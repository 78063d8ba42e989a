//! Who is told how deployments go, and of what.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::Serialize;

use super::{Glob, Outcome, TargetId, TargetName};

/// A text that nobody may see: a token, a URL that whoever knows it may post to, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text, for who sends it to where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Everybody who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyRules {
    /// People in Slack.
    pub slack: Option<SlackRules>,
    /// Programs that take signed JSON.
    pub webhooks: Vec<WebhookRules>,
    /// Rules of EventBridge.
    pub eventbridge: Option<BusRules>,
    /// Subscribers of a topic.
    pub sns: Option<TopicRules>,
}

/// How Slack is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackRules {
    /// By what.
    pub way: SlackWay,
    /// Who is mentioned when something failed, as Slack writes it: `<!here>`, `<@U012AB3CD>`.
    pub mention: Option<Arc<str>>,
    /// What buttons need; without it there are none.
    pub buttons: Option<SlackButtons>,
    /// Of what.
    pub filter: NoticeFilter,
}

/// By what Slack is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlackWay {
    /// An incoming webhook: each message stands by itself.
    Webhook(Secret),
    /// A bot: one message per deployment, which is updated.
    Bot {
        /// The bot's token.
        token: Secret,
        /// The channel's id or name.
        channel: Arc<str>,
        /// Where Slack's API is.
        api_url: Arc<str>,
    },
}

/// What buttons in Slack need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackButtons {
    /// By which Slack signs what it sends.
    pub signing_secret: Secret,
    /// The ids of the people in Slack who may ask for changes.
    pub operators: BTreeSet<Arc<str>>,
}

/// How a program is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRules {
    /// What logs and metrics call it.
    pub name: Arc<str>,
    /// Where it listens.
    pub url: Secret,
    /// By which what is sent is signed.
    pub secret: Option<Secret>,
    /// Of what.
    pub filter: NoticeFilter,
}

/// How EventBridge is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusRules {
    /// The bus, by name or ARN.
    pub bus: Arc<str>,
    /// The events' source.
    pub source: Arc<str>,
    /// Whether it is told which commit and run a deployment is of.
    pub metadata: bool,
    /// Of what.
    pub filter: NoticeFilter,
}

/// How a topic is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// Its ARN.
    pub topic: Arc<str>,
    /// Of what.
    pub filter: NoticeFilter,
}

/// Of what somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Of which targets: patterns of names or ids.
    pub targets: Vec<Glob>,
    /// Of which ends of deployments.
    pub outcomes: BTreeSet<Outcome>,
    /// That which stages began, and that they ended, but for the end of a deployment.
    pub stages: BTreeSet<NoticeStage>,
    /// Also of rollouts that we did not start.
    pub foreign: bool,
}

impl NoticeFilter {
    /// Whether this target is among them.
    pub fn is_of(&self, target: &TargetId, name: &TargetName) -> bool {
        let id = target.to_string();
        self.targets.iter().any(|glob| glob.matches(name.as_str()) || glob.matches(&id))
    }
}

/// What begins and ends, and is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeStage {
    /// The whole.
    Deployment,
    /// Its definition is made, and its rollout asked for.
    Definition,
    /// ECS rolls it out.
    Rollout,
    /// What ran before is put back.
    Rollback,
}

impl NoticeStage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Deployment, Self::Definition, Self::Rollout, Self::Rollback];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Definition => "definition",
            Self::Rollout => "rollout",
            Self::Rollback => "rollback",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::from("xoxb-hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", SlackWay::Webhook(secret.clone())),
            "(secret) Webhook((secret))"
        );
        assert_eq!(secret.expose(), "xoxb-hunter2");
    }

    #[test]
    fn a_target_is_meant_by_its_name_or_by_its_id() {
        let target: TargetId = "111122223333/eu-west-1/shop/shop_api".parse().expect("valid");
        let is_of = |pattern: &str| {
            let targets = vec![Glob::new(pattern)];
            let filter = NoticeFilter { targets, outcomes: [].into(), stages: [].into(), foreign: false };
            filter.is_of(&target, &"api".into())
        };
        for (pattern, is_meant) in
            [("*", true), ("api", true), ("a?i", true), ("*/shop/*", true), ("web", false)]
        {
            assert_eq!(is_of(pattern), is_meant, "{pattern}");
        }
    }
}
