//! What EventBridge takes for a pattern, and what it refuses when a rule is made.

use std::net::IpAddr;

use serde_json::Value;
use thiserror::Error;

/// Why EventBridge would refuse a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub struct PatternError(String);

type Judged = Result<(), PatternError>;

/// A limit of ours on what is gone into: deeper ones nobody writes.
const MOST_LEVELS: usize = 64;

/// Reads a pattern, if it is one that EventBridge would take.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_pattern(text: &str) -> Result<Value, PatternError> {
    let pattern = serde_json::from_str(text).map_err(|error| wrong(format!("Invalid JSON: {error}")))?;
    fields(&pattern, "the pattern", MOST_LEVELS)?;
    Ok(pattern)
}

/// Whether this is a list of alternatives. One that has fewer than two is the field of an event that is called `$or`.
pub(super) fn is_or(key: &str, value: &Value) -> bool {
    let any = |any: &Vec<Value>| {
        any.len() >= 2 && any.iter().all(|it| it.as_object().is_some_and(|it| !it.is_empty()))
    };
    key == "$or" && value.as_array().is_some_and(any)
}

fn fields(pattern: &Value, name: &str, levels: usize) -> Judged {
    let fields = pattern.as_object().ok_or_else(|| wrong(format!("{name} must be an object or an array")))?;
    hold(!fields.is_empty(), || "Empty objects are not allowed".to_owned())?;
    hold(levels > 0, || "it is nested too deeply".to_owned())?;
    fields.iter().try_for_each(|(key, value)| field(key, value, levels - 1))
}

fn field(key: &str, value: &Value, levels: usize) -> Judged {
    match value.as_array() {
        None => fields(value, &format!("\"{key}\""), levels),
        Some(any) if is_or(key, value) => any.iter().try_for_each(|it| fields(it, key, levels)),
        Some(any) => {
            hold(!any.is_empty(), || "Empty arrays are not allowed".to_owned())?;
            any.iter().try_for_each(condition)
        }
    }
}

