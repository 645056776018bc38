//! The control API: queues faults, lists what arrived, and adds instances, over HTTP.
//!
//! It needs no token and is not part of Ryze.

use std::time::Duration;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Sandbox,
    fault::{Answer, Call, Fault},
    privacy::FIELDS,
    reply::Reply,
};

const CALLS: &str = "The calls are POST and DELETE /sandbox/faults, GET and DELETE \
    /sandbox/requests, and PUT /sandbox/instances/{name}";
const MAX_FAULTS: usize = 1000;
const MAX_INSTANCES: usize = 1000;
/// Milliseconds. It bounds how many updates can be pending.
const MAX_DELAY: u32 = 600_000;

/// The body of `POST /sandbox/faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultForm {
    answer: AnswerName,
    field: Option<String>,
    reason: Option<String>,
    status: Option<u16>,
    message: Option<String>,
    body: Option<String>,
    instance: Option<String>,
    call: Option<Call>,
    times: Option<u32>,
    apply: Option<bool>,
    #[serde(default)]
    apply_after_ms: u32,
    #[serde(default)]
    answer_after_ms: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnswerName {
    Normal,
    Stale,
    Field,
    Status,
    Raw,
    Close,
    Never,
}

/// The body of `PUT /sandbox/instances/{name}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceForm {
    token: Option<String>,
    connected: Option<bool>,
}

/// Answers one call.
pub(super) fn answer(sandbox: &Sandbox, method: &Method, path: &str, body: &[u8]) -> Reply {
    let done = || Ok(json!({"success": true}));
    let instance = path.strip_prefix("/sandbox/instances/");
    let result = match (method.as_str(), path, instance) {
        ("POST", "/sandbox/faults", _) => queue_fault(sandbox, body).and_then(|()| done()),
        ("DELETE", "/sandbox/faults", _) => {
            sandbox.state().faults.clear();
            done()
        }
        ("GET", "/sandbox/requests", _) => Ok(requests(sandbox)),
        ("DELETE", "/sandbox/requests", _) => {
            sandbox.clear_arrivals();
            done()
        }
        ("PUT", _, Some(name)) if !name.is_empty() => {
            put_instance(sandbox, name, body).and_then(|()| done())
        }
        _ => return Reply::refusal(StatusCode::NOT_FOUND, CALLS),
    };
    match result {
        Ok(body) => Reply::ok(&body),
        Err(message) => Reply::refusal(StatusCode::BAD_REQUEST, &message),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // A byte order mark (RFC 8259, 8.1). Ryze's own API is not known to skip one.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| format!("send a JSON object: {error}"))
}

fn queue_fault(sandbox: &Sandbox, body: &[u8]) -> Result<(), String> {
    let fault = fault(parse(body)?)?;
    let faults = &mut sandbox.state().faults;
    if faults.len() >= MAX_FAULTS {
        return Err(format!(
            "{MAX_FAULTS} faults are queued already; DELETE /sandbox/faults empties the queue"
        ));
    }
    faults.push_back(fault);
    Ok(())
}

fn put_instance(sandbox: &Sandbox, name: &str, body: &[u8]) -> Result<(), String> {
    let InstanceForm { token, connected } = parse(body)?;
    let name = percent_decode_str(name).decode_utf8_lossy();
    let state = &mut *sandbox.state();
    let instances = &state.account.instances;
    let token = token.or_else(|| instances.get(&*name).map(|known| known.token.clone()));
    let token = token.filter(|token| !token.is_empty());
    let token = token.ok_or("token is missing: send a text that is not empty")?;
    if !instances.contains_key(&*name) && instances.len() >= MAX_INSTANCES {
        return Err(format!("there are {MAX_INSTANCES} instances already"));
    }
    state.account.put(&name, &token, connected.unwrap_or(true));
    state.limit.retain(|token| state.account.knows(token));
    Ok(())
}

fn requests(sandbox: &Sandbox) -> Value {
    let state = sandbox.state();
    let requests = state.arrivals.iter().map(|arrival| {
        json!({
            "at_ms": (arrival.at - sandbox.0.start).as_millis() as u64,
            "method": arrival.method.as_str(),
            "path": arrival.path,
            "status": arrival.status.map(|status| status.as_u16()),
            "body": arrival.body,
        })
    });
    json!({"requests": requests.collect::<Vec<_>>()})
}

fn fault(mut form: FaultForm) -> Result<Fault, String> {
    let usual = Fault::new(take_answer(&mut form)?);
    let others = [
        ("field", form.field.is_some()),
        ("reason", form.reason.is_some()),
        ("status", form.status.is_some()),
        ("message", form.message.is_some()),
        ("body", form.body.is_some()),
    ];
    if let Some((key, _)) = others.iter().find(|(_, is_sent)| *is_sent) {
        return Err(format!("{key} does not belong to this answer"));
    }
    if form.times == Some(0) {
        return Err("times must be at least 1".to_owned());
    }
    Ok(Fault {
        instance: form.instance,
        call: form.call,
        times: form.times.unwrap_or(usual.times),
        apply: form.apply.unwrap_or(usual.apply),
        apply_after: delay("apply_after_ms", form.apply_after_ms)?,
        answer_after: delay("answer_after_ms", form.answer_after_ms)?,
        ..usual
    })
}

/// The answer, with the keys that belong to it taken out of the form.
fn take_answer(form: &mut FaultForm) -> Result<Answer, String> {
    let missing = |key: &str| format!("{key} is missing");
    Ok(match form.answer {
        AnswerName::Normal => Answer::Normal,
        AnswerName::Stale => Answer::Stale,
        AnswerName::Field => {
            let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
            let field = form.field.take();
            let field = field.filter(|field| names.contains(&field.as_str()));
            let field =
                field.ok_or_else(|| format!("field must be one of {}", names.join(", ")))?;
            let reason = form.reason.take().ok_or_else(|| missing("reason"))?;
            Answer::field_failure(&field, &reason)
        }
        AnswerName::Status => Answer::Status {
            status: take_status(form)?.ok_or_else(|| missing("status"))?,
            message: form.message.take().ok_or_else(|| missing("message"))?,
        },
        AnswerName::Raw => Answer::Raw {
            status: take_status(form)?.unwrap_or(StatusCode::OK),
            body: form.body.take().ok_or_else(|| missing("body"))?,
        },
        AnswerName::Close => Answer::Close,
        AnswerName::Never => Answer::Never,
    })
}

fn take_status(form: &mut FaultForm) -> Result<Option<StatusCode>, String> {
    let Some(code) = form.status.take() else {
        return Ok(None);
    };
    let code = Some(code).filter(|code| (200..=599).contains(code));
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    status
        .map(Some)
        .ok_or_else(|| "status must be from 200 to 599".to_owned())
}

fn delay(key: &str, milliseconds: u32) -> Result<Duration, String> {
    if milliseconds > MAX_DELAY {
        return Err(format!("{key} must be at most {MAX_DELAY}"));
    }
    Ok(Duration::from_millis(milliseconds.into()))
}
