//! What a run means for later: what is paid for from now on, and what a person would do next.

use std::fmt::Write as _;

use super::known::Known;
use super::left;
use crate::engine::event::End;
use crate::report::markdown::{code, prose};
use crate::report::story::Story;

/// What runs beside live from now on, in Markdown; empty when that is nothing. After a failure it stands among what is
/// left.
pub fn costs(story: &Story) -> String {
    let mut out = String::new();
    if left::names_kept(story) {
        return out;
    }
    for (what, why, command) in Known::of(story).kept {
        if out.is_empty() {
            out.push_str(
                "\n### What it costs from now on\n\nBeside live this stays, and what it runs is paid for:\n\n",
            );
        }
        let command = command.map(|command| format!("; remove it with {}", code(&command))).unwrap_or_default();
        let _ = writeln!(out, "- {}: {}{command}", prose(&what), prose(&why));
    }
    out
}

/// What a person would do after this run; `None` when there is nothing.
pub fn next(story: &Story) -> Option<&'static str> {
    let (end, _) = story.end.as_ref()?;
    let known = Known::of(story);
    match end {
        End::Deployed if known.is_replaced && !known.kept.is_empty() => {
            Some("Nothing. `run=rollback` makes live again what was live before.")
        }
        End::Waiting => Some("`run=promote` makes the candidate live."),
        End::Planned => Some("The same run without `dry_run` makes these changes."),
        End::Tested => Some("`run=pipeline`, which pushes to a branch get by themselves, deploys what was tested."),
        End::Pushed => Some("`run=deploy` deploys this tag without building it again."),
        End::NeedsHuman(_) => Some("The commands above, in their order; then `run=check` tells how things stand."),
        End::Failed(_) | End::RolledBack(_) => Some("See the help above; then start the same run again."),
        End::Cancelled(_) => Some("The same run may be started again."),
        End::Deployed | End::Checked | End::Versioned | End::Back | End::CleanedUp | End::Configured => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{costs, next};
    use crate::engine::event::{End, EventKind, Fact, Stage};
    use crate::report::rehearsal::{deployed, failing, finish, story, story_until};
    use crate::report::words::run;

    #[test]
    fn a_deployment_ends_with_what_it_costs_and_the_way_back() {
        let page = run::summary(&story(deployed()), Some("https://ci.example/runs/7"), &|_| None);
        let (_, end) = page.split_once("| previous | shop-a with version 41 |\n").unwrap();
        let expected = "
### What it costs from now on

Beside live this stays, and what it runs is paid for:

- environment shop-a: for a roll-back, until the next deployment; remove it with \
`aws elasticbeanstalk terminate-environment --environment-name shop-a`

### What to do next

Nothing. `run=rollback` makes live again what was live before.

[The log of this run](https://ci.example/runs/7)
";
        assert_eq!(end, expected);
    }

    #[test]
    fn after_a_failure_what_is_kept_is_listed_once() {
        let mut kinds = failing(Stage::AcceptanceCandidate);
        let [what, why] = ["environment shop-b (e-2)", "keep_failed is set"].map(str::to_owned);
        let fact = Fact::Kept { what, why, command: None };
        kinds.push(EventKind::StageFact { key: Stage::AcceptanceCandidate.into(), fact });
        kinds.push(finish(End::Failed(Stage::AcceptanceCandidate), Vec::new()));
        let page = run::summary(&story(kinds), None, &|_| None);
        assert_eq!(page.matches("keep\\_failed is set").count(), 1, "{page}");
        assert!(
            page.ends_with("### What to do next\n\nSee the help above; then start the same run again.\n"),
            "{page}"
        );
    }

    #[test]
    fn what_to_do_next_follows_from_how_the_run_ended() {
        let after = |end| {
            let mut kinds = story_until(Stage::Promote);
            kinds.push(finish(end, Vec::new()));
            let story = story(kinds);
            assert_eq!(costs(&story), "");
            next(&story)
        };
        assert!(after(End::Waiting).is_some_and(|text| text.contains("run=promote")));
        assert!(after(End::Pushed).is_some_and(|text| text.contains("run=deploy")));
        assert!(after(End::Planned).is_some_and(|text| text.contains("dry_run")));
        assert_eq!(after(End::Deployed), None, "nothing is kept that could be gone back to");
        assert_eq!(after(End::CleanedUp), None);
    }
}
