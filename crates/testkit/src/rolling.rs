//! What stands between an API server and the replicas of a webhook, for restarts under load.
//!
//! ```text
//! client, as Go's ──TLS──> Balancer ──TCP──> replica a, replica b, …
//!                             └──plain──> /readyz of each
//! ```
//!
//! The balancer does what a Service does: a replica whose `/readyz` fails gets no new connections, some time
//! after that, and keeps those that it has. The client does what an API server does: it keeps connections,
//! trusts what the webhook configuration says at the moment, and sends a request again only if none of it
//! went out.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a panic is how a test says that it fails")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsConnector;

/// How often replicas are asked whether they are ready.
const PROBE: Duration = Duration::from_millis(200);

/// A balancer over TCP. It ends with the runtime.
#[derive(Debug)]
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    replicas: Mutex<Vec<Arc<Replica>>>,
    turn: AtomicUsize,
    /// How long it takes until everybody knows that a replica is or is not ready.
    lag: Duration,
    connections: AtomicU64,
}

#[derive(Debug)]
struct Replica {
    address: SocketAddr,
    probes: SocketAddr,
    is_in: AtomicBool,
    is_gone: AtomicBool,
}

impl Balancer {
    /// Starts one without replicas. What is found out about them takes effect after `lag`.
    pub async fn start(lag: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            replicas: Mutex::default(),
            turn: AtomicUsize::new(0),
            lag,
            connections: AtomicU64::new(0),
        });
        let balancing = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(Arc::clone(&balancing).connect(client));
            }
        });
        Self { address, shared }
    }

    /// One more replica: where it serves, and where it answers probes without TLS.
    fn add(&self, address: SocketAddr, probes: SocketAddr) {
        let (is_in, is_gone) = (AtomicBool::new(false), AtomicBool::new(false));
        let replica = Arc::new(Replica { address, probes, is_in, is_gone });
        self.shared.replicas.lock().unwrap().push(Arc::clone(&replica));
        let lag = self.shared.lag;
        tokio::spawn(async move {
            while !replica.is_gone.load(Ordering::SeqCst) {
                let is_ready = is_ready(replica.probes).await;
                if is_ready != replica.is_in.load(Ordering::SeqCst) {
                    sleep(lag).await;
                    replica.is_in.store(is_ready, Ordering::SeqCst);
                }
                sleep(PROBE).await;
            }
        });
    }

    /// One more replica, and waits until it gets connections.
    pub async fn admit(&self, running: &Running) {
        self.add(running.address, running.probes);
        let is_in = |replica: &Arc<Replica>| {
            replica.address == running.address && replica.is_in.load(Ordering::SeqCst)
        };
        let wait = async {
            while !self.shared.replicas.lock().unwrap().iter().any(is_in) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_mins(1), wait).await.expect("it becomes ready");
    }

    /// A replica that has ended is no longer asked.
    pub fn remove(&self, address: SocketAddr) {
        let mut replicas = self.shared.replicas.lock().unwrap();
        replicas.retain(|replica| {
            let is_gone = replica.address == address;
            replica.is_gone.store(is_gone, Ordering::SeqCst);
            !is_gone
        });
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, mut client: TcpStream) {
        let replica = {
            let replicas = self.replicas.lock().unwrap();
            let ready: Vec<_> =
                replicas.iter().filter(|replica| replica.is_in.load(Ordering::SeqCst)).collect();
            if ready.is_empty() {
                return;
            }
            Arc::clone(ready[self.turn.fetch_add(1, Ordering::SeqCst) % ready.len()])
        };
        self.connections.fetch_add(1, Ordering::SeqCst);
        let _ = client.set_nodelay(true);
        if let Ok(mut server) = TcpStream::connect(replica.address).await {
            let _ = server.set_nodelay(true);
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    }
}

async fn is_ready(probes: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(probes).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text.starts_with("HTTP/1.1 200 "))
    };
    matches!(timeout(Duration::from_secs(1), ask).await, Ok(Ok(true)))
}

/// A replica that runs. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
    probes: SocketAddr,
}

