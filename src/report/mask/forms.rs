//! The shapes in which a secret is commonly printed.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::SHORTEST;
use crate::inputs::Secret;
use crate::report::clean;

/// Adds every form of a secret: of its whole text, of its lines, and of its lines written one behind the other.
pub(super) fn add(secret: &Secret, forms: &mut BTreeSet<String>) {
    if !secret.is_masked() {
        return;
    }
    let text = secret.reveal();
    let joined: String = text.lines().map(str::trim).collect();
    // What is encoded may have its spaces and its end of line with it.
    for text in [text, text.trim(), &joined].into_iter().chain(text.lines().map(str::trim)) {
        if text.trim().len() >= SHORTEST {
            add_forms(text, forms);
        }
    }
}

/// Adds every shape in which `text` is commonly printed.
fn add_forms(text: &str, forms: &mut BTreeSet<String>) {
    let bytes = text.as_bytes();
    // Lines are searched one by one.
    forms.extend((!text.contains('\n')).then(|| clean::line(text)));
    forms.insert(STANDARD.encode(bytes));
    forms.insert(STANDARD_NO_PAD.encode(bytes));
    forms.insert(URL_SAFE_NO_PAD.encode(bytes));
    for offset in 0..3 {
        for shape in [inside_base64(bytes, offset, &STANDARD_NO_PAD), inside_base64(bytes, offset, &URL_SAFE_NO_PAD)] {
            forms.insert(shape);
        }
    }
    for plain in LEFT_PLAIN {
        let upper = percent_encoded(bytes, plain);
        forms.insert(upper.replace("%20", "+"));
        forms.insert(percent_lower(&upper));
        forms.insert(upper);
    }
    if let Ok(json) = serde_json::to_string(text) {
        forms.insert(json[1..json.len() - 1].to_owned());
    }
    forms.retain(|form| form.trim().len() >= SHORTEST);
}

/// The characters that `bytes` become inside a longer base64 text when they begin `offset` bytes into a group of three:
/// `user:password` is encoded as a whole. Characters that also depend on the neighbours are left out.
fn inside_base64(bytes: &[u8], offset: usize, engine: &impl base64::Engine) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let encoded = engine.encode(&shifted);
    let first = [0, 2, 3][offset];
    let last = encoded.len() - usize::from(!shifted.len().is_multiple_of(3));
    encoded.get(first..last).unwrap_or_default().to_owned()
}

/// What an encoder leaves as it is beside RFC 3986's letters: nothing, Python's `quote`, JavaScript's
/// `encodeURIComponent`.
const LEFT_PLAIN: [&[u8]; 3] = [b"", b"/", b"!'()*"];

/// RFC 3986: everything but letters, digits, `-`, `.`, `_`, `~` and `plain` as `%XX`.
fn percent_encoded(bytes: &[u8], plain: &[u8]) -> String {
    let encode = |b: &u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*b).to_string(),
        _ if plain.contains(b) => char::from(*b).to_string(),
        _ => format!("%{b:02X}"),
    };
    bytes.iter().map(encode).collect()
}

/// The same with the digits of each `%XX` in lower case.
fn percent_lower(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + "%" + &part[..2].to_ascii_lowercase() + &part[2..])
}
