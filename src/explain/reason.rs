//! The rule that decides how a call is handled, as a sentence without a full stop. It quotes nothing of
//! the call but the instance that it names, by its name at Ryze.

use super::Verdict;
use crate::{
    config::Config,
    zapi::{
        rejection::{Mismatch, Rejection},
        router::Facts,
    },
};

/// Why Ryze gets it.
pub(super) fn translated(config: &Config, facts: &Facts) -> String {
    let name = name(config, facts);
    format!("it is a privacy call of the instance {name}, which is in [[instances]]")
}

/// Why the fallback gets it. `if_translated` is the verdict if its instance, which is observed, were not.
pub(super) fn passed_on(config: &Config, facts: &Facts, if_translated: Option<Verdict>) -> String {
    if let Some(verdict) = if_translated {
        let (name, verdict) = (name(config, facts), verdict.phrase());
        return format!(
            "the instance {name} has mode = \"observe\"; with \"translate\" it would be {verdict}"
        );
    }
    match (&facts.rejection, facts.instance) {
        _ if facts.route.is_none() => "it is not a privacy call".to_owned(),
        (rejection, None) => unknown_id(rejection.as_ref()),
        (Some(Rejection::NoCounterpart(what)), _) => format!("Ryze has no call to {what}"),
        _ => "it has a list of contacts, and policy.contacts_blacklist is \"fallback\"".to_owned(),
    }
}

/// Why it is refused, by its path, method or credentials.
pub(super) fn refused(config: &Config, facts: &Facts, rejection: &Rejection) -> String {
    const NEVER: &str = "; a privacy call of an instance in [[instances]] is never passed on";
    const NO_FALLBACK: &str = ", and there is no [fallback]";
    let name = name(config, facts);
    let is_passed_on = config.fallback.is_some();
    // Why the fallback does not get it.
    let and = if is_passed_on { NEVER } else { NO_FALLBACK };
    let and_if_passed_on = if is_passed_on { NEVER } else { "" };
    match rejection {
        Rejection::UnknownPath { .. } if is_passed_on => {
            format!("Z-API has no privacy call with its path{NEVER}")
        }
        Rejection::UnknownPath { .. } => format!("it is not a privacy call{NO_FALLBACK}"),
        Rejection::WrongMethod { allow } => format!("the call takes {allow}{and_if_passed_on}"),
        Rejection::UnknownInstance(Mismatch::Token) => format!(
            "its id is that of the instance {name}, but its token is not \
             zapi_token{and_if_passed_on}"
        ),
        Rejection::UnknownInstance(Mismatch::Id) if is_passed_on => format!(
            "its path has the id of an instance in another place or another letter case{NEVER}"
        ),
        Rejection::UnknownInstance(Mismatch::Id | Mismatch::Swapped) => {
            format!("{}{and}", unknown_id(Some(rejection)))
        }
        Rejection::ClientTokenMissing => {
            format!("the instance {name} has a client_token, and the call has no such header")
        }
        Rejection::ClientTokenWrong => {
            format!("the header of the call is not the client_token of the instance {name}")
        }
        Rejection::NoCounterpart(what) => format!("Ryze has no call to {what}{NO_FALLBACK}"),
        // The router gives no other.
        _ => rejection.label().as_str().to_owned(),
    }
}

fn unknown_id(rejection: Option<&Rejection>) -> String {
    let known = "no entry of [[instances]] has its id (zapi_instance)";
    match rejection {
        Some(Rejection::UnknownInstance(Mismatch::Swapped)) => {
            format!("{known}; one has its token as id, so they look swapped")
        }
        _ => known.to_owned(),
    }
}

/// The instance with the id of the path.
fn name(config: &Config, facts: &Facts) -> String {
    let instance = facts.instance.and_then(|at| config.instances.get(at));
    instance.map_or_else(String::new, |it| format!("\"{}\"", it.ryze_instance))
}
