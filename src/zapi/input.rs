//! Reads the value of a setting from the JSON body or the query of a Z-API call.

use serde_json::value::RawValue;

use super::{
    field::Field,
    rejection::{BadRequest, Rejection},
    values::{Values, audience},
};
use crate::{json, privacy::Audience};

/// The value of `field`, and whether there are contacts to change with it.
pub(super) fn read_body(
    body: &[u8],
    field: Field,
    values: Values,
) -> Result<(Audience, bool), Rejection> {
    if let Some(audience) = only_member(body, field).and_then(|word| audience(values, word)) {
        return Ok((audience, false));
    }
    let [value, contacts] = json::object(body, [field.name(), "contactsBlacklist"])
        .map_err(|error| BadRequest::NotTheObject(error.to_string()))?;
    let expected = |sent_instead| BadRequest::Value {
        field,
        in_query: false,
        values,
        sent_instead,
    };
    let Some(value) = value else {
        let other = other_field(field);
        let has_other = matches!(json::object(body, [other.name()]), Ok([Some(_)]));
        return Err(expected(has_other.then_some(other)).into());
    };
    let audience = json::string(value)
        .and_then(|word| audience(values, &word))
        .ok_or_else(|| expected(None))?;
    let has_contacts = match contacts {
        Some(contacts) if audience == Audience::ContactsExcept => has_contacts(contacts)?,
        _ => false,
    };
    Ok((audience, has_contacts))
}

/// The value of a body that has this member alone, as `JSON.stringify` and PHP's `json_encode` write it, which
/// is not parsed (900 instructions). It is what stands there, so not the value if there is an escape.
fn only_member(body: &[u8], field: Field) -> Option<&str> {
    let body = str::from_utf8(body).ok()?;
    let after_name = body.strip_prefix("{\"")?.strip_prefix(field.name())?;
    after_name.strip_prefix("\":\"")?.strip_suffix("\"}")
}

/// The field that clients confuse with this one, because other privacy calls have it.
fn other_field(field: Field) -> Field {
    match field {
        Field::Type => Field::VisualizationType,
        Field::VisualizationType | Field::Value => Field::Type,
    }
}

pub(super) fn read_query(
    query: &str,
    parameter: Field,
    values: Values,
) -> Result<Audience, Rejection> {
    let mut sent = form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, value)| (name == parameter.name()).then_some(value));
    match (sent.next(), sent.next()) {
        (Some(word), None) => audience(values, &word),
        _ => None,
    }
    .ok_or(Rejection::BadRequest(BadRequest::Value {
        field: parameter,
        in_query: true,
        values,
        sent_instead: None,
    }))
}

/// Whether a list has contacts. An absent list, `null` and `[]` mean "switch the mode, change no
/// contact".
fn has_contacts(list: &RawValue) -> Result<bool, BadRequest> {
    let contacts: Option<Vec<&RawValue>> =
        serde_json::from_str(list.get()).map_err(|_| BadRequest::ContactsList)?;
    let contacts = contacts.unwrap_or_default();
    for contact in &contacts {
        let fields = json::object(contact.get().as_bytes(), ["action", "phone"]);
        let [action, phone] = fields.map_err(|_| BadRequest::ContactsList)?;
        let action = action.and_then(json::string).unwrap_or_default();
        let is_phone = phone.is_some_and(|phone| match json::string(phone) {
            Some(text) => is_phone(&text),
            // A number, as clients without types send it.
            None => is_digits(phone.get()),
        });
        if !matches!(&*action, "add" | "remove") || !is_phone {
            return Err(BadRequest::ContactsList);
        }
    }
    Ok(!contacts.is_empty())
}

/// Accepts digits, as documented, and the forms that clients send: a leading `+`, or the `@lid` of an
/// id.
fn is_phone(phone: &str) -> bool {
    let digits = phone.strip_prefix('+').unwrap_or(phone);
    is_digits(digits.strip_suffix("@lid").unwrap_or(digits))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
