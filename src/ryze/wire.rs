//! Ryze's wire format: writes the body of an update and reads settings and errors from a response.
//! Source: Ryze's page "Update privacy".

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::{
    json::{self, IfObject, Members, Object},
    privacy::{Audience, Setting, Settings},
};

/// Section and field of each setting, in the order in which Ryze applies them.
pub(super) const FIELDS: [(Setting, &str, &str); Setting::ALL.len()] = [
    (Setting::LastSeen, "visibility", "lastSeen"),
    (Setting::About, "visibility", "status"),
    (Setting::ProfilePhoto, "visibility", "profile"),
    (Setting::Online, "visibility", "online"),
    (Setting::ReadReceipts, "privacy", "readReceipts"),
    (Setting::GroupAdd, "permissions", "groupAdd"),
];

pub(super) const SECTIONS: [&str; 3] = ["visibility", "privacy", "permissions"];
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

pub(super) const VALUES: [(Audience, &str); 5] = [
    (Audience::Everyone, "all"),
    (Audience::Contacts, "contacts"),
    (Audience::ContactsExcept, "contact_blacklist"),
    (Audience::Nobody, "none"),
    (Audience::SameAsLastSeen, "match_last_seen"),
];

fn value_of(audience: Audience) -> &'static str {
    VALUES
        .iter()
        .find_map(|(known, value)| (*known == audience).then_some(*value))
        .unwrap_or_default()
}

/// Whether Ryze applies `one` before `other`: if `one` fails, Ryze does not try `other`.
#[must_use]
pub fn comes_before(one: Setting, other: Setting) -> bool {
    let position = |setting| FIELDS.iter().position(|(known, ..)| *known == setting);
    position(one) < position(other)
}

/// The body of an update, with exactly the fields that have a value.
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
        for part in ["\"", field, "\":\"", value_of(audience), "\""] {
            body.push_str(part);
        }
    }
    body.push_str("}}");
    body.into()
}

/// The body of a response that confirms these settings, which are formatted as in an update.
#[must_use]
pub fn confirmation(settings: &[u8]) -> Bytes {
    [br#"{"success":true,"settings":"#, settings, b"}"]
        .concat()
        .into()
}

/// The settings in a response with `success: true`; `None` for any other body. A value that is not in
/// Ryze's list is omitted, because it is unknown and not an error.
#[must_use]
pub fn settings(body: &[u8]) -> Option<Settings> {
    let mut response = Response::default();
    json::read(body, &mut response).ok()?;
    response.settings.filter(|_| response.is_success)
}

#[derive(Default)]
struct Response {
    is_success: bool,
    settings: Option<Settings>,
}

impl<'text> Members<'text> for Response {
    fn keys(&self) -> &[&str] {
        &["success", "settings"]
    }

    fn read<A: MapAccess<'text>>(&mut self, key: usize, map: &mut A) -> Result<(), A::Error> {
        if key == 0 {
            self.is_success = map.next_value::<&RawValue>()?.get() == "true";
            return Ok(());
        }
        let settings = self.settings.insert(Settings::default());
        map.next_value_seed(Object(&mut Sections(settings)))
    }
}

struct Sections<'s>(&'s mut Settings);

impl<'text> Members<'text> for Sections<'_> {
    fn keys(&self) -> &[&str] {
        &SECTIONS
    }

    fn read<A: MapAccess<'text>>(&mut self, key: usize, map: &mut A) -> Result<(), A::Error> {
        let mut section = Section(SECTIONS[key], self.0);
        map.next_value_seed(IfObject(&mut section))
    }
}

/// The section of this name.
struct Section<'s>(&'static str, &'s mut Settings);

impl<'text> Members<'text> for Section<'_> {
    fn keys(&self) -> &[&str] {
        &NAMES
    }

    fn read<A: MapAccess<'text>>(&mut self, key: usize, map: &mut A) -> Result<(), A::Error> {
        let (setting, section, _) = FIELDS[key];
        let audience = audience(map.next_value()?);
        if section == self.0
            && let Some(audience) = audience
        {
            self.1.set(setting, audience);
        }
        Ok(())
    }
}

fn audience(value: &RawValue) -> Option<Audience> {
    let text = json::string(value)?;
    VALUES
        .iter()
        .find_map(|(audience, value)| (*value == text).then_some(*audience))
}

/// The message of an error response, if the body is one.
pub(super) fn message(body: &[u8]) -> Option<Cow<'_, str>> {
    let [error] = json::object(body, ["error"]).ok()?;
    let [message] = json::object(error?.get().as_bytes(), ["message"]).ok()?;
    json::string(message?)
}

/// The setting and the reason in a message of the form `failed to update <field> privacy: <reason>`.
/// `None` if the field is not one of [`FIELDS`].
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
    fn an_update_has_exactly_the_given_fields() {
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

    #[test]
    fn a_section_of_another_type_is_ignored_and_a_doubled_key_is_an_error() {
        let photo = |text: &str| settings(text.as_bytes()).map(|it| it.get(Setting::ProfilePhoto));
        let with = |section: &str| {
            photo(&format!(
                r#"{{"success":true,"settings":{{"visibility":{section}}}}}"#
            ))
        };
        for section in [
            "\"x\"",
            "7",
            "-7",
            "1.5",
            "true",
            "null",
            r#"[[{"profile":1}]]"#,
        ] {
            assert_eq!(with(section), Some(None), "{section}");
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let beside = format!(r#"{{"x":{deep},"profile":"none"}}"#);
        assert_eq!(with(&beside), Some(Some(Audience::Nobody)));
        assert_eq!(with(&format!("[{deep}]")), Some(None));
        assert_eq!(with(r#"{"profile":1,"profile":1}"#), None);
        assert_eq!(with(r#"{},"visibility":{}"#), None);
        assert_eq!(
            photo(r#"{"success":true,"settings":{},"settings":{}}"#),
            None
        );
        assert_eq!(
            photo(r#"{"success":true,"success":true,"settings":{}}"#),
            None
        );
        for other in ["null", "[]", "\"x\""] {
            let text = format!(r#"{{"success":true,"settings":{other}}}"#);
            assert_eq!(photo(&text), None, "{other}");
        }
    }
}