fn condition(condition: &Value) -> Judged {
    match condition {
        Value::Array(_) => Err(wrong("Match value must be String, number, true, false, or null".to_owned())),
        Value::Object(_) => {
            let (operator, operand) = only(condition)?;
            hold(operand_fits(operator, operand), || form_of(operator, operand))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn operand_fits(operator: &str, operand: &Value) -> bool {
    match operator {
        "exists" => operand.is_boolean(),
        "anything-but" => anything_but(operand),
        "numeric" => numeric(operand),
        "cidr" => operand.as_str().is_some_and(is_block),
        "wildcard" => operand.as_str().is_some_and(is_wildcard),
        "equals-ignore-case" => operand.is_string(),
        "prefix" | "suffix" => {
            operand.is_string()
                || only(operand).is_ok_and(|it| it.0 == "equals-ignore-case" && it.1.is_string())
        }
        _ => false,
    }
}

fn form_of(operator: &str, operand: &Value) -> String {
    match operator {
        "exists" | "anything-but" | "numeric" | "cidr" | "wildcard" | "equals-ignore-case" | "prefix"
        | "suffix" => format!("{operator} does not take {operand}"),
        _ => format!("Unrecognized match type {operator}"),
    }
}

/// A value, values of one kind, or what their beginnings, ends or wildcards are.
fn anything_but(operand: &Value) -> bool {
    match operand {
        Value::String(_) | Value::Number(_) => true,
        Value::Array(all) => {
            !all.is_empty() && (all.iter().all(Value::is_string) || all.iter().all(Value::is_number))
        }
        Value::Object(_) => only(operand).is_ok_and(|(operator, texts)| {
            let is_fit = |it: &Value| match operator {
                "prefix" | "suffix" => it.as_str().is_some_and(|it| !it.is_empty()),
                "equals-ignore-case" => it.is_string(),
                "wildcard" => it.as_str().is_some_and(is_wildcard),
                _ => false,
            };
            texts.as_array().map_or_else(|| is_fit(texts), |all| !all.is_empty() && all.iter().all(is_fit))
        }),
        Value::Null | Value::Bool(_) => false,
    }
}

/// A number that it is, or one or two bounds.
fn numeric(operand: &Value) -> bool {
    let Some(parts) = operand.as_array() else { return false };
    let bound = |at: usize| Some((parts.get(at)?.as_str()?, parts.get(at + 1)?.as_f64()?));
    match (parts.len(), bound(0), bound(2)) {
        (2, Some((operator, _)), _) => ["=", "<", "<=", ">", ">="].contains(&operator),
        (4, Some((least, from)), Some((most, to))) => {
            [">", ">="].contains(&least) && ["<", "<="].contains(&most) && from < to
        }
        _ => false,
    }
}

fn is_block(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// No two stars in a row, and a backslash only before a star or another one.
fn is_wildcard(glob: &str) -> bool {
    let mut rest = glob.as_bytes();
    loop {
        rest = match rest {
            [b'\\', b'*' | b'\\', rest @ ..] => rest,
            [b'*', b'*', ..] | [b'\\', ..] => return false,
            [_, rest @ ..] => rest,
            [] => return true,
        }
    }
}

fn only(object: &Value) -> Result<(&str, &Value), PatternError> {
    let mut entries = object.as_object().into_iter().flatten();
    match (entries.next(), entries.next()) {
        (Some((operator, operand)), None) => Ok((operator, operand)),
        _ => Err(wrong("Only one key allowed in match expression".to_owned())),
    }
}

fn hold(holds: bool, or: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(wrong(or())) }
}

fn wrong(reason: String) -> PatternError {
    PatternError(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reason(pattern: &Value) -> Option<String> {
        read_pattern(&pattern.to_string()).err().map(|it| it.0)
    }

    #[test]
    fn alternatives_are_two_at_least() {
        let one = json!({"bucket": {"name": ["env"]}});
        let of = |any: Value| reason(&json!({"detail": {"$or": any}}));
        assert_eq!(of(json!([one, one])), None);
        assert_eq!(of(json!([one])), Some("Unrecognized match type bucket".into()));
        assert_eq!(of(json!([])), Some("Empty arrays are not allowed".into()));
        assert_eq!(of(json!([one, {}])), Some("Unrecognized match type bucket".into()));
        assert_eq!(of(json!([one, {"bucket": {"name": []}}])), Some("Empty arrays are not allowed".into()));
    }

    #[test]
    fn a_field_has_conditions_or_fields_and_some_of_them() {
        for pattern in [json!({"a": ["b", 1, true, null]}), json!({"a": {"b": [{"exists": false}]}})] {
            assert_eq!(reason(&pattern), None, "{pattern}");
        }
        for pattern in [
            json!([]),
            json!({}),
            json!({"a": {}}),
            json!({"a": []}),
            json!({"a": "b"}),
            json!({"a": {"b": 1}}),
            json!({"a": [["b"]]}),
            json!({"a": [{}]}),
            json!({"a": [{"prefix": "b", "suffix": "c"}]}),
            json!({"a": [{"begins": "b"}]}),
        ] {
            assert!(reason(&pattern).is_some(), "{pattern}");
        }
        assert!(read_pattern("{").is_err());
        let deep = format!("{}{}{}", r#"{"a":"#.repeat(100), r#"["b"]"#, "}".repeat(100));
        assert!(read_pattern(&deep).is_err());
    }

    #[test]
    fn each_operator_takes_what_it_says() {
        for (operator, yes, no) in [
            ("exists", vec![json!(true)], vec![json!("true")]),
            (
                "prefix",
                vec![json!("a"), json!({"equals-ignore-case": "a"})],
                vec![json!(["a"]), json!({"suffix": "a"})],
            ),
            ("suffix", vec![json!("a")], vec![json!(1)]),
            ("equals-ignore-case", vec![json!("a")], vec![json!(["a"])]),
            ("wildcard", vec![json!("*a\\*"), json!("")], vec![json!("a**"), json!("a\\b"), json!(["*"])]),
            (
                "cidr",
                vec![json!("10.0.0.0/8"), json!("::/0"), json!("10.0.0.1")],
                vec![json!("10.0.0.0/33"), json!("x")],
            ),
            (
                "numeric",
                vec![json!(["=", 1]), json!([">", 1, "<=", 5])],
                vec![
                    json!([]),
                    json!(["=", "1"]),
                    json!([">", 5, "<", 1]),
                    json!(["=", 1, "<", 5]),
                    json!([">"]),
                ],
            ),
            (
                "anything-but",
                vec![
                    json!("a"),
                    json!(1),
                    json!(["", "a"]),
                    json!({"suffix": ["a", "b"]}),
                    json!({"wildcard": "*a"}),
                ],
                vec![
                    json!([]),
                    json!(["a", 1]),
                    json!(null),
                    json!({"prefix": ""}),
                    json!({"suffix": []}),
                    json!({"exists": true}),
                ],
            ),
        ] {
            for operand in yes {
                let pattern = json!({"a": [{operator: operand}]});
                assert_eq!(reason(&pattern), None, "{pattern}");
            }
            for operand in no {
                let pattern = json!({"a": [{operator: operand}]});
                assert!(reason(&pattern).is_some(), "{pattern}");
            }
        }
    }
}
