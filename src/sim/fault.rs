//! Faults that a test orders: which calls they strike, what they do, and how often.

use serde::{Deserialize, Serialize};

use super::{
    call::{Call, Service},
    rng::Rng,
};

/// What becomes of a struck call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No effect; `ThrottlingException` (`RequestThrottled` from SQS).
    Throttle,
    /// No effect; status 500.
    ServerError,
    /// Full effect; the answer comes this many milliseconds later.
    Slow {
        /// The delay.
        ms: u64,
    },
    /// Full effect; the answer is lost.
    LostAnswer {
        /// Whether the connection is closed without an answer. Otherwise the answer is a status 500.
        #[serde(default)]
        closed: bool,
    },
    /// No effect; never answered.
    Hang,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Whose calls; all services if absent.
    #[serde(default)]
    pub service: Option<Service>,
    /// Which operation; `*` for all.
    #[serde(default = "every")]
    pub operation: String,
    /// In which Region; in every one if absent.
    #[serde(default)]
    pub region: Option<String>,
    /// A text that must stand in the request, such as the name of a cluster; any request if absent.
    #[serde(default)]
    pub mentions: Option<String>,
    /// What happens.
    pub kind: FaultKind,
    /// How many calls it still strikes.
    #[serde(default = "once")]
    pub count: u64,
    /// The probability that a matching call is struck.
    #[serde(default = "certain")]
    pub probability: f64,
}

fn every() -> String {
    "*".to_owned()
}

fn once() -> u64 {
    1
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault that strikes the next `count` calls of one operation.
    pub fn new(service: Service, operation: &str, kind: FaultKind, count: u64) -> Self {
        let (service, operation) = (Some(service), operation.to_owned());
        Self { service, operation, region: None, mentions: None, kind, count, probability: 1.0 }
    }

    fn strikes(&self, call: &Call) -> bool {
        self.count > 0
            && self.service.is_none_or(|service| service == call.service)
            && (self.operation == "*" || self.operation == call.operation)
            && self.region.as_ref().is_none_or(|region| *region == call.scope.region)
            && self.mentions.as_ref().is_none_or(|text| call.body.to_string().contains(text))
    }
}

/// The fault that strikes this call, if any; it is used up by one.
pub(super) fn draw(faults: &mut Vec<Fault>, call: &Call, rng: &mut Rng) -> Option<FaultKind> {
    let struck = faults.iter_mut().find(|fault| fault.strikes(call) && rng.chance(fault.probability))?;
    struck.count -= 1;
    let kind = struck.kind;
    faults.retain(|fault| fault.count > 0);
    Some(kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_strikes_only_what_it_names_and_only_so_often() {
        let mut faults = vec![Fault::new(Service::Ecs, "UpdateService", FaultKind::Throttle, 2)];
        let mut rng = Rng::new(0);
        let update = Call::new(Service::Ecs, "UpdateService", json!({}));
        let describe = Call::new(Service::Ecs, "DescribeServices", json!({}));
        assert_eq!(draw(&mut faults, &describe, &mut rng), None);
        assert_eq!(draw(&mut faults, &update, &mut rng), Some(FaultKind::Throttle));
        assert_eq!(draw(&mut faults, &update, &mut rng), Some(FaultKind::Throttle));
        assert_eq!(draw(&mut faults, &update, &mut rng), None);
    }

    #[test]
    fn a_fault_may_strike_one_region_or_those_who_mention_something() {
        let mut rng = Rng::new(0);
        let mut strikes = |order: serde_json::Value, call: &Call| {
            let fault: Fault = serde_json::from_value(order).expect("a fault");
            draw(&mut vec![fault], call, &mut rng).is_some()
        };
        let mut call = Call::new(Service::Ecs, "DescribeServices", json!({"cluster": "shop"}));
        call.scope.region = "us-east-2".into();
        for (order, expected) in [
            (json!({"kind": "hang", "region": "us-east-2"}), true),
            (json!({"kind": "hang", "region": "eu-west-1"}), false),
            (json!({"kind": "hang", "mentions": "\"shop\""}), true),
            (json!({"kind": "hang", "mentions": "mail"}), false),
        ] {
            assert_eq!(strikes(order.clone(), &call), expected, "{order}");
        }
    }

    #[test]
    fn a_fault_reads_from_json_with_little_said() {
        let fault: Fault = serde_json::from_value(json!({"kind": {"slow": {"ms": 20}}})).expect("a fault");
        assert_eq!((fault.operation.as_str(), fault.count, fault.kind), ("*", 1, FaultKind::Slow { ms: 20 }));
        let fault: Fault =
            serde_json::from_value(json!({"kind": "hang", "service": "sqs"})).expect("a fault");
        assert_eq!((fault.service, fault.kind), (Some(Service::Sqs), FaultKind::Hang));
    }
}
