//! Who is let in.

use super::*;

const CHANGES: [&str; 11] = [
    "/api/v1/deployments",
    "/api/v1/deployments/d-77fe/approve",
    "/api/v1/deployments/d-77fe/reject",
    "/api/v1/deployments/d-77fe/cancel",
    "/api/v1/targets/api/pause",
    "/api/v1/targets/api/resume",
    "/api/v1/targets/api/rollback",
    "/api/v1/pause",
    "/api/v1/resume",
    "/api/v1/dead-letters/replay",
    "/api/v1/deployments/d-none/cancel",
];

const SEEN: [&str; 13] = [
    "/",
    "/targets/api",
    "/targets/a.css",
    "/deployments/a.css",
    "/deployments/d-bad0",
    "/metrics",
    "/openapi.json",
    "/api/v1/me",
    "/api/v1/targets",
    "/api/v1/targets/api",
    "/api/v1/deployments",
    "/api/v1/deployments/d-bad0",
    "/api/v1/dead-letters",
];

fn state(reads: Reads) -> StatusState {
    let mut state = Sample::busy().state();
    state.access = Arc::new(guarded(reads, [1_000, 1_000]));
    state
}

async fn with_token(state: &StatusState, method: Method, path: &str, token: Option<&str>) -> Answer {
    let kind = (header::CONTENT_TYPE, "application/json");
    let headers = token.map(|token| (header::AUTHORIZATION, token));
    answered(state, method, path, &headers.into_iter().chain([kind]).collect::<Vec<_>>(), "{}").await
}

fn challenge(answer: &Answer) -> &str {
    answer.headers[header::WWW_AUTHENTICATE].to_str().expect("text")
}

