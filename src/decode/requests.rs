//! What people, scripts and CI systems ask for. These are typed by hand, so each mistake is told by name and value.

use std::{borrow::Cow, fmt::Display, str::FromStr, sync::Arc};

use super::{
    Reading, Reason,
    envelope::{Envelope, kept},
    json::{Field, Object, quoted},
    rollbacks, unknown,
};
use crate::domain::{
    DeployRequest, ImageReference, ReadyImage, RepositoryName, Tag, Trigger, Wanted, is_tag,
};

/// The longest name of a service, in bytes: ECS's own limit.
const NAME_BYTES: usize = 255;

/// What an event from `action.production` or `action.deploy` means, whatever its detail-type.
pub(super) fn deploy(envelope: &Envelope) -> Reading {
    let detail = envelope.detail()?;
    let [service, reason, requested_by, force, refresh] =
        detail.pick(["service", "reason", "requested_by", "force", "refresh"])?;
    let service = service_of(service)?;
    let (force, refresh) = (force.flag()?.unwrap_or(false), refresh.flag()?);
    let (wanted, force) = match (content(detail)?, refresh) {
        // New tasks of what is asked, even if it runs already.
        (Some(content), refresh) => (content, force || refresh == Some(true)),
        (None, Some(false)) => return Err(nothing_wanted()),
        (None, _) => (Wanted::Refresh, force),
    };
    Ok(Trigger::DeployRequested(DeployRequest {
        service,
        wanted,
        force,
        reason: reason.note()?,
        requested_by: requested_by.note()?,
        ..DeployRequest::default()
    }))
}

/// What an event from `lockkeeper.request` means. Somebody waits for what comes of it, so an unknown one is set aside.
pub(super) fn own(envelope: &Envelope) -> Reading {
    match envelope.detail_type.trim() {
        kind if kind.eq_ignore_ascii_case("Deploy") => deploy(envelope),
        kind if kind.eq_ignore_ascii_case("Rollback") => rollbacks::read(envelope.detail()?),
        _ => {
            let kind = quoted(&envelope.detail_type);
            Err(format!("{kind} is no request: `detail-type` must be Deploy or Rollback"))
        }
    }
}

/// What an event from `github.actions`, or from `github.actions.<suffix>`, means.
pub(super) fn github(envelope: &Envelope, suffix: Option<&str>) -> Reading {
    let kind = envelope.detail_type.trim();
    match suffix {
        None if kind.eq_ignore_ascii_case("Deployment Ready") => image_ready(envelope.detail()?),
        _ if kind.eq_ignore_ascii_case("SERVICE_DEPLOY") => service_deploy(envelope.detail()?, suffix),
        _ => Ok(unknown(envelope)),
    }
}

fn image_ready(detail: Object) -> Reading {
    let [repository, tag, branch, commit] = detail.pick(["repository", "tag", "branch", "commit"])?;
    Ok(Trigger::ImageReady(ReadyImage {
        repository: repository_of(repository)?,
        tag: read_tag(tag, &typed(tag)?.ok_or_else(|| tag.must_be("the tag to deploy"))?)?,
        branch: branch.note()?,
        commit: commit.note()?,
    }))
}

fn service_deploy(detail: Object, suffix: Option<&str>) -> Reading {
    let [service, env, cause, branch, commit] =
        detail.pick(["service", "env", "trigger", "branch", "commit"])?;
    let suffix = suffix.map(str::trim).filter(|suffix| !suffix.is_empty());
    Ok(Trigger::DeployRequested(DeployRequest {
        service: service_of(service)?,
        environment: env.note()?.or_else(|| suffix.map(kept)),
        requested_by: cause.note()?,
        branch: branch.note()?,
        commit: commit.note()?,
        ..DeployRequest::default()
    }))
}

/// The name of the service; an empty one is the backend's.
pub(super) fn service_of(service: Field) -> Result<Arc<str>, Reason> {
    match typed(service)? {
        Some(name) if name.len() > NAME_BYTES || name.contains(char::is_control) => {
            Err(format!("{service} is {}, and must be the name of a service", quoted(&name)))
        }
        Some(name) => Ok((*name).into()),
        None => Err("the request must name a service: `service` in `detail` is missing".into()),
    }
}

