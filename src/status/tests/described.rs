//! The description of the API says what the code does.

use std::collections::BTreeSet;

use super::*;
use crate::status::api::ROUTES;

async fn description() -> Value {
    let answer = get(&Sample::busy(), "/openapi.json").await;
    assert_eq!(answer.content_type(), "application/json");
    answer.json()
}

/// Every method and path that is described.
fn described(description: &Value) -> BTreeSet<(String, String)> {
    let paths = description["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn every_route_is_described_and_everything_that_is_described_is_a_route() {
    let health = ["/livez", "/readyz", "/health", "/metrics"].map(|path| ("GET".to_owned(), path.to_owned()));
    let routes = ROUTES;
    let routes = routes.iter().map(|(path, method, _)| (method.to_string(), (*path).to_owned()));
    assert_eq!(described(&description().await), routes.chain(health).collect());
}

#[tokio::test]
async fn every_change_is_described_with_a_token_and_every_error_that_it_can_have() {
    let description = description().await;
    for (method, path) in described(&description) {
        let operation = &description["paths"][&path][method.to_lowercase()];
        let statuses: BTreeSet<&str> =
            operation["responses"].as_object().expect("answers").keys().map(String::as_str).collect();
        if method == "POST" {
            assert_eq!(operation["security"], serde_json::json!([{ "token": [] }]), "{path}");
            for status in ["400", "401", "403", "404", "409", "413", "415", "429", "503"] {
                assert!(statuses.contains(status), "{path}: {statuses:?}");
            }
        }
        assert!(operation["description"].is_string() || operation["summary"].is_string(), "{path}");
    }
}

/// The properties that an object of this name has, and those that it must have.
fn properties(description: &Value, name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let schema = &description["components"]["schemas"][name];
    let (mut all, mut must) = (BTreeSet::new(), BTreeSet::new());
    for part in schema["allOf"].as_array().unwrap_or(&vec![schema.clone()]) {
        if let Some(other) = part["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let (theirs, required) = properties(description, other);
            all.extend(theirs);
            must.extend(required);
        } else {
            let own = part["properties"].as_object();
            all.extend(own.unwrap_or_else(|| panic!("{name} is not described")).keys().cloned());
            must.extend(
                part["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
        }
    }
    (all, must)
}

#[tokio::test]
async fn what_is_answered_has_the_shape_that_is_described() {
    let description = description().await;
    let sample = Sample::busy();
    for (path, name) in [
        ("/api/v1/targets/api", "Target"),
        ("/api/v1/targets/search", "Target"),
        ("/api/v1/deployments/d-bad0", "Deployment"),
        ("/api/v1/targets/nobody", "Problem"),
    ] {
        let answer = get(&sample, path).await.json();
        let answered: BTreeSet<String> = answer.as_object().expect("an object").keys().cloned().collect();
        let (all, required) = properties(&description, name);
        assert!(answered.is_subset(&all) && required.is_subset(&answered), "{name}: {answered:?}, {all:?}");
    }
}
