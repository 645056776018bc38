//! Z-API's words for the values of settings. Source: Z-API's pages on privacy.

use crate::privacy::Audience;

/// The values that a setting takes, in Z-API's words.
pub type Values = &'static [(&'static str, Audience)];

pub(super) const VISUALIZATION: Values = &[
    ("ALL", Audience::Everyone),
    ("NONE", Audience::Nobody),
    ("CONTACTS", Audience::Contacts),
    ("CONTACT_BLACKLIST", Audience::ContactsExcept),
];
pub(super) const ONLINE: Values = &[
    ("ALL", Audience::Everyone),
    ("SAME_LAST_SEEN", Audience::SameAsLastSeen),
];
pub(super) const GROUP_ADD: Values = &[
    ("ALL", Audience::Everyone),
    ("CONTACTS", Audience::Contacts),
    ("CONTACT_BLACKLIST", Audience::ContactsExcept),
];
pub(super) const SWITCH: Values = &[
    ("enable", Audience::Everyone),
    ("disable", Audience::Nobody),
];

/// Z-API's word for a value, if the setting takes it.
pub(super) fn word(values: Values, audience: Audience) -> Option<&'static str> {
    values
        .iter()
        .find_map(|(word, known)| (*known == audience).then_some(*word))
}

/// The value that a word means, if the setting takes it. Letter case counts, as at Z-API.
pub(super) fn audience(values: Values, word: &str) -> Option<Audience> {
    values
        .iter()
        .find_map(|(known, audience)| (*known == word).then_some(*audience))
}
