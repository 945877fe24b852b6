//! Connections that do nothing, too many of them, certificates that are wrong, and the end under load.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use arc_swap::ArcSwap;
use portcullis_webhook::connections::{Handle, Most, Rest, Server as Connections};
use portcullis_webhook::server::router;
use portcullis_webhook::tls::{Certificate, Origin, SelfSigned, Terms, Tls, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::program::{Connection, Program, connect, eventually, line, receive, send, speaking, trusting};
use crate::support::{POLICIES, Webhook, occupy, pod, review};

fn policies() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICIES).unwrap();
    directory
}

#[test]
fn a_thousand_clients_that_say_nothing_keep_nobody_waiting() {
    let directory = policies();
    let mut program = Program::start(directory.path(), &[]);
    // Half without a handshake, half with the beginning of a request.
    let (mut silent, mut slow) = (Vec::new(), Vec::new());
    for number in 0..500 {
        silent.push(TcpStream::connect(program.address()).unwrap());
        let mut connection = program.connect();
        connection.get_mut().write_all(b"POST /v1/admit HTTP/1.1\r\nhost: local").unwrap();
        slow.push(connection);
        if number % 50 == 49 {
            // A new connection each time, and one that stays.
            program.connection = None;
            assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
            assert!(program.is_denied(&pod(&json!({"hostIPC": true}))));
            // It was answered while these were still waited for.
            let (silent, slow) = (silent.last_mut().unwrap(), slow.last_mut().unwrap());
            silent.set_nonblocking(true).unwrap();
            slow.get_ref().sock.set_nonblocking(true).unwrap();
            assert!(is_waited_for(silent) && is_waited_for(slow.get_mut()), "beside {number}");
        }
    }
    drop((silent, slow));
    program.stop();
}

/// Whether the other side has neither answered nor ended.
fn is_waited_for(stream: &mut impl Read) -> bool {
    stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A webhook over TLS in this process, with its own patience.
struct Server {
    address: String,
    client: ClientConfig,
    handle: Handle,
    webhook: Webhook,
    _runtime: tokio::runtime::Runtime,
}

fn serve(most: Most, rest: Rest) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let made = SelfSigned::new(vec!["localhost".to_owned()], Some(ca.clone()), Terms::default(), Origin::Own);
    let certificate = Certificate::SelfSigned(Box::new(made));
    let served = Tls { certificate, clients: None, oldest: TlsVersion::V13 }
        .serve(std::time::SystemTime::now())
        .unwrap();
    let webhook = Webhook::new(POLICIES);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let inside = runtime.enter();
    let handle = Handle::default();
    let server = Connections {
        tls: Some(Arc::new(ArcSwap::new(served.config))),
        router: router(Arc::clone(&webhook.state)),
        state: Arc::clone(&webhook.state),
        most,
        rest,
    };
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let ends = handle.clone();
    runtime.spawn(async move { server.serve(listener, &ends).await });
    let client = Arc::try_unwrap(trusting(&ca)).unwrap();
    drop(inside);
    Server { address, client, handle, webhook, _runtime: runtime }
}

/// How long a connection goes on while something is sent again and again; it panics if there is no end.
#[track_caller]
fn lives(
    connection: &mut Connection,
    mut again: impl FnMut(&mut Connection) -> std::io::Result<()>,
) -> Duration {
    let start = Instant::now();
    connection.get_ref().sock.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut bytes = [0; 4096];
    loop {
        assert!(start.elapsed() < Duration::from_mins(1), "it does not end");
        match connection.get_mut().read(&mut bytes) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        if again(connection).is_err() {
            break;
        }
    }
    start.elapsed()
}

