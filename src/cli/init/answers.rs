//! What `init` knows of an instance, and what is probably a mistake in it.

use percent_encoding::percent_decode_str;

use crate::config::{Fault, Mode, Secret, check_value};

/// The values of a configuration.
pub(super) struct Answers {
    pub(super) zapi_instance: String,
    pub(super) zapi_token: Secret,
    pub(super) client_token: Option<Secret>,
    pub(super) ryze_instance: String,
    pub(super) ryze_token: Secret,
    /// Another URL of Ryze than the default.
    pub(super) ryze_url: Option<String>,
    pub(super) fallback: Option<String>,
    pub(super) mode: Mode,
}

/// A value, with the key of the configuration that has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    ZapiInstance,
    ZapiToken,
    ClientToken,
    RyzeInstance,
    RyzeToken,
    RyzeUrl,
    Fallback,
}

impl Value {
    fn key(self) -> &'static str {
        match self {
            Self::ZapiInstance => "instances[].zapi_instance",
            Self::ZapiToken => "instances[].zapi_token",
            Self::ClientToken => "zapi.client_token",
            Self::RyzeInstance => "instances[].ryze_instance",
            Self::RyzeToken => "instances[].ryze_token",
            Self::RyzeUrl => "ryze.base_url",
            Self::Fallback => "fallback.base_url",
        }
    }

    /// Checks a value as the configuration would, and against the values that are `known`.
    pub(super) fn check(self, text: &str, known: &[(Self, &str)]) -> Result<(), Fault> {
        let invalid = |message: &str| Err(Fault::Invalid(message.to_owned()));
        if text.is_empty() {
            return invalid("write it: it is empty");
        }
        check_value(self.key(), text)?;
        if matches!(text, "." | "..") {
            return invalid("write the name of the instance: this means another path");
        }
        if matches!(self, Self::RyzeUrl | Self::Fallback) {
            return Ok(());
        }
        let doubtful = |message: String| Err(Fault::Doubtful(message));
        if text.contains("://") {
            return doubtful("write the value alone: this looks like a URL".to_owned());
        }
        let head = text.get(..7).unwrap_or_default();
        if head.eq_ignore_ascii_case("bearer ") {
            return doubtful("remove the word Bearer".to_owned());
        }
        if let Some((other, _)) = known
            .iter()
            .find(|(it, value)| *it != self && *value == text)
        {
            return doubtful(format!("this is {} again", other.name()));
        }
        match looks_like(text) {
            Some(other) if self.is_mistaken_for(other) => doubtful(format!(
                "this looks like {} (in a URL: /instances/ID/token/TOKEN)",
                other.name()
            )),
            _ => Ok(()),
        }
    }

    /// Its name in a sentence.
    fn name(self) -> &'static str {
        match self {
            Self::ZapiInstance => "the id of the instance at Z-API",
            Self::ZapiToken => "the token of the instance at Z-API",
            Self::ClientToken => "the Client-Token of the account at Z-API",
            Self::RyzeInstance => "the name of the instance at Ryze",
            Self::RyzeToken => "the token at Ryze",
            Self::RyzeUrl => "the URL of Ryze",
            Self::Fallback => "the URL of Z-API",
        }
    }

    /// Whether the other value, which looks like one of Z-API, is not expected here.
    fn is_mistaken_for(self, other: Self) -> bool {
        let of_zapi = [Self::ZapiInstance, Self::ZapiToken, Self::ClientToken];
        self != other && of_zapi.contains(&self)
    }
}

/// Which of Z-API's values has this form, as its panel shows them: an id has 32 hexadecimal digits, the token of
/// an instance 24, and a Client-Token is lower case between an F and an S.
fn looks_like(text: &str) -> Option<Value> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        32 if is_hex => Some(Value::ZapiInstance),
        24 if is_hex => Some(Value::ZapiToken),
        33.. if text.starts_with('F') && text.ends_with('S') => Some(Value::ClientToken),
        _ => None,
    }
}

