//! An explanation as JSON, for programs.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{Explained, Explanation, print::CONNECTION_HEADERS};

impl Explained {
    /// The fields of the explanation, with `why`, `route` and `instance`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = to_json(&self.explanation);
        json["why"] = self.why.as_str().into();
        json["route"] = self.route.into();
        json["instance"] = self.instance.as_deref().into();
        json
    }
}

/// `verdict` is `translated`, `passed_on` or `refused`; `request` is the one that the upstream gets, and
/// `response` the client's, as far as it is known. `contacts_list` is `dropped`, or `in_turn` if Z-API gets it
/// in its order among the calls of its instance. `if_translated` is an explanation too, of a call whose
/// instance is observed.
fn to_json(explanation: &Explanation) -> Value {
    let (request, answer, cost, contacts, translated) = match explanation {
        Explanation::Ryze {
            request,
            answer,
            drops_contacts,
            ..
        } => {
            let contacts = drops_contacts.then_some("dropped");
            (Some(request), answer.as_ref(), 1, contacts, None)
        }
        Explanation::Fallback {
            request,
            in_turn,
            if_translated,
        } => {
            let contacts = in_turn.then_some("in_turn");
            (Some(request), None, 0, contacts, if_translated.as_deref())
        }
        Explanation::Refused { answer } => (None, answer.as_ref(), 0, None, None),
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
        "verdict": explanation.verdict().as_str(),
        "request": request,
        "response": response,
        "contacts_list": contacts,
        "if_translated": translated.map(to_json),
        "cost": cost,
    })
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
