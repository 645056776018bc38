//! How long to wait before an upstream that could not be reached is tried again: twice as long from
//! one time to the next, and by chance some less, so that many who lost it together do not come back
//! together. Pure: chance is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// The pause after so many failures before this one. `chance`, from 0 to 1, takes up to half of it.
pub(super) fn backoff(failures: u32, chance: f32) -> Duration {
    let whole = FIRST
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST);
    whole.mul_f32(1.0 - chance / 2.0)
}
