//! What a person sees where a page cannot be shown: why, in words, and the way out. Where seeing needs a token it is the page on
//! which to sign in; nothing of what is so stands on it, the script fetches that with the token.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use maud::{Markup, html};

use super::{Asked, View};
use crate::status::{About, Snapshot, StatusState, problem::Problem};

/// Errors of pages become pages for whoever reads HTML. Their headers stay.
pub(in crate::status) async fn for_people(
    State(state): State<StatusState>,
    request: Request,
    next: Next,
) -> Response {
    let is_person = request.method() == Method::GET && takes_html(request.headers());
    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>().filter(|_| is_person).cloned();
    match problem {
        Some(problem) => instead_of(response, &page(&state, &problem)),
        None => response,
    }
}

fn takes_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

fn instead_of(problem: Response, page: &Markup) -> Response {
    let mut response = (problem.status(), Html(page.0.clone())).into_response();
    for (name, value) in problem.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn page(state: &StatusState, problem: &Problem) -> Markup {
    let (now, at) = state.clock.now();
    // Nothing of what is so: whoever sees this may not be allowed to.
    let (snapshot, health) = (Snapshot::empty(now), state.health.assess(now));
    let about = About { project: None, environment: None, version: state.about.version };
    let asked = Asked::default();
    let view =
        View { snapshot: &snapshot, ended: &[], about: &about, health: &health, now, at, asked: &asked };
    view.sorry(problem.status(), problem.detail())
}

impl View<'_> {
    fn sorry(&self, status: StatusCode, detail: &str) -> Markup {
        let needs_token = status == StatusCode::UNAUTHORIZED;
        let title = match status {
            StatusCode::UNAUTHORIZED => "Sign in",
            StatusCode::NOT_FOUND => "Nothing is here",
            _ => "This cannot be shown",
        };
        let main = html! {
            section #sorry aria-labelledby="sorry-heading" {
                h1 #sorry-heading { (title) }
                p { (sentence(detail)) }
                @if needs_token { noscript { p { "Signing in needs scripts; the API takes the token as well." } } }
                @else { p { a href="/" { "To the overview" } } }
            }
        };
        // Its own address is the one that was asked for.
        self.framed("", &format!("{title} · Lockkeeper"), &main)
    }
}

fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
