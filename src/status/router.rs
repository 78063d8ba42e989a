//! Which path is answered by what, within which limits.

use std::{any::Any, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    handler::Handler as _,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
};

use super::{
    StatusState, access,
    access::Reader,
    api::{self, ReadErrors},
    listener, page, problem,
    problem::Problem,
    slack,
};

/// Far more than anything that can be asked for takes.
const LARGEST_BODY_BYTES: usize = 32 * 1024;
/// Answers are made from memory, or by a few calls to AWS. What takes longer has a client that sends slowly, or waits for
/// somebody who does not answer.
const SLOWEST_ANSWER: Duration = Duration::from_secs(15);
/// Pages may load styles, scripts and pictures from here, ask only here, and load nothing from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                       connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything that is answered over HTTP.
pub fn router(state: StatusState) -> Router {
    let paths = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .merge(
            page::routes()
                .route_layer(middleware::from_fn_with_state(state.clone(), access::only_readers))
                .route_layer(middleware::from_fn_with_state(state.clone(), page::for_people)),
        )
        .merge(api::routes())
        .fallback(nowhere.layer(middleware::from_fn_with_state(state.clone(), page::for_people)))
        .layer(middleware::from_fn_with_state(state.clone(), access::identify))
        .with_state(state.clone());
    let pressed = slack::routes().with_state(state);
    let pressed = within_limits(pressed, SLOWEST_ANSWER, slack::LARGEST_BODY_BYTES);
    with_headers(pressed.merge(within_limits(paths, SLOWEST_ANSWER, LARGEST_BODY_BYTES)))
}

/// Answers until it is to stop, then lets requests in flight end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    listener::serve(listener, router, stop).await;
}

async fn nowhere() -> Problem {
    StatusCode::NOT_FOUND.into()
}

fn within_limits(router: Router, slowest: Duration, largest_body: usize) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, slowest))
        .layer(RequestBodyLimitLayer::new(largest_body))
        .layer(middleware::from_fn(problem::for_every_error))
}

/// Outermost, so that errors of the layers below have them too.
fn with_headers(router: Router) -> Router {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    headers
        .into_iter()
        .fold(router, |router, (name, value)| {
            router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
        })
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
}

/// Whether the process turns.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It does", body = serde_json::Value),
        (status = 503, description = "It does not", body = serde_json::Value)))]
pub(super) async fn livez(State(state): State<StatusState>) -> Response {
    let (now, at) = state.clock.now();
    let report = state.health.assess(now);
    let body = serde_json::json!({
        "ok": report.is_alive(),
        "parts": { "loop": report.turning.to_json(at) },
    });
    (status_of(report.is_alive()), Json(body)).into_response()
}

/// Whether every part of it is as it should be.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Every one is", body = serde_json::Value),
        (status = 503, description = "One is not, and which", body = serde_json::Value)))]
pub(super) async fn readyz(State(state): State<StatusState>) -> Response {
    let (now, at) = state.clock.now();
    let report = state.health.assess(now);
    (status_of(report.is_ready()), Json(report.to_json(at))).into_response()
}

/// The same as `/readyz`.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "Every one is", body = serde_json::Value),
        (status = 503, description = "One is not, and which", body = serde_json::Value)))]
pub(super) async fn health(state: State<StatusState>) -> Response {
    readyz(state).await
}

/// What is counted, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", security((), ("token" = [])),
    responses((status = 200, description = "It", content_type = "text/plain", body = String), ReadErrors))]
pub(super) async fn metrics(State(state): State<StatusState>, _: Reader) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let (now, at) = state.clock.now();
    (kind, state.metrics.render(&state.latest(), &state.health.assess(now), at)).into_response()
}

fn status_of(sound: bool) -> StatusCode {
    if sound { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer gives it so")]
fn panicked(why: Box<dyn Any + Send>) -> Response {
    let text = why.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let what = text.or_else(|| why.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(error = what, "answering a request panicked");
    Problem::from(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    use super::*;

    async fn status_at(path: &str) -> (StatusCode, HeaderValue) {
        let router = Router::new()
            .route("/panics", get(async || -> StatusCode { panic!("on purpose") }))
            .route("/hangs", get(async || std::future::pending::<StatusCode>().await));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = within_limits(router, Duration::from_millis(20), LARGEST_BODY_BYTES)
            .oneshot(request)
            .await
            .expect("the router cannot fail");
        (response.status(), response.headers()[header::CONTENT_TYPE].clone())
    }

    #[tokio::test]
    async fn a_panic_is_one_answer_and_not_the_end() {
        let (status, kind) = status_at("/panics").await;
        assert_eq!(
            (status, kind.as_bytes()),
            (StatusCode::INTERNAL_SERVER_ERROR, &b"application/problem+json"[..])
        );
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up() {
        let (status, kind) = status_at("/hangs").await;
        assert_eq!(
            (status, kind.as_bytes()),
            (StatusCode::REQUEST_TIMEOUT, &b"application/problem+json"[..])
        );
    }
}
