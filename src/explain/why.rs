//! Why a call is handled as it is: which rule of the configuration or of Z-API's interface decides. The
//! gateway has decided already; this finds the sentence.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde::Deserialize;

use super::{Explanation, answer, explain};
use crate::{
    config::Config,
    server::{Handler, RequestBody, validate},
    telemetry::{self, words},
    zapi::{
        auth::{Accounts, CLIENT_TOKEN},
        rejection::{Mismatch, Rejection},
        response,
        router::{Facts, Router},
        templates,
    },
};

words! {
    /// How a call is handled.
    pub enum Verdict {
        Refused = "refused",
        PassedOn = "passed_on",
        Translated = "translated",
    }
}

impl Explanation {
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Ryze { .. } => Verdict::Translated,
            Self::Fallback { .. } => Verdict::PassedOn,
            Self::Refused { .. } => Verdict::Refused,
        }
    }
}

/// How a request is handled, and why.
#[derive(Debug)]
pub struct Explained {
    pub explanation: Explanation,
    /// The rule that decides, without a full stop.
    pub why: String,
    pub method: &'static str,
    /// The route template of the call.
    pub route: &'static str,
    /// The name of the instance with the id of its path.
    pub instance: Option<String>,
}

/// Explains the first request in `bytes`, with the reason.
///
/// # Errors
/// As [`explain`].
pub async fn explain_why(config: &Config, bytes: &[u8]) -> Result<Explained, http::Error> {
    let explanation = explain(config, bytes).await?;
    let reader = Arc::new(HeadReader {
        router: Router::new(Accounts::new(&config.instances), config.fallback.is_some()),
        head: OnceLock::new(),
    });
    answer(Arc::clone(&reader), bytes).await;
    let head = reader.head.get();
    let facts = head.and_then(|head| head.facts.as_ref());
    let instance = facts.and_then(|facts| config.instances.get(facts.instance?));
    Ok(Explained {
        why: why(config, &explanation, facts),
        explanation,
        method: head.map_or("", |head| head.method),
        route: head.map_or(templates::OTHER, |head| head.route),
        instance: instance.map(|instance| instance.ryze_instance.clone()),
    })
}

/// Reads the head of a request as the gateway does, and answers nothing.
struct HeadReader {
    router: Router,
    head: OnceLock<Head>,
}

struct Head {
    method: &'static str,
    route: &'static str,
    /// Of a valid head.
    facts: Option<Facts>,
}

impl Handler for HeadReader {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let (parts, _) = request.into_parts();
        let facts = self.router.facts(&parts);
        // A pipelined request is not explained.
        let _ = self.head.set(Head {
            method: telemetry::method(&parts.method),
            route: match facts.route {
                Some(route) => route.template,
                None => templates::find(&parts.method, parts.uri.path()),
            },
            facts: validate::check(&parts, &CLIENT_TOKEN)
                .is_ok()
                .then_some(facts),
        });
        self.overloaded()
    }

    fn overloaded(&self) -> Response<Self::Body> {
        Response::default()
    }

    fn tls_required(&self, _: Request<RequestBody>) -> Response<Self::Body> {
        self.overloaded()
    }
}

/// The parts of a response in Z-API's words that say what is wrong.
#[derive(Deserialize)]
struct Said {
    error: String,
    message: Option<String>,
}

/// The reason for an explanation. Without `facts` the head was not read to its end, or is not valid.
fn why(config: &Config, explanation: &Explanation, facts: Option<&Facts>) -> String {
    match explanation {
        Explanation::Ryze { .. } => {
            let name = name(config, facts);
            format!("it is a privacy call of the instance {name}, which is in [[instances]]")
        }
        Explanation::Fallback { .. } => passed_on(config, facts),
        Explanation::Refused { answer } => refused(config, facts, answer.as_ref()),
    }
}

fn passed_on(config: &Config, facts: Option<&Facts>) -> String {
    let Some(facts) = facts.filter(|facts| facts.route.is_some()) else {
        return "it is not a privacy call".to_owned();
    };
    match (&facts.rejection, facts.instance) {
        (_, None) => unknown_id(facts),
        (Some(Rejection::NoCounterpart(what)), _) => format!("Ryze has no call to {what}"),
        _ => format!(
            "the instance {} leaves it to Z-API",
            name(config, Some(facts))
        ),
    }
}

fn refused(config: &Config, facts: Option<&Facts>, answer: Option<&Response<Bytes>>) -> String {
    let Some(answer) = answer else {
        return "the request is incomplete".to_owned();
    };
    // A check before or behind the one that `facts` is about may have decided.
    let decided = facts.and_then(|facts| {
        let rejection = facts.rejection.as_ref()?;
        let is_it = response::rejection(rejection).status() == answer.status();
        is_it.then_some((facts, rejection))
    });
    let Some((facts, rejection)) = decided else {
        return said(answer.body());
    };
    let name = name(config, Some(facts));
    let never = "a privacy call of an instance in [[instances]] is never passed on";
    let consequence = match (config.fallback.is_some(), facts.instance) {
        (true, _) => format!("; {never}"),
        (false, None) => ", and there is no [fallback]".to_owned(),
        (false, Some(_)) => String::new(),
    };
    match rejection {
        Rejection::UnknownPath { .. } if config.fallback.is_none() => {
            "it is not a privacy call, and there is no [fallback]".to_owned()
        }
        Rejection::UnknownPath { .. } => {
            format!("Z-API has no privacy call with its path{consequence}")
        }
        Rejection::WrongMethod { allow } => format!("the call takes {allow}{consequence}"),
        Rejection::UnknownInstance(Mismatch::Token) => {
            format!(
                "its id is that of the instance {name}, but its token is not zapi_token{consequence}"
            )
        }
        Rejection::UnknownInstance(_) => unknown_id(facts) + &consequence,
        Rejection::ClientTokenMissing => {
            format!("the instance {name} has a client_token, and the call has no such header")
        }
        Rejection::ClientTokenWrong => {
            format!("the header of the call is not the client_token of the instance {name}")
        }
        _ => said(answer.body()),
    }
}

fn unknown_id(facts: &Facts) -> String {
    let known = "no entry of [[instances]] has its id (zapi_instance)";
    match facts.looks_swapped {
        true => format!("{known}; one has its token as id, so they look swapped"),
        false => known.to_owned(),
    }
}

/// The instance with the id of the path, by its name at Ryze.
fn name(config: &Config, facts: Option<&Facts>) -> String {
    let instance = facts.and_then(|facts| config.instances.get(facts.instance?));
    instance.map_or_else(String::new, |it| format!("\"{}\"", it.ryze_instance))
}

/// The gateway's own sentence, which quotes nothing of the request.
fn said(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Said { error, message }) => message.unwrap_or(error),
        Err(_) => "the head is not one of HTTP/1.1, or it is too long".to_owned(),
    }
}
