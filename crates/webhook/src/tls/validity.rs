//! From when to when a chain of certificates is valid, and how that stands now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Both ends inclusive, in whole seconds, as certificates have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begins: SystemTime,
    /// The last.
    pub ends: SystemTime,
}

/// How a validity stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Valid, and not only for a short while.
    Valid,
    /// Valid for less than [`Validity::WARN`].
    EndsSoon,
    /// Not valid any more.
    Ended,
    /// Not valid yet: one of two clocks is wrong, or the wrong file was mounted.
    NotYet,
}

impl Validity {
    /// How long before its end a certificate is talked about. Who renews does so earlier.
    pub const WARN: Duration = Duration::from_hours(14 * 24);

    /// Of a whole chain: as long as each of its certificates.
    ///
    /// # Errors
    ///
    /// A sentence, if one is no certificate.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Result<Self, &'static str> {
        let mut whole: Option<Self> = None;
        for certificate in chain {
            let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
                return Err("a certificate of the chain is no X.509 certificate");
            };
            let validity = certificate.validity();
            let (begins, ends) =
                (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()));
            whole = Some(whole.map_or(Self { begins, ends }, |whole| Self {
                begins: whole.begins.max(begins),
                ends: whole.ends.min(ends),
            }));
        }
        whole.ok_or("the chain has no certificate")
    }

    /// How it stands at a moment.
    #[must_use]
    pub fn standing(&self, now: SystemTime) -> Standing {
        match self.ends.duration_since(now) {
            _ if now < self.begins => Standing::NotYet,
            Err(_) => Standing::Ended,
            Ok(left) if left < Self::WARN => Standing::EndsSoon,
            Ok(_) => Standing::Valid,
        }
    }

    /// The end in seconds since 1970.
    #[must_use]
    pub fn ends_seconds(&self) -> u64 {
        self.ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// A sentence about it, for people.
    #[must_use]
    pub fn describe(&self, now: SystemTime) -> String {
        let away = |moment: SystemTime| {
            let distance = moment.duration_since(now).unwrap_or_else(|error| error.duration()).as_secs();
            match (distance / 86_400, distance / 3600) {
                (0, 0) => format!("{} minutes", distance / 60),
                (0, hours) => format!("{hours} hours"),
                (days, _) => format!("{days} days"),
            }
        };
        match self.standing(now) {
            Standing::Valid | Standing::EndsSoon => format!("valid for {}", away(self.ends)),
            Standing::Ended => format!("expired {} ago, clients refuse it", away(self.ends)),
            Standing::NotYet => format!("valid only in {}, clients refuse it", away(self.begins)),
        }
    }
}

/// Nobody serves with a certificate of before 1970.
fn moment(seconds: i64) -> SystemTime {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or(0));
    // The last year of a certificate is 9999, which fits.
    UNIX_EPOCH.checked_add(seconds).unwrap_or(UNIX_EPOCH)
}
