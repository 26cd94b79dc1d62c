//! Where people read the check runs, as GitHub tells when it opens one: the step summary links to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses by the check runs' names; all clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Links(Arc<Mutex<HashMap<String, String>>>);

impl Links {
    /// Takes in where a check run is read, if that is an address that may stand in Markdown.
    pub fn learn(&self, name: &str, url: Option<String>) {
        let fits = |url: &String| {
            (url.starts_with("https://") || url.starts_with("http://")) && !url.contains([' ', ')', '\n'])
        };
        if let Some(url) = url.filter(fits) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), url);
        }
    }

    /// Where the check run of that name is read.
    pub fn of(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
