//! The calls: their paths, methods and content type.

use std::borrow::Cow;

use http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE, request::Parts};
use percent_encoding::percent_decode_str;

use super::refusal::{framework, unknown_path};
use crate::sandbox::reply::Reply;

/// A path below an instance.
pub(super) struct Target<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) token: Cow<'a, str>,
    /// Without a leading slash.
    path: &'a str,
}

#[derive(Clone, Copy)]
pub(super) enum Call {
    Send {
        /// The field of the body that is sent.
        content: &'static str,
    },
    Status,
    Chats,
    /// A privacy setting with its value in the body.
    Setting(Setting),
    /// A privacy setting with its value in the query.
    Switch {
        values: &'static [&'static str],
    },
    DisallowedContacts,
}

#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// The field of the body that has the value.
    pub(super) field: &'static str,
    pub(super) values: &'static [&'static str],
    /// The name of its list of contacts.
    pub(super) list: Option<&'static str>,
}

impl<'a> Target<'a> {
    /// `None` if the path is not below an instance.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        // Some callers send two slashes at the start.
        let path = path.trim_start_matches('/').strip_prefix("instances/")?;
        let (id, path) = path.split_once("/token/")?;
        let (token, path) = path.split_once('/')?;
        let decoded = |text: &'a str| percent_decode_str(text).decode_utf8_lossy();
        Some(Self {
            id: decoded(id),
            token: decoded(token),
            path,
        })
    }

    /// The call, if method and content type are right for it.
    pub(super) fn call(&self, head: &Parts) -> Result<Call, Reply> {
        let call = find(self.path).ok_or_else(unknown_path)?;
        if !call.allows(&head.method) {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let message = "HTTP 405 Method Not Allowed";
            return Err(framework(status, "METHOD_NOT_ALLOWED", message));
        }
        let has_body = matches!(call, Call::Send { .. } | Call::Setting(_));
        if has_body && !is_json(&head.headers) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let message = "HTTP 415 Unsupported Media Type";
            return Err(framework(status, "UNSUPPORTED_MEDIA_TYPE", message));
        }
        Ok(call)
    }
}

impl Call {
    fn allows(self, method: &Method) -> bool {
        match self {
            Call::Status | Call::Chats | Call::DisallowedContacts => {
                [Method::GET, Method::HEAD].contains(method)
            }
            Call::Send { .. } | Call::Setting(_) | Call::Switch { .. } => *method == Method::POST,
        }
    }
}

fn find(path: &str) -> Option<Call> {
    let visibility = |list| {
        Call::Setting(Setting {
            field: "visualizationType",
            values: &["ALL", "NONE", "CONTACTS", "CONTACT_BLACKLIST"],
            list: Some(list),
        })
    };
    Some(match path {
        "send-text" => Call::Send { content: "message" },
        "send-image" => Call::Send { content: "image" },
        "status" => Call::Status,
        "chats" => Call::Chats,
        "privacy/photo" => visibility("photo"),
        "privacy/last-seen" => visibility("lastSeen"),
        "privacy/description" => visibility("description"),
        "privacy/online" => Call::Setting(Setting {
            field: "visualizationType",
            values: &["ALL", "SAME_LAST_SEEN"],
            list: None,
        }),
        "privacy/group-add" => Call::Setting(Setting {
            field: "type",
            values: &["ALL", "CONTACTS", "CONTACT_BLACKLIST"],
            list: Some("groupAdd"),
        }),
        "privacy/read-receipts" => Call::Switch {
            values: &["enable", "disable"],
        },
        "privacy/messages-duration" => Call::Switch {
            values: &["days90", "days7", "hours24", "disable"],
        },
        "privacy/disallowed-contacts" => Call::DisallowedContacts,
        _ => {
            let extension = path.strip_prefix("send-document/")?;
            let is_one_segment = !extension.is_empty() && !extension.contains('/');
            is_one_segment.then_some(Call::Send {
                content: "document",
            })?
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.and_then(|it| it.split(';').next()).map(str::trim);
    essence.is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
}
