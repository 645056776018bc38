//! Reads the operation of an authenticated Z-API call from its query or body.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::LengthLimitError;
use hyper::body::Body;
use tokio::time::Instant;

use super::{
    field::Field,
    input,
    rejection::{BadRequest, Rejection, UnsupportedMediaType},
    routes::{Call, Input, Route},
    values::Values,
};
use crate::{
    config::ContactsBlacklist,
    content_encoding,
    privacy::{Change, Operation, Setting},
    timer::Timer,
    whole_body,
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
                let audience = input::read_query(query, parameter, values)?;
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
                let (audience, has_contacts) = input::read_body(&body, field, values)?;
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
    let is_json = essence
        .trim_ascii()
        .eq_ignore_ascii_case("application/json");
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
    // Pinned here, because `timeout_at` would move it.
    let whole = pin!(whole_body::read(body, limits.max_body));
    let deadline = deadline.min(Instant::now() + limits.body_timeout);
    // Most bodies are there already, and then no timer is made.
    match Timer::default().timeout_at(deadline, whole).await {
        None => Err(Rejection::BodyTooSlow),
        Some(Ok(body)) => Ok(body),
        Some(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Some(Err(_)) => Err(BadRequest::IncompleteBody.into()),
    }
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