impl Running {
    /// Starts the webhook, which needs `--health-listen`, and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the program");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut place = |msg: &str| {
            let mut log = Vec::new();
            while let Some(Ok(line)) = lines.next() {
                let fields: Value = serde_json::from_str(&line).unwrap_or_default();
                if fields["msg"] == msg {
                    return fields["address"].as_str().unwrap().parse().expect("an address");
                }
                log.push(line);
            }
            panic!("it does not say `{msg}`: {log:#?}");
        };
        let (probes, address) = (place("answering probes"), place("listening"));
        // Somebody has to read what it says.
        std::thread::spawn(move || lines.count());
        Self { child, address, probes }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success()));
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return assert!(status.success(), "{status}"),
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Replaces replicas one after the other, as a Deployment does with `maxSurge: 1` and `maxUnavailable: 0`,
/// until `done`. Returns how many.
pub async fn restart(
    balancer: &Balancer,
    mut running: Vec<Running>,
    start: impl Fn() -> Running,
    done: impl Fn() -> bool,
) -> usize {
    let mut restarts = 0;
    while !done() {
        let new = start();
        balancer.admit(&new).await;
        let old = running.remove(0);
        running.push(new);
        let address = old.address;
        old.stop().await;
        balancer.remove(address);
        restarts += 1;
    }
    restarts
}

/// What the client speaks. API servers speak HTTP/1.1, so that their requests spread over replicas; others
/// may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections that are kept in a pool, the last one used first.
    Http1,
    /// One connection with many streams.
    Http2,
}

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// What the server has to be called.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// Requests a second, whether or not others were answered.
    pub rate: u32,
    /// For so long.
    pub time: Duration,
    /// The body: an AdmissionReview that has to be denied with code 403.
    pub body: Bytes,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Requests that were sent.
    pub requests: u64,
    /// Denied, as they have to be.
    pub denied: u64,
    /// Allowed.
    pub let_through: u64,
    /// Not judged: code 500 and others.
    pub unjudged: u64,
    /// Without an answer, and why. An API server lets these in where `failurePolicy` is `Ignore`.
    pub errors: Vec<String>,
    /// Connections that were opened.
    pub connections: u64,
    /// From when each request was due to its answer, in order.
    pub latencies: Vec<Duration>,
}

