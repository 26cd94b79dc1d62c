//! Dockerfiles and names of steps, changed byte by byte: they come from whoever writes the repository.

use super::dockerfile::Dockerfile;
use super::mounts::compare;
use super::place::line_of;
use crate::fuzz_driver::fuzz;

#[test]
fn fuzz_dockerfile() {
    let plain =
        b"# escape=`\nARG BASE=a\nFROM $BASE AS one\nRUN --mount=type=secret,id=x,required=true <<EOF `\n x\nEOF\n\
        FROM one\nCOPY --from=0 <<-'A' <<B /x\nA\nB\nONBUILD RUN --mount=from=one,type=bind y\n";
    fuzz(&[plain, b"\xef\xbb\xbf# x\nFROM a\nRUN \\\n# y\n\\\\\n"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let file = Dockerfile::read(&text);
        let lines = u32::try_from(text.lines().count()).unwrap();
        let instructions: Vec<_> = file.stages.iter().flat_map(|stage| &stage.instructions).collect();
        assert!(instructions.iter().all(|one| (1..=lines).contains(&one.line)));
        assert!(instructions.is_sorted_by(|one, next| one.line < next.line));
        for target in [None, Some("one"), Some("0"), Some("nowhere")] {
            let (known, perhaps) = (file.needed(target), file.perhaps_needed(target));
            assert!(known.iter().all(|number| perhaps.contains(number) && *number < file.stages.len()));
            let found = compare(&file, target, &["x"]);
            assert!(found.missing.iter().chain(&found.warnings).all(|(line, _)| (1..=lines).contains(line)));
        }
    });
}

#[test]
fn fuzz_names_of_steps() {
    let file = Dockerfile::read("FROM a AS one\nRUN x $A \"y\" ${B} z\nRUN <<EOF\nEOF\nFROM $C\nCOPY a b\n");
    let seeds: [&[u8]; 4] = [
        b"[linux/amd64 one 2/3] RUN x 1 y 2 z",
        "[one 3/3] RUN <<EOF …".as_bytes(),
        b"[stage-1 2/2] COPY a b",
        b"[internal] load metadata for docker.io/library/a:latest",
    ];
    fuzz(&seeds, |bytes| {
        let line = line_of(&file, &String::from_utf8_lossy(bytes));
        assert!(line.is_none_or(|line| (1..=6).contains(&line)));
    });
}
