//! The route table: every Z-API call that the gateway translates or knows to be untranslatable.
//!
//! Source: Z-API's pages on privacy. `GET …/privacy` is the gateway's own.

use http::Method;

use super::{
    field::Field,
    path::{is, segments, split},
    rejection::Rejection,
    values::{GROUP_ADD, ONLINE, SWITCH, VISUALIZATION, Values},
};
use crate::{privacy::Setting, spelling::is_close};

/// One call of Z-API.
#[derive(Debug)]
pub struct Route {
    /// Path below `/instances/{id}/token/{token}/`.
    path: &'static str,
    /// The whole path with placeholders for id and token: safe to log.
    pub template: &'static str,
    method: Method,
    pub(super) call: Call,
}

/// How a call is translated.
#[derive(Debug)]
pub(super) enum Call {
    /// Changes a setting.
    Change {
        setting: Setting,
        values: Values,
        input: Input,
        /// The setting's key in the response of `GET …/privacy`.
        key: &'static str,
    },
    /// Reads the settings. A body is ignored.
    Read,
    /// Ryze has no counterpart; `what` the call would do completes "Ryze has no call to".
    Untranslatable { what: &'static str },
}

/// Where a call carries its value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// In a field of the JSON body.
    Body(Field),
    /// In a parameter of the query. A body is ignored.
    Query(Field),
}

impl Route {
    /// The rejection of a call that Ryze has no counterpart for.
    pub(super) fn no_counterpart(&self) -> Option<Rejection> {
        match self.call {
            Call::Untranslatable { what } => Some(Rejection::NoCounterpart(what)),
            Call::Change { .. } | Call::Read => None,
        }
    }
}

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
        input: Input::Body(Field::VisualizationType),
        key: "photo",
    }),
    route!(POST "privacy/last-seen", Call::Change {
        setting: Setting::LastSeen,
        values: VISUALIZATION,
        input: Input::Body(Field::VisualizationType),
        key: "lastSeen",
    }),
    route!(POST "privacy/description", Call::Change {
        setting: Setting::About,
        values: VISUALIZATION,
        input: Input::Body(Field::VisualizationType),
        key: "description",
    }),
    route!(POST "privacy/online", Call::Change {
        setting: Setting::Online,
        values: ONLINE,
        input: Input::Body(Field::VisualizationType),
        key: "online",
    }),
    route!(POST "privacy/group-add", Call::Change {
        setting: Setting::GroupAdd,
        values: GROUP_ADD,
        input: Input::Body(Field::Type),
        key: "groupAdd",
    }),
    route!(POST "privacy/read-receipts", Call::Change {
        setting: Setting::ReadReceipts,
        values: SWITCH,
        input: Input::Query(Field::Value),
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

/// The first segment of every path of [`ROUTES`] and [`MISTAKEN`].
const FIRST: &str = "privacy";

/// Method and [`template`](Route::template) of every route.
pub fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|route| (route.method.as_str(), route.template))
}

/// Wrong paths that real clients send, and the right one.
const MISTAKEN: [(&str, &str); 1] = [("privacy/photo-visualization", "privacy/photo")];

/// A route that matches a path, with the path's token, percent-encoded as it was sent.
#[derive(Clone, Copy)]
pub struct Matched<'path> {
    /// The matching row.
    pub route: &'static Route,
    pub(super) token: &'path str,
}

impl<'path> Matched<'path> {
    /// Matches a path. Slashes may be doubled, as some clients' base URLs make them, and any segment
    /// may be percent-encoded.
    ///
    /// # Errors
    /// [`Rejection::UnknownPath`] if no route matches.
    pub fn find(path: &'path str) -> Result<Self, Rejection> {
        Self::find_in(split(path))
    }

    /// As [`find`](Self::find), for a path that has been [`split`].
    pub(super) fn find_in(
        form: Option<(&'path str, &'path str, &'path str)>,
    ) -> Result<Self, Rejection> {
        let unknown = |instead| Rejection::UnknownPath {
            instead,
            near: None,
            lacks_fallback: false,
        };
        let form = form.filter(|(.., below)| !below.ends_with('/'));
        let (_, token, below) = form.ok_or_else(|| unknown(None))?;
        if let Some(route) = ROUTES.iter().find(|route| route.path == below) {
            return Ok(Self { route, token });
        }
        // Most paths end here, which spares them a comparison with each route.
        if !segments(below).next().is_some_and(|it| is(it, FIRST)) {
            return Err(unknown(None));
        }
        let means = |known: &str| {
            let mut rest = segments(below);
            let begins = known
                .split('/')
                .all(|word| rest.next().is_some_and(|segment| is(segment, word)));
            begins && rest.next().is_none()
        };
        match ROUTES.iter().find(|route| means(route.path)) {
            Some(route) => Ok(Self { route, token }),
            None => {
                let mut mistaken = MISTAKEN.iter();
                let right = mistaken.find_map(|(path, right)| means(path).then_some(*right));
                Err(unknown(right))
            }
        }
    }

    /// HEAD is taken where GET is (RFC 9110, 9.3.2): the server sends the head of GET's response.
    ///
    /// # Errors
    /// [`Rejection::WrongMethod`] if the route takes another method.
    pub fn check_method(&self, method: &Method) -> Result<(), Rejection> {
        let is_head_of_get = *method == Method::HEAD && self.route.method == Method::GET;
        if *method == self.route.method || is_head_of_get {
            Ok(())
        } else {
            Err(Rejection::WrongMethod {
                allow: self.route.method.as_str(),
            })
        }
    }
}

/// The template of the route that a path without one was probably meant to be: the end of the path is
/// nearly the path of a call.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let segments: Vec<_> = segments(&path).collect();
    let is_near = |route: &&Route| {
        let length = route.path.split('/').count();
        let end = segments.len().checked_sub(length).map(|at| &segments[at..]);
        end.is_some_and(|end| is_close(&end.join("/"), route.path))
    };
    ROUTES.iter().find(is_near).map(|route| route.template)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of the route that is found, or the one that is advised.
    fn found(below: &str) -> Option<&'static str> {
        match Matched::find(&format!("/instances/I/token/T/{below}")) {
            Ok(call) => Some(call.route.path),
            Err(Rejection::UnknownPath { instead, .. }) => instead,
            Err(_) => None,
        }
    }

    #[test]
    fn each_path_is_found_with_escapes_and_doubled_slashes() {
        let routes = ROUTES.iter().map(|route| (route.path, route.path));
        for (path, right) in routes.chain(MISTAKEN) {
            let (first, rest) = path.split_at(1);
            let escaped = format!("%{:02x}{rest}", first.as_bytes()[0]);
            for below in [path.replace('/', "//"), format!("/{path}"), escaped] {
                assert_eq!(found(&below), Some(right), "{below}");
            }
        }
    }
}
