//! Whom files that are copied into a container belong to: the user of the image's processes, so that tests may read what
//! they need and write beside it.

use std::io::{self, Read};

use super::test_reports::{MOST_LINKS, absolute};
use crate::docker::{Docker, ImageFacts, Owner};
use crate::engine::StageCx;
use crate::fault::Fault;

/// No table of users or groups is read beyond this, in bytes.
const LONGEST_TABLE: u64 = 1 << 20;

/// The numbers of the user that the image's processes run as. The daemon would look names up in its own machine's tables,
/// so they are read out of the container. What cannot be found out there is root's, and a warning says so.
///
/// # Errors
/// The container cannot be read.
pub async fn of_processes(cx: &StageCx, docker: &Docker, container: &str, image: &ImageFacts) -> Result<Owner, Fault> {
    if image.user.is_empty() {
        return Ok(Owner::default());
    }
    let table = async |path: &str| -> Result<String, Fault> {
        Ok(table(docker, container, path).await?.unwrap_or_else(|why| {
            cx.warn(format!("the image's {path} is not read, so that copied files may belong to root: {why}"));
            String::new()
        }))
    };
    let (owner, unknown) = numbers(&image.user, &table("/etc/passwd").await?, &table("/etc/group").await?);
    for name in unknown {
        cx.warn(format!("copied files belong to root where they should be {name}'s: the image does not know {name}"));
    }
    Ok(owner)
}

/// What lies at the path of a table.
enum Found {
    /// Its text.
    Text(String),
    /// A symbolic link, and where it leads.
    Link(String),
    /// Something that is not read, and why.
    Unread(&'static str),
}

/// A table's text, behind links too; empty where there is none. Else why it is not read.
///
/// # Errors
/// The container cannot be read.
async fn table(docker: &Docker, container: &str, path: &str) -> Result<Result<String, String>, Fault> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        match docker.read_tar(container, &path, first).await? {
            None => return Ok(Ok(String::new())),
            Some(Ok(Found::Text(text))) => return Ok(Ok(text)),
            Some(Ok(Found::Link(to))) => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                path = absolute(directory, &to);
            }
            Some(Ok(Found::Unread(why))) => return Ok(Err(why.to_owned())),
            Some(Err(error)) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err("links lead in a circle".to_owned()))
}

/// The first thing in a tar file.
fn first(tar: &mut dyn Read) -> io::Result<Found> {
    let mut tar = tar::Archive::new(tar);
    let Some(entry) = tar.entries()?.next() else { return Ok(Found::Unread("the docker engine gave nothing")) };
    let mut entry = entry?;
    let kind = entry.header().entry_type();
    if kind.is_symlink() {
        let link = entry.link_name_bytes().unwrap_or_default();
        return Ok(Found::Link(String::from_utf8_lossy(&link).into_owned()));
    }
    if !kind.is_file() {
        return Ok(Found::Unread("it is no file"));
    }
    if entry.size() > LONGEST_TABLE {
        return Ok(Found::Unread("it is larger than 1 MiB"));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    Ok(Found::Text(String::from_utf8_lossy(&text).into_owned()))
}

/// Numbers of `user`, `user:group`, with names or numbers, as the container's runtime reads them: a number that is in no
/// table stands for itself, with root's group. Beside them the names that are in no table, which are taken for root's.
fn numbers<'a>(user: &'a str, passwd: &str, group: &str) -> (Owner, Vec<&'a str>) {
    let (user, in_group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let entry = |table: &str, name: &str| -> Option<(u32, Option<u32>)> {
        table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let number = fields.get(2)?.parse().ok()?;
            let is_it = fields[0] == name || name.parse() == Ok(number);
            is_it.then(|| (number, fields.get(3).and_then(|text| text.parse().ok())))
        })
    };
    let known = entry(passwd, user);
    let uid = known.map(|(uid, _)| uid).or_else(|| user.parse().ok());
    let gid = match in_group {
        Some(name) => entry(group, name).map(|(gid, _)| gid).or_else(|| name.parse().ok()),
        None => known.and_then(|(_, gid)| gid),
    };
    let unknown = uid.is_none().then_some(user).into_iter().chain(in_group.filter(|_| gid.is_none()));
    let owner = Owner { uid: uid.unwrap_or_default(), gid: gid.unwrap_or_default() };
    (owner, unknown.filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_as_the_runtime_reads_them() {
        let (passwd, group) = ("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/app:\nbroken\n", "staff:x:50:app\n");
        let cases = [
            ("app", 1000, 1001),
            ("1000", 1000, 1001),
            ("2000", 2000, 0),
            ("2000:3000", 2000, 3000),
            ("app:staff", 1000, 50),
            ("app:7", 1000, 7),
            ("root", 0, 0),
            ("nobody", 0, 0),
        ];
        for (user, uid, gid) in cases {
            assert_eq!(numbers(user, passwd, group).0, Owner { uid, gid }, "{user}");
        }
        let unknown = |user| numbers(user, passwd, group).1;
        assert_eq!(
            (unknown("nobody"), unknown("app:wheel"), unknown("a:b")),
            (vec!["nobody"], vec!["wheel"], vec!["a", "b"])
        );
        assert!(["app", "app:staff", "2000", "2000:3000", "app:"].iter().all(|user| unknown(user).is_empty()));
    }

    #[test]
    fn a_table_is_a_file_or_a_link_to_one_and_of_bounded_size() {
        let found = |pack: &dyn Fn(&mut tar::Builder<Vec<u8>>)| {
            let mut tar = tar::Builder::new(Vec::new());
            pack(&mut tar);
            first(&mut tar.into_inner().unwrap().as_slice()).unwrap()
        };
        let file = |text: &str| {
            found(&|tar| {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, "passwd", text.as_bytes()).unwrap();
            })
        };
        assert!(matches!(file("app:x:1:1"), Found::Text(text) if text == "app:x:1:1"));
        assert!(matches!(file(&"x".repeat((1 << 20) + 1)), Found::Unread("it is larger than 1 MiB")));
        let link = found(&|tar| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, "passwd", "../usr/lib/passwd").unwrap();
        });
        assert!(matches!(link, Found::Link(to) if absolute("/etc", &to) == "/usr/lib/passwd"));
        assert!(matches!(found(&|tar| tar.append_dir("passwd", ".").unwrap()), Found::Unread("it is no file")));
    }
}
