//! A provider of external data over real HTTPS, which does what a test wants of it, bad things as well, and remembers what
//! it was asked.
//!
//! Its CA is made anew for each, and so are a certificate of clients and one of a stranger.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use portcullis_providers::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What it does with a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status of HTTP; 200 if it is 0.
    pub status: u16,
    /// The body.
    pub body: Body,
    /// Before anything is sent.
    pub delay: Duration,
    /// A header `Location`.
    pub redirect: Option<String>,
}

/// What a reply says.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// Of each key `k`, that it is `v:k`.
    #[default]
    Echo,
    /// This, whatever was asked.
    Raw(String),
    /// Of each key, what a function says of it: a value, or an error.
    Each(fn(&str) -> Result<String, String>),
    /// Spaces without an end that is near: so many bytes.
    Endless(usize),
    /// A byte a second.
    Drip,
    /// Nothing: the connection is closed.
    Close,
}

impl Reply {
    /// What echoes.
    pub fn echo() -> Self {
        Self::default()
    }

    /// What says this, with 200.
    pub fn raw(body: impl Into<String>) -> Self {
        Self { body: Body::Raw(body.into()), ..Self::default() }
    }

    /// The same, later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// How its TLS is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsKind {
    /// It speaks no newer version than 1.2.
    pub only_12: bool,
    /// Its certificate ended years ago.
    pub has_ended: bool,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// The version of TLS.
    pub tls: &'static str,
    /// The name in the certificate of the client; empty without one.
    pub client: String,
}

impl Asked {
    /// The keys that were asked for.
    pub fn keys(&self) -> Vec<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let keys = body["request"]["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect()
    }
}

/// The server. It ends when it is dropped.
pub struct TestProvider {
    address: SocketAddr,
    ca: String,
    stranger: String,
    identity: Identity,
    shared: Arc<Shared>,
    /// Where it runs, on a thread of its own.
    _runtime: Runtime,
}

#[derive(Default)]
struct Shared {
    /// By path; the last of each is repeated.
    replies: Mutex<BTreeMap<String, Vec<Reply>>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

impl TestProvider {
    /// One that echoes at all paths.
    pub fn echo() -> Self {
        Self::new(TlsKind::default(), BTreeMap::from([("/".to_owned(), vec![Reply::echo()])]))
    }

    /// One that does this at all paths.
    pub fn always(reply: Reply) -> Self {
        Self::new(TlsKind::default(), BTreeMap::from([("/".to_owned(), vec![reply])]))
    }

    /// One that does these things, by path. What is at `/` is done at paths that are not there.
    pub fn new(kind: TlsKind, replies: BTreeMap<String, Vec<Reply>>) -> Self {
        let made = Authority::new("oracle-ca");
        let stranger = Authority::new("another-ca");
        let (chain, key) = made.sign("localhost", kind.has_ended);
        let (client, client_key) = made.sign("gatekeeper-client", false);
        let identity = Identity::from_pem(pem(&client).as_bytes(), key_pem(&client_key).as_bytes())
            .unwrap_or_else(|error| panic!("{error}"));
        let config = server_config(&made, chain, key, kind);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("test-provider")
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        let shared = Arc::new(Shared { replies: Mutex::new(replies), ..Shared::default() });
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), shared.clone()));
        let (ca, stranger) = (base64(&pem(&made.certificate)), base64(&pem(&stranger.certificate)));
        Self { address, ca, stranger, identity, shared, _runtime: runtime }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Its CA, as a Provider has it.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The CA of somebody else.
    pub fn other_ca(&self) -> &str {
        &self.stranger
    }

    /// Who its clients are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A Provider for it.
    pub fn manifest(&self, name: &str, timeout_seconds: u32) -> Value {
        json!({
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
            "kind": "Provider",
            "metadata": {"name": name},
            "spec": {"url": format!("https://{}/{name}", self.host()), "timeout": timeout_seconds, "caBundle": self.ca},
        })
    }

    /// What came, since it was asked last.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.asked))
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Does something else from now on, at all paths.
    pub fn change(&self, reply: Reply) {
        *lock(&self.shared.replies) = BTreeMap::from([("/".to_owned(), vec![reply])]);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A CA.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("{error}"));
        let mut params = CertificateParams::new(Vec::new()).unwrap_or_else(|error| panic!("{error}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap_or_else(|error| panic!("{error}"));
        Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, has_ended: bool) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("{error}"));
        let mut params =
            CertificateParams::new(vec![name.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
        params.distinguished_name.push(DnType::CommonName, name);
        if has_ended {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let made = params.signed_by(&key, &self.issuer).unwrap_or_else(|error| panic!("{error}"));
        (made.der().clone(), key)
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn key_pem(key: &KeyPair) -> String {
    key.serialize_pem()
}

fn server_config(
    authority: &Authority,
    chain: CertificateDer<'static>,
    key: KeyPair,
    kind: TlsKind,
) -> ServerConfig {
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap_or_else(|error| panic!("{error}"));
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto.clone())
        .allow_unauthenticated()
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let versions: &[&rustls::SupportedProtocolVersion] = if kind.only_12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(crypto)
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(vec![chain], key))
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            // Who goes away is not the server's trouble.
            if let Ok(stream) = tls.accept(stream).await {
                let _ = Box::pin(speak(stream, &shared)).await;
            }
        });
    }
}

