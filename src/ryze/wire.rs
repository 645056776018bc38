//! Ryze's words: how settings are written into an update and read out of an answer. The facts are
//! in the vendor's page "Update privacy". Nothing here knows a connection.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    json,
    privacy::{Audience, Setting, Settings},
};

/// Where each setting stands in a body, in the order in which Ryze carries them out.
const FIELDS: [(Setting, &str, &str); Setting::ALL.len()] = [
    (Setting::LastSeen, "visibility", "lastSeen"),
    (Setting::About, "visibility", "status"),
    (Setting::ProfilePhoto, "visibility", "profile"),
    (Setting::Online, "visibility", "online"),
    (Setting::ReadReceipts, "privacy", "readReceipts"),
    (Setting::GroupAdd, "permissions", "groupAdd"),
];

const SECTIONS: [&str; 3] = ["visibility", "privacy", "permissions"];
/// The names of [`FIELDS`], in their order.
const NAMES: [&str; FIELDS.len()] = {
    let mut names = [""; FIELDS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FIELDS[index].2;
        index += 1;
    }
    names
};

const WORDS: [(Audience, &str); 5] = [
    (Audience::Everyone, "all"),
    (Audience::Contacts, "contacts"),
    (Audience::ContactsExcept, "contact_blacklist"),
    (Audience::Nobody, "none"),
    (Audience::SameAsLastSeen, "match_last_seen"),
];

fn word(audience: Audience) -> &'static str {
    WORDS
        .iter()
        .find_map(|(known, word)| (*known == audience).then_some(*word))
        .unwrap_or_default()
}

/// Whether Ryze applies `one` before `other`: where it fails at `one`, it does not try `other`.
#[must_use]
pub fn comes_before(one: Setting, other: Setting) -> bool {
    let place = |setting| FIELDS.iter().position(|(known, ..)| *known == setting);
    place(one) < place(other)
}

/// The body of an update: exactly the fields that have a value.
#[must_use]
pub fn update(settings: &Settings) -> Bytes {
    let mut body = String::with_capacity(64);
    let mut open = "";
    for (setting, section, field) in FIELDS {
        let Some(audience) = settings.get(setting) else {
            continue;
        };
        if section == open {
            body.push(',');
        } else {
            body.push_str(if open.is_empty() { "{\"" } else { "},\"" });
            body.push_str(section);
            body.push_str("\":{");
            open = section;
        }
        for part in ["\"", field, "\":\"", word(audience), "\""] {
            body.push_str(part);
        }
    }
    body.push_str("}}");
    body.into()
}

/// The body of an answer that confirms these settings, which are written as in an update.
#[must_use]
pub fn confirmation(settings: &[u8]) -> Bytes {
    [br#"{"success":true,"settings":"#, settings, b"}"]
        .concat()
        .into()
}

/// The settings in an answer that says `success`; `None` if it is anything else. A value that is
/// not in the vendor's list is left out: unknown, not wrong.
#[must_use]
pub fn settings(body: &[u8]) -> Option<Settings> {
    let [success, sections] = json::object(body, ["success", "settings"]).ok()?;
    if success?.get() != "true" {
        return None;
    }
    let mut settings = Settings::default();
    let sections = json::object(sections?.get().as_bytes(), SECTIONS).ok()?;
    for (name, section) in SECTIONS.into_iter().zip(sections) {
        let Some(section) = section.filter(|section| section.get().starts_with('{')) else {
            continue;
        };
        let values = json::object(section.get().as_bytes(), NAMES).ok()?;
        for ((setting, section, _), value) in FIELDS.into_iter().zip(values) {
            if section == name
                && let Some(audience) = value.and_then(audience)
            {
                settings.set(setting, audience);
            }
        }
    }
    Some(settings)
}

fn audience(value: &RawValue) -> Option<Audience> {
    let text = json::string(value)?;
    WORDS
        .iter()
        .find_map(|(audience, word)| (*word == text).then_some(*audience))
}

/// The message of an error's envelope, if the body is one.
pub(super) fn message(body: &[u8]) -> Option<Cow<'_, str>> {
    let [error] = json::object(body, ["error"]).ok()?;
    let [message] = json::object(error?.get().as_bytes(), ["message"]).ok()?;
    json::string(message?)
}

