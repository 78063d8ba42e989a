//! What an event means, and what would happen because of it, in words.

use super::check;
use crate::{
    domain::{
        Base, Change, Decision, DecisionVerb, DefinitionChange, DeployRequest, Event, FollowedImage,
        HoldKind, HoldRecord, ImageChange, ImageSource, OnDelete, PushedImage, Rank, ReadyImage, Refresh,
        TargetId, TargetSettings, Trigger, Wanted, Write,
    },
    plan::Foreseen,
};

/// What follows from a sign of ECS.
pub(super) const LOOK: &str = "a look at it now; nothing is deployed because of it";

/// Whether the daemon asks which account the event is from: not of what it does not take anyway.
pub(super) fn is_checked(trigger: &Trigger) -> bool {
    !matches!(trigger, Trigger::Ignored(_) | Trigger::Malformed(_))
}

/// What happened, in one line; nothing for what is ignored or malformed, whose reason says it.
pub(in crate::cli) fn meaning(event: &Event) -> Option<String> {
    Some(match &event.trigger {
        Trigger::ImagePushed(image) => format!("{} was pushed", shown(image)),
        Trigger::ImageReplicated(image) => {
            let region = event.region.as_ref().map(|region| format!(" to {region}"));
            format!("{} was replicated{}", shown(image), region.unwrap_or_default())
        }
        Trigger::ImageScanned(scan) => format!(
            "the scan of {}@{} {}: {} critical, {} high",
            scan.repository,
            scan.digest,
            if scan.complete { "is complete" } else { "did not complete" },
            scan.critical,
            scan.high
        ),
        Trigger::ParameterChanged { name, change } => format!("parameter {name} was {}", past(*change)),
        Trigger::SecretChanged { secret, change } => format!("secret {secret} was {}", past(*change)),
        Trigger::EnvFileChanged { bucket, key, change } => {
            let written = if *change == Write::Deleted { "deleted" } else { "written" };
            format!("s3://{bucket}/{key} was {written}")
        }
        Trigger::ImageReady(image) => ready(image),
        Trigger::DeployRequested(request) => requested(request),
        Trigger::Decision(decision) => decided(decision),
        Trigger::RolloutChanged(hint) => {
            let reason = hint.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!(
                "ECS says {} of service {}{}{reason}",
                hint.event_name,
                hint.service,
                within(hint.cluster.as_deref())
            )
        }
        Trigger::TaskStopped(hint) => {
            let reason = hint.stopped.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("a task of service {}{} stopped{reason}", hint.service, within(Some(&hint.cluster)))
        }
        Trigger::HookWaiting(hint) => format!(
            "a deployment of service {}{} waits at hook {} in stage {}",
            hint.service,
            within(hint.cluster.as_deref()),
            hint.hook,
            hint.stage
        ),
        Trigger::Ignored(_) | Trigger::Malformed(_) => return None,
    })
}

/// Whether an event of this kind is about some of the targets, so that one may ask why not about the others.
pub(super) fn concerns_targets(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::ImagePushed(_)
        | Trigger::ImageReplicated(_)
        | Trigger::ParameterChanged { .. }
        | Trigger::SecretChanged { .. }
        | Trigger::EnvFileChanged { .. }
        | Trigger::ImageReady(_)
        | Trigger::DeployRequested(_)
        | Trigger::RolloutChanged(_)
        | Trigger::TaskStopped(_)
        | Trigger::HookWaiting(_) => true,
        Trigger::ImageScanned(_) | Trigger::Decision(_) | Trigger::Ignored(_) | Trigger::Malformed(_) => {
            false
        }
    }
}

/// Whether such an event says for which service it is, so that what services read does not matter.
pub(super) fn names_a_service(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::RolloutChanged(_) | Trigger::TaskStopped(_) | Trigger::HookWaiting(_) => true,
        // A tag alone is of the repository that the definition names.
        Trigger::DeployRequested(request) => !matches!(request.wanted, Wanted::Tag(_)),
        Trigger::ImagePushed(_)
        | Trigger::ImageReplicated(_)
        | Trigger::ImageScanned(_)
        | Trigger::ParameterChanged { .. }
        | Trigger::SecretChanged { .. }
        | Trigger::EnvFileChanged { .. }
        | Trigger::ImageReady(_)
        | Trigger::Decision(_)
        | Trigger::Ignored(_)
        | Trigger::Malformed(_) => false,
    }
}

