//! Times, sizes, ports and command lines as compose writes them.

use std::time::Duration;

/// No time of a health check is longer, in seconds: a run has no more.
const LONGEST: f64 = 24.0 * 3600.0;

/// The most ports that one range may have.
const MOST_PORTS: u16 = 100;

/// `1m30s`, `500ms`, `1.5h` (Compose specification, "Specifying durations").
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let end = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (count, tail) = rest.split_at(end);
        let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| tail.starts_with(unit))?;
        seconds += count.parse::<f64>().ok()? * factor;
        rest = &tail[unit.len()..];
    }
    (!text.is_empty() && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

/// `64m`, `1gb`, `1048576` (Compose specification, "Specifying byte values").
pub(super) fn bytes(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.bytes().take_while(u8::is_ascii_digit).count());
    let factor: i64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

/// The TCP ports of the container in `5432`, `5432:5432`, `127.0.0.1::5432/tcp`, `3000-3005`; none for UDP.
pub(super) fn ports(text: &str) -> Option<Vec<u16>> {
    let (text, is_tcp) = match text.split_once('/') {
        Some((text, protocol)) => (
            text,
            match protocol {
                "tcp" => true,
                "udp" | "sctp" => false,
                _ => return None,
            },
        ),
        None => (text, true),
    };
    let container = text.rsplit(':').next().unwrap_or(text);
    let (first, last) = container.split_once('-').unwrap_or((container, container));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    if first == 0 || last < first || last - first >= MOST_PORTS {
        return None;
    }
    Some(if is_tcp { (first..=last).collect() } else { Vec::new() })
}

/// Words of a command line, taken apart as a shell does; no shell runs it.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    shlex::split(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_go_s_units() {
        let millis = |text: &str| duration(text).map(|time| time.as_millis());
        assert_eq!((millis("1m30s"), millis("500ms"), millis("1.5h")), (Some(90_000), Some(500), Some(5_400_000)));
        for bad in ["", "10", "s", "1d", "-1s", "1 s", "99h", "1..5s", "ms1"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_have_docker_s_units() {
        assert_eq!((bytes("64m"), bytes("1GB"), bytes("7")), (Some(64 << 20), Some(1 << 30), Some(7)));
        assert!(["", "m", "0", "1t", "-1", "99999999999g"].iter().all(|bad| bytes(bad).is_none()));
    }

    #[test]
    fn ports_are_the_container_s() {
        let cases: [(&str, &[u16]); 6] = [
            ("5432", &[5432]),
            ("15432:5432", &[5432]),
            ("127.0.0.1::5432/tcp", &[5432]),
            ("[::1]:80:8080", &[8080]),
            ("3000-3002", &[3000, 3001, 3002]),
            ("53:53/udp", &[]),
        ];
        cases.iter().for_each(|(text, numbers)| assert_eq!(ports(text).as_deref(), Some(*numbers), "{text}"));
        assert!(["", "x", "0", "70000", "2-1", "1-60000", "80/http"].iter().all(|bad| ports(bad).is_none()));
    }
}
