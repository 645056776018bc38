//! Authentication of clients: configured instances and their credentials.

use std::sync::Arc;

use http::{HeaderMap, header::HeaderName, request::Parts};
use memchr::memmem;
use percent_encoding::percent_decode_str;

use super::{
    path,
    rejection::{Mismatch, Rejection},
    routes::Matched,
};
use crate::{
    config::{Instance, Mode, Secret},
    configured_map::ConfiguredMap,
};

/// The header that carries an account's security token.
pub const CLIENT_TOKEN: HeaderName = HeaderName::from_static("client-token");

/// Shortest path segment that is compared where the path is not Z-API's.
const MIN_SECRET: usize = 6;

/// Whether `id` is a credential of the request, part of one, or has one in it, whatever the letter case
/// and the hyphens. If the path is not Z-API's, each of its segments may be a credential.
///
/// Linear in the length of the head, for it runs before the credentials are checked: each byte is
/// normalised once, and of a segment and `id`, which is short, the shorter is searched for in the longer.
#[must_use]
pub fn contains_credentials(parts: &Parts, id: &str) -> bool {
    let id = normalised(id.bytes());
    let shown = |secret: &[u8]| {
        let (short, long) = if secret.len() < id.len() {
            (secret, &*id)
        } else {
            (&*id, secret)
        };
        !short.is_empty() && memmem::find(long, short).is_some()
    };
    let path = parts.uri.path();
    let in_path = match path::credentials(path) {
        Some(credentials) => {
            let decoded = credentials.map(|it| normalised(percent_decode_str(it)));
            decoded.iter().any(|it| shown(it))
        }
        None => normalised(percent_decode_str(path))
            .split(|byte| *byte == b'/')
            .any(|segment| segment.len() >= MIN_SECRET && shown(segment)),
    };
    let mut in_headers = parts.headers.get_all(CLIENT_TOKEN).iter();
    in_path || in_headers.any(|token| shown(&normalised(token.as_bytes().iter().copied())))
}

fn normalised(text: impl Iterator<Item = u8>) -> Vec<u8> {
    let text = text.filter(|byte| *byte != b'-');
    text.map(|byte| byte.to_ascii_lowercase()).collect()
}

/// The configured instances by their Z-API id.
#[derive(Debug)]
pub struct Accounts {
    /// In the order of the configuration.
    accounts: Vec<Account>,
    by_id: ConfiguredMap<Arc<str>, usize>,
    lower_case_ids: ConfiguredMap<Vec<u8>, Mode>,
    /// Bit n: an id has n bytes; the highest: or more.
    lengths: u128,
    /// Compared with the token of an unknown id, so that it takes as long as a wrong token.
    decoy: Secret,
}

#[derive(Debug)]
struct Account {
    index: usize,
    mode: Mode,
    token: Secret,
    client_token: Option<Secret>,
}

impl Accounts {
    #[must_use]
    pub fn new(instances: &[Instance]) -> Self {
        let account = |(index, instance): (usize, &Instance)| Account {
            index,
            mode: instance.mode,
            token: instance.zapi_token.clone(),
            client_token: instance.client_token.clone(),
        };
        let id =
            |(index, instance): (usize, &Instance)| (Arc::clone(&instance.zapi_instance), index);
        let mut lower_case_ids = ConfiguredMap::default();
        for instance in instances {
            let id = instance.zapi_instance.to_ascii_lowercase().into_bytes();
            let mode = lower_case_ids.entry(id).or_insert(instance.mode);
            if instance.mode == Mode::Translate {
                *mode = Mode::Translate;
            }
        }
        let lengths = instances.iter().fold(0, |all, instance| {
            all | length(instance.zapi_instance.as_bytes())
        });
        let decoy = instances
            .first()
            .map(|instance| instance.zapi_token.clone());
        Self {
            accounts: instances.iter().enumerate().map(account).collect(),
            by_id: instances.iter().enumerate().map(id).collect(),
            lower_case_ids,
            lengths,
            decoy: decoy.unwrap_or_else(|| Secret::new("")),
        }
    }

