//! The log on stdout: JSON lines for machines, text for people.
//!
//! A line in JSON has `timestamp`, `level`, `message`, `project_name`, `environment` and `fields`. Lockkeeper's own
//! lines follow the level of the settings; libraries speak from `warn` on, because what they say below that may
//! hold bodies of requests. Whoever speaks, the credentials in URLs are left out.

use std::{
    fmt::{self, Write as _},
    io::IsTerminal,
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber, field, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use super::message::{self, Level};
use crate::domain::{Report, Timestamp, redacted};

/// How the log is written.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// From which level on Lockkeeper's own lines are written.
    pub level: Level,
    /// In which form.
    pub format: LogFormat,
    /// `project_name` of each line, where the settings name one.
    pub project: Option<Arc<str>>,
    /// `environment` of each line, where the settings name one.
    pub environment: Option<Arc<str>>,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Words.
    Text,
}

impl LogFormat {
    /// What is written where the settings say nothing: text on a terminal, else JSON.
    pub fn for_stdout() -> Self {
        if std::io::stdout().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Writes the log of this process to stdout from now on. Fails if that was said before.
pub fn install(settings: LogSettings) -> Result<(), tracing_subscriber::util::TryInitError> {
    subscriber(settings, std::io::stdout).try_init()
}

/// Writes a report to the log.
pub fn tell(report: &Report) {
    let line = message::line(report);
    let text = |wanted| match value(&line, wanted) {
        Some(message::Value::Text(text)) => Some(text.as_str()),
        Some(message::Value::Count(_)) | None => None,
    };
    let count = |wanted| match value(&line, wanted) {
        Some(message::Value::Count(count)) => Some(*count),
        Some(message::Value::Text(_)) | None => None,
    };
    macro_rules! write_at {
        ($level:expr) => {
            tracing::event!(
                target: "lockkeeper",
                $level,
                service = text("service"),
                deployment_id = text("deployment_id"),
                task_definition = text("task_definition"),
                event_id = text("event_id"),
                event_type = text("event_type"),
                attempt = count("attempt"),
                max_retries = count("max_retries"),
                outcome = text("outcome"),
                cause = text("cause"),
                error = text("error"),
                log_url = text("log_url"),
                "{}",
                line.message
            )
        };
    }
    match line.level {
        Level::Debug => write_at!(tracing::Level::DEBUG),
        Level::Info => write_at!(tracing::Level::INFO),
        Level::Warn => write_at!(tracing::Level::WARN),
        Level::Error => write_at!(tracing::Level::ERROR),
    }
}

fn value<'a>(line: &'a message::LogLine, wanted: &str) -> Option<&'a message::Value> {
    line.fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

fn subscriber<W>(settings: LogSettings, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Why a call is tried again, and after how long, is known to the SDK alone; of requests it says nothing there.
    let retries = if settings.level == Level::Debug { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("aws_smithy_runtime::client::retries", retries)
        .with_target("lockkeeper", LevelFilter::from(settings.level));
    let lines = tracing_subscriber::fmt::layer().event_format(Lines(settings)).with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// Writes each event as one line.
struct Lines(LogSettings);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = *event.metadata().level();
        let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        match self.0.format {
            LogFormat::Json => writeln!(writer, "{}", self.as_json(now, level, &said)),
            LogFormat::Text => writeln!(writer, "{}", as_text(now, level, &said)),
        }
    }
}

impl Lines {
    fn as_json(&self, timestamp: Timestamp, level: tracing::Level, said: &Said) -> String {
        let line = JsonLine {
            timestamp: timestamp.to_fixed(),
            level: level.as_str(),
            message: &said.message,
            project_name: self.0.project.as_deref(),
            environment: self.0.environment.as_deref(),
            fields: &said.fields,
        };
        serde_json::to_string(&line).expect("text, numbers and maps with keys of text are JSON")
    }
}

/// The shape of a line, which saved queries rely on.
#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: String,
    level: &'static str,
    message: &'a str,
    project_name: Option<&'a str>,
    environment: Option<&'a str>,
    fields: &'a Map<String, Value>,
}

