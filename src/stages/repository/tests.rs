//! Which file is meant, and which files there are.

use super::*;

fn line(path: &str, line: u32) -> Option<CodeLine> {
    Some(CodeLine { path: path.into(), line })
}

fn located(files: &[&str], mentions: &[(&str, u32)]) -> Option<CodeLine> {
    let mentions: Vec<Mention> = mentions.iter().map(|(path, line)| Mention::new(path, *line)).collect();
    Files(files.iter().map(|path| (*path).to_owned()).collect()).locate(&mentions)
}

#[test]
fn a_containers_path_is_the_one_file_that_shares_most_of_its_end() {
    let files = ["shop/tests/test_cart.py", "bank/tests/test_cart.py", "shop/cart.py", "src/lib.rs"];
    assert_eq!(located(&files, &[("/app/cart.py", 3)]), line("shop/cart.py", 3));
    assert_eq!(located(&files, &[("/srv/bank/tests/test_cart.py", 4)]), line("bank/tests/test_cart.py", 4));
    assert_eq!(located(&files, &[("./src/lib.rs", 5)]), line("src/lib.rs", 5));
    // Nobody knows which of the two; the next frame tells.
    assert_eq!(located(&files, &[("/app/tests/test_cart.py", 4)]), None);
    assert_eq!(located(&files, &[("/app/tests/test_cart.py", 4), ("cart.py", 9)]), line("shop/cart.py", 9));
    assert_eq!(located(&files, &[("/app/other.py", 1)]), None);
    assert_eq!(located(&[], &[("/app/other.py", 1)]), None);
}

/// An index as git writes it: of version 4, each path's beginning is that of the one before.
fn index(version: u8, paths: &[&str]) -> Vec<u8> {
    let mut bytes = vec![b'D', b'I', b'R', b'C', 0, 0, 0, version, 0, 0, 0, paths.len() as u8];
    let mut before = "";
    for path in paths {
        let begins = bytes.len();
        bytes.extend([0; 62]);
        if version == 3 {
            bytes[begins + 60] |= 0x40;
            bytes.extend([0; 2]);
        }
        if version == 4 {
            let same = before.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
            bytes.push((before.len() - same) as u8);
            bytes.extend_from_slice(&path.as_bytes()[same..]);
            bytes.push(0);
        } else {
            bytes.extend_from_slice(path.as_bytes());
            // One to eight NULs.
            bytes.resize(begins + (bytes.len() - begins) / 8 * 8 + 8, 0);
        }
        before = path;
    }
    bytes.extend([0; 20]);
    bytes
}

#[test]
fn every_version_of_gits_index_is_read() {
    let paths = ["a/cart.py", "a/longer/cart.py", "b", "b/c/cart.py", "cart.pyc"];
    for version in 2..=4 {
        let bytes = index(version, &paths);
        let wanted = tracked(bytes.as_slice(), |path| path.ends_with("cart.py")).unwrap();
        assert_eq!(wanted, ["a/cart.py", "a/longer/cart.py", "b/c/cart.py"], "version {version}");
        assert_eq!(tracked(bytes.as_slice(), |_| true).unwrap(), paths);
        assert!(tracked(&bytes[..100], |_| true).is_err(), "cut off");
    }
    assert!(tracked(index(5, &paths).as_slice(), |_| true).is_err());
}

#[test]
fn the_files_of_this_repository_are_found() {
    let mention = Mention::new("/build/src/docker/files.rs", 1);
    let files = Files::mentioned(std::iter::once(&mention), Path::new(env!("CARGO_MANIFEST_DIR")));
    assert_eq!(files.locate(&[mention]), line("src/docker/files.rs", 1));
}

#[test]
fn without_an_index_the_directory_is_walked() {
    let root = std::env::temp_dir().join(format!("beanline-walk-{}", uuid::Uuid::new_v4().simple()));
    for path in ["a/cart.py", "node_modules/x/cart.py", "b/other.py"] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    std::os::unix::fs::symlink(&root, root.join("a/loop")).unwrap();
    assert_eq!(below(&root, |name| name == "cart.py"), ["a/cart.py"]);
    std::fs::remove_dir_all(root).unwrap();
}
