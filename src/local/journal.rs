//! Journals of the local cloud: a file each, beside its state.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::directory;
use crate::engine::journal::desk::{Store, Trouble, Version};
use crate::fault::Fault;
use crate::image::Digest;

/// A journal in a file. Who writes holds a lock for that moment, which ends with the process.
#[derive(Debug)]
pub struct JournalFile {
    file: PathBuf,
}

impl JournalFile {
    /// The journal of an application's live CNAME in the local cloud of `directory`.
    pub fn new(directory: &Path, application: &str, live_cname: &str) -> Self {
        // Names of applications may hold what names of files may not.
        let name = Digest::of(format!("{application}\n{live_cname}").as_bytes());
        let cname = live_cname.split('.').next().unwrap_or(live_cname);
        Self { file: directory.join(format!("journal-{cname}-{}.json", name.short())) }
    }

    fn text(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text.map(Some),
        }
    }

    fn replace(&self, text: &str, expected: Option<&Version>) -> io::Result<Option<Version>> {
        self.file.parent().map_or(Ok(()), directory::make)?;
        let lock = File::create(self.file.with_extension("lock"))?;
        lock.lock()?;
        if self.text()?.as_deref().map(version).as_ref() != expected {
            return Ok(None);
        }
        let new = self.file.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.file)?;
        Ok(Some(version(text)))
    }

    /// The journals of the directory.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let Some(directory) = self.file.parent() else { return Ok(Vec::new()) };
        let is_journal = |file: &Path| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("journal-") && name.ends_with(".json")
        };
        let files = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
        files.filter(|file| file.as_deref().map_or(true, is_journal)).collect()
    }

    fn unusable(&self, error: io::Error) -> Trouble {
        Trouble::Broken(Fault::new(format!("could not use the journal {}", self.place())).because(error))
    }
}

/// What is the same is the same version.
fn version(text: &str) -> Version {
    Digest::of(text.as_bytes()).to_string()
}

#[async_trait]
impl Store for JournalFile {
    fn place(&self) -> String {
        self.file.display().to_string()
    }

    /// This machine's time: whoever uses the file is on it.
    fn now(&self) -> i64 {
        chrono::Utc::now().timestamp()
    }

    async fn read(&self) -> Result<Option<(String, Version)>, Trouble> {
        let text = self.text().map_err(|error| self.unusable(error))?;
        Ok(text.map(|text| {
            let version = version(&text);
            (text, version)
        }))
    }

    async fn write(&self, text: &str, expected: Option<&Version>) -> Result<Option<Version>, Trouble> {
        self.replace(text, expected).map_err(|error| self.unusable(error))
    }

    /// Those of all applications: the name of a file does not tell whose it is.
    async fn beside(&self) -> Result<Vec<Arc<dyn Store>>, Trouble> {
        let files = self.files().map_err(|error| self.unusable(error))?;
        Ok(files.into_iter().map(|file| Arc::new(Self { file }) as Arc<dyn Store>).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_not_seen_the_newest_does_not_replace_it() {
        let directory = std::env::temp_dir().join(format!("beanline-journal-{}", uuid::Uuid::new_v4().simple()));
        let store = JournalFile::new(&directory, "a shop/with a slash", "shop.local.elasticbeanstalk.com");
        assert_eq!(store.read().await.ok().unwrap(), None);
        let first = store.write("1", None).await.ok().unwrap().unwrap();
        assert_eq!(store.write("x", None).await.ok().unwrap(), None);
        let second = store.write("2", Some(&first)).await.ok().unwrap().unwrap();
        assert_eq!(store.write("x", Some(&first)).await.ok().unwrap(), None);
        assert_eq!(store.read().await.ok().unwrap(), Some(("2".to_owned(), second)));
        let other = JournalFile::new(&directory, "a shop", "shop.local.elasticbeanstalk.com");
        assert_eq!(other.read().await.ok().unwrap(), None, "another application's");
        other.write("3", None).await.ok().unwrap();
        let mut places: Vec<String> = store.beside().await.ok().unwrap().iter().map(|store| store.place()).collect();
        let mut known = [store.place(), other.place()];
        places.sort();
        known.sort();
        assert_eq!(places, known, "without the locks");
        fs::remove_dir_all(&directory).unwrap();
    }
}
