//! P5: one honest outcome. What the daemon said of its deployments, held against what became of the rollouts.

use serde_json::Value;

use super::{
    Broken,
    asked::{Meaning, Wish},
    facts::{Facts, Fate, Rollout},
    newest::versions_of,
};
use crate::estate::Target;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for said in &facts.record.said {
        let Some(claim) = Claim::of(said) else { continue };
        if let Some(what) = claim.is_false(facts) {
            let call = facts.calls_by(claim.at);
            let what = format!("{what}: {}", said["message"].as_str().unwrap_or_default());
            broken.push(Broken::new("P5", call, Some(claim.target.name), what));
        }
    }
    for letter in &facts.letters {
        let target = letter.target.as_deref().and_then(|id| Target::named(id.rsplit('/').next()?));
        let Some(target) = target.filter(|_| letter.outcome.as_deref() == Some("rolled_back")) else {
            continue;
        };
        let is_so = |it: &Rollout| matches!(it.fate_at(letter.at), Fate::RolledBack | Fate::Failed);
        if !facts.rollouts[target.name].iter().any(is_so) {
            let what = format!("a letter says that {} was rolled back, and it never was", target.name);
            broken.push(Broken::new("P5", letter.call, Some(target.name), what));
        }
    }
}

/// What was said of the end of a deployment.
pub(super) struct Claim<'a> {
    pub(super) at: u64,
    pub(super) target: &'static Target,
    outcome: &'a str,
    definition: Option<&'a str>,
    pub(super) events: Vec<&'a str>,
    is_unverified: bool,
}

impl<'a> Claim<'a> {
    pub(super) fn of(said: &'a Value) -> Option<Self> {
        let fields = &said["fields"];
        let timestamp: jiff::Timestamp = said["timestamp"].as_str()?.parse().ok()?;
        Some(Self {
            at: u64::try_from(timestamp.as_millisecond()).ok()?,
            target: Target::named(fields["service"].as_str()?)?,
            outcome: fields["outcome"].as_str()?,
            definition: fields["task_definition"].as_str(),
            events: fields["event_id"].as_str().unwrap_or_default().split(',').collect(),
            is_unverified: said["message"].as_str()?.contains("digest unverified"),
        })
    }

    fn is_false(&self, facts: &Facts<'_>) -> Option<String> {
        let rollouts = &facts.rollouts[self.target.name];
        let names = |it: &&Rollout| self.definition.is_none_or(|definition| definition == it.definition);
        let became = |fate| rollouts.iter().filter(names).rfind(|it| it.fate_at(self.at) == fate);
        match self.outcome {
            "succeeded" => match (self.definition, became(Fate::Succeeded)) {
                (Some(_), Some(rollout)) => self.is_not_as_asked(facts, rollout),
                _ => Some("said to have succeeded, and no such rollout was complete".to_owned()),
            },
            "rolled_back" => (became(Fate::RolledBack).is_none() && became(Fate::Failed).is_none())
                .then(|| "said to be rolled back, and no such rollout was".to_owned()),
            "already_running" => {
                became(Fate::Succeeded).is_none().then(|| "said to run already, and it does not".to_owned())
            }
            "failed" | "superseded" | "cancelled" => None,
            other => Some(format!("`{other}` is no outcome that can be here")),
        }
    }

    /// Whether it runs something else than the newest image that these events asked for.
    fn is_not_as_asked(&self, facts: &Facts<'_>, rollout: &Rollout) -> Option<String> {
        let asked = facts.asked_of(self.target.name).filter(|(message, _)| match &message.meaning {
            Meaning::Asks { event, .. } => self.events.contains(&event.as_str()),
            Meaning::Unreadable => false,
        });
        let image = |wish: &Wish| match wish {
            Wish::Image(image) | Wish::Tagged(image, _) => Some(image.clone()),
            Wish::Definition(definition) => Some(facts.content_of(definition)),
            Wish::Followed(_) | Wish::Fresh => None,
        };
        let images = asked.filter_map(|(_, asked)| Some((asked.version, image(&asked.wish)?)));
        let (version, newest) = images.max()?;
        let is_it = newest == rollout.content() || newest == rollout.named;
        // It may carry something newer, too, whose message has yet to come back to the process that took it over.
        let call = facts.calls_by(self.at);
        let is_newer =
            || versions_of(facts, self.target.name, rollout.content(), call).any(|other| other > version);
        (!is_it && !self.is_unverified && !is_newer())
            .then(|| format!("said to have succeeded, and {} runs instead of {newest}", rollout.content()))
    }
}
