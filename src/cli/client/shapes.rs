//! What the API answers, as far as commands read it. What is not here is passed over, so that a command understands newer
//! daemons, too.

use serde::Deserialize;

use crate::domain::{ImageReference, Timestamp};

/// A target.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Target {
    pub(in crate::cli) id: String,
    pub(in crate::cli) name: String,
    pub(in crate::cli) running: Option<Running>,
    #[serde(default)]
    pub(in crate::cli) rollout: Option<Rollout>,
    #[serde(default)]
    pub(in crate::cli) refused: Option<String>,
    pub(in crate::cli) lane: Lane,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Running {
    pub(in crate::cli) definition: String,
    pub(in crate::cli) images: Vec<Image>,
    pub(in crate::cli) since: Option<String>,
    pub(in crate::cli) by: Option<String>,
}

/// A rollout that no deployment of the daemon watches.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Rollout {
    pub(in crate::cli) definition: String,
    pub(in crate::cli) by: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Image {
    pub(in crate::cli) container: String,
    #[serde(rename = "image")]
    pub(in crate::cli) name: String,
    pub(in crate::cli) digest: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Lane {
    pub(in crate::cli) state: String,
    pub(in crate::cli) deployment: Option<String>,
    #[serde(default)]
    pub(in crate::cli) next: Option<String>,
    pub(in crate::cli) waiting: u64,
    pub(in crate::cli) until: Option<String>,
    pub(in crate::cli) why: Option<String>,
    pub(in crate::cli) hold: Option<Hold>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Hold {
    pub(in crate::cli) kind: String,
    pub(in crate::cli) by: Option<String>,
    pub(in crate::cli) since: Option<String>,
    pub(in crate::cli) reason: Option<String>,
}

/// A deployment.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Deployment {
    pub(in crate::cli) id: String,
    target: String,
    /// Daemons that do not tell it are asked, too.
    #[serde(default)]
    target_name: Option<String>,
    pub(in crate::cli) changes: Vec<String>,
    #[serde(default)]
    pub(in crate::cli) triggers: Vec<Trigger>,
    pub(in crate::cli) stage: String,
    pub(in crate::cli) outcome: Option<String>,
    pub(in crate::cli) cause: Option<String>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) definition: Option<String>,
    pub(in crate::cli) previous_definition: Option<String>,
    pub(in crate::cli) attempts: u32,
    pub(in crate::cli) started_at: Option<String>,
    pub(in crate::cli) finished_at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Trigger {
    pub(in crate::cli) kind: String,
    pub(in crate::cli) reason: String,
}

/// What was put on the queue.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Accepted {
    pub(in crate::cli) event_id: String,
    #[serde(default)]
    pub(in crate::cli) target: Option<String>,
}

/// The way back.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct WayBack {
    target: String,
    #[serde(default)]
    target_name: Option<String>,
    pub(in crate::cli) from: String,
    pub(in crate::cli) to: String,
    /// Daemons that do not tell these are asked, too.
    #[serde(default)]
    pub(in crate::cli) from_images: Vec<Image>,
    #[serde(default)]
    pub(in crate::cli) to_images: Vec<Image>,
    pub(in crate::cli) images: std::collections::BTreeMap<String, String>,
    pub(in crate::cli) follow: std::collections::BTreeMap<String, String>,
    pub(in crate::cli) hold: bool,
    /// What keeps the target back already.
    #[serde(default)]
    pub(in crate::cli) hold_now: Option<Hold>,
}

impl Running {
    /// The tag of each image, or the beginning of its digest, with the container where there are several, and the definition.
    /// What is named as the service or the family comes before what runs beside it.
    pub(in crate::cli) fn in_short(&self, service: &str) -> String {
        let family = self.definition.rsplit_once(':').map_or(&*self.definition, |(family, _)| family);
        let mut images: Vec<&Image> = self.images.iter().collect();
        images.sort_by_key(|it| !(it.is_named_as(service) || it.is_named_as(family)));
        let tags = images.iter().filter_map(|it| Some((it.container.as_str(), it.version()?)));
        let tags: Vec<String> = match self.images.len() {
            0 | 1 => tags.map(|(_, tag)| tag).collect(),
            _ => tags.map(|(container, tag)| format!("{container} {tag}")).collect(),
        };
        if tags.is_empty() {
            self.definition.clone()
        } else {
            format!("{} ({})", tags.join(", "), self.definition)
        }
    }
}

impl Rollout {
    /// What it brings, and whose it is.
    pub(in crate::cli) fn told(&self) -> String {
        match &self.by {
            Some(by) => format!("{by} rolls out {}", self.definition),
            // New tasks of a revision bear no mark of who started them, and ours may not be back yet after a crash.
            None => format!("not known whether ours: {}", self.definition),
        }
    }
}

