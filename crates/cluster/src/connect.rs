//! The connection: which API server, as whom, how fast. Every request of this crate goes through [`Cluster`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::error::{ClusterError, Status};

/// Most time from a request to the end of its answer. Watches have their own.
const REQUEST_TIME: Duration = Duration::from_mins(1);
/// Largest answer. A page of 500 objects of 1 MiB, etcd's limit, would be 500 MiB; no page is.
const ANSWER_BYTES: usize = 1 << 30;
/// Largest answer about one object. API servers take requests of 3 MiB, and etcd objects of 1.5 MiB.
pub(crate) const OBJECT_BYTES: usize = 8 << 20;

/// Which API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// That of the pod we run in, if we run in one; otherwise that of the kubeconfig.
    #[default]
    Inferred,
    /// That of the pod we run in, by its service account.
    InCluster,
    /// That of a kubeconfig.
    Kubeconfig {
        /// The file; if not given, those of `KUBECONFIG`, or `~/.kube/config`.
        file: Option<PathBuf>,
        /// The context; if not given, the current one.
        context: Option<String>,
    },
    /// That at an address, without credentials: for `kubectl proxy` and tests.
    Url(String),
}

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Which API server.
    pub access: Access,
    /// Requests a second in the long run; watches count when they are opened.
    pub requests_per_second: u32,
    /// Requests that may go out at once after a pause.
    pub burst: u32,
    /// What is waited after failures.
    pub backoff: Backoff,
    /// Who we are, in the API server's log: `program/version`.
    pub user_agent: String,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            requests_per_second: 50,
            burst: 100,
            backoff: Backoff::default(),
            user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A connection to an API server. Cheap to clone; all clones share the rate limit.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>, u32);

struct Inner {
    client: kube::Client,
    namespace: String,
    url: String,
    limiter: Limiter,
    backoff: Backoff,
}

/// One request, as far as retries and messages need to know it.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) accept: &'a str,
    /// The type of the body, and the body.
    pub(crate) body: Option<(&'a str, Bytes)>,
    /// Most bytes of the answer; a longer one is an error.
    pub(crate) most: usize,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, accept: JSON, body: None, most: ANSWER_BYTES }
    }

    fn doing(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or_default())
    }
}

pub(crate) const JSON: &str = "application/json";
/// Lists of what objects are called, without what they say.
pub(crate) const NAMES: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

impl Cluster {
    /// Sets up a connection. No request is made yet.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Configuration`] if it is not known where the API server is or how to speak to it.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ClusterError> {
        let mut config = config(&options.access).await?;
        // Retries are ours: they are counted, bounded, and seen by callers that wait.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        let agent = header::HeaderValue::from_str(&options.user_agent)
            .map_err(|_| ClusterError::configuration("the user agent cannot be an HTTP header"))?;
        config.headers.push((header::USER_AGENT, agent));
        let (namespace, url) = (config.default_namespace.clone(), config.cluster_url.to_string());
        let client = ClientBuilder::try_from(config)
            .map_err(|error| ClusterError::configuration(chain(&error)))?
            .build();
        let limiter = Limiter::new(options.requests_per_second, options.burst);
        let inner = Inner { client, namespace, url, limiter, backoff: options.backoff };
        Ok(Self(Arc::new(inner), options.backoff.tries))
    }

    /// The namespace of the service account or of the kubeconfig's context; `default` if neither says.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The address of the API server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What is waited after failures.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        self.0.backoff
    }

    /// The same connection, which tries each request at most so often.
    pub(crate) fn with_tries(&self, tries: u32) -> Self {
        Self(Arc::clone(&self.0), self.1.min(tries))
    }

    /// The bytes at a path, such as `/version`. Retries what may pass.
    ///
    /// # Errors
    ///
    /// Any but [`ClusterError::Configuration`].
    pub async fn get(&self, path: &str) -> Result<Bytes, ClusterError> {
        Ok(self.ask(&Ask::get(path)).await?.1)
    }

    /// Asks until there is an answer that is not just a passing failure, or until there have been enough tries. Requests that make
    /// something anew are tried again only if they were refused: one that got lost may have been carried out.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<(HeaderMap, Bytes), ClusterError> {
        let mut failures = 0;
        loop {
            let error = match self.ask_once(ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_lost = matches!(error, ClusterError::Unreachable { .. });
            let may_repeat = error.is_passing() && !(is_lost && ask.method == Method::POST);
            if !may_repeat || failures + 1 >= self.1 {
                return Err(error);
            }
            sleep(self.0.backoff.wait(failures, error.retry_after())).await;
            failures += 1;
        }
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<(HeaderMap, Bytes), ClusterError> {
        self.0.limiter.wait().await;
        let answer = timeout(REQUEST_TIME, async {
            let response = self.send(ask).await?;
            let headers = response.headers().clone();
            let body = collect(response, ask.most).await.map_err(|message| lost(ask, message))?;
            Ok((headers, body))
        });
        answer.await.unwrap_or_else(|_| Err(lost(ask, late(REQUEST_TIME))))
    }

    /// Opens a stream of lines. The answer's head has to come in the time of a request.
    pub(crate) async fn open(&self, ask: &Ask<'_>) -> Result<Lines, ClusterError> {
        self.0.limiter.wait().await;
        let response = timeout(REQUEST_TIME, self.send(ask)).await;
        let response = response.unwrap_or_else(|_| Err(lost(ask, late(REQUEST_TIME))))?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new(), scanned: 0, doing: ask.doing() })
    }

    async fn send(&self, ask: &Ask<'_>) -> Result<Response<Body>, ClusterError> {
        /// A refusal is a `Status` object.
        const REFUSAL_BYTES: usize = 64 << 10;
        let uri: Uri = ask.path.parse().map_err(|_| {
            ClusterError::unreadable(ask.doing(), "the path is none: a name in it is not a Kubernetes name")
        })?;
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        request = request.header(header::ACCEPT, ask.accept);
        if ask.accept == WATCH || ask.accept == WATCH_NAMES {
            request = request.header(header::ACCEPT_ENCODING, "identity");
        }
        let body = match &ask.body {
            Some((kind, bytes)) => {
                request = request.header(header::CONTENT_TYPE, *kind);
                Body::from(bytes.clone())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| lost(ask, error.to_string()))?;
        let response = self.0.client.send(request).await.map_err(|error| lost(ask, chain(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = retry_after(response.headers());
        // Whatever became of the rest: the status says no.
        let body = collect(response, REFUSAL_BYTES).await.unwrap_or_default();
        let status = Status::read(status.as_u16(), &body, after);
        Err(ClusterError::Refused { doing: ask.doing(), status })
    }
}

/// What a watch accepts. Compressed streams hold events back, and not every decoder reads them to their end.
pub(crate) const WATCH: &str = "application/json;stream=watch,application/json";
/// The same of what objects are called.
pub(crate) const WATCH_NAMES: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;stream=watch,application/json";

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.0.url)
    }
}