impl Figures {
    /// The latency that this part of all requests had at most, 0 to 1.
    pub fn latency(&self, part: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place =
            ((self.latencies.len() as f64 * part) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

/// Sends requests, and waits for all answers. `trust` is asked for each connection what to trust at the
/// moment.
pub async fn send(load: &Load, trust: impl Fn() -> ClientConfig + Send + Sync + 'static) -> Figures {
    let client = Arc::new(Client {
        load: load.clone(),
        trust: Box::new(trust),
        idle: Mutex::default(),
        shared: tokio::sync::Mutex::default(),
        connections: AtomicU64::new(0),
    });
    let (start, mut all) = (Instant::now(), JoinSet::new());
    let mut clock = interval(Duration::from_secs(1) / load.rate);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while start.elapsed() < load.time {
        let due = clock.tick().await.into_std();
        let client = Arc::clone(&client);
        all.spawn(async move {
            let answer = timeout(Duration::from_secs(10), client.ask()).await;
            (answer.unwrap_or_else(|_| Err("no answer within 10 s".to_owned())), due.elapsed())
        });
    }
    let mut figures = Figures::default();
    while let Some(ended) = all.join_next().await {
        let (answer, took) = ended.expect("no panic");
        figures.requests += 1;
        figures.latencies.push(took);
        match answer {
            Err(error) => figures.errors.push(error),
            Ok(answer) if answer["response"]["allowed"] != false => figures.let_through += 1,
            Ok(answer) if answer["response"]["status"]["code"] == 403 => figures.denied += 1,
            Ok(_) => figures.unjudged += 1,
        }
    }
    figures.latencies.sort_unstable();
    figures.connections = client.connections.load(Ordering::SeqCst);
    figures
}

type Body = Full<Bytes>;

struct Client {
    load: Load,
    trust: Box<dyn Fn() -> ClientConfig + Send + Sync>,
    idle: Mutex<Vec<http1::SendRequest<Body>>>,
    shared: tokio::sync::Mutex<Option<http2::SendRequest<Body>>>,
    connections: AtomicU64,
}

impl Client {
    async fn ask(&self) -> Result<Value, String> {
        /// How often a request is sent of which nothing went out.
        const TRIES: usize = 6;
        let mut last = String::new();
        for _ in 0..TRIES {
            let sent = match self.load.protocol {
                Protocol::Http1 => self.ask_http1().await,
                Protocol::Http2 => self.ask_http2().await,
            };
            match sent {
                Ok(answer) => return Ok(answer),
                Err(Failure::Unsent(error)) => last = error,
                Err(Failure::Lost(error)) => return Err(error),
            }
        }
        Err(format!("{TRIES} times: {last}"))
    }

    async fn connect(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
        let mut config = (self.trust)();
        config.alpn_protocols = match self.load.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        self.connections.fetch_add(1, Ordering::SeqCst);
        // Go does not dial twice for one request.
        let lost = |error: std::io::Error| Failure::Lost(format!("no connection: {error}"));
        let stream = TcpStream::connect(self.load.address).await.map_err(lost)?;
        let _ = stream.set_nodelay(true);
        let name = self.load.name.clone().try_into().expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(lost)
    }

    fn request(&self) -> Request<Body> {
        let uri = match self.load.protocol {
            Protocol::Http1 => "/v1/admit?timeout=5s".to_owned(),
            Protocol::Http2 => format!("https://{}/v1/admit?timeout=5s", self.load.name),
        };
        Request::post(uri)
            .header(header::HOST, &self.load.name)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(self.load.body.clone()))
            .expect("a request")
    }

    async fn ask_http1(&self) -> Result<Value, Failure> {
        let kept = loop {
            let kept = self.idle.lock().unwrap().pop();
            match kept {
                Some(kept) if !kept.is_ready() => {}
                kept => break kept,
            }
        };
        let mut sender = if let Some(kept) = kept {
            kept
        } else {
            let stream = self.connect().await?;
            let made = http1::handshake(TokioIo::new(stream)).await;
            let (sender, connection) = made.map_err(|error| Failure::Lost(error.to_string()))?;
            tokio::spawn(connection);
            sender
        };
        let answer = sender.send_request(self.request()).await.map_err(failure)?;
        let is_last = answer.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
        let answer = read(answer).await?;
        // The connection is free when its task has seen the end of the answer.
        if !is_last && sender.ready().await.is_ok() {
            self.idle.lock().unwrap().push(sender);
        }
        Ok(answer)
    }

    async fn ask_http2(&self) -> Result<Value, Failure> {
        let mut sender = {
            let mut shared = self.shared.lock().await;
            match &*shared {
                Some(sender) if sender.is_ready() => sender.clone(),
                _ => {
                    let stream = self.connect().await?;
                    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
                    let (sender, connection) = made.map_err(|error| Failure::Lost(error.to_string()))?;
                    tokio::spawn(connection);
                    shared.insert(sender).clone()
                }
            }
        };
        match sender.send_request(self.request()).await {
            Ok(answer) => read(answer).await,
            Err(error) => {
                // Others may have put a new one there meanwhile; one more connection does no harm.
                *self.shared.lock().await = None;
                Err(failure(error))
            }
        }
    }
}

enum Failure {
    /// Nothing of it was seen by the server, so that it may be sent again.
    Unsent(String),
    Lost(String),
}

/// What API servers' clients know to be unsent: what was never written, and streams that the server says it
/// has not looked at.
fn failure(error: hyper::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let is_unseen = text.contains("refused stream") || text.contains("not a result of an error");
    if error.is_canceled() || is_unseen { Failure::Unsent(text) } else { Failure::Lost(text) }
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Value, Failure> {
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| Failure::Lost(error.to_string()))?;
    if status != 200 {
        return Err(Failure::Lost(format!("HTTP {status}")));
    }
    serde_json::from_slice(&body.to_bytes()).map_err(|error| Failure::Lost(error.to_string()))
}
