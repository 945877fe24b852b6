//! Certificates made here: a CA, and what it signs, both renewed before they end.
//!
//! ```text
//! old CA   |====================================|
//! new CA               |==================================...
//! clients are given  old    | old + new   | new + old    new
//! the server uses    old                  | new
//!                      2 × ahead before   1 × ahead before the old one ends
//! ```
//!
//! So whoever reads the bundle once in the time of `ahead` trusts the new CA before it is used.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{Identity, TlsError};

const DAY: Duration = Duration::from_hours(24);

/// How long things are valid.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A CA.
    pub ca: Duration,
    /// The server's certificate, but never longer than its CA.
    pub leaf: Duration,
    /// How long before its end something is replaced.
    pub ahead: Duration,
}

/// As Gatekeeper has them.
impl Default for Terms {
    fn default() -> Self {
        Self { ca: 3650 * DAY, leaf: 365 * DAY, ahead: 90 * DAY }
    }
}

/// A CA and what it has signed. The keys are in memory only: they end with the program.
#[derive(Debug)]
pub struct SelfSigned {
    names: Vec<String>,
    bundle_file: Option<PathBuf>,
    /// What the file holds.
    written: String,
    terms: Terms,
    /// The CA that signs.
    current: Option<Authority>,
    /// The one that will.
    next: Option<Authority>,
    /// The one that did, as long as it is valid.
    previous: Option<Authority>,
    /// When the server's certificate ends.
    leaf_ends: Option<SystemTime>,
}

#[derive(Debug)]
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    ends: SystemTime,
}

impl SelfSigned {
    /// Nothing is made yet. The certificate is for `names`, DNS names and addresses; what clients have to trust is written to
    /// `bundle_file` whenever it changes.
    #[must_use]
    pub fn new(names: Vec<String>, bundle_file: Option<PathBuf>, terms: Terms) -> Self {
        let written = String::new();
        Self {
            names,
            bundle_file,
            written,
            terms,
            current: None,
            next: None,
            previous: None,
            leaf_ends: None,
        }
    }

    /// What clients have to trust, in PEM form, the CA in use first. Empty before something was served.
    #[must_use]
    pub fn bundle(&self) -> String {
        let authorities = [&self.current, &self.next, &self.previous];
        authorities.into_iter().flatten().map(|authority| authority.pem.as_str()).collect()
    }

    /// Whether something has to be made or replaced.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        let is_near =
            |ends: SystemTime, ahead: Duration| ends.duration_since(now).is_ok_and(|left| left > ahead);
        let ahead = self.terms.ahead;
        !self.leaf_ends.is_some_and(|ends| is_near(ends, ahead))
            || !self.current.as_ref().is_some_and(|current| {
                is_near(current.ends, if self.next.is_some() { ahead } else { ahead * 2 })
            })
            || self.previous.as_ref().is_some_and(|previous| previous.ends < now)
    }

    /// Makes what is due, writes the bundle, and signs a certificate.
    ///
    /// # Errors
    ///
    /// If the names are none, or the bundle cannot be written; then what was served before still can be.
    pub(super) fn identity(&mut self, now: SystemTime) -> Result<Identity, TlsError> {
        let left = |authority: &Authority| authority.ends.duration_since(now).unwrap_or_default();
        self.previous.take_if(|previous| left(previous).is_zero());
        self.current.take_if(|current| left(current).is_zero());
        if self.current.is_none() {
            self.current = match self.next.take() {
                Some(next) => Some(next),
                None => Some(Authority::make(now, self.terms.ca)?),
            };
        }
        let current_left = self.current.as_ref().map(left).unwrap_or_default();
        if self.next.is_none() && current_left <= self.terms.ahead * 2 {
            self.next = Some(Authority::make(now, self.terms.ca)?);
        }
        if current_left <= self.terms.ahead
            && let Some(next) = self.next.take()
        {
            self.previous = self.current.replace(next);
        }
        let bundle = self.bundle();
        if let Some(file) = self.bundle_file.as_deref().filter(|_| bundle != self.written) {
            crate::files::replace(file, &bundle)
                .map_err(|reason| TlsError::Unwritable { file: file.display().to_string(), reason })?;
            self.written = bundle;
        }
        let Some(current) = &self.current else {
            return Err(TlsError::Unusable(rustls::Error::General("there is no CA".to_owned())));
        };
        let (identity, ends) = current.sign(&self.names, now, self.terms.leaf)?;
        self.leaf_ends = Some(ends);
        Ok(identity)
    }
}

impl Authority {
    fn make(now: SystemTime, term: Duration) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "portcullis-webhook CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ends = set_term(&mut params, now, term);
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let (certificate, pem) = (made.der().clone(), made.pem());
        Ok(Self { issuer: Issuer::new(params, key), certificate, pem, ends })
    }

    fn sign(
        &self,
        names: &[String],
        now: SystemTime,
        term: Duration,
    ) -> Result<(Identity, SystemTime), TlsError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "portcullis-webhook");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let left = self.ends.duration_since(now).unwrap_or_default();
        let ends = set_term(&mut params, now, term.min(left));
        let key = KeyPair::generate()?;
        let made = params.signed_by(&key, &self.issuer)?;
        let chain = vec![made.der().clone(), self.certificate.clone()];
        Ok(((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()), ends))
    }
}

/// Valid for `term`, and since a day ago, for clients whose clock is late.
fn set_term(params: &mut CertificateParams, now: SystemTime, term: Duration) -> SystemTime {
    let ends = now.checked_add(term).unwrap_or(now);
    params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    params.not_after = ends.into();
    ends
}
