//! API calls and service events as CloudTrail reports them.

use std::borrow::Cow;

use super::{
    Reason,
    envelope::Envelope,
    json::{Field, quoted},
};

/// The detail-type of a call that somebody made.
pub(super) const API_CALL: &str = "AWS API Call via CloudTrail";
/// The detail-type of what a service did by itself.
pub(super) const SERVICE_EVENT: &str = "AWS Service Event via CloudTrail";

/// One call or service event.
pub(super) struct Call<'a> {
    /// Its name, as `PutObject`.
    pub(super) name: Cow<'a, str>,
    /// What it was called with.
    pub(super) parameters: Field<'a>,
    /// What else CloudTrail knows.
    pub(super) more: Field<'a>,
}

/// The call that the event reports, or why it changed nothing: calls that failed are reported like the others.
pub(super) fn call<'a>(envelope: &Envelope<'a>) -> Result<Result<Call<'a>, Reason>, Reason> {
    let [name, error, parameters, more] =
        envelope.detail()?.pick(["eventName", "errorCode", "requestParameters", "additionalEventData"])?;
    let name = name.filled()?;
    Ok(match error.text()? {
        Some(code) => Err(format!("{} failed with {}: nothing has changed", quoted(&name), quoted(&code))),
        None => Ok(Call { name, parameters, more }),
    })
}
