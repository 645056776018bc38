//! The check of one value, before it is written into a file.

use std::{borrow::Cow, path::Path};

use toml::de::DeValue;

use super::{
    Instance,
    key::{Context, Row},
    keys::{Draft, Owner},
    readers::suspicion,
};

/// What is wrong with a value. The message quotes none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file would be rejected.
    Invalid(String),
    /// It is allowed and probably not the value.
    Doubtful(String),
}

/// Checks the text that a file would have as the value of `key`, as in `instances[].zapi_token`.
///
/// # Errors
/// [`Fault`]
pub fn check_value(key: &str, text: &str) -> Result<(), Fault> {
    let suspicion = suspicion(text)
        .map(|kind| Fault::Doubtful(format!("write the value itself: this looks like {kind}")));
    read::<Draft>(key, text)
        .or_else(|| read::<Instance>(key, text))
        .unwrap_or(Ok(()))
        .map_err(Fault::Invalid)?;
    suspicion.map_or(Ok(()), Err)
}

/// `None` if `O` does not have the key.
fn read<O: Owner + Default>(key: &str, text: &str) -> Option<Result<(), String>> {
    let row: &&dyn Row<O> = O::ROWS.iter().find(|row| row.path() == key)?;
    let value = DeValue::String(Cow::Borrowed(text));
    let mut context = Context::new(&|_| None, Path::new(""));
    Some(row.read(&mut O::default(), &value, &mut context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_checked_as_the_file_would_be() {
        let invalid = |message: &str| Err(Fault::Invalid(message.to_owned()));
        let doubtful = |message: &str| Err(Fault::Doubtful(message.to_owned()));
        for (key, text, expected) in [
            (
                "instances[].zapi_instance",
                "3C67AB641C8AA0412F6A2242B4E23AC7",
                Ok(()),
            ),
            (
                "instances[].zapi_instance",
                "a/b",
                invalid("write the id alone: this looks like a URL or a part of one"),
            ),
            (
                "instances[].zapi_instance",
                "YOUR_INSTANCE_ID",
                doubtful("write the value itself: this looks like a placeholder"),
            ),
            (
                "instances[].ryze_token",
                "Bearer x",
                invalid(
                    "write the secret alone: the value starts with the word Bearer; \
                     a header carries visible ASCII without spaces",
                ),
            ),
            (
                "zapi.client_token",
                "\u{feff}x",
                invalid(
                    "write the secret alone: the value starts with a byte order mark; \
                     a header carries visible ASCII without spaces",
                ),
            ),
            (
                "instances[].zapi_token",
                "",
                invalid("the secret is empty; give it a value"),
            ),
            (
                "instances[].mode",
                "watch",
                invalid("must be \"translate\" or \"observe\""),
            ),
            ("fallback.base_url", "https://api.z-api.io", Ok(())),
            ("server.listen", "unix:/run/x", Ok(())),
        ] {
            assert_eq!(check_value(key, text), expected, "{key} {text}");
        }
    }
}
