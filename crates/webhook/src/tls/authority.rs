//! A CA with its key, and the CAs that follow each other: which signs, which will, which did.
//!
//! ```text
//! old CA   |====================================|
//! new CA               |==================================...
//! clients are given  old    | old + new   | new + old    new
//! the server uses    old                  | new
//!                      2 × ahead before   1 × ahead before the old one ends
//! ```
//!
//! So a client that reads the bundle once in the time of `ahead` trusts the new CA before it is used. [`Authorities::advanced`] is a function of
//! what there is and the time, so that several who share them come to the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Identity, TlsError, Validity};

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

/// A CA that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    key_pem: String,
    /// When it ends.
    pub ends: SystemTime,
}

/// Without the key, and so wherever it is printed.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// The CAs of one bundle. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    /// The CA that signs.
    current: Option<Arc<Authority>>,
    /// The one that will.
    next: Option<Arc<Authority>>,
    /// The certificate of the one that did, in PEM form, as long as it is valid.
    previous: Option<(String, SystemTime)>,
}

/// The keys of texts that hold authorities: certificates, and the keys of those that sign.
const CURRENT: (&str, &str) = ("current.crt", "current.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
const PREVIOUS: &str = "previous.crt";
/// What clients have to trust, for who looks for it; nothing is read from it.
const BUNDLE: &str = "ca.crt";

impl Authorities {
    /// What clients have to trust, in PEM form, the CA in use first.
    #[must_use]
    pub fn bundle(&self) -> String {
        let own = [&self.current, &self.next].into_iter().flatten().map(|authority| authority.pem.as_str());
        own.chain(self.previous.iter().map(|(pem, _)| pem.as_str())).collect()
    }

    /// The CA that signs.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<Authority>> {
        self.current.as_ref()
    }

    /// Whether something has to be made or left out.
    #[must_use]
    pub fn is_due(&self, now: SystemTime, terms: &Terms) -> bool {
        let ahead = if self.next.is_some() { terms.ahead } else { terms.ahead * 2 };
        !self.current.as_ref().is_some_and(|current| is_far(current.ends, now, ahead))
            || self.previous.as_ref().is_some_and(|(_, ends)| *ends < now)
    }

    /// What there should be now. Equal to this one if nothing is due.
    ///
    /// # Errors
    ///
    /// If a CA cannot be made.
    pub fn advanced(&self, now: SystemTime, terms: &Terms) -> Result<Self, TlsError> {
        let mut new = self.clone();
        let left = |ends: SystemTime| ends.duration_since(now).unwrap_or_default();
        new.previous.take_if(|(_, ends)| *ends < now);
        new.next.take_if(|next| next.ends < now);
        new.current.take_if(|current| current.ends < now);
        if new.current.is_none() {
            new.current = match new.next.take() {
                Some(next) => Some(next),
                None => Some(Arc::new(Authority::make(now, terms.ca)?)),
            };
        }
        let current_left = new.current.as_ref().map(|current| left(current.ends)).unwrap_or_default();
        if new.next.is_none() && current_left <= terms.ahead * 2 {
            new.next = Some(Arc::new(Authority::make(now, terms.ca)?));
        }
        if current_left <= terms.ahead
            && let Some(next) = new.next.take()
        {
            let old = new.current.replace(next);
            new.previous = old.map(|old| (old.pem.clone(), old.ends));
        }
        Ok(new)
    }

    /// As texts under names, keys included.
    #[must_use]
    pub fn to_texts(&self) -> BTreeMap<&'static str, String> {
        let mut texts = BTreeMap::from([(BUNDLE, self.bundle())]);
        for ((certificate, key), authority) in [(CURRENT, &self.current), (NEXT, &self.next)] {
            if let Some(authority) = authority {
                texts.insert(certificate, authority.pem.clone());
                texts.insert(key, authority.key_pem.clone());
            }
        }
        if let Some((pem, _)) = &self.previous {
            texts.insert(PREVIOUS, pem.clone());
        }
        texts
    }

    /// From such texts. A CA that has ended is still one: [`Authorities::advanced`] replaces it.
    ///
    /// # Errors
    ///
    /// What is wrong with them, without a word of what is in them.
    pub fn from_texts(text: impl Fn(&str) -> Option<String>, now: SystemTime) -> Result<Self, String> {
        let pair = |(certificate, key): (&str, &str)| match (text(certificate), text(key)) {
            (None, None) => Ok(None),
            (Some(pem), Some(secret)) => Authority::read(&pem, &secret, now)
                .map(|authority| Some(Arc::new(authority)))
                .map_err(|why| format!("`{certificate}`: {why}")),
            (None, Some(_)) => Err(format!("there is no text `{certificate}` beside `{key}`")),
            (Some(_), None) => Err(format!("there is no text `{key}` beside `{certificate}`")),
        };
        let current = pair(CURRENT)?
            .ok_or_else(|| format!("expected the texts `{}` and `{}`", CURRENT.0, CURRENT.1))?;
        let previous = match text(PREVIOUS) {
            None => None,
            Some(pem) => {
                let certificate = single(&pem).map_err(|why| format!("`{PREVIOUS}`: {why}"))?;
                let validity =
                    look_at(&certificate, None, now).map_err(|why| format!("`{PREVIOUS}`: {why}"))?;
                Some((to_pem(&certificate), validity.ends))
            }
        };
        Ok(Self { current: Some(current), next: pair(NEXT)?, previous })
    }
}

