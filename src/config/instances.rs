//! `[[instances]]`: each with what it has of its own, or of `[zapi]` and `[ryze]`, and the rules between
//! them.

use std::collections::HashMap;

use super::{Instance, Secret, table::Table};

/// `[[instances]]`, one after the other.
#[derive(Default)]
pub(super) struct Instances {
    client_token: Option<Secret>,
    ryze_token: Option<Secret>,
    /// The key under which each id was last written.
    zapi_seen: HashMap<String, String>,
    /// The token that each name at the upstream last had.
    ryze_seen: HashMap<String, Secret>,
}

impl Instances {
    /// With the tokens for those that have none of their own: the callers' and the upstream's.
    pub(super) fn new(client_token: Option<Secret>, ryze_token: Option<Secret>) -> Self {
        Self {
            client_token,
            ryze_token,
            ..Self::default()
        }
    }

    /// The next instance, or none where something in it is wrong.
    pub(super) fn read(&mut self, table: &mut Table<'_>) -> Option<Instance> {
        let zapi_key = table.required("zapi_instance");
        // A legacy caller's path has it as one segment.
        let zapi_instance = zapi_key.text_without(&['/']);
        if let Some(id) = &zapi_instance
            && let Some(other) = self.zapi_seen.insert(id.clone(), zapi_key.path().into())
        {
            zapi_key.problem(format!("is {other} too; write each id once"));
        }
        let zapi_token = table.required("zapi_token").secret();
        let client_token = table.key("client_token").header_secret();
        let ryze_key = table.required("ryze_instance");
        let ryze_instance = ryze_key.text();
        if matches!(ryze_instance.as_deref(), Some("." | "..")) {
            ryze_key.problem("means another path; write the name of the instance");
        }
        let token_key = table.key("ryze_token");
        let ryze_token = token_key.header_secret().or(self.ryze_token.clone());
        if ryze_token.is_none() {
            token_key.conflict(
                &["ryze.token"],
                "there is none; write one here, or `token` in `[ryze]` for all instances",
            );
        }
        if let (Some(name), Some(token)) = (&ryze_instance, &ryze_token)
            && let Some(other) = self.ryze_seen.insert(name.clone(), token.clone())
            && !other.matches(token.expose().as_bytes())
        {
            ryze_key.warn(
                "has another token than the same name above; both are taken for one instance, whose \
                 calls go one after the other. Names are unique only within one Ryze account, so \
                 write the same token unless these are two accounts",
            );
        }
        Some(Instance {
            zapi_instance: zapi_instance?,
            zapi_token: zapi_token?,
            client_token: client_token.or(self.client_token.clone()),
            ryze_instance: ryze_instance?,
            ryze_token: ryze_token?,
        })
    }
}
