//! Forms and XML, as far as the older protocols need them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields of a form or of a query string.
pub(super) fn form(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))).collect()
}

/// A text with its `%XX` resolved. What is no such escape stands for itself.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped =
            behind.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The fields of an object as XML elements; a list is an element for each entry, and what is null is left out.
pub(super) fn elements(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(name, value)| element(name, value)).collect()
}

fn element(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(entries) => entries.iter().map(|entry| element(name, entry)).collect(),
        Value::Object(_) => format!("<{name}>{}</{name}>", elements(value)),
        Value::String(text) => format!("<{name}>{}</{name}>", escape(text)),
        Value::Bool(_) | Value::Number(_) => format!("<{name}>{value}</{name}>"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_read_with_its_escapes() {
        let fields = form("Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1&Note=a+b%20%C3%A9&&Empty");
        let expected =
            [("Action", "AssumeRole"), ("Empty", ""), ("Note", "a b é"), ("RoleArn", "arn:aws:iam::1")];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for text in ["100%", "%zz", "%e", "%%", "+", "%+f"] {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn a_value_becomes_elements_in_which_nothing_can_break_out() {
        let value = json!({"A": {"B": "<&\">"}, "C": [1, true, {"D": "x"}], "E": null});
        assert_eq!(elements(&value), "<A><B>&lt;&amp;&quot;&gt;</B></A><C>1</C><C>true</C><C><D>x</D></C>");
    }
}
