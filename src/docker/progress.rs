//! BuildKit's progress as lines: a step begins, says something, ends.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use super::output::Lines;
use crate::engine::in_words;

/// Lines of a step that are kept for its failure.
pub(super) const LINES_KEPT: usize = 20;

/// How the step is named that looks for a cache (BuildKit's `solver/llbsolver`).
const CACHE_IMPORT: &str = "importing cache manifest from ";

/// What is known about a build so far.
#[derive(Default)]
pub(super) struct Progress {
    steps: HashMap<String, Step>,
    /// Whose output was shown last.
    speaker: String,
    failed: Option<String>,
}

/// One step. BuildKit tells of each several times; it is known by its digest.
#[derive(Default)]
struct Step {
    name: String,
    begun: bool,
    ended: bool,
    error: String,
    output: Lines,
    kept: VecDeque<String>,
}

/// The step that made a build fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FailedStep {
    /// `[2/5] RUN make`.
    pub(super) name: String,
    /// BuildKit's words.
    pub(super) error: String,
    /// Its last lines.
    pub(super) lines: Vec<String>,
}

impl Progress {
    /// Takes what BuildKit says, and passes on what is worth a line.
    pub(super) fn take(&mut self, status: StatusResponse, line: &dyn Fn(String)) {
        let (cached, run): (Vec<_>, Vec<_>) = status.vertexes.iter().partition(|vertex| vertex.cached);
        for vertex in cached {
            self.begin(vertex, line);
            self.end(vertex, line);
        }
        for vertex in &run {
            self.begin(vertex, line);
        }
        for log in status.logs {
            let Some(step) = self.steps.get_mut(&log.vertex) else { continue };
            let mut said = Vec::new();
            step.output.take(&log.msg, &mut |text| said.push(text));
            self.say(&log.vertex, said, line);
        }
        for warning in status.warnings {
            line(format!("warning: {}", String::from_utf8_lossy(&warning.short).trim()));
        }
        for vertex in run {
            self.end(vertex, line);
        }
    }

    /// The step that failed first, if one has. Steps that were only cancelled for it do not count.
    pub(super) fn failed(&self) -> Option<FailedStep> {
        let step = self.steps.get(self.failed.as_ref()?)?;
        Some(FailedStep {
            name: step.name.clone(),
            error: step.error.clone(),
            lines: step.kept.iter().cloned().collect(),
        })
    }

    fn begin(&mut self, vertex: &Vertex, line: &dyn Fn(String)) {
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        if !vertex.name.is_empty() {
            step.name = one_line(&vertex.name);
        }
        if vertex.started.is_some() && !vertex.cached && !step.begun && is_shown(&step.name) {
            step.begun = true;
            self.speaker.clone_from(&vertex.digest);
            line(step.name.clone());
        }
    }

    fn end(&mut self, vertex: &Vertex, line: &dyn Fn(String)) {
        let Some(completed) = &vertex.completed else { return };
        let Some(step) = self.steps.get_mut(&vertex.digest).filter(|step| !step.ended) else { return };
        step.ended = true;
        let mut said = Vec::new();
        std::mem::take(&mut step.output).end(&mut |text| said.push(text));
        step.error.clone_from(&vertex.error);
        let took = vertex.started.as_ref().map_or(0, |started| nanoseconds(completed) - nanoseconds(started));
        let took = in_words(Duration::from_nanos(took.try_into().unwrap_or_default()));
        let cancelled = vertex.error.contains("context canceled");
        // The build goes on without it.
        let missing_cache = step.name.starts_with(CACHE_IMPORT) && !vertex.error.is_empty();
        let outcome = if vertex.cached {
            "CACHED".to_owned()
        } else if missing_cache {
            format!("not used, {}", vertex.error)
        } else if vertex.error.is_empty() {
            format!("done in {took}")
        } else if cancelled {
            "cancelled".to_owned()
        } else {
            format!("failed after {took}")
        };
        let ending = format!("{}: {outcome}", step.name);
        let shown = is_shown(&step.name) || !vertex.error.is_empty();
        self.say(&vertex.digest, said, line);
        if shown {
            line(ending);
        }
        if !vertex.error.is_empty() && !cancelled && !missing_cache && self.failed.is_none() {
            self.failed = Some(vertex.digest.clone());
        }
    }

    /// Passes a step's output on. Steps run side by side: when another one spoke last, the step's name comes first.
    fn say(&mut self, digest: &str, said: Vec<String>, line: &dyn Fn(String)) {
        let Some(step) = self.steps.get_mut(digest).filter(|_| !said.is_empty()) else { return };
        if self.speaker != digest {
            digest.clone_into(&mut self.speaker);
            line(format!("{} (continued)", step.name));
        }
        for text in said {
            if step.kept.len() == LINES_KEPT {
                step.kept.pop_front();
            }
            step.kept.push_back(text.clone());
            line(text);
        }
    }
}

/// BuildKit's own errands, such as reading the Dockerfile and unpacking the context, are worth a line only when they
/// fail.
fn is_shown(name: &str) -> bool {
    !name.starts_with("[internal]") && name != "copy /context /"
}

