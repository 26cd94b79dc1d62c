//! The table at the end: calls found, cases run, those in which the run did all it was for, and those that passed.

use super::call::Peer;
use super::case::Verdict;
use super::desk::{Nth, Way};

/// Lines of a failing run's output that are shown.
const LAST_LINES: usize = 60;

/// One case in one line, and a further one for each thing that is wrong.
pub fn line(verdict: &Verdict) -> String {
    let sign = if verdict.wrong.is_empty() { "✓" } else { "✗" };
    let end = if verdict.is_done { "all was done" } else { "it did not get to its end" };
    let wrong: String = verdict.wrong.iter().map(|wrong| format!("\n    {wrong}")).collect();
    format!("{sign} {}: {end}, after {:.1} s{wrong}", verdict.case, verdict.took.as_secs_f64())
}

/// Prints what came of all cases, and returns those that failed.
pub fn print<'a>(calls: &[Nth], verdicts: &'a [Verdict]) -> Vec<&'a Verdict> {
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.wrong.is_empty()).collect();
    for verdict in &failed {
        println!("--- {}", verdict.case);
        let lines: Vec<&str> = verdict.output.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(LAST_LINES)).for_each(|line| println!("    {line}"));
        verdict.wrong.iter().for_each(|wrong| println!("  ✗ {wrong}"));
    }
    println!("{:<14}{:>8}{:>8}{:>8}{:>8}{:>8}", "", "calls", "cases", "done", "passed", "failed");
    for peer in Peer::ALL {
        let found = calls.iter().filter(|call| call.peer == peer).count();
        row(&peer.to_string(), &found.to_string(), verdicts.iter().filter(|verdict| verdict.case.call.peer == peer));
    }
    for way in Way::ALL {
        row(&way.to_string(), "", verdicts.iter().filter(|verdict| verdict.case.way == way));
    }
    row("all", &calls.len().to_string(), verdicts.iter());
    let seconds = verdicts.iter().map(|verdict| verdict.took.as_secs_f64()).sum::<f64>();
    println!("a case took {:.1} s on average", seconds / verdicts.len().max(1) as f64);
    for verdict in &failed {
        println!("✗ {}: {}", verdict.case, verdict.wrong.join("; "));
    }
    failed
}

fn row<'a>(name: &str, calls: &str, verdicts: impl Iterator<Item = &'a Verdict>) {
    let all: Vec<&Verdict> = verdicts.collect();
    let done = all.iter().filter(|verdict| verdict.is_done).count();
    let good = all.iter().filter(|verdict| verdict.wrong.is_empty()).count();
    println!("{name:<14}{calls:>8}{:>8}{done:>8}{good:>8}{:>8}", all.len(), all.len() - good);
}
