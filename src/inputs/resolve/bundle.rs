//! The directory that a bundle is made of.

use std::path::PathBuf;

use super::reading::{Reading, field};

/// `bundle`.
pub(super) fn directory(reading: &mut Reading<'_>) -> Option<PathBuf> {
    reading.value(field!(reading.raw, bundle), |text| Ok(PathBuf::from(text)))
}
