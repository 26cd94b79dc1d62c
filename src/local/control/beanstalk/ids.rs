//! Ids that look like those of the real service.

use crate::local::control::chance::Chance;

/// `count` random letters and digits, lower case.
pub fn random_word(chance: &Chance, count: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz23456789";
    let mut dice = chance.uuid().as_u128();
    let mut word = String::new();
    for _ in 0..count {
        word.push(char::from(ALPHABET[(dice % ALPHABET.len() as u128) as usize]));
        dice /= ALPHABET.len() as u128;
    }
    word
}

/// A new instance's id.
pub fn instance_id(chance: &Chance) -> String {
    format!("i-0{}", &chance.uuid().simple().to_string()[..16])
}
