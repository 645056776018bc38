//! Merges a reloaded configuration into the one in force: keys that need a restart keep their
//! values.

use std::collections::HashMap;

use super::{
    Config, Instance, Problem,
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
            file: None,
            line: None,
            key: "fallback.base_url".into(),
            message: "is the server.listen that is in force until a restart, so it leads back \
                      here; write the URL of Z-API, or restart"
                .into(),
        });
    }
    Ok(config)
}

/// Changes of instances that can be read in two ways, and the reading that is used: an instance is
/// identified by its `ryze_instance`, whatever else of it changed.
#[must_use]
pub fn ambiguities(old: &Config, new: &Config) -> Vec<Problem> {
    let problem = |number: usize, key: &str, message: String| Problem {
        file: None,
        line: None,
        key: format!("instances[{number}].{key}"),
        message,
    };
    let mut by_id: HashMap<&str, &Instance> = HashMap::new();
    let mut by_name: HashMap<&str, Vec<&Instance>> = HashMap::new();
    for instance in &old.instances {
        by_id.insert(&instance.zapi_instance, instance);
        by_name
            .entry(&instance.ryze_instance)
            .or_default()
            .push(instance);
    }
    let mut found = Vec::new();
    for (number, instance) in new.instances.iter().enumerate() {
        let name = &instance.ryze_instance;
        let token = instance.ryze_token.expose().as_bytes();
        let is_known = |before: &&Instance| {
            before.zapi_instance == instance.zapi_instance || before.ryze_token.matches(token)
        };
        if let Some(same_name) = by_name.get(&**name)
            && !same_name.iter().any(is_known)
        {
            let message = format!(
                "and zapi_instance are others than before; \"{}\" is taken for the same instance, \
                 and its waiting calls are sent with the new token",
                name.escape_debug()
            );
            found.push(problem(number, "ryze_token", message));
        }
        if let Some(before) = by_id.get(&*instance.zapi_instance)
            && before.ryze_instance != *name
        {
            let message = format!(
                "is no longer \"{}\" and is taken for another instance; if it is the same one with \
                 another name, an older update may take effect after a newer one",
                before.ryze_instance.escape_debug()
            );
            found.push(problem(number, "ryze_instance", message));
        }
    }
    found
}
