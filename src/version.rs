//! What this program was built from, recorded by `build.rs`.

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version, and in parentheses the commit, if it is known, and the target.
pub const LONG_VERSION: &str = env!("BUILD_VERSION");
/// The abbreviated commit, with `-dirty` if sources differed from it; empty if it is not known.
pub const COMMIT: &str = env!("BUILD_COMMIT");
