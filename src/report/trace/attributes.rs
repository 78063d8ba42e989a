//! What is said of a deployment, of what it carries and of what was seen of it, under the names of OpenTelemetry's conventions
//! where those have one, and else under names that begin with `lockkeeper`.

use crate::domain::{
    Adopted, Cause, DeploymentRecord, Digest, Metadata, Origin, Outcome, RunningImage, StoppedTask,
};

/// Names and values.
pub type Attributes = Vec<(&'static str, Value)>;

/// What is known under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Texts.
    Texts(Vec<String>),
}

/// The line for people in an event.
const MESSAGE: &str = "lockkeeper.message";
/// No text is longer, in characters: of what others wrote, a page is enough.
const LONGEST_TEXT: usize = 2_000;

pub(super) fn of_task(task: &StoppedTask) -> Attributes {
    let mut known = Known::default();
    known.text("lockkeeper.task.id", Some(&task.task));
    known.text("lockkeeper.task.stop_code", task.stop_code.as_ref());
    known.text("lockkeeper.task.reason", task.reason.as_ref());
    known.text("lockkeeper.container.name", task.container.as_ref());
    known.text("lockkeeper.container.reason", task.container_reason.as_ref());
    known.number("lockkeeper.container.exit_code", task.exit_code.map(i64::from));
    known.text("lockkeeper.log_url", task.log_url.as_ref());
    known.0
}

pub(super) fn attributes(record: &DeploymentRecord) -> Attributes {
    let DeploymentRecord { target, triggers, images, rollout, .. } = record;
    let service_deployment = rollout.as_ref().and_then(|key| key.service_deployment.as_ref());
    let mut known = Known::default();
    known.text("deployment.id", Some(&record.id));
    known.text("deployment.status", record.outcome.and_then(status));
    known.text("cloud.account.id", Some(target.account()));
    known.text("cloud.region", Some(target.region()));
    known.text("lockkeeper.target.id", Some(target));
    known.text("lockkeeper.target.name", Some(&record.name));
    known.text("lockkeeper.cluster", Some(target.cluster()));
    known.text("lockkeeper.service", Some(target.service()));
    known.text("lockkeeper.outcome", record.outcome.map(Outcome::as_str));
    known.text("lockkeeper.cause", record.cause.map(Cause::as_str));
    known.text("lockkeeper.reason", record.reason.as_ref());
    known.text("lockkeeper.trigger", triggers.first().map(|origin| origin.kind.as_str()));
    known.texts("lockkeeper.event.ids", triggers.iter().map(|origin| &origin.event_id));
    known.texts("lockkeeper.changes", &record.changes);
    known.text("lockkeeper.rollout.id", record.rollout_id.as_ref());
    known.text("lockkeeper.rollout.arn", service_deployment);
    known.text("lockkeeper.adopted", record.adopted.map(whose));
    known.text("lockkeeper.definition", record.definition.as_ref());
    known.text("lockkeeper.previous_definition", record.previous_definition.as_ref());
    known.texts("lockkeeper.images", images.iter().map(|it| format!("{}={}", it.container, it.image)));
    known.texts("lockkeeper.tags", images.iter().filter_map(|it| it.image.tag.as_ref()));
    known.texts("lockkeeper.digests", images.iter().filter_map(digest));
    known.number("lockkeeper.attempts", Some(i64::from(record.attempts)));
    known.0
}

fn digest(image: &RunningImage) -> Option<&Digest> {
    image.digest.as_ref().or(image.image.digest.as_ref())
}

/// Whose a rollout was that was taken over.
fn whose(adopted: Adopted) -> &'static str {
    match adopted {
        Adopted::Ours => "ours",
        Adopted::Unknown => "unknown",
    }
}

/// As OpenTelemetry has it, which knows two ends.
fn status(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Succeeded | Outcome::AlreadyRunning => Some("succeeded"),
        Outcome::Failed | Outcome::RolledBack => Some("failed"),
        Outcome::Superseded | Outcome::Cancelled | Outcome::DryRun => None,
    }
}

pub(super) fn of_trigger(origin: &Origin) -> Attributes {
    let mut known = Known::default();
    known.text("lockkeeper.trigger", Some(origin.kind.as_str()));
    known.text("lockkeeper.event.id", Some(&origin.event_id));
    known.text(MESSAGE, Some(&origin.reason));
    known.text("lockkeeper.by", origin.by.as_ref());
    known.text("lockkeeper.replayed_by", origin.replayed_by.as_ref());
    if let Some(metadata) = &origin.metadata {
        let Metadata {
            user,
            commit,
            branch,
            repository,
            repository_url,
            platform,
            run_id,
            run_url,
            traceparent: _,
        } = &**metadata;
        known.text("user.name", user.as_ref());
        known.text("vcs.ref.head.revision", commit.as_ref());
        known.text("vcs.ref.head.name", branch.as_ref());
        known.text("vcs.repository.name", repository.as_ref());
        known.text("vcs.repository.url.full", repository_url.as_ref());
        known.text("cicd.system.component", platform.as_ref());
        known.text("cicd.pipeline.run.id", run_id.as_ref());
        known.text("cicd.pipeline.run.url.full", run_url.as_ref());
    }
    known.0
}

pub(super) fn message(says: &str) -> Attributes {
    vec![(MESSAGE, Value::Text(short(says)))]
}

/// Gathers what is known.
#[derive(Default)]
struct Known(Attributes);

impl Known {
    fn text(&mut self, name: &'static str, value: Option<impl ToString>) {
        let value = value.map(|value| short(&value.to_string())).filter(|value| !value.is_empty());
        self.0.extend(value.map(|value| (name, Value::Text(value))));
    }

    fn texts(&mut self, name: &'static str, values: impl IntoIterator<Item = impl ToString>) {
        let values: Vec<String> = values.into_iter().map(|value| short(&value.to_string())).collect();
        self.0.extend((!values.is_empty()).then_some((name, Value::Texts(values))));
    }

    fn number(&mut self, name: &'static str, value: Option<i64>) {
        self.0.extend(value.map(|value| (name, Value::Number(value))));
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}
