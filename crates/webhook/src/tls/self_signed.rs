//! Certificates made here: what a CA signs, renewed before it ends. The CA is our own, or one that several replicas share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use super::authority::{Authorities, Authority, Terms};
use super::{Identity, TlsError};

/// The CAs that several share, once they are known: who keeps them puts them here when clients trust them.
pub type Shared = Arc<ArcSwapOption<Authorities>>;

/// Whose CA signs.
#[derive(Clone, Debug)]
pub enum Origin {
    /// One of our own, in memory only: it ends with the program.
    Own,
    /// The one that is there. Until there is one, something is served that nobody trusts.
    Shared(Shared),
}

/// What is signed, and by which CA.
#[derive(Debug)]
pub struct SelfSigned {
    names: Vec<String>,
    bundle_file: Option<PathBuf>,
    /// What was written to the file.
    written: Option<String>,
    terms: Terms,
    origin: Origin,
    authorities: Authorities,
    /// The server's certificate: who signed it, and when it ends.
    leaf: Option<(Arc<Authority>, SystemTime)>,
}

impl SelfSigned {
    /// Nothing is made yet. The certificate is for `names`, DNS names and addresses; what clients have to trust is written to
    /// `bundle_file` whenever it changes.
    #[must_use]
    pub fn new(names: Vec<String>, bundle_file: Option<PathBuf>, terms: Terms, origin: Origin) -> Self {
        Self {
            names,
            bundle_file,
            written: None,
            terms,
            origin,
            authorities: Authorities::default(),
            leaf: None,
        }
    }

    /// What clients have to trust, in PEM form, the CA in use first. Empty before something was served, and as long as nobody should
    /// trust it.
    #[must_use]
    pub fn bundle(&self) -> String {
        if self.is_stand_in() { String::new() } else { self.authorities.bundle() }
    }

    /// Whether what is served only stands in for what is not known yet.
    fn is_stand_in(&self) -> bool {
        matches!(&self.origin, Origin::Shared(shared) if shared.load().is_none())
    }

    /// Whether something has to be made or replaced.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        let Some((issuer, ends)) = &self.leaf else { return true };
        let is_near = !ends.duration_since(now).is_ok_and(|left| left > self.terms.ahead);
        // A CA that nobody replaces in time gives no longer one.
        (is_near && *ends < issuer.ends)
            || match &self.origin {
                Origin::Own => self.authorities.is_due(now, &self.terms),
                Origin::Shared(shared) => shared
                    .load()
                    .as_ref()
                    .is_some_and(|shared| shared.current() != Some(issuer) || **shared != self.authorities),
            }
    }

    /// Makes what is due, writes the bundle, and signs a certificate.
    ///
    /// # Errors
    ///
    /// If the names are none, or the bundle cannot be written; then what was served before still can be.
    pub(super) fn identity(&mut self, now: SystemTime) -> Result<Identity, TlsError> {
        let shared = match &self.origin {
            Origin::Shared(shared) => shared.load_full(),
            Origin::Own => None,
        };
        self.authorities = match shared {
            Some(shared) => (*shared).clone(),
            None => self.authorities.advanced(now, &self.terms)?,
        };
        let bundle = self.bundle();
        if let Some(file) = self.bundle_file.as_deref().filter(|_| self.written.as_ref() != Some(&bundle)) {
            crate::files::replace(file, &bundle)
                .map_err(|reason| TlsError::Unwritable { file: file.display().to_string(), reason })?;
            self.written = Some(bundle);
        }
        let Some(current) = self.authorities.current() else {
            return Err(TlsError::Unusable(rustls::Error::General("there is no CA".to_owned())));
        };
        let (identity, ends) = current.sign(&self.names, now, self.terms.leaf)?;
        self.leaf = Some((Arc::clone(current), ends));
        Ok(identity)
    }
}
