//! Merges a configuration that is read anew into the one in force: keys that need a restart keep their
//! values.

use super::{
    Config, Problem,
    key::OnReload,
    keys::{Draft, Owner as _},
    rules,
};

/// TLS cannot be switched on or off by a reload; other certificates are taken over.
const TLS: &str = "server.tls";

/// The keys that need a restart and differ between `old` and `new`.
#[must_use]
pub fn restart_pending(old: &Config, new: &Config) -> Vec<&'static str> {
    let is_switched = old.server.tls.is_some() != new.server.tls.is_some();
    let [old, new] = &mut [old, new].map(|config| Draft::from(config.clone()));
    Draft::ROWS
        .iter()
        .filter(|row| row.on_reload() == OnReload::Restart && !row.is_same(old, new))
        .map(|row| row.path())
        .chain(is_switched.then_some(TLS))
        .collect()
}

/// `new`, with the values of `old` for the keys that need a restart.
///
/// # Errors
/// A value of `new` conflicts with one that is kept.
pub fn take_over(old: &Config, new: &Config) -> Result<Config, Problem> {
    let [old, new] = &mut [old, new].map(|config| Draft::from(config.clone()));
    for row in Draft::ROWS {
        if row.on_reload() == OnReload::Restart {
            row.keep(old, new);
        }
    }
    let mut config = std::mem::take(&mut new.config);
    let tls = &mut config.server.tls;
    if tls.is_some() != old.config.server.tls.is_some() {
        tls.clone_from(&old.config.server.tls);
    }
    if let Some(fallback) = &config.fallback
        && rules::leads_to(fallback, &config.server.listen)
    {
        return Err(Problem {
            line: None,
            key: "fallback.base_url".into(),
            message: "is the server.listen that is in force until a restart, so it leads back \
                      here; write the URL of Z-API, or restart"
                .into(),
        });
    }
    Ok(config)
}
