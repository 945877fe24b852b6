//! Certificates: from files, which may change, or made at the start. TLS 1.3 only, as Gatekeeper by default.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// PEM files: the chain, and the key.
    Files {
        /// The chain, the server's own certificate first.
        chain: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Made at the start, with a CA of its own.
    SelfSigned {
        /// Where the CA's certificate is written, for clients.
        ca_file: Option<PathBuf>,
        /// Names and addresses that the certificate is for.
        names: Vec<String>,
    },
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or no PEM.
    #[error("{file}: expected a {expected} in PEM form: {reason}")]
    Unreadable {
        /// Which.
        file: String,
        /// What should be in it.
        expected: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// Chain and key do not fit, or cannot be used.
    #[error("the certificate cannot be used: {0}; check that the key belongs to it")]
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

impl Certificate {
    /// The files to watch.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Files { chain, key } => vec![chain.clone(), key.clone()],
            Self::SelfSigned { .. } => Vec::new(),
        }
    }

    /// Reads or makes the certificate.
    ///
    /// # Errors
    ///
    /// If it cannot be served with.
    pub fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let (chain, key) = match self {
            Self::Files { chain, key } => read(chain, key)?,
            Self::SelfSigned { ca_file, names } => make(ca_file.as_deref(), names)?,
        };
        // Named here, so that it depends on nobody having installed it.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(chain: &Path, key: &Path) -> Result<Identity, TlsError> {
    let refuse = |file: &Path, expected, reason: String| TlsError::Unreadable {
        file: file.display().to_string(),
        expected,
        reason,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect);
    let certificates = certificates.map_err(|error| refuse(chain, "certificate", error.to_string()))?;
    if certificates.is_empty() {
        return Err(refuse(chain, "certificate", "there is none in it".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key, "private key", error.to_string()))?;
    Ok((certificates, key))
}

fn make(ca_file: Option<&Path>, names: &[String]) -> Result<Identity, TlsError> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "portcullis-webhook CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let mut leaf = CertificateParams::new(names.to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "portcullis-webhook");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let leaf_certificate = leaf.signed_by(&leaf_key, &issuer)?;
    if let Some(file) = ca_file {
        std::fs::write(file, ca_certificate.pem())
            .map_err(|reason| TlsError::Unwritable { file: file.display().to_string(), reason })?;
    }
    let chain = vec![leaf_certificate.der().clone(), ca_certificate.der().clone()];
    Ok((chain, PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into()))
}
