//! An explanation as JSON, for programs.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{Explained, Explanation, print::CONNECTION_HEADERS};

impl Explained {
    /// `verdict` is `translated`, `passed_on` or `refused`; `request` is the one that the upstream gets, and
    /// `response` the client's, as far as it is known. `contacts_list` is `dropped`, or `in_turn` if Z-API gets it
    /// in its order among the calls of its instance.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (request, answer, cost, contacts) = match &self.explanation {
            Explanation::Ryze {
                request,
                answer,
                drops_contacts,
                ..
            } => (
                Some(request),
                answer.as_ref(),
                1,
                drops_contacts.then_some("dropped"),
            ),
            Explanation::Fallback { request, in_turn } => {
                (Some(request), None, 0, in_turn.then_some("in_turn"))
            }
            Explanation::Refused { answer } => (None, answer.as_ref(), 0, None),
        };
        let request = request.map(|request| {
            json!({
                "method": request.method().as_str(),
                "url": request.uri().to_string(),
                "headers": headers(request.headers()),
                "body": body(request.body()),
            })
        });
        let response = answer.map(|answer| {
            json!({
                "status": answer.status().as_u16(),
                "headers": headers(answer.headers()),
                "body": body(answer.body()),
            })
        });
        json!({
            "verdict": self.verdict().as_str(),
            "why": self.why,
            "route": self.route,
            "instance": self.instance,
            "request": request,
            "response": response,
            "contacts_list": contacts,
            "cost": cost,
        })
    }
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let names = headers
        .keys()
        .filter(|name| !CONNECTION_HEADERS.contains(name));
    let names = names.map(|name| {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = values.collect::<Vec<_>>().join(", ");
        (name.to_string(), Value::from(value))
    });
    names.collect()
}

/// Text; null for none, or if it is not text.
fn body(body: &Bytes) -> Value {
    match str::from_utf8(body) {
        Ok(text) if !text.is_empty() => text.into(),
        _ => Value::Null,
    }
}