/// The time of day, the level, the message, and those fields that the message does not say already.
fn as_text(now: Timestamp, level: tracing::Level, said: &Said) -> String {
    let now = now.to_string();
    let time = now.split_once('T').map_or(now.as_str(), |(_, time)| time.trim_end_matches('Z'));
    let second = time.split('.').next().unwrap_or(time);
    let mut line = format!("{second} {level:5} {}", said.message);
    for (name, value) in &said.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !said.message.contains(&value) {
            let _ = write!(line, " {name}={value}");
        }
    }
    line
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &field::Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = redacted(&text).into_owned(),
            (name, Value::String(text)) => {
                self.fields.insert(name.to_owned(), redacted(&text).into());
            }
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl field::Visit for Said {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use super::*;
    use crate::report::sample::{rolled_back, succeeded};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while this runs.
    fn written(level: Level, format: LogFormat, run: impl FnOnce()) -> String {
        let settings =
            LogSettings { level, format, project: Some("shop".into()), environment: Some("prod".into()) };
        let out = Written::default();
        let writer = out.clone();
        tracing::subscriber::with_default(subscriber(settings, move || writer.clone()), run);
        let bytes = out.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_in_json_has_the_shape_that_queries_expect() {
        let report = Report::Finished(Box::new(rolled_back()));
        let text = written(Level::Info, LogFormat::Json, || tell(&report));
        assert_eq!(text.lines().count(), 1);
        let mut line: Value = serde_json::from_str(&text).expect("JSON");
        let timestamp = line["timestamp"].take();
        assert!(Timestamp::parse(timestamp.as_str().expect("text")).is_some());
        insta::assert_snapshot!(serde_json::to_string_pretty(&line).expect("JSON"), @r#"
        {
          "environment": "prod",
          "fields": {
            "attempt": 1,
            "cause": "crash_loop",
            "deployment_id": "d-bad0",
            "error": "container web exited with 1, three times",
            "event_id": "e-3",
            "event_type": "image_ready",
            "log_url": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1",
            "outcome": "rolled_back",
            "service": "api",
            "task_definition": "chubby_api:13"
          },
          "level": "ERROR",
          "message": "deployment failed: d-bad0 of api rolled back to chubby_api:12 after 8 s, crash_loop: container web exited with 1, three times",
          "project_name": "shop",
          "timestamp": null
        }
        "#);
    }

    #[test]
    fn a_line_for_people_does_not_say_things_twice() {
        let report = Report::Finished(Box::new(succeeded()));
        let text = written(Level::Info, LogFormat::Text, || tell(&report));
        let (time, rest) = text.split_at(8);
        assert!(time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'), "{time}");
        insta::assert_snapshot!(rest.trim_end(), @" INFO  deployment d-12ab of api succeeded in 8 s for 2 events: chubby_api:13 event_id=e-1,e-2 event_type=image_pushed");
    }

    #[test]
    fn other_parts_of_the_program_write_the_same_shape() {
        let text = written(Level::Debug, LogFormat::Json, || {
            tracing::debug!(operation = "UpdateService", took_ms = 12_u64, ok = true, "a call was answered");
        });
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["message"], "a call was answered");
        let fields = serde_json::json!({ "operation": "UpdateService", "took_ms": 12, "ok": true });
        assert_eq!(line["fields"], fields);
    }

    #[test]
    fn no_line_tells_a_credential_of_a_url() {
        let text = written(Level::Debug, LogFormat::Json, || {
            let body = r#"{"run_url":"https://ann:planted@ci/7?token=planted&b=2"}"#;
            tracing::debug!(body, why = ?Some("https://planted@ci"), "event https://ann:planted@ci received");
        });
        assert!(
            !text.contains("planted") && text.contains("&b=2") && text.contains("event https://***@ci"),
            "{text}"
        );
    }

    #[test]
    fn the_level_is_that_of_the_settings_and_libraries_only_warn() {
        let speak = || {
            tracing::debug!("ours, in detail");
            tracing::info!("ours");
            tracing::debug!(target: "aws_smithy_runtime", "a body");
            tracing::warn!(target: "hyper", "a warning of a library");
        };
        let count = |level| written(level, LogFormat::Text, speak).lines().count();
        assert_eq!([Level::Debug, Level::Info, Level::Error].map(count), [3, 2, 1]);
    }
}