/// What keeps a target back.
pub(super) fn held_back(hold: &HoldRecord) -> String {
    let what = match hold.kind {
        HoldKind::Paused => "it is paused: this would wait until it is resumed",
        HoldKind::Held => "it is held after a rollback: other content would wait until it is resumed",
    };
    let by = hold.by.as_ref().map(|by| format!("by {by}"));
    let since = hold.since.map(|since| format!("since {since}"));
    let why = hold.reason.as_ref().map(ToString::to_string);
    let parts: Vec<String> = by.into_iter().chain(since).chain(why).collect();
    if parts.is_empty() { what.into() } else { format!("{what} ({})", parts.join(", ")) }
}

/// What would become of a request as things are now.
pub(super) fn foreseen(foreseen: Foreseen) -> String {
    match foreseen {
        Foreseen::Nothing(why) => format!("nothing: {why}"),
        Foreseen::Settled(outcome, why) => format!("no rollout, {}: {why}", outcome.as_str()),
        Foreseen::SetAside(why) => format!("no rollout, the message would be set aside: {why}"),
        Foreseen::Watched(rollout) => format!("no other rollout: {rollout} goes on, and would be watched"),
        Foreseen::Waits(what) => format!("it would wait for {what}"),
        Foreseen::Started => "a rollout would be started".into(),
    }
}

/// What a target's settings say of such an event, where they say anything.
pub(super) fn policy(trigger: &Trigger, settings: &TargetSettings) -> Option<String> {
    match trigger {
        Trigger::ImagePushed(_) | Trigger::ImageReplicated(_) | Trigger::ImageReady(_) => {
            Some(format!("on_push: {}", check::policy(settings)))
        }
        Trigger::ParameterChanged { change, .. }
        | Trigger::SecretChanged { change, .. }
        | Trigger::EnvFileChanged { change, .. } => {
            (*change == Write::Deleted).then(|| format!("on_delete: {}", on_delete(settings.on_delete)))
        }
        Trigger::ImageScanned(_)
        | Trigger::DeployRequested(_)
        | Trigger::Decision(_)
        | Trigger::RolloutChanged(_)
        | Trigger::TaskStopped(_)
        | Trigger::HookWaiting(_)
        | Trigger::Ignored(_)
        | Trigger::Malformed(_) => None,
    }
}

/// What would happen at a target of which this is asked. What depends on what runs is a condition.
pub(super) fn would(change: &Change, target: &TargetId, settings: &TargetSettings) -> String {
    let base = base(&settings.base);
    let would = match change {
        Change::Refresh(Refresh::Restart) => format!("new tasks of {base}"),
        Change::Refresh(Refresh::Image(image)) => format!("new tasks of {base}, if it {}", follows(image)),
        Change::Image(image) => format!("a new revision of {base} {}", pins(image)),
        Change::Definition(asked) if let Some(why) = asked.is_foreign_to(target) => {
            return format!("a failure (definition_invalid): {why}");
        }
        Change::Definition(DefinitionChange { definition, back: Some(back), .. }) => {
            let hold = if back.hold { ", after which the target is held" } else { "" };
            format!("a rollout of {definition} if {} still runs{hold}", back.from)
        }
        Change::Definition(DefinitionChange { definition, .. }) => match definition.revision {
            Some(_) => format!("a rollout of {definition}, unless something newer was asked for"),
            None => format!(
                "a rollout of the newest ACTIVE revision of {definition}, unless something newer was asked for"
            ),
        },
    };
    if settings.dry_run { format!("dry run, so it would only be told: {would}") } else { would }
}

fn base(base: &Base) -> String {
    match base {
        Base::Running => "the running definition".into(),
        Base::Latest(None) => "the newest ACTIVE revision of the running definition's family".into(),
        Base::Latest(Some(family)) => format!("the newest ACTIVE revision of {family}"),
    }
}

fn follows(image: &FollowedImage) -> String {
    let FollowedImage { source, tag, digest, is_index: _, any_tag } = image;
    let repository = repository(source);
    let what = if *any_tag { format!("an image of {repository}") } else { format!("{repository}:{tag}") };
    let alone = if *any_tag { "" } else { " without a digest" };
    let known = if digest.is_some() { " and its tasks do not run that digest yet" } else { "" };
    format!("names {what}{}{alone}{known}", whereabouts(source))
}

