//! The dials of the world.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything about the world that a test may want otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSettings {
    /// Scheme and authority of queue URLs.
    pub queue_base: String,
    /// Whether `PutEvents` takes `aws.*` sources, which AWS refuses.
    pub allow_aws_sources: bool,
    /// Whether ECS throttles by its documented token buckets.
    pub throttle: bool,
    /// Probability that a received message is delivered once more, whatever becomes of the first copy.
    pub duplicates: f64,
    /// Probability that a receive takes a message from further behind than the front of a standard queue.
    pub reorder: f64,
    /// Probability that an event which AWS delivers on best effort never reaches the bus: those of ECR and SSM, and
    /// what CloudTrail tells.
    pub lost_events: f64,
    /// The same of S3's own events, which AWS says are durable. Those of ECS are never lost.
    pub lost_s3_events: f64,
    /// How many calls the log keeps; older ones fall off.
    pub log_limit: usize,
    /// The times of ECS.
    pub ecs: EcsDials,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            queue_base: "https://sqs.us-east-1.amazonaws.com".to_owned(),
            allow_aws_sources: false,
            throttle: true,
            duplicates: 0.0,
            reorder: 0.0,
            lost_events: 0.0,
            lost_s3_events: 0.0,
            log_limit: 20_000,
            ecs: EcsDials::default(),
        }
    }
}

/// How long things take in ECS, in milliseconds before the speed factor. The defaults are about thirty times
/// faster than Fargate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EcsDials {
    /// From the placement of a task to RUNNING.
    pub start_ms: u64,
    /// From RUNNING until the scheduler counts a task as healthy (AWS: 40 s without checks).
    pub settle_ms: u64,
    /// From the decision to stop a healthy task to its end.
    pub drain_ms: u64,
    /// From RUNNING to the exit of a `crash` or `oom` image.
    pub crash_after_ms: u64,
    /// From RUNNING until the scheduler gives a `sick` image up.
    pub sick_after_ms: u64,
    /// The pause after a failed task; doubled by each consecutive one that never ran, up to 15 minutes.
    pub retry_ms: u64,
    /// Divides all of the above.
    pub speed: f64,
}

impl Default for EcsDials {
    fn default() -> Self {
        Self {
            start_ms: 1_000,
            settle_ms: 500,
            drain_ms: 500,
            crash_after_ms: 300,
            sick_after_ms: 600,
            retry_ms: 500,
            speed: 1.0,
        }
    }
}

impl WorldSettings {
    /// The probability that an event of this source is lost.
    pub(crate) fn loss_of(&self, source: &str) -> f64 {
        match source {
            "aws.ecr" | "aws.ssm" | "aws.secretsmanager" => self.lost_events,
            "aws.s3" => self.lost_s3_events,
            _ => 0.0,
        }
    }
}

impl EcsDials {
    /// `millis` at the world's speed, a millisecond at the least, so that nothing ever happens in no time.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and both are positive"
    )]
    pub(crate) fn scaled(&self, millis: u64) -> Duration {
        let speed = if self.speed > 0.0 { self.speed } else { 1.0 };
        Duration::from_millis(((millis as f64 / speed) as u64).max(1))
    }
}
