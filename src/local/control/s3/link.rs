//! Presigned URLs: an address that gives an object to whoever has it, for a while.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;

use crate::fault::Fault;
use crate::local::control::{ACCESS_KEY, REGION};

/// For how long Beanstalk's links to logs are good (RetrieveEnvironmentInfo, developer guide: 15 minutes).
const GOOD_FOR: Duration = Duration::from_secs(900);

/// A URL that reads this object without credentials, from `now` on.
///
/// # Errors
/// A bucket or key that no URL can hold.
pub(super) fn presigned(endpoint: &str, bucket: &str, key: &str, now: SystemTime) -> Result<String, Fault> {
    let refused = || Fault::new(format!("could not make a link to {bucket}/{key}"));
    let plain = format!("{endpoint}/{bucket}/{}", encoded(key));
    let identity = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "the local cloud").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(GOOD_FOR);
    // S3 signs paths as they are sent (AWS Signature Version 4, "canonical URI").
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    let params = SigningParams::builder().identity(&identity).region(REGION).name("s3").time(now).settings(settings);
    let params = params.build().map_err(|error| refused().because(error))?.into();
    let body = SignableBody::UnsignedPayload;
    let request =
        SignableRequest::new("GET", &*plain, std::iter::empty(), body).map_err(|error| refused().because(error))?;
    let signed = sign(request, &params).map_err(|error| refused().because(error))?;
    let mut request = http::Request::get(&plain).body(()).map_err(|error| refused().because(error))?;
    signed.into_parts().0.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

/// A key as a URL's path (RFC 3986: all but unreserved characters are encoded; the slash stays).
fn encoded(key: &str) -> String {
    key.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