impl Image {
    /// Whether its repository has the name of this, or a part of it, as `team/api` of `shop_api`.
    fn is_named_as(&self, name: &str) -> bool {
        let Ok(image) = self.name.parse::<ImageReference>() else { return false };
        let repository = image.repository.as_str().rsplit('/').next().unwrap_or_default();
        repository.contains(name) || name.contains(repository)
    }

    /// Its tag, or else the beginning of its digest.
    pub(in crate::cli) fn version(&self) -> Option<String> {
        let image: ImageReference = self.name.parse().ok()?;
        let digest = image.digest.as_ref().map(ToString::to_string).or_else(|| self.digest.clone());
        image.tag.map(|tag| tag.to_string()).or_else(|| digest.map(|digest| short(&digest)))
    }
}

impl Image {
    /// Its tag and the beginning of its digest, as far as they are known.
    pub(in crate::cli) fn tag_and_digest(&self) -> Option<String> {
        let image: ImageReference = self.name.parse().ok()?;
        let digest = image.digest.as_ref().map(ToString::to_string).or_else(|| self.digest.clone());
        let parts = [image.tag.map(|tag| tag.to_string()), digest.map(|digest| short(&digest))];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl WayBack {
    /// What people call its target.
    pub(in crate::cli) fn called(&self) -> &str {
        self.target_name.as_deref().unwrap_or_else(|| service(&self.target))
    }
}

impl Deployment {
    /// What people call its target.
    pub(in crate::cli) fn called(&self) -> &str {
        self.target_name.as_deref().unwrap_or_else(|| service(&self.target))
    }

    /// How long it took, in seconds.
    pub(in crate::cli) fn seconds(&self) -> Option<u64> {
        let at = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
        let (began, ended) = (at(&self.started_at)?, at(&self.finished_at)?);
        Some(ended.since(began).as_secs())
    }
}

/// The beginning of a digest, as people compare it.
pub(in crate::cli) fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// The last part of a target's id, which is ECS's name of the service.
pub(in crate::cli) fn service(target: &str) -> &str {
    target.rsplit('/').next().unwrap_or(target)
}

/// A time without its fraction of a second.
pub(in crate::cli) fn when(time: &str) -> String {
    Timestamp::parse(time).map_or_else(
        || time.to_owned(),
        |at| Timestamp::from_millis(at.as_millis().div_euclid(1_000) * 1_000).to_string(),
    )
}

/// The same where there is little room: of today only the time of day.
pub(in crate::cli) fn when_in(width: Option<usize>, now: Timestamp, time: &str) -> String {
    let whole = when(time);
    let (Some(_), Some((day, clock))) = (width, whole.split_once('T')) else { return whole };
    let now = now.to_string();
    match (now.starts_with(day), day.get(..4) == now.get(..4)) {
        (true, _) => clock.trim_end_matches('Z').to_owned(),
        (false, true) => format!("{} {}", day.get(5..).unwrap_or(day), clock.get(..5).unwrap_or(clock)),
        (false, false) => day.to_owned(),
    }
}

/// The same id where there is little room: ECS's are long, and their beginnings tell them apart.
pub(in crate::cli) fn id_in(width: Option<usize>, id: &str) -> String {
    const ENOUGH: usize = 16;
    if width.is_none() || id.chars().count() <= ENOUGH {
        return id.to_owned();
    }
    id.chars().take(ENOUGH - 1).chain(['…']).collect()
}

/// So many seconds, as people say it.
pub(in crate::cli) fn lasting(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_told_by_its_tag_or_else_its_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let image =
            |image: &str| Image { container: "web".into(), name: image.into(), digest: Some(digest.clone()) };
        assert_eq!(image("h.x/shop/api:1.4").version().as_deref(), Some("1.4"));
        assert_eq!(image("h.x/shop/api").version().as_deref(), Some("sha256:0a0a0a0a0a0a"));
        let running = Running {
            definition: "api:3".into(),
            images: vec![image("a:1"), image("b:2")],
            since: None,
            by: None,
        };
        assert_eq!(running.in_short("shop"), "web 1, web 2 (api:3)");
        let beside = |container: &str, name: &str| Image { container: container.into(), ..image(name) };
        let images = vec![beside("log", "h.x/sidecar:v1"), beside("web", "h.x/team/shop_api:latest")];
        let running = Running { images, ..running };
        assert_eq!(running.in_short("prod_shop_api"), "web latest, log v1 (api:3)");
    }

    #[test]
    fn a_time_that_something_took_is_told_in_two_units_at_most() {
        for (seconds, told) in [(5, "5 s"), (65, "1 min 5 s"), (3_725, "1 h 2 min")] {
            assert_eq!(lasting(seconds), told);
        }
        assert_eq!(when("2026-11-01T12:00:00.123Z"), "2026-11-01T12:00:00Z");
    }
}
