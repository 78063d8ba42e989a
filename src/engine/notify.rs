//! Opens the channels by which it is told elsewhere how deployments go.

use std::sync::Arc;

use crate::{
    aws::Connections,
    domain::NotifyRules,
    report::{
        Http,
        bus::BusSender,
        channel::{self, Channel, Couriers, Notifiers, Sender, Tally},
        notice::Home,
        slack::Slack,
        topic::TopicSender,
        webhook::Webhook,
    },
};

/// Opens every channel that these rules name.
pub fn open_channels(
    rules: NotifyRules,
    home: &Home,
    connections: &Connections,
    tally: Arc<dyn Tally>,
) -> (Notifiers, Couriers) {
    let http = Http::default();
    let mut channels = Vec::new();
    if let Some(rules) = rules.slack {
        let filter = rules.filter.clone();
        let sender = Sender::Slack(Box::new(Slack::new(rules, home.clone(), http.clone())));
        channels.push(Channel { name: "slack".into(), filter, sender });
    }
    for rules in rules.webhooks {
        let (name, filter) = (format!("webhook_{}", rules.name), rules.filter.clone());
        let sender = Sender::Webhook(Webhook::new(rules, home.clone(), http.clone()));
        channels.push(Channel { name, filter, sender });
    }
    if let Some(rules) = rules.eventbridge {
        let filter = rules.filter.clone();
        let bus = connections.bus(&rules.bus);
        let sender = Sender::Bus(BusSender::new(bus, rules, home.clone()));
        channels.push(Channel { name: "eventbridge".into(), filter, sender });
    }
    if let Some(rules) = rules.sns {
        let topic = connections.topic(&rules.topic);
        let sender = Sender::Topic(TopicSender::new(topic, home.clone()));
        channels.push(Channel { name: "sns".into(), filter: rules.filter, sender });
    }
    channel::open(channels, tally)
}
