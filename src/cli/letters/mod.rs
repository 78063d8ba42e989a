//! What `dead-letters` and `replay` share: the letters, and the way to them.
//!
//! | file | does | |
//! |---|---|---|
//! | `letter` | reads one letter off a message: ours, and those of SQS, EventBridge and people | pure |
//! | `pick` | which letters are meant | pure |
//! | `outlook` | what would follow if one were put back | pure |
//! | `parcel` | what is sent to put one back | pure |
//! | `shown` | a letter in JSON, and as a row of a table | pure |
//! | `desk` | the two queues; looking at letters without taking them | calls SQS |

pub(super) mod desk;
pub(super) mod letter;
pub(super) mod outlook;
pub(super) mod parcel;
pub(super) mod pick;
pub(super) mod shown;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    complain,
    process::{now, stop_on_signals},
    terminal::counted,
};
use crate::{
    aws::{Connections, Unobserved},
    engine::RoutesNow,
    settings::Settings,
};
use desk::{Bounds, Desk, HOLD, Swept};
use outlook::Outlook;
use pick::{Filter, Pick};

/// Everything that both commands work with.
pub(super) struct Office {
    pub(super) desk: Desk,
    pub(super) outlook: Outlook,
    pub(super) pick: Pick,
    /// The first signal: what is hidden is given back, and the command ends.
    pub(super) stop: CancellationToken,
}

impl Office {
    /// Finds the queues with the credentials of whoever calls.
    pub(super) async fn open(
        settings: Settings,
        filter: Filter,
        despite_redrive: bool,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        let connections = Connections::load(settings.aws.region.clone(), Arc::new(Unobserved)).await?;
        Self::at(&connections, (settings, None), filter, despite_redrive, stop).await
    }

    /// Finds the queues over these connections. What would follow is told by the routes of the loop, where there is one.
    pub(super) async fn at(
        connections: &Connections,
        (settings, live): (Settings, Option<RoutesNow>),
        filter: Filter,
        despite_redrive: bool,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let desk = Desk::open(connections, &settings, despite_redrive).await?;
        let outlook = Outlook::new(desk.account(), connections.region(), settings, live);
        let pick = Pick::new(filter, &outlook, now());
        Ok(Self { desk, outlook, pick, stop })
    }

    /// That none was found because no target here has the name that was asked for; or, where discovery may have found one, that
    /// this may be why.
    pub(super) fn require_target(&self) -> anyhow::Result<()> {
        let Some(name) = self.pick.target() else { return Ok(()) };
        let Some(why) = self.outlook.unknown(name).map(|why| format!("no letter was found: {why}")) else {
            return Ok(());
        };
        if !self.outlook.may_discover() {
            anyhow::bail!(why);
        }
        complain(&why);
        Ok(())
    }

    /// Looks at letters, and gives all of them back. Says how many stay hidden for a while, because that failed.
    pub(super) async fn look(&self, bounds: Bounds) -> (Swept, usize) {
        let wanted = |letter: &letter::Letter| self.pick.takes(letter, &self.outlook);
        let swept = self.desk.sweep(wanted, bounds, &self.stop).await;
        let hidden = self.desk.give_back(swept.all()).await;
        (swept, hidden)
    }

    /// How many messages of the dead-letter queue could not be seen, because somebody else held or delayed them.
    pub(super) fn unseen(&self) -> u64 {
        self.desk.facts.in_flight + self.desk.facts.delayed
    }
}

/// What is to be said of messages that could not be seen.
pub(super) fn unseen_in_words(unseen: u64) -> Option<String> {
    let count = usize::try_from(unseen).unwrap_or(usize::MAX);
    let minutes = HOLD.as_secs() / 60;
    (count > 0).then(|| {
        let held = "somebody else held that just then, as each listing does for a moment";
        format!(
            "Not seen: {} ({held}, and one that was killed for {minutes} minutes)",
            counted(count, "message")
        )
    })
}

/// What is to be said of letters that could not be given back.
pub(super) fn hidden_in_words(hidden: usize) -> Option<String> {
    let wait = HOLD.as_secs() / 60;
    (hidden > 0).then(|| {
        format!("{} could not be given back: hidden for up to {wait} minutes", counted(hidden, "letter"))
    })
}