async fn speak(mut stream: TlsStream<TcpStream>, shared: &Shared) -> io::Result<()> {
    let (tls, client) = {
        let (_, connection) = stream.get_ref();
        let tls = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "other",
        };
        let first = connection.peer_certificates().and_then(|chain| chain.first());
        (tls, first.map(common_name).unwrap_or_default())
    };
    let mut rest = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut rest).await? {
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let content_type = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map_or("", |(_, value)| value.trim());
        let asked = Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            body: body.clone(),
            tls,
            client: client.clone(),
        };
        let keys = asked.keys();
        let reply = shared.next(path.split('?').next().unwrap_or_default());
        lock(&shared.asked).push(asked);
        if !answer(&mut stream, reply, &keys).await? {
            break;
        }
    }
    stream.shutdown().await
}

impl Shared {
    fn next(&self, path: &str) -> Reply {
        let mut replies = lock(&self.replies);
        let path = if replies.contains_key(path) { path } else { "/" };
        let Some(list) = replies.get_mut(path) else {
            return Reply { status: 404, ..Reply::raw("not found") };
        };
        if list.len() > 1 { list.remove(0) } else { list.first().cloned().unwrap_or_default() }
    }
}

/// The next request: head and body. None at the end.
async fn request(
    stream: &mut TlsStream<TcpStream>,
    rest: &mut Vec<u8>,
) -> io::Result<Option<(String, String)>> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
            let whole = end + 4 + length;
            if rest.len() >= whole {
                let body = String::from_utf8_lossy(&rest[end + 4..whole]).into_owned();
                rest.drain(..whole);
                return Ok(Some((head, body)));
            }
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        rest.extend_from_slice(&buffer[..read]);
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TlsStream<TcpStream>, reply: Reply, keys: &[String]) -> io::Result<bool> {
    tokio::time::sleep(reply.delay).await;
    let whole = |items: Vec<Value>| {
        json!({
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
            "kind": "ProviderResponse",
            "response": {"idempotent": true, "items": items},
        })
        .to_string()
    };
    let body = match reply.body {
        Body::Echo => {
            whole(keys.iter().map(|key| json!({"key": key, "value": format!("v:{key}")})).collect())
        }
        Body::Each(say) => whole(
            keys.iter()
                .map(|key| match say(key) {
                    Ok(value) => json!({"key": key, "value": value}),
                    Err(error) => json!({"key": key, "error": error}),
                })
                .collect(),
        ),
        Body::Raw(body) => body,
        Body::Close => return Ok(false),
        Body::Endless(bytes) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let part = vec![b' '; 16 << 10];
            for _ in 0..bytes / part.len() {
                stream.write_all(&part).await?;
            }
            return Ok(false);
        }
        Body::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await?;
            for _ in 0..1_000_000 {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            return Ok(false);
        }
    };
    let status = if reply.status == 0 { 200 } else { reply.status };
    let location = reply.redirect.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{location}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    Ok(true)
}

fn common_name(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return String::new() };
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}
