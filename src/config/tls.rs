//! `[server.tls]`: the certificate and its key are read, and found to belong together, once, so that
//! what was checked is what is used. Nothing of the key is ever printed.

use std::{fmt, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use rustls::{
    Error, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject as _},
    },
    sign::{CertifiedKey, SigningKey, SingleCertAndKey},
};
use x509_cert::{Certificate, der::Decode as _};
use zeroize::Zeroize as _;

use super::{
    source,
    table::{Key, Table},
};

/// What nobody but the owner of a key's file needs; its group may read it.
const TOO_OPEN: u32 = 0o037;

/// `[server.tls]`: how callers who speak TLS are served.
#[derive(Clone)]
pub struct Tls {
    /// The certificate and those between it and its authority, as PEM.
    pub cert_file: PathBuf,
    /// The key of the certificate, as PEM.
    pub key_file: PathBuf,
    /// What the two files hold, as TLS 1.2 and 1.3 for HTTP/1.1 need it.
    pub server: Arc<ServerConfig>,
    /// When the first of the certificates expires, in seconds of Unix time; 0 if before 1970.
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

/// Reads the table and the files that it names.
pub(super) fn tls(table: &mut Table<'_>) -> Option<Tls> {
    let certificate = table.required("cert_file");
    let key = table.required("key_file");
    let chain = chain(&certificate);
    let signer = signer(&key);
    let (cert_file, chain, not_after) = chain?;
    let (key_file, signer) = signer?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) => (),
        Err(Error::InconsistentKeys(_)) => {
            key.problem(format!(
                "the key does not belong to the first certificate of {}; name the one that does",
                certificate.path()
            ));
            return None;
        }
        Err(error) => {
            certificate.problem(format!(
                "the first certificate cannot be used ({error}); make it an X.509 v3 one"
            ));
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
            key.problem(format!("TLS cannot be set up: {error}"));
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

/// The certificates of a file, and the earliest time at which one of them expires.
fn chain(key: &Key<'_>) -> Option<(PathBuf, Vec<CertificateDer<'static>>, u64)> {
    let path = PathBuf::from(key.text()?);
    let chain = match source::certificates(&path) {
        Ok(chain) => chain,
        Err(error) => {
            key.problem(format!(
                "the file cannot be read ({error}); name a PEM file with the certificate"
            ));
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
            Err(error) => {
                key.problem(format!(
                    "certificate {number} of the file is none ({error}); write the chain as X.509 in PEM"
                ));
                return None;
            }
        }
    }
    let Some((not_after, number)) = expiries.into_iter().min() else {
        key.problem("the file holds no certificate; name a PEM file that does");
        return None;
    };
    if not_after < UnixTime::now().as_secs() {
        key.warn(format!(
            "certificate {number} of the file has expired; renew it"
        ));
    }
    Some((path, chain, not_after))
}

/// The private key of a file.
fn signer(key: &Key<'_>) -> Option<(PathBuf, Arc<dyn SigningKey>)> {
    let path = PathBuf::from(key.text()?);
    let (text, metadata) = match source::pem(&path) {
        Ok(read) => read,
        Err(error) => {
            key.problem(format!(
                "the file cannot be read ({error}); name a PEM file with the private key"
            ));
            return None;
        }
    };
    let mut der = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(der) => der,
        Err(pem::Error::NoItemsFound) => {
            key.problem(
                "the file holds no private key; name a PEM file that does, without a passphrase",
            );
            return None;
        }
        Err(_) => {
            key.problem("the file is broken; name a PEM file with the private key");
            return None;
        }
    };
    let signer = ring::sign::any_supported_type(&der);
    der.zeroize();
    // The error may quote the key.
    let Ok(signer) = signer else {
        key.problem(
            "the key cannot be used; make one of RSA (2048 to 4096 bits), P-256, P-384 or Ed25519",
        );
        return None;
    };
    if metadata.permissions().mode() & TOO_OPEN != 0 {
        key.warn("others may read or change the key; let only its owner and its group: chmod 640");
    }
    Some((path, signer))
}