/// The setting that a message of the form `failed to update <field> privacy: <reason>` names, and
/// the reason. None where the field is not one of [`FIELDS`].
pub(super) fn failed_field(message: &str) -> Option<(Setting, &str)> {
    let rest = message.strip_prefix("failed to update ")?;
    let (field, reason) = rest.split_once(" privacy: ")?;
    let (setting, ..) = FIELDS.iter().find(|(.., known)| *known == field)?;
    Some((*setting, reason))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::privacy::Change;

    fn change(setting: Setting, audience: Audience) -> Change {
        Change { setting, audience }
    }

    #[test]
    fn an_update_holds_exactly_the_fields_asked_for() {
        use Audience::{Contacts, ContactsExcept, Everyone, Nobody, SameAsLastSeen};
        let cases: [(&[Change], &str); 4] = [
            (
                &[change(Setting::ProfilePhoto, Contacts)],
                r#"{"visibility":{"profile":"contacts"}}"#,
            ),
            (
                &[change(Setting::GroupAdd, ContactsExcept)],
                r#"{"permissions":{"groupAdd":"contact_blacklist"}}"#,
            ),
            (
                &[
                    change(Setting::ReadReceipts, Nobody),
                    change(Setting::Online, SameAsLastSeen),
                ],
                r#"{"visibility":{"online":"match_last_seen"},"privacy":{"readReceipts":"none"}}"#,
            ),
            (
                &Setting::ALL.map(|setting| change(setting, Everyone)),
                concat!(
                    r#"{"visibility":{"lastSeen":"all","status":"all","profile":"all","online":"all"},"#,
                    r#""privacy":{"readReceipts":"all"},"permissions":{"groupAdd":"all"}}"#
                ),
            ),
        ];
        for (changes, body) in cases {
            let settings = changes.iter().copied().collect();
            assert_eq!(update(&settings), body);
        }
    }

    #[test]
    fn settings_are_read_leniently_and_success_strictly() {
        let photo = |body: &str| settings(body.as_bytes()).map(|s| s.get(Setting::ProfilePhoto));
        let cases = [
            (
                r#"{"success":true,"settings":{"visibility":{"profile":"none"}}}"#,
                Some(Some(Audience::Nobody)),
            ),
            (
                r#"{"settings":{"visibility":{"profile":"n\u006fne","x":[1]}},"success":true}"#,
                Some(Some(Audience::Nobody)),
            ),
            (
                r#"{"success":true,"settings":{"visibility":{"profile":""}}}"#,
                Some(None),
            ),
            (
                r#"{"success":true,"settings":{"visibility":{"profile":7}}}"#,
                Some(None),
            ),
            (
                r#"{"success":true,"settings":{"privacy":{"profile":"none"}}}"#,
                Some(None),
            ),
            (
                r#"{"success":true,"settings":{"visibility":null}}"#,
                Some(None),
            ),
            (
                r#"{"success":true,"settings":{"visibility":["none"]}}"#,
                Some(None),
            ),
            (
                r#"{"success":true,"settings":{"visibility":{"profile":"none","profile":"all"}}}"#,
                None,
            ),
            (
                r#"{"success":false,"settings":{"visibility":{"profile":"none"}}}"#,
                None,
            ),
            (
                r#"{"success":"true","settings":{"visibility":{"profile":"none"}}}"#,
                None,
            ),
            (r#"{"success":true}"#, None),
            (r#"[true,{}]"#, None),
            ("", None),
        ];
        for (body, expected) in cases {
            assert_eq!(photo(body), expected, "{body}");
        }
    }
}
