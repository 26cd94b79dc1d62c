//! The image's tags, their placeholders filled.

use super::Needs;
use super::commit::{Commit, asked_for};
use super::reading::{Reading, field};
use crate::image::Tag;
use crate::inputs::ci::Needed;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::values::lines;

const COMMIT_IS_UNKNOWN: &str = "the commit is unknown here: no CI tells it and the context has no readable .git";

/// The tag that the image is known by.
pub(super) fn tag(reading: &mut Reading<'_>, commit: &Commit, needs: &Needs) -> Option<Tag> {
    let asked = field!(reading.raw, tag);
    filled(reading, "tag", asked.text.unwrap_or("{sha}"), commit, needs)
}

/// Further tags for the same image.
pub(super) fn extra_tags(reading: &mut Reading<'_>, commit: &Commit, needs: &Needs, tag: Option<&Tag>) -> Vec<Tag> {
    let asked = field!(reading.raw, extra_tags);
    // A run that pushes nothing asks for no build number or branch.
    let text = asked.text.filter(|text| *text != "none" && needs.image).unwrap_or_default();
    let mut tags: Vec<Tag> = Vec::new();
    for line in lines(text) {
        let Some(extra) = filled(reading, asked.name, line, commit, needs) else { continue };
        let wrong = match tag {
            Some(tag) if *tag == extra => format!("names {}, which is the tag itself", shown(extra.as_str())),
            _ if tags.contains(&extra) => format!("names {} twice", shown(extra.as_str())),
            _ => {
                tags.push(extra);
                continue;
            }
        };
        reading.problem(asked.name, Wrong::new(wrong, "write each tag once"));
    }
    tags
}

/// The tag that a template of `input` makes.
fn filled(
    reading: &mut Reading<'_>,
    input: &'static str,
    template: &str,
    commit: &Commit,
    needs: &Needs,
) -> Option<Tag> {
    let revision = match (&commit.revision, needs.image) {
        (None, false) => Some("untagged".to_owned()),
        (revision, _) => revision.clone(),
    };
    let short = revision.as_ref().map(|revision| revision.chars().take(7).collect::<String>());
    let branch = commit.ci.branch.as_deref().map(legal_in_a_tag);
    let mut text = template.to_owned();
    let known = [
        ("{sha}", revision, "revision", COMMIT_IS_UNKNOWN),
        ("{short_sha}", short, "revision", COMMIT_IS_UNKNOWN),
        ("{branch}", branch, input, "asks for {branch}, but no branch is known here"),
        ("{build}", commit.ci.build.clone(), input, "asks for {build}, but no CI tells a build number here"),
    ];
    let mut complete = true;
    for (placeholder, value, whose, wrong) in known {
        if !template.contains(placeholder) {
            continue;
        }
        let Some(value) = value else {
            // A commit that was given and is malformed has been told already.
            if whose == input {
                reading.problem(input, Wrong::new(wrong, "use {sha}, or write the tag out"));
            } else if reading.raw.written("revision").is_none() {
                let instead = asked_for("write the commit", Needed::Commit, &commit.ci, reading);
                reading.problem("revision", Wrong::new(format!("is missing; {wrong}"), instead));
            }
            complete = false;
            continue;
        };
        text = text.replace(placeholder, &value);
    }
    if !complete {
        return None;
    }
    match Tag::parse(&text) {
        Ok(tag) => Some(tag),
        Err(instead) => {
            let also = "; {sha} {short_sha} {branch} {build} are filled in";
            reading.problem(input, Wrong::new(format!("gives {}", shown(&text)), instead + also));
            None
        }
    }
}

/// A branch's name with everything that a tag may not hold replaced by `-`.
fn legal_in_a_tag(branch: &str) -> String {
    let text: String =
        branch.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect();
    text.trim_start_matches(['.', '-']).chars().take(128).collect()
}