fn pins(image: &ImageChange) -> String {
    let ImageChange { source, tag, digest, is_index: _, by_digest, policy, force } = image;
    let what = match (digest, tag) {
        (Some(digest), tag) if *by_digest || tag.is_none() => format!("@{digest}"),
        (_, Some(tag)) => format!(":{tag}"),
        (_, None) => String::new(),
    };
    let reference = format!("{}{what}", repository(source));
    let mut unless = Vec::new();
    if !force {
        unless.push("it runs already".to_owned());
    }
    match policy.as_ref().zip(tag.as_ref()).and_then(|(policy, tag)| Some((policy, policy.rank(tag)?))) {
        Some((_, Rank::ByPush)) => unless.push("a later push runs".into()),
        Some((policy, Rank::Number(_) | Rank::Semver(_) | Rank::Text(_))) => {
            unless.push(format!("something that ranks above it by {policy} runs"));
        }
        None => unless.push("something newer was asked for".into()),
    }
    format!("that names {reference}{}, unless {}", whereabouts(source), unless.join(" or "))
}

fn repository(source: &ImageSource) -> &str {
    source.repository.as_ref().map_or("(its repository)", |it| it.as_str())
}

/// In which container, or from which registry: a named container's registry is not asked for.
fn whereabouts(source: &ImageSource) -> String {
    match (&source.container, &source.home) {
        (Some(container), _) => format!(" in container {container}"),
        (None, Some((account, region))) => format!(" of registry {account} in {region}"),
        (None, None) => String::new(),
    }
}

fn shown(image: &PushedImage) -> String {
    let digest = image.digest.as_ref().map(|digest| format!(" ({digest})")).unwrap_or_default();
    format!("{}:{}{digest}", image.repository, image.tag)
}

fn ready(image: &ReadyImage) -> String {
    let ReadyImage { repository, tag, branch, commit } = image;
    format!(
        "a CI system says that {repository}:{tag} is ready{}",
        built_from(branch.as_deref(), commit.as_deref())
    )
}

fn requested(request: &DeployRequest) -> String {
    let DeployRequest { service, environment, wanted, force, reason, requested_by, branch, commit } = request;
    let who = requested_by.as_deref().unwrap_or("somebody");
    let wanted = match wanted {
        Wanted::Refresh => "new tasks".to_owned(),
        Wanted::Definition(definition) => format!("definition {definition}"),
        Wanted::Rollback(definition) => format!("a rollback to {definition}"),
        Wanted::Image(image) => format!("image {image}"),
        Wanted::Tag(tag) => format!("tag {tag}"),
    };
    let service = if service.is_empty() { "the backend".to_owned() } else { format!("`{service}`") };
    let environment = environment.as_ref().map(|it| format!(" in environment {it}")).unwrap_or_default();
    let force = if *force { ", even if it runs already" } else { "" };
    let built = built_from(branch.as_deref(), commit.as_deref());
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{who} asks for {wanted} at {service}{environment}{force}{built}{reason}")
}

fn decided(decision: &Decision) -> String {
    let verb = match decision.verb {
        DecisionVerb::Approve => "approves",
        DecisionVerb::Reject => "rejects",
        DecisionVerb::Cancel => "cancels",
        DecisionVerb::Pause => "pauses",
        DecisionVerb::Resume => "resumes",
    };
    let who = decision.by.as_deref().unwrap_or("somebody");
    let reason = decision.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{who} {verb} {}{reason}", decision.about)
}

fn built_from(branch: Option<&str>, commit: Option<&str>) -> String {
    let branch = branch.map(|branch| format!("branch {branch}"));
    let commit = commit.map(|commit| format!("commit {commit}"));
    let parts: Vec<String> = branch.into_iter().chain(commit).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn within(cluster: Option<&str>) -> String {
    cluster.map(|cluster| format!(" in cluster {cluster}")).unwrap_or_default()
}

fn past(change: Write) -> &'static str {
    match change {
        Write::Created => "created",
        Write::Updated => "updated",
        Write::Deleted => "deleted",
    }
}

