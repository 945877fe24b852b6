//! One provider, asked over HTTPS: its CA and no other, TLS 1.3 unless somebody said otherwise, connections that are used again, and
//! no redirects: who is asked is who answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use portcullis::Provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Connections that are kept open though nobody uses them.
const MOST_IDLE: usize = 8;
/// How long.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Most bytes of the head of an answer.
const HEAD_BYTES: usize = 16 << 10;

/// Why a provider cannot be asked at all: its Provider is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("provider `{provider}`: {message}")]
pub struct ProviderError {
    /// Its name.
    pub provider: Arc<str>,
    /// One sentence.
    pub message: String,
}

/// The oldest version of TLS that is spoken to providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldestTls {
    /// TLS 1.2.
    V12,
    /// TLS 1.3, as Gatekeeper has it.
    #[default]
    V13,
}

/// Who we are for providers: a certificate with its chain, and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From PEM: the chain, our own certificate first, and its key.
    ///
    /// # Errors
    ///
    /// If one of them is no PEM of its kind: one sentence.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the client certificate cannot be read: {error}"))?;
        if chain.is_empty() {
            return Err("there is no client certificate in the PEM".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| format!("the key of the client certificate cannot be read: {error}"))?;
        Ok(Self { chain, key })
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// A provider that can be asked.
pub(crate) struct Client {
    pub(crate) url: Arc<str>,
    uri: Uri,
    host: ServerName<'static>,
    address: (String, u16),
    tls: TlsConnector,
    pub(crate) timeout: Duration,
    idle: Mutex<Vec<(SendRequest<Full<Bytes>>, Instant)>>,
}

/// An answer, as it came.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(
        provider: &Provider,
        identity: Option<&Identity>,
        oldest: OldestTls,
    ) -> Result<Self, ProviderError> {
        let wrong = |message: String| ProviderError { provider: provider.name.clone(), message };
        let uri: Uri =
            provider.url.parse().map_err(|error| wrong(format!("its `url` is no address: {error}")))?;
        if uri.scheme_str().is_none_or(|scheme| !scheme.eq_ignore_ascii_case("https")) {
            return Err(wrong("only HTTPS scheme is supported for Providers".to_owned()));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("its `url` names no host".to_owned()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let name = ServerName::try_from(host.clone())
            .map_err(|_| wrong(format!("`{host}` in its `url` is neither a name nor an address")))?;
        let tls = tls(&provider.ca_bundle, identity, oldest).map_err(wrong)?;
        Ok(Self {
            url: provider.url.clone(),
            uri,
            host: name,
            address: (host, port),
            tls: TlsConnector::from(Arc::new(tls)),
            timeout: Duration::from_secs(provider.timeout_seconds.into()),
            idle: Mutex::default(),
        })
    }

    /// Sends one request. Whoever calls has to bound the time; if it is dropped, so is the connection.
    ///
    /// # Errors
    ///
    /// One sentence.
    pub(crate) async fn post(&self, body: Bytes, most: usize) -> Result<Response, String> {
        // One that was open may be closed by now, by no fault of anybody: then a new one is asked.
        while let Some(sender) = self.take_idle() {
            match self.exchange(sender, body.clone(), most).await {
                Err(Broken::BeforeSent(_)) => {}
                Err(Broken::Within(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        let sender = self.connect().await?;
        self.exchange(sender, body, most).await.map_err(|broken| match broken {
            Broken::BeforeSent(error) | Broken::Within(error) => error,
        })
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.retain(|(sender, until)| now < *until && !sender.is_closed());
        let ready = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(idle.swap_remove(ready).0)
    }

    fn keep_idle(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !sender.is_closed() {
            idle.push((sender, Instant::now() + IDLE_TIME));
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let stream =
            TcpStream::connect((host, port)).await.map_err(|error| format!("connecting: {error}"))?;
        let _ = stream.set_nodelay(true);
        let stream =
            self.tls.connect(self.host.clone(), stream).await.map_err(|error| format!("tls: {error}"))?;
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Ends when the sender is dropped, or the provider closes.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        body: Bytes,
        most: usize,
    ) -> Result<Response, Broken> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or_else(String::new, |authority| {
            authority.as_str().rsplit('@').next().unwrap_or_default().to_owned()
        });
        let request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|error| Broken::Within(error.to_string()))?;
        sender.ready().await.map_err(|error| Broken::BeforeSent(error.to_string()))?;
        let sent = sender.send_request(request).await;
        let response = sent.map_err(|error| match chain(&error) {
            // Of others it may have come, and is not sent twice.
            why if error.is_canceled() => Broken::BeforeSent(why),
            why => Broken::Within(why),
        })?;
        let status = response.status();
        if status.is_redirection() && response.headers().contains_key(header::LOCATION) {
            return Err(Broken::Within(format!("it redirects ({status}), which is not followed")));
        }
        let body = read(response.into_body(), most).await.map_err(Broken::Within)?;
        self.keep_idle(sender);
        Ok(Response { status: status.as_u16(), body })
    }
}

/// Where an exchange broke.
enum Broken {
    /// Nothing was sent.
    BeforeSent(String),
    Within(String),
}

/// A body that has no more than so many bytes.
async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| chain(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len().saturating_add(data.len()) > most {
            return Err(format!("its answer has more than {most} bytes"));
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn tls(ca_bundle: &str, identity: Option<&Identity>, oldest: OldestTls) -> Result<ClientConfig, String> {
    const SINCE_12: &[&rustls::SupportedProtocolVersion] =
        &[&rustls::version::TLS12, &rustls::version::TLS13];
    const SINCE_13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let pem = base64::engine::general_purpose::STANDARD
        .decode(ca_bundle.trim())
        .map_err(|error| format!("its `caBundle` is no base64: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("its `caBundle` is no PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("its `caBundle` has something that is no certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("its `caBundle` has no certificate".to_owned());
    }
    let versions = match oldest {
        OldestTls::V12 => SINCE_12,
        OldestTls::V13 => SINCE_13,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let Identity { chain, key } = identity.clone();
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate: {error}"))
        }
    }
}
