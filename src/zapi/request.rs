//! Reads what a Z-API call wants done, once its caller is known. Which calls there are is in
//! `route.rs`, who may make them in `accounts.rs`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::{
    response::Refusal,
    route::{Call, Input, Route, Words},
};
use crate::{
    config::ContactsBlacklist,
    json,
    privacy::{Audience, Change, Operation},
};

/// What a body may take, and what becomes of a list of contacts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub max_body: usize,
    /// Time for a whole body.
    pub body_timeout: Duration,
    /// What becomes of a list of contacts.
    pub contacts_blacklist: ContactsBlacklist,
}

/// A call that was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadCall {
    /// What to do on Ryze.
    pub operation: Operation,
    /// Whether the call has a list of contacts that is dropped (`policy.contacts_blacklist`).
    pub drops_contacts: bool,
}

impl From<Operation> for ReadCall {
    fn from(operation: Operation) -> Self {
        Self {
            operation,
            drops_contacts: false,
        }
    }
}

/// Reads the operation that a call asks for, by `deadline`. A body is read where the call has one, and
/// not before its content type is right.
///
/// # Errors
/// What the caller has to mend.
pub async fn operation<B>(
    route: &Route,
    parts: &Parts,
    body: B,
    limits: &Limits,
    deadline: Instant,
) -> Result<ReadCall, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match route.call {
        Call::Change {
            setting,
            values,
            input: Input::Body(field),
            ..
        } => {
            check_content_type(&parts.headers)?;
            let body = read_body(body, limits, deadline).await?;
            let (audience, drops_contacts) =
                read_object(&body, field, values, limits.contacts_blacklist)?;
            Ok(ReadCall {
                operation: Operation::Change(Change { setting, audience }),
                drops_contacts,
            })
        }
        Call::Change {
            setting,
            values,
            input: Input::Query(parameter),
            ..
        } => {
            let query = parts.uri.query().unwrap_or_default();
            let audience = read_query(query, parameter, values)?;
            pass_over(body, limits, deadline).await?;
            Ok(Operation::Change(Change { setting, audience }).into())
        }
        Call::Read => {
            pass_over(body, limits, deadline).await?;
            Ok(Operation::Read.into())
        }
        Call::Untranslatable { what } => Err(Refusal::NoCounterpart(format!(
            "Ryze has no call to {what}. Nothing was changed."
        ))),
    }
}

/// Takes a body that means nothing, so that the connection can be used again. A request that broke off
/// is none all the same.
async fn pass_over<B>(body: B, limits: &Limits, deadline: Instant) -> Result<(), Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match read_body(body, limits, deadline).await {
        Ok(_) | Err(Refusal::BodyTooLarge { .. }) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::UnsupportedMediaType(
            "send the body without a Content-Encoding",
        ));
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = types
        .next()
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .unwrap_or_default();
    let is_json = essence.trim().eq_ignore_ascii_case("application/json");
    if is_json && types.next().is_none() {
        Ok(())
    } else {
        Err(Refusal::UnsupportedMediaType(
            "send a JSON body with the header Content-Type: application/json",
        ))
    }
}

async fn read_body<B>(body: B, limits: &Limits, deadline: Instant) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = Refusal::BodyTooLarge {
        limit: limits.max_body,
    };
    if body.size_hint().lower() > limits.max_body as u64 {
        return Err(too_large);
    }
    let whole = Limited::new(body, limits.max_body).collect();
    let deadline = deadline.min(Instant::now() + limits.body_timeout);
    match timeout_at(deadline, whole).await {
        Err(_) => Err(Refusal::BodyTooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_)) => Err(Refusal::BadRequest(
            "the body ended before it was complete".into(),
        )),
    }
}

/// The value of `field`, and whether a list of contacts is dropped.
fn read_object(
    body: &[u8],
    field: &str,
    values: Words,
    policy: ContactsBlacklist,
) -> Result<(Audience, bool), Refusal> {
    let malformed = |error| {
        Refusal::BadRequest(format!(
            "the body is not the JSON object of this call: {error}"
        ))
    };
    let [value, contacts] = json::object(body, [field, "contactsBlacklist"]).map_err(malformed)?;
    let Some(value) = value else {
        let other = other_field(field);
        let hint = match json::object(body, [other]) {
            Ok([Some(_)]) => format!(", not {other} as in other privacy calls"),
            _ => String::new(),
        };
        let expected = expected(field, values);
        return Err(Refusal::BadRequest(format!("{expected}{hint}")));
    };
    let audience = json::string(value)
        .and_then(|word| find(values, &word))
        .ok_or_else(|| Refusal::BadRequest(expected(field, values)))?;
    let has_contacts = match contacts {
        Some(contacts) if audience == Audience::ContactsExcept => has_contacts(contacts)?,
        _ => false,
    };
    if has_contacts && policy == ContactsBlacklist::Refuse {
        return Err(Refusal::ContactsList(
            "Ryze cannot change the contacts of a contactsBlacklist. Nothing was changed. To have \
             the mode switched and the list dropped, the operator of the gateway sets \
             policy.contacts_blacklist to \"mode_only\".",
        ));
    }
    Ok((audience, has_contacts))
}

/// The field that callers take for the right one, because other privacy calls have it.
fn other_field(field: &str) -> &'static str {
    if field == "type" {
        "visualizationType"
    } else {
        "type"
    }
}

fn read_query(query: &str, parameter: &str, values: Words) -> Result<Audience, Refusal> {
    let mut sent = form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, value)| (name == parameter).then_some(value));
    match (sent.next(), sent.next()) {
        (Some(word), None) => find(values, &word),
        _ => None,
    }
    .ok_or_else(|| Refusal::BadRequest(expected(&format!("the query's {parameter}"), values)))
}

fn find(values: Words, word: &str) -> Option<Audience> {
    values
        .iter()
        .find_map(|(known, audience)| (*known == word).then_some(*audience))
}

fn expected(field: &str, values: Words) -> String {
    let words: Vec<_> = values.iter().map(|(word, _)| *word).collect();
    format!("{field} must be one of {}", words.join(", "))
}

/// Whether a list of contacts has any. None, `null` and an empty list mean "switch the mode, change
/// nobody".
fn has_contacts(list: &RawValue) -> Result<bool, Refusal> {
    let malformed = || {
        Refusal::BadRequest(
            "contactsBlacklist must be a list of {\"action\":\"add\" or \"remove\",\"phone\":\"digits\"}"
                .into(),
        )
    };
    let contacts: Option<Vec<&RawValue>> =
        serde_json::from_str(list.get()).map_err(|_| malformed())?;
    let contacts = contacts.unwrap_or_default();
    for contact in &contacts {
        let fields = json::object(contact.get().as_bytes(), ["action", "phone"]);
        let [action, phone] = fields
            .map_err(|_| malformed())?
            .map(|value| value.and_then(json::string).unwrap_or_default());
        if !matches!(&*action, "add" | "remove") || !is_phone(&phone) {
            return Err(malformed());
        }
    }
    Ok(!contacts.is_empty())
}

/// Digits, as the documentation asks for, also as callers write them: with a `+`, or with the
/// `@lid` of an id.
fn is_phone(phone: &str) -> bool {
    let digits = phone.strip_prefix('+').unwrap_or(phone);
    let digits = digits.strip_suffix("@lid").unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
