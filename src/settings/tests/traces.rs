//! Where it is traced.

use super::*;
use crate::domain::{Secret, TraceRules};

const DOCUMENT: &str = "LOCKKEEPER_CONFIG_TOML";

fn traces(pairs: &[(&str, &str)]) -> Option<TraceRules> {
    from_environment(pairs).expect("valid").traces
}

fn url(pairs: &[(&str, &str)]) -> Option<String> {
    traces(pairs).map(|it| it.url.to_string())
}

fn wrong(pairs: &[(&str, &str)]) -> String {
    from_environment(pairs).expect_err("wrong").to_string()
}

#[test]
fn nothing_is_traced_until_there_is_an_endpoint() {
    assert_eq!(traces(&[]), None);
    assert_eq!(traces(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]), None);
    assert_eq!(traces(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
}

#[test]
fn the_path_for_traces_is_added_but_to_an_endpoint_for_traces_only() {
    let (all, own) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    for (endpoint, posted) in [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://otlp.example.com/otlp/", "https://otlp.example.com/otlp/v1/traces"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
    ] {
        assert_eq!(url(&[(all, endpoint)]).as_deref(), Some(posted));
        let document = format!("[traces]\nendpoint = '{endpoint}'");
        assert_eq!(url(&[(DOCUMENT, &document)]).as_deref(), Some(posted));
    }
    assert_eq!(url(&[(all, "http://a"), (own, "http://b/x")]).as_deref(), Some("http://b/x"));
}

#[test]
fn what_is_set_here_wins_over_the_variables_of_opentelemetry() {
    let document = "[traces]\nendpoint = 'http://here'\nheaders = 'k=ours'\nservice_name = 'locks'";
    let rules = traces(&[
        (DOCUMENT, document),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://there"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "k=theirs"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_SERVICE_NAME", "other"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=third,team=shop%20floor"),
    ]);
    let rules = rules.expect("on");
    assert_eq!(&*rules.url, "http://here/v1/traces");
    assert_eq!(rules.headers, [("k".into(), Secret::from("ours"))]);
    let resource: Vec<(&str, &str)> =
        rules.resource.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(resource, [("service.name", "locks"), ("team", "shop floor")]);
}

#[test]
fn headers_are_names_and_values_and_nothing_of_them_is_shown() {
    let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
    let rules = traces(&[
        at,
        ("OTEL_EXPORTER_OTLP_HEADERS", "general=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Basic%20aGk6, x-team = shop ,"),
    ]);
    let rules = rules.expect("on");
    let headers: Vec<(&str, &str)> =
        rules.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
    assert_eq!(headers, [("authorization", "Basic aGk6"), ("x-team", "shop")]);
    assert!(!format!("{rules:?}").contains("aGk6"));
    for broken in ["hunter2", "=hunter2", "a b=hunter2", "a=hunter2%0a", "a=hunter2%4", "a=hunter2%zz"] {
        let told = wrong(&[at, ("OTEL_EXPORTER_OTLP_HEADERS", broken)]);
        assert!(told.contains("OTEL_EXPORTER_OTLP_HEADERS is not a list of headers"), "{told}");
        let of_document = wrong(&[(DOCUMENT, &format!("[traces]\nheaders = '{broken}'"))]);
        assert!(!told.contains("hunter2") && !of_document.contains("hunter2"), "{told} {of_document}");
    }
}

#[test]
fn opentelemetry_may_be_switched_off_as_a_whole() {
    let document = (DOCUMENT, "[traces]\nendpoint = 'http://here'");
    assert_eq!(traces(&[document, ("OTEL_SDK_DISABLED", "True")]), None);
    assert_eq!(traces(&[document, ("OTEL_TRACES_EXPORTER", "none")]), None);
    assert!(traces(&[document, ("OTEL_SDK_DISABLED", "1")]).is_some(), "as the specification has it");
}

#[test]
fn what_cannot_be_is_told_with_what_would_be_right() {
    insta::assert_snapshot!(wrong(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ]), @r#"
    OTEL_EXPORTER_OTLP_PROTOCOL is a protocol that Lockkeeper does not speak; set it to http/protobuf and OTEL_EXPORTER_OTLP_ENDPOINT to where the collector takes that, as http://localhost:4318, or OTEL_SDK_DISABLED to true
    OTEL_RESOURCE_ATTRIBUTES is not a list of names and values; write it as "name=value,name=value"
    "#);
    insta::assert_snapshot!(told_of("[traces]\nendpoint = 'localhost:4318'"), @r#"
    LOCKKEEPER_CONFIG_TOML:2: traces.endpoint = "localhost:4318" is not a URL that begins with http:// or https://; write it as "http://localhost:4318"
    "#);
    insta::assert_snapshot!(told_of("[traces]\nendpoint = 'http://ann:hunter2@collector'"), @r#"
    LOCKKEEPER_CONFIG_TOML:2: traces.endpoint has more than a host and a path; write it as "http://localhost:4318", and keys as headers
    "#);
}
