//! Handshakes in memory, at moments that are made up.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn day(number: u32) -> SystemTime {
    UNIX_EPOCH + DAY * (20_000 + number)
}

#[derive(Debug)]
struct Fixed(SystemTime);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.duration_since(UNIX_EPOCH).unwrap()))
    }
}

/// A chain and its key.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client that trusts a bundle and shows a certificate, at a moment.
fn client(
    bundle: &str,
    shows: Option<Shown>,
    now: SystemTime,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Fixed(now)));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    match shows {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// Shakes hands; what the server says against it comes before what the client says.
fn shake(served: &Served, client: ClientConfig) -> Result<(), rustls::Error> {
    let mut server = ServerConnection::new(Arc::clone(&served.config)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut read = bytes.as_slice();
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut read = bytes.as_slice();
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    Ok(())
}

fn connects(served: &Served, bundle: &str, now: SystemTime) -> bool {
    shake(served, client(bundle, None, now, rustls::ALL_VERSIONS)).is_ok()
}

fn self_signed(bundle: Option<&Path>) -> Tls {
    let terms = Terms { ca: DAY * 100, leaf: DAY * 30, ahead: DAY * 10 };
    let made = SelfSigned::new(vec!["localhost".to_owned()], bundle.map(Into::into), terms, Origin::Own);
    Tls { certificate: Certificate::SelfSigned(Box::new(made)), clients: None, oldest: TlsVersion::V13 }
}

#[test]
fn made_certificates_are_renewed_in_time_and_every_bundle_works_until_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let mut tls = self_signed(Some(&file));
    assert!(tls.is_due(day(0)), "nothing is made yet");
    let mut served = tls.serve(day(0)).unwrap();
    // What the file held on each day.
    let mut bundles = vec![std::fs::read_to_string(&file).unwrap()];
    let mut renewed = Vec::new();
    for number in 1..300_u32 {
        let now = day(number);
        if tls.is_due(now) {
            served = tls.serve(now).unwrap();
            renewed.push(number);
            assert!(!tls.is_due(now), "day {number}: once is enough");
        }
        bundles.push(std::fs::read_to_string(&file).unwrap());
        assert_ne!(served.validity.standing(now), Standing::Ended);
        // Also for a client that reads the file only every nine days.
        let late = number.saturating_sub(9) as usize;
        for bundle in &bundles[late..] {
            assert!(connects(&served, bundle, now), "day {number}");
        }
    }
    // The server's certificate every 20 days, the next CA on day 80 of each, its use on day 90.
    assert_eq!(renewed[..6], [20, 40, 60, 80, 90, 101], "{renewed:?}");
    let authorities = |number: usize| bundles[number].matches("BEGIN CERTIFICATE").count();
    assert_eq!([79, 80, 90, 101].map(authorities), [1, 2, 2, 1]);
    assert!(!connects(&served, &bundles[0], day(299)), "the first bundle is worth nothing in the end");
}

#[test]
fn a_bundle_that_cannot_be_written_is_said() {
    let mut tls = self_signed(Some(Path::new("/nowhere/at/all/ca.pem")));
    let error = tls.serve(day(0)).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/at/all/ca.pem: the CA certificate could not be written"), "{error}");
}

#[test]
fn an_expired_certificate_is_told_from_one_that_ends_soon() {
    let mut tls = self_signed(None);
    let served = tls.serve(day(0)).unwrap();
    let cases = [
        (10, Standing::Valid, "valid for 20 days"),
        (20, Standing::EndsSoon, "valid for 10 days"),
        (33, Standing::Ended, "expired 3 days ago, clients refuse it"),
    ];
    for (number, standing, text) in cases {
        let now = day(number);
        assert_eq!(served.validity.standing(now), standing, "day {number}");
        assert_eq!(served.validity.describe(now), text);
        assert_eq!(connects(&served, &bundle(&tls), now), standing != Standing::Ended, "day {number}");
    }
    assert_eq!(served.validity.standing(day(0) - DAY * 3), Standing::NotYet);
}

fn bundle(tls: &Tls) -> String {
    match &tls.certificate {
        Certificate::SelfSigned(made) => made.bundle(),
        Certificate::Files { .. } => String::new(),
    }
}

#[test]
fn the_oldest_version_is_as_asked_for() {
    for (oldest, expected) in [(TlsVersion::V12, true), (TlsVersion::V13, false)] {
        let mut tls = Tls { oldest, ..self_signed(None) };
        let served = tls.serve(day(0)).unwrap();
        let old = client(&bundle(&tls), None, day(0), &[&rustls::version::TLS12]);
        assert_eq!(shake(&served, old).is_ok(), expected, "{oldest:?}");
        assert!(connects(&served, &bundle(&tls), day(0)));
    }
}

/// A CA for clients.
struct ClientCa(Issuer<'static, KeyPair>, String);

impl ClientCa {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, common: &str, alternative: &[&str]) -> Shown {
        let alternative: Vec<String> = alternative.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(alternative).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.0).unwrap();
        (vec![made.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

#[test]
fn only_clients_of_the_ca_with_an_allowed_name_connect() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("client-ca.pem");
    let (ours, others) = (ClientCa::new(), ClientCa::new());
    std::fs::write(&ca_file, &ours.1).unwrap();
    let names = vec!["kube-apiserver".to_owned(), "probe.example.com".to_owned()];
    let clients = Some(Clients { ca_file: ca_file.clone(), names });
    let now = SystemTime::now();
    for oldest in [TlsVersion::V12, TlsVersion::V13] {
        let mut tls = Tls { clients: clients.clone(), oldest, ..self_signed(None) };
        let served = tls.serve(now).unwrap();
        let versions: &[_] = oldest.and_newer().get(..1).unwrap();
        let ask = |served: &Served, shows| shake(served, client(&bundle(&tls), shows, now, versions));
        assert_eq!(ask(&served, Some(ours.sign("kube-apiserver", &[]))), Ok(()));
        assert_eq!(ask(&served, Some(ours.sign("anybody", &["probe.example.com"]))), Ok(()));
        for (shows, why) in [
            (
                Some(ours.sign("anybody", &["x.example.com"])),
                "the client is `anybody`, `x.example.com`; `--client-name` allows",
            ),
            (Some(ours.sign("kube-apiserver2", &[])), "`kube-apiserver2`"),
            (Some(others.sign("kube-apiserver", &[])), "invalid peer certificate"),
            (None, "peer sent no certificates"),
        ] {
            let error = ask(&served, shows).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
    // The CA is read again with everything else.
    let mut tls = Tls { clients, ..self_signed(None) };
    tls.serve(now).unwrap();
    assert_eq!(tls.files(), std::slice::from_ref(&ca_file));
    std::fs::write(&ca_file, &others.1).unwrap();
    let served = tls.serve(now).unwrap();
    let ask = |shows| shake(&served, client(&bundle(&tls), Some(shows), now, rustls::ALL_VERSIONS)).is_ok();
    assert!(ask(others.sign("kube-apiserver", &[])) && !ask(ours.sign("kube-apiserver", &[])));
    std::fs::write(&ca_file, "no certificate").unwrap();
    let error = tls.serve(now).unwrap_err().to_string();
    assert!(error.contains("client-ca.pem: expected a certificate in PEM form"), "{error}");
}
