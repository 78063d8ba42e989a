//! Where it is traced how deployments go.

use std::{collections::BTreeMap, sync::Arc};

use super::Secret;

/// A collector of OpenTelemetry, and how what is sent to it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRules {
    /// Where it takes traces, by OTLP over HTTP: the whole URL.
    pub url: Arc<str>,
    /// The headers by which it knows who sends, with names in lower case.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// What is said of who sends, the name of the service among it.
    pub resource: BTreeMap<Arc<str>, Arc<str>>,
}
