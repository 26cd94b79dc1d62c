//! Why a build failed, in words.

use super::WHAT;
use crate::docker::progress::FailedStep;
use crate::fault::{Fault, Spot};

/// Whether BuildKit could not ask us any more (`session/manager.go`, and gRPC's status for a broken line).
pub(super) fn lost_the_session(error: &str) -> bool {
    error.contains("no active session for") || error.contains("code = Unavailable")
}

/// Says what went wrong: in a step, with its last lines, or before the first one.
pub(super) fn failure(step: Option<FailedStep>, error: &str) -> Fault {
    let fault = Fault::new(WHAT);
    let reason = reason(error);
    let Some(step) = step else {
        let line = line_of(&reason);
        let fault = hinted(fault.cause(reason), error);
        return line.into_iter().fold(fault, |fault, line| fault.at(Spot::Line(line)));
    };
    let fault = fault.at(Spot::Step(step.name.clone()));
    if let Some(errand) = step.name.strip_prefix("[internal] ") {
        return hinted(fault.cause(format!("could not {errand}")).cause(reason), error);
    }
    let fault = match exit_code(&step.error).or_else(|| exit_code(error)) {
        Some(code) => fault.cause(format!("step {} ended with exit code {code}", step.name)),
        None => fault.cause(format!("step {} failed", step.name)).cause(reason),
    };
    hinted(fault.lines(step.lines), error)
}

/// BuildKit's last word without the layers it came through.
fn reason(error: &str) -> String {
    const LAYERS: [&str; 6] = [
        "failed to solve with frontend dockerfile.v0: ",
        "failed to solve: ",
        "failed to create LLB definition: ",
        "failed to build LLB: ",
        "rpc error: code = Unknown desc = ",
        "failed to compute cache key: ",
    ];
    let mut error = error.trim();
    while let Some(inner) = LAYERS.iter().find_map(|layer| error.strip_prefix(layer)) {
        error = inner;
    }
    // An error and its code say the same.
    let error = error.strip_suffix(": not found").filter(|error| error.ends_with("not found")).unwrap_or(error);
    let lower = error.to_ascii_lowercase();
    match lower.find("parse error line ").or_else(|| lower.find("parse error on line ")) {
        Some(at) => {
            format!("the Dockerfile does not parse: {}", error[at + "parse error ".len()..].trim_start_matches("on "))
        }
        None => error.to_owned(),
    }
}

/// The line of the Dockerfile that a sentence of ours names.
fn line_of(reason: &str) -> Option<u32> {
    let (_, rest) = reason.split_once("does not parse: line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn exit_code(error: &str) -> Option<i32> {
    let (_, rest) = error.rsplit_once("exit code: ")?;
    rest.trim().parse().ok()
}

fn hinted(fault: Fault, error: &str) -> Fault {
    let has = |text: &str| error.contains(text);
    if has("target stage") && has("could not be found") {
        return fault.hint("set `build_target` to the name of a stage in the Dockerfile (`FROM … AS name`)");
    }
    if has("secret") && has("not found") {
        return fault.hint("give the secret in `build_secrets`, as a line `id=value`");
    }
    if has("SSH agent") || has("ssh forward key") {
        return fault.hint("give the agent in `build_ssh`, as a line `default`, `ID` or `ID=/path/of/agent.sock`");
    }
    if ["pull access denied", "insufficient_scope", "no basic auth credentials", "401 Unauthorized"]
        .iter()
        .any(|text| has(text))
    {
        return fault.hint("check the base image's name, and the login for its registry");
    }
    if ["no such host", "connection refused", "i/o timeout"].iter().any(|text| has(text)) {
        return fault.hint("check the image's name, and that the docker daemon can reach the registry");
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_is_named_with_its_exit_code_and_its_last_lines() {
        for error in [
            "executor failed running [/bin/sh -c exit 3]: exit code: 3",
            "failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
        ] {
            let step = FailedStep { name: "[2/2] RUN exit 3".into(), error: error.into(), lines: vec!["boom".into()] };
            let fault = failure(Some(step), error);
            assert_eq!(fault.to_string(), "could not build the image: step [2/2] RUN exit 3 ended with exit code 3");
            assert_eq!(fault.last_lines(), ["boom"]);
            assert_eq!(fault.spot(), Some(&Spot::Step("[2/2] RUN exit 3".into())));
        }
    }

    #[test]
    fn what_is_wrong_with_the_dockerfile_is_said_without_the_layers() {
        let cases = [
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error \
                 line 2: unknown instruction: RUNN",
                "the Dockerfile does not parse: line 2: unknown instruction: RUNN",
            ),
            (
                "dockerfile parse error on line 3: unknown instruction: X",
                "the Dockerfile does not parse: line 3: unknown instruction: X",
            ),
            ("failed to solve: rpc error: code = Unknown desc = x: not found", "x: not found"),
            ("secret x not found: not found", "secret x not found"),
        ];
        for (error, expected) in cases {
            assert_eq!(reason(error), expected);
        }
        let fault = failure(None, cases[0].0);
        assert_eq!(fault.spot(), Some(&Spot::Line(2)));
        let fault = failure(None, "failed to solve: target stage \"x\" could not be found");
        assert!(fault.hints()[0].contains("build_target"));
    }
}
