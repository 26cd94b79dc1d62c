//! What AWS's error codes have in common across its services (each API reference's page "Common Errors").

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;

use crate::fault::Fault;

/// Whether we asked too often.
pub fn is_throttling(code: &str) -> bool {
    const CODES: [&str; 8] = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "SlowDown",
    ];
    CODES.contains(&code)
}

/// Whether the service says that the fault is its own.
pub fn is_passing(code: &str) -> bool {
    const CODES: [&str; 7] = [
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "InternalFailure",
        "InternalError",
        "InternalServerError",
        "ServerException",
        "RequestTimeout",
    ];
    CODES.contains(&code)
}

/// Whether the signature's time was too far from the service's: the refusal has told our clock what time it is there, so
/// that the next attempt is signed well.
pub fn is_out_of_time(code: &str, message: &str) -> bool {
    const SIGNATURE: [&str; 3] = ["SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignature"];
    let is_about_time = || message.contains("Signature expired") || message.contains("Signature not yet current");
    matches!(code, "RequestTimeTooSkewed" | "RequestExpired") || SIGNATURE.contains(&code) && is_about_time()
}

/// Whether the session of the credentials is over.
pub fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
}

/// The fault of a call whose credentials expired under it. What was asked for before is done without us.
pub fn session_is_over(cause: &str) -> Fault {
    Fault::new("AWS no longer accepts our credentials: their session is over")
        .cause(cause)
        .hint(
            "what AWS was asked to do goes on without us, and nothing is lost: run again with fresh credentials, and the \
             run attaches to what is under way",
        )
        .hint("let a session last as long as a run may: the session's duration is set where the role is assumed")
}

/// Whether the service does not know the credentials.
pub fn is_unknown_caller(code: &str) -> bool {
    const CODES: [&str; 6] = [
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
    ];
    CODES.contains(&code)
}

/// Whether a policy forbids the call.
pub fn is_denial(code: &str) -> bool {
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"].contains(&code)
        || code.starts_with("InsufficientPrivileges")
}

/// Whether a call ended without the service's word although another attempt may have it. A connection that was closed
/// before the answer came has a kind of its own; what cannot be repeated, such as a certificate that is not trusted, has
/// none.
pub fn is_unanswered<E, R>(error: &SdkError<E, R>) -> bool
where
    E: Error,
{
    match error {
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout() || failure.as_other().is_some(),
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_that_is_out_of_time_is_told_from_a_wrong_one() {
        let expired = "Signature expired: 20261120T100000Z is now earlier than 20261120T105500Z (… - 5 min.)";
        assert!(is_out_of_time("SignatureDoesNotMatch", expired) && is_out_of_time("RequestTimeTooSkewed", ""));
        let wrong = "The request signature we calculated does not match the signature you provided.";
        assert!(!is_out_of_time("SignatureDoesNotMatch", wrong) && !is_out_of_time("ExpiredToken", expired));
    }
}
