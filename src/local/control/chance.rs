//! Where the ids come from that the local cloud gives to things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Random numbers: the operating system's, or the same ones each time, for simulations. Clones draw from one source.
#[derive(Clone, Debug, Default)]
pub struct Chance(Option<Arc<AtomicU64>>);

impl Chance {
    /// Numbers that follow from `seed` alone.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(seed))))
    }

    /// A random UUID, version 4.
    pub(super) fn uuid(&self) -> Uuid {
        let Some(state) = &self.0 else { return Uuid::new_v4() };
        let halves = [next(state), next(state)];
        let number = u128::from(halves[0]) << 64 | u128::from(halves[1]);
        uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid()
    }

    /// A number below 100.
    pub(super) fn percent(&self) -> u8 {
        u8::try_from(self.uuid().as_u128() % 100).unwrap_or_default()
    }
}

/// SplitMix64, by Guy L. Steele Jr., Doug Lea and Christine H. Flood ("Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
fn next(state: &AtomicU64) -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = state.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_no_seed_gives_others() {
        let draw = |chance: Chance| [chance.uuid(), chance.clone().uuid()];
        assert_eq!(draw(Chance::seeded(7)), draw(Chance::seeded(7)));
        assert_ne!(draw(Chance::seeded(7)), draw(Chance::seeded(8)));
        let [first, second] = draw(Chance::seeded(7));
        assert_ne!(first, second);
        assert_ne!(draw(Chance::default()), draw(Chance::default()));
    }
}
