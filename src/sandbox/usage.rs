//! Texts that say how to use the in-memory Ryze.

use std::net::SocketAddr;

use super::{ACCOUNT_TOKEN, INSTANCE, INSTANCE_TOKEN};

/// The control API.
pub const CONTROLS: &str = r#"Control it over HTTP, without a token:
  POST /sandbox/faults         let a later call fail: {"answer":"close"}
  DELETE /sandbox/faults       remove the faults that are still queued
  PUT /sandbox/instances/NAME  add an instance or change one: {"token":"t","connected":false}
  GET /sandbox/requests        list the last 1000 calls, with status and body
  DELETE /sandbox/requests     clear that list

The answer of a fault, and the keys that belong to it:
  normal                       the usual answer, for a fault that only delays
  stale                        the settings from before the last update
  field   field, reason        500 when an update reaches this field; earlier ones stay applied
  status  status, message      this status, with the message as Ryze writes it
  raw     body, [status]       this body, JSON or not
  close                        none: the connection is closed
  never                        none: the connection stays open

A fault may also have these keys:
  instance                     for calls of this instance only
  call                         for one kind of call only: update or read
  times                        how many calls it is for, 1 by default
  apply                        whether the update is carried out
  apply_after_ms               how long after the call the update is carried out
  answer_after_ms              how long after the call the answer is sent

A call takes the first fault that matches it. A call that is rejected anyway takes none."#;

/// Usage of a sandbox with the default [`Options`](super::Options), listening on `address`.
#[must_use]
pub fn usage(address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let token = format!("-H 'token: {INSTANCE_TOKEN}'");
    format!(
        r#"In-memory Ryze on {base}
Instance {INSTANCE}, its token {INSTANCE_TOKEN}, the account's token {ACCOUNT_TOKEN}.

Update a setting:
  curl -X POST {base}/api/profile/privacy/{INSTANCE} {token} -H 'Content-Type: application/json' -d '{{"visibility":{{"profile":"contacts"}}}}'
Read the settings:
  curl {base}/api/profile/getPrivacy/{INSTANCE} {token}
Let the next update of a field fail:
  curl -X POST {base}/sandbox/faults -d '{{"answer":"field","field":"profile","reason":"info query timed out"}}'
See what arrived:
  curl {base}/sandbox/requests

{CONTROLS}
"#
    )
}
