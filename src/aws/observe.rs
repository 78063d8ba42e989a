//! Tells metrics and logs of every call: which, with what result, how long.

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_ecs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use tokio::time::Instant;
use tracing::debug;

use super::failure::{Fault, Kind};
use crate::domain::Region;

/// Who is told of each call. It must return at once: it is called between AWS's answer and what is done with it.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A call ended. `result` is one of a closed set: `ok`, or the kind of failure as [`super::failure::Kind`] names it.
    fn called(&self, service: &'static str, operation: &'static str, result: &'static str, took: Duration);

    /// A call to a service in this Region ended: it was answered, if only to refuse, or it was not, for this reason.
    fn heard(&self, _service: &'static str, _region: &Region, _silence: Option<&'static str>) {}

    /// A call of this class waited so long for its token, or for the place from which it follows at once.
    fn waited(&self, class: &'static str, waited: Duration);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn called(&self, _: &'static str, _: &'static str, _: &'static str, _: Duration) {}

    fn waited(&self, _: &'static str, _: Duration) {}
}

/// Makes calls, and tells of them.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    observer: Arc<dyn Observer>,
    region: Region,
}

impl Calls {
    pub(super) fn new(observer: Arc<dyn Observer>, region: Region) -> Self {
        Self { observer, region }
    }

    /// The same for another Region.
    pub(super) fn in_region(&self, region: Region) -> Self {
        Self { observer: self.observer(), region }
    }

    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.observer)
    }

    /// Waits for the call and reduces its error to what is known of it. The time includes the SDK's retries.
    /// The call is boxed: the SDK's futures are some 20 KB large, and would be copied into each of ours.
    pub(super) fn make<T, E>(
        &self,
        service: &'static str,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> impl Future<Output = Result<T, Fault>>
    where
        T: RequestId,
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let call = Box::pin(call);
        async move {
            let began = Instant::now();
            let answer = call.await;
            let took = began.elapsed();
            let request_id = match &answer {
                Ok(answer) => answer.request_id(),
                Err(error) => error.request_id(),
            };
            let request_id = request_id.unwrap_or("-").to_owned();
            let status = match &answer {
                Ok(_) => Some(200),
                Err(error) => error.raw_response().map(|response| response.status().as_u16()),
            };
            let answer = answer.map_err(|error| Fault::from_sdk(&error));
            let result = answer.as_ref().map_or_else(|fault| fault.kind().as_str(), |_| "ok");
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            debug!(service, operation, result, status, duration_ms, request_id, "aws call");
            self.observer.called(service, operation, result, took);
            match answer.as_ref().map_err(Fault::kind) {
                Err(kind) if kind.is_silence() => self.observer.heard(service, &self.region, Some(result)),
                // It was not sent, and says nothing of who would have answered.
                Err(Kind::Credentials) => {}
                Ok(_) | Err(_) => self.observer.heard(service, &self.region, None),
            }
            answer
        }
    }
}