fn is_far(ends: SystemTime, now: SystemTime, ahead: Duration) -> bool {
    ends.duration_since(now).is_ok_and(|left| left > ahead)
}

impl Authority {
    fn make(now: SystemTime, term: Duration) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "portcullis-webhook CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ends = set_term(&mut params, now, term);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { pem: to_pem(&certificate), certificate, key_pem: key.serialize_pem(), ends })
    }

    fn read(pem: &str, key_pem: &str, now: SystemTime) -> Result<Self, String> {
        let certificate = single(pem)?;
        let key = KeyPair::from_pem(key_pem).map_err(|_| "its key is no private key in PEM form")?;
        let validity = look_at(&certificate, Some(&key), now)?;
        Issuer::from_ca_cert_der(&certificate, &key).map_err(|_| "nothing can be signed with it")?;
        let (pem, key_pem) = (to_pem(&certificate), key_pem.to_owned());
        Ok(Self { certificate, pem, key_pem, ends: validity.ends })
    }

    /// A certificate for names.
    ///
    /// # Errors
    ///
    /// If the names are none.
    pub(super) fn sign(
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
        let issuer = Issuer::from_ca_cert_der(&self.certificate, KeyPair::from_pem(&self.key_pem)?)?;
        let key = KeyPair::generate()?;
        let made = params.signed_by(&key, &issuer)?;
        let chain = vec![made.der().clone(), self.certificate.clone()];
        Ok(((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()), ends))
    }
}

/// The only certificate of a text.
fn single(pem: &str) -> Result<CertificateDer<'static>, &'static str> {
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
    match (all.next(), all.next()) {
        (Some(Ok(certificate)), None) => Ok(certificate),
        _ => Err("expected one certificate in PEM form"),
    }
}

/// Whether this is a CA that may sign servers' certificates, and of this key.
fn look_at(
    certificate: &CertificateDer<'_>,
    key: Option<&KeyPair>,
    now: SystemTime,
) -> Result<Validity, &'static str> {
    let Ok((rest, parsed)) = X509Certificate::from_der(certificate) else {
        return Err("it is no X.509 certificate");
    };
    if !rest.is_empty() {
        return Err("there is something behind the certificate");
    }
    let is_ca = parsed.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    // Without the extension a key may be used for everything.
    let signs = parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    if !is_ca || !signs {
        return Err("it is not the certificate of a CA");
    }
    if key.is_some_and(|key| key.subject_public_key_info() != parsed.public_key().raw) {
        return Err("the key beside it is that of another certificate");
    }
    let validity = Validity::of_chain(std::slice::from_ref(certificate))?;
    if validity.begins > now {
        return Err("it is not valid yet; look at the clocks");
    }
    Ok(validity)
}

/// A certificate as text.
#[must_use]
pub fn to_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    const LINE: usize = 64;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (position, character) in text.chars().enumerate() {
        if position > 0 && position.is_multiple_of(LINE) {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

/// Valid for `term`, and since a day ago, for clients whose clock is late.
fn set_term(params: &mut CertificateParams, now: SystemTime, term: Duration) -> SystemTime {
    let ends = now.checked_add(term).unwrap_or(now);
    params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    params.not_after = ends.into();
    ends
}
