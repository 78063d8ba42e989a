//! What a failed call means, and what may be done about it. Decided by codes and by how far the request got; by
//! the text of a message only for ECS's throttling, which has no code of its own everywhere.

use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::{
    config::http::HttpResponse,
    error::{ErrorMetadata, ProvideErrorMetadata, SdkError},
};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::fence::NotBegun;
use crate::domain::{CallFailure, Cause, Remedy, redacted};

/// Whether a call changes something: decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It changes nothing, so it may be tried again whatever became of it.
    Read,
    /// It changes something in ECS.
    Change,
}

/// The kinds of failure, across services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Too many calls.
    Throttled,
    /// A permission is missing.
    Denied,
    /// The credentials are absent, expired or refused, or the clock is wrong.
    Credentials,
    /// What the call is about does not exist.
    Missing,
    /// The endpoint does not know the operation.
    Unsupported,
    /// The request was refused for what it asks.
    Refused,
    /// AWS failed.
    Server,
    /// No answer came in time, or the connection broke: the request may have arrived.
    Lost,
    /// The request never left.
    Unreachable,
}

/// What is known of a call that failed, whatever its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// How far it got.
    reached: Reached,
    /// The HTTP status, where there was an answer.
    status: Option<u16>,
    /// AWS's code, where the answer had one.
    code: Option<String>,
    /// AWS's words, or the transport's.
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// It was not sent.
    Nothing,
    /// It was not sent, because there was nothing to sign it with.
    Signing,
    /// It may have arrived.
    Perhaps,
    /// AWS answered.
    Answered,
}

impl Kind {
    /// Whether asking again soon may succeed, where asking twice does no harm.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Throttled | Self::Server | Self::Lost | Self::Unreachable => true,
            Self::Denied | Self::Credentials | Self::Missing | Self::Unsupported | Self::Refused => false,
        }
    }

    /// Whether AWS did not answer, or only to say that it cannot.
    pub(super) fn is_silence(self) -> bool {
        match self {
            Self::Server | Self::Lost | Self::Unreachable => true,
            Self::Throttled
            | Self::Denied
            | Self::Credentials
            | Self::Missing
            | Self::Unsupported
            | Self::Refused => false,
        }
    }

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Credentials => "credentials",
            Self::Missing => "missing",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
            Self::Server => "server_error",
            Self::Lost => "lost",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Fault {
    /// What an SDK error tells.
    pub(super) fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let fault = |reached, message| Self { reached, status, code: None, message };
        match error {
            SdkError::ServiceError(answered) => Self {
                code: answered.err().code().map(str::to_owned),
                ..fault(Reached::Answered, answered.err().message().unwrap_or_default().to_owned())
            },
            SdkError::ConstructionFailure(_) => fault(Reached::Nothing, innermost(error)),
            SdkError::DispatchFailure(_) if never_sent(error) || has::<NotBegun>(error) => {
                fault(Reached::Nothing, innermost(error))
            }
            SdkError::DispatchFailure(_) if has::<CredentialsError>(error) => {
                fault(Reached::Signing, innermost(error))
            }
            SdkError::TimeoutError(_) => fault(Reached::Perhaps, "no answer in time".into()),
            // What remains: the connection broke, or what came back is no answer of this service.
            _ => fault(Reached::Perhaps, innermost(error)),
        }
    }

    /// One that was never sent.
    pub(super) fn never_sent(why: &str) -> Self {
        Self { reached: Reached::Nothing, status: None, code: None, message: why.into() }
    }

    /// One that did not come from AWS: the answer did not hold what it must.
    pub(super) fn unusable(message: impl Into<String>) -> Self {
        Self { reached: Reached::Answered, status: Some(200), code: None, message: message.into() }
    }

    /// Of which kind it is.
    pub(super) fn kind(&self) -> Kind {
        match self.reached {
            Reached::Nothing => Kind::Unreachable,
            Reached::Signing => Kind::Credentials,
            Reached::Answered | Reached::Perhaps => self
                .code
                .as_deref()
                .and_then(|code| kind_of_code(code, &self.message))
                .unwrap_or_else(|| self.kind_of_status()),
        }
    }

    /// AWS's code.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the answer was HTTP 500 or 501 without a code: so answers an emulator that lacks the operation.
    pub(super) fn looks_unimplemented(&self) -> bool {
        self.kind() == Kind::Unsupported || (matches!(self.status, Some(500 | 501)) && self.code.is_none())
    }

    /// As a failed call to ECS or STS.
    pub(super) fn of_call(&self, operation: &'static str, verb: Verb) -> CallFailure {
        let kind = self.kind();
        CallFailure {
            cause: cause(kind, operation),
            reason: self.reason(operation),
            remedy: remedy(kind, verb),
        }
    }

    /// One line: the operation, the code, and AWS's words.
    pub(super) fn reason(&self, operation: &str) -> String {
        let kind = self.kind();
        let words = match kind {
            // AWS answers a bad signature with the canonical request, and that holds the session token.
            Kind::Credentials if self.reached == Reached::Answered => {
                "the credentials or the signature were refused: are they expired, is the clock right?"
            }
            _ => self.message.as_str(),
        };
        let words = match (words.is_empty(), self.status) {
            (false, _) => words.to_owned(),
            (true, Some(status)) => format!("HTTP status {status}"),
            (true, None) => "no answer".to_owned(),
        };
        match &self.code {
            Some(code) => one_line(&format!("{operation}: {code}: {words}")),
            None => one_line(&format!("{operation}: {words}")),
        }
    }

    fn kind_of_status(&self) -> Kind {
        match self.status {
            Some(429) => Kind::Throttled,
            Some(401 | 403) => Kind::Denied,
            Some(501) => Kind::Unsupported,
            Some(500..) => Kind::Server,
            Some(400..) => Kind::Refused,
            Some(_) | None => Kind::Lost,
        }
    }
}

