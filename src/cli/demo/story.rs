//! The story, chapter by chapter: what is done, and what must come of it.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{sync::mpsc, time::timeout};

use super::{stage::Stage, teller::Teller};
use crate::domain::{Cause, DeploymentRecord, Outcome, Report};

/// The slowest chapter takes a few seconds; a daemon that is silent for so long has failed.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// After a chapter the messages are deleted; nothing else may happen in this time.
const AFTERMATH: Duration = Duration::from_millis(1_500);

/// A story under way.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    reports: mpsc::UnboundedReceiver<Report>,
    teller: &'a Teller,
    verdicts: Vec<bool>,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        reports: mpsc::UnboundedReceiver<Report>,
        teller: &'a Teller,
    ) -> Self {
        Self { stage, reports, teller, verdicts: Vec::new() }
    }

    /// Plays all of it; tells whether every promise held.
    pub(super) async fn play(&mut self) -> anyhow::Result<bool> {
        self.two_tags().await?;
        self.twenty_parameters().await?;
        self.newer_wins().await?;
        self.broken_image().await?;
        self.duplicate().await?;
        let held = self.verdicts.iter().filter(|held| **held).count();
        self.teller.end(held, self.verdicts.len())?;
        Ok(held == self.verdicts.len())
    }

    /// Tells what happens from now on.
    pub(super) async fn listen(&mut self) {
        while let Some(report) = self.reports.recv().await {
            if self.teller.report(&report).is_err() {
                return;
            }
        }
    }

    async fn two_tags(&mut self) -> anyhow::Result<()> {
        self.teller.chapter(1, "Two tags of one digest become one rollout")?;
        let before = self.stage.rollouts("shop-web");
        self.teller.action("a build pushes one image as shop/web:release-2 and as shop/web:release-2.0")?;
        self.stage.push("shop/web", &["release-2", "release-2.0"]);
        let ended = self.until_finished("web").await?;
        self.settle().await?;
        let carries_both = ended.outcome == Some(Outcome::Succeeded) && ended.triggers.len() == 2;
        self.check(carries_both, "it succeeded, and carries both")?;
        self.check(self.stage.rollouts("shop-web") == before + 1, "one rollout was asked of ECS")
    }

    async fn twenty_parameters(&mut self) -> anyhow::Result<()> {
        self.teller.chapter(2, "Twenty parameter changes become one rollout")?;
        let before = self.stage.rollouts("shop-api");
        self.teller.action("a terraform apply writes /prod/shop/api/KEY_1 to KEY_20")?;
        for number in 1..=20 {
            self.stage.put_parameter(&format!("/prod/shop/api/KEY_{number}"), "new")?;
        }
        let ended = self.until_finished("api").await?;
        self.settle().await?;
        self.check(
            ended.outcome == Some(Outcome::Succeeded) && ended.triggers.len() == 20,
            "it carries all twenty",
        )?;
        self.check(self.stage.rollouts("shop-api") == before + 1, "one rollout was asked of ECS")
    }

    async fn newer_wins(&mut self) -> anyhow::Result<()> {
        self.teller.chapter(3, "A newer push waits for the one under way, and the newest wins")?;
        let before = self.stage.rollouts("shop-web");
        self.teller.action("a build pushes shop/web:release-3")?;
        self.stage.push("shop/web", &["release-3"]);
        self.until(|report| matches!(report, Report::Moved(it) if it.rollout_id.is_some())).await?;
        self.teller.action("while it rolls out, builds push release-4 and release-5")?;
        self.stage.push("shop/web", &["release-4"]);
        self.stage.push("shop/web", &["release-5"]);
        let first = self.until_finished("web").await?;
        let second = self.until_finished("web").await?;
        self.settle().await?;
        let both = [first.outcome, second.outcome] == [Some(Outcome::Succeeded); 2];
        self.check(both, "both rollouts succeeded, one after the other")?;
        self.check(self.stage.rollouts("shop-web") == before + 2, "release-4 never cost a rollout")?;
        self.check(self.stage.image("web")? == "web:release-5", "release-5 runs")
    }

    async fn broken_image(&mut self) -> anyhow::Result<()> {
        self.teller
            .chapter(4, "A broken image fails with its cause, ECS rolls it back, its message is set aside")?;
        let (_, set_aside) = self.stage.messages()?;
        self.teller.action("a build pushes shop/web:release-6-nope, which cannot be pulled")?;
        self.stage.push("shop/web", &["release-6-nope"]);
        let ended = self.until_finished("web").await?;
        self.settle().await?;
        self.check(ended.outcome == Some(Outcome::RolledBack), "a rollback is not called a success")?;
        self.check(ended.cause == Some(Cause::ImagePull), "its cause is known: image_pull")?;
        self.check(self.stage.image("web")? == "web:release-5", "release-5 runs again")?;
        let (waiting, now_aside) = self.stage.messages()?;
        self.check(
            now_aside == set_aside + 1 && waiting == 0,
            "its message is in the dead-letter queue, once",
        )
    }

    async fn duplicate(&mut self) -> anyhow::Result<()> {
        self.teller.chapter(5, "A duplicate does nothing")?;
        let before = self.stage.rollouts("shop-web");
        let event = self.stage.delivered("release-5")?;
        self.teller.action("the event of release-5 is delivered two times more")?;
        for _ in 0..2 {
            self.stage.send_again(&event)?;
        }
        let ended = self.until_finished("web").await?;
        self.settle().await?;
        self.check(ended.outcome == Some(Outcome::AlreadyRunning), "it is found to run already")?;
        self.check(self.stage.rollouts("shop-web") == before, "no rollout was asked of ECS")?;
        self.check(self.stage.messages()?.0 == 0, "the queue is empty: every message was settled")
    }

    fn check(&mut self, held: bool, what: &str) -> anyhow::Result<()> {
        self.verdicts.push(held);
        self.teller.verdict(held, what)
    }

    /// Tells what is reported until a deployment of this target has ended.
    async fn until_finished(&mut self, name: &str) -> anyhow::Result<DeploymentRecord> {
        let report =
            self.until(|report| matches!(report, Report::Finished(it) if it.name.as_str() == name)).await?;
        match report {
            Report::Finished(record) => Ok(*record),
            other => anyhow::bail!("waited for an end, and heard {other:?}"),
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Report) -> bool) -> anyhow::Result<Report> {
        loop {
            let report = timeout(LONGEST_SILENCE, self.reports.recv()).await;
            let report =
                report.context("the daemon reports nothing any more")?.context("the daemon has ended")?;
            self.teller.report(&report)?;
            if wanted(&report) {
                return Ok(report);
            }
        }
    }

    /// Tells what is still reported until nothing more comes.
    async fn settle(&mut self) -> anyhow::Result<()> {
        while let Ok(report) = timeout(AFTERMATH, self.reports.recv()).await {
            self.teller.report(&report.context("the daemon has ended")?)?;
        }
        Ok(())
    }
}
