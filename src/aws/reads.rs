//! Reads of what targets depend on. Nobody waits for one: each attempt takes a token of its own, behind those for whom
//! somebody does.

use std::time::Duration;

use aws_sdk_ecs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    primitives::DateTime,
};
use tracing::debug;

use super::{
    Connections,
    budget::{ApiClass, Budget, Urgency},
    connect::READ_ATTEMPTS,
    failure::{Fault, Kind},
    observe::Calls,
};
use crate::domain::Timestamp;

/// After a first failed attempt the next follows after at most so long; then twice that.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// A page that is asked for in vain so often never comes.
pub(super) const MOST_PAGES: usize = 100;

/// Makes reads with one set of credentials in one Region.
#[derive(Debug)]
pub(super) struct Reads {
    calls: Calls,
    budget: Budget,
}

impl Reads {
    pub(super) fn new(connections: &Connections, budget: Budget) -> Self {
        Self { calls: connections.calls().clone(), budget }
    }

    /// Makes a call, and again where that may help.
    pub(super) async fn ask<T, E, F>(
        &self,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let class = ApiClass::of(operation);
        for attempt in 1.. {
            let token = self.budget.token(class, Urgency::Later).await;
            token.map_err(|_| Fault::never_sent("the process is stopping"))?;
            let answer = self.calls.make(service, operation, call()).await;
            let Err(fault) = &answer else { return answer };
            if fault.kind() == Kind::Throttled {
                self.budget.throttled(class);
            }
            if attempt >= READ_ATTEMPTS || !fault.kind().may_pass() {
                return answer;
            }
            let delay = (FIRST_DELAY * (1 << (attempt - 1))).mul_f64(fastrand::f64());
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            debug!(operation, attempt, delay_ms, error = fault.reason(operation), "aws call is tried again");
            tokio::time::sleep(delay).await;
        }
        unreachable!("the last attempt is answered")
    }
}

/// A time of AWS's in ours.
pub(super) fn time(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis)
}

/// The token of the page that follows, if one does: emulators end a list with an empty one.
pub(super) fn following(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

/// The failure of a list whose pages do not end.
pub(super) fn endless() -> Fault {
    Fault::unusable(format!("the list has more than {MOST_PAGES} pages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_token_ends_a_list() {
        assert_eq!(following(Some("2".into())), Some("2".into()));
        assert_eq!((following(Some(String::new())), following(None)), (None, None));
    }

    #[test]
    fn a_time_is_kept_to_the_millisecond() {
        let at = DateTime::from_millis(1_793_534_400_250);
        assert_eq!((time(Some(&at)), time(None)), (Some(Timestamp::from_millis(1_793_534_400_250)), None));
    }
}
