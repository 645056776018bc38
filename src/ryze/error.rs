//! Errors of a request to Ryze: what each says about the update, and the failure that it gives each call.
//! `response.rs` reads them from responses.

use crate::{
    net::ConnectFault,
    privacy::{Failure, Fault, Malformed, NoAnswer, Setting},
    telemetry::{OutcomeLabel, Reason},
};

/// Why the settings are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No byte of the request was sent. A retry may succeed.
    #[error("Ryze could not be reached: {0}")]
    Unreachable(ConnectFault),
    /// No byte of the request was sent, because TLS failed. A retry is useless.
    #[error("Ryze could not be reached: {0}")]
    Untrusted(ConnectFault),
    /// The request was sent, and its outcome is unknown.
    #[error("Ryze did not answer: {0}")]
    Unknown(NoAnswer),
    /// Ryze responded with an error.
    #[error("Ryze answered with a failure")]
    Answered {
        /// The failure of the setting that failed.
        failure: Failure,
        /// The setting that the response names.
        setting: Option<Setting>,
        /// How much of the update may have been applied.
        progress: Progress,
    },
}

/// How much of an update Ryze may have applied before it failed. Ryze applies the fields one by one and
/// does not roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: Ryze rejected the update before it sent a request to WhatsApp.
    NotStarted,
    /// The fields before the failed one.
    UpToFailedField,
    /// Any of the fields, or all of them.
    Unknown,
}

impl Error {
    /// An error that names no setting.
    pub(super) fn unnamed(progress: Progress, failure: Failure) -> Self {
        Self::Answered {
            failure,
            setting: None,
            progress,
        }
    }

    pub(super) fn no_connection(fault: ConnectFault) -> Self {
        if fault.is_of_tls() {
            Self::Untrusted(fault)
        } else {
            Self::Unreachable(fault)
        }
    }

    /// A response that cannot be read as one of Ryze.
    pub(super) fn malformed(what: Malformed) -> Self {
        let failure = Failure::Upstream(Fault::Malformed(what));
        Self::unnamed(Progress::Unknown, failure)
    }

    /// The label of this error in log and metrics.
    #[must_use]
    pub fn label(&self) -> OutcomeLabel {
        match self {
            Self::Unreachable(_) => OutcomeLabel::Unreachable,
            Self::Untrusted(_) => OutcomeLabel::Untrusted,
            Self::Unknown(_) => OutcomeLabel::NoAnswer,
            Self::Answered { failure, .. } => failure.into(),
        }
    }

    /// Why, in the words of the log.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable(fault) | Self::Untrusted(fault) => (*fault).into(),
            Self::Unknown(cause) => (&Failure::Unknown(*cause)).into(),
            Self::Answered { failure, .. } => failure.into(),
        }
    }

    /// Whether any byte of the request was sent.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted(_))
    }

    /// Whether the outcome of `setting` in an update of `fields` fields is still open: it may have been
    /// applied, or not tried because another field failed.
    #[must_use]
    pub fn leaves_open(&self, setting: Setting, fields: usize) -> bool {
        let (failure, failed, progress) = match self {
            Self::Unreachable(_) | Self::Untrusted(_) => return false,
            Self::Unknown(_) => return true,
            Self::Answered {
                failure,
                setting,
                progress,
            } => (failure, *setting, *progress),
        };
        match progress {
            Progress::NotStarted => false,
            Progress::UpToFailedField => {
                let is_failed_field = failed.map_or(fields == 1, |failed| failed == setting);
                !is_failed_field || failure.leaves_open()
            }
            Progress::Unknown => true,
        }
    }

    /// The failure for a call that changes `setting`, or for a read with `None`.
    #[must_use]
    pub fn failure(&self, setting: Option<Setting>) -> Failure {
        match self {
            Self::Unreachable(fault) | Self::Untrusted(fault) => {
                Failure::Upstream(Fault::Unreachable(*fault))
            }
            Self::Unknown(cause) => Failure::Unknown(*cause),
            Self::Answered {
                setting: failed @ Some(_),
                ..
            } if setting.is_some() && *failed != setting => Failure::Upstream(Fault::OtherSetting),
            Self::Answered { failure, .. } => failure.clone(),
        }
    }
}
