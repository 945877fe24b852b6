//! What connections are served with: a certificate, the versions of TLS, and who may connect.
//!
//! ```text
//! Certificate (files | self-signed) ─┐
//! Clients (CA file, names) ──────────┼─ Tls::serve(now) ──> Served { ServerConfig, Validity }
//! oldest version ────────────────────┘
//! ```
//!
//! Everything is read again when it changes; what is broken then does not replace what works.

mod authority;
mod clients;
mod self_signed;
mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion};

pub use authority::{Authorities, Authority, Terms, to_pem};
pub use clients::Clients;
pub use self_signed::{Origin, SelfSigned, Shared};
pub use validity::{Standing, Validity};

/// Where the certificate comes from.
#[derive(Debug)]
pub enum Certificate {
    /// PEM files: the chain, and the key.
    Files {
        /// The chain, the server's own certificate first.
        chain: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Made here.
    SelfSigned(Box<SelfSigned>),
}

/// The oldest version of TLS that clients may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[value(name = "1.2")]
    V12,
    /// TLS 1.3.
    #[default]
    #[value(name = "1.3")]
    V13,
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        const SINCE_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];
        const SINCE_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self {
            Self::V12 => SINCE_12,
            Self::V13 => SINCE_13,
        }
    }
}

/// Everything that connections depend on.
#[derive(Debug)]
pub struct Tls {
    /// What the server shows.
    pub certificate: Certificate,
    /// Who may connect; anybody if there is none.
    pub clients: Option<Clients>,
    /// The oldest version.
    pub oldest: TlsVersion,
}

/// What connections are served with from now on.
#[derive(Clone, Debug)]
pub struct Served {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    /// From when to when the whole chain is valid.
    pub validity: Validity,
}

/// Why there is nothing to serve connections with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there.
    #[error("{file}: the {expected} cannot be read: {reason}")]
    Missing {
        /// Which.
        file: String,
        /// What should be in it.
        expected: &'static str,
        /// Why not.
        reason: std::io::Error,
    },
    /// A file is no PEM.
    #[error("{file}: expected a {expected} in PEM form: {reason}")]
    Unreadable {
        /// Which.
        file: String,
        /// What should be in it.
        expected: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// Chain and key do not fit.
    #[error(
        "{key}: this is not the key of the first certificate in {chain}; give the key that it was issued for, and the server's own certificate before those of CAs"
    )]
    Mismatch {
        /// The file of the chain.
        chain: String,
        /// The file of the key.
        key: String,
    },
    /// They cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}; check the names in `--self-signed-name`")]
    Unmade(#[from] rcgen::Error),
    /// The CA's certificate could not be written.
    #[error("{file}: the CA certificate could not be written: {reason}")]
    Unwritable {
        /// Where to.
        file: String,
        /// Why not.
        reason: std::io::Error,
    },
}

impl TlsError {
    fn unreadable(file: &Path, expected: &'static str, reason: impl ToString) -> Self {
        Self::Unreadable { file: file.display().to_string(), expected, reason: reason.to_string() }
    }

    fn pem(file: &Path, expected: &'static str, error: pem::Error) -> Self {
        match error {
            pem::Error::Io(reason) => Self::Missing { file: file.display().to_string(), expected, reason },
            pem::Error::NoItemsFound => Self::unreadable(file, expected, "there is none in it"),
            error => Self::unreadable(file, expected, error),
        }
    }
}

/// A chain and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Tls {
    /// The files to watch.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let own = match &self.certificate {
            Certificate::Files { chain, key } => vec![chain.clone(), key.clone()],
            Certificate::SelfSigned(_) => Vec::new(),
        };
        own.into_iter().chain(self.clients.iter().map(|clients| clients.ca_file.clone())).collect()
    }

    /// Whether it is time to make a certificate, though no file has changed.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        match &self.certificate {
            Certificate::Files { .. } => false,
            Certificate::SelfSigned(made) => made.is_due(now),
        }
    }

    /// Reads what comes from files, and makes what is due. An expired certificate is served all the same: clients refuse it, and
    /// that is seen, while a webhook that does not start is for `failurePolicy` to judge.
    ///
    /// # Errors
    ///
    /// If it cannot be served with.
    pub fn serve(&mut self, now: SystemTime) -> Result<Served, TlsError> {
        let (chain, key) = match &mut self.certificate {
            Certificate::Files { chain, key } => read(chain, key)?,
            Certificate::SelfSigned(made) => made.identity(now)?,
        };
        let validity = Validity::of_chain(&chain)
            .map_err(|reason| TlsError::Unusable(rustls::Error::General(reason.to_owned())))?;
        // Named here, so that it depends on nobody having installed it.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Option<Arc<dyn ClientCertVerifier>> = match &self.clients {
            Some(clients) => Some(clients.verifier(&provider)?),
            None => None,
        };
        let config =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(self.oldest.and_newer())?;
        let config = match verifier {
            Some(verifier) => config.with_client_cert_verifier(verifier),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(|error| self.unusable(error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Served { config: Arc::new(config), validity })
    }

    fn unusable(&self, error: rustls::Error) -> TlsError {
        match (&self.certificate, error) {
            (Certificate::Files { chain, key }, rustls::Error::InconsistentKeys(_)) => {
                TlsError::Mismatch { chain: chain.display().to_string(), key: key.display().to_string() }
            }
            (_, error) => TlsError::Unusable(error),
        }
    }
}

fn read(chain: &Path, key: &Path) -> Result<Identity, TlsError> {
    let certificates = read_certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::pem(key, "private key", error))?;
    Ok((certificates, key))
}

/// All certificates of a PEM file; at least one.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let certificates = certificates.map_err(|error| TlsError::pem(file, "certificate", error))?;
    if certificates.is_empty() {
        return Err(TlsError::unreadable(file, "certificate", "there is none in it"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
