//! The ARN of a secret or a parameter, by its form.

use crate::inputs::problem::Wrong;

/// What to write.
pub const FORMS: &str = "write KEY=arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, perhaps with :JSONKEY, or \
                         KEY=arn:aws:ssm:REGION:ACCOUNT:parameter/NAME; needs a platform of 2025-03-26 or later, JSON \
                         keys one of 2026-01-13";

/// Checks the form (Developer Guide, "Environment secrets"): of Secrets Manager, with a top-level JSON key if wanted, or
/// a parameter of Systems Manager, which has none.
///
/// # Errors
/// What is wrong with it, without its text.
pub fn check(arn: &str) -> Result<(), Wrong> {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let ["arn", partition, service, region, account, rest @ ..] = parts.as_slice() else {
        return Err(Wrong::new("has no ARN", FORMS));
    };
    let is_place = partition.starts_with("aws") && is_word(region);
    if !is_place || account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Wrong::new("has an ARN without a region or an account of twelve digits", FORMS));
    }
    match (*service, rest) {
        ("secretsmanager", ["secret", name] | ["secret", name, _]) if is_word(name) => match rest {
            [_, _, key] if !is_word(key) => Err(Wrong::new("has an ARN that ends with a colon", FORMS)),
            _ => Ok(()),
        },
        ("ssm", [parameter]) if parameter.strip_prefix("parameter/").is_some_and(is_word) => Ok(()),
        ("ssm", [parameter, ..]) if parameter.starts_with("parameter/") => {
            Err(Wrong::new("has a parameter's ARN with a JSON key, which only secrets have", FORMS))
        }
        _ => Err(Wrong::new("has an ARN of neither a secret nor a parameter", FORMS)),
    }
}
