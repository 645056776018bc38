//! Reads JSON objects strictly and in one pass: an object and nothing else, and no known key twice,
//! because two readers of a doubled key may each believe another value. Unknown keys are passed
//! over. What the keys mean belongs to the vendors' modules.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is read out of an object.
pub(crate) trait Fields<'text> {
    /// The keys that are known, at most 64.
    fn keys(&self) -> &[&str];

    /// Reads the value of the key at `index`, which is the next one of `values`.
    fn read<A: MapAccess<'text>>(&mut self, index: usize, values: &mut A) -> Result<(), A::Error>;
}

/// Reads the object that `text` is.
///
/// # Errors
/// `text` is not JSON, not an object, has one of the keys twice or a value that cannot be read. The
/// error names the place or the key; it shows no value but one that was refused by its reader.
pub(crate) fn read<'text>(
    text: &'text [u8],
    fields: &mut impl Fields<'text>,
) -> serde_json::Result<()> {
    // serde's own error for another type would quote the value.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(serde_json::Error::custom("an object is expected"));
    }
    // One check of the whole is cheaper than one of each string.
    let text = str::from_utf8(text).map_err(|_| serde_json::Error::custom("it is not UTF-8"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Object(fields).deserialize(&mut reader)?;
    reader.end()
}

/// The raw values of `keys` in the object that `text` is, `None` for those it does not have.
///
/// # Errors
/// As [`read`].
pub(crate) fn object<'text, const N: usize>(
    text: &'text [u8],
    keys: [&str; N],
) -> serde_json::Result<[Option<&'text RawValue>; N]> {
    let mut values = RawValues {
        keys,
        values: [None; N],
    };
    read(text, &mut values)?;
    Ok(values.values)
}

/// The string that a raw value is, if it is one.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Borrowed<'text>(#[serde(borrow)] Cow<'text, str>);
    serde_json::from_str(value.get())
        .map(|Borrowed(text)| text)
        .ok()
}

struct RawValues<'keys, 'text, const N: usize> {
    keys: [&'keys str; N],
    values: [Option<&'text RawValue>; N],
}

impl<'text, const N: usize> Fields<'text> for RawValues<'_, 'text, N> {
    fn keys(&self) -> &[&str] {
        &self.keys
    }

    fn read<A: MapAccess<'text>>(&mut self, index: usize, values: &mut A) -> Result<(), A::Error> {
        self.values[index] = Some(values.next_value()?);
        Ok(())
    }
}

/// Reads an object in place of a value.
pub(crate) struct Object<'fields, F>(pub(crate) &'fields mut F);

impl<'text, F: Fields<'text>> DeserializeSeed<'text> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'text>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'text, F: Fields<'text>> Visitor<'text> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u64;
        while let Some(index) = map.next_key_seed(Position(self.0.keys()))? {
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & 1 << index != 0 {
                let key = self.0.keys()[index];
                return Err(A::Error::custom(format_args!("the key {key} stands twice")));
            }
            seen |= 1 << index;
            self.0.read(index, &mut map)?;
        }
        Ok(())
    }
}

/// Reads a key and tells its place among the known ones.
struct Position<'keys>(&'keys [&'keys str]);

impl<'text> DeserializeSeed<'text> for Position<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'text>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key))
    }
}
