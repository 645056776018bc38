//! Ryze's API: authenticates, validates and performs the calls, and applies faults.

use std::{future::pending, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Sandbox,
    arrivals::Arrival,
    fault::{Answer, Call, Fault},
    limit::Quota,
    privacy::{self, Change},
    reply::{Closed, Reply, read},
};

/// A call with a known token, counted against the limit.
struct KnownCall<'a> {
    call: Call,
    instance: String,
    token: &'a str,
    quota: Quota,
}

/// Answers a request. It is recorded and counted before its body is awaited.
pub(super) async fn answer(
    sandbox: &Sandbox,
    head: &Parts,
    body: Incoming,
) -> Result<Reply, Closed> {
    let now = Instant::now();
    let number = sandbox.state().arrivals.push(Arrival {
        at: now,
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        body: String::new(),
        status: None,
    });
    let known = count(sandbox, head, now);
    let quota = known.as_ref().ok().map(|known| known.quota);

    let body = read(body).await;
    if let (Ok(body), Some(arrival)) = (&body, sandbox.state().arrivals.get_mut(number)) {
        arrival.body = String::from_utf8_lossy(body).into_owned();
    }

    let accepted = known.and_then(|known| {
        let changes = check(sandbox, head, &known, body)?;
        Ok((known, changes))
    });
    let mut reply = match accepted {
        Ok((known, changes)) => perform(sandbox, known, changes).await?,
        Err(reply) => reply,
    };
    reply.quota = quota;
    if let Some(arrival) = sandbox.state().arrivals.get_mut(number) {
        arrival.status = Some(reply.status);
    }
    Ok(reply)
}

/// Routes and authenticates the call, and counts it against the limit.
fn count<'a>(sandbox: &Sandbox, head: &'a Parts, now: Instant) -> Result<KnownCall<'a>, Reply> {
    let (call, instance) = route(&head.method, head.uri.path())?;
    let unauthorized = |message| Reply::refusal(StatusCode::UNAUTHORIZED, message);
    let token = token(&head.headers).ok_or_else(|| unauthorized("Missing token header"))?;
    let mut state = sandbox.state();
    if !state.account.knows(token) {
        return Err(unauthorized("Invalid token"));
    }
    Ok(KnownCall {
        call,
        instance,
        token,
        quota: state.limit.take(token, now),
    })
}

/// Validates the call. Returns its changes, none for a read.
fn check(
    sandbox: &Sandbox,
    head: &Parts,
    known: &KnownCall<'_>,
    body: Result<Bytes, Reply>,
) -> Result<Vec<Change>, Reply> {
    let bad_request = |message: &str| Reply::refusal(StatusCode::BAD_REQUEST, message);
    if !known.quota.admitted {
        let message = "Rate limit exceeded. Try again later.";
        return Err(Reply::refusal(StatusCode::TOO_MANY_REQUESTS, message));
    }
    let state = sandbox.state();
    let instance = state.account.open(&known.instance, known.token)?;
    let changes = match known.call {
        Call::Read => Vec::new(),
        Call::Update if !is_json(&head.headers) => {
            let message = "Content-Type must be application/json";
            return Err(Reply::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        Call::Update => privacy::changes(&body?).map_err(|message| bad_request(&message))?,
    };
    if !instance.connected {
        return Err(bad_request("Instance is not connected to WhatsApp"));
    }
    Ok(changes)
}

/// Performs the call in a task of its own, which a client that disconnects does not cancel.
async fn perform(
    sandbox: &Sandbox,
    known: KnownCall<'_>,
    mut changes: Vec<Change>,
) -> Result<Reply, Closed> {
    let KnownCall { call, instance, .. } = known;
    let fault = Fault::take(&mut sandbox.state().faults, &instance, call, &changes)
        .unwrap_or_else(|| Fault::new(Answer::Normal));
    if !fault.apply {
        changes.clear();
    }
    let work = tokio::spawn(apply(
        sandbox.clone(),
        instance,
        call,
        changes,
        fault.clone(),
    ));
    pause(fault.answer_after).await;
    match fault.answer {
        Answer::Normal | Answer::Stale | Answer::FieldFailure { .. } => Ok(work.await?),
        Answer::Status { status, message } => Ok(Reply::refusal(status, &message)),
        Answer::Raw { status, body } => Ok(Reply::new(status, body)),
        Answer::Close => Err(Closed),
        Answer::Never => pending().await,
    }
}

/// Sends one stanza a change, in sequence, and one that reads the settings.
async fn apply(
    sandbox: Sandbox,
    name: String,
    call: Call,
    changes: Vec<Change>,
    fault: Fault,
) -> Reply {
    pause(fault.apply_after).await;
    for (position, change) in changes.iter().enumerate() {
        pause(sandbox.0.latency).await;
        if let Answer::FieldFailure {
            field,
            status,
            message,
        } = &fault.answer
            && field == change.field.name
        {
            return Reply::refusal(*status, message);
        }
        if let Some(instance) = sandbox.state().account.instances.get_mut(&name) {
            if position == 0 {
                instance.previous = instance.settings.clone();
            }
            change.apply(&mut instance.settings);
        }
    }
    pause(sandbox.0.latency).await;
    let message = match call {
        Call::Update => "Privacy settings updated successfully",
        Call::Read => "Privacy settings retrieved successfully",
    };
    let state = sandbox.state();
    let instance = state.account.instances.get(&name);
    let settings = instance.map(|instance| match fault.answer {
        Answer::Stale => &instance.previous,
        _ => &instance.settings,
    });
    Reply::ok(&json!({"success": true, "message": message, "settings": settings}))
}

/// The call and the name of its instance.
fn route(method: &Method, path: &str) -> Result<(Call, String), Reply> {
    let alias = path.strip_prefix("/api/profile/getPrivacy/");
    let name = alias.or_else(|| path.strip_prefix("/api/profile/privacy/"));
    let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('/')) else {
        return Err(Reply::refusal(StatusCode::NOT_FOUND, "Route not found"));
    };
    let call = match *method {
        Method::GET => Call::Read,
        Method::POST if alias.is_none() => Call::Update,
        _ => {
            let message = "Method not allowed";
            return Err(Reply::refusal(StatusCode::METHOD_NOT_ALLOWED, message));
        }
    };
    let name = percent_decode_str(name).decode_utf8_lossy();
    Ok((call, name.into_owned()))
}

/// The value of `token` or, without it, of `Authorization: Bearer`.
fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    };
    let token = headers.get("token").and_then(|token| token.to_str().ok());
    token.or_else(bearer).filter(|token| !token.is_empty())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.and_then(|it| it.split(';').next()).map(str::trim);
    essence.is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
}

/// Sleeps, without a timer for a time of zero.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
