//! GitHub's Markdown: what must be escaped, fences that hold, and cutting to a limit without breaking either.

/// Prose with what Markdown would take for markup escaped, except code between backticks.
pub fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&text.replace('`', "'"));
    }
    let shown = parts.iter().enumerate().map(|(i, part)| if i % 2 == 0 { escaped(part) } else { (*part).to_owned() });
    shown.collect::<Vec<_>>().join("`").replace('\n', "<br>")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '|' | '~' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// A value as code, inside a line or a table's cell.
pub fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace('|', "\\|").replace('\n', " "))
}

/// Lines as a block of code, with a fence that nothing inside can close.
pub fn block<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let body = lines.into_iter().collect::<Vec<_>>().join("\n");
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{body}\n{fence}\n")
}

/// Cuts text to `limit` bytes at the end of a line, or else of a character; closes a block of code that the cut opened,
/// and says that something is missing.
pub fn fit(text: &str, limit: usize) -> String {
    const CUT: &str = "\n… (cut here: the log has all of it)\n";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut room = limit.saturating_sub(CUT.len());
    loop {
        let whole = &text[..text.floor_char_boundary(room)];
        let cut = match whole.rfind('\n') {
            // A very long line is cut inside rather than left out.
            Some(end) if end > whole.len() / 2 => &whole[..end],
            _ => whole,
        };
        let fence = open_fence(cut).map(|fence| format!("\n{fence}")).unwrap_or_default();
        let needed = cut.len() + fence.len() + CUT.len();
        if needed <= limit {
            return format!("{cut}{fence}{CUT}");
        }
        if room == 0 {
            return String::new();
        }
        room = room.saturating_sub(needed - limit);
    }
}

/// The fence of a block of code that is still open at the end of the text.
fn open_fence(text: &str) -> Option<&str> {
    let mut open: Option<&str> = None;
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 => open = Some(&line[..ticks]),
            Some(fence) if ticks >= fence.len() && line.len() == ticks => open = None,
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::{block, fit, prose};

    #[test]
    fn markup_is_escaped_but_code_is_not() {
        assert_eq!(prose("a <b> *c* `d_e <f>`"), "a &lt;b> \\*c\\* `d_e <f>`");
        assert_eq!(prose("one ` alone <x>"), "one ' alone &lt;x>");
    }

    #[test]
    fn a_fence_is_longer_than_any_inside() {
        assert_eq!(block(["a ```` b"]), "`````text\na ```` b\n`````\n");
        assert_eq!(block(["plain"]), "```text\nplain\n```\n");
    }

    #[test]
    fn cutting_keeps_the_limit_characters_and_fences() {
        let text = format!("Intro\n\n{}\nafter", block(std::iter::repeat_n("żółć", 500)));
        for limit in [0, 10, 60, 61, 62, 63, 64, 1000] {
            let cut = fit(&text, limit);
            assert!(cut.len() <= limit, "{limit}: {}", cut.len());
            assert!(super::open_fence(&cut).is_none(), "{cut}");
        }
        assert!(fit(&text, 1000).contains("żółć\n```\n… (cut here"));
        assert_eq!(fit("short", 100), "short");
        assert!(fit(&"x".repeat(100), 60).starts_with("xxxxxxxxxx"));
    }
}