/// Makes a text one line of at most 400 characters, with no credentials in it.
pub(super) fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 400;
    let line = redacted(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The kind that a code names, in any service's spelling; `None` leaves it to the HTTP status.
fn kind_of_code(code: &str, message: &str) -> Option<Kind> {
    // SQS has two spellings, of which one is led by this.
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    Some(match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "KmsThrottled"
        | "KMS.ThrottlingException"
        | "OverLimit" => Kind::Throttled,
        // ECS has no code for these two: they come as ClientException, and say so.
        _ if message.starts_with("Rate exceeded") || message.starts_with("Too many concurrent attempts") => {
            Kind::Throttled
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "OptInRequired"
        | "BlockedException"
        | "KmsAccessDenied"
        | "KMS.AccessDeniedException"
        | "AuthorizationError" => Kind::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "InvalidSecurity" => Kind::Credentials,
        "ServiceNotFoundException"
        | "ServiceNotActiveException"
        | "ClusterNotFoundException"
        | "ResourceNotFoundException"
        | "ServiceDeploymentNotFoundException"
        | "RepositoryNotFoundException"
        | "ImageNotFoundException"
        | "ParameterNotFound"
        | "NoSuchBucket"
        | "NoSuchKey"
        | "QueueDoesNotExist"
        | "NonExistentQueue"
        | "QueueDeletedRecently" => Kind::Missing,
        "UnknownOperationException"
        | "UnknownOperation"
        | "InvalidAction"
        | "NotImplemented"
        | "NotImplementedException"
        | "UnsupportedOperation" => Kind::Unsupported,
        "ServerException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => Kind::Server,
        "RequestTimeout" | "RequestTimeoutException" => Kind::Lost,
        // S3 was asked in the wrong Region, and will say so again.
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => Kind::Refused,
        _ => return None,
    })
}

/// What a deployment that fails by this is said to have failed of.
fn cause(kind: Kind, operation: &str) -> Cause {
    let of_definition =
        matches!(operation, "RegisterTaskDefinition" | "UpdateService" | "DescribeTaskDefinition");
    match kind {
        Kind::Throttled => Cause::Throttled,
        Kind::Denied | Kind::Credentials => Cause::Permission,
        Kind::Missing => Cause::TargetMissing,
        Kind::Refused if of_definition => Cause::DefinitionInvalid,
        Kind::Refused | Kind::Unsupported | Kind::Server => Cause::Unknown,
        Kind::Lost | Kind::Unreachable => Cause::Timeout,
    }
}

/// What may be done. Credentials are renewed by themselves and clocks are set, so that may succeed later; a
/// permission is given by a person.
fn remedy(kind: Kind, verb: Verb) -> Remedy {
    match (kind, verb) {
        (Kind::Throttled, _) => Remedy::Wait,
        (Kind::Credentials | Kind::Unreachable, _) | (Kind::Server | Kind::Lost, Verb::Read) => Remedy::Retry,
        (Kind::Server | Kind::Lost, Verb::Change) => Remedy::LookFirst,
        (Kind::Denied | Kind::Missing | Kind::Unsupported | Kind::Refused, _) => Remedy::GiveUp,
    }
}

/// Whether the connection was never made. Only what is certain counts: anything else may have arrived.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
        )
    })
}