/// The one content that is asked for, if any.
fn content(detail: Object) -> Result<Option<Wanted>, Reason> {
    let fields = detail.pick(["image", "tag", "task_definition", "taskDefinition"])?;
    let mut given = fields.into_iter().filter(|field| field.is_present());
    let first = given.next();
    if let (Some(one), Some(other)) = (first, given.next()) {
        return Err(format!("{one} and {other} are given together: which one is to be deployed?"));
    }
    let [image, tag, ..] = fields;
    let Some(text) = first.map(typed).transpose()?.flatten() else { return Ok(None) };
    if image.is_present() {
        let right = "an image: [registry/]repository[:tag][@digest]";
        parsed::<ImageReference>(image, &text, right).map(Wanted::Image).map(Some)
    } else if tag.is_present() {
        read_tag(tag, &text).map(Wanted::Tag).map(Some)
    } else {
        let [.., snake, camel] = fields;
        let field = if snake.is_present() { snake } else { camel };
        let right = "a task definition: family, family:revision, or an ARN";
        parsed(field, &text, right).map(Wanted::Definition).map(Some)
    }
}

/// A text without the white space around it, as people leave it there.
fn typed(field: Field<'_>) -> Result<Option<Cow<'_, str>>, Reason> {
    Ok(field.text()?.map(|text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }))
}

pub(super) fn parsed<T: FromStr>(field: impl Display, text: &str, right: &str) -> Result<T, Reason> {
    text.parse().map_err(|_| format!("{field} is {}, and must be {right}", quoted(text)))
}

pub(super) fn read_tag(field: impl Display, text: &str) -> Result<Tag, Reason> {
    let right = "a tag: up to 128 letters, digits, `_`, `.` and `-`, not led by `.` or `-`";
    if is_tag(text) {
        return Ok(text.into());
    }
    Err(format!("{field} is {}, and must be {right}", quoted(text)))
}

/// The repository alone. A registry before it is dropped: which registry is meant, the target's definition tells.
fn repository_of(field: Field) -> Result<RepositoryName, Reason> {
    let right = "a repository's name";
    let text = typed(field)?.ok_or_else(|| field.must_be(right))?;
    let image: ImageReference = parsed(field, &text, right)?;
    match (image.tag, image.digest) {
        (None, None) => Ok(image.repository),
        _ => Err(format!("{field} is {}, and must be {right}, without a tag or digest", quoted(&text))),
    }
}

