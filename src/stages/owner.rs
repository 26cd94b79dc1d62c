//! Whom files that are copied into a container belong to: the user of the image's processes, so that tests may read what
//! they need and write beside it.

use crate::docker::{Docker, ImageFacts, Owner};
use crate::fault::Fault;

/// No table of users or groups is read beyond this, in bytes.
const LONGEST_TABLE: u64 = 1 << 20;

/// The numbers of the user that the image's processes run as. The daemon would look names up in its own machine's tables,
/// so they are read out of the container.
///
/// # Errors
/// The container cannot be read.
pub async fn of_processes(docker: &Docker, container: &str, image: &ImageFacts) -> Result<Owner, Fault> {
    if image.user.is_empty() {
        return Ok(Owner::default());
    }
    let table = async |path: &str| -> Result<String, Fault> {
        let found = docker.get_files(container, path, LONGEST_TABLE).await?.unwrap_or_default();
        Ok(found.into_iter().next().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default())
    };
    Ok(numbers(&image.user, &table("/etc/passwd").await?, &table("/etc/group").await?))
}

/// Numbers of `user`, `user:group`, with names or numbers, as the container's runtime reads them: a number that is in no
/// table stands for itself, with root's group. A name that is in no table keeps the container from starting, so that it
/// does not matter here.
fn numbers(user: &str, passwd: &str, group: &str) -> Owner {
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
    let uid = known.map(|(uid, _)| uid).or_else(|| user.parse().ok()).unwrap_or_default();
    let gid = match in_group {
        Some(name) => entry(group, name).map(|(gid, _)| gid).or_else(|| name.parse().ok()),
        None => known.and_then(|(_, gid)| gid),
    };
    Owner { uid, gid: gid.unwrap_or_default() }
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
            assert_eq!(numbers(user, passwd, group), Owner { uid, gid }, "{user}");
        }
    }
}
