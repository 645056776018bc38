//! Rules between the instances, and the tokens that they inherit.

use std::collections::HashMap;

use super::{Instance, Mode, Secret, report::Report};

/// Fills in the tokens of `[zapi]` and `[ryze]`, and checks the instances against each other.
pub(super) fn complete(
    instances: &mut [(String, Instance)],
    has_fallback: bool,
    client_token: Option<&Secret>,
    ryze_token: Option<&Secret>,
    report: &mut Report,
) {
    // The key under which each id was last written, and the last token of each name.
    let mut zapi_ids: HashMap<&str, String> = HashMap::new();
    let mut ryze_tokens: HashMap<&str, &Secret> = HashMap::new();
    // The first entry of each name, and whether it may be shared.
    let mut names: HashMap<&str, (String, bool)> = HashMap::new();
    for (path, instance) in instances {
        let key = |name: &str| format!("{path}.{name}");
        let id_key = key("zapi_instance");
        if !instance.zapi_instance.is_empty()
            && let Some(other) = zapi_ids.insert(&instance.zapi_instance, id_key.clone())
        {
            let other = report.described(&other);
            report.problem(&id_key, format!("is {other} too; write each id once"));
        }
        if instance.client_token.is_none() {
            instance.client_token = client_token.cloned();
        }
        let name_key = key("ryze_instance");
        for (key, id) in [
            (&id_key, &instance.zapi_instance),
            (&name_key, &instance.ryze_instance),
        ] {
            if matches!(&**id, "." | "..") {
                report.problem(key, "means another path; write the name of the instance");
            }
        }
        let shared = instance.shared;
        if !instance.ryze_instance.is_empty() {
            let first = names
                .entry(&instance.ryze_instance)
                .or_insert_with(|| (name_key.clone(), shared));
            if first.0 != name_key && !(first.1 && shared) {
                let message = format!(
                    "write `shared = true` in both tables if it is meant: {} is the same, so a call for \
                     one changes the other's account",
                    report.described(&first.0)
                );
                report.problem(&name_key, message);
            }
        }
        if instance.mode == Mode::Observe && !has_fallback {
            report.problem(
                &key("mode"),
                "leaves all calls to the fallback, and there is none; write `[fallback]`, or \"translate\"",
            );
        }
        let token_key = key("ryze_token");
        if !report.is_written(&token_key) {
            match ryze_token {
                Some(token) => instance.ryze_token = token.clone(),
                None => report.conflict(
                    &token_key,
                    &["ryze.token"],
                    "there is none; write one here, or `token` in `[ryze]` for all instances",
                ),
            }
        }
        if !instance.ryze_instance.is_empty()
            && !instance.ryze_token.expose().is_empty()
            && let Some(other) = ryze_tokens.insert(&instance.ryze_instance, &instance.ryze_token)
            && !other.matches(instance.ryze_token.expose().as_bytes())
        {
            report.warn(
                &name_key,
                "has another token than the same name above; both are taken for one instance, whose \
                 calls go one after the other. Names are unique only within one Ryze account, so \
                 write the same token unless these are two accounts",
            );
        }
    }
}
