//! What somebody pressed in Slack: that Slack sent it, who it was, and what is asked for.
//!
//! Slack signs what it sends by HMAC-SHA256 over a version, a time and the body. What was sent more than five minutes ago
//! is refused, so that nobody who recorded it can send it again later.

use hmac::Mac as _;
use serde_json::Value;

use super::blocks::{REPLAY, ROLL_BACK};
use crate::{
    domain::{DefinitionId, DeploymentId, Secret, SlackButtons, TargetId},
    report::webhook::signature::mac,
};

/// How old, or how far ahead of our clock, a request may be, in seconds: what Slack itself recommends.
const LONGEST_AGE_SECONDS: u64 = 5 * 60;

/// What somebody asks for by a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// What.
    pub verb: Verb,
    /// The deployment that the message is about.
    pub deployment: DeploymentId,
    /// Its target.
    pub target: TargetId,
    /// The definition that the deployment brought, where it brought one.
    pub definition: Option<DefinitionId>,
    /// Who asks, for people: the name in Slack, and the id.
    pub by: String,
    /// Where Slack takes how it went.
    pub response_url: Option<String>,
}

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// What the deployment failed with is put back.
    Replay,
    /// The target is put back to what ran well before.
    RollBack,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// Slack did not send it, or not now.
    #[error("{0}")]
    Unverified(&'static str),
    /// It is not what we understand.
    #[error("{0}")]
    Unreadable(&'static str),
    /// Somebody else has to ask for it.
    #[error("{0} is not among the operators")]
    Forbidden(String),
}

/// Whether Slack sent this body at about this time, in seconds since 1970.
pub fn verify(
    secret: &Secret,
    now: u64,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
) -> Result<(), NotDone> {
    let stamp = timestamp.ok_or(NotDone::Unverified("X-Slack-Request-Timestamp is missing"))?;
    let at: u64 = stamp.parse().map_err(|_| NotDone::Unverified("X-Slack-Request-Timestamp is no time"))?;
    if now.abs_diff(at) > LONGEST_AGE_SECONDS {
        return Err(NotDone::Unverified("it was sent more than five minutes ago"));
    }
    let signature = signature.ok_or(NotDone::Unverified("X-Slack-Signature is missing"))?;
    let code = signature.strip_prefix("v0=").and_then(unhex);
    let code = code.ok_or(NotDone::Unverified("X-Slack-Signature is no signature"))?;
    // Compared in constant time.
    let mac = mac(secret, &[b"v0:", stamp.as_bytes(), b":", body]);
    mac.verify_slice(&code).map_err(|_| NotDone::Unverified("X-Slack-Signature is wrong"))
}

/// What a verified body asks for, if who sent it may.
pub fn read(body: &[u8], buttons: &SlackButtons) -> Result<Pressed, NotDone> {
    let payload = payload(body).ok_or(NotDone::Unreadable("the form has no payload that is JSON"))?;
    if payload["type"] != "block_actions" {
        return Err(NotDone::Unreadable("it is no press of a button"));
    }
    let user = &payload["user"];
    let id = user["id"].as_str().ok_or(NotDone::Unreadable("nobody is named"))?;
    let by = match user["username"].as_str().or_else(|| user["name"].as_str()) {
        Some(name) => format!("{name} in Slack ({id})"),
        None => format!("{id} in Slack"),
    };
    if !buttons.operators.iter().any(|operator| **operator == *id) {
        return Err(NotDone::Forbidden(by));
    }
    let action = &payload["actions"][0];
    let verb = match action["action_id"].as_str() {
        Some(REPLAY) => Verb::Replay,
        Some(ROLL_BACK) => Verb::RollBack,
        Some(_) | None => return Err(NotDone::Unreadable("it is no button of ours")),
    };
    let value: Value =
        action["value"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let about = value["deployment"].as_str().zip(value["target"].as_str());
    let about = about.and_then(|(deployment, target)| Some((deployment.into(), target.parse().ok()?)));
    let (deployment, target) = about.ok_or(NotDone::Unreadable("the button names no deployment"))?;
    let definition = value["definition"].as_str().and_then(|text| text.parse().ok());
    let response_url = payload["response_url"].as_str().map(str::to_owned);
    Ok(Pressed { verb, deployment, target, definition, by, response_url })
}

/// The one field of the form.
fn payload(body: &[u8]) -> Option<Value> {
    let field = body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"payload="))?;
    serde_json::from_slice(&decoded(field)?).ok()
}

