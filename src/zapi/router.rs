//! Routing by the head alone: is a call answered by Ryze, by the fallback or by the gateway itself?
//!
//! The order of the checks is part of the contract: path, method, credentials. The fallback gets all
//! calls of an observed instance; the checks then only say what would have happened to them.

use http::request::Parts;
use memchr::memchr3;

use super::{
    auth::Accounts,
    path,
    rejection::Rejection,
    routes::{self, Call, Matched, Route},
};
use crate::config::Mode;

/// Routes calls.
#[derive(Debug)]
pub struct Router {
    accounts: Accounts,
    has_fallback: bool,
}

/// The upstream of a call.
#[derive(Clone, Copy, Debug)]
pub enum Destination {
    /// Ryze, for a configured instance.
    Ryze {
        /// Which call.
        route: &'static Route,
        /// Index of the instance in the configuration.
        instance: usize,
    },
    /// The fallback; only if one is configured.
    Fallback,
}

/// A routed call.
#[derive(Debug)]
pub struct Routed {
    /// The route that matches its path.
    pub route: Option<&'static Route>,
    /// Index of its instance: if the credentials are right, or if the fallback is to check them.
    pub instance: Option<usize>,
    /// Index of the instance with the id in its path, whether or not the credentials are right.
    pub named: Option<usize>,
    /// Where it goes, or why it is rejected.
    pub destination: Result<Destination, Rejection>,
    /// For a privacy call of an observed instance: what `destination` would be if its calls were
    /// translated.
    pub observed: Option<Result<Destination, Rejection>>,
}

/// What the head of a call says, for `explain`. [`Router::route`] decides.
#[derive(Debug)]
pub struct Facts {
    /// The route that matches its path.
    pub route: Option<&'static Route>,
    /// Index of the instance with the id of its path.
    pub instance: Option<usize>,
    /// Why Ryze cannot get it.
    pub rejection: Option<Rejection>,
}

impl Router {
    /// Routes the privacy calls of translated accounts to Ryze and all others to the fallback, if there
    /// is one.
    #[must_use]
    pub fn new(accounts: Accounts, has_fallback: bool) -> Self {
        Self {
            accounts,
            has_fallback,
        }
    }

    /// Routes the call with this head, which [`crate::server::validate`] has validated.
    #[must_use]
    pub fn route(&self, parts: &Parts) -> Routed {
        let path = parts.uri.path();
        let (named, found) = self.look_up(path);
        let route = found.as_ref().ok().map(|call| call.route);
        let mode = match (route, named) {
            (Some(_), Some(instance)) => Some(self.accounts.mode(instance)),
            _ => self.privacy_mode(path, named),
        };
        let decide = || self.admit(&found?, named, parts);
        let (destination, observed) = match mode {
            Some(Mode::Translate) => (decide(), None),
            Some(Mode::Observe) => (Ok(Destination::Fallback), Some(decide())),
            None if self.has_fallback => (Ok(Destination::Fallback), None),
            None => (decide().map_err(Rejection::lacking_fallback), None),
        };
        let destination = destination.map_err(|rejection| match rejection {
            Rejection::UnknownPath {
                instead,
                lacks_fallback,
                ..
            } => Rejection::UnknownPath {
                instead,
                near: routes::nearest(path),
                lacks_fallback,
            },
            other => other,
        });
        Routed {
            route,
            instance: named.filter(|_| destination.is_ok()),
            named,
            destination,
            observed,
        }
    }

    /// What the head of a call says.
    #[must_use]
    pub fn facts(&self, parts: &Parts) -> Facts {
        let (instance, found) = self.look_up(parts.uri.path());
        Facts {
            route: found.as_ref().ok().map(|call| call.route),
            instance,
            rejection: match found {
                Ok(call) => match self.admit(&call, instance, parts) {
                    Ok(_) => call.route.no_counterpart(),
                    Err(rejection) => Some(rejection),
                },
                Err(unknown) => Some(unknown),
            },
        }
    }

    /// Index of the instance with the id in a path, and the route that matches it.
    fn look_up<'path>(
        &self,
        path: &'path str,
    ) -> (Option<usize>, Result<Matched<'path>, Rejection>) {
        let form = path::split(path);
        let id = form.map_or_else(|| path::id(path), |(id, ..)| Some(id));
        let named = id.and_then(|id| self.accounts.find(id));
        (named, Matched::find_in(form))
    }

    fn admit(
        &self,
        call: &Matched<'_>,
        named: Option<usize>,
        parts: &Parts,
    ) -> Result<Destination, Rejection> {
        call.check_method(&parts.method)?;
        let instance = self.accounts.admit(named, call, &parts.headers)?;
        Ok(match &call.route.call {
            Call::Untranslatable { .. } if self.has_fallback => Destination::Fallback,
            _ => Destination::Ryze {
                route: call.route,
                instance,
            },
        })
    }

    /// The mode of the instance whose `/privacy` a path without a route or an instance targets. Such a
    /// call of a translated instance is never forwarded: Z-API answers many invalid requests with 200, or
    /// might carry it out on the wrong account.
    fn privacy_mode(&self, path: &str, named: Option<usize>) -> Option<Mode> {
        // Most paths have none of these bytes, and without them no `privacy`, however it is written.
        memchr3(b'v', b'V', b'%', path.as_bytes())?;
        let mut path = path::decoded(path).into_owned();
        path.make_ascii_lowercase();
        let mut segments = path.split(|byte| matches!(byte, b'/' | b'\\' | b';'));
        if !segments.by_ref().rev().any(|segment| segment == b"privacy") {
            return None;
        }
        let is_observed = named.is_some_and(|it| self.accounts.mode(it) == Mode::Observe);
        let mut found = None;
        // Those before the last `privacy`.
        for segment in segments {
            match self.accounts.resembling_lower_case(segment) {
                Some(Mode::Translate) if !is_observed => return Some(Mode::Translate),
                Some(Mode::Observe) => found = Some(Mode::Observe),
                _ => (),
            }
        }
        found
    }
}