#[test]
fn connections_that_ask_for_nothing_end_also_if_they_are_busy_with_it() {
    let rest = Rest { first: Duration::from_millis(600), between: Duration::from_millis(1200) };
    let mut server = serve(Most::within(100, None), rest);
    let not_before = |lived: Duration, least: Duration| {
        // The two clocks do not start at the same moment.
        assert!(lived >= least.saturating_sub(Duration::from_millis(200)), "{lived:?}");
    };
    // HTTP/2: the preface, no settings, then pings for ever.
    server.client.alpn_protocols = vec![b"h2".to_vec()];
    let mut connection = connect(&server.address, &Arc::new(server.client.clone()));
    connection
        .get_mut()
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .unwrap();
    let ping = *b"\x00\x00\x08\x06\x00\x00\x00\x00\x00portcull";
    not_before(lives(&mut connection, |connection| connection.get_mut().write_all(&ping)), rest.first);
    // HTTP/1.1: a head that comes a byte at a time.
    server.client.alpn_protocols.clear();
    let client = Arc::new(server.client.clone());
    let mut connection = connect(&server.address, &client);
    connection.get_mut().write_all(b"POST /v1/admit HTTP/1.1\r\nx: ").unwrap();
    not_before(lives(&mut connection, |connection| connection.get_mut().write_all(b"y")), rest.first);
    // After a request there is more time.
    let mut connection = connect(&server.address, &client);
    let body = review(&pod(&json!({})), "CREATE").to_string();
    send(&mut connection, "POST", "/v1/admit", body.as_bytes());
    assert_eq!(receive(&mut connection).0, 200);
    not_before(lives(&mut connection, |_| Ok(())), rest.between);
    server.handle.shut_down(Duration::ZERO);
}

fn ask(connection: &mut Connection) -> u16 {
    send(connection, "GET", "/healthz", b"");
    receive(connection).0
}

/// Whether the server ends a connection that asks for nothing.
fn is_closed(connection: &mut Connection) -> bool {
    connection.get_mut().read(&mut [0; 9]).is_ok_and(|read| read == 0)
}

fn most(shaking: usize, open: usize) -> Most {
    Most { shaking, open, leaving: 4 }
}

#[test]
fn who_rests_longest_makes_room_for_who_comes() {
    let server = serve(most(8, 2), Rest::default());
    let client = Arc::new(server.client.clone());
    let [mut one, mut two, mut three] = [0; 3].map(|_| connect(&server.address, &client));
    assert_eq!((ask(&mut one), ask(&mut two)), (200, 200));
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(ask(&mut one), 200);
    assert_eq!(ask(&mut three), 200);
    assert!(is_closed(&mut two));
    assert_eq!((ask(&mut one), ask(&mut three)), (200, 200));
    server.handle.shut_down(Duration::ZERO);
}

#[test]
fn nobody_is_let_in_where_something_is_worked_on_for_everybody() {
    let server = serve(most(8, 1), Rest::default());
    let client = Arc::new(server.client.clone());
    let busy = occupy(&server.webhook.state.pool);
    let mut one = connect(&server.address, &client);
    send(&mut one, "POST", "/v1/admit", review(&pod(&json!({})), "CREATE").to_string().as_bytes());
    let memory = &server.webhook.state.memory;
    eventually("its request has come", || {
        memory.used() > 0 && memory.arriving(portcullis_webhook::memory::ConnectionId(1)) == 0
    });
    let mut two = connect(&server.address, &client);
    let sent = two.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!sent.and_then(|()| two.read(&mut [0; 9])).is_ok_and(|read| read > 0));
    eventually("it is counted", || {
        server.webhook.get("/metrics").text.contains("portcullis_connections_refused_total 1\n")
    });
    let log = server.webhook.log.read();
    assert!(log.iter().any(|line| line["error"].as_str().is_some_and(|e| e.contains("--max-connections"))));
    drop(busy);
    assert_eq!(receive(&mut one).0, 200);
    server.handle.shut_down(Duration::ZERO);
}

#[test]
fn who_is_silent_keeps_nobody_out() {
    let server = serve(most(8, 4), Rest::default());
    let client = Arc::new(server.client.clone());
    let silent = || TcpStream::connect(&server.address).unwrap();
    let mut crowd: Vec<TcpStream> = (0..64).map(|_| silent()).collect();
    for _ in 0..12 {
        let mut new = connect(&server.address, &client);
        assert_eq!(ask(&mut new), 200);
        // Those that were closed come back.
        crowd.drain(..8);
        crowd.extend((0..8).map(|_| silent()));
    }
    server.handle.shut_down(Duration::ZERO);
}

