//! Who asks, and what they may.
//!
//! Whoever asks shows a token in `Authorization: Bearer`, and nowhere else: there is no cookie, so no page of somebody
//! else can ask in a person's name. Whatever asks for a change takes an [`Operator`], and whatever is seen a [`Reader`]:
//! without one as an argument, nothing is answered.

mod limits;
mod tokens;

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use serde::Serialize;
pub use tokens::TokenProblem;
use utoipa::ToSchema;

use self::{
    limits::{Client, Limit},
    tokens::Tokens,
};
use super::{StatusState, problem::Problem};
use crate::domain::{Moment, Reads, Role, TokenRule};

/// So many wrong tokens of one address are answered in a second; then it has to wait, and the others do not.
const WRONG_TOKENS_PER_SECOND: u32 = 10;

/// Paths that answer whether the process is well: whoever asks is not a person, and must always be answered.
const ALWAYS_OPEN: [&str; 3] = ["/livez", "/readyz", "/health"];

const REALM: &str = "Bearer realm=\"lockkeeper\"";
const WRONG_TOKEN: &str = "Bearer realm=\"lockkeeper\", error=\"invalid_token\"";
const MORE_NEEDED: &str = "Bearer realm=\"lockkeeper\", error=\"insufficient_scope\", scope=\"operate\"";

/// Which tokens are taken, what needs one, and how much one client gets.
#[derive(Debug)]
pub struct Access {
    reads: Reads,
    tokens: Tokens,
    questions: Limit,
    changes: Limit,
    wrong_tokens: Limit,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
}

/// Who asks: from the token, once per request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Known(Caller),
    /// They show something, and it is no token of ours.
    Stranger,
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Proof that who asks may see.
#[derive(Debug)]
pub(super) struct Reader;

/// Who asks, and what they may.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asker)]
pub(super) struct Asker {
    /// The name of the token; null without one.
    #[schema(value_type = Option<String>)]
    name: Option<Arc<str>>,
    /// Whether they may ask for changes.
    may_change: bool,
    /// Why they may not; null if they may.
    why_not: Option<String>,
}

/// Proof that who asks may ask for changes, and their name.
#[derive(Debug)]
pub(super) struct Operator(pub(super) Arc<str>);

impl Access {
    /// Reads the tokens by these rules; `variable` tells what an environment variable holds.
    ///
    /// # Errors
    /// If one cannot be read, or is none.
    pub fn open(
        reads: Reads,
        rules: Vec<TokenRule>,
        variable: impl Fn(&str) -> Option<String>,
        reads_per_second: u32,
        writes_per_second: u32,
    ) -> Result<Self, TokenProblem> {
        Ok(Self {
            reads,
            tokens: Tokens::open(rules, variable)?,
            questions: Limit::new(reads_per_second),
            changes: Limit::new(writes_per_second),
            wrong_tokens: Limit::new(WRONG_TOKENS_PER_SECOND),
        })
    }

    /// Everybody may see, and nobody may ask for changes.
    pub fn only_reads() -> Self {
        let no_variable = |_: &str| None;
        Self::open(Reads::Open, Vec::new(), no_variable, 1_000, 1_000).expect("there is no token to be wrong")
    }

    fn who(&self, headers: &HeaderMap, now: Moment) -> Who {
        let Some(shown) = headers.get(header::AUTHORIZATION) else { return Who::Nobody };
        let bearer = shown.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        bearer.and_then(|token| self.tokens.bearer(token, now)).map_or(Who::Stranger, Who::Known)
    }

    /// Whether this client has asked too much.
    fn admit(&self, who: &Who, peer: IpAddr, method: &Method, now: Moment) -> Result<(), Problem> {
        let client = match who {
            Who::Known(caller) => Client::Token(caller.name.clone()),
            Who::Nobody | Who::Stranger => Client::of_peer(peer),
        };
        let limit = match who {
            Who::Stranger => &self.wrong_tokens,
            Who::Nobody | Who::Known(_) if is_question(method) => &self.questions,
            Who::Nobody | Who::Known(_) => &self.changes,
        };
        limit.admit(client, now).map_err(|wait| {
            let detail = format!("more than {} requests of this client in a second", limit.per_second());
            Problem::later(StatusCode::TOO_MANY_REQUESTS, wait, detail)
        })
    }

