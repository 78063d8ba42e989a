//! What a target gets of an event: all of it, a part, a constant, or a template with parts of it.

use serde_json::Value;

use crate::sim::call::text;

/// The body for one target.
pub(super) fn body(target: &Value, event: &Value) -> String {
    if let Some(constant) = target["Input"].as_str() {
        return constant.to_owned();
    }
    if let Some(path) = target["InputPath"].as_str() {
        return at(event, path).to_string();
    }
    match target["InputTransformer"]["InputTemplate"].as_str() {
        Some(template) => fill(template, &target["InputTransformer"]["InputPathsMap"], event),
        None => event.to_string(),
    }
}

/// What stands at a path of the form `$.detail.name`.
fn at<'a>(event: &'a Value, path: &str) -> &'a Value {
    let steps = path.trim_start_matches('$').split('.').filter(|step| !step.is_empty());
    steps.fold(event, |value, step| &value[step])
}

/// Replaces `<name>` by what its path finds: bare inside quotes, as JSON outside of them.
fn fill(template: &str, paths: &Value, event: &Value) -> String {
    let (mut filled, mut quoted, mut rest) = (String::new(), false, template);
    while let Some(character) = rest.chars().next() {
        let name = placeholder(rest);
        if let Some(name) = name {
            filled.push_str(&render(lookup(name, paths, event), quoted));
            rest = &rest[name.len() + 2..];
            continue;
        }
        quoted ^= character == '"';
        filled.push(character);
        rest = &rest[character.len_utf8()..];
    }
    filled
}

fn placeholder(rest: &str) -> Option<&str> {
    let (name, _) = rest.strip_prefix('<')?.split_once('>')?;
    Some(name)
}

fn lookup<'a>(name: &str, paths: &Value, event: &'a Value) -> &'a Value {
    match name {
        "aws.events.event" | "aws.events.event.json" => event,
        name => at(event, text(paths, name)),
    }
}

fn render(value: &Value, quoted: bool) -> String {
    match value.as_str() {
        Some(bare) if quoted => bare.to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_gets_the_part_that_it_asks_for() {
        let event = json!({"source": "s", "detail": {"env": "prod", "n": 1}});
        let map = json!({"e": "$.detail.env", "n": "$.detail.n", "d": "$.detail"});
        let template = |template: &str| {
            body(&json!({"InputTransformer": {"InputPathsMap": map, "InputTemplate": template}}), &event)
        };
        assert_eq!(body(&json!({}), &event), event.to_string());
        assert_eq!(body(&json!({"Input": "{}"}), &event), "{}");
        assert_eq!(body(&json!({"InputPath": "$.detail"}), &event), event["detail"].to_string());
        assert_eq!(template(r#"{"env":<e>,"n":<n>}"#), r#"{"env":"prod","n":1}"#);
        assert_eq!(template(r#""<e> is ä <n>""#), r#""prod is ä 1""#);
        assert_eq!(template("<aws.events.event>"), event.to_string());
    }
}
