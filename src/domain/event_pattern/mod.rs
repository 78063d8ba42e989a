//! The pattern language of EventBridge's rules, as its user guide defines it.

mod form;

use std::net::IpAddr;

use serde_json::{Value, json};

use form::is_or;
pub use form::{PatternError, read_pattern};

/// Whether an event matches the pattern of a rule: every key of the pattern must, a list is an "or".
pub fn matches_pattern(pattern: &Value, event: &Value) -> bool {
    matches(pattern, Some(event))
}

fn matches(pattern: &Value, event: Option<&Value>) -> bool {
    let Some(pattern) = pattern.as_object() else { return false };
    pattern.iter().all(|(key, wanted)| {
        if is_or(key, wanted) {
            return wanted.as_array().is_some_and(|any| any.iter().any(|one| matches(one, event)));
        }
        field(wanted, event.and_then(|event| event.get(key)))
    })
}

fn field(wanted: &Value, found: Option<&Value>) -> bool {
    if wanted.is_object() {
        return match found.and_then(Value::as_array) {
            Some(elements) => elements.iter().any(|element| matches(wanted, Some(element))),
            None => matches(wanted, found),
        };
    }
    wanted.as_array().is_some_and(|any| any.iter().any(|condition| one_of(condition, found)))
}

fn one_of(condition: &Value, found: Option<&Value>) -> bool {
    if let Some(exists) = condition.get("exists") {
        // Only leaves exist in the sense of a pattern.
        return found.is_some_and(|value| !value.is_object()) == (exists == &Value::Bool(true));
    }
    match found {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(|element| holds(condition, element)),
        Some(value) => holds(condition, value),
    }
}

fn holds(condition: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = condition.as_object().and_then(|object| object.iter().next()) else {
        return equal(condition, value);
    };
    match operator.as_str() {
        "anything-but" => !any(operand, |one| excluded(one, value)),
        "numeric" => value.as_f64().is_some_and(|number| in_bounds(operand, number)),
        operator => value.as_str().is_some_and(|text| text_holds(operator, operand, text)),
    }
}

fn text_holds(operator: &str, operand: &Value, text: &str) -> bool {
    match operator {
        "prefix" => affix(operand, text, |text, affix| text.starts_with(affix)),
        "suffix" => affix(operand, text, |text, affix| text.ends_with(affix)),
        "equals-ignore-case" => {
            operand.as_str().is_some_and(|other| other.to_lowercase() == text.to_lowercase())
        }
        "wildcard" => operand.as_str().is_some_and(|glob| wildcard(glob.as_bytes(), text.as_bytes())),
        "cidr" => operand.as_str().is_some_and(|block| in_block(block, text)),
        _ => false,
    }
}

fn equal(condition: &Value, value: &Value) -> bool {
    match (condition.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
        _ => condition == value,
    }
}

fn excluded(one: &Value, value: &Value) -> bool {
    match one.as_object() {
        Some(operators) => {
            operators.iter().any(|(name, operand)| any(operand, |o| holds(&json!({name: o}), value)))
        }
        None => equal(one, value),
    }
}

fn any(operand: &Value, test: impl Fn(&Value) -> bool) -> bool {
    operand.as_array().map_or_else(|| test(operand), |all| all.iter().any(&test))
}

fn affix(operand: &Value, text: &str, holds: fn(&str, &str) -> bool) -> bool {
    match operand.as_str() {
        Some(affix) => holds(text, affix),
        None => operand["equals-ignore-case"]
            .as_str()
            .is_some_and(|affix| holds(&text.to_lowercase(), &affix.to_lowercase())),
    }
}

fn in_bounds(operand: &Value, number: f64) -> bool {
    let Some(bounds) = operand.as_array() else { return false };
    bounds.chunks(2).all(|bound| {
        let limit = bound.get(1).and_then(Value::as_f64).unwrap_or(f64::NAN);
        match bound[0].as_str() {
            Some("=") => (number - limit).abs() < f64::EPSILON,
            Some("<") => number < limit,
            Some("<=") => number <= limit,
            Some(">") => number > limit,
            Some(">=") => number >= limit,
            _ => false,
        }
    })
}

/// `*` stands for any run of characters; `\*` and `\\` for themselves. Takes time proportional to the product of the lengths
/// at worst.
fn wildcard(mut glob: &[u8], mut text: &[u8]) -> bool {
    // Behind the last star, and where what it takes ends so far.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let next = match glob {
            [b'*', rest @ ..] => {
                glob = rest;
                retry = Some((glob, text));
                continue;
            }
            [b'\\', literal, rest @ ..] | [literal, rest @ ..] => Some((literal, rest)),
            [] => None,
        };
        match (next, text) {
            (Some((literal, rest)), [first, behind @ ..]) if literal == first => {
                (glob, text) = (rest, behind);
            }
            (None, []) => return true,
            _ => {
                let Some((behind_star, [_, left @ ..])) = retry else { return false };
                (glob, text) = (behind_star, left);
                retry = Some((behind_star, left));
            }
        }
    }
}

