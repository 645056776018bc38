//! Authentication of clients: configured instances and their credentials.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use http::{HeaderMap, header::HeaderName, request::Parts};
use percent_encoding::percent_decode_str;

use super::{
    rejection::Rejection,
    routes::{self, Matched},
};
use crate::{
    config::{Instance, Secret},
    telltale::has_piece,
};

/// The header that carries an account's security token.
pub const CLIENT_TOKEN: HeaderName = HeaderName::from_static("client-token");

/// Whether a text tells something of what must not be told of a request: its credentials, or where its
/// path has another form all of that.
#[must_use]
pub fn tells(parts: &Parts, text: &str) -> bool {
    let in_path = routes::credentials(parts.uri.path()).into_iter();
    let mut in_path = in_path.map(|segment| percent_decode_str(segment).collect::<Vec<_>>());
    let mut in_headers = parts.headers.get_all(CLIENT_TOKEN).iter();
    in_path.any(|secret| has_piece(text, &secret))
        || in_headers.any(|secret| has_piece(text, secret.as_bytes()))
}

/// The configured instances by their Z-API id.
#[derive(Debug)]
pub struct Accounts {
    by_id: HashMap<Vec<u8>, Account>,
    lower_case_ids: HashSet<Vec<u8>>,
    /// Compared with the token of an unknown id, so that it takes as long as a wrong token.
    decoy: Secret,
}

#[derive(Debug)]
struct Account {
    index: usize,
    token: Secret,
    client_token: Option<Secret>,
}

impl Accounts {
    #[must_use]
    pub fn new(instances: &[Instance]) -> Self {
        let account = |(index, instance): (usize, &Instance)| {
            let account = Account {
                index,
                token: instance.zapi_token.clone(),
                client_token: instance.client_token.clone(),
            };
            (instance.zapi_instance.clone().into_bytes(), account)
        };
        let decoy = instances
            .first()
            .map(|instance| instance.zapi_token.clone());
        Self {
            by_id: instances.iter().enumerate().map(account).collect(),
            lower_case_ids: instances
                .iter()
                .map(|instance| instance.zapi_instance.to_ascii_lowercase().into_bytes())
                .collect(),
            decoy: decoy.unwrap_or_else(|| Secret::new("")),
        }
    }

    /// Index of the instance with this id, which may be percent-encoded.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        let id: Cow<'_, [u8]> = percent_decode_str(id).into();
        self.by_id.get(&*id).map(|account| account.index)
    }

    /// Whether these bytes are an instance's id in any letter case.
    pub(super) fn resembles(&self, id: &[u8]) -> bool {
        self.lower_case_ids.contains(&id.to_ascii_lowercase())
    }

    /// Authenticates a call. Returns the index of its instance.
    ///
    /// # Errors
    /// A rejection if id and token are not a configured pair, or if the instance requires another
    /// `Client-Token`.
    pub fn admit(&self, call: &Matched<'_>, headers: &HeaderMap) -> Result<usize, Rejection> {
        let id: Cow<'_, [u8]> = percent_decode_str(call.id).into();
        let token: Cow<'_, [u8]> = percent_decode_str(call.token).into();
        let account = self.by_id.get(&*id);
        let expected = account.map_or(&self.decoy, |account| &account.token);
        let (true, Some(account)) = (expected.matches(&token), account) else {
            return Err(Rejection::UnknownInstance);
        };
        if let Some(expected) = &account.client_token {
            match headers.get(CLIENT_TOKEN) {
                Some(sent) if expected.matches(sent.as_bytes()) => (),
                Some(sent) if !sent.is_empty() => return Err(Rejection::ClientTokenWrong),
                _ => return Err(Rejection::ClientTokenMissing),
            }
        }
        Ok(account.index)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn tells_of(path: &str, text: &str) -> bool {
        let request = Request::builder().uri(path);
        let request = request
            .header(CLIENT_TOKEN, "t0ken-of-the-account")
            .body(());
        tells(&request.unwrap_or_default().into_parts().0, text)
    }

    #[test]
    fn a_piece_of_a_credential_tells_and_the_words_of_a_path_do_not() {
        let path = "/instances/AB12CD34/token/5ecre7%61/privacy/photo";
        for text in [
            "5ecre7a",
            "req-5ecre7a",
            "AB12CD34",
            "ab12cd34",
            "AB12CD",
            "B12CD34",
            "x-t0ken-of-y",
        ] {
            assert!(tells_of(path, text), "{text}");
        }
        for text in ["a", "privacy-job-42", "AB12C", "instances"] {
            assert!(!tells_of(path, text), "{text}");
        }
        assert!(tells_of("/token/5ecre7a", "5ecre7a"));
    }
}