#[test]
fn a_connection_that_has_to_go_is_answered_for_what_has_begun_to_come() {
    let server = serve(most(8, 1), Rest::default());
    let client = Arc::new(server.client.clone());
    let mut slow = connect(&server.address, &client);
    let head = b"POST /v1/admit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n";
    slow.get_mut().write_all(head).unwrap();
    slow.get_mut().write_all(b"{\"request\":{\"uid\":\"slow-1\",\"object\":{").unwrap();
    eventually("it has come", || server.webhook.state.memory.used() > 0);
    let mut new = connect(&server.address, &client);
    assert_eq!(ask(&mut new), 200);
    let (http, answer) = receive(&mut slow);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((http, &answer["response"]["uid"]), (200, &json!("slow-1")));
    assert_eq!(answer["response"]["allowed"], false);
    server.handle.shut_down(Duration::ZERO);
}

#[test]
fn probes_are_answered_beside_connections_that_only_hold_their_places() {
    let directory = policies();
    let bundle = directory.path().join("ca.pem");
    let mut command = Program::command(directory.path());
    command.args(["--self-signed", "--ca-file"]).arg(&bundle).args(["--health-listen", "127.0.0.1:0"]);
    let (mut program, probes) = Program::start_logged(command, &bundle);
    let probes = probes["address"].as_str().unwrap();
    let probe = |head: &str| {
        let mut probe = TcpStream::connect(probes).unwrap();
        probe.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = probe.write_all(head.as_bytes());
        let mut answer = [0; 12];
        let read = probe.read(&mut answer).unwrap_or(0);
        (String::from_utf8_lossy(&answer[..read]).into_owned(), probe)
    };
    let mut held = Vec::new();
    for number in 0..300 {
        // Some rest after a request, some begin one, some say nothing.
        let head =
            ["GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", "GET /healthz HTTP/1.1\r\nx: y", ""][number % 3];
        let mut silent = TcpStream::connect(probes).unwrap();
        let _ = silent.write_all(head.as_bytes());
        held.push(silent);
    }
    for _ in 0..5 {
        assert_eq!(probe("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").0, "HTTP/1.1 200");
    }
    // A head that is too large ends; so does a protocol that probes do not speak.
    let large = format!("GET /readyz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
    assert_ne!(probe(&large).0, "HTTP/1.1 200");
    assert_ne!(probe("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").0, "HTTP/1.1 200");
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    drop(held);
    program.stop();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn streams_that_announce_and_do_not_send_keep_nobody_waiting() {
    let mut server = serve(most(8, 8), Rest::default());
    let client = Arc::new(server.client.clone());
    server.client.alpn_protocols = vec![b"h2".to_vec()];
    let mut attack = connect(&server.address, &Arc::new(server.client.clone()));
    let field = |name: &str, value: &str| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [vec![0], text(name), text(value)].concat()
    };
    let head = [
        field(":method", "POST"),
        field(":scheme", "https"),
        field(":authority", "x"),
        field(":path", "/v1/admit?timeout=10s"),
        field("content-type", "application/json"),
        field("content-length", "3145728"),
    ]
    .concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, b""));
    for number in 0..90 {
        bytes.extend(frame(1, 4, 2 * number + 1, &head));
        // A few send something, and stop.
        if number < 5 {
            bytes.extend(frame(0, 0, 2 * number + 1, &[b' '; 8000]));
        }
    }
    attack.get_mut().write_all(&bytes).unwrap();
    let connection = portcullis_webhook::memory::ConnectionId(1);
    let memory = server.webhook.state.memory.clone();
    eventually("they are there", || memory.arriving(connection) == 90);
    // Only what came takes memory.
    assert!(memory.used() < 100_000, "{}", memory.used());
    for _ in 0..20 {
        let mut real = connect(&server.address, &client);
        let body = review(&pod(&json!({"hostPID": true})), "CREATE").to_string();
        send(&mut real, "POST", "/v1/admit?timeout=5s", body.as_bytes());
        let answer: Value = serde_json::from_slice(&receive(&mut real).1).unwrap();
        assert_eq!(
            (&answer["response"]["uid"], &answer["response"]["status"]["code"]),
            (&json!("u-1"), &json!(403))
        );
    }
    assert_eq!(memory.arriving(connection), 90);
    server.handle.shut_down(Duration::ZERO);
}

