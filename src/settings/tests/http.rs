//! Who may see and who may ask for changes.

use super::*;
use crate::domain::{Reads, Role, TokenPlace, TokenRule};

#[test]
fn tokens_are_named_and_kept_elsewhere() {
    let settings = from_document(
        r#"
        [http]
        public_url = "https://lockkeeper.example.com/ops/"
        reads = "token"
        reads_per_second = 2000
        [[http.tokens]]
        name = "ci"
        role = "operate"
        env = "CI_TOKEN"
        [[http.tokens]]
        name = "ann@example.com"
        role = "read"
        file = "/run/secrets/ann"
        "#,
    );
    let http = settings.expect("valid").http;
    assert_eq!(http.public_url.as_deref(), Some("https://lockkeeper.example.com/ops"));
    assert_eq!((http.reads, http.reads_per_second, http.writes_per_second), (Reads::Token, 2_000, 10));
    let token = |name: &str, role, kept| TokenRule { name: name.into(), role, kept };
    assert_eq!(
        http.tokens,
        [
            token("ci", Role::Operate, TokenPlace::Env("CI_TOKEN".into())),
            token("ann@example.com", Role::Read, TokenPlace::File("/run/secrets/ann".into())),
        ]
    );
}

#[test]
fn a_variable_can_hold_the_list_of_tokens() {
    let list = r#"[{"name":"ci","role":"operate","file":"/run/ci"}]"#;
    let settings = from_environment(&[("LOCKKEEPER__HTTP__TOKENS", list)]).expect("valid");
    assert_eq!(settings.http.tokens.len(), 1);
}

#[test]
fn what_is_wrong_with_tokens_is_told_and_never_what_may_be_one() {
    let told = told_of(
        r#"
[http]
public_url = "https://me:hunter2@host"
reads = "closed"
reads_per_second = 0
writes_per_second = "9"
[[http.tokens]]
token = "hunter2hunter2hunter2"
[[http.tokens]]
name = "hunter2 hunter2"
role = "admin"
env = "hunter2-hunter2"
[[http.tokens]]
name = "ci"
role = "read"
file = "hunter2"
[[http.tokens]]
name = "twice"
role = "read"
file = "/a"
env = "A"
[[http.tokens]]
name = "one"
role = "read"
env = "A"
[[http.tokens]]
name = "one"
role = "read"
env = "B"
"#,
    );
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:3: http.public_url carries credentials; leave them out: it stands in links
    LOCKKEEPER_CONFIG_TOML:4: http.reads = "closed" is not one of the words for it; write one of open, token
    LOCKKEEPER_CONFIG_TOML:5: http.reads_per_second = 0 is out of bounds; write a number from 1 to 100000
    LOCKKEEPER_CONFIG_TOML:6: http.writes_per_second = "9" is not a whole number; write a number from 1 to 1000, without quotation marks
    LOCKKEEPER_CONFIG_TOML:7: http.tokens[1] says nowhere where the token is; name an environment variable with `env`, or a file with `file`; the token itself is never written here
    LOCKKEEPER_CONFIG_TOML:7: http.tokens[1].name is missing; say what its bearer is called
    LOCKKEEPER_CONFIG_TOML:7: http.tokens[1].role is missing; write "read" or "operate"
    LOCKKEEPER_CONFIG_TOML:8: http.tokens[1].token is no setting; `token` belongs to `[notify.slack]`
    LOCKKEEPER_CONFIG_TOML:10: http.tokens[2].name is not a name for a token; use letters, digits, `_`, `-`, `.` and `@` only, at most 64
    LOCKKEEPER_CONFIG_TOML:11: http.tokens[2].role = "admin" is not one of the words for it; write one of read, operate
    LOCKKEEPER_CONFIG_TOML:12: http.tokens[2].env is not the name of an environment variable; write the name of the variable that holds the token, as "LOCKKEEPER_CI_TOKEN"
    LOCKKEEPER_CONFIG_TOML:16: http.tokens[3].file is not the path of a file; write the path of the file that holds the token, as "/run/secrets/lockkeeper-ci"
    LOCKKEEPER_CONFIG_TOML:17: http.tokens[4] has both `env` and `file`; name an environment variable with `env`, or a file with `file`; the token itself is never written here
    LOCKKEEPER_CONFIG_TOML:26: http.tokens[6].name = "one" is the name of another token, too, at LOCKKEEPER_CONFIG_TOML:22; give each a name of its own: it tells who asked for what
    "#);
}

#[test]
fn reads_that_need_a_token_that_nobody_can_have_are_refused() {
    for document in ["[http]\nreads = 'token'", "[http]\nreads = 'token'\ntokens = []"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told_of(document), @r#"LOCKKEEPER_CONFIG_TOML:2: http.reads is "token", and there is no token: nobody could see anything; write an [[http.tokens]], or set it to "open""#);
        }
    }
    assert!(!told_of("[http]\ntokens = 'hunter2'").contains("hunter2"));
}

#[test]
fn a_public_url_is_the_beginning_of_one() {
    for url in ["lockkeeper.example.com", "https://", "https:///x", "ftp://x", "https://x/?a", "https://x y"]
    {
        assert!(from_document(&format!("[http]\npublic_url = '{url}'")).is_err(), "{url}");
    }
}
