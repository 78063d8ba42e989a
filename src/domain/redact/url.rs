//! In URLs it is certain what is a secret: whoever stands before the `@`, and the values of parameters whose names say so.

use std::borrow::Cow;

use super::HIDDEN;

/// The name of a parameter that holds a secret has one of these in it, in lower case and without signs.
const TELLING_PARTS: [&str; 10] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "signature",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
];
/// Or it is one of these.
const TELLING_NAMES: [&str; 8] = ["key", "sig", "auth", "pass", "pwd", "jwt", "sas", "sessionid"];

/// This text without the credentials in its URLs. The same text comes out however often it is done.
pub(super) fn without_urls(text: &str) -> Cow<'_, str> {
    let mut plain: Option<String> = None;
    let mut done = 0;
    while let Some(url) = next_url(text, done) {
        let plain = plain.get_or_insert_with(|| String::with_capacity(text.len()));
        plain.push_str(&text[done..url.authority]);
        let end = end_of_url(text, url.authority);
        write_url(plain, &text[url.authority..end]);
        done = end;
    }
    match plain {
        None => Cow::Borrowed(text),
        Some(plain) => Cow::Owned(plain + &text[done..]),
    }
}

/// Where a URL is.
struct Url {
    /// Where what follows its scheme begins.
    authority: usize,
}

/// The next URL from here on. In JSON its slashes may be escaped.
fn next_url(text: &str, from: usize) -> Option<Url> {
    let mut rest = from;
    loop {
        let colon = rest + text.get(rest..)?.find(':')?;
        let behind = &text[colon + 1..];
        let slashes = ["//", "\\/\\/"].into_iter().find(|slashes| behind.starts_with(slashes));
        let is_scheme = text[from..colon].ends_with(|c: char| c.is_ascii_alphanumeric());
        match slashes.filter(|_| is_scheme) {
            Some(slashes) => return Some(Url { authority: colon + 1 + slashes.len() }),
            None => rest = colon + 1,
        }
    }
}

