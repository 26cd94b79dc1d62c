//! When each stage ran, as a chart that GitHub draws (mermaid.js.org, Gantt diagrams).

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::report::story::{StageStory, State, Story};

/// A bar that is shorter cannot be seen.
const SHORTEST: Duration = Duration::from_secs(1);

/// The chart in Markdown, of a run that began at `origin`; empty when no stage ran. Times are shown in the reader's own
/// time zone.
pub fn chart(story: &Story, origin: DateTime<Utc>) -> String {
    let bars: Vec<String> = story.stages.iter().filter_map(|stage| bar(stage, story.elapsed, origin)).collect();
    if bars.is_empty() {
        return String::new();
    }
    let mut out = "\n```mermaid\ngantt\n    dateFormat X\n    axisFormat %H:%M:%S\n".to_owned();
    bars.iter().for_each(|bar| {
        let _ = writeln!(out, "    {bar}");
    });
    out + "```\n"
}

/// `build :done, 1795251600, 1795251643`: the name, how it went, from when to when in Unix seconds.
fn bar(stage: &StageStory, now: Duration, origin: DateTime<Utc>) -> Option<String> {
    let began = stage.began?;
    let ended = stage.ended.unwrap_or(now).max(began + SHORTEST);
    let how = match stage.state {
        State::Passed | State::Skipped(_) => "done",
        State::Failed(_) => "crit",
        State::Waiting | State::Running | State::Cancelled => "active",
    };
    // These end a name, or begin a comment.
    let name = stage.key.to_string().replace([':', ';', '#'], " ");
    let at = |time: Duration| (origin + time).timestamp();
    Some(format!("{name} :{how}, {}, {}", at(began), at(ended)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Stage;
    use crate::report::rehearsal::{failing, story};

    #[test]
    fn every_stage_that_ran_is_a_bar_and_what_failed_stands_out() {
        let origin = DateTime::from_timestamp(1_795_251_600, 0).unwrap();
        let chart = chart(&story(failing(Stage::UnitTest)), origin);
        let expected = "
```mermaid
gantt
    dateFormat X
    axisFormat %H:%M:%S
    check :done, 1795251601, 1795251603
    build :done, 1795251604, 1795251606
    unit test :crit, 1795251607, 1795251608
```
";
        assert_eq!(chart, expected);
        assert_eq!(super::chart(&Story::default(), origin), "");
    }
}
