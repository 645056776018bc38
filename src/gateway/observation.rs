//! What the gateway would have done with a privacy call of an observed instance, which the fallback
//! answers.
//!
//! The head is judged before the call is forwarded, the body when the log entry is written: from a copy
//! of at most `server.max_body` bytes that [`Tee`] makes while the body is streamed. Nothing is sent to
//! Ryze, and neither the request nor its response waits for the judgement.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use http::request::Parts;
use http_body_util::Either;
use hyper::body::Body;

use super::tee::{Copied, State, Tee};
use crate::{
    sync::lock,
    telemetry::{ObservedLabel, OutcomeLabel},
    zapi::{
        rejection::Rejection,
        request::{Expected, Limits, ReadCall},
        router::Destination,
    },
};

/// What would have happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) label: ObservedLabel,
    /// Why it would have been refused.
    pub(crate) reason: Option<OutcomeLabel>,
}

impl From<ObservedLabel> for Verdict {
    fn from(label: ObservedLabel) -> Self {
        Self {
            label,
            reason: None,
        }
    }
}

impl From<&Rejection> for Verdict {
    fn from(rejection: &Rejection) -> Self {
        Self {
            label: ObservedLabel::Refused,
            reason: Some(rejection.label()),
        }
    }
}

/// A call that is observed.
#[derive(Debug)]
pub(crate) struct Observation {
    head: Result<Head, Verdict>,
    limits: Limits,
}

#[derive(Debug)]
enum Head {
    Forwarded,
    Translated,
    /// The change is in the body.
    InBody(Expected, Arc<Mutex<Copied>>),
}

impl Observation {
    /// Judges the head of a call that would have been routed to `decided`.
    pub(crate) fn begin(
        decided: Result<Destination, Rejection>,
        parts: &Parts,
        limits: &Limits,
    ) -> Self {
        let head = decided.and_then(|destination| match destination {
            Destination::Fallback => Ok(Head::Forwarded),
            Destination::Ryze { route, .. } => Ok(match Expected::of(route, parts)? {
                Expected::Operation(_) => Head::Translated,
                in_body @ Expected::InBody { .. } => Head::InBody(in_body, Arc::default()),
            }),
        });
        Self {
            head: head.map_err(|rejection| Verdict::from(&rejection)),
            limits: *limits,
        }
    }

    /// The body to be forwarded, which is copied if it is to be judged.
    pub(crate) fn tee<B: Body>(&self, body: B) -> Either<B, Tee<B>> {
        match &self.head {
            Ok(Head::InBody(_, copied)) => {
                Either::Right(Tee::new(body, Arc::clone(copied), &self.limits))
            }
            _ => Either::Left(body),
        }
    }

    /// The judgement. It is final when the body was forwarded or given up.
    pub(crate) fn verdict(&self) -> Verdict {
        let (expected, copied) = match &self.head {
            Ok(Head::Forwarded) => return ObservedLabel::Forwarded.into(),
            Ok(Head::Translated) => return ObservedLabel::Translated.into(),
            Ok(Head::InBody(expected, copied)) => (expected, copied),
            Err(verdict) => return *verdict,
        };
        let copied = mem::take(&mut *lock(copied));
        let limit = self.limits.max_body;
        match copied.state {
            State::Incomplete => ObservedLabel::Unread.into(),
            State::TooLarge => Verdict::from(&Rejection::BodyTooLarge { limit }),
            State::TooSlow => Verdict::from(&Rejection::BodyTooSlow),
            State::Complete => {
                match expected.complete(copied.bytes.into(), self.limits.contacts_blacklist) {
                    Ok(ReadCall::Operation { .. }) => ObservedLabel::Translated.into(),
                    Ok(ReadCall::Contacts { .. }) => ObservedLabel::Forwarded.into(),
                    Err(rejection) => Verdict::from(&rejection),
                }
            }
        }
    }
}
