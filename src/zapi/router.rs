//! Who answers a call, by its head alone and in the order of the checks: path, method, credentials.
//! What a call asks for belongs in `request.rs`, how another vendor is reached in `fallback`.

use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::{
    auth::Accounts,
    rejection::Rejection,
    routes::{self, Call, Matched, Route},
};

/// Decides who answers. `F` is the way to the old vendor, where there is one.
#[derive(Debug)]
pub struct Router<F> {
    accounts: Accounts,
    fallback: Option<F>,
}

/// Who answers a call.
#[derive(Debug)]
pub enum Destination<'r, F> {
    /// Ryze, for an instance of the configuration.
    Ryze {
        /// The call.
        route: &'static Route,
        /// The instance's place in the configuration.
        instance: usize,
    },
    /// The old vendor.
    Fallback(&'r F),
}

/// What is known of a call once it is routed.
#[derive(Debug)]
pub struct Routed<'r, F> {
    /// The row of the table that its path means, if there is one.
    pub route: Option<&'static Route>,
    /// The place in the configuration of the instance that it is for: where its credentials are right, or
    /// where it is the old vendor's to look at them.
    pub instance: Option<usize>,
    /// Who answers it, or why nobody does.
    pub destination: Result<Destination<'r, F>, Rejection>,
}

impl<F> Router<F> {
    /// Routes the calls of these accounts, and all others to the fallback.
    pub fn new(accounts: Accounts, fallback: Option<F>) -> Self {
        Self { accounts, fallback }
    }

    /// The way to the old vendor, if there is one.
    pub fn fallback(&self) -> Option<&F> {
        self.fallback.as_ref()
    }

    /// Decides who answers the call with this head, which must be sound.
    pub fn route(&self, parts: &Parts) -> Routed<'_, F> {
        let path = parts.uri.path();
        let found = Matched::find(path);
        let route = found.as_ref().ok().map(|call| call.route);
        let destination = match found {
            Ok(call) => self.admit(&call, parts),
            Err(unknown) => Err(unknown),
        };
        let destination = match (destination, &self.fallback) {
            (Err(_), Some(fallback)) if !self.keeps(path) => Ok(Destination::Fallback(fallback)),
            (decided, _) => decided,
        };
        let instance = match &destination {
            Ok(Destination::Ryze { instance, .. }) => Some(*instance),
            Ok(Destination::Fallback(_)) => routes::id(path).and_then(|id| self.accounts.find(id)),
            Err(_) => None,
        };
        Routed {
            route,
            instance,
            destination,
        }
    }

    fn admit(&self, call: &Matched<'_>, parts: &Parts) -> Result<Destination<'_, F>, Rejection> {
        call.check_method(&parts.method)?;
        let instance = self.accounts.admit(call, &parts.headers)?;
        Ok(match (&call.route.call, &self.fallback) {
            (Call::Untranslatable { .. }, Some(fallback)) => Destination::Fallback(fallback),
            _ => Destination::Ryze {
                route: call.route,
                instance,
            },
        })
    }

    /// Whether a path is about the privacy of an instance of the configuration, be it ever so wrong:
    /// its id, and somewhere behind it the word. What is wrong with such a call is said here, for the
    /// old vendor answers many a mistake with a success, or might carry it out at the wrong place.
    fn keeps(&self, path: &str) -> bool {
        if Matched::find(path).is_ok_and(|call| self.accounts.find(call.id).is_some()) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode_str(path).collect();
        let mut segments = decoded.split(|byte| b"/\\;".contains(byte));
        segments.any(|segment| self.accounts.resembles(segment))
            && segments.any(|segment| segment.eq_ignore_ascii_case(b"privacy"))
    }
}
