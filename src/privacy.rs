//! The domain: privacy settings, operations on them, and their outcomes.
//!
//! Pure: no HTTP, no JSON, no clock and no vendor's words. Each vendor's module translates between its
//! own language and these types. `failure.rs` has why an operation is not confirmed.

mod failure;

pub use failure::{
    Denied, Failure, Fault, Limiter, Malformed, NoAnswer, Refused, Report, WhatsAppError,
};

/// A privacy setting that both vendors support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Who may see the profile photo.
    ProfilePhoto,
    /// Who may see when the account was last online.
    LastSeen,
    /// Who may see the text about the account.
    About,
    /// Who may see that the account is online now.
    Online,
    /// Who may add the account to groups.
    GroupAdd,
    /// Whether the account sends read receipts.
    ReadReceipts,
}

impl Setting {
    /// Every setting, in the order in which [`Settings`] keeps them.
    pub const ALL: [Self; 6] = [
        Self::ProfilePhoto,
        Self::LastSeen,
        Self::About,
        Self::Online,
        Self::GroupAdd,
        Self::ReadReceipts,
    ];
}

/// To whom a setting applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    Everyone,
    Contacts,
    /// The account's contacts except those on the setting's list.
    ContactsExcept,
    Nobody,
    /// The audience of [`Setting::LastSeen`]; for [`Setting::Online`] only.
    SameAsLastSeen,
}

/// A new value for one setting. Values are absolute, so a change is idempotent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub setting: Setting,
    pub audience: Audience,
}

/// What a client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Change(Change),
    /// Return the current settings.
    Read,
}

impl Operation {
    #[must_use]
    pub fn change(self) -> Option<Change> {
        match self {
            Self::Change(change) => Some(change),
            Self::Read => None,
        }
    }

    #[must_use]
    pub fn setting(self) -> Option<Setting> {
        self.change().map(|change| change.setting)
    }
}

/// At most one value per setting: an update of some settings, or a snapshot, in which a value that was
/// not understood is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings([Option<Audience>; Setting::ALL.len()]);

impl Settings {
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<Audience> {
        self.0[setting as usize]
    }

    pub fn set(&mut self, setting: Setting, audience: Audience) {
        self.0[setting as usize] = Some(audience);
    }

    /// The settings that have a value.
    pub fn iter(&self) -> impl Iterator<Item = Change> + '_ {
        Setting::ALL.into_iter().filter_map(|setting| {
            self.get(setting)
                .map(|audience| Change { setting, audience })
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl FromIterator<Change> for Settings {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut settings = Self::default();
        for change in changes {
            settings.set(change.setting, change.audience);
        }
        settings
    }
}

/// The outcome of an operation: the current settings, in which a change is confirmed, or the failure.
pub type Outcome = Result<Settings, Failure>;