#[tokio::test]
async fn without_a_token_that_may_operate_nothing_can_be_changed_and_it_says_how_to_make_one() {
    let state = Sample::busy().state();
    for path in CHANGES {
        for token in [None, Some(CI)] {
            let answer = with_token(&state, Method::POST, path, token).await;
            let (status, detail) = answer.problem();
            assert_eq!(status, 403, "{path}");
            assert!(detail.contains("[[http.tokens]]") && detail.contains("operate"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_change_needs_a_token_that_may_operate() {
    for reads in [Reads::Open, Reads::Token] {
        let state = state(reads);
        for path in CHANGES {
            let nobody = with_token(&state, Method::POST, path, None).await;
            assert_eq!(
                (nobody.problem().0, challenge(&nobody)),
                (401, "Bearer realm=\"lockkeeper\""),
                "{path}"
            );
            let reader = with_token(&state, Method::POST, path, Some(ANN)).await;
            assert_eq!(reader.problem().0, 403, "{path}");
            assert!(challenge(&reader).contains("insufficient_scope"));
            let known = with_token(&state, Method::POST, path, Some(CI)).await;
            assert!(![401, 403].contains(&known.status.as_u16()), "{path}: {}", known.body);
        }
    }
}

#[tokio::test]
async fn what_is_seen_needs_a_token_only_where_the_settings_say_so() {
    for path in SEEN {
        for (reads, token, is_seen) in [
            (Reads::Open, None, true),
            (Reads::Open, Some(ANN), true),
            (Reads::Open, Some("Bearer wrong-wrong-wrong"), false),
            (Reads::Token, None, false),
            (Reads::Token, Some("Bearer wrong-wrong-wrong"), false),
            (Reads::Token, Some(ANN), true),
            (Reads::Token, Some(CI), true),
        ] {
            let answer = with_token(&state(reads), Method::GET, path, token).await;
            assert_eq!(answer.status != StatusCode::UNAUTHORIZED, is_seen, "{path} {reads:?} {token:?}");
            if !is_seen {
                assert!(challenge(&answer).starts_with("Bearer"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn health_and_what_is_the_same_for_everybody_are_always_open() {
    for path in ["/livez", "/readyz", "/health", "/style.css", "/icon.svg"] {
        for token in [None, Some("Bearer wrong-wrong-wrong")] {
            let answer = with_token(&state(Reads::Token), Method::GET, path, token).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test]
async fn a_token_counts_in_the_header_only_and_in_its_form_only() {
    let state = state(Reads::Token);
    let bare = CI.strip_prefix("Bearer ").expect("a bearer");
    for shown in [bare, &format!("Basic {bare}"), "Bearer", "Bearer ", &format!("Bearer {bare}x")] {
        let answer = with_token(&state, Method::GET, "/api/v1/targets", Some(shown)).await;
        assert_eq!(answer.problem().0, 401, "{shown}");
    }
    let cookie = [(header::COOKIE, CI)];
    let by_cookie = answered(&state, Method::GET, "/api/v1/targets", &cookie, Body::empty()).await;
    assert_eq!(by_cookie.problem().0, 401);
    let by_query = format!("/api/v1/targets?access_token={bare}");
    assert_eq!(with_token(&state, Method::GET, &by_query, None).await.problem().0, 401);
    assert_eq!(
        with_token(&state, Method::GET, "/api/v1/targets", Some(&format!("bearer {bare}"))).await.status,
        200
    );
}

#[tokio::test]
async fn no_answer_repeats_a_token() {
    let state = state(Reads::Token);
    for token in [CI, ANN, "Bearer hunter2-hunter2-hunter2"] {
        for (method, path) in [(Method::GET, "/api/v1/targets"), (Method::POST, "/api/v1/targets/api/pause")]
        {
            let answer = with_token(&state, method, path, Some(token)).await;
            let secret = token.strip_prefix("Bearer ").expect("a bearer");
            assert!(
                !answer.body.contains(secret) && !format!("{:?}", answer.headers).contains(secret),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn who_asks_too_much_has_to_wait_and_health_and_others_do_not() {
    let mut state = Sample::busy().state();
    state.access = Arc::new(guarded(Reads::Open, [2, 1]));
    let ask = async |path: &str, token| with_token(&state, Method::GET, path, token).await;
    for _ in 0..4 {
        assert_eq!(ask("/api/v1/targets", None).await.status, StatusCode::OK);
    }
    let refused = ask("/api/v1/targets", None).await;
    assert_eq!(
        (refused.problem().0, &refused.headers[header::RETRY_AFTER]),
        (429, &"1".parse().expect("a value"))
    );
    assert_eq!(ask("/api/v1/targets", Some(ANN)).await.status, StatusCode::OK);
    assert_eq!(ask("/health", None).await.status, StatusCode::OK);
    let change = async || with_token(&state, Method::POST, "/api/v1/pause", Some(CI)).await.status;
    let statuses = [change().await, change().await, change().await];
    assert_eq!(statuses[2], StatusCode::TOO_MANY_REQUESTS, "{statuses:?}");
    assert_eq!(ask("/api/v1/targets", Some(CI)).await.status, StatusCode::OK, "questions are counted apart");
}

#[tokio::test]
async fn who_tries_tokens_has_to_wait_and_keeps_nobody_away() {
    let state = state(Reads::Token);
    let mut statuses = Vec::new();
    for n in 0..30 {
        let guess = format!("Bearer guess-guess-guess-{n}");
        statuses.push(with_token(&state, Method::GET, "/api/v1/targets", Some(&guess)).await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[29]), (401, 429));
    assert_eq!(with_token(&state, Method::GET, "/api/v1/targets", Some(ANN)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_asks_is_told_who_they_are_and_what_they_may() {
    let state = state(Reads::Open);
    let mut said = Vec::new();
    for token in [Some(CI), Some(ANN), None] {
        let answer = with_token(&state, Method::GET, "/api/v1/me", token).await;
        assert_eq!(answer.status, StatusCode::OK);
        said.push(answer.body);
    }
    assert_snapshot!(said.join("\n"), @r#"
    {"name":"ci","may_change":true,"why_not":null}
    {"name":"ann","may_change":false,"why_not":"the token `ann` may see, and ask for no change: it has the role `read`"}
    {"name":null,"may_change":false,"why_not":"a token of the role `operate` is needed to change anything"}
    "#);
    assert_eq!(with_token(&state, Method::GET, "/api/v1/me", Some("Bearer wrong")).await.problem().0, 401);
    let closed = self::state(Reads::Token);
    assert_eq!(with_token(&closed, Method::GET, "/api/v1/me", None).await.problem().0, 401);
}
