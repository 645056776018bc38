//! Counts how the calls of a file would be handled. A HAR file and a Postman collection have whole
//! requests, which are explained as one is on the command line. An access log has no headers and no
//! bodies: its calls are judged by method and path, as if `Client-Token` and body were right.
//!
//! Nothing of a file is shown but route templates: neither paths nor headers nor bodies.

mod access_log;
mod har;
mod postman;
mod tally;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
};

use http::Request;

use self::tally::Row;
pub use self::tally::Tally;
use super::{Verdict, explain_why, reason, request::Typed, why::route};
use crate::{
    config::Config,
    telemetry,
    zapi::{
        auth::Accounts,
        rejection::Rejection,
        router::{Destination, Facts, Router},
    },
};

/// Bytes of a file that is read as a whole.
const MAX_JSON: u64 = 64 * 1024 * 1024;

/// A file of calls.
#[derive(Clone, Debug)]
pub enum Source {
    /// A HAR file: the requests that a browser or a proxy recorded.
    Har(PathBuf),
    /// A collection, format 2.1, and perhaps an environment with its variables.
    Postman(PathBuf, Option<PathBuf>),
    /// Lines in the common or combined format, or of JSON.
    AccessLog(PathBuf),
}

/// Why a file of calls has no result. No message quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("the file is larger than 64 MiB; export fewer calls")]
    TooLarge,
    #[error("the file is not {0}")]
    Format(&'static str),
    /// The configuration.
    #[error(transparent)]
    Invalid(#[from] http::Error),
}

/// Judges every call of a file.
///
/// # Errors
/// The file cannot be read, or has another format.
pub async fn judge(config: &Config, source: &Source) -> Result<Tally, Error> {
    match source {
        Source::Har(path) => requests(config, har::read(json(path, "a HAR file")?)).await,
        Source::Postman(path, environment) => {
            let environment = environment.as_ref();
            let environment = environment.map(|it| json(it, "an environment of Postman"));
            let collection = json(path, "a collection of Postman in format 2.1")?;
            requests(config, postman::read(collection, environment.transpose()?)).await
        }
        Source::AccessLog(path) => log(config, BufReader::new(File::open(path)?)),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &PathBuf, format: &'static str) -> Result<T, Error> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_JSON {
        return Err(Error::TooLarge);
    }
    let mut file = file.take(MAX_JSON + 1);
    let value = serde_json::from_reader(BufReader::new(&mut file));
    match value {
        _ if file.limit() == 0 => Err(Error::TooLarge),
        Ok(value) => Ok(value),
        Err(error) if error.is_io() => Err(Error::Unreadable(error.into())),
        Err(_) => Err(Error::Format(format)),
    }
}

/// A request of a file, or why it cannot be judged.
type Recorded = Result<Typed, &'static str>;

/// Explains requests, each different one once.
async fn requests(
    config: &Config,
    recorded: impl IntoIterator<Item = Recorded>,
) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let mut counts = HashMap::<Vec<u8>, u64>::new();
    for recorded in recorded {
        match recorded.and_then(|typed| is_zapi(&typed.target).then(|| typed.bytes()).transpose()) {
            Ok(Some(bytes)) => *counts.entry(bytes).or_default() += 1,
            Ok(None) => tally.skip(),
            Err(why) => tally.add(Row::not_judged(why), 1),
        }
    }
    for (bytes, count) in counts {
        let explained = explain_why(config, &bytes).await?;
        tally.add(Row::of(explained), count);
    }
    Ok(tally)
}

/// Whether a path or URL is of Z-API's form. A file may have other calls, such as those of a web page.
fn is_zapi(target: &str) -> bool {
    let path = target.split_once("://").map_or(target, |(_, rest)| {
        rest.find('/').map_or("", |at| &rest[at..])
    });
    let path = path.split('?').next().unwrap_or_default();
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    segments
        .next()
        .is_some_and(|it| it.eq_ignore_ascii_case("instances"))
}

/// Judges the lines of an access log by method and path.
fn log(config: &Config, log: impl io::BufRead) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let mut config = config.clone();
    for instance in &mut config.instances {
        instance.client_token = None;
    }
    let accounts = Accounts::new(&config.instances);
    let router = Router::new(accounts, config.fallback.is_some());
    access_log::lines(log, |line| {
        let request = line
            .filter(|(_, target)| is_zapi(target))
            .and_then(|(method, target)| {
                Request::builder().method(method).uri(target).body(()).ok()
            });
        let Some(request) = request else {
            return tally.skip();
        };
        let (parts, ()) = request.into_parts();
        let (routed, facts) = (router.route(&parts), router.facts(&parts));
        let (verdict, rejection) = verdict(&routed.destination, &facts);
        let why = match (verdict, rejection) {
            (Verdict::Refused, Some(rejection)) => reason::refused(&config, &facts, rejection),
            (Verdict::PassedOn, _) => {
                let observed = routed.observed.as_ref();
                let if_translated = observed.map(|it| self::verdict(it, &facts).0);
                reason::passed_on(&config, &facts, if_translated)
            }
            _ => reason::translated(&config, &facts),
        };
        let row = Row {
            verdict,
            method: telemetry::method(&parts.method),
            route: route(&parts, &facts),
            why,
        };
        tally.add(row, 1);
    })?;
    Ok(tally)
}

/// The verdict on a call with this destination, and the rejection if it is refused.
fn verdict<'r>(
    destination: &'r Result<Destination, Rejection>,
    facts: &'r Facts,
) -> (Verdict, Option<&'r Rejection>) {
    match (destination, &facts.rejection) {
        (Ok(Destination::Fallback), _) => (Verdict::PassedOn, None),
        (Ok(Destination::Ryze { .. }), None) => (Verdict::Translated, None),
        // Ryze has no counterpart, and there is no fallback.
        (Ok(Destination::Ryze { .. }), Some(rejection)) | (Err(rejection), _) => {
            (Verdict::Refused, Some(rejection))
        }
    }
}
