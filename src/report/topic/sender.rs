//! Publishes notices to a topic.

use super::message::message;
use crate::{
    aws::topic::{Topic, TopicMessage},
    report::{
        bus::undelivered,
        channel::Undelivered,
        notice::{Home, Notice},
    },
};

/// One topic.
#[derive(Debug)]
pub struct TopicSender {
    topic: Topic,
    home: Home,
}

impl TopicSender {
    /// To this topic.
    pub fn new(topic: Topic, home: Home) -> Self {
        Self { topic, home }
    }

    /// Publishes one.
    pub(in crate::report) async fn send(&self, notice: &Notice) -> Result<(), Undelivered> {
        let (subject, by_protocol) = message(notice, &self.home);
        let (_, name) = notice.target();
        let attributes =
            vec![("id", notice.id.clone()), ("kind", notice.kind()), ("target", name.to_string())];
        let message = TopicMessage { subject, by_protocol, attributes };
        self.topic.publish(&message).await.map_err(undelivered)
    }
}
