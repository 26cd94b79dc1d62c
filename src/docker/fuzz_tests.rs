//! What the daemon and the repository say, changed byte by byte.

use std::cell::RefCell;
use std::path::Path;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexWarning};
use bollard_buildkit_proto::google::protobuf::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::ignore::{Ignore, Match};
use super::output::Lines;
use super::progress::Progress;
use super::push::{self, Layers};
use crate::fuzz_driver::{fuzz, run};

/// The longest line that output may give, in bytes: 8 KiB of which each may have been replaced by a sign of three.
const LONGEST_LINE: usize = 3 * 8 * 1024;

fn lines(chunks: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = Lines::default();
    chunks.iter().for_each(|chunk| lines.take(chunk, &mut |text| found.push(text)));
    lines.end(&mut |text| found.push(text));
    found
}

#[test]
fn fuzz_output_of_containers() {
    let long = [b"x".repeat(8190), "äöü\r\n".as_bytes().to_vec(), b"y".repeat(9000)].concat();
    let target = |bytes: &[u8]| {
        let whole = lines(&[bytes]);
        assert!(whole.iter().all(|line| line.len() <= LONGEST_LINE && !line.contains(['\n', '\r'])));
        for size in [1, 7, 4096] {
            let cut = lines(&bytes.chunks(size).collect::<Vec<_>>());
            // A line that is too long is cut where it became so; all else does not depend on the chunks.
            assert!(bytes.len() > 8192 || cut == whole, "chunks of {size}");
        }
    };
    fuzz(&[b"one\n\ntwo\r\n10%\r100%\r\n\xc3\xa4\r", b"\xff\xfe\n\x1b[0mred", &long], target);
}

#[test]
fn fuzz_patterns_of_what_stays_out_of_the_context() {
    let target = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match Ignore::parse(&text) {
            Ok(ignore) => {
                for path in ["a", "a/b/c.txt", ".git", "node_modules/x", "é/[b]"] {
                    ignore.excludes(ignore.hold(Path::new(path), Match::default()));
                    ignore.may_keep_below(Path::new(path));
                }
            }
            Err(told) => assert!(told.starts_with("line "), "{told}"),
        }
    };
    fuzz(
        &[b"# all\n*\n!src/**\n!a/b\n", b"**/*.log\n/target\n[a-z]?.tx[^t]\n\\!x\n", b"a/../b\n./c/\n!\n{a,b}"],
        target,
    );
}

/// A message of BuildKit's about one of few steps.
fn status() -> impl Strategy<Value = StatusResponse> {
    let digest = || prop_oneof![Just("a"), Just("b"), Just("")].prop_map(str::to_owned);
    let time = || proptest::option::of((any::<i64>(), any::<i32>()));
    let time = move || time().prop_map(|time| time.map(|(seconds, nanos)| Timestamp { seconds, nanos }));
    let vertex = (digest(), ".{0,12}", any::<bool>(), time(), time(), ".{0,12}").prop_map(
        |(digest, name, cached, started, completed, error)| Vertex {
            digest,
            name,
            cached,
            started,
            completed,
            error,
            ..Vertex::default()
        },
    );
    let log = (digest(), vec(any::<u8>(), 0..40));
    let log = log.prop_map(|(vertex, msg)| VertexLog { vertex, msg, ..VertexLog::default() });
    let warning = vec(any::<u8>(), 0..20).prop_map(|short| VertexWarning { short, ..VertexWarning::default() });
    (vec(vertex, 0..4), vec(log, 0..4), vec(warning, 0..2)).prop_map(|(vertexes, logs, warnings)| StatusResponse {
        vertexes,
        logs,
        warnings,
        ..StatusResponse::default()
    })
}

#[test]
fn fuzz_progress_of_builds() {
    run(vec(status(), 0..8), |statuses| {
        let (mut progress, count) = (Progress::default(), RefCell::new(0));
        statuses.into_iter().for_each(|status| progress.take(status, &|_| *count.borrow_mut() += 1));
        if let Some(failed) = progress.failed() {
            assert!(failed.lines.len() <= 20);
        }
    });
}

#[test]
fn fuzz_answers_to_a_push() {
    let target = |bytes: &[u8]| {
        let (mut layers, said) = (Layers::default(), RefCell::new(Vec::new()));
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let _ = push::take(line, &mut layers, &|text| said.borrow_mut().push(text));
        }
        said.borrow_mut().push(layers.in_words());
        assert!(said.borrow().iter().all(|line| line.len() < 200));
    };
    let travels = br#"{"status":"Pushing","progressDetail":{"current":512,"total":9000},"progress":"[>]","id":"aaa"}
{"status":"Pushing","progressDetail":{"current":18446744073709551615,"total":18446744073709551615},"id":"bbb"}
{"status":"Pushed","progressDetail":{},"id":"aaa"}
{"status":"Layer already exists","progressDetail":{},"id":"ccc"}
"#;
    let ends =
        br#"{"status":"1: digest: sha256:0000000000000000000000000000000000000000000000000000000000000000 size: 1"}
{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:00","Size":1}}
{"errorDetail":{"message":"denied"},"error":"denied"}
"#;
    fuzz(&[travels, ends], target);
}
