use proptest::prelude::*;

use super::redacted;

fn told(text: &str) -> String {
    let told = redacted(text).into_owned();
    assert_eq!(redacted(&told), told, "once more");
    told
}

#[test]
fn what_has_the_shape_of_a_credential_is_hidden_wherever_it_stands() {
    for (text, shown) in [
        ("fix ghp_PLANTED1 now", "fix *** now"),
        ("with github_pat_11PLANTED_x.", "with ***."),
        ("(glpat-PLANTED_1)", "(***)"),
        ("xoxb-1-PLANTED, xoxp-2-PLANTED", "***, ***"),
        ("AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY!", "***!"),
        ("key ASIAIOSFODNN7EXAMPLE of ann", "key *** of ann"),
        ("sent eyJhbGciOiJI.eyJzdWIi.PLANTED_ here", "sent *** here"),
        ("Bearer PLANTED4 and bearer plantedtoo", "Bearer *** and bearer ***"),
        ("Basic YW5uOnBsYW50ZWQ=", "Basic ***"),
        ("https://hooks.slack.com/services/T0/B0/PLANTED", "https://hooks.slack.com/services/***"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nPLANTED\n-----END RSA PRIVATE KEY----- b",
            "a -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- b",
        ),
        ("-----BEGIN PRIVATE KEY-----\\nPLANTED", "-----BEGIN PRIVATE KEY-----***"),
    ] {
        assert_eq!(told(text), shown);
    }
}

#[test]
fn the_value_of_what_is_named_like_a_secret_is_hidden() {
    for (text, shown) in [
        (
            "token=PLANTED1 ghp_PLANTED2 password: PLANTED3 Bearer PLANTED4",
            "token=*** *** password: *** Bearer ***",
        ),
        ("not json password=PLANTED", "not json password=***"),
        ("DB_PASSWORD=a&b;PLANTED, then", "DB_PASSWORD=***, then"),
        ("password: hunter please", "password: *** please"),
        ("the api key: PLANTED; private key: PLANTED", "the api key: ***; private key: ***"),
        ("X-Auth-Token: PLANTED1", "X-Auth-Token: ***"),
        ("Authorization: token PLANTED1", "Authorization: token ***"),
        ("authorization=AWS4 PLANTED", "authorization=*** PLANTED"),
        ("Server=db;User Id=sa;Password=PLANTED;", "Server=db;User Id=sa;Password=***;"),
        ("STRIPE_KEY=PLANTED CI_JOB_TOKEN=planted", "STRIPE_KEY=*** CI_JOB_TOKEN=***"),
        ("token = \"PLANTED it\" # mine", "token = \"***\" # mine"),
        ("password = 'PLANTED it' b", "password = '***' b"),
        ("curl --token PLANTED1 --user ann", "curl --token *** --user ann"),
        ("client_secret := PLANTED", "client_secret := ***"),
        ("a \"secret: \\\"PLANTED\\\"\" b", "a \"secret: \\\"***\\\"\" b"),
        ("secret: wJalrXUtnFEMI/K7MDENG/bPx", "secret: ***"),
    ] {
        assert_eq!(told(text), shown);
    }
}