fn in_block(block: &str, address: &str) -> bool {
    let Some((base, bits)) = block.split_once('/') else { return false };
    let (Ok(base), Ok(bits), Ok(address)) =
        (base.parse::<IpAddr>(), bits.parse::<u32>(), address.parse::<IpAddr>())
    else {
        return false;
    };
    match (base, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (u32::from(a) ^ u32::from(b)).checked_shr(32 - bits.min(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (u128::from(a) ^ u128::from(b)).checked_shr(128 - bits.min(128)).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(condition: &Value, value: &Value) -> bool {
        matches(&json!({"detail": {"a": [condition]}}), Some(&json!({"detail": {"a": value}})))
    }

    #[test]
    fn each_operator_matches_what_it_says() {
        for (condition, yes, no) in [
            (json!("x"), json!("x"), json!("y")),
            (json!(1), json!(1.0), json!("1")),
            (json!(null), json!(null), json!("null")),
            (json!({"prefix": "ab"}), json!("abc"), json!("cab")),
            (json!({"prefix": {"equals-ignore-case": "AB"}}), json!("abc"), json!("ba")),
            (json!({"suffix": "bc"}), json!("abc"), json!("bca")),
            (json!({"equals-ignore-case": "ABC"}), json!("abc"), json!("abcd")),
            (json!({"wildcard": "a*c*"}), json!("abcd"), json!("bcd")),
            (json!({"wildcard": "a\\*"}), json!("a*"), json!("ab")),
            (json!({"numeric": [">", 1, "<=", 5]}), json!(5), json!(1)),
            (json!({"cidr": "10.0.0.0/8"}), json!("10.1.2.3"), json!("11.1.2.3")),
            (json!({"anything-but": ["x", "y"]}), json!("z"), json!("y")),
            (json!({"anything-but": {"prefix": "x"}}), json!("z"), json!("xy")),
            (json!({"anything-but": {"suffix": ["y", "z"]}}), json!("x"), json!("xz")),
            (json!({"anything-but": {"wildcard": "*y"}}), json!("x"), json!("xy")),
            (json!({"exists": true}), json!("x"), json!({})),
        ] {
            assert!(detail(&condition, &yes), "{condition} should match {yes}");
            assert!(!detail(&condition, &no), "{condition} should not match {no}");
        }
    }

    #[test]
    fn a_wildcard_takes_any_run_of_characters_and_many_of_them_no_time() {
        for (glob, text, holds) in [
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*ab", "aab", true),
            ("a\\\\b", "a\\b", true),
            ("*\\*", "x*", true),
            ("*\\*", "x", false),
            ("", "x", false),
        ] {
            assert_eq!(wildcard(glob.as_bytes(), text.as_bytes()), holds, "{glob} on {text}");
        }
        assert!(!wildcard("a*".repeat(500).as_bytes(), format!("{}b", "a".repeat(400)).as_bytes()));
    }

    #[test]
    fn a_list_in_the_event_matches_by_any_element() {
        assert!(detail(&json!("b"), &json!(["a", "b"])));
        assert!(!detail(&json!("c"), &json!(["a", "b"])));
    }

    #[test]
    fn every_key_must_match_and_or_needs_one() {
        let event = json!({"source": "s", "detail": {"a": "1"}});
        assert!(matches(&json!({"source": ["s"], "detail": {"a": ["1"]}}), Some(&event)));
        assert!(!matches(&json!({"source": ["s"], "detail": {"b": ["1"]}}), Some(&event)));
        assert!(matches(&json!({"$or": [{"source": ["q"]}, {"detail": {"a": ["1"]}}]}), Some(&event)));
        assert!(!matches(&json!({"$or": [{"source": ["q"]}, {"detail": {"a": ["2"]}}]}), Some(&event)));
        // A single one is no alternative, and the event has no field of that name.
        assert!(!matches(&json!({"$or": [{"source": ["s"]}]}), Some(&event)));
    }

    #[test]
    fn absence_reaches_into_what_is_absent() {
        let pattern = json!({"detail": {"b": {"c": [{"exists": false}]}}});
        assert!(matches(&pattern, Some(&json!({"detail": {"a": 1}}))));
        assert!(!matches(&pattern, Some(&json!({"detail": {"b": {"c": 1}}}))));
    }
}