fn has<T: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).any(<dyn std::error::Error + 'static>::is::<T>)
}

/// The deepest error's words: the outer ones only say that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let Some(deepest) = chain(error).last() else { return String::new() };
    let words = deepest.downcast_ref().map_or_else(|| deepest.to_string(), in_words);
    if has::<AssumeRoleError>(error) { format!("AssumeRole: {words}") } else { words }
}

/// What AWS answered; of itself it would be written as Rust writes a structure.
fn in_words(answer: &ErrorMetadata) -> String {
    let parts = [answer.code(), answer.message()].into_iter().flatten();
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str, message: &str) -> Fault {
        let code = Some(code).filter(|code| !code.is_empty()).map(str::to_owned);
        Fault { reached: Reached::Answered, status: Some(status), code, message: message.into() }
    }

    fn reached(reached: Reached) -> Fault {
        Fault { reached, status: None, code: None, message: "words".into() }
    }

    #[test]
    fn codes_tell_the_kind_before_the_status_does() {
        for (status, code, kind) in [
            (400, "ThrottlingException", Kind::Throttled),
            (403, "RequestThrottled", Kind::Throttled),
            (403, "AWS.SimpleQueueService.OverLimit", Kind::Throttled),
            (400, "AccessDeniedException", Kind::Denied),
            (403, "", Kind::Denied),
            (400, "ExpiredTokenException", Kind::Credentials),
            (403, "SignatureDoesNotMatch", Kind::Credentials),
            (403, "InvalidSignatureException", Kind::Credentials),
            (400, "ServiceNotFoundException", Kind::Missing),
            (400, "AWS.SimpleQueueService.NonExistentQueue", Kind::Missing),
            (400, "UnknownOperationException", Kind::Unsupported),
            (501, "", Kind::Unsupported),
            (400, "InvalidParameterException", Kind::Refused),
            (400, "ServerException", Kind::Server),
            (503, "", Kind::Server),
            (429, "", Kind::Throttled),
        ] {
            assert_eq!(answered(status, code, "").kind(), kind, "{status} {code}");
        }
    }

    /// Every error code that the calls are documented or known to answer with, and what follows from it: for a read, and
    /// for a change.
    #[test]
    fn every_code_leads_to_one_remedy() {
        use Remedy::{GiveUp, LookFirst, Retry, Wait};
        for (status, code, cause, read, change) in [
            // Too many calls: nothing was done.
            (400, "ThrottlingException", Cause::Throttled, Wait, Wait),
            (400, "Throttling", Cause::Throttled, Wait, Wait),
            (400, "RequestLimitExceeded", Cause::Throttled, Wait, Wait),
            (400, "TooManyRequestsException", Cause::Throttled, Wait, Wait),
            (503, "SlowDown", Cause::Throttled, Wait, Wait),
            (429, "", Cause::Throttled, Wait, Wait),
            // AWS failed: a change may have taken effect.
            (500, "ServerException", Cause::Unknown, Retry, LookFirst),
            (500, "InternalFailure", Cause::Unknown, Retry, LookFirst),
            (503, "ServiceUnavailable", Cause::Unknown, Retry, LookFirst),
            (500, "", Cause::Unknown, Retry, LookFirst),
            (502, "", Cause::Unknown, Retry, LookFirst),
            (504, "", Cause::Unknown, Retry, LookFirst),
            (408, "RequestTimeout", Cause::Timeout, Retry, LookFirst),
            (400, "RequestTimeoutException", Cause::Timeout, Retry, LookFirst),
            // Credentials are renewed, clocks are set.
            (400, "ExpiredTokenException", Cause::Permission, Retry, Retry),
            (403, "ExpiredToken", Cause::Permission, Retry, Retry),
            (403, "InvalidSignatureException", Cause::Permission, Retry, Retry),
            (403, "InvalidSignature", Cause::Permission, Retry, Retry),
            (403, "SignatureDoesNotMatch", Cause::Permission, Retry, Retry),
            (403, "RequestTimeTooSkewed", Cause::Permission, Retry, Retry),
            (400, "RequestExpired", Cause::Permission, Retry, Retry),
            (403, "UnrecognizedClientException", Cause::Permission, Retry, Retry),
            (403, "InvalidClientTokenId", Cause::Permission, Retry, Retry),
            (403, "IncompleteSignature", Cause::Permission, Retry, Retry),
            (403, "MissingAuthenticationToken", Cause::Permission, Retry, Retry),
            // A person has to give what is missing.
            (400, "AccessDeniedException", Cause::Permission, GiveUp, GiveUp),
            (403, "AccessDenied", Cause::Permission, GiveUp, GiveUp),
            (400, "OptInRequired", Cause::Permission, GiveUp, GiveUp),
            (403, "", Cause::Permission, GiveUp, GiveUp),
            (400, "BlockedException", Cause::Permission, GiveUp, GiveUp),
            (400, "ServiceNotFoundException", Cause::TargetMissing, GiveUp, GiveUp),
            (400, "ServiceNotActiveException", Cause::TargetMissing, GiveUp, GiveUp),
            (400, "ClusterNotFoundException", Cause::TargetMissing, GiveUp, GiveUp),
            (400, "ServiceDeploymentNotFoundException", Cause::TargetMissing, GiveUp, GiveUp),
            // What is asked for cannot be had.
            (400, "InvalidParameterException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "ClientException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "PlatformTaskDefinitionIncompatibilityException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "PlatformUnknownException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "NamespaceNotFoundException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "ValidationException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "ConflictException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "UnsupportedFeatureException", Cause::DefinitionInvalid, GiveUp, GiveUp),
            (400, "UnknownOperationException", Cause::Unknown, GiveUp, GiveUp),
            (404, "", Cause::DefinitionInvalid, GiveUp, GiveUp),
            // Something else answered than AWS: a proxy, or a portal that wants a login.
            (301, "", Cause::Timeout, Retry, LookFirst),
            (302, "", Cause::Timeout, Retry, LookFirst),
        ] {
            let fault = answered(status, code, "words");
            let (of_read, of_change) =
                (fault.of_call("UpdateService", Verb::Read), fault.of_call("UpdateService", Verb::Change));
            let found = (of_change.cause, of_read.remedy, of_change.remedy);
            assert_eq!(found, (cause, read, change), "{status} {code}");
        }
    }

    #[test]
    fn an_explicit_deny_is_a_permission_whatever_its_words() {
        let words = "User: arn:aws:sts::1:assumed-role/lockkeeper/x is not authorized to perform: ecs:UpdateService on \
                     resource: shop with an explicit deny in a service control policy. Rate exceeded";
        let failure = answered(400, "AccessDeniedException", words).of_call("UpdateService", Verb::Change);
        assert_eq!((failure.cause, failure.remedy), (Cause::Permission, Remedy::GiveUp));
        assert!(failure.reason.contains("explicit deny"), "{}", failure.reason);
    }

    #[test]
    fn only_the_two_texts_that_ecs_documents_make_a_client_exception_throttling() {
        let text = |text| answered(400, "ClientException", text).kind();
        assert_eq!(text("Rate exceeded"), Kind::Throttled);
        assert_eq!(
            text("Too many concurrent attempts to create a new revision of the specified family."),
            Kind::Throttled
        );
        assert_eq!(text("The rate exceeded all that was asked for"), Kind::Refused);
    }

    #[test]
    fn a_lost_answer_is_tried_again_by_a_read_and_looked_at_after_a_change() {
        for fault in [reached(Reached::Perhaps), answered(500, "", ""), answered(500, "ServerException", "")]
        {
            assert_eq!(fault.of_call("DescribeServices", Verb::Read).remedy, Remedy::Retry);
            assert_eq!(fault.of_call("UpdateService", Verb::Change).remedy, Remedy::LookFirst);
        }
    }

    #[test]
    fn a_change_that_never_left_or_was_throttled_did_nothing() {
        for fault in [reached(Reached::Nothing), reached(Reached::Signing)] {
            assert_eq!(fault.of_call("UpdateService", Verb::Change).remedy, Remedy::Retry);
        }
        let throttled = answered(400, "ThrottlingException", "");
        assert_eq!(throttled.of_call("UpdateService", Verb::Change).remedy, Remedy::Wait);
    }

    #[test]
    fn what_asking_again_cannot_mend_is_given_up_with_its_cause() {
        for (code, operation, cause) in [
            ("AccessDeniedException", "UpdateService", Cause::Permission),
            ("ServiceNotActiveException", "UpdateService", Cause::TargetMissing),
            ("ClusterNotFoundException", "UpdateService", Cause::TargetMissing),
            ("ClientException", "RegisterTaskDefinition", Cause::DefinitionInvalid),
            ("InvalidParameterException", "UpdateService", Cause::DefinitionInvalid),
            ("InvalidParameterException", "ListTasks", Cause::Unknown),
        ] {
            let failure = answered(400, code, "no").of_call(operation, Verb::Change);
            assert_eq!((failure.cause, failure.remedy), (cause, Remedy::GiveUp), "{operation} {code}");
        }
    }

    #[test]
    fn a_reason_is_one_bounded_line_that_names_operation_and_code() {
        let fault = answered(400, "AccessDeniedException", "User x\n is not  authorized");
        assert_eq!(
            fault.reason("UpdateService"),
            "UpdateService: AccessDeniedException: User x is not authorized"
        );
        assert_eq!(answered(502, "", "").reason("ListTasks"), "ListTasks: HTTP status 502");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), 401);
    }

    #[test]
    fn a_refused_signature_does_not_spell_out_the_request_that_was_signed() {
        let canonical = "The Canonical String should have been 'POST / x-amz-security-token:SECRET'";
        for code in ["SignatureDoesNotMatch", "InvalidSignatureException"] {
            let reason = answered(403, code, canonical).reason("SendMessage");
            assert!(reason.contains(code) && !reason.contains("SECRET"), "{reason}");
        }
    }

    #[test]
    fn a_role_that_was_refused_is_told_in_the_words_of_aws() {
        let answer = ErrorMetadata::builder().code("AccessDenied").message("User x may not.");
        let answer = answer.custom("aws_request_id", "7").build();
        let refused = CredentialsError::provider_error(AssumeRoleError::generic(answer));
        assert_eq!(innermost(&refused), "AssumeRole: AccessDenied: User x may not.");
        assert_eq!(in_words(&ErrorMetadata::builder().build()), "");
    }

    #[test]
    fn a_refused_connection_was_never_sent_and_a_broken_one_may_have_been() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(never_sent(&refused) && !never_sent(&reset));
    }
}
