//! The one table of the Z-API calls that the gateway knows: a call is a row here and a test case.
//! How a row's input is read belongs in `request.rs`. Source: the vendor's pages on privacy.

use http::Method;
use percent_encoding::percent_decode_str;

use super::response::Refusal;
use crate::privacy::{Audience, Setting};

/// A call that callers make.
#[derive(Debug)]
pub struct Route {
    /// The last segment of its path.
    name: &'static str,
    /// The path without what is particular to a caller, for logs.
    pub template: &'static str,
    /// The only method it takes.
    method: Method,
    /// Where its input is and what becomes of it.
    pub(super) call: Call,
}

/// Where a call's input is and what becomes of it.
#[derive(Debug)]
pub(super) enum Call {
    /// A JSON body has the value in `field`.
    Body {
        setting: Setting,
        field: &'static str,
        values: Words,
    },
    /// The query has the value in `parameter`; a body is ignored.
    Query {
        setting: Setting,
        parameter: &'static str,
        values: Words,
    },
    /// Ryze has no such call.
    Untranslatable { what: &'static str },
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
    ($method:ident $name:literal, $call:expr) => {
        Route {
            name: $name,
            template: concat!("/instances/{id}/token/{token}/privacy/", $name),
            method: Method::$method,
            call: $call,
        }
    };
}

static ROUTES: [Route; 8] = [
    route!(POST "photo", Call::Body {
        setting: Setting::ProfilePhoto,
        field: "visualizationType",
        values: VISUALIZATION,
    }),
    route!(POST "last-seen", Call::Body {
        setting: Setting::LastSeen,
        field: "visualizationType",
        values: VISUALIZATION,
    }),
    route!(POST "description", Call::Body {
        setting: Setting::About,
        field: "visualizationType",
        values: VISUALIZATION,
    }),
    route!(POST "online", Call::Body {
        setting: Setting::Online,
        field: "visualizationType",
        values: ONLINE,
    }),
    route!(POST "group-add", Call::Body {
        setting: Setting::GroupAdd,
        field: "type",
        values: GROUP_ADD,
    }),
    route!(POST "read-receipts", Call::Query {
        setting: Setting::ReadReceipts,
        parameter: "value",
        values: SWITCH,
    }),
    route!(POST "messages-duration", Call::Untranslatable {
        what: "set how long messages last",
    }),
    route!(GET "disallowed-contacts", Call::Untranslatable {
        what: "list the contacts that a setting leaves out",
    }),
];

/// Names that callers take for those of the table, and the right one.
const MISTAKEN: [(&str, &str); 1] = [("photo-visualization", "photo")];

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
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut next = || segments.next().ok_or_else(unknown);
        let (instances, id) = (next()?, next()?);
        let (token_word, token) = (next()?, next()?);
        let (privacy, name) = (next()?, next()?);
        if segments.next().is_some()
            || path.ends_with('/')
            || !is(instances, "instances")
            || !is(token_word, "token")
            || !is(privacy, "privacy")
        {
            return Err(unknown());
        }
        match ROUTES.iter().find(|route| is(name, route.name)) {
            Some(route) => Ok(Self { route, id, token }),
            None => Err(Refusal::UnknownPath {
                instead: MISTAKEN
                    .iter()
                    .find_map(|(mistaken, right)| is(name, mistaken).then_some(*right)),
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

fn is(segment: &str, word: &str) -> bool {
    segment == word || percent_decode_str(segment).eq(word.bytes())
}
