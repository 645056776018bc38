//! Why the gateway answers a call itself, without an outcome from Ryze or a response of the fallback.
//!
//! A rejection carries facts. Its status, headers and sentences are in `response/`.

use super::{field::Field, values::Values};
use crate::{
    privacy::Report,
    proxy,
    server::InvalidHead,
    telemetry::{OutcomeLabel, Reason},
};

/// A call that the gateway does not carry out and does not pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The head, the query or the body is not valid.
    BadRequest(BadRequest),
    /// No such call.
    UnknownPath {
        /// The path below the instance that the client probably meant.
        instead: Option<&'static str>,
        /// The template of the call that is nearly this one.
        near: Option<&'static str>,
        /// Whether a fallback would get the call, and there is none.
        lacks_fallback: bool,
    },
    /// The call takes another method.
    WrongMethod {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// Id and token are not a configured pair.
    UnknownInstance(Mismatch),
    /// The instance requires a `Client-Token`, and the request has none or an empty one.
    ClientTokenMissing,
    /// The `Client-Token` is not the configured one.
    ClientTokenWrong,
    /// The body is not declared as plain JSON.
    UnsupportedMediaType(UnsupportedMediaType),
    /// The body is larger than `server.max_body`.
    BodyTooLarge {
        /// `server.max_body`, in bytes.
        limit: usize,
    },
    /// The body did not arrive within `server.body_timeout`.
    BodyTooSlow,
    /// A valid call that Ryze has no counterpart for: what it would do.
    NoCounterpart(&'static str),
    /// A valid change of a list of contacts, which Ryze cannot make.
    ContactsList,
    /// The call came without TLS to a port that has it.
    TlsRequired,
    /// The gateway has no capacity for the call.
    Unavailable(Unavailable),
    /// The fallback gave no response that can be passed on.
    Fallback(proxy::Error),
    /// The fallback's response to a change has the status of a success, and does not say that it is one.
    Unconfirmed(Report),
}

/// Why id and token are not a configured pair. The client is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// No instance has the id.
    Id,
    /// The id's instance has another token.
    Token,
    /// No instance has the id, and one has the token as its id.
    Swapped,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// The head.
    Head(InvalidHead),
    /// The body ended before its announced length.
    IncompleteBody,
    /// The body is not a JSON object, or has a key twice; says where.
    NotTheObject(String),
    /// The field or the parameter is missing, or has a value that it does not accept.
    Value {
        field: Field,
        /// Whether it is a parameter of the query instead of a field of the body.
        in_query: bool,
        /// The accepted values.
        values: Values,
        /// The field of other privacy calls that the body has instead.
        sent_instead: Option<Field>,
    },
    /// `contactsBlacklist` is not a list of contacts.
    ContactsList,
}

impl BadRequest {
    fn reason(&self) -> Reason {
        match self {
            Self::Head(InvalidHead::TargetForm | InvalidHead::TargetNotAscii) => Reason::Target,
            Self::Head(
                InvalidHead::RepeatedHeader(_)
                | InvalidHead::TransferEncoding
                | InvalidHead::HostMalformed
                | InvalidHead::HostMissing,
            ) => Reason::Header,
            Self::IncompleteBody => Reason::BodyIncomplete,
            Self::NotTheObject(_) => Reason::BodyNotJson,
            Self::Value { field, .. } => (*field).into(),
            Self::ContactsList => Reason::FieldContactsBlacklist,
        }
    }
}

/// Why a body's type is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsupportedMediaType {
    /// It has a `Content-Encoding`.
    Encoded,
    /// It is not `application/json`.
    NotJson,
}

/// Why the gateway has no capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// It is shutting down.
    Stopping,
    /// `server.max_connections` are open.
    TooManyConnections,
}

impl From<BadRequest> for Rejection {
    fn from(problem: BadRequest) -> Self {
        Self::BadRequest(problem)
    }
}

