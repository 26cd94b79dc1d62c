//! One call to AWS: what its error means, and whether the same call may work in a moment.

use std::error::Error;
use std::time::Duration;

use aws_sdk_elasticbeanstalk::config::http::HttpResponse;
use aws_sdk_elasticbeanstalk::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::denied;
use crate::cloud::code;
use crate::engine::StageCx;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;

/// Who is told when a call is repeated; nobody outside a stage.
pub type Told<'a> = Option<&'a StageCx>;

/// How long a call that may be sent twice is repeated while nobody answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it is repeated outside a stage while we are throttled; within one, as long as the stage may take.
const BUSY: Duration = Duration::from_secs(300);

/// What to do when no call can be signed.
const CREDENTIALS_HINT: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws-actions/configure-aws-credentials before; \
     any source that the AWS SDK knows will do";

/// A call that did not succeed.
#[derive(Debug)]
pub struct ApiError {
    /// The service's code, such as `InvalidParameterValue`; empty when it did not answer.
    pub code: String,
    /// The service's words; empty when it did not answer.
    pub message: String,
    /// Whether the same call may work in a moment.
    pub passing: bool,
    /// Whether we asked too often.
    pub throttled: bool,
    /// Whether the service answered, and is busy or at fault itself.
    pub busy: bool,
    /// Whether the session of our credentials is over: no later call will do better.
    pub expired: bool,
    fault: Box<Fault>,
}

impl ApiError {
    /// Whether the service refused with words that contain `text`.
    pub fn says(&self, text: &str) -> bool {
        self.message.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
    }

    /// Whether the environment is busy with something else. `OperationInProgressFailure` is in the API Reference; the
    /// texts come with InvalidParameterValue, as users have posted them: "Environment named … is in an invalid state for
    /// this operation. Must be Ready." and "… It is currently pending deployment."
    pub fn is_busy(&self) -> bool {
        self.says("must be ready") || self.says("pending deployment") || self.code == "OperationInProgressFailure"
    }

    /// Whether a policy forbids the call.
    pub fn is_denied(&self) -> bool {
        code::is_denial(&self.code)
    }

    /// A call that is not sent, since the site is not ours to change.
    pub fn withheld(fault: Fault) -> Self {
        let (code, message) = (String::new(), String::new());
        let (passing, busy, throttled, expired) = (false, false, false, false);
        Self { code, message, passing, busy, throttled, expired, fault: Box::new(fault) }
    }

    /// What the reader is told of it.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// For the reader.
    pub fn into_fault(self) -> Fault {
        *self.fault
    }

    /// Says that a refusal is worth another look: something that was asked for is being done by the platform.
    pub fn into_passing(self) -> Failure {
        Failure::Passing(*self.fault)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match (error.passing, error.busy) {
            (true, true) => Failure::Busy(*error.fault),
            (true, false) => Failure::Passing(*error.fault),
            (false, _) => Failure::Final(*error.fault),
        }
    }
}

/// Repeats a call that reads, or that may safely be sent twice.
///
/// # Errors
/// The last failure.
pub async fn again<T>(
    told: Told<'_>,
    call: &'static str,
    mut send: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Result<T, Fault> {
    let tell = |fault: &Fault| told.iter().for_each(|cx| cx.retrying(call, fault));
    retry(policy(told), tell, async |_| Ok(send().await?)).await
}

/// Repeats a call that creates something; `send` hears which attempt it is and looks before it sends again.
///
/// # Errors
/// The last failure.
pub async fn looked_up<T>(
    told: Told<'_>,
    call: &'static str,
    send: impl AsyncFnMut(u32) -> Result<T, Failure>,
) -> Result<T, Fault> {
    let tell = |fault: &Fault| told.iter().for_each(|cx| cx.retrying(call, fault));
    retry(policy(told), tell, send).await
}

fn policy(told: Told<'_>) -> Policy {
    Policy::within(PATIENCE).busy_for(told.map_or(BUSY, StageCx::time_left))
}

/// A fault that says what could not be done, with another's words as its causes.
pub fn while_doing(what: impl Into<String>, fault: Fault) -> Fault {
    let outer = if fault.is_time_out() { Fault::timed_out(what) } else { Fault::new(what) };
    let outer = fault.causes().iter().fold(outer.cause(fault.what()), |outer, cause| outer.cause(cause));
    fault.hints().iter().fold(outer.lines(fault.last_lines().iter().cloned()), |outer, hint| outer.hint(hint))
}

/// Reads an SDK error. `call` is the operation's name as the API reference has it.
pub fn refused<E>(call: &str, error: SdkError<E, HttpResponse>) -> ApiError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let message = error.message().unwrap_or_default().to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let throttled = code::is_throttling(&code) || status == Some(429);
    let is_theirs = code::is_passing(&code) || status.is_some_and(|status| status >= 500);
    let is_answered = matches!(error, SdkError::ServiceError(_));
    let busy = is_answered && (throttled || is_theirs && code != "NotImplemented");
    let passing = match &error {
        SdkError::ServiceError(_) => busy || code::is_out_of_time(&code, &message),
        other => code::is_unanswered(other),
    };
    let expired = code::is_expired(&code);
    let fault = match &error {
        SdkError::ServiceError(_) if throttled => Fault::new(format!("{call} was throttled")).cause(&message),
        SdkError::ServiceError(_) => service_fault(call, &code, &message, status),
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            let lacks_credentials = !passing && DisplayErrorContext(&error).to_string().contains("credentials");
            let fault = Fault::new(format!("{call} got no answer")).because(error);
            if lacks_credentials { fault.hint(CREDENTIALS_HINT) } else { fault }
        }
        _ => Fault::new(format!("{call} could not be sent")).because(error),
    };
    ApiError { code, message, passing, throttled, busy, expired, fault: Box::new(fault) }
}

fn service_fault(call: &str, code: &str, message: &str, status: Option<u16>) -> Fault {
    if code::is_denial(code) {
        return denied::fault(call, message);
    }
    if code::is_expired(code) {
        return code::session_is_over(&format!("{call}: {code}: {message}"));
    }
    if code::is_unknown_caller(code) {
        return Fault::new(format!("AWS did not accept the credentials for {call}"))
            .cause(format!("{code}: {message}"))
            .hint("check the credentials in the environment");
    }
    let fault = Fault::new(format!("{call} was refused"));
    match (code, message, status) {
        ("", "", Some(status)) => fault.cause(format!("HTTP status {status} without an explanation")),
        (code, message, _) if code.starts_with("InvalidParameterValue") => fault.cause(message),
        (code, message, _) => fault.cause(format!("{code}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_causes_lines_and_hints() {
        let inner = Fault::new("inner").cause("why").lines(["log"]).hint("do this");
        let outer = while_doing("outer", inner);
        assert_eq!(outer.to_string(), "outer: inner: why");
        assert_eq!((outer.last_lines().len(), outer.hints().len()), (1, 1));
    }
}
