//! The domain: what a caller wants done and what became of it.
//!
//! Pure: no HTTP, no JSON, no clock and no vendor's word belongs here. Each vendor's module
//! translates between its own language and these types.

use std::time::Duration;

/// A privacy setting that both vendors can change.
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
    /// Whether the account tells others that it has read their messages.
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
    /// Everybody.
    Everyone,
    /// The account's contacts.
    Contacts,
    /// The account's contacts but those on the list that belongs to the setting.
    ContactsExcept,
    /// Nobody.
    Nobody,
    /// Whoever may see when the account was last online; for [`Setting::Online`] alone.
    SameAsLastSeen,
}

/// One setting and the value that the caller wants it to have. Values are absolute, so carrying a
/// change out twice is the same as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is to be changed.
    pub setting: Setting,
    /// What it is to become.
    pub audience: Audience,
}

/// What a caller wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// One setting is to be changed.
    Change(Change),
    /// The settings are to be told as they are.
    Read,
}

impl Operation {
    /// The change, if it is one.
    #[must_use]
    pub fn change(self) -> Option<Change> {
        match self {
            Self::Change(change) => Some(change),
            Self::Read => None,
        }
    }

    /// The setting that it changes, if it does.
    #[must_use]
    pub fn setting(self) -> Option<Setting> {
        self.change().map(|change| change.setting)
    }
}

/// One value per setting, or none: an update that touches some settings, or a snapshot in which
/// some could not be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings([Option<Audience>; Setting::ALL.len()]);

impl Settings {
    /// The value of one setting, if there is one.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<Audience> {
        self.0[setting as usize]
    }

    /// Gives one setting a value, over the one it had.
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

    /// Whether no setting has a value.
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

/// Why an operation is not said to be done. Every variant but [`Failure::Unknown`] and
/// [`Failure::Upstream`] promises that a change was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The budget would have let it out too late. Nothing was sent.
    Budget {
        /// The earliest time from now at which a new change would be admitted.
        retry_after: Duration,
    },
    /// The budget is shared with other processes, and what they share is unavailable. Nothing was sent.
    BudgetUnavailable {
        /// When it is expected to be available, from now.
        retry_after: Duration,
    },
    /// Somebody further on refused it for its pace.
    Throttled {
        /// Whose limit it was.
        by: Limiter,
        /// When that limit is expected to be lifted, from now.
        retry_after: Duration,
    },
    /// The account is not connected to WhatsApp.
    NotConnected,
    /// The upstream denies the gateway the account: only the operator can cure it.
    Denied {
        /// What the upstream said, free of secrets.
        reason: String,
    },
    /// Nobody can cure it: repeating it is of no use.
    Refused {
        /// What the upstream said, free of secrets.
        reason: String,
    },
    /// The upstream failed, or did not confirm what was asked of it.
    Upstream {
        /// What the upstream said or what went wrong, free of secrets.
        reason: String,
    },
    /// The caller's deadline came, or the gateway's end, before it was sent. Nothing was changed.
    NotSent,
    /// As many calls as may wait for the instance did so already. Nothing was sent.
    QueueFull,
    /// It was sent and the answer did not come: it may take effect still.
    Unknown,
}

impl Failure {
    /// Whether a change may have been carried out all the same.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        matches!(self, Self::Upstream { .. } | Self::Unknown)
    }
}

/// Whose limit a [`Failure::Throttled`] met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// The upstream's own limit on requests.
    Upstream,
    /// WhatsApp's limit on the account.
    WhatsApp,
}

/// What became of an operation: the settings as they are now, in which a change is confirmed, or why
/// they are not known.
pub type Outcome = Result<Settings, Failure>;
