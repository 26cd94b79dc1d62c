//! What the text of one input can be: times, sizes, lists, commands, URLs. Pure functions.

use std::path::{Component, PathBuf};
use std::time::Duration;

use super::Command;
use super::problem::{Wrong, shown};

/// No time that a user writes is longer: further ones are slips, and clocks overflow.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Wrong> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Wrong::new(format!("is {}", shown(text)), "write true or false")),
    }
}

/// `90s`, `10m`, `1h`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong =
        || Wrong::new(format!("is {}, which is no time", shown(text)), "write a time such as 90s, 10m or 1h30m");
    let mut seconds: u64 = 0;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let unit = match tail.bytes().next() {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return Err(wrong()),
        };
        if unit >= last_unit {
            return Err(wrong());
        }
        last_unit = unit;
        let count: u64 = count.parse().map_err(|_| wrong())?;
        seconds = count.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    let time = Duration::from_secs(seconds);
    match text {
        "" => Err(wrong()),
        _ if time > LONGEST => Err(Wrong::new(format!("is {}", shown(text)), "write at most 168h, which is a week")),
        _ => Ok(time),
    }
}

/// A time limit: a time that is not zero, since every wait has a limit and needs a chance.
pub fn time_limit(text: &str) -> Result<Duration, Wrong> {
    match duration(text)? {
        Duration::ZERO => Err(Wrong::new("is no time at all", "write a time such as 90s, 10m or 1h30m")),
        time => Ok(time),
    }
}

/// Bytes: `512m`, `1g`, with the units of `docker run --memory`. At least 6m, docker's own minimum.
pub fn memory(text: &str) -> Result<i64, Wrong> {
    let wrong = || Wrong::new(format!("is {}", shown(text)), "write a size of at least 6m, such as 512m or 2g");
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.bytes().take_while(u8::is_ascii_digit).count());
    let factor: i64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(wrong()),
    };
    let bytes = digits.parse::<i64>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(wrong)?;
    if bytes < 6 << 20 { Err(wrong()) } else { Ok(bytes) }
}

/// A port.
pub fn port(text: &str) -> Result<u16, Wrong> {
    match text.parse() {
        Ok(0) | Err(_) => Err(Wrong::new(format!("is {}", shown(text)), "write one port from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// The lines of a list, trimmed, without empty ones.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// A command as in a Dockerfile's CMD. Text that starts like an array and is none is for the shell, as it is there.
pub fn command(text: &str) -> Result<Command, Wrong> {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) if words.first().is_none_or(|word| word.is_empty()) => {
            Err(Wrong::new("is an array without a program", "write [\"program\", \"argument\"]"))
        }
        Ok(words) => Ok(Command::Exec(words)),
        // No shell command begins like this; `[ -f x ]` does not.
        Err(error) if text.starts_with("[\"") => Err(Wrong::new(
            format!("begins like a JSON array and is none: {error}"),
            "write [\"program\", \"argument\"], or a shell command",
        )),
        Err(_) if text.contains('\0') => Err(Wrong::new("holds a NUL byte", "leave it out")),
        Err(_) => Ok(Command::Shell(text.to_owned())),
    }
}

/// Paths inside the repository, one a line.
pub fn repository_paths(text: &str) -> Result<Vec<PathBuf>, Wrong> {
    lines(text)
        .map(|line| {
            let path = PathBuf::from(line);
            let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if inside && !line.contains('\0') {
                return Ok(path);
            }
            let wrong = format!("has the path {}, which leads out of the repository", shown(line));
            Err(Wrong::new(wrong, "write paths relative to its root, one a line, without `..`"))
        })
        .collect()
}

/// Test reports inside a container, one a line: files, directories, and patterns such as `**/surefire-reports/*.xml`.
pub fn report_paths(text: &str) -> Result<Vec<String>, Wrong> {
    lines(text)
        .map(|line| {
            let wrong =
                |wrong: String| Wrong::new(wrong, "write paths in the container, one a line, such as reports/*.xml");
            if line.contains('\0') || line.split('/').any(|part| part == "..") {
                return Err(wrong(format!("has the path {}, which is none or leads upwards", shown(line))));
            }
            match globset::Glob::new(line) {
                Ok(_) => Ok(line.to_owned()),
                Err(error) => Err(wrong(format!("has the pattern {}: {}", shown(line), error.kind()))),
            }
        })
        .collect()
}

/// Whether a text can stand in a request as its path.
pub fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text.parse::<http::uri::PathAndQuery>().is_ok()
}

/// A path with query, starting with `/`.
pub fn url_path(text: &str) -> Result<String, Wrong> {
    match is_path(text) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write a path such as /ping")),
    }
}