fn on_delete(setting: OnDelete) -> &'static str {
    match setting {
        OnDelete::Warn => "warn",
        OnDelete::Deploy => "deploy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ContainerName, Subject, Timestamp};

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef";

    fn settings() -> TargetSettings {
        TargetSettings::named("api".into())
    }

    fn target() -> TargetId {
        "111122223333/eu-west-1/shop/api".parse().unwrap()
    }

    fn source(container: Option<&str>) -> ImageSource {
        let container = container.map(ContainerName::from);
        ImageSource { repository: Some("shop".into()), home: None, container }
    }

    fn image(policy: Option<&str>) -> ImageChange {
        ImageChange {
            source: source(None),
            tag: Some("2.1.0".into()),
            digest: Some(DIGEST.into()),
            is_index: None,
            by_digest: false,
            policy: policy.map(|policy| policy.parse().unwrap()),
            force: false,
        }
    }

    #[test]
    fn what_would_happen_names_what_it_depends_on() {
        let followed = |any_tag| FollowedImage {
            source: source(Some("web")),
            tag: "v1".into(),
            digest: None,
            is_index: None,
            any_tag,
        };
        let refresh = |any_tag| Change::Refresh(Refresh::Image(followed(any_tag)));
        let by_digest = ImageChange { by_digest: true, ..image(Some("semver:^2")) };
        let tag_alone = ImageSource { repository: None, home: None, container: None };
        let forced = ImageChange { source: tag_alone, digest: None, force: true, ..image(None) };
        let all = [
            Change::Refresh(Refresh::Restart),
            refresh(false),
            refresh(true),
            Change::Image(image(Some("newest"))),
            Change::Image(by_digest),
            Change::Image(forced),
            Change::Definition("shop:12".parse().unwrap()),
            Change::Definition("shop".parse().unwrap()),
            Change::Definition("arn:aws:ecs:us-east-1:999999999999:task-definition/shop:1".parse().unwrap()),
        ];
        let told: Vec<String> = all.iter().map(|change| would(change, &target(), &settings())).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        new tasks of the running definition
        new tasks of the running definition, if it names shop:v1 in container web without a digest
        new tasks of the running definition, if it names an image of shop in container web
        a new revision of the running definition that names shop:2.1.0, unless it runs already or a later push runs
        a new revision of the running definition that names shop@sha256:0123456789abcdef0123456789abcdef, unless it runs already or something that ranks above it by semver:^2 runs
        a new revision of the running definition that names (its repository):2.1.0, unless something newer was asked for
        a rollout of shop:12, unless something newer was asked for
        a rollout of the newest ACTIVE revision of shop, unless something newer was asked for
        a failure (definition_invalid): definition shop:1 was registered in 999999999999/us-east-1, and the service is in 111122223333/eu-west-1
        ");
    }

    #[test]
    fn the_base_of_a_deployment_is_named() {
        let latest = |family: Option<&str>| TargetSettings {
            base: Base::Latest(family.map(Into::into)),
            dry_run: family.is_none(),
            ..settings()
        };
        let told = [latest(Some("f")), latest(None)]
            .map(|it| would(&Change::Refresh(Refresh::Restart), &target(), &it));
        insta::assert_snapshot!(told.join("\n"), @r"
        new tasks of the newest ACTIVE revision of f
        dry run, so it would only be told: new tasks of the newest ACTIVE revision of the running definition's family
        ");
    }

    #[test]
    fn what_somebody_asked_for_is_told_with_who_and_why() {
        let request = DeployRequest {
            service: "".into(),
            environment: Some("dev".into()),
            wanted: Wanted::Tag("v1".into()),
            force: true,
            reason: Some("hotfix".into()),
            requested_by: Some("ann".into()),
            branch: Some("main".into()),
            commit: Some("abc".into()),
        };
        let decision = Decision {
            verb: DecisionVerb::Pause,
            about: Subject::All,
            by: None,
            reason: Some("freeze".into()),
        };
        let event = |trigger| Event {
            id: "e-1".into(),
            source: "x".into(),
            detail_type: "y".into(),
            account: None,
            region: None,
            time: Timestamp::default(),
            replay: None,
            metadata: None,
            trigger,
        };
        let told = [Trigger::DeployRequested(request), Trigger::Decision(decision)]
            .map(|trigger| meaning(&event(trigger)).unwrap());
        insta::assert_snapshot!(told.join("\n"), @r"
        ann asks for tag v1 at the backend in environment dev, even if it runs already (branch main, commit abc): hotfix
        somebody pauses all: freeze
        ");
    }
}
