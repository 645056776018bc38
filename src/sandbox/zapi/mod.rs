//! An in-memory Z-API: the common messages, `status`, `chats` and the privacy calls with their lists of
//! contacts.
//!
//! It is built from Z-API's documentation and from responses that callers have recorded. As in the
//! framework behind Z-API, path, method and content type are checked before the instance, and the fields
//! of the body last. Messages are not kept. No `Client-Token` is required.

mod body;
mod calls;
mod lists;
mod refusal;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::{
    calls::{Call, Target},
    lists::Lists,
    refusal::sentence,
};
use super::{
    listener::{self, Responding},
    reply::{Closed, Reply, read_up_to},
};

/// Id and token of the instances that the built-in configuration of the gateway lists: one that it translates,
/// and one that it observes.
const LISTED: [(&str, &str); 2] = [("SANDBOX", "sandbox"), ("OBSERVED", "observed")];
/// Id and token of an instance that it does not list.
pub const UNLISTED: (&str, &str) = ("UNLISTED", "unlisted");
/// Room for an image in Base64.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The in-memory Z-API. A clone shares its state.
#[derive(Clone)]
pub struct Zapi(Arc<Mutex<State>>);

struct State {
    instances: [Instance; 3],
    /// How many messages were sent. It numbers them.
    sent: u64,
}

struct Instance {
    id: &'static str,
    token: &'static str,
    lists: Lists,
}

impl Default for Zapi {
    /// Three instances, and every list of contacts is empty.
    fn default() -> Self {
        let [translated, observed] = LISTED;
        let instances = [translated, observed, UNLISTED].map(|(id, token)| Instance {
            id,
            token,
            lists: Lists::default(),
        });
        Self(Arc::new(Mutex::new(State { instances, sent: 0 })))
    }
}

impl Zapi {
    /// Accepts and serves connections forever. Dropping the future closes them all.
    pub async fn serve(self, listener: TcpListener) {
        let handler = move |request| -> Responding {
            let zapi = self.clone();
            Box::pin(async move { zapi.answer(request).await })
        };
        listener::serve(listener, Arc::new(handler)).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let (head, body) = request.into_parts();
        let result = match read_up_to(MAX_BODY, body).await {
            Ok(body) => self.perform(&head, &body),
            Err((status, message)) => Err(sentence(status, message)),
        };
        let reply = result.map_or_else(|refusal| refusal, |body| Reply::ok(&body));
        Ok(reply.into_response()?)
    }

    fn perform(&self, head: &Parts, body: &[u8]) -> Result<Value, Reply> {
        let target = Target::parse(head.uri.path()).ok_or_else(refusal::no_instance)?;
        let call = target.call(head)?;
        let mut state = self.state();
        let State { instances, sent } = &mut *state;
        let instance = instances
            .iter_mut()
            .find(|it| it.id == target.id && it.token == target.token)
            .ok_or_else(|| sentence(StatusCode::BAD_REQUEST, "Instance not found"))?;
        let success = json!({"success": true});
        Ok(match call {
            Call::Send { content } => {
                body::check_message(body, content)?;
                *sent += 1;
                let message = format!("3EB0{sent:016X}");
                json!({"zaapId": format!("{sent:032X}"), "messageId": message, "id": message})
            }
            Call::Status => json!({"connected": true, "error": "", "smartphoneConnected": true}),
            Call::Chats => match body::query(head, "page").as_deref() {
                None | Some("" | "0" | "1") => json!([chat()]),
                // A client that reads page by page stops at an empty one.
                Some(_) => json!([]),
            },
            Call::Setting(setting) => {
                let changes = body::contact_changes(body, setting)?;
                if let Some(list) = setting.list {
                    instance.lists.change(list, changes)?;
                }
                success
            }
            Call::Switch { values } => {
                let value = body::query(head, "value");
                body::check_value("value", value.as_deref(), values)?;
                success
            }
            Call::DisallowedContacts => {
                let list = body::query(head, "type");
                let list = body::check_value("type", list.as_deref(), lists::NAMES)?;
                json!({"disallowedContacts": instance.lists.get(list)})
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics within a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Z-API's flags and numbers are strings here.
fn chat() -> Value {
    json!({
        "phone": "5511999999999", "name": "Sandbox", "lastMessageTime": "1700000000000",
        "unread": "0", "messagesUnread": "0", "archived": "false", "pinned": "false",
        "isMuted": "0", "muteEndTime": null, "isMarkedSpam": "false", "isGroup": false,
        "isGroupAnnouncement": false, "profileThumbnail": null, "notes": null,
    })
}
