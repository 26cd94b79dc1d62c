//! Our own program as an image, for helper containers: the image we run in, or our executable imported.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bollard::query_parameters::InspectContainerOptions;
use sha2::{Digest as _, Sha256};

use super::refusal::or_gone;
use super::tarball::{append_directory, append_file, tar_stream};
use super::{Docker, Labels};
use crate::fault::Fault;

/// The program's path in an image made here.
const PROGRAM: &str = "/beanline";

/// The label that says from when on anybody may remove a docker object.
const EXPIRES: &str = "io.beanline.expires";

/// Where a Linux host keeps the certificates it trusts: Debian's place, which is also ours in the image, then Fedora's.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// An image whose entrypoint is this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnImage {
    /// Its name or id.
    pub reference: String,
    /// Whether it was imported from our executable.
    pub imported: bool,
}

impl Docker {
    /// The image we run in, if this daemon runs us and the image's entrypoint is this program; else our executable,
    /// imported once under a name that holds its hash; of `labels` it carries the expiry alone.
    ///
    /// # Errors
    /// The executable needs libraries that an empty image does not have, or the daemon refuses.
    pub async fn own_image(&self, labels: &Labels) -> Result<OwnImage, Fault> {
        let executable = std::env::current_exe()
            .map_err(|error| Fault::new("could not find this program's own executable").because(error))?;
        match self.image_we_run_in(&executable).await? {
            Some(reference) => Ok(OwnImage { reference, imported: false }),
            None => self.import_executable(&executable, labels).await,
        }
    }

    /// A container's id is only a guess until the daemon knows it: the daemon may be another one, and a container that
    /// we run in may be somebody else's image.
    async fn image_we_run_in(&self, executable: &Path) -> Result<Option<String>, Fault> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let guesses =
            own_ids(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), &read("/proc/sys/kernel/hostname"));
        for id in guesses {
            let found = self.client.inspect_container(&id, None::<InspectContainerOptions>).await;
            let found = or_gone(found.map(Some), "could not look for our own container")?;
            let Some(id) = found.and_then(|container| container.image) else { continue };
            let Some(image) = self.image(&id).await? else { continue };
            if image.entrypoint.first().is_some_and(|program| Path::new(program) == executable) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Imports a static executable, with the certificates that this host trusts, unless it is there already.
    pub(super) async fn import_executable(&self, executable: &Path, labels: &Labels) -> Result<OwnImage, Fault> {
        let what = || format!("could not make an image of {}", executable.display());
        let Examined { head, hash, .. } =
            self.examined(executable).await.map_err(|error| Fault::new(what()).because(error))?;
        if needs_interpreter(&head).map_err(|why| Fault::new(what()).cause(why))? {
            return Err(Fault::new(what())
                .cause("it is dynamically linked, and the image has no libraries")
                .hint(
                    "build it static: `RUSTFLAGS='-C target-feature=+crt-static' cargo build \
                     --target x86_64-unknown-linux-gnu`",
                )
                .hint("or run the released container image"));
        }
        let reference = format!("beanline-own:{hash}");
        let (program, name, labels) = (executable, &reference, &of_the_image(labels));
        let importing = format!("could not import {reference}");
        // Sides that need it at the same time would each make one, and all but the last lose their name.
        let _turn = self.importing.lock().await;
        let imported = self.patiently(&importing, || async move {
            // It has the same bytes, whoever imported it.
            if self.has_imported(name, &Labels::new()).await? {
                return Ok(());
            }
            let program = program.to_owned();
            let certificates = CERTIFICATES.iter().map(PathBuf::from).find(|path| path.is_file());
            let tar = tar_stream(move |tar| {
                append_file(tar, &program, &PROGRAM[1..], 0o755)?;
                append_directory(tar, "tmp", 0o1777)?;
                for directory in ["etc", "etc/ssl", "etc/ssl/certs"] {
                    append_directory(tar, directory, 0o755)?;
                }
                certificates.map_or(Ok(()), |path| append_file(tar, &path, &CERTIFICATES[0][1..], 0o644))
            });
            self.import_stream(tar.bytes, name, labels, &[PROGRAM]).await
        });
        imported.await?;
        Ok(OwnImage { reference, imported: true })
    }
}

/// What is to be known of an executable.
#[derive(Clone, Debug)]
pub(super) struct Examined {
    path: PathBuf,
    /// Its first bytes.
    head: Vec<u8>,
    /// Twelve hex digits of the hash of all of it.
    hash: String,
}

