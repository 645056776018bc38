//! The control plane: what people who test over HTTP do to the sandbox. It asks for no token and is
//! not part of Ryze.
//!
//! A fault is a JSON object with the keys of [`Fault`]: `answer` and what belongs to that answer,
//! and, as wanted, `instance`, `call`, `times`, `apply`, `apply_after_ms` and `answer_after_ms`.

use std::{ops::RangeInclusive, time::Duration};

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{
    Sandbox,
    fault::{Answer, Call, Fault},
    http::Reply,
    privacy::FIELDS,
};

const CALLS: &str = "The calls are POST and DELETE /sandbox/faults, GET and DELETE \
    /sandbox/requests, and PUT /sandbox/instances/{name}";
const MAX_FAULTS: usize = 1000;
const MAX_INSTANCES: usize = 1000;
/// Milliseconds. It bounds how many updates can wait to be carried out.
const MAX_DELAY: u32 = 600_000;

impl Sandbox {
    /// Answers one call.
    pub(super) fn control(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let done = || Ok(json!({"success": true}));
        let instance = path.strip_prefix("/sandbox/instances/");
        let result = match (method.as_str(), path, instance) {
            ("POST", "/sandbox/faults", _) => self.queue_fault(body).and_then(|()| done()),
            ("DELETE", "/sandbox/faults", _) => {
                self.state().faults.clear();
                done()
            }
            ("GET", "/sandbox/requests", _) => Ok(self.requests()),
            ("DELETE", "/sandbox/requests", _) => {
                self.clear_arrivals();
                done()
            }
            ("PUT", _, Some(name)) if !name.is_empty() => {
                self.put_instance(name, body).and_then(|()| done())
            }
            _ => return Reply::refusal(StatusCode::NOT_FOUND, CALLS),
        };
        match result {
            Ok(body) => Reply::ok(&body),
            Err(message) => Reply::refusal(StatusCode::BAD_REQUEST, &message),
        }
    }

    fn queue_fault(&self, body: &[u8]) -> Result<(), String> {
        let fault = fault(Form::parse(body)?)?;
        let faults = &mut self.state().faults;
        if faults.len() >= MAX_FAULTS {
            return Err(format!(
                "{MAX_FAULTS} faults are queued already; DELETE /sandbox/faults empties the queue"
            ));
        }
        faults.push_back(fault);
        Ok(())
    }

    fn put_instance(&self, name: &str, body: &[u8]) -> Result<(), String> {
        let mut form = Form::parse(body)?;
        let token = form.text("token")?.filter(|token| !token.is_empty());
        let token = token.ok_or("token is missing: send a text that is not empty")?;
        let connected = form.flag("connected")?.unwrap_or(true);
        form.finish()?;

        let name = percent_decode_str(name).decode_utf8_lossy();
        let state = &mut *self.state();
        let instances = &state.account.instances;
        if !instances.contains_key(&*name) && instances.len() >= MAX_INSTANCES {
            return Err(format!("there are {MAX_INSTANCES} instances already"));
        }
        state.account.put(&name, &token, connected);
        state.limit.retain(|token| state.account.knows(token));
        Ok(())
    }

    fn requests(&self) -> Value {
        let state = self.state();
        let requests = state.arrivals.iter().map(|arrival| {
            json!({
                "at_ms": (arrival.at - self.0.start).as_millis() as u64,
                "method": arrival.method.as_str(),
                "path": arrival.path,
                "status": arrival.status.map(|status| status.as_u16()),
                "body": arrival.body,
            })
        });
        json!({"requests": requests.collect::<Vec<_>>()})
    }
}

fn fault(mut form: Form) -> Result<Fault, String> {
    let answer = match form.text("answer")?.as_deref() {
        Some("normal") => Answer::Normal,
        Some("stale") => Answer::Stale,
        Some("field") => {
            let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
            let field = form.text("field")?;
            let field = field.filter(|field| names.contains(&field.as_str()));
            let field =
                field.ok_or_else(|| format!("field must be one of {}", names.join(", ")))?;
            let reason = form.text("reason")?.ok_or("reason is missing")?;
            Answer::field_failure(&field, &reason)
        }
        Some("status") => Answer::Status {
            status: form.status()?.ok_or("status is missing")?,
            message: form.text("message")?.ok_or("message is missing")?,
        },
        Some("raw") => Answer::Raw {
            status: form.status()?.unwrap_or(StatusCode::OK),
            body: form.text("body")?.ok_or("body is missing")?,
        },
        Some("close") => Answer::Close,
        Some("never") => Answer::Never,
        _ => {
            return Err(
                "answer must be one of normal, stale, field, status, raw, close, never".to_owned(),
            );
        }
    };
    let call = match form.text("call")?.as_deref() {
        None => None,
        Some("update") => Some(Call::Update),
        Some("read") => Some(Call::Read),
        Some(_) => return Err("call must be update or read".to_owned()),
    };
    let usual = Fault::new(answer);
    let fault = Fault {
        instance: form.text("instance")?,
        call,
        times: form.number("times", 1..=u32::MAX)?.unwrap_or(usual.times),
        apply: form.flag("apply")?.unwrap_or(usual.apply),
        apply_after: form.delay("apply_after_ms")?,
        answer_after: form.delay("answer_after_ms")?,
        ..usual
    };
    form.finish()?;
    Ok(fault)
}

/// A JSON object that somebody sent, of which one key after the other is taken.
struct Form(Map<String, Value>);

impl Form {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let form = serde_json::from_slice(body);
        form.map(Self)
            .map_err(|error| format!("send a JSON object: {error}"))
    }

    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let value = self.0.remove(key);
        let value = value.map(|value| read(&value).ok_or(format!("{key} must be {expected}")));
        value.transpose()
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        self.take(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        self.take(key, "true or false", Value::as_bool)
    }

    fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, String> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(key, &expected, |value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    fn status(&mut self) -> Result<Option<StatusCode>, String> {
        let status = self.number("status", 200..=599)?;
        Ok(status.and_then(|status| StatusCode::from_u16(status.try_into().ok()?).ok()))
    }

    fn delay(&mut self, key: &str) -> Result<Duration, String> {
        let milliseconds = self.number(key, 0..=MAX_DELAY)?.unwrap_or(0);
        Ok(Duration::from_millis(milliseconds.into()))
    }

    /// Says which key is left over, so that a slip of the pen has no silent effect.
    fn finish(self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(key) => Err(format!("unknown key {key}")),
            None => Ok(()),
        }
    }
}
