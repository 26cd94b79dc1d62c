//! A world whose clock is wrong, or right while the caller's is not: all times that it tells and hears are moved.
//!
//! Inside, time goes on as it does. Only on the way out and in it is moved, so that a skew may come and go in
//! mid-operation.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::call::{Answer, Service};

tokio::task_local! {
    /// How far the world is ahead of this machine, for the request that is being answered.
    static AHEAD: TimeDelta;
}

/// Answers a request of a world that is `ahead`.
pub(super) async fn during<T>(ahead: TimeDelta, answer: impl Future<Output = T>) -> T {
    AHEAD.scope(ahead, answer).await
}

fn ahead() -> TimeDelta {
    AHEAD.try_with(|ahead| *ahead).unwrap_or_default()
}

/// A time as the world tells it.
pub(super) fn told(time: DateTime<Utc>) -> DateTime<Utc> {
    time + ahead()
}

/// A time that a client names, in this machine's time.
pub(super) fn meant(time: DateTime<Utc>) -> DateTime<Utc> {
    time - ahead()
}

/// Dates an answer that is given `now` (RFC 9110 section 6.6.1).
pub(super) fn date<B>(response: &mut Response<B>, now: DateTime<Utc>) {
    let date = told(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// How far a signature's time may be from the service's: fifteen minutes with S3 (its error responses,
/// `RequestTimeTooSkewed`), five elsewhere (IAM user guide, "Troubleshoot Signature Version 4").
fn tolerance(service: Service) -> TimeDelta {
    TimeDelta::minutes(if service == Service::S3 { 15 } else { 5 })
}

/// The refusal of a request that was signed at another time; presigned URLs have no such header and carry their own.
pub(super) fn refuse<B>(service: Service, request: &Request<B>, now: DateTime<Utc>) -> Option<Answer> {
    let signed = request.headers().get("x-amz-date")?.to_str().ok()?;
    let at = NaiveDateTime::parse_from_str(signed, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
    let (now, tolerance) = (told(now), tolerance(service));
    let off = now - at;
    (off.abs() > tolerance).then(|| refusal_of(service, signed, now, off))
}

fn refusal_of(service: Service, signed: &str, now: DateTime<Utc>, off: TimeDelta) -> Answer {
    let stamp = |time: DateTime<Utc>| time.format("%Y%m%dT%H%M%SZ").to_string();
    if service == Service::S3 {
        let message = "The difference between the request time and the current time is too large.";
        return Answer::refusal(service, StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message);
    }
    let tolerance = tolerance(service);
    let message = if off > TimeDelta::zero() {
        let least = stamp(now - tolerance);
        format!("Signature expired: {signed} is now earlier than {least} ({} - 5 min.)", stamp(now))
    } else {
        let most = stamp(now + tolerance);
        format!("Signature not yet current: {signed} is still later than {most} ({} + 5 min.)", stamp(now))
    };
    let (status, code) = match service.speaks_json() {
        true => (StatusCode::BAD_REQUEST, "InvalidSignatureException"),
        false => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
    };
    Answer::refusal(service, status, code, &message)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::error::ProvideErrorMetadata;

    use super::*;
    use crate::clock::Clock;
    use crate::cloud::code::is_out_of_time;
    use crate::cloud::keeping_time;
    use crate::image::Repository;
    use crate::inputs::RegistryPlan;
    use crate::local::control::beanstalk::faults::{FaultName, SetFault};
    use crate::local::control::query::Form;
    use crate::local::control::tests::{World, local};
    use crate::registry::Registry;

    #[tokio::test]
    async fn a_skew_of_an_hour_either_way_is_learnt_from_the_first_refusal() {
        for seconds in [3600, -3600] {
            let world = World::start().await;
            let skew = SetFault { seconds, ..SetFault::new(FaultName::Skew) };
            world.control.beanstalk().set_fault(skew).unwrap();
            let clock = Clock::new();
            let sdk = keeping_time(world.sdk(local()), &clock);
            let sts = aws_sdk_sts::Client::new(&sdk);
            let refused = sts.get_caller_identity().send().await.unwrap_err();
            let (code, message) = (refused.code().unwrap(), refused.message().unwrap());
            assert!(is_out_of_time(code, message), "{code}: {message}");
            assert!((clock.unix() - Utc::now().timestamp() - seconds).abs() <= 2);
            sts.get_caller_identity().send().await.unwrap();

            // The others have heard it too.
            let s3 =
                aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build());
            s3.create_bucket().bucket("bundles").send().await.unwrap();
            let bucket = s3.list_buckets().send().await.unwrap().buckets()[0].creation_date().unwrap().secs();
            assert!((bucket - clock.unix()).abs() < 60, "what it tells is of its time");
            let ecr = aws_sdk_ecr::Client::new(&sdk);
            let made = ecr.create_repository().repository_name("shop").send().await.unwrap();
            assert!((made.repository().unwrap().created_at().unwrap().secs() - clock.unix()).abs() < 60);
            let eb = aws_sdk_elasticbeanstalk::Client::new(&sdk);
            let made = eb.create_application().application_name("shop").send().await.unwrap();
            let made = made.application().unwrap().date_created().unwrap().secs();
            assert!((made - clock.unix()).abs() < 60);
        }
    }

    #[tokio::test]
    async fn a_world_understands_the_times_that_it_told() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        during(TimeDelta::hours(-1), async {
            let form = Form::parse("StartTime=2027-01-15T07:00:00Z");
            assert_eq!(told(now).to_rfc3339(), "2027-01-15T07:00:00+00:00");
            assert_eq!(form.time("StartTime").unwrap(), Some(now));
        })
        .await;
    }

    #[tokio::test]
    async fn each_service_refuses_in_its_own_words_and_is_asked_again() {
        let world = World::start().await;
        let skew = SetFault { seconds: 1200, ..SetFault::new(FaultName::Skew) };
        world.control.beanstalk().set_fault(skew).unwrap();
        let deaf = world.sdk(local());
        let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&deaf).force_path_style(true).build());
        let refused = s3.create_bucket().bucket("bundles").send().await.unwrap_err();
        assert_eq!(refused.code(), Some("RequestTimeTooSkewed"));
        let sdk = keeping_time(deaf, &Clock::new());
        let repository = Repository::parse("shop", &world.registry).unwrap();
        let plan = RegistryPlan::default();
        let registry = Registry::open(&repository, &plan, Some(&sdk)).await.unwrap();
        assert!(registry.is_ecr(), "refused once, then signed at the right time");
    }
}
