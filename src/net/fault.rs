//! Why there is no connection to an upstream.

use std::{fmt, io};

use rustls::Error as TlsError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFault {
    Refused,
    TimedOut,
    /// The host name has no address.
    NameNotKnown,
    /// The peer's certificate is not valid or not trusted.
    Certificate,
    /// The TLS handshake failed for another reason.
    Tls,
    /// The peer closed the connection before a byte was sent.
    Closed,
    Other,
}

impl From<&io::Error> for ConnectFault {
    /// The fault by an error of [`Connect`](super::Connect).
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::NotFound => Self::NameNotKnown,
            io::ErrorKind::InvalidData => {
                let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
                match cause {
                    Some(TlsError::InvalidCertificate(_)) => Self::Certificate,
                    _ => Self::Tls,
                }
            }
            _ => Self::Other,
        }
    }
}

impl ConnectFault {
    /// Whether the peer was reached and its TLS handshake failed.
    #[must_use]
    pub fn is_of_tls(self) -> bool {
        matches!(self, Self::Certificate | Self::Tls)
    }
}

impl fmt::Display for ConnectFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "no connection in time",
            Self::NameNotKnown => "its host is not known",
            Self::Certificate => "its certificate is not valid or not trusted",
            Self::Tls => "the TLS handshake failed",
            Self::Closed => "the connection was closed at once",
            Self::Other => "no connection",
        })
    }
}
