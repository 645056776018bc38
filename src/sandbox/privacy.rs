//! Ryze's privacy settings: the fields, and the validation of an update with Ryze's messages.

use serde_json::{Map, Value, json};

/// One of the seven settings.
pub(super) struct Field {
    section: &'static str,
    pub(super) name: &'static str,
    values: &'static [&'static str],
}

const fn field(
    section: &'static str,
    name: &'static str,
    values: &'static [&'static str],
) -> Field {
    Field {
        section,
        name,
        values,
    }
}

const AUDIENCES: &[&str] = &["all", "contacts", "contact_blacklist", "none"];

/// In the order in which Ryze validates and applies them.
pub(super) const FIELDS: &[Field] = &[
    field("visibility", "lastSeen", AUDIENCES),
    field("visibility", "status", AUDIENCES),
    field("visibility", "profile", AUDIENCES),
    field("visibility", "online", &["all", "match_last_seen"]),
    field("privacy", "readReceipts", &["all", "none"]),
    field("permissions", "callAdd", &["all", "known"]),
    field(
        "permissions",
        "groupAdd",
        &["all", "contacts", "contact_blacklist"],
    ),
];

/// A valid value for one field.
pub(super) struct Change {
    pub(super) field: &'static Field,
    value: &'static str,
}

impl Change {
    /// Sets the field in `settings`, which have the shape of [`initial`].
    pub(super) fn apply(&self, settings: &mut Value) {
        let section = settings.get_mut(self.field.section);
        if let Some(value) = section.and_then(|section| section.get_mut(self.field.name)) {
            *value = self.value.into();
        }
    }
}

/// The settings of a new instance, in the shape of Ryze's `settings`.
pub(super) fn initial() -> Value {
    json!({
        "visibility": {"lastSeen": "all", "status": "all", "profile": "all", "online": "all"},
        "privacy": {"readReceipts": "all"},
        "permissions": {"callAdd": "all", "groupAdd": "all"},
    })
}

/// The changes of an update's body, at least one, or Ryze's error message.
pub(super) fn changes(body: &[u8]) -> Result<Vec<Change>, String> {
    let given = given(body).ok_or("Invalid request body")?;
    if given.is_empty() {
        return Err("At least one privacy setting must be provided".to_owned());
    }
    given
        .into_iter()
        .map(|(field, given)| {
            let value = field.values.iter().find(|value| **value == given);
            value.map(|value| Change { field, value }).ok_or_else(|| {
                let (name, values) = (field.name, field.values.join(", "));
                format!("Invalid {name} value: {given}. Valid values: {values}")
            })
        })
        .collect()
}

/// The fields with a value, or `None` if the body does not have the documented shape. As in Go's
/// decoder, unknown keys are ignored and `null` counts as absent.
fn given(body: &[u8]) -> Option<Vec<(&'static Field, String)>> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let value_of = |field: &'static Field| {
        let section = body.get(field.section).filter(|it| !it.is_null())?;
        let Some(section) = section.as_object() else {
            return Some(None);
        };
        let value = section.get(field.name).filter(|it| !it.is_null())?;
        Some(value.as_str().map(|value| (field, value.to_owned())))
    };
    FIELDS.iter().filter_map(value_of).collect()
}
