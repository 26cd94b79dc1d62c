//! Names: CNAMEs told apart, candidates named, labels checked, platforms ordered. No I/O.

use crate::image::Digest;

/// Every environment's name in DNS ends in one of these; the first is that of the regions in China.
const SUFFIXES: [&str; 2] = [".elasticbeanstalk.com.cn", ".elasticbeanstalk.com"];

/// Hex digits that make a candidate's name its own.
const MARK: usize = 8;

/// Environment names have at most 40 characters; a dash and the mark are ours.
const STEM: usize = 40 - 1 - MARK;

/// Lower case, without scheme, final slash or dot: what people paste.
pub fn tidy_cname(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(&text);
    text.trim_end_matches(['/', '.']).to_owned()
}

/// The prefix of a CNAME: what stands before the region, or before the suffix in names of the time before regions had
/// names of their own. Names that the platform made up have `.eba-` in it.
pub fn prefix_of<'a>(cname: &'a str, region: &str) -> &'a str {
    let name = SUFFIXES.iter().find_map(|suffix| cname.strip_suffix(suffix)).unwrap_or(cname);
    name.strip_suffix(region).and_then(|name| name.strip_suffix('.')).unwrap_or(name)
}

/// Whether a CNAME is the one that `live` names: its prefix, or the whole name.
pub fn is_cname(cname: &str, live: &str, region: &str) -> bool {
    let live = tidy_cname(live);
    if SUFFIXES.iter().any(|suffix| live.ends_with(suffix)) {
        cname == live
    } else {
        !live.is_empty() && prefix_of(cname, region) == live
    }
}

/// What a new environment's CNAME prefix may be.
///
/// # Errors
/// A sentence that says what it must be.
pub fn legal_prefix(prefix: &str) -> Result<(), String> {
    let legal = (4..=63).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !prefix.starts_with('-')
        && !prefix.ends_with('-');
    match legal {
        true => Ok(()),
        false => Err(format!("`{prefix}` must be 4 to 63 letters, digits or dashes, not first or last, to be made")),
    }
}

/// Labels stand in resource names and object keys, so they keep to what is safe there.
///
/// # Errors
/// A sentence that says what it must be.
pub fn legal_label(label: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match (1..=100).contains(&label.len()) && label.bytes().all(legal) {
        true => Ok(()),
        false => Err(format!("version label `{label}` must be 1 to 100 letters, digits, `.`, `_` or `-`")),
    }
}

/// A name's stem and our mark at its end, if it has one: what all candidates of one line have in common.
pub fn stem_of(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-') {
        Some((stem, mark))
            if mark.len() == MARK
                && mark.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                && !stem.is_empty() =>
        {
            (stem, Some(mark))
        }
        _ => (name, None),
    }
}

/// The stem of candidates that follow `name`: without our own mark, cut to leave room for one.
pub fn candidate_stem(name: &str) -> String {
    let legal: String =
        stem_of(name).0.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let cut: String = legal.trim_matches('-').chars().take(STEM).collect();
    cut.trim_end_matches('-').to_owned()
}

/// The candidate's name in the given attempt. The same run key gives the same name, so that a run that lost an answer
/// finds what it made.
pub fn candidate(stem: &str, run_key: &str, attempt: u32) -> String {
    let mark: String = Digest::of(format!("{run_key} {attempt}").as_bytes()).short().chars().take(MARK).collect();
    format!("{stem}-{mark}")
}

/// The newest platform for docker images on Amazon Linux 2023, by version and not by the list's order.
pub fn newest_docker(stacks: &[String]) -> Option<&String> {
    stacks.iter().filter_map(|stack| Some((version(stack)?, stack))).max_by(|a, b| a.0.cmp(&b.0)).map(|found| found.1)
}

fn version(stack: &str) -> Option<Vec<u32>> {
    let numbers = stack.strip_prefix("64bit Amazon Linux 2023 v")?.strip_suffix(" running Docker")?;
    numbers.split('.').map(|number| number.parse().ok()).collect()
}

/// Cut to `limit` characters' worth of bytes, never inside a character.
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_is_known_by_prefix_full_and_legacy_name() {
        let cases = [
            ("shop.eu-west-1.elasticbeanstalk.com", "shop", true),
            ("shop.eu-west-1.elasticbeanstalk.com", "http://Shop.eu-west-1.elasticbeanstalk.com/", true),
            ("shop.elasticbeanstalk.com", "shop", true),
            ("shop.elasticbeanstalk.com", "shop.elasticbeanstalk.com", true),
            ("shop.elasticbeanstalk.com", "shop.eu-west-1.elasticbeanstalk.com", false),
            ("shop.local.elasticbeanstalk.com", "shop", false),
            ("shop-2.eu-west-1.elasticbeanstalk.com", "shop", false),
            ("shop.eba-2x3y4z.eu-west-1.elasticbeanstalk.com", "shop.eba-2x3y4z", true),
            ("shop.eba-2x3y4z.eu-west-1.elasticbeanstalk.com", "shop", false),
            ("shop.cn-north-1.eb.amazonaws.com.cn", "shop", false),
            ("", "", false),
        ];
        for (cname, live, same) in cases {
            assert_eq!(is_cname(cname, live, "eu-west-1"), same, "{cname} {live}");
        }
    }

    #[test]
    fn candidates_keep_the_stem_and_swap_the_mark() {
        let long = "a-very-long-environment-name-of-forty-ch";
        for (live, stem) in [
            ("shop-blue", "shop-blue"),
            ("shop-blue-0a1b2c3d", "shop-blue"),
            ("shop-20250101", "shop"),
            ("shop-ABCDEF01", "shop-abcdef01"),
            ("Shop_1", "shop-1"),
            (long, "a-very-long-environment-name-of"),
        ] {
            assert_eq!(candidate_stem(live), stem);
            let name = candidate(stem, "key", 1);
            assert!((4..=40).contains(&name.len()) && legal_prefix(&name).is_ok(), "{name}");
            assert_eq!(stem_of(&name).0, stem);
            assert_ne!(name, candidate(stem, "key", 2));
        }
    }

    #[test]
    fn labels_and_prefixes_are_checked() {
        assert!(legal_label("1.0_rc-2").is_ok() && legal_label(&"x".repeat(100)).is_ok());
        for bad in ["", "a b", "a/b", "ü", &"x".repeat(101)] {
            assert!(legal_label(bad).is_err(), "{bad}");
        }
        for bad in ["abc", "-shop", "shop-", "Shop", "shop.x", &"x".repeat(64)] {
            assert!(legal_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_platform_is_found_by_its_version() {
        let stacks: Vec<String> = [
            "64bit Amazon Linux 2023 v4.9.1 running Docker",
            "64bit Amazon Linux 2023 v4.13.5 running Docker",
            "64bit Amazon Linux 2023 v4.20.0 running ECS",
            "64bit Amazon Linux 2 v9.0.0 running Docker",
        ]
        .map(String::from)
        .to_vec();
        assert_eq!(newest_docker(&stacks), stacks.get(1));
        assert_eq!(newest_docker(&[]), None);
    }

    #[test]
    fn text_is_never_cut_inside_a_character() {
        assert_eq!(cut("aüb", 2), "a");
        assert_eq!(cut("aüb", 9), "aüb");
    }
}