impl From<proxy::Error> for Rejection {
    fn from(error: proxy::Error) -> Self {
        Self::Fallback(error)
    }
}

impl From<Unavailable> for Rejection {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable(reason)
    }
}

impl Rejection {
    /// Whether the fallback is the cause.
    #[must_use]
    pub fn is_of_fallback(&self) -> bool {
        match self {
            Self::Fallback(error) => error.is_of_fallback(),
            Self::Unconfirmed(_) => true,
            _ => false,
        }
    }

    /// This rejection of a call that a fallback would get, where there is none.
    #[must_use]
    pub(super) fn lacking_fallback(mut self) -> Self {
        if let Self::UnknownPath { lacks_fallback, .. } = &mut self {
            *lacks_fallback = true;
        }
        self
    }

    /// Whether Ryze has no counterpart for the call.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::UnknownPath { .. } | Self::NoCounterpart(_) | Self::ContactsList
        )
    }

    /// The label of this rejection in log and metrics.
    #[must_use]
    pub fn label(&self) -> OutcomeLabel {
        match self {
            Self::BadRequest(_) => OutcomeLabel::BadRequest,
            Self::UnknownPath { .. } => OutcomeLabel::UnknownPath,
            Self::WrongMethod { .. } => OutcomeLabel::WrongMethod,
            Self::UnknownInstance(_) => OutcomeLabel::UnknownInstance,
            Self::ClientTokenMissing => OutcomeLabel::ClientTokenMissing,
            Self::ClientTokenWrong => OutcomeLabel::ClientTokenWrong,
            Self::UnsupportedMediaType(_) => OutcomeLabel::UnsupportedMediaType,
            Self::BodyTooLarge { .. } => OutcomeLabel::BodyTooLarge,
            Self::BodyTooSlow => OutcomeLabel::BodyTooSlow,
            Self::NoCounterpart(_) => OutcomeLabel::NoCounterpart,
            Self::ContactsList => OutcomeLabel::ContactsList,
            Self::TlsRequired => OutcomeLabel::TlsRequired,
            Self::Unavailable(_) => OutcomeLabel::Unavailable,
            Self::Fallback(error) => error.label(),
            Self::Unconfirmed(_) => OutcomeLabel::FallbackFailed,
        }
    }

    /// The reason of this rejection in the log.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::BadRequest(problem) => problem.reason(),
            Self::UnknownPath {
                instead: None,
                near: None,
                lacks_fallback: true,
            } => Reason::NoFallback,
            Self::UnknownPath { .. } => Reason::PathUnknown,
            Self::WrongMethod { .. } => Reason::Method,
            Self::UnknownInstance(Mismatch::Id) => Reason::IdUnknown,
            Self::UnknownInstance(Mismatch::Token) => Reason::ZapiTokenWrong,
            Self::UnknownInstance(Mismatch::Swapped) => Reason::LooksSwapped,
            Self::ClientTokenMissing => Reason::ClientTokenMissing,
            Self::ClientTokenWrong => Reason::ClientTokenWrong,
            Self::UnsupportedMediaType(UnsupportedMediaType::Encoded) => Reason::ContentEncoding,
            Self::UnsupportedMediaType(UnsupportedMediaType::NotJson) => Reason::ContentType,
            Self::BodyTooLarge { .. } => Reason::BodyTooLarge,
            Self::BodyTooSlow => Reason::BodyTimeout,
            Self::NoCounterpart(_) => Reason::NoCounterpart,
            Self::ContactsList => Reason::ContactsList,
            Self::TlsRequired => Reason::TlsRequired,
            Self::Unavailable(Unavailable::Stopping) => Reason::Stopping,
            Self::Unavailable(Unavailable::TooManyConnections) => Reason::Overloaded,
            Self::Fallback(error) => error.reason(),
            Self::Unconfirmed(_) => Reason::NotConfirmed,
        }
    }
}
