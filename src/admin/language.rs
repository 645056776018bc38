//! The language of the page, from `Accept-Language` (RFC 9110, 12.5.4).

use http::{HeaderMap, header};

/// A language that the page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Portuguese,
}

impl Language {
    /// The language with the higher quality. If they are equal it is the one that comes first, or English.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        let ranges = values.iter().flat_map(|value| value.split(','));
        let ranges: Vec<_> = ranges.filter_map(range).collect();
        let best = |tag| {
            let of = |tag| ranges.iter().position(|(it, _)| *it == tag);
            let place = of(tag).or_else(|| of(Tag::Any));
            place.map_or((0, usize::MAX), |place| (ranges[place].1, place))
        };
        let (english, portuguese) = (best(Tag::English), best(Tag::Portuguese));
        let is_first = portuguese.0 == english.0 && portuguese.0 > 0 && portuguese.1 < english.1;
        if portuguese.0 > english.0 || is_first {
            Self::Portuguese
        } else {
            Self::English
        }
    }

    /// The tag for `lang` (RFC 5646).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Portuguese => "pt-BR",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    English,
    Portuguese,
    Any,
}

/// A range that matches a language of the page, and its quality in thousandths.
fn range(text: &str) -> Option<(Tag, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    let tag = match primary.to_ascii_lowercase().as_str() {
        "en" => Tag::English,
        "pt" => Tag::Portuguese,
        "*" => Tag::Any,
        _ => return None,
    };
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value)
    });
    let quality = quality.map_or(Ok(1.0), |value| value.trim().parse::<f32>());
    // A quality that cannot be read makes the range the last choice.
    let quality = quality.unwrap_or(0.0).clamp(0.0, 1.0);
    Some((tag, (quality * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_language_with_the_higher_quality_is_chosen() {
        for (accept, expected) in [
            ("", "en"),
            ("pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt-BR"),
            ("en-US,en;q=0.9,pt;q=0.8", "en"),
            ("en;q=0.5, pt ; q=0.6", "pt-BR"),
            ("pt;q=0.5, EN;q=0.501", "en"),
            ("PT-pt", "pt-BR"),
            ("de, fr;q=0.9", "en"),
            ("de, pt;q=0.1", "pt-BR"),
            ("pt, en", "pt-BR"),
            ("en, pt", "en"),
            ("*", "en"),
            ("*, pt;q=0.5", "en"),
            ("en;q=0, *", "pt-BR"),
            ("pt;q=0, *", "en"),
            ("pt;q=0", "en"),
            ("pt;q=x", "en"),
            ("ptx, pt;q=NaN", "en"),
        ] {
            let headers = [(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept))];
            let language = Language::negotiate(&HeaderMap::from_iter(headers));
            assert_eq!(language.tag(), expected, "{accept}");
        }
        assert_eq!(Language::negotiate(&HeaderMap::new()), Language::English);
    }
}