    /// Index of the instance with this id, which may be percent-encoded.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.index(&path::decoded(id))
    }

    fn index(&self, id: &[u8]) -> Option<usize> {
        self.by_id.get(str::from_utf8(id).ok()?).copied()
    }

    /// The mode of the instance at this index.
    pub(super) fn mode(&self, index: usize) -> Mode {
        let account = self.accounts.get(index);
        account.map(|account| account.mode).unwrap_or_default()
    }

    /// The mode of the instance whose id, in lower case, these bytes are.
    pub(super) fn resembling_lower_case(&self, id: &[u8]) -> Option<Mode> {
        debug_assert!(!id.iter().any(u8::is_ascii_uppercase));
        // Most segments have another length, which is cheaper to see than to hash them.
        (self.lengths & length(id) != 0).then(|| self.lower_case_ids.get(id).copied())?
    }

    /// Authenticates a call to the instance at this index, which [`find`](Self::find) found for its id.
    ///
    /// # Errors
    /// A rejection if id and token are not a configured pair, or if the instance requires another
    /// `Client-Token`.
    pub(super) fn admit(
        &self,
        index: Option<usize>,
        call: &Matched<'_>,
        headers: &HeaderMap,
    ) -> Result<usize, Rejection> {
        let token = path::decoded(call.token);
        let account = index.and_then(|index| self.accounts.get(index));
        let expected = account.map_or(&self.decoy, |account| &account.token);
        let (true, Some(account)) = (expected.matches(&token), account) else {
            let is_swapped = self.index(&token).is_some();
            return Err(Rejection::UnknownInstance(match account {
                Some(_) => Mismatch::Token,
                None if is_swapped => Mismatch::Swapped,
                None => Mismatch::Id,
            }));
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

/// The bit of an id's length.
fn length(id: &[u8]) -> u128 {
    1 << id.len().min(127)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn shows(path: &str, id: &str) -> bool {
        let request = Request::builder().uri(path);
        let request = request.header(CLIENT_TOKEN, "F0000000-c11e4770").body(());
        contains_credentials(&request.unwrap_or_default().into_parts().0, id)
    }

    #[test]
    fn an_id_shows_a_credential_of_which_it_has_the_whole_or_is_a_part() {
        let of_zapi =
            "/instances/3A7F00112233445566778899AABBCCDD/token/B0B%30b0b1b2b3b4b5b6/send-text";
        let short = "/instances/A1/token/B2/privacy/photo";
        let other = "/v1/3A7F00112233445566778899AABBCCDD/B0B%30b0b1b2b3b4b5b6";
        let slashed = "/token/3A7F00112233445566778899AABBCCDD%2Fsend";
        for (path, id) in [
            (of_zapi, "3A7F00112233445566778899AABBCCDD"),
            (of_zapi, "3a7f00112233445566778899aabbccdd"),
            (of_zapi, "3a7f0011-2233-4455-6677-8899aabbccdd"),
            (of_zapi, "3a7f001122334455"),
            (of_zapi, "ff3a7f00112233445566778899aabbccddff"),
            (of_zapi, "b0b0b0b1b2b3b4b5b6"),
            (of_zapi, "00000000f0000000c11e4770"),
            (short, "00000000000000a1"),
            (short, "00000000000000b2"),
            (other, "3a7f0011-2233-4455-6677-8899aabbccdd"),
            (other, "3a7f001122334455"),
            (other, "b0b0b0b1b2b3b4b5b6"),
            (slashed, "3a7f00112233445566778899aabbccdd"),
        ] {
            assert!(shows(path, id), "{path} {id}");
        }
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let long = format!("/{}", "0/f/8/fad5b/".repeat(2500));
        for path in [of_zapi, other, slashed, &long, "/", "/instances//token//x"] {
            assert!(!shows(path, id), "{path} {id}");
        }
    }

    #[test]
    fn outside_zapi_paths_a_segment_of_six_bytes_may_be_a_credential() {
        assert!(shows("/v1/abcdef", "00abcdef00"));
        assert!(!shows("/v1/abcde", "00abcde00"));
    }
}
