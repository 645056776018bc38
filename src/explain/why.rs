//! An explanation with the reason: the rule of the configuration or of Z-API's interface that decides. The
//! gateway has decided already; here the head is read once more, to find the sentence.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::Full;
use serde::Deserialize;

use super::{Explanation, answer, explain, reason};
use crate::{
    config::Config,
    server::{Handler, RequestBody, validate},
    telemetry::{self, words},
    zapi::{
        auth::{Accounts, CLIENT_TOKEN},
        response,
        router::{Facts, Router},
        templates,
    },
};

words! {
    /// How a call is handled.
    pub enum Verdict {
        Refused = "refused",
        /// It is not known well enough; only of a call in a file.
        NotJudged = "not_judged",
        PassedOn = "passed_on",
        Translated = "translated",
    }
}

impl Verdict {
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotJudged => "not judged",
            Self::PassedOn => "passed on",
            Self::Translated => "translated",
        }
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
        instance: instance.map(|instance| instance.ryze_instance.to_string()),
    })
}

/// The route template of a call, whether the gateway translates it or not.
pub(super) fn route(parts: &Parts, facts: &Facts) -> &'static str {
    let other = || templates::find(&parts.method, parts.uri.path());
    facts.route.map_or_else(other, |route| route.template)
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
            route: route(&parts, &facts),
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
    let answer = match (explanation, facts) {
        (Explanation::Ryze { .. }, Some(facts)) => return reason::translated(config, facts),
        (Explanation::Fallback { if_translated, .. }, Some(facts)) => {
            let if_translated = if_translated.as_ref().map(|it| it.verdict());
            return reason::passed_on(config, facts, if_translated);
        }
        (Explanation::Refused { answer }, _) => answer.as_ref(),
        // Both have a head.
        (Explanation::Ryze { .. } | Explanation::Fallback { .. }, None) => None,
    };
    let Some(answer) = answer else {
        return "the request is incomplete".to_owned();
    };
    // A check before or behind the one that `facts` is about may have decided.
    let decided = facts.and_then(|facts| Some((facts, facts.rejection.as_ref()?)));
    let decided =
        decided.filter(|(_, rejection)| response::rejection(rejection).status() == answer.status());
    match decided {
        Some((facts, rejection)) => reason::refused(config, facts, rejection),
        None => said(answer.body()),
    }
}

/// The gateway's own sentence, which quotes nothing of the request.
fn said(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Said { error, message }) => message.unwrap_or(error),
        Err(_) => "the head is not valid".to_owned(),
    }
}