impl Docker {
    async fn examined(&self, executable: &Path) -> io::Result<Examined> {
        let mut known = self.own.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.path == executable) {
            return Ok(known.clone());
        }
        let path = executable.to_owned();
        let (head, hash) = tokio::task::spawn_blocking(move || examine(&path)).await.map_err(io::Error::other)??;
        Ok(known.insert(Examined { path: executable.to_owned(), head, hash }).clone())
    }
}

/// Containers inherit an image's labels, and the image outlives who imported it: whose it was must not pass for whose
/// they are. All of ours have an expiry of their own.
fn of_the_image(labels: &Labels) -> Labels {
    labels.iter().filter(|(name, _)| *name == EXPIRES).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The first bytes of a file, and twelve hex digits of the hash of all of it.
fn examine(path: &Path) -> io::Result<(Vec<u8>, String)> {
    let mut file = File::open(path)?;
    let (mut head, mut hash, mut chunk) = (Vec::new(), Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        if head.is_empty() {
            head = chunk[..count].to_vec();
        }
        hash.update(&chunk[..count]);
    }
    Ok((head, hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()))
}

/// Whether a program wants a dynamic loader: an ELF file with a `PT_INTERP` program header (System V ABI, chapter 5).
fn needs_interpreter(head: &[u8]) -> Result<bool, &'static str> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = head.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    // 64 bits and little-endian: all that docker images of ours run on.
    if !head.starts_with(&[0x7F, b'E', b'L', b'F', 2, 1]) {
        return Err("it is no 64-bit Linux program");
    }
    let cut = "its program headers are not where they should be";
    let (offset, size, count) = match (number(32, 8), number(54, 2), number(56, 2)) {
        (Some(offset), Some(size), Some(count)) => (offset, size, count),
        _ => return Err(cut),
    };
    for header in 0..count {
        let at = usize::try_from(offset.saturating_add(header * size)).map_err(|_| cut)?;
        if number(at, 4).ok_or(cut)? == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ids that our own container may have, best guess first: the files that docker mounts into every container lie in a
/// directory named by its id; a cgroup of version 1 ends in it; the host name is its first twelve digits.
fn own_ids(mountinfo: &str, cgroup: &str, hostname: &str) -> Vec<String> {
    let id_after = |text: &str| -> Option<String> {
        let id: String = text.chars().take_while(char::is_ascii_hexdigit).collect();
        (id.len() == 64).then_some(id)
    };
    let mounted = mountinfo.lines().filter_map(|line| id_after(line.split_once("/containers/")?.1));
    let grouped = cgroup.lines().filter_map(|line| id_after(line.rsplit('/').next()?.trim_start_matches("docker-")));
    // Only the name that docker itself gives; a container named like this machine is not us.
    let hostname = hostname.trim();
    let named =
        (hostname.len() == 12 && hostname.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hostname.into());
    let mut ids: Vec<String> = Vec::new();
    for id in mounted.chain(grouped).chain(named) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_container_is_guessed_from_mounts_then_cgroup_then_host_name() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let mountinfo = format!(
            "1 0 254:1 / / rw - ext4 /dev/vda rw\n\
             2 1 254:1 /var/lib/docker/containers/{a}/hostname /etc/hostname rw - ext4 /dev/vda rw"
        );
        let cgroup = format!("12:memory:/docker/{b}\n0::/system.slice/docker-{b}.scope\n1:name=systemd:/\n");
        assert_eq!(own_ids(&mountinfo, &cgroup, "0123456789ab\n"), [a, b, "0123456789ab".into()]);
        assert!(own_ids("1 0 / / rw", "0::/", "vm\n").is_empty());
    }

    /// An ELF file with one program header.
    fn elf(kind: u8) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1]);
        (file[32], file[54], file[56], file[64]) = (64, 56, 1, kind);
        file
    }

    #[test]
    fn a_program_that_wants_a_loader_is_told_from_one_that_runs_alone() {
        assert_eq!(needs_interpreter(&elf(3)), Ok(true));
        assert_eq!(needs_interpreter(&elf(1)), Ok(false));
        assert!(needs_interpreter(&elf(1)[..70]).is_ok_and(|dynamic| !dynamic));
        assert!(needs_interpreter(&elf(1)[..65]).is_err());
        assert!(needs_interpreter(b"#!/bin/sh").is_err());
    }
}
