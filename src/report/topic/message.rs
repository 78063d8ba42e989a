//! One message, with a text for each protocol.

use serde_json::json;

use crate::report::notice::{
    Home, Notice,
    payload::payload,
    words::{Said, say},
};

/// SNS's limit, in signs; they are printable ASCII.
const LONGEST_SUBJECT: usize = 100;
/// What one SMS takes without being cut in two, with room for signs outside of ASCII.
const LONGEST_SMS: usize = 70;

/// The subject, and the texts by protocol.
pub fn message(notice: &Notice, home: &Home) -> (String, String) {
    let said = say(notice, home);
    let (plain, json) = (said.plain(), payload(notice, &said, home).to_string());
    let line = format!("{} {}", said.tone.icon(), said.headline);
    let texts = json!({
        "default": plain,
        "email": plain,
        "email-json": json,
        "sqs": json,
        "http": json,
        "https": json,
        "lambda": json,
        "firehose": json,
        "sms": line.chars().take(LONGEST_SMS).collect::<String>(),
    });
    (subject(&said), texts.to_string())
}

/// SNS refuses subjects with anything but printable ASCII, and those that do not begin with a letter or digit.
fn subject(said: &Said) -> String {
    let plain = said.headline.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' });
    format!("Lockkeeper: {}", plain.collect::<String>()).chars().take(LONGEST_SUBJECT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{DeploymentRecord, Report},
        report::{
            notice::{teller::Teller, tests::home},
            sample::{at, rolled_back},
        },
    };

    fn of(record: DeploymentRecord) -> (String, serde_json::Value) {
        let report = Report::Finished(Box::new(record));
        let notice = Teller::default().hear(&report, at("12:06:00")).pop().expect("told");
        let (subject, texts) = message(&notice, &home());
        (subject, serde_json::from_str(&texts).expect("JSON"))
    }

    #[test]
    fn people_get_text_and_programs_get_json() {
        let (subject, texts) = of(rolled_back());
        assert_eq!(
            subject,
            "Lockkeeper: api (prod): deployment failed and was rolled back to chubby_api:12 after 8 s"
        );
        assert!(
            texts["email"].as_str().is_some_and(|text| text.starts_with("❌ api (prod): deployment failed"))
        );
        let json: serde_json::Value =
            serde_json::from_str(texts["sqs"].as_str().expect("a text")).expect("JSON");
        assert_eq!(
            (&json["kind"], &json["deployment"]["cause"]),
            (&json!("rolled_back"), &json!("crash_loop"))
        );
        assert!(texts.as_object().is_some_and(|texts| texts.values().all(serde_json::Value::is_string)));
    }

    #[test]
    fn a_subject_is_what_sns_takes() {
        let name = format!("é\n🚀{}", "x".repeat(200)).as_str().into();
        let (subject, _) = of(DeploymentRecord { name, ..rolled_back() });
        assert_eq!(subject.len(), LONGEST_SUBJECT);
        assert!(subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{subject}");
    }
}