    fn reader(&self, who: &Who) -> Result<Reader, Problem> {
        match who {
            Who::Stranger => Err(stranger()),
            Who::Nobody if self.reads == Reads::Token => {
                Err(unauthorized(REALM, "a token is needed to see this"))
            }
            Who::Nobody | Who::Known(_) => Ok(Reader),
        }
    }

    fn operator(&self, who: &Who) -> Result<Operator, Problem> {
        if !self.tokens.has(Role::Operate) {
            let detail = "nothing can be changed over HTTP here, because no token may: write an [[http.tokens]] with \
                          `name`, `role = \"operate\"`, and `env` or `file`";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        match who {
            Who::Stranger => Err(stranger()),
            Who::Nobody => {
                Err(unauthorized(REALM, "a token of the role `operate` is needed to change anything"))
            }
            Who::Known(Caller { name, role: Role::Operate }) => Ok(Operator(name.clone())),
            Who::Known(Caller { name, role: Role::Read }) => {
                let detail =
                    format!("the token `{name}` may see, and ask for no change: it has the role `read`");
                let more = HeaderValue::from_static(MORE_NEEDED);
                Err(Problem::new(StatusCode::FORBIDDEN, detail).with(header::WWW_AUTHENTICATE, more))
            }
        }
    }
}

impl FromRequestParts<StatusState> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &StatusState) -> Result<Self, Problem> {
        let who = who_of(&parts.extensions);
        state.access.reader(who)?;
        let name = match who {
            Who::Known(caller) => Some(Arc::clone(&caller.name)),
            Who::Nobody | Who::Stranger => None,
        };
        let why_not = state.access.operator(who).err().map(|problem| problem.detail().to_owned());
        Ok(Self { name, may_change: why_not.is_none(), why_not })
    }
}

/// Finds out who asks, and refuses whoever asks too much.
pub(super) async fn identify(State(state): State<StatusState>, mut request: Request, next: Next) -> Response {
    if ALWAYS_OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let now = state.clock.now().0;
    let who = state.access.who(request.headers(), now);
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    if let Err(problem) = state.access.admit(&who, peer, request.method(), now) {
        return problem.into_response();
    }
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// Lets only those go on who may see. Files at the top, which have an ending, are the same for everybody, and say nothing:
/// styles, scripts, pictures.
pub(super) async fn only_readers(State(state): State<StatusState>, request: Request, next: Next) -> Response {
    let is_same_for_all =
        request.uri().path().strip_prefix('/').is_some_and(|name| name.contains('.') && !name.contains('/'));
    match state.access.reader(who_of(request.extensions())) {
        Err(problem) if !is_same_for_all => problem.into_response(),
        Err(_) | Ok(Reader) => next.run(request).await,
    }
}

impl FromRequestParts<StatusState> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &StatusState) -> Result<Self, Problem> {
        state.access.reader(who_of(&parts.extensions))
    }
}

impl FromRequestParts<StatusState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &StatusState) -> Result<Self, Problem> {
        state.access.operator(who_of(&parts.extensions))
    }
}

fn who_of(extensions: &axum::http::Extensions) -> &Who {
    extensions.get().unwrap_or(&Who::Nobody)
}

fn is_question(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn stranger() -> Problem {
    unauthorized(
        WRONG_TOKEN,
        "`Authorization` shows no token that is taken here: it is written `Bearer TOKEN`",
    )
}

fn unauthorized(challenge: &'static str, detail: &str) -> Problem {
    let challenge = HeaderValue::from_static(challenge);
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
}
