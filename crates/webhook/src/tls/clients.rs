//! Who may connect: clients with a certificate of a CA, and a name that is allowed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{TlsError, read_certificates};

/// What clients have to show.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The certificates of the CAs that sign theirs, in PEM form.
    pub ca_file: PathBuf,
    /// The names of which their certificate has one, as common name or as alternative name.
    pub names: Vec<String>,
}

impl Clients {
    /// Reads the CA file.
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(&self.ca_file)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::unreadable(&self.ca_file, "CA certificate", error))?;
        }
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| TlsError::unreadable(&self.ca_file, "CA certificate", error))?;
        Ok(Arc::new(Named { inner, names: self.names.clone() }))
    }
}

/// A verifier that looks at the name after the signatures.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

/// The certificate is good, but of somebody else.
#[derive(thiserror::Error)]
#[error("the client is {found}; `--client-name` allows {allowed}")]
struct WrongName {
    found: String,
    allowed: String,
}

/// What rustls prints of it.
impl fmt::Debug for WrongName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let found = names(end_entity).ok_or(CertificateError::BadEncoding)?;
        if found.iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        let list = |names: &[String]| {
            names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ")
        };
        let found = if found.is_empty() { "without a name".to_owned() } else { list(&found) };
        let wrong = WrongName { found, allowed: list(&self.names) };
        Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Common names, then alternative names; `None` if it is no certificate.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut names: Vec<String> = subject.map(str::to_owned).collect();
    if let Some(alternative) = certificate.subject_alternative_name().ok()? {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) => names.push((*name).to_owned()),
                _ => {}
            }
        }
    }
    Some(names)
}
