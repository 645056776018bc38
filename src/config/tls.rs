//! `[server.tls]`: reads and validates the certificate chain and its key.
//!
//! The files are read once, so that what was validated is what is used. No error quotes the key.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    Error, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    sign::{CertifiedKey, SigningKey, SingleCertAndKey},
};
use x509_cert::{Certificate, der::Decode as _};
use zeroize::Zeroize as _;

use super::{report::Report, source};

const CERT: &str = "server.tls.cert_file";
const KEY: &str = "server.tls.key_file";

/// The server's TLS configuration.
#[derive(Clone)]
pub struct Tls {
    /// The certificate and its intermediates, as PEM.
    pub cert_file: PathBuf,
    /// The key of the certificate, as PEM.
    pub key_file: PathBuf,
    /// TLS 1.2 and 1.3 with the contents of both files, for HTTP/1.1.
    pub server: Arc<ServerConfig>,
    /// The earliest expiry of the chain, in seconds of Unix time; 0 for a time before 1970.
    pub not_after: u64,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Reads the two files, or reports what is wrong with them.
pub(super) fn read(cert_file: PathBuf, key_file: PathBuf, report: &mut Report) -> Option<Tls> {
    let chain = chain(&cert_file, report);
    let signer = signer(&key_file, report);
    let ((chain, not_after), signer) = (chain?, signer?);
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) => (),
        Err(Error::InconsistentKeys(_)) => {
            report.problem(KEY, format!(
                "the key does not belong to the first certificate of {}; name the one that does",
                CERT
            ));
            return None;
        }
        Err(_) => {
            report.problem(
                CERT,
                "the first certificate cannot be used; make it an X.509 v3 one",
            );
            return None;
        }
    }
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions();
    let mut server = match server {
        Ok(server) => server
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified))),
        Err(error) => {
            report.problem(KEY, format!("TLS cannot be set up: {error}"));
            return None;
        }
    };
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Tls {
        cert_file,
        key_file,
        server: Arc::new(server),
        not_after,
    })
}

/// The certificates of a file and their earliest expiry.
fn chain(path: &Path, report: &mut Report) -> Option<(Vec<CertificateDer<'static>>, u64)> {
    if !report.is_valid(CERT) {
        return None;
    }
    let chain = match source::certificates(path) {
        Ok(chain) => chain,
        Err(error) => {
            report.problem(
                CERT,
                format!("the file cannot be read ({error}); name a PEM file with the certificate"),
            );
            return None;
        }
    };
    let mut expiries = Vec::new();
    for (certificate, number) in chain.iter().zip(1..) {
        match Certificate::from_der(certificate) {
            Ok(certificate) => {
                let not_after = certificate.tbs_certificate().validity().not_after;
                expiries.push((not_after.to_unix_duration().as_secs(), number));
            }
            Err(_) => {
                let message = format!(
                    "certificate {number} of the file is none; write the chain as X.509 in PEM"
                );
                report.problem(CERT, message);
                return None;
            }
        }
    }
    let Some((not_after, number)) = expiries.into_iter().min() else {
        report.problem(
            CERT,
            "the file holds no certificate; name a PEM file that does",
        );
        return None;
    };
    if not_after < UnixTime::now().as_secs() {
        report.warn(
            CERT,
            format!("certificate {number} of the file has expired; renew it"),
        );
    }
    Some((chain, not_after))
}

/// The private key of a file.
fn signer(path: &Path, report: &mut Report) -> Option<Arc<dyn SigningKey>> {
    if !report.is_valid(KEY) {
        return None;
    }
    let (key, metadata) = match source::private_key(path) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            report.problem(
                KEY,
                "the file is broken; name a PEM file with the private key",
            );
            return None;
        }
        Err(error) => {
            report.problem(
                KEY,
                format!("the file cannot be read ({error}); name a PEM file with the private key"),
            );
            return None;
        }
    };
    let Some(mut der) = key else {
        report.problem(
            KEY,
            "the file holds no private key; name a PEM file that does, without a passphrase",
        );
        return None;
    };
    let signer = ring::sign::any_supported_type(&der);
    der.zeroize();
    // The error may quote the key.
    let Ok(signer) = signer else {
        report.problem(
            KEY,
            "the key cannot be used; make one of RSA (2048 to 4096 bits), P-256, P-384 or Ed25519",
        );
        return None;
    };
    if source::is_open(&metadata) {
        report.warn(
            KEY,
            "others may read or change the key; let only its owner and its group: chmod 640",
        );
    }
    Some(signer)
}
