//! Strict JSON objects.
//!
//! A text is one object and nothing else, and no requested key occurs twice: two readers of a doubled
//! key may use different values. Unknown keys are ignored, and so is a byte order mark before the text,
//! which .NET's writers send (RFC 8259, 8.1).

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The raw values of `keys` in the object `text`; `None` for keys that it does not have.
///
/// # Errors
/// `text` is not a JSON object, or has one of the keys twice. The error contains no value.
pub(crate) fn object<'text, const N: usize>(
    text: &'text [u8],
    keys: [&str; N],
) -> serde_json::Result<[Option<&'text RawValue>; N]> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    match text.trim_ascii_start().first() {
        Some(b'{') => {}
        None => return Err(serde_json::Error::custom("it is empty")),
        // serde's error for another type quotes the value.
        Some(_) => return Err(serde_json::Error::custom("an object is expected")),
    }
    // Validating the whole text costs less than validating each string.
    let text = str::from_utf8(text).map_err(|_| serde_json::Error::custom("it is not UTF-8"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let values = reader.deserialize_map(Values { keys })?;
    reader.end()?;
    Ok(values)
}

/// The text of a raw value that is a string.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Borrowed<'text>(#[serde(borrow)] Cow<'text, str>);
    serde_json::from_str(value.get())
        .map(|Borrowed(text)| text)
        .ok()
}

/// Reads the values of some keys.
struct Values<'keys, const N: usize> {
    keys: [&'keys str; N],
}

impl<'text, const N: usize> Visitor<'text> for Values<'_, N> {
    type Value = [Option<&'text RawValue>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(index) = map.next_key_seed(Index(&self.keys))? {
            let Some((value, key)) = index.and_then(|at| values.get_mut(at).zip(self.keys.get(at)))
            else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if value.is_some() {
                return Err(A::Error::custom(format_args!("the key {key} stands twice")));
            }
            *value = Some(map.next_value()?);
        }
        Ok(values)
    }
}

/// Reads a key as its index in a list of keys, without a copy.
struct Index<'keys>(&'keys [&'keys str]);

impl<'text> DeserializeSeed<'text> for Index<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'text>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Index<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_order_mark_before_the_text_is_skipped() {
        let value = |text: &str| {
            let object = object(text.as_bytes(), ["a"]).ok()?;
            object[0].map(|value| value.get().to_owned())
        };
        for (text, expected) in [
            ("\u{feff}{\"a\":1}", Some("1")),
            ("\u{feff} {\"a\":\"\u{feff}\"}", Some("\"\u{feff}\"")),
            ("\u{feff}\u{feff}{\"a\":1}", None),
            (" \u{feff}{\"a\":1}", None),
            ("{\"a\":1}\u{feff}", None),
            ("\u{feff}", None),
        ] {
            assert_eq!(value(text).as_deref(), expected, "{text:?}");
        }
    }
}
