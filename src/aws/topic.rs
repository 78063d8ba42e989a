//! A topic of SNS, as somewhere to send messages to.

use aws_sdk_sns::{Client, types::MessageAttributeValue};

use super::{
    Connections,
    bus::{NotTaken, region_of},
    observe::Calls,
};

const OPERATION: &str = "Publish";

/// One topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    calls: Calls,
    arn: String,
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMessage {
    /// The subject of an e-mail: printable ASCII, at most 100 signs.
    pub subject: String,
    /// A JSON object with a text for each protocol, and `default` for all others.
    pub by_protocol: String,
    /// What subscribers may filter by.
    pub attributes: Vec<(&'static str, String)>,
}

impl Connections {
    /// The topic with this ARN.
    pub fn topic(&self, arn: &str) -> Topic {
        let there = region_of(arn).map_or_else(|| self.clone(), |region| self.in_region(&region));
        Topic { client: there.sns_once(), calls: there.calls().clone(), arn: arn.to_owned() }
    }
}

impl Topic {
    /// Sends one message. Tried once: who sends tries again in its own time.
    pub async fn publish(&self, message: &TopicMessage) -> Result<(), NotTaken> {
        let mut call = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&message.subject)
            .message(&message.by_protocol)
            .message_structure("json");
        for (name, value) in &message.attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value = value.map_err(|error| NotTaken { why: error.to_string(), may_pass: false })?;
            call = call.message_attributes(*name, value);
        }
        let answer = self.calls.make("sns", OPERATION, call.send()).await;
        answer.map(drop).map_err(|fault| NotTaken::of(&fault, OPERATION))
    }
}