fn nothing_wanted() -> Reason {
    "the request asks for nothing: `refresh` in `detail` is false, and no image, tag or task definition is named".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::tests::{ignored, malformed, trigger},
        domain::{DefinitionChange, Place},
    };

    fn request(source: &str, kind: &str, detail: &str) -> DeployRequest {
        match trigger(source, kind, detail) {
            Trigger::DeployRequested(request) => request,
            other => panic!("{detail}: {other:?}"),
        }
    }

    fn asked(detail: &str) -> DeployRequest {
        request("action.deploy", "DEPLOY", detail)
    }

    fn refused(detail: &str) -> String {
        malformed("action.deploy", "DEPLOY", detail)
    }

    #[test]
    fn a_request_that_names_only_a_service_is_a_refresh() {
        let expected = DeployRequest { service: "web".into(), ..DeployRequest::default() };
        for (source, kind) in [("action.production", "DEPLOY"), ("Action.Deploy", "whatever")] {
            assert_eq!(request(source, kind, r#"{"service":" web ","ticket":[1]}"#), expected);
        }
    }

    #[test]
    fn the_empty_service_is_a_service_and_none_is_not() {
        assert_eq!(&*asked(r#"{"service":""}"#).service, "");
        for detail in ["{}", r#"{"service":null}"#] {
            assert!(refused(detail).contains("must name a service"));
        }
        for name in ["w\\neb", &"w".repeat(256)] {
            assert!(refused(&format!(r#"{{"service":"{name}"}}"#)).contains("must be the name of a service"));
        }
        assert!(refused(r#"{"service":["web"]}"#).contains("`service` in `detail` is a list"));
    }

    #[test]
    fn a_request_names_what_it_wants_in_one_way() {
        let with = |field: &str| asked(&format!(r#"{{"service":"web",{field}}}"#)).wanted;
        let definition = Wanted::Definition("shop_web:4".parse().expect("valid"));
        assert_eq!(with(r#""task_definition":"shop_web:4""#), definition);
        let arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/shop_web:4";
        let home = Some(Place { account: "111122223333".into(), region: "eu-west-1".into() });
        let there = DefinitionChange { home, .."shop_web:4".parse().expect("valid") };
        assert_eq!(with(&format!(r#""taskDefinition":"{arn}""#)), Wanted::Definition(there));
        assert_eq!(
            with(r#""image":"h.x/shop/web:v4""#),
            Wanted::Image("h.x/shop/web:v4".parse().expect("valid"))
        );
        assert_eq!(with(r#""tag":" v4 ""#), Wanted::Tag("v4".into()));
        assert_eq!(with(r#""refresh":true,"tag":null"#), Wanted::Refresh);
    }

    #[test]
    fn two_wants_at_once_are_refused_by_name() {
        for (fields, names) in [
            (r#""image":"a:1","tag":"1""#, ["`image`", "`tag`"]),
            (r#""tag":"1","task_definition":"f""#, ["`tag`", "`task_definition`"]),
            (r#""task_definition":"f","taskDefinition":"f""#, ["`task_definition`", "`taskDefinition`"]),
        ] {
            let reason = refused(&format!(r#"{{"service":"web",{fields}}}"#));
            assert!(names.iter().all(|name| reason.contains(name)), "{reason}");
        }
    }

    #[test]
    fn what_cannot_be_deployed_is_refused_with_key_and_value() {
        for (key, value) in [
            ("image", "web:"),
            ("image", ""),
            ("tag", "v 4"),
            ("tag", ""),
            ("task_definition", "family:0"),
            ("taskDefinition", "a/b"),
        ] {
            let reason = refused(&format!(r#"{{"service":"web","{key}":"{value}"}}"#));
            assert!(
                reason.contains(&format!("`{key}`")) && reason.contains(&format!("`{value}`")),
                "{reason}"
            );
        }
        assert!(refused(r#"{"service":"web","tag":4}"#).contains("`tag` in `detail` is a number"));
    }

    #[test]
    fn flags_may_be_typed_as_texts() {
        assert!(asked(r#"{"service":"web","force":"True"}"#).force);
        assert!(!asked(r#"{"service":"web","force":false}"#).force);
        assert!(refused(r#"{"service":"web","force":"maybe"}"#).contains("`force`"));
    }

    #[test]
    fn a_refresh_beside_content_means_new_tasks_in_any_case() {
        let request = asked(r#"{"service":"web","tag":"v4","refresh":true}"#);
        assert_eq!((request.wanted, request.force), (Wanted::Tag("v4".into()), true));
        assert!(refused(r#"{"service":"web","refresh":false}"#).contains("asks for nothing"));
    }

    #[test]
    fn who_asks_and_why_is_kept() {
        let request = asked(r#"{"service":"web","reason":"hot\u0007fix","requested_by":"ann"}"#);
        assert_eq!(request.reason.as_deref(), Some("hot\u{fffd}fix"));
        assert_eq!(request.requested_by.as_deref(), Some("ann"));
        assert!(refused(r#"{"service":"web","reason":{}}"#).contains("`reason`"));
    }

    #[test]
    fn the_name_of_a_service_has_255_bytes_at_most() {
        let named = |name: String| format!(r#"{{"service":"{name}"}}"#);
        assert_eq!(asked(&named("s".repeat(255))).service.len(), 255);
        assert!(refused(&named("s".repeat(256))).contains("must be the name of a service"));
        assert!(refused(&named("s\\u0007s".into())).contains("must be the name of a service"));
    }

    #[test]
    fn what_people_ask_us_for_is_read_as_what_they_put_on_the_queue_themselves() {
        let detail = r#"{"service":"111122223333/eu-west-1/shop/web","tag":"v4","requested_by":"ann"}"#;
        let ours = request("lockkeeper.request", "deploy", detail);
        assert_eq!(ours, asked(detail));
        assert!(malformed("lockkeeper.request", "Undo", detail).contains("must be Deploy or Rollback"));
    }

    #[test]
    fn another_action_is_not_ours() {
        assert!(ignored("action.staging", "DEPLOY", r#"{"service":"web"}"#).contains("action.staging"));
    }

    #[test]
    fn a_deployment_that_is_ready_is_an_image_ready() {
        let detail = r#"{"repository":"shop/web","tag":"4f2a","branch":"main","commit":"4f2a9"}"#;
        let expected = ReadyImage {
            repository: "shop/web".into(),
            tag: "4f2a".into(),
            branch: Some("main".into()),
            commit: Some("4f2a9".into()),
        };
        for kind in ["Deployment Ready", "DEPLOYMENT READY"] {
            assert_eq!(trigger("GitHub.Actions", kind, detail), Trigger::ImageReady(expected.clone()));
        }
    }

    #[test]
    fn a_ready_image_needs_a_repository_and_a_tag() {
        let kind = "Deployment Ready";
        for (detail, name) in [
            (r#"{"tag":"1"}"#, "`repository`"),
            (r#"{"repository":"web"}"#, "`tag`"),
            (r#"{"repository":"web","tag":"a:b"}"#, "`tag`"),
            (r#"{"repository":"web:2","tag":"1"}"#, "without a tag"),
        ] {
            let reason = malformed("github.actions", kind, detail);
            assert!(reason.contains(name), "{reason}");
        }
        let Trigger::ImageReady(image) =
            trigger("github.actions", kind, r#"{"repository":"h.example/shop/web","tag":"1"}"#)
        else {
            panic!("not ready")
        };
        assert_eq!(image.repository.as_str(), "shop/web");
    }

    #[test]
    fn a_service_deploy_is_for_the_environment_that_it_names_or_comes_from() {
        let read = |source: &str, env: &str| {
            let detail =
                format!(r#"{{"service":"web","commit":"4f2a","branch":"main","trigger":"push"{env}}}"#);
            request(source, "service_deploy", &detail)
        };
        assert_eq!(read("github.actions.dev", r#","env":"prod""#).environment.as_deref(), Some("prod"));
        assert_eq!(read("GitHub.Actions.Dev", "").environment.as_deref(), Some("Dev"));
        assert_eq!(read("github.actions", "").environment, None);
        let request = read("github.actions.dev", "");
        assert_eq!((&*request.service, &request.wanted), ("web", &Wanted::Refresh));
        assert_eq!(request.requested_by.as_deref(), Some("push"));
        assert_eq!((request.commit.as_deref(), request.branch.as_deref()), (Some("4f2a"), Some("main")));
        assert!(malformed("github.actions.dev", "SERVICE_DEPLOY", "{}").contains("must name a service"));
    }

    #[test]
    fn an_environment_in_the_source_is_as_harmless_as_one_in_the_detail() {
        let source = format!(r"github.actions.d\u001b{}", "e".repeat(9_000));
        let environment = request(&source, "SERVICE_DEPLOY", r#"{"service":"web"}"#).environment;
        let environment = environment.expect("there");
        assert!(environment.starts_with("d\u{fffd}e") && environment.chars().count() == 257, "{environment}");
    }

    #[test]
    fn other_news_of_ci_is_ignored() {
        assert!(ignored("github.actions", "Tests Passed", "{}").contains("Tests Passed"));
        assert!(ignored("github.actions.dev", "Deployment Ready", "{}").contains("github.actions.dev"));
    }
}