/// As forms are encoded: `+` is a space, and `%` stands before two hexadecimal digits.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'+' => plain.push(b' '),
            b'%' => {
                let (digits, behind) = behind.split_at_checked(2)?;
                plain.push(byte(digits)?);
                rest = behind;
            }
            other => plain.push(*other),
        }
    }
    Some(plain)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| byte(pair)).collect())?
}

fn byte(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::webhook::signature::hex;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const NOW: u64 = 1_531_420_618;

    /// The example of Slack's documentation.
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=\
        398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn verified(
        now: u64,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &str,
    ) -> Result<(), NotDone> {
        verify(&Secret::from(SECRET), now, timestamp, signature, body.as_bytes())
    }

    #[test]
    fn what_slack_signed_is_taken_for_five_minutes() {
        let stamp = Some("1531420618");
        assert_eq!(verified(NOW, stamp, Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(verified(NOW + 300, stamp, Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(verified(NOW - 300, stamp, Some(SIGNATURE), BODY), Ok(()));
        for now in [NOW + 301, NOW - 301, 0] {
            assert!(verified(now, stamp, Some(SIGNATURE), BODY).is_err(), "{now}");
        }
    }

    #[test]
    fn what_somebody_else_signed_or_changed_is_refused() {
        let stamp = Some("1531420618");
        let other = SIGNATURE.replace("v0=a2", "v0=a3");
        let short = &SIGNATURE[..SIGNATURE.len() - 2];
        for signature in
            [None, Some(""), Some("v0="), Some("v1=a2"), Some(&*other), Some(short), Some("v0=zz")]
        {
            assert!(verified(NOW, stamp, signature, BODY).is_err(), "{signature:?}");
        }
        assert!(verified(NOW, stamp, Some(SIGNATURE), &format!("{BODY}x")).is_err());
        for stamp in [None, Some(""), Some("now"), Some("1531420619")] {
            assert!(verified(NOW, stamp, Some(SIGNATURE), BODY).is_err(), "{stamp:?}");
        }
    }

    fn form(payload: &Value) -> Vec<u8> {
        let text = payload.to_string();
        let encoded: Vec<String> = text.bytes().map(|byte| format!("%{}", hex(&[byte]))).collect();
        format!("payload={}", encoded.concat()).into_bytes()
    }

    fn buttons() -> SlackButtons {
        SlackButtons { signing_secret: Secret::from(SECRET), operators: ["U012AB3CD".into()].into() }
    }

    fn press(user: &str, action: &str, value: &str) -> Value {
        serde_json::json!({
            "type": "block_actions",
            "user": { "id": user, "username": "ann" },
            "response_url": "https://hooks.slack.com/actions/1",
            "actions": [{ "action_id": action, "value": value }],
        })
    }

    const VALUE: &str =
        r#"{"deployment":"d-bad0","target":"111122223333/eu-west-1/shop/api","definition":"shop_api:7"}"#;

    #[test]
    fn an_operator_asks_for_what_the_button_says() {
        for (action, verb) in [(REPLAY, Verb::Replay), (ROLL_BACK, Verb::RollBack)] {
            let pressed = read(&form(&press("U012AB3CD", action, VALUE)), &buttons()).expect("allowed");
            let target = "111122223333/eu-west-1/shop/api".parse().expect("valid");
            let by = "ann in Slack (U012AB3CD)".into();
            let definition = Some("shop_api:7".parse().expect("valid"));
            let response_url = Some("https://hooks.slack.com/actions/1".into());
            let deployment = "d-bad0".into();
            assert_eq!(pressed, Pressed { verb, deployment, target, definition, by, response_url });
        }
    }

    #[test]
    fn who_is_no_operator_asks_in_vain() {
        let refused = read(&form(&press("U999", REPLAY, VALUE)), &buttons());
        assert_eq!(refused, Err(NotDone::Forbidden("ann in Slack (U999)".into())));
    }

    #[test]
    fn what_is_no_press_of_a_button_of_ours_is_refused() {
        let operator = "U012AB3CD";
        for payload in [
            serde_json::json!({ "type": "view_submission" }),
            press(operator, "approve", VALUE),
            press(operator, REPLAY, "d-bad0"),
            press(operator, REPLAY, r#"{"deployment":"d","target":"x"}"#),
            serde_json::json!({ "type": "block_actions", "user": {}, "actions": [] }),
        ] {
            assert!(matches!(read(&form(&payload), &buttons()), Err(NotDone::Unreadable(_))), "{payload}");
        }
        for body in
            ["", "payload", "payload=%7", "payload=%zz", "payload=%+1", "x=1&payload=[", "payload=%7B%7D"]
        {
            assert!(read(body.as_bytes(), &buttons()).is_err(), "{body}");
        }
    }
}