/// The id and the token in the URL of a Z-API call, or in its path.
pub(super) fn of_url(text: &str) -> Option<(String, Option<String>)> {
    let (before, path) = text.split_once("instances/")?;
    if !before.is_empty() && !before.ends_with('/') {
        return None;
    }
    let path = path.split(['?', '#']).next()?;
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let mut segments = path.split('/');
    let id = segments.next().filter(|id| !id.is_empty())?;
    let token = segments.next().filter(|it| *it == "token");
    let token = token
        .and_then(|_| segments.next())
        .filter(|it| !it.is_empty());
    Some((decoded(id), token.map(decoded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3C67AB641C8AA0412F6A2242B4E23AC7";
    const TOKEN: &str = "0123456789ABCDEF01234567";
    const CLIENT_TOKEN: &str = "F0123456789abcdef0123456789abcdef0S";

    #[test]
    fn id_and_token_are_taken_from_a_url() {
        let both = Some((ID.to_owned(), Some(TOKEN.to_owned())));
        for text in [
            &format!("https://api.z-api.io/instances/{ID}/token/{TOKEN}/send-text"),
            &format!("https://api.z-api.io/instances/{ID}/token/{TOKEN}"),
            &format!("/instances/{ID}/token/{TOKEN}/privacy?x=/y#z"),
            &format!("instances/{ID}/token/{TOKEN}/"),
        ] {
            assert_eq!(of_url(text), both, "{text}");
        }
        let id = Some(("a b".to_owned(), None));
        for text in [
            "/instances/a%20b",
            "/instances/a%20b/token/",
            "x/instances/a%20b/status",
        ] {
            assert_eq!(of_url(text), id, "{text}");
        }
        for text in [
            ID,
            "",
            "/instances/",
            "myinstances/x",
            "https://api.z-api.io",
        ] {
            assert_eq!(of_url(text), None, "{text}");
        }
    }

    #[test]
    fn values_that_are_swapped_are_doubted() {
        use Value::{ClientToken, RyzeInstance, RyzeToken, ZapiInstance, ZapiToken};
        let known = [(ZapiInstance, ID), (ZapiToken, TOKEN)];
        for (value, text, expected) in [
            (ZapiInstance, ID, ""),
            (
                ZapiInstance,
                TOKEN,
                "this looks like the token of the instance at Z-API",
            ),
            (ZapiToken, TOKEN, ""),
            (
                ZapiToken,
                ID,
                "this is the id of the instance at Z-API again",
            ),
            (
                ZapiToken,
                CLIENT_TOKEN,
                "this looks like the Client-Token of the account",
            ),
            (ZapiToken, "Bearer x", "remove the word Bearer"),
            (
                ZapiToken,
                "https://x",
                "write the value alone: this looks like a URL",
            ),
            (ClientToken, CLIENT_TOKEN, ""),
            (
                ClientToken,
                TOKEN,
                "this is the token of the instance at Z-API again",
            ),
            (RyzeInstance, "main", ""),
            (
                RyzeInstance,
                ID,
                "this is the id of the instance at Z-API again",
            ),
            // Ryze may use any form.
            (RyzeToken, "89ABCDEF0123456701234567", ""),
            (
                RyzeToken,
                TOKEN,
                "this is the token of the instance at Z-API again",
            ),
            (
                RyzeToken,
                "changeme",
                "write the value itself: this looks like a placeholder",
            ),
        ] {
            // The id is asked for first.
            let known = if value == ZapiInstance {
                &[]
            } else {
                &known[..]
            };
            let message = match value.check(text, known) {
                Ok(()) => String::new(),
                Err(Fault::Doubtful(message)) => message,
                Err(Fault::Invalid(message)) => format!("invalid: {message}"),
            };
            assert!(message.starts_with(expected), "{text}: {message}");
            assert_eq!(message.is_empty(), expected.is_empty(), "{text}: {message}");
        }
        assert!(matches!(
            ZapiInstance.check("..", &[]),
            Err(Fault::Invalid(_))
        ));
        assert!(matches!(RyzeToken.check("", &[]), Err(Fault::Invalid(_))));
    }
}