/// No URL has any of these in it. A backslash escapes something where the text is JSON: a slash or a sign of the URL goes on.
fn end_of_url(text: &str, from: usize) -> usize {
    let ends = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`' | '^' | '{' | '|' | '}')
    };
    let mut rest = from;
    loop {
        let Some(at) = text[rest..].find(|c: char| ends(c) || c == '\\').map(|at| rest + at) else {
            return text.len();
        };
        let escape =
            ["\\/", "\\u0026", "\\u003d", "\\u003D"].into_iter().find(|it| text[at..].starts_with(it));
        match escape {
            Some(escape) => rest = at + escape.len(),
            None => return at,
        }
    }
}

/// Writes what follows the scheme, without its secrets.
fn write_url(plain: &mut String, url: &str) {
    let path = url.find(['/', '?', '#', '\\']).unwrap_or(url.len());
    // What is no port is the beginning of a password that has a slash in it.
    let has_password =
        url[..path].split_once(':').is_some_and(|(_, port)| !port.bytes().all(|it| it.is_ascii_digit()));
    let authority = if has_password { url.find(['?', '#']).unwrap_or(url.len()) } else { path };
    let rest = match url[..authority].rfind('@') {
        Some(at) => {
            plain.push_str(HIDDEN);
            &url[at..]
        }
        None => url,
    };
    let query = rest.find(['?', '#']).unwrap_or(rest.len());
    plain.push_str(&rest[..query]);
    write_query(plain, &rest[query..]);
}

/// Writes what stands behind the path, part by part.
fn write_query(plain: &mut String, mut rest: &str) {
    const ESCAPED_AND: &str = "\\u0026";
    while let Some(first) = rest.chars().next() {
        let sign = if rest.starts_with(ESCAPED_AND) { ESCAPED_AND.len() } else { first.len_utf8() };
        let next = |text: &str| {
            let signs = text.find(['?', '&', '#', ';']).unwrap_or(text.len());
            signs.min(text.find(ESCAPED_AND).unwrap_or(text.len()))
        };
        let end = sign + next(&rest[sign..]);
        let part = &rest[..end];
        let equals =
            ["=", "\\u003d", "\\u003D"].into_iter().filter_map(|it| Some((part.find(it)?, it.len()))).min();
        match equals {
            Some((at, length)) if at + length < part.len() && is_telling(&part[sign..at]) => {
                plain.push_str(&part[..at + length]);
                plain.push_str(HIDDEN);
            }
            _ => plain.push_str(part),
        }
        rest = &rest[end..];
    }
}

/// Whether the value of a parameter with this name is a secret.
fn is_telling(name: &str) -> bool {
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    TELLING_NAMES.contains(&name.as_str()) || TELLING_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_url_and_what_its_parameters_hide_is_not_told() {
        for (text, told) in [
            ("https://ann:s3cret@ci.example/run/7", "https://***@ci.example/run/7"),
            ("see https://ghp_s3cret@github.com/a/b.", "see https://***@github.com/a/b."),
            ("https://ann:s3/cr@et@ci.example:8443/7", "https://***@ci.example:8443/7"),
            ("postgres://ann:s3cret@db:5432/shop?sslmode=off", "postgres://***@db:5432/shop?sslmode=off"),
            ("https://h/?a=1&access_token=s3cret&b=2", "https://h/?a=1&access_token=***&b=2"),
            ("https://h/7?private_token=s3cret#top", "https://h/7?private_token=***#top"),
            ("https://h/7#access_token=s3cret&x=1", "https://h/7#access_token=***&x=1"),
            (
                "https://b.s3/k?X-Amz-Credential=s3&X-Amz-Date=2&X-Amz-Signature=cret",
                "https://b.s3/k?X-Amz-Credential=***&X-Amz-Date=2&X-Amz-Signature=***",
            ),
            ("https://h?sig=s3cret, https://i?key=s3cret)", "https://h?sig=*** https://i?key=***"),
            ("a https://x:s3cret@h b ftp://y:s3cret@i c", "a https://***@h b ftp://***@i c"),
        ] {
            assert_eq!(without_urls(text), told);
            assert_eq!(without_urls(told), told, "once more");
        }
    }

    #[test]
    fn a_url_within_json_ends_where_its_text_ends() {
        for (text, told) in [
            (
                r#"{"run_url":"https://ann:s3cret@h/7","b":"x@y"}"#,
                r#"{"run_url":"https://***@h/7","b":"x@y"}"#,
            ),
            (r#"{"u":"https:\/\/ann:s3cret@h\/7"}"#, r#"{"u":"https:\/\/***@h\/7"}"#),
            (
                r#"{"u":"https://h/?a=1\u0026token=s3cret\u0026b=2"}"#,
                r#"{"u":"https://h/?a=1\u0026token=***\u0026b=2"}"#,
            ),
            (r#"{"u":"https://h/?token\u003ds3cret"}"#, r#"{"u":"https://h/?token\u003d***"}"#),
            (
                r#"{"Message":"{\"u\":\"https://ann:s3cret@h/7\"}"}"#,
                r#"{"Message":"{\"u\":\"https://***@h/7\"}"}"#,
            ),
        ] {
            assert_eq!(without_urls(text), told);
            assert_eq!(without_urls(told), told, "once more");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "",
            "git@github.com:shop/api.git",
            "at 12:00:05: 3 of 4",
            "https://h/@scope/name?page=2&q=key#top",
            "https://h:8443/a?monkey=1&token=&b",
            "https://[::1]:8080/ and a@b.example",
            "arn:aws:ecs:eu-west-1:1:service/shop/api",
            "://x:y@z",
            "né 漢字 🚀 https://h/né?ä=ö",
        ] {
            assert_eq!(without_urls(text), text);
        }
    }
}