/// An `http` or `https` URL that may hold `{cname}`.
pub fn url_template(text: &str) -> Result<String, Wrong> {
    let url = text.replace("{cname}", "name.example.com").parse::<http::Uri>().ok();
    let is_url = url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    match is_url && !text.contains('@') {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(
            format!("is {}", shown(text)),
            "write an http or https URL without a user, such as https://{cname}/",
        )),
    }
}

/// A name that reaches an API: short, on one line, of letters that the API takes beside letters, digits and `-`.
pub fn name(longest: usize, also: &'static [u8]) -> impl Fn(&str) -> Result<String, Wrong> {
    move |text| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || also.contains(&b);
        if text.len() <= longest && !text.is_empty() && text.bytes().all(legal) {
            return Ok(text.to_owned());
        }
        let others: String = also.iter().map(|b| format!(" `{}`", char::from(*b))).collect();
        let instead = format!("write 1 to {longest} letters, digits, `-`{others}");
        Err(Wrong::new(format!("is {}", shown(text)), instead))
    }
}

/// A text on one line.
pub fn line(text: &str) -> Result<String, Wrong> {
    match text.chars().any(char::is_control) || text.len() > 200 {
        true => Err(Wrong::new(format!("is {}", shown(text)), "write one line of at most 200 letters")),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hours_minutes_seconds_in_that_order() {
        let cases = [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("1h1m1s", 3661), ("0s", 0)];
        for (text, seconds) in cases {
            assert_eq!(duration(text).map(|time| time.as_secs()).ok(), Some(seconds), "{text}");
        }
        for bad in ["", "10", "m", "1m1h", "1m1m", "-1s", "1.5h", "10 m", "999999999999999999999s", "169h", "1é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(time_limit("0s").is_err());
    }

    #[test]
    fn sizes_have_dockers_units() {
        assert_eq!((memory("512m").ok(), memory("1GB").ok()), (Some(512 << 20), Some(1 << 30)));
        for bad in ["", "m", "1m", "lots", "9999999999g", "1.5g", "é"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_are_read_as_in_a_dockerfile() {
        assert_eq!(command("[\"a\", \"b c\"]").ok(), Some(Command::Exec(vec!["a".into(), "b c".into()])));
        assert_eq!(command("[ -f x ] && y").ok(), Some(Command::Shell("[ -f x ] && y".into())));
        assert!(command("[]").is_err() && command("[\"\"]").is_err());
    }

    #[test]
    fn paths_stay_in_the_repository() {
        assert!(repository_paths("tests\n./a/b").is_ok_and(|paths| paths.len() == 2));
        assert!(repository_paths("/etc").is_err() && repository_paths("a/../..").is_err());
    }

    #[test]
    fn urls_are_http_and_carry_no_user() {
        assert!(url_template("https://{cname}/").is_ok() && url_template("http://shop.example.com").is_ok());
        for bad in ["{cname}", "ftp://{cname}", "https://user:obvious-fake@{cname}/", "http://"] {
            assert!(url_template(bad).is_err(), "{bad}");
        }
    }
}
