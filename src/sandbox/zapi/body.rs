//! The fields of a call, in its body or its query. Unknown fields are ignored.

use std::borrow::Cow;

use http::request::Parts;
use serde_json::{Map, Value};

use super::{calls::Setting, lists::Change, refusal::bad_request};
use crate::sandbox::reply::Reply;

/// Checks that a message has a recipient and its content.
pub(super) fn check_message(body: &[u8], content: &str) -> Result<(), Reply> {
    let body = object(body)?;
    for field in ["phone", content] {
        let is_given = match body.get(field) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Number(_)) => true,
            _ => false,
        };
        if !is_given {
            return Err(required(field));
        }
    }
    Ok(())
}

/// Checks a setting's value and returns the changes of its list.
pub(super) fn contact_changes(body: &[u8], setting: Setting) -> Result<Vec<Change>, Reply> {
    let mut body = object(body)?;
    let value = body.get(setting.field).and_then(Value::as_str);
    check_value(setting.field, value, setting.values)?;
    let changes = body.remove("contactsBlacklist").unwrap_or_default();
    let changes: Option<Vec<Change>> = serde_json::from_value(changes)
        .map_err(|_| bad_request("contactsBlacklist has an invalid contact"))?;
    Ok(changes.unwrap_or_default())
}

/// The first parameter of the query with this name.
pub(super) fn query<'a>(head: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    let query = head.uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(it, _)| it == name).map(|(_, value)| value)
}

/// The value, if it is one of `values`.
pub(super) fn check_value(
    field: &str,
    value: Option<&str>,
    values: &[&'static str],
) -> Result<&'static str, Reply> {
    let value = value.ok_or_else(|| required(field))?;
    let known = values.iter().find(|it| **it == value).copied();
    known.ok_or_else(|| bad_request(&format!("{field} must be one of {}", values.join(", "))))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Reply> {
    serde_json::from_slice(body).map_err(|_| bad_request("Invalid request body"))
}

fn required(field: &str) -> Reply {
    bad_request(&format!("{field} is required"))
}
