//! The one table of the Z-API calls that the gateway knows: a call is a row here and a test case.
//! How a row's input is read belongs in `request.rs`, who answers it in `router.rs`. Source: the
//! vendor's pages on privacy; that settings can be shown is the gateway's own.

use http::Method;
use percent_encoding::percent_decode_str;

use super::response::Refusal;
use crate::privacy::{Audience, Setting};

/// A call that callers make.
#[derive(Debug)]
pub struct Route {
    /// Its path below the instance.
    path: &'static str,
    /// The whole path without what is particular to a caller, for logs.
    pub template: &'static str,
    /// The only method it takes.
    method: Method,
    /// What becomes of it.
    pub(super) call: Call,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Call {
    /// It changes a setting.
    Change {
        setting: Setting,
        values: Words,
        input: Input,
        /// The setting's name where all are shown.
        key: &'static str,
    },
    /// It shows the settings. A body is ignored.
    Read,
    /// Ryze has no such call.
    Untranslatable { what: &'static str },
}

/// Where the value of a call is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// In this field of a JSON body.
    Body(&'static str),
    /// In this parameter of the query; a body is ignored.
    Query(&'static str),
}

/// Z-API's words for the values that a setting takes.
pub(super) type Words = &'static [(&'static str, Audience)];

const VISUALIZATION: Words = &[
    ("ALL", Audience::Everyone),
    ("NONE", Audience::Nobody),
    ("CONTACTS", Audience::Contacts),
    ("CONTACT_BLACKLIST", Audience::ContactsExcept),
];
const ONLINE: Words = &[
    ("ALL", Audience::Everyone),
    ("SAME_LAST_SEEN", Audience::SameAsLastSeen),
];
const GROUP_ADD: Words = &[
    ("ALL", Audience::Everyone),
    ("CONTACTS", Audience::Contacts),
    ("CONTACT_BLACKLIST", Audience::ContactsExcept),
];
const SWITCH: Words = &[
    ("enable", Audience::Everyone),
    ("disable", Audience::Nobody),
];

macro_rules! route {
    ($method:ident $path:literal, $call:expr) => {
        Route {
            path: $path,
            template: concat!("/instances/{id}/token/{token}/", $path),
            method: Method::$method,
            call: $call,
        }
    };
}

pub(super) static ROUTES: [Route; 9] = [
    route!(POST "privacy/photo", Call::Change {
        setting: Setting::ProfilePhoto,
        values: VISUALIZATION,
        input: Input::Body("visualizationType"),
        key: "photo",
    }),
    route!(POST "privacy/last-seen", Call::Change {
        setting: Setting::LastSeen,
        values: VISUALIZATION,
        input: Input::Body("visualizationType"),
        key: "lastSeen",
    }),
    route!(POST "privacy/description", Call::Change {
        setting: Setting::About,
        values: VISUALIZATION,
        input: Input::Body("visualizationType"),
        key: "description",
    }),
    route!(POST "privacy/online", Call::Change {
        setting: Setting::Online,
        values: ONLINE,
        input: Input::Body("visualizationType"),
        key: "online",
    }),
    route!(POST "privacy/group-add", Call::Change {
        setting: Setting::GroupAdd,
        values: GROUP_ADD,
        input: Input::Body("type"),
        key: "groupAdd",
    }),
    route!(POST "privacy/read-receipts", Call::Change {
        setting: Setting::ReadReceipts,
        values: SWITCH,
        input: Input::Query("value"),
        key: "readReceipts",
    }),
    route!(POST "privacy/messages-duration", Call::Untranslatable {
        what: "set how long messages last",
    }),
    route!(GET "privacy/disallowed-contacts", Call::Untranslatable {
        what: "list the contacts that a setting leaves out",
    }),
    route!(GET "privacy", Call::Read),
];

/// The method and the [`template`](Route::template) of every call.
pub fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|route| (route.method.as_str(), route.template))
}

/// Paths that callers take for those of the table, and the right one.
const MISTAKEN: [(&str, &str); 1] = [("privacy/photo-visualization", "privacy/photo")];

/// A call and whom it says to come from, percent-encoded as it was sent.
#[derive(Clone, Copy)]
pub struct Matched<'path> {
    /// The row of the table.
    pub route: &'static Route,
    pub(super) id: &'path str,
    pub(super) token: &'path str,
}

impl<'path> Matched<'path> {
    /// Finds the row that a path means. Slashes may be doubled, as real callers' base URLs make
    /// them, and any segment may be percent-encoded.
    ///
    /// # Errors
    /// There is none.
    pub fn find(path: &'path str) -> Result<Self, Refusal> {
        let unknown = || Refusal::UnknownPath { instead: None };
        let form = apart(path).filter(|_| !path.ends_with('/'));
        let (id, token, below) = form.ok_or_else(unknown)?;
        let means = |known: &str| {
            let mut rest = below.clone();
            let begins = known
                .split('/')
                .all(|word| rest.next().is_some_and(|segment| is(segment, word)));
            begins && rest.next().is_none()
        };
        match ROUTES.iter().find(|route| means(route.path)) {
            Some(route) => Ok(Self { route, id, token }),
            None => Err(Refusal::UnknownPath {
                instead: MISTAKEN
                    .iter()
                    .find_map(|(mistaken, right)| means(mistaken).then_some(*right)),
            }),
        }
    }

    /// Checks the method.
    ///
    /// # Errors
    /// It is not the route's.
    pub fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        if *method == self.route.method {
            Ok(())
        } else {
            Err(Refusal::WrongMethod {
                allow: self.route.method.as_str(),
            })
        }
    }
}

/// The segments of a path. Empty ones, as of a doubled slash, do not count.
fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// A path of Z-API's form taken apart: the instance's id, its token, and the segments below.
fn apart(path: &str) -> Option<(&str, &str, impl Iterator<Item = &str> + Clone)> {
    let mut segments = segments(path);
    let (instances, id) = (segments.next()?, segments.next()?);
    let (token_word, token) = (segments.next()?, segments.next()?);
    let is_form = is(instances, "instances") && is(token_word, "token");
    is_form.then_some((id, token, segments))
}

/// Whom a path says to come from, percent-encoded as it was sent, if it begins as those of Z-API.
pub(super) fn id(path: &str) -> Option<&str> {
    let mut segments = segments(path);
    let instances = segments.next()?;
    segments.next().filter(|_| is(instances, "instances"))
}

/// The instance's id and token in a path of Z-API's form, percent-encoded as they were sent.
pub(super) fn credentials(path: &str) -> Option<[&str; 2]> {
    apart(path).map(|(id, token, _)| [id, token])
}

/// The word for a value, where there is one.
pub(super) fn word(values: Words, audience: Audience) -> Option<&'static str> {
    values
        .iter()
        .find_map(|(word, known)| (*known == audience).then_some(*word))
}

fn is(segment: &str, word: &str) -> bool {
    segment == word || percent_decode_str(segment).eq(word.bytes())
}
