//! `caBundle`: how API servers know a certificate that we made. Ours are in it, those of others stay.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::tls::{Validity, to_pem};

/// CAs that a bundle keeps when it is written: ours, and of others the newest that have not ended.
const KEPT: usize = 8;

/// What a bundle should be instead of what it is, both in base64 as the API has them; `None` if it may stay. It may not if one of ours is
/// missing, or if it cannot be read to its end: an API server may refuse all of it then.
#[must_use]
pub fn mended(live: &str, ours: &[CertificateDer<'static>], now: SystemTime) -> Option<String> {
    let (found, is_whole) = read(live);
    if is_whole && ours.iter().all(|own| found.contains(own)) {
        return None;
    }
    let mut others: Vec<&CertificateDer<'_>> = Vec::new();
    for other in &found {
        let has_ended = Validity::of_chain(std::slice::from_ref(other)).is_ok_and(|other| other.ends < now);
        if !has_ended && !ours.contains(other) && !others.contains(&other) {
            others.push(other);
        }
    }
    let first = others.len().saturating_sub(KEPT.saturating_sub(ours.len()));
    let kept = others.into_iter().skip(first).chain(ours);
    Some(STANDARD.encode(kept.map(to_pem).collect::<String>()))
}

/// The certificates of a bundle, and whether that was all of it.
fn read(bundle: &str) -> (Vec<CertificateDer<'static>>, bool) {
    let Ok(bytes) = STANDARD.decode(bundle) else { return (Vec::new(), false) };
    let (mut found, mut is_whole) = (Vec::new(), true);
    for item in CertificateDer::pem_slice_iter(&bytes) {
        match item {
            Ok(certificate) if Validity::of_chain(std::slice::from_ref(&certificate)).is_ok() => {
                found.push(certificate);
            }
            Ok(_) => is_whole = false,
            // What comes after it is not known.
            Err(_) => return (found, false),
        }
    }
    (found, is_whole)
}

/// The certificates of a text in PEM form, as far as they can be read.
#[must_use]
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map_while(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::tls::{Authorities, Terms};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000)
    }

    fn ca(years: u64) -> CertificateDer<'static> {
        let terms = Terms { ca: Duration::from_hours(24 * 365 * years), ..Terms::default() };
        let made = Authorities::default().advanced(now(), &terms).unwrap();
        certificates(&made.bundle()).remove(0)
    }

    fn text(bundle: &str) -> String {
        String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap()
    }

    #[test]
    fn whatever_a_bundle_is_ours_are_in_it_afterwards_and_then_it_stays() {
        let (ours, other) = ([ca(10), ca(10)], ca(10));
        let broken =
            format!("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n{}", to_pem(&other));
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = to_pem(&ours[0]).replace("-----END CERTIFICATE-----", "");
        for pem in ["", "\n", "nonsense", &broken, no_certificate, &cut, &to_pem(&other), &to_pem(&ours[0])] {
            for live in [STANDARD.encode(pem), format!("!{pem}")] {
                let new = mended(&live, &ours, now()).expect("it lacks something");
                assert!(ours.iter().all(|own| read(&new).0.contains(own)), "{pem}");
                assert_eq!(mended(&new, &ours, now()), None, "{pem}");
            }
        }
        // In whatever order and company, with words between.
        let fine =
            format!("# ours\r\n{}\n# theirs\n{}{}", to_pem(&ours[1]), to_pem(&other), to_pem(&ours[0]));
        assert_eq!(mended(&STANDARD.encode(&fine), &ours, now()), None);
        // A broken block beside ours is taken out.
        let mixed = STANDARD.encode(format!("{}{}{no_certificate}", to_pem(&ours[0]), to_pem(&ours[1])));
        let new = mended(&mixed, &ours, now()).expect("it has a broken part");
        assert_eq!(read(&new), (ours.to_vec(), true));
    }

    #[test]
    fn others_stay_until_they_end_and_the_oldest_go_but_never_ours() {
        let ours = [ca(10)];
        let others: Vec<_> = (0..10).map(|_| ca(10)).collect();
        let ended = ca(0);
        let live: String = std::iter::once(&ended).chain(&others).map(to_pem).collect();
        let later = now() + Duration::from_hours(1);
        let (found, _) = read(&mended(&STANDARD.encode(live), &ours, later).unwrap());
        assert_eq!(found[..7], others[3..]);
        assert_eq!(found[7..], ours);
        let live = STANDARD.encode(format!("{}{}", to_pem(&ended), to_pem(&others[0])));
        let (found, _) = read(&mended(&live, &ours, later).unwrap());
        assert_eq!(found, [others[0].clone(), ours[0].clone()]);
        // Ours alone may be more than are kept.
        let many: Vec<_> = (0..9).map(|_| ca(10)).collect();
        assert_eq!(text(&mended("", &many, now()).unwrap()).matches("BEGIN").count(), 9);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), raw in ".{0,60}") {
            let ours = [CertificateDer::from(vec![1])];
            for live in [STANDARD.encode(bytes), raw] {
                let _ = mended(&live, &ours, now());
            }
        }
    }
}
