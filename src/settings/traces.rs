//! `[traces]`: where it is traced how deployments go. OpenTelemetry's own variables count, too, as with every program that
//! speaks it; what is set here wins over them, and over everything the one that says that nothing is to be sent.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    notify::secret,
    problems::{Complaints, Origin, Wrong},
    section::Section,
    values::text,
};
use crate::domain::{Secret, TraceRules};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// The path at which OTLP takes traces, below an endpoint for all that it takes.
const PATH: &str = "/v1/traces";
/// The name under which every backend looks for who sends.
const NAME_OF_SERVICE: &str = "service.name";

type Read<T> = Result<T, Wrong>;

/// Where it is traced, if anywhere.
pub(super) fn read(
    section: &mut Section<'_>,
    environment: &BTreeMap<String, String>,
    complaints: &Complaints,
) -> Option<TraceRules> {
    let endpoint = section.take("endpoint", |it| url(text(it)?).map(below));
    let keys = ["headers", "headers_env", "headers_file"];
    let written = secret(section, keys, environment, |it| headers(it).map(drop));
    let named = section.take("service_name", |it| text(it).map(Arc::from));
    let variables = Variables { environment, complaints };
    if variables.are_off() {
        return None;
    }
    if section.get("endpoint").is_none() && !variables.have_endpoint() {
        return None;
    }
    let url = endpoint.or_else(|| variables.endpoint());
    let of_settings = written.and_then(|it| headers(it.expose()).ok());
    let headers = of_settings.or_else(|| variables.headers()).unwrap_or_default();
    let mut resource: BTreeMap<_, _> =
        variables.take(RESOURCE, pairs).unwrap_or_default().into_iter().collect();
    if let Some(name) = named.or_else(|| variables.take(SERVICE_NAME, |it| Ok(it.into()))) {
        resource.insert(NAME_OF_SERVICE.into(), name);
    }
    Some(TraceRules { url: url?, headers, resource })
}

/// OpenTelemetry's variables. An empty one counts as unset.
struct Variables<'a> {
    environment: &'a BTreeMap<String, String>,
    complaints: &'a Complaints,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of a variable, which is never shown: it may hold a key.
    fn take<T>(&self, name: &str, read: impl FnOnce(&str) -> Read<T>) -> Option<T> {
        let complain = |wrong| {
            self.complaints.add(&Origin::new(name), name, None, Wrong { secret: true, ..wrong });
        };
        read(self.get(name)?).map_err(complain).ok()
    }

    fn are_off(&self) -> bool {
        let says = |name, word: &str| self.get(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
        says(DISABLED, "true") || says(EXPORTER, "none")
    }

    fn have_endpoint(&self) -> bool {
        [TRACES_ENDPOINT, ENDPOINT].into_iter().any(|name| self.get(name).is_some())
    }

    fn endpoint(&self) -> Option<Arc<str>> {
        let whole = self.take(TRACES_ENDPOINT, |it| url(it).map(Arc::from));
        let url = whole.or_else(|| self.take(ENDPOINT, |it| url(it).map(below)))?;
        let spoken = PROTOCOL.into_iter().find(|name| self.get(name).is_some());
        spoken.map_or(Some(()), |name| self.take(name, protocol))?;
        Some(url)
    }

    fn headers(&self) -> Option<Vec<(Arc<str>, Secret)>> {
        let name = HEADERS.into_iter().find(|name| self.get(name).is_some())?;
        self.take(name, headers)
    }
}

fn protocol(text: &str) -> Read<()> {
    if text == "http/protobuf" {
        return Ok(());
    }
    let mend = format!(
        "set it to http/protobuf and {ENDPOINT} to where the collector takes that, as http://localhost:4318, or \
         {DISABLED} to true"
    );
    Err(Wrong::new("is a protocol that Lockkeeper does not speak", mend))
}

/// The URL for traces below an endpoint.
fn below(endpoint: &str) -> Arc<str> {
    let bare = endpoint.trim_end_matches('/');
    if bare.ends_with(PATH) { bare.into() } else { format!("{bare}{PATH}").into() }
}

fn url(text: &str) -> Read<&str> {
    let form = r#"write it as "http://localhost:4318""#;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']));
    if !has_host || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Wrong::new("is not a URL that begins with http:// or https://", form));
    }
    if text.contains(['@', '?', '#']) {
        let mend = format!("{form}, and keys as headers");
        return Err(Wrong { secret: true, ..Wrong::new("has more than a host and a path", mend) });
    }
    Ok(text)
}

fn headers(text: &str) -> Read<Vec<(Arc<str>, Secret)>> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let header = |(name, value): (Arc<str>, Arc<str>)| {
        let is_valid =
            name.chars().all(is_of_name) && value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        let name = name.to_ascii_lowercase().into();
        is_valid.then(|| (name, Secret::from(&*value))).ok_or_else(|| no_pairs("headers"))
    };
    pairs(text).map_err(|_| no_pairs("headers"))?.into_iter().map(header).collect()
}

/// Names and values as OpenTelemetry writes them: `a=1,b=2`, values with `%20` and its like.
fn pairs(text: &str) -> Read<Vec<(Arc<str>, Arc<str>)>> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((Arc::from(name), decoded(value.trim())?.into()))
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts.map(pair).collect::<Option<_>>().ok_or_else(|| no_pairs("names and values"))
}

fn no_pairs(what: &str) -> Wrong {
    let form = r#"write it as "name=value,name=value""#;
    Wrong { secret: true, ..Wrong::new(format!("is not a list of {what}"), form) }
}

/// A text in which `%` and two digits stand for a byte.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}
