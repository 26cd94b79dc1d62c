use super::*;

/// A file that is removed with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn with(bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("beanline-test-{}.tar", uuid::Uuid::new_v4()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    /// An archive with these files.
    fn archive(files: &[(&str, &str)]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        Self::with(&tar.into_inner().unwrap())
    }

    /// An archive with entries that a well-meaning program would not write. A link's text is where it leads.
    fn raw(entries: &[(&str, tar::EntryType, &str)]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            let is_link = matches!(kind, tar::EntryType::Link | tar::EntryType::Symlink);
            let data = if is_link { "" } else { text };
            if is_link {
                header.set_link_name(text).unwrap();
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            tar.append(&header, data.as_bytes()).unwrap();
        }
        Self::with(&tar.into_inner().unwrap())
    }

    async fn refusal(&self) -> String {
        Archive::look(&self.0).await.unwrap_err().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const LIST: &str = r#"[{"Config":"a.json","RepoTags":["postgres:latest"],"Layers":["l/layer.tar"]}]"#;
const CACHED: &str = r#"{"moby.buildkit.cache.v0":"e30="}"#;

#[tokio::test]
async fn what_is_no_archive_with_a_cache_is_refused_with_the_reason() {
    assert!(Archive::look(Path::new("/nowhere/cache.tar")).await.unwrap().is_none());
    let cases = [
        (Scratch::with(b"no tar file, but longer than nothing"), "failed to read"),
        (Scratch::with(b""), "not what `docker save` writes"),
        (Scratch::archive(&[("readme", "x")]), "not what `docker save` writes"),
        (Scratch::archive(&[("manifest.json", "{")]), "list of images"),
        (Scratch::archive(&[("manifest.json", "[]")]), "no image in it"),
        (Scratch::archive(&[("manifest.json", LIST)]), "configuration is missing"),
        (Scratch::archive(&[("a.json", "{}"), ("manifest.json", LIST)]), "carries a build cache"),
    ];
    for (file, part) in cases {
        let refusal = file.refusal().await;
        assert!(refusal.starts_with("could not use ") && refusal.contains(part), "{part}: {refusal}");
    }
}

/// What the daemon would be sent: the entries' names, and the list of images.
async fn sent(file: &Scratch, names: &[&str]) -> io::Result<(Vec<String>, String)> {
    let (path, ours) = (file.0.clone(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let tar = tar_stream(move |tar| renamed(&path, &ours, tar));
    let chunks: Vec<bytes::Bytes> = tar.bytes.try_collect().await?;
    let (mut entries, mut list) = (Vec::new(), String::new());
    for entry in tar::Archive::new(chunks.concat().as_slice()).entries()? {
        let mut entry = entry?;
        entries.push(entry.path()?.display().to_string());
        if entries.last().is_some_and(|name| name == MANIFEST) {
            entry.read_to_string(&mut list)?;
        }
    }
    Ok((entries, list))
}

#[tokio::test]
async fn images_are_sent_under_our_names_alone() {
    let files = [("a.json", CACHED), ("index.json", "{}"), ("./manifest.json", LIST), ("repositories", "{}")];
    let file = Scratch::raw(&files.map(|(name, text)| (name, tar::EntryType::Regular, text)));
    let archive = Archive::look(&file.0).await.unwrap().unwrap();
    assert_eq!(archive.images, [Digest::of(CACHED.as_bytes())]);
    let (entries, list) = sent(&file, &["ours:1"]).await.unwrap();
    assert_eq!(entries, ["a.json", "manifest.json"]);
    assert_eq!(list, r#"[{"Config":"a.json","RepoTags":["ours:1"],"Layers":["l/layer.tar"]}]"#);
}

#[tokio::test]
async fn a_list_cannot_bring_names_of_its_own() {
    // The daemon does not look at the case of a key, and takes the last.
    let disguised = LIST.replace("\"Layers\"", "\"repoTags\":[\"redis:latest\"],\"Layers\"");
    let file = Scratch::archive(&[("a.json", CACHED), ("manifest.json", &disguised)]);
    let (_, list) = sent(&file, &["ours:1"]).await.unwrap();
    assert!(!list.contains("redis") && !list.contains("postgres"), "{list}");

    let two = format!("[{0},{0}]", &LIST[1..LIST.len() - 1]);
    let file = Scratch::archive(&[("a.json", CACHED), ("manifest.json", &two)]);
    let refusal = sent(&file, &["ours:1"]).await.unwrap_err().to_string();
    assert!(refusal.contains("changed"), "{refusal}");
}

#[tokio::test]
async fn an_entry_that_could_stand_for_a_list_is_refused() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    type Case<'c> = (&'c [(&'c str, tar::EntryType, &'c str)], &'c str);
    let cases: [Case<'_>; 10] = [
        (&[("./manifest.json", Regular, LIST)], "manifest.json twice"),
        (&[("manifest.json", Regular, LIST)], "manifest.json twice"),
        (&[("repositories", Regular, "{}"), (".//repositories", Regular, "{}")], "repositories twice"),
        (&[("a.json", Regular, CACHED)], "a.json twice"),
        (&[("/repositories", Regular, "{}")], "leads out of it"),
        (&[("l/../repositories", Regular, "{}")], "leads out of it"),
        (&[("index.json", Symlink, "other")], "index.json that is no file"),
        (&[("repositories", Link, "a.json")], "repositories that is no file"),
        (&[("oci-layout", Directory, "")], "oci-layout that is no file"),
        (&[("l", Symlink, "."), ("l/repositories", Regular, "{}")], "behind a link"),
    ];
    for (more, part) in cases {
        let files = [&[("a.json", Regular, CACHED), ("manifest.json", Regular, LIST)], more].concat();
        let file = Scratch::raw(&files);
        let refusal = file.refusal().await;
        assert!(refusal.contains(part), "{part}: {refusal}");
        assert!(sent(&file, &["ours:1"]).await.is_err(), "{part}: it may have changed since it was looked at");
    }
}

#[tokio::test]
async fn an_entry_with_two_names_is_sent_under_the_one_that_was_looked_at() {
    use tar::EntryType::{GNULongName, Regular, Symlink};
    let file = Scratch::raw(&[
        ("a.json", Regular, CACHED),
        ("l/layer.tar", Symlink, "../m/layer.tar"),
        ("x", GNULongName, "harmless\0"),
        ("manifest.json", Regular, "[]"),
        ("manifest.json", Regular, LIST),
    ]);
    let (entries, list) = sent(&file, &["ours:1"]).await.unwrap();
    assert_eq!(entries, ["a.json", "l/layer.tar", "harmless", "manifest.json"]);
    assert!(list.contains("ours:1"), "{list}");
}
