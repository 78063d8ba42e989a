//! The description of the API, made of the code that answers.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        Ref, RefOr,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{changes, letters};
use crate::status::{access::Reader, router, stream};

/// The type of every error's content.
const PROBLEM: &str = "application/problem+json";

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only says what an error looks like")]
pub(in crate::status) struct Problem {
    /// `about:blank`: the status says what kind of error it is.
    r#type: String,
    /// The status in words.
    title: String,
    status: u16,
    /// What is wrong, and what would be right.
    detail: String,
}

/// How a question can fail.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only says what an error looks like")]
pub(in crate::status) enum ReadErrors {
    /// A parameter cannot be understood: `detail` says what would be right.
    #[response(status = 400, content_type = "application/problem+json")]
    Wrong(#[to_schema] Problem),
    /// No token, and one is needed; or one that is not taken.
    #[response(status = 401, content_type = "application/problem+json")]
    Stranger(#[to_schema] Problem),
    /// Nothing is there.
    #[response(status = 404, content_type = "application/problem+json")]
    Missing(#[to_schema] Problem),
    /// More requests than one client may make in a second: `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] Problem),
    /// Whoever is needed for it does not answer: `Retry-After` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// How asking for a change can fail.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only says what an error looks like")]
pub(in crate::status) enum ChangeErrors {
    /// The body cannot be understood: `detail` says what would be right.
    #[response(status = 400, content_type = "application/problem+json")]
    Wrong(#[to_schema] Problem),
    /// No token, or one that is not taken.
    #[response(status = 401, content_type = "application/problem+json")]
    Stranger(#[to_schema] Problem),
    /// The token may not ask for changes, or none may.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Problem),
    /// No such target or deployment.
    #[response(status = 404, content_type = "application/problem+json")]
    Missing(#[to_schema] Problem),
    /// It does not go together with what is so; also where the target is not deployed, and why.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// The body is larger than any that makes sense.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(#[to_schema] Problem),
    /// More requests than one client may make in a second: `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] Problem),
    /// Whoever is needed for it does not answer: `Retry-After` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lockkeeper",
        description = "What Lockkeeper does about deployments to Amazon ECS, and how to ask it for one.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        router::livez,
        router::readyz,
        router::health,
        router::metrics,
        openapi,
        super::me,
        super::targets,
        super::target,
        super::deployments,
        super::deployment,
        changes::deploy,
        changes::approve,
        changes::reject,
        changes::cancel,
        changes::pause,
        changes::resume,
        changes::rollback,
        changes::pause_all,
        changes::resume_all,
        letters::letters,
        letters::replay,
        stream::stream,
    ),
    components(schemas(Problem)),
    modifiers(&Tokens, &OneProblem)
)]
struct Description;

/// How a token is shown.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", bearer);
    }
}

/// An error is described once, and not where each can happen.
struct OneProblem;

impl Modify for OneProblem {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let problem = || Some(Ref::from_schema_name("Problem").into());
        let methods = description.paths.paths.values_mut();
        let operations = methods.flat_map(|path| [path.get.as_mut(), path.post.as_mut()]).flatten();
        for response in operations.flat_map(|operation| operation.responses.responses.values_mut()) {
            if let RefOr::T(response) = response
                && let Some(content) = response.content.get_mut(PROBLEM)
            {
                content.schema = problem();
            }
        }
    }
}

/// As it is answered: it does not change while the process lives.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut description = Description::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    description.to_json().expect("it has text keys only")
});

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "description", security((), ("token" = [])),
    responses((status = 200, description = "The description in OpenAPI 3.1", body = serde_json::Value), ReadErrors))]
pub(in crate::status) async fn openapi(_: Reader) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
