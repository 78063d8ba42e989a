//! The words on the terminal.

use std::{io::Write as _, net::SocketAddr, time::Instant};

use super::stage::{self, Stage};
use crate::{domain::Report, report::message};

/// Tells on standard output, with the time since the beginning.
pub(super) struct Teller {
    began: Instant,
}

impl Teller {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    pub(super) fn open(&self, stage: &Stage, page: SocketAddr) -> anyhow::Result<()> {
        let endpoint = stage.endpoint();
        self.plain(&format!(
            "Lockkeeper demo: an emulated AWS account at {endpoint}, with a queue, rules, and two services of two tasks.\n\
             Status page http://{page}/?live   health http://{page}/health   metrics http://{page}/metrics"
        ))
    }

    /// A chapter begins.
    pub(super) fn chapter(&self, number: usize, title: &str) -> anyhow::Result<()> {
        self.plain(&format!("\n{number}. {title}"))
    }

    /// Somebody did something.
    pub(super) fn action(&self, what: &str) -> anyhow::Result<()> {
        self.line("▸", what)
    }

    /// The daemon reported something.
    pub(super) fn report(&self, report: &Report) -> anyhow::Result<()> {
        if is_worth_telling(report) { self.line(" ", &message::line(report).message) } else { Ok(()) }
    }

    /// Whether a promise held.
    pub(super) fn verdict(&self, held: bool, what: &str) -> anyhow::Result<()> {
        self.line(if held { "✔" } else { "✘" }, what)
    }

    pub(super) fn end(&self, held: usize, of: usize) -> anyhow::Result<()> {
        self.plain(&format!("\n{held} of {of} promises shown held."))
    }

    /// How to go on by hand.
    pub(super) fn stay(&self, stage: &Stage, page: SocketAddr) -> anyhow::Result<()> {
        let endpoint = stage.endpoint();
        let (account, region) = (stage::ACCOUNT, stage::REGION);
        self.plain(&format!(
            "\nStill running; end with Ctrl-C. Look at http://{page}/?live, and make more happen:\n\
             \n  curl --json '{{\"repository\": \"shop/api\", \"tags\": [\"latest\"]}}' {endpoint}/_sim/push\
             \n  curl --json '{{\"repository\": \"shop/web\", \"tags\": [\"release-9\"]}}' {endpoint}/_sim/push\
             \n\nor with the aws CLI:\n\
             \n  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID={account} AWS_SECRET_ACCESS_KEY=none\
             \n  aws ssm put-parameter --name /prod/shop/api/LOG_LEVEL --value debug --type String --overwrite\
             \n  aws events put-events --entries 'Source=action.deploy,DetailType=DEPLOY,Detail=\"{{\\\"service\\\":\\\"api\\\"}}\"'\
             \n  aws ecs describe-services --cluster shop --services shop-api --query 'services[0].deployments'\n"
        ))
    }

    fn line(&self, mark: &str, what: &str) -> anyhow::Result<()> {
        let at = self.began.elapsed().as_secs_f32();
        self.plain(&format!("{at:6.1}s {mark} {what}"))
    }

    #[expect(clippy::unused_self, reason = "whoever tells, tells here")]
    fn plain(&self, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }
}

/// Of many requests that merge, the first two and every tenth tell the story; of ECS's own messages, none.
fn is_worth_telling(report: &Report) -> bool {
    match report {
        Report::Queued { waiting, .. } => *waiting <= 2 || waiting % 10 == 0,
        Report::Settled { .. } => false,
        Report::Dropped { .. }
        | Report::Hold { .. }
        | Report::Moot { .. }
        | Report::Moved(_)
        | Report::Retrying { .. }
        | Report::Finished(_)
        | Report::Warned(_)
        | Report::Foreign(_)
        | Report::LeaseLost { .. }
        | Report::PromiseBroken { .. } => true,
    }
}