#[test]
fn json_is_read_however_often_it_is_escaped() {
    for (text, shown) in [
        (r#"{"password":"PLANTED","b":1}"#, r#"{"password":"***","b":1}"#),
        (r#"{"apiKey" : "PLAN\"TED", "b":1}"#, r#"{"apiKey" : "***", "b":1}"#),
        (r#"{"DB_PASSWORD_PROD":"PLANTED"}"#, r#"{"DB_PASSWORD_PROD":"***"}"#),
        (r#"{"authorization":"AWS PLANTED x"}"#, r#"{"authorization":"***"}"#),
        (r#"{"m":"{\"token\":\"PLANTED\",\"b\":1}"}"#, r#"{"m":"{\"token\":\"***\",\"b\":1}"}"#),
        (r#"{\\\"token\\\":\\\"PLAN TED\\\",\\\"b\\\":1}"#, r#"{\\\"token\\\":\\\"***\\\",\\\"b\\\":1}"#),
        (r#"{"reason":"token=PLANTED"}"#, r#"{"reason":"token=***"}"#),
        (r#"{"credentials":["PLANTED","x"],"b":1}"#, r#"{"credentials":[***],"b":1}"#),
        (r#"{"password":"PLANTED is cut"#, r#"{"password":"***"#),
        (r#"{"token":null,"secret":{"arn":"x"}}"#, r#"{"token":null,"secret":{"arn":"x"}}"#),
    ] {
        assert_eq!(told(text), shown);
    }
}

#[test]
fn sentences_and_names_about_secrets_stay_as_they_are() {
    for text in [
        "token bucket is full",
        "secret shop/db updated",
        "parameter /shop/TOKEN updated",
        "parameter /shop/TOKEN: no such parameter",
        "parameter /shop/TOKEN:3 was read",
        "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:1:secret:shop/db-AbCdEf is denied",
        "arn:aws:secretsmanager:eu-west-1:1:secret:shop/db-AbCdEf:password::",
        "secret_changed: shop/db has a new value",
        "rolled_back, secret_unreadable: ResourceInitializationError: unable to pull secrets or registry auth: execution \
         resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s)",
        "ExpiredToken: The provided token has expired",
        "ExpiredTokenException: The security token included in the request is expired",
        "notify.webhook.secret: is missing",
        "the secret DB_PASSWORD: is not there",
        "DB_PASSWORD: AccessDeniedException: User is not allowed",
        "no such secret: shop/api/db",
        "token: expected a text at line 3",
        "a Bearer token or basic authentication is needed",
        "shop/auth-token:2.0.0 was pushed, then chubby-token:12",
        "give --token or LOCKKEEPER_TOKEN",
        "--token-file /run/secrets/ci",
        "secrets=3 max_tokens=7 token_expires=12 secretId=shop/db",
        "key=lockkeeper:version:web; key: ci",
        "valueFrom token=arn:aws:ssm:eu-west-1:1:parameter/shop/TOKEN",
        "xoxo and npm_config_cache, ghp_, AKIA, eyJ, hvs.",
        "-----BEGIN CERTIFICATE-----",
        "---- a -- b --",
        "password=, token=(hidden) secret=…",
        "né 漢字 🚀=: token🚀: é",
    ] {
        assert_eq!(redacted(text), text);
    }
}

/// What the ways of hiding look for, to be put together in every order.
const PIECES: [&str; 54] = [
    "token",
    "=",
    ":",
    " ",
    "\"",
    "\\",
    "'",
    "`",
    "password",
    "DB_PASSWORD",
    "\\\"",
    "//",
    "https://",
    "ann:x@",
    "?",
    "&",
    "***",
    "Bearer",
    "Basic",
    "ghp_",
    "xoxb-",
    "eyJhbGciOi",
    ".",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "-----END ",
    "--",
    "-",
    "/",
    "secret",
    "arn:",
    "is",
    "é",
    "🚀",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "null",
    "(hidden)",
    "authorization",
    "api",
    "key",
    "connection string",
    "=>",
    "a1B2",
    "…",
    ",",
    ";",
    "hooks.slack.com/services/",
    "\\u0026",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_096) })]

    #[test]
    fn whatever_is_written_it_never_panics_and_once_is_enough(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14)) {
        let text = pieces.concat();
        let once = redacted(&text).into_owned();
        prop_assert_eq!(redacted(&once), once.as_str(), "of {:?}", text);
    }

    #[test]
    fn any_text_at_all_is_read(text in any::<String>()) {
        let once = redacted(&text).into_owned();
        prop_assert_eq!(redacted(&once), once.as_str(), "of {:?}", text);
    }
}

#[test]
fn a_long_text_of_beginnings_is_read_to_its_end() {
    for piece in [
        "token:",
        "token=",
        "\"token\":\"",
        "--token ",
        "a-token:x/",
        "eyJ.",
        "Bearer ",
        "-----BEGIN ",
        "\\",
        "AKIA",
    ] {
        let long = piece.repeat((1 << 18) / piece.len());
        assert!(!redacted(&long).is_empty(), "{piece}");
    }
}
