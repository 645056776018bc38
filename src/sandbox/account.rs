//! An account of Ryze: its tokens, and its instances with their settings.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::Value;

use super::{privacy, reply::Reply};

pub(super) struct Account {
    /// Valid for every instance.
    token: String,
    /// By name.
    pub(super) instances: HashMap<String, Instance>,
}

pub(super) struct Instance {
    pub(super) token: String,
    /// Whether the instance is connected to WhatsApp.
    pub(super) connected: bool,
    pub(super) settings: Value,
    /// The settings before the last update, for a stale answer.
    pub(super) previous: Value,
}

impl Account {
    pub(super) fn new(token: String) -> Self {
        Self {
            token,
            instances: HashMap::new(),
        }
    }

    /// Adds an instance, or changes one without its settings.
    pub(super) fn put(&mut self, name: &str, token: &str, connected: bool) {
        let instance = self.instances.entry(name.to_owned());
        let instance = instance.or_insert_with(|| Instance {
            token: String::new(),
            connected,
            settings: privacy::initial(),
            previous: privacy::initial(),
        });
        token.clone_into(&mut instance.token);
        instance.connected = connected;
    }

    /// Whether the token is one of the account or of an instance.
    pub(super) fn knows(&self, token: &str) -> bool {
        token == self.token || self.instances.values().any(|known| token == known.token)
    }

    /// The instance, if the token is valid for it.
    pub(super) fn open(&self, name: &str, token: &str) -> Result<&Instance, Reply> {
        let not_found = || Reply::refusal(StatusCode::NOT_FOUND, "Instance not found");
        let instance = self.instances.get(name).ok_or_else(not_found)?;
        if token == self.token || token == instance.token {
            Ok(instance)
        } else {
            let message = "Instance token does not match the instance";
            Err(Reply::refusal(StatusCode::FORBIDDEN, message))
        }
    }
}