#[derive(Debug)]
struct Then(u64);

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// A certificate for localhost that was valid for a while after some second, in a file, and its key.
fn write_certificate(directory: &Path, begins: u64) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = (UNIX_EPOCH + Duration::from_secs(begins)).into();
    params.not_after = (UNIX_EPOCH + Duration::from_secs(begins + 100_000)).into();
    std::fs::write(directory.join("tls.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
}

#[test]
fn an_expired_certificate_serves_and_is_loud() {
    const BEGINS: u64 = 1_600_000_000;
    let (directory, policies) = (tempfile::tempdir().unwrap(), policies());
    write_certificate(directory.path(), BEGINS);
    let (chain, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let mut command = Program::command(policies.path());
    command.arg("--tls-cert").arg(&chain).arg("--tls-key").arg(&key);
    let mut program = Program::run(command, &chain, tempfile::tempdir().unwrap());
    // A client that lives back then.
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&chain).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_details(provider, Arc::new(Then(BEGINS + 10)));
    let client = client.with_safe_default_protocol_versions().unwrap();
    program.client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    let (http, text) = program.get("/readyz?verbose");
    assert!(http == 200 && text.contains("[!]certificate expired "), "{text}");
    let metrics = program.get("/metrics").1;
    assert!(metrics.contains("portcullis_certificate_expiry_timestamp_seconds 1600100000\n"), "{metrics}");
    // Renewed, it is quiet again.
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    write_certificate(directory.path(), now + 30 * 86_400);
    let told = line(&program.log, "the certificate is not valid yet");
    assert!(told["validity"].as_str().unwrap().starts_with("valid only in 29 days"), "{told}");
    program.stop();
}

#[test]
fn an_expired_certificate_is_in_the_log_from_the_start() {
    let (directory, policies) = (tempfile::tempdir().unwrap(), policies());
    write_certificate(directory.path(), 1_600_000_000);
    let (chain, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let mut command = Program::command(policies.path());
    let command = command.arg("--tls-cert").arg(&chain).arg("--tls-key").arg(&key);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let log = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let told = log.map(Result::unwrap).take(20).find(|line| line.contains("the certificate has expired"));
    child.kill().unwrap();
    child.wait().unwrap();
    let told: Value = serde_json::from_str(&told.unwrap()).unwrap();
    assert_eq!(told["level"], "error");
}

#[test]
fn only_known_clients_connect_and_probes_have_an_address_of_their_own() {
    let (directory, policies) = (tempfile::tempdir().unwrap(), policies());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let client_ca = directory.path().join("client-ca.pem");
    std::fs::write(&client_ca, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let bundle = directory.path().join("ca.pem");
    let mut command = Program::command(policies.path());
    command.args(["--self-signed", "--ca-file"]).arg(&bundle).arg("--client-ca-file").arg(&client_ca);
    command.args(["--health-listen", "127.0.0.1:0"]);
    let mut child_log = Program::start_logged(command, &bundle);
    let (program, probes) = (&mut child_log.0, child_log.1["address"].as_str().unwrap().to_owned());
    let mut probe = TcpStream::connect(probes).unwrap();
    probe.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    probe.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok"), "{text}");

    let mut stranger = program.connect();
    let sent = stranger.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(sent.and_then(|()| stranger.read(&mut [0; 9])).is_err());
    assert!(
        line(&program.log, "a connection was refused")["error"].as_str().unwrap().contains("certificate")
    );

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&bundle).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut params = CertificateParams::new(vec!["kube-apiserver".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let shown = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let client = client.with_root_certificates(roots).with_client_auth_cert(shown, key).unwrap();
    program.client = Arc::new(client);
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    child_log.0.stop();
}

#[test]
fn clients_speak_the_oldest_version_of_tls_or_a_newer_one() {
    let (directory, policies) = (tempfile::tempdir().unwrap(), policies());
    let bundle = directory.path().join("ca.pem");
    let (v12, v13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    // The second is what holds if nobody says.
    for (oldest, takes_old) in [(Some("1.2"), true), (None, false), (Some("1.3"), false)] {
        let mut command = Program::command(policies.path());
        command.args(["--self-signed", "--ca-file"]).arg(&bundle);
        command.args(oldest.iter().flat_map(|oldest| ["--tls-min-version", oldest]));
        let mut program = Program::run(command, &bundle, tempfile::tempdir().unwrap());
        let mut old = connect(program.address(), &speaking(&bundle, &[v12]));
        let sent = old.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
        match sent {
            Ok(()) => {
                assert_eq!(receive(&mut old).0, 200);
                assert_eq!(old.get_ref().conn.protocol_version(), Some(v12.version));
            }
            // What the server says, not what the client thinks by itself.
            Err(ref error) => assert!(error.to_string().contains("fatal alert: ProtocolVersion"), "{error}"),
        }
        assert_eq!(sent.is_ok(), takes_old, "{oldest:?}");
        program.client = speaking(&bundle, &[v13]);
        assert!(program.is_denied(&pod(&json!({"hostPID": true}))), "{oldest:?}");
        program.stop();
    }
}

#[test]
fn policies_stay_in_force_when_their_directory_disappears() {
    let directory = policies();
    let inner = directory.path().join("mounted");
    std::fs::create_dir(&inner).unwrap();
    std::fs::rename(directory.path().join("p.yaml"), inner.join("p.yaml")).unwrap();
    let mut program = Program::start(&inner, &[]);
    let object = pod(&json!({"hostPID": true}));
    assert!(program.is_denied(&object));
    std::fs::rename(&inner, directory.path().join("away")).unwrap();
    eventually("it is seen", || program.get("/readyz?verbose").1.contains("[!]policies stale"));
    assert!(program.is_denied(&object));
    std::fs::rename(directory.path().join("away"), &inner).unwrap();
    eventually("it is back", || program.get("/readyz?verbose").1.contains("[+]policies ok"));
    assert!(program.is_denied(&object));
    program.stop();
}

#[test]
fn no_request_is_lost_when_it_ends_under_load() {
    let directory = policies();
    let program = Program::start(directory.path(), &["--shutdown-delay", "8"]);
    let (gone, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let body = review(&pod(&json!({"hostPID": true})), "CREATE").to_string();
    std::thread::scope(|scope| {
        for keeps in [true, true, false, false] {
            let (program, gone, answered, body) = (program.handle(), &gone, &answered, &body);
            scope.spawn(move || {
                let mut connection = connect(&program.0, &program.1);
                // As an API server until the endpoint is taken away: connections that stay, and new ones.
                while !gone.load(Ordering::SeqCst) {
                    if !keeps {
                        connection = connect(&program.0, &program.1);
                    }
                    send(&mut connection, "POST", "/v1/admit", body.as_bytes());
                    let (http, answer) = receive(&mut connection);
                    let answer: Value = serde_json::from_slice(&answer).unwrap();
                    assert_eq!((http, &answer["response"]["status"]["code"]), (200, &json!(403)));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        program.signal("-TERM");
        line(&program.log, "stopping");
        let before = answered.load(Ordering::SeqCst);
        let mut probe = program.connect();
        send(&mut probe, "GET", "/readyz", b"");
        assert_eq!(receive(&mut probe).0, 503);
        // Somebody looks at the readiness only now and then.
        std::thread::sleep(Duration::from_secs(1));
        assert!(answered.load(Ordering::SeqCst) > before, "it goes on answering");
        gone.store(true, Ordering::SeqCst);
    });
    line(&program.log, "stopped");
    program.ended();
    assert!(answered.load(Ordering::SeqCst) > 20);
}

#[test]
fn decisions_go_to_the_file_and_are_all_there_at_the_end() {
    let directory = policies();
    let (file, rotated) = (directory.path().join("d.ndjson"), directory.path().join("d.1"));
    let mut program = Program::start(directory.path(), &["--decision-log", file.to_str().unwrap()]);
    for _ in 0..10 {
        assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    }
    std::fs::rename(&file, &rotated).unwrap();
    program.signal("-HUP");
    eventually("the file is opened again", || file.exists());
    for _ in 0..10 {
        assert!(!program.is_denied(&pod(&json!({}))));
    }
    assert!(program.get("/metrics").1.contains("portcullis_decision_records_lost_total 0\n"));
    program.stop();
    let codes = |file: &Path| -> Vec<Value> {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].clone()).collect()
    };
    assert_eq!(codes(&rotated), vec![json!(403); 10]);
    assert_eq!(codes(&file), vec![json!(200); 10]);
}
