//! Reads the operation of an authenticated Z-API call from its query or body.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::{
    field::Field,
    rejection::{BadRequest, Rejection, UnsupportedMediaType},
    routes::{Call, Input, Route},
    values::{Values, audience},
};
use crate::{
    config::ContactsBlacklist,
    content_encoding, json,
    privacy::{Audience, Change, Operation, Setting},
};

/// Limits of a request body, and the policy on lists of contacts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `server.max_body`, in bytes.
    pub max_body: usize,
    /// `server.body_timeout`, for a whole body.
    pub body_timeout: Duration,
    /// `policy.contacts_blacklist`.
    pub contacts_blacklist: ContactsBlacklist,
}

/// A call that was read.
#[derive(Clone, Debug)]
pub enum ReadCall {
    /// For Ryze.
    Operation {
        operation: Operation,
        /// Whether the call has a list of contacts that is dropped (`policy.contacts_blacklist`).
        drops_contacts: bool,
    },
    /// For the fallback: the change of a mode, with contacts in its list.
    Contacts {
        change: Change,
        /// As the client sent it.
        body: Bytes,
    },
}

impl From<Operation> for ReadCall {
    fn from(operation: Operation) -> Self {
        Self::Operation {
            operation,
            drops_contacts: false,
        }
    }
}

/// The operation that a call requests, as far as its head has it.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// The whole operation. A body is ignored.
    Operation(Operation),
    /// A change, whose value is in the body.
    InBody {
        setting: Setting,
        field: Field,
        values: Values,
    },
}

impl Expected {
    /// Reads the head of a call.
    ///
    /// # Errors
    /// A rejection that says what the client has to change.
    pub fn of(route: &Route, parts: &Parts) -> Result<Self, Rejection> {
        match route.call {
            Call::Change {
                setting,
                values,
                input: Input::Body(field),
                ..
            } => {
                check_content_type(&parts.headers)?;
                Ok(Self::InBody {
                    setting,
                    field,
                    values,
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
                let change = Change { setting, audience };
                Ok(Self::Operation(Operation::Change(change)))
            }
            Call::Read => Ok(Self::Operation(Operation::Read)),
            Call::Untranslatable { what } => Err(Rejection::NoCounterpart(what)),
        }
    }

    /// Reads the body, which is complete.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn complete(self, body: Bytes, policy: ContactsBlacklist) -> Result<ReadCall, Rejection> {
        match self {
            Self::Operation(operation) => Ok(operation.into()),
            Self::InBody {
                setting,
                field,
                values,
            } => {
                let (audience, has_contacts) = read_object(&body, field, values)?;
                let change = Change { setting, audience };
                let with = |drops_contacts| ReadCall::Operation {
                    operation: Operation::Change(change),
                    drops_contacts,
                };
                match policy {
                    _ if !has_contacts => Ok(with(false)),
                    ContactsBlacklist::Refuse => Err(Rejection::ContactsList),
                    ContactsBlacklist::ModeOnly => Ok(with(true)),
                    ContactsBlacklist::Fallback => Ok(ReadCall::Contacts { change, body }),
                }
            }
        }
    }
}

/// Reads the operation that a call asks for, by `deadline`. The body of a call that takes one is read
/// only after its content type was checked.
///
/// # Errors
/// A rejection that says what the client has to change.
pub async fn operation<B>(
    route: &Route,
    parts: &Parts,
    body: B,
    limits: &Limits,
    deadline: Instant,
) -> Result<ReadCall, Rejection>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let expected = Expected::of(route, parts)?;
    let body = match expected {
        Expected::InBody { .. } => read_body(body, limits, deadline).await?,
        Expected::Operation(_) => {
            discard(body, limits, deadline).await?;
            Bytes::new()
        }
    };
    expected.complete(body, limits.contacts_blacklist)
}

/// Reads and discards a body, so that the connection can be reused. A body that ends early is an error
/// here too.
async fn discard<B>(body: B, limits: &Limits, deadline: Instant) -> Result<(), Rejection>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match read_body(body, limits, deadline).await {
        Ok(_) | Err(Rejection::BodyTooLarge { .. }) => Ok(()),
        Err(rejection) => Err(rejection),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Rejection> {
    if content_encoding::is_encoded(headers) {
        return Err(Rejection::UnsupportedMediaType(
            UnsupportedMediaType::Encoded,
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
        Err(Rejection::UnsupportedMediaType(
            UnsupportedMediaType::NotJson,
        ))
    }
}

async fn read_body<B>(body: B, limits: &Limits, deadline: Instant) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = Rejection::BodyTooLarge {
        limit: limits.max_body,
    };
    if body.size_hint().lower() > limits.max_body as u64 {
        return Err(too_large);
    }
    let whole = Limited::new(body, limits.max_body).collect();
    let deadline = deadline.min(Instant::now() + limits.body_timeout);
    match timeout_at(deadline, whole).await {
        Err(_) => Err(Rejection::BodyTooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_)) => Err(BadRequest::IncompleteBody.into()),
    }
}

/// The value of `field`, and whether there are contacts to change with it.
fn read_object(body: &[u8], field: Field, values: Values) -> Result<(Audience, bool), Rejection> {
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

/// The field that clients confuse with this one, because other privacy calls have it.
fn other_field(field: Field) -> Field {
    match field {
        Field::Type => Field::VisualizationType,
        Field::VisualizationType | Field::Value => Field::Type,
    }
}

fn read_query(query: &str, parameter: Field, values: Values) -> Result<Audience, Rejection> {
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

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_may_have_exactly_max_body_bytes() {
        let limits = Limits {
            max_body: 5,
            body_timeout: Duration::from_secs(1),
            contacts_blacklist: ContactsBlacklist::Refuse,
        };
        let deadline = Instant::now() + Duration::from_secs(1);
        let read = async |body: &'static str| read_body(Full::from(body), &limits, deadline).await;
        assert_eq!(read("12345").await, Ok(Bytes::from_static(b"12345")));
        assert_eq!(
            read("123456").await,
            Err(Rejection::BodyTooLarge { limit: 5 })
        );
    }
}
