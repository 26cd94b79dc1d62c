//! [`Secret`]: text that cannot be printed by accident.

use std::fmt;

/// A secret, or a value that might be one. Printed as `***`; read only by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    masked: bool,
}

impl Secret {
    /// A text that must never be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), masked: true }
    }

    /// A value that stands where a secret may stand, but was written in the open: it is not masked in output.
    pub fn open(text: impl Into<String>) -> Self {
        Self { text: text.into(), masked: false }
    }

    /// The text itself, to be sent where it belongs.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether output must hide it.
    pub fn is_masked(&self) -> bool {
        self.masked
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Some(Secret::new("obvious-fake"))), "Some(***)");
    }
}