/// A stream of lines, as watches send them.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Bytes of the buffer in which there is no line end.
    scanned: usize,
    doing: String,
}

impl Lines {
    /// The next line without its end; `None` when the stream has ended. What comes before a broken end is no line.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClusterError> {
        loop {
            let rest = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|&byte| byte == b'\n') {
                let tail = self.buffer.split_off(self.scanned + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, tail);
                line.pop();
                self.scanned = 0;
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            let lost = |message| ClusterError::Unreachable { doing: self.doing.clone(), message };
            if self.buffer.len() > ANSWER_BYTES {
                return Err(lost(format!("a line of more than {ANSWER_BYTES} bytes")));
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(lost("the stream ended in the middle of an event".to_owned())),
                Some(Err(error)) => return Err(lost(chain(&error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

async fn collect(response: Response<Body>, most: usize) -> Result<Bytes, String> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| chain(&error))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > most {
                return Err(format!("the answer has more than {most} bytes"));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn lost(ask: &Ask<'_>, message: impl Into<String>) -> ClusterError {
    ClusterError::Unreachable { doing: ask.doing(), message: message.into() }
}

fn late(time: Duration) -> String {
    format!("no answer within {} s", time.as_secs())
}

/// An error with its causes, in one line: those of HTTP clients say little without them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

async fn config(access: &Access) -> Result<kube::Config, ClusterError> {
    match access {
        Access::Inferred => {
            // In a pod the service account is meant, also if somebody left a kubeconfig in the image.
            if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
                return in_cluster();
            }
            kubeconfig(None, None).await
        }
        Access::InCluster => in_cluster(),
        Access::Kubeconfig { file, context } => kubeconfig(file.as_ref(), context.as_deref()).await,
        Access::Url(url) => {
            let uri: Uri = url.parse().map_err(|_| {
                ClusterError::configuration(format!(
                    "expected a URL such as https://127.0.0.1:6443, found `{url}`"
                ))
            })?;
            if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
                let message = format!("expected a URL that begins with http:// or https://, found `{url}`");
                return Err(ClusterError::configuration(message));
            }
            Ok(kube::Config::new(uri))
        }
    }
}

fn in_cluster() -> Result<kube::Config, ClusterError> {
    kube::Config::incluster().map_err(|error| {
        let reason = chain(&error);
        ClusterError::configuration(format!("this is no pod with a service account: {reason}"))
    })
}

async fn kubeconfig(file: Option<&PathBuf>, context: Option<&str>) -> Result<kube::Config, ClusterError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = match file {
        Some(file) => {
            let read = Kubeconfig::read_from(file).map_err(|error| {
                let reason = chain(&error);
                ClusterError::configuration(format!(
                    "the kubeconfig {} cannot be used: {reason}",
                    file.display()
                ))
            })?;
            kube::Config::from_custom_kubeconfig(read, &options).await
        }
        None => kube::Config::from_kubeconfig(&options).await,
    };
    config.map_err(|error| {
        ClusterError::configuration(format!("the kubeconfig cannot be used: {}", chain(&error)))
    })
}

/// Lets through so many requests a second, and a number at once after a pause.
struct Limiter {
    /// Between two requests in the long run.
    interval: Duration,
    burst: u32,
    /// When the next request would be due if there were no bursts.
    due: Mutex<Option<Instant>>,
}

impl Limiter {
    fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: burst.max(1), due: Mutex::new(None) }
    }

    async fn wait(&self) {
        let wait = {
            let mut due = self.due.lock().await;
            let now = Instant::now();
            let next = due.map_or(now, |due| due.max(now)) + self.interval;
            *due = Some(next);
            next.saturating_duration_since(now).saturating_sub(self.interval * self.burst)
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}