/// The name of a step whose instruction has several lines is its first.
fn one_line(name: &str) -> String {
    match name.split_once('\n') {
        Some((first, _)) => format!("{} …", first.trim_end()),
        None => name.to_owned(),
    }
}

fn nanoseconds(time: &bollard_buildkit_proto::google::protobuf::Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bollard::moby::buildkit::v1::{VertexLog, VertexWarning};
    use bollard_buildkit_proto::google::protobuf::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn step(digest: &str, started: Option<Timestamp>, completed: Option<Timestamp>) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: format!("[{digest}] RUN {digest}"),
            started,
            completed,
            ..Vertex::default()
        }
    }

    fn output(digest: &str, text: &str) -> VertexLog {
        VertexLog { vertex: digest.into(), msg: text.as_bytes().to_vec(), ..VertexLog::default() }
    }

    fn status(vertexes: Vec<Vertex>, logs: Vec<VertexLog>) -> StatusResponse {
        StatusResponse { vertexes, logs, ..StatusResponse::default() }
    }

    fn rendered(progress: &mut Progress, told: Vec<StatusResponse>) -> Vec<String> {
        let lines = RefCell::new(Vec::new());
        told.into_iter().for_each(|status| progress.take(status, &|text| lines.borrow_mut().push(text)));
        lines.into_inner()
    }

    #[test]
    fn a_step_begins_speaks_and_ends_once_however_often_it_is_told() {
        let told = vec![
            status(vec![step("1", None, None)], vec![]),
            status(vec![step("1", at(10), None)], vec![output("1", "one\ntw")]),
            status(vec![step("1", at(10), None)], vec![output("1", "o\nrest")]),
            status(vec![step("1", at(10), at(12))], vec![]),
            status(vec![step("1", at(10), at(12))], vec![]),
        ];
        let lines = rendered(&mut Progress::default(), told);
        assert_eq!(lines, ["[1] RUN 1", "one", "two", "rest", "[1] RUN 1: done in 2 s"]);
    }

    #[test]
    fn cached_steps_take_one_line_and_errands_none() {
        let cached = Vertex { cached: true, ..step("1", at(1), at(1)) };
        let errand = Vertex { name: "[internal] load .dockerignore".into(), ..step("2", at(1), at(1)) };
        let warning = VertexWarning { short: b"old syntax".to_vec(), ..VertexWarning::default() };
        let told = vec![StatusResponse { warnings: vec![warning], ..status(vec![cached, errand], vec![]) }];
        assert_eq!(rendered(&mut Progress::default(), told), ["[1] RUN 1: CACHED", "warning: old syntax"]);
    }

    #[test]
    fn steps_that_run_side_by_side_are_told_apart() {
        let told = vec![
            status(vec![step("1", at(1), None), step("2", at(1), None)], vec![output("1", "a\n"), output("1", "b\n")]),
            status(vec![], vec![output("2", "c\n")]),
        ];
        let lines = rendered(&mut Progress::default(), told);
        let expected = ["[1] RUN 1", "[2] RUN 2", "[1] RUN 1 (continued)", "a", "b", "[2] RUN 2 (continued)", "c"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_step_that_failed_is_kept_with_its_own_last_lines() {
        let many: String = (0..30).map(|number| format!("{number}\n")).collect();
        let cancelled = Vertex { error: "context canceled".into(), ..step("2", at(1), at(2)) };
        let failed = Vertex { error: "exit code: 3".into(), ..step("1", at(1), at(3)) };
        let told = vec![
            status(vec![step("1", at(1), None), step("2", at(1), None)], vec![output("1", &many), output("2", "x\n")]),
            status(vec![cancelled, failed], vec![]),
        ];
        let mut progress = Progress::default();
        let lines = rendered(&mut progress, told);
        assert!(
            lines.contains(&"[2] RUN 2: cancelled".into()) && lines.contains(&"[1] RUN 1: failed after 2 s".into())
        );
        let failed = progress.failed().unwrap();
        assert_eq!((failed.name.as_str(), failed.error.as_str()), ("[1] RUN 1", "exit code: 3"));
        assert_eq!(failed.lines, (10..30).map(|number: i32| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_cache_that_is_not_there_is_told_and_is_no_failure() {
        let name = "importing cache manifest from r/shop:1".to_owned();
        let missing = Vertex { name, error: "r/shop:1: not found".into(), ..step("1", at(1), at(1)) };
        let failed = Vertex { error: "exit code: 3".into(), ..step("2", at(1), at(3)) };
        let mut progress = Progress::default();
        let lines = rendered(&mut progress, vec![status(vec![missing], vec![]), status(vec![failed], vec![])]);
        assert_eq!(lines[1], "importing cache manifest from r/shop:1: not used, r/shop:1: not found");
        assert_eq!(progress.failed().unwrap().name, "[2] RUN 2");
    }

    #[test]
    fn an_instruction_of_several_lines_is_named_by_its_first() {
        assert_eq!(one_line("[1/2] RUN <<EOF \necho\nEOF"), "[1/2] RUN <<EOF …");
    }
}
