//! The cloud's clock in the SDK: signatures are made in its time, and each answer tells what time it is there.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_sts::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};

use crate::clock::Clock;

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self).into()
    }
}

/// The same configuration with clients that sign in the cloud's time and learn it from every answer.
///
/// The SDK would correct its signatures too, for each client apart; with a clock that moves under it, it would correct
/// them twice.
pub fn keeping_time(sdk: SdkConfig, clock: &Clock) -> SdkConfig {
    let listening = sdk.http_client().map(|inner| Listening { inner, clock: clock.clone() });
    let mut sdk = sdk.into_builder().time_source(clock.clone()).disable_clock_skew_correction(true);
    sdk.set_http_client(listening.map(SharedHttpClient::new));
    sdk.build()
}

/// An HTTP client whose answers are listened to.
#[derive(Debug)]
struct Listening {
    inner: SharedHttpClient,
    clock: Clock,
}

impl HttpClient for Listening {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Line { inner, clock: self.clock.clone() })
    }
}

/// A connector of such a client.
#[derive(Debug)]
struct Line {
    inner: SharedHttpConnector,
    clock: Clock,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (sent, clock) = (self.clock.machine(), self.clock.clone());
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            if let Some(date) = written(&answer) {
                clock.heard_between(sent, date);
            }
            Ok(answer)
        })
    }
}

/// When an answer was written. One that a cache kept (RFC 9111 section 5.1) says nothing about now.
fn written(answer: &HttpResponse) -> Option<DateTime<Utc>> {
    let headers = answer.headers();
    let date = headers.get("date").filter(|_| headers.get("age").is_none())?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
}
