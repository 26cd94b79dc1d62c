//! What `beanline --help` prints.

use super::definition::{FIRST, Group, INPUTS, Input, find};
use crate::exit::Exit;

const USAGE: &str = "\
beanline builds a docker image once, tests that image, and ships exactly that image to AWS Elastic Beanstalk.

usage
  beanline               do what the inputs say, in the directory of the repository
  beanline env [CI]      print docker run's -e options for the variables of this CI, or of the one that is named
  beanline post          after a run that was killed: remove what it left, complete its check runs
  beanline local         keep the local cloud's APIs up until Ctrl-C
  beanline local status  say where the local cloud's parts are
  beanline local stop    remove the local cloud
  beanline --help        print this
  beanline --version     print the version

Inputs are environment variables: BEANLINE_<NAME>, or INPUT_<NAME> as GitHub passes them, in upper case. Empty means
absent. BEANLINE_<NAME>_FILE names a file that holds the text. Lists are KEY=VALUE lines; a bare KEY takes its value
from the environment and makes it a secret. Times are such as 90s, 10m, 1h30m; true and false are the only truth
values; none switches a default off. AWS, Docker and GitHub variables keep their own names and meaning.
Defaults are in parentheses. BEANLINE_CLOUD=local needs no account, only a docker engine on this machine.
";

/// Width of the column of names.
const NAMES: usize = 22;

/// Width of the column of meanings.
const MEANINGS: usize = 92;

/// Usage, the inputs that are needed first, all inputs by group with their defaults, and the exit codes.
pub fn help() -> String {
    let mut text = USAGE.to_owned();
    text.push_str("\nneeded first\n");
    text.extend(FIRST.iter().filter_map(|name| find(name)).map(line));
    for group in Group::ALL {
        text.push_str(&format!("\n{}\n", group.title()));
        text.extend(INPUTS.iter().filter(|input| input.group == group).map(line));
    }
    text.push_str("\nexit codes\n");
    text.extend(Exit::TABLE.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}\n", exit.code())));
    text
}

fn line(input: &Input) -> String {
    let later = if input.built { "" } else { "not built yet: " };
    let text = [later, input.about, " ", &input.default_in_words()].concat();
    let mut out = format!("  {:<NAMES$}", input.name);
    let mut width = 0;
    for word in text.split_whitespace() {
        if width + word.len() > MEANINGS {
            out += &format!("\n{:NAMES$}  ", "");
            width = 0;
        }
        width += word.len() + 1;
        out.push(' ');
        out.push_str(word);
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_and_exit_code_is_told() {
        let help = help();
        for input in INPUTS {
            assert!(help.contains(&format!("\n  {} ", input.name)), "{}", input.name);
        }
        assert!(Exit::TABLE.iter().all(|(_, meaning)| help.contains(meaning)));
        assert!(help.contains("time limit of the whole run (60m)\n"));
        let later = INPUTS.iter().filter(|input| !input.built).filter_map(|input| input.about.split(' ').next());
        later.for_each(|word| assert!(help.contains(&format!("not built yet: {word}")), "{word}"));
        assert!(help.lines().all(|line| line.len() <= 120));
    }
}
