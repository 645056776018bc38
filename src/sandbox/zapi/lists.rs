//! The lists of contacts that may not see a setting. A call changes a list, it does not replace it.

use serde::Deserialize;

use super::refusal::bad_request;
use crate::sandbox::reply::Reply;

/// The settings with a list, as `disallowed-contacts` names them.
pub(super) const NAMES: &[&str] = &["lastSeen", "photo", "description", "groupAdd"];
const MAX_CONTACTS: usize = 1000;
const MAX_PHONE: usize = 64;

/// An element of `contactsBlacklist`.
#[derive(Deserialize)]
pub(super) struct Change {
    action: Action,
    phone: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Add,
    Remove,
}

/// The lists of one instance, in the order of [`NAMES`].
#[derive(Default)]
pub(super) struct Lists([Vec<String>; NAMES.len()]);

impl Lists {
    /// The contacts in the order in which they were added.
    pub(super) fn get(&self, name: &str) -> &[String] {
        let lists = NAMES.iter().zip(&self.0);
        lists
            .filter(|(it, _)| **it == name)
            .map(|(_, list)| &**list)
            .next()
            .unwrap_or_default()
    }

    /// Makes all changes or none.
    pub(super) fn change(&mut self, name: &str, changes: Vec<Change>) -> Result<(), Reply> {
        let mut list = self.get(name).to_vec();
        for Change { action, phone } in changes {
            list.retain(|it| *it != phone);
            match action {
                Action::Remove => (),
                Action::Add if phone.is_empty() || phone.len() > MAX_PHONE => {
                    return Err(bad_request("Invalid phone"));
                }
                Action::Add if list.len() == MAX_CONTACTS => {
                    return Err(bad_request("Too many contacts"));
                }
                Action::Add => list.push(phone),
            }
        }
        if let Some((_, old)) = NAMES.iter().zip(&mut self.0).find(|(it, _)| **it == name) {
            *old = list;
        }
        Ok(())
    }
}
