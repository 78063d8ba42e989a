//! What must be true before the first receive.

use anyhow::{Context as _, anyhow, ensure};
use tracing::warn;

use crate::{
    aws::{
        Connections,
        account::{self, Identity, UserId},
        queue::{Queue, QueueErrorKind},
    },
    domain::AccountId,
};

/// A message that we hold over restarts is received once by each; fewer receives than this would set aside good ones.
const FEWEST_RECEIVES: u32 = 100;

/// The queues and the account that were found.
#[derive(Debug)]
pub struct Opened {
    /// The queue that events come from.
    pub queue: Queue,
    /// Its ARN.
    pub queue_arn: String,
    /// Where messages are set aside.
    pub dead_letters: Queue,
    /// The largest message that it takes, in bytes.
    pub letter_room: usize,
    /// Our own account.
    pub account: AccountId,
    /// By what a message shows that we sent it.
    pub user: UserId,
}

/// Looks at the queue, finds its dead-letter queue, and asks whose credentials these are.
///
/// # Errors
/// If the queue cannot be reached, is a FIFO queue, or has no dead-letter queue: with what would mend it.
pub async fn open(
    connections: &Connections,
    url: &str,
    dead_letter_url: Option<&str>,
) -> anyhow::Result<Opened> {
    let queue = connections.queue(url);
    let (facts, identity) = tokio::join!(queue.facts(), account::identity(connections));
    let facts = facts.map_err(|error| {
        let mend = match error.kind {
            QueueErrorKind::Gone => "queue.url names no queue that exists",
            QueueErrorKind::Denied => "the credentials must be allowed sqs:GetQueueAttributes on it",
            QueueErrorKind::Throttled
            | QueueErrorKind::ReceiptInvalid
            | QueueErrorKind::Unreachable
            | QueueErrorKind::Other => "check the network, the Region and AWS_ENDPOINT_URL_SQS",
        };
        anyhow::Error::new(error).context(format!("the queue {url} cannot be read: {mend}"))
    })?;
    ensure!(
        !facts.fifo,
        "{url} is a FIFO queue: a message that is held would block its group, and with it the newer ones that could \
         end the wait. Use a standard queue"
    );
    let dead_letter_url = queue.dead_letter_url(dead_letter_url, &facts, connections).await;
    let dead_letter_url = dead_letter_url.context("find the dead-letter queue")?;
    if facts.max_receive_count.is_some_and(|count| count < FEWEST_RECEIVES) {
        warn!(
            "maxReceiveCount of {url} is below {FEWEST_RECEIVES}: restarts alone may set good messages aside"
        );
    }
    let identity = identity.map_err(|failure| anyhow!(failure.reason)).context(
        "GetCallerIdentity did not tell our account, and events of other accounts are refused: check the credentials, \
         and in a subnet without a way out the endpoint of STS",
    )?;
    let dead_letters = connections.queue(&dead_letter_url);
    let letters = dead_letters.facts().await;
    let letters =
        letters.with_context(|| format!("the dead-letter queue {dead_letter_url} cannot be read"))?;
    let Identity { account, user } = identity;
    let (queue_arn, letter_room) = (facts.arn, letters.max_message_bytes);
    Ok(Opened { queue, queue_arn, dead_letters, letter_room, account, user })
}
