//! Small text files that inputs name: read with a limit, and only if they are files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// No input, event payload or docker configuration is longer, in bytes. GitHub cuts payloads off far below this.
const LONGEST: u64 = 8 * 1024 * 1024;

/// How files are read; a parameter, so that tests need no disk.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Reads a text file.
///
/// # Errors
/// Those of [`read_bytes`]; also for bytes that are not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads a file that is small.
///
/// # Errors
/// What the operating system says; also for anything but a regular file (a pipe could keep us waiting for ever), and for
/// more than 8 MiB.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before opening: opening a pipe that nobody writes to does not return.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 8 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn only_files_are_read() {
        assert!(super::read_text(Path::new("Cargo.toml")).is_ok_and(|text| text.contains("[package]")));
        assert!(super::read_text(Path::new("/dev/zero")).is_err());
        assert!(super::read_text(Path::new("src")).is_err());
    }
}
