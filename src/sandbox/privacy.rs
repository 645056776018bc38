//! Ryze's privacy settings: the table of fields, what an update may say and in which words it is
//! refused. Who may send one, and when it is carried out, does not belong here.

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
    /// Gives the field its value in `settings`, which have the shape of [`initial`].
    pub(super) fn apply(&self, settings: &mut Value) {
        let section = settings.get_mut(self.field.section);
        if let Some(value) = section.and_then(|section| section.get_mut(self.field.name)) {
            *value = self.value.into();
        }
    }
}

/// The settings of a new instance, in the shape in which Ryze answers them.
pub(super) fn initial() -> Value {
    json!({
        "visibility": {"lastSeen": "all", "status": "all", "profile": "all", "online": "all"},
        "privacy": {"readReceipts": "all"},
        "permissions": {"callAdd": "all", "groupAdd": "all"},
    })
}

/// What an update's body asks for, at least one change, or the message that refuses it.
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

/// The fields that have a value, or `None` where the body has not the documented shape. Other keys
/// are ignored and `null` counts as absent, as Go's decoder has it.
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
