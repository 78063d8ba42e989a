//! Taps an answer for what the SDK's types leave out: its body as it came, and when AWS gave it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_ecs::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef,
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};

use crate::domain::Timestamp;

/// Keeps what the last answer to one call was.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap(Arc<Mutex<Tapped>>);

#[derive(Debug, Default)]
struct Tapped {
    date: Option<Timestamp>,
    body: Vec<u8>,
}

impl Tap {
    /// The body of the answer; empty before there was one.
    pub(super) fn body(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).body)
    }

    /// When the answer was given, by the clock of who gave it; by ours where it does not say.
    pub(super) fn answered_at(&self) -> Timestamp {
        let date = self.0.lock().unwrap_or_else(PoisonError::into_inner).date;
        date.unwrap_or_else(wall_clock)
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "Tap"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let date = answer.headers().get("date");
        let date = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        let date = date.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis);
        let body = answer.body().bytes().unwrap_or_default().to_vec();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Tapped { date, body };
        Ok(())
    }
}

fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
