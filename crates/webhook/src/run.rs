//! The program: start, watch, end.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use portcullis::{Error, ErrorKind, EvaluationLimits, Limits, PolicySettings, Unsupported, Uses};
use portcullis_cluster::AccessReviews;
use portcullis_cluster::ClusterError;
use portcullis_providers::{Identity, ProviderOptions};
use portcullis_sources::reason;
use rustls::ServerConfig;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::admission::{BadRego, Exempt, Own};
use crate::args::Args;
use crate::bounds;
use crate::configuration::{Certificates, Keeping, keep};
use crate::connections::{Handle, Most, Rest, Server, descriptors};
use crate::decisions::{Content, Recorder, StartError};
use crate::files::Access;
use crate::kube;
use crate::load::{Fingerprint, Paths, load};
use crate::log::{Level, Log};
use crate::pool::{self, Pool};
use crate::redact::REDACTED;
use crate::server::{health_router, router};
use crate::state::{MutationSettings, Settings, State};
use crate::tls::{Certificate, Clients, Origin, SelfSigned, Terms, Tls, TlsError, read_certificates, to_pem};

/// How often files are looked at. Twice as often as somebody who changes them every second, so that two looks fall between two changes.
const LOOK: Duration = Duration::from_millis(400);

/// Why the webhook did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The policies cannot be served.
    #[error("{}", policies(.0))]
    Policies(Vec<Error>),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cluster cannot be followed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// An address cannot be listened on.
    #[error("`{flag} {address}`: {}{}", reason(.error), hint(.error))]
    Address {
        /// Where it was given.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Nothing can be recorded.
    #[error("`--decision-log {}`: {error}", path.display())]
    Record {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        error: StartError,
    },
    /// Who we are for providers of external data cannot be read.
    #[error("`--provider-cert`, `--provider-key`: {0}")]
    Provider(String),
    /// No threads or signals.
    #[error("{doing}: {error}")]
    System {
        /// What could not be done.
        doing: String,
        /// Why.
        error: io::Error,
    },
}

fn policies(errors: &[Error]) -> String {
    let lines: Vec<String> = errors.iter().map(|error| format!("error: {error}")).collect();
    let number = match lines.len() {
        1 => "1 error".to_owned(),
        number => format!("{number} errors"),
    };
    format!("{}\nthe webhook does not start: {number}", lines.join("\n"))
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; something listens there already: end it, or name another port",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address, `0.0.0.0` is all that it has",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a right that a webhook should not have",
        _ => "",
    }
}

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    let doing = doing.into();
    move |error| RunError::System { doing, error }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// If it could not start: nothing is served by halves.
pub fn run(mut args: Args) -> Result<(), RunError> {
    let log = Log::in_background(io::stderr()).map_err(system("starting the thread that logs"))?;
    log_panics(&log);
    let paths = Paths {
        policies: args.policies.clone(),
        resources: args.resources.clone(),
        limits: Limits::default(),
        unsupported: Unsupported::allowed(args.allow_unsupported),
        settings: PolicySettings {
            homes: args.gatekeeper.homes(args.own_namespace.as_deref()),
            engines: args.engine.choice(),
        },
        mutates: args.mutate,
    };
    // Taken before reading, so that what changes meanwhile is seen.
    let fingerprint = Fingerprint::of_paths(&paths);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(4))
        .enable_all()
        .build()
        .map_err(system("starting the threads that serve"))?;
    let rights = if args.ask_rights {
        Some(AccessReviews::new(&runtime.block_on(kube::args::connect(&args.kube))?))
    } else {
        None
    };
    let cluster =
        if args.kube.kube { Some(runtime.block_on(kube::args::connect(&args.kube))?) } else { None };
    let loaded = match &cluster {
        Some(cluster) => {
            args.own_namespace = Some(kube::args::own_namespace(cluster, args.own_namespace.as_deref()));
            kube::serve::nothing()
        }
        None => load(&paths).map_err(RunError::Policies)?,
    };
    let keeping = cluster.as_ref().and_then(|cluster| {
        let certificates = if args.self_signed { Certificates::SelfSigned } else { Certificates::Files };
        let own = args.own_namespace.clone().unwrap_or_default();
        Keeping::new(cluster, &args.configuration, certificates, &own, args.mutate, &log)
    });
    if let Some(keeping) = &keeping {
        runtime.block_on(keeping.share());
    }
    let mut tls = tls(&args, keeping.as_ref().map_or(Origin::Own, |keeping| keeping.origin()));
    let tls_files = Fingerprint::of_files(&tls.files());
    let served = tls.serve(SystemTime::now())?;
    let config = Arc::new(ArcSwap::new(served.config));

    let threads = args.threads.map_or(cores, std::num::NonZeroUsize::get);
    let terms = pool::Terms {
        threads,
        queue: args.max_queue,
        memory: args.max_review_memory,
        // One constraint at a time, what they say, and the lines that are made of it.
        each: usize::try_from(args.max_policy_memory).unwrap_or(usize::MAX).saturating_add(2 * bounds::HELD),
    };
    let pool = Pool::start(terms).map_err(system("starting the threads that judge"))?;
    let decisions = decisions(&args, &log)?;
    let identity = provider_identity(&args).map_err(RunError::Provider)?;
    let asking = ProviderOptions {
        identity,
        cache_ttl: Duration::from_secs(args.provider_cache_ttl),
        ..ProviderOptions::default()
    };
    let state = State::new(loaded, settings(&args), pool, args.max_body_memory, decisions, log);
    let state = state.with_providers(asking).with_rights(rights);
    #[cfg(feature = "otel")]
    let state = {
        let start = |endpoint: &crate::traces::Endpoint| {
            crate::traces::Tracer::start(endpoint, runtime.handle().clone(), state.log.clone())
        };
        let tracer = args.otlp_endpoint.as_ref().map(start).transpose();
        state.with_tracer(tracer.map_err(system("starting the thread that sends spans"))?)
    };
    let state = Arc::new(state);
    state.certificate_served(served.validity);
    // Before the first policies come.
    if let Some(keeping) = &keeping {
        state.keep(Arc::clone(keeping));
    }
    if let Some(cluster) = cluster {
        let own = args.own_namespace.clone().unwrap_or_default();
        let _runtime = runtime.enter();
        let settings =
            PolicySettings { homes: args.gatekeeper.homes(Some(&own)), engines: args.engine.choice() };
        let following = kube::serve::follow(&args.kube, cluster, &own, settings, &state);
        state.follow(following.map_err(system("starting the thread that follows the cluster"))?);
    }
    if let Some(keeping) = keeping {
        let _runtime = runtime.enter();
        trust(&state, &tls, args.configuration.webhook_ca_file.as_deref())?;
        keep::start(&keeping, &state);
    }
    let ca_file = args.configuration.webhook_ca_file.clone();
    let watcher = Watcher { paths, fingerprint, tls, tls_files, ca_file, config, state };
    let (log, decisions) = (watcher.state.log.clone(), watcher.state.decisions.clone());
    let result = runtime.block_on(serve(&args, watcher));
    decisions.inspect(Recorder::flush);
    log.flush();
    // A review that goes on has been answered for.
    runtime.shutdown_background();
    result
}

/// A panic ends the review it happens in; what it says belongs into the log, in the log's form. A text that was made when it happened may
/// repeat a part of a request, such as a secret, so that only its place is reported.
fn log_panics(log: &Log) {
    let log = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let written = panic.payload().downcast_ref::<&'static str>();
        let fields = json!({"error": written.unwrap_or(&REDACTED), "place": place});
        log.write(Level::Error, "a defect: something broke off", &fields);
    }));
}

/// Who we are for providers of external data.
fn provider_identity(args: &Args) -> Result<Option<Identity>, String> {
    let Some((chain, key)) = args.provider_cert.as_ref().zip(args.provider_key.as_ref()) else {
        return Ok(None);
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("{}: {}", path.display(), reason(&error)))
    };
    Identity::from_pem(&read(chain)?, &read(key)?).map(Some)
}

fn tls(args: &Args, origin: Origin) -> Tls {
    let certificate = if let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) {
        Certificate::Files { chain: chain.clone(), key: key.clone() }
    } else {
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        // As API servers call it.
        let service = &args.configuration.webhook_service;
        let namespace = service.namespace.as_ref().or(args.own_namespace.as_ref()).filter(|_| args.kube.kube);
        let service = namespace.map(|namespace| format!("{}.{namespace}.svc", service.name));
        let said = args.self_signed_name.iter().cloned();
        let names = local.into_iter().chain(service).chain(said).collect();
        let made = SelfSigned::new(names, args.ca_file.clone(), Terms::default(), origin);
        Certificate::SelfSigned(Box::new(made))
    };
    let clients = args
        .client_ca_file
        .as_ref()
        .map(|ca_file| Clients { ca_file: ca_file.clone(), names: args.client_name.clone() });
    Tls { certificate, clients, oldest: args.tls_min_version }
}

fn decisions(args: &Args, log: &Log) -> Result<Option<Recorder>, RunError> {
    let Some(path) = &args.decision_log else { return Ok(None) };
    let content = Content { requests: args.decision_log_requests, explanations: args.decision_log_explain };
    let access = if args.decision_log_shared { Access::Shared } else { Access::Private };
    let recorder = Recorder::start(path, access, content, log.clone());
    recorder.map(Some).map_err(|error| RunError::Record { path: path.clone(), error })
}

fn own(args: &Args) -> Own {
    /// As its manifests name it.
    const SERVICE_ACCOUNT: &str = "portcullis-webhook";
    let namespace = args.own_namespace.clone();
    let mut identities = args.own_identity.clone();
    if let (true, Some(namespace)) = (identities.is_empty(), &namespace) {
        identities.push(format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}"));
    }
    let bad_rego = if args.admit_bad_rego { BadRego::Admit } else { BadRego::Refuse };
    let unsupported = Unsupported::allowed(args.allow_unsupported);
    // Of files, what is in the cluster is not used.
    let uses = Uses::POLICIES.with_expansions(args.kube.kube).with_mutators(args.kube.kube && args.mutate);
    let uses = uses.with_providers(args.kube.kube);
    Own { namespace, identities, bad_rego, unsupported, uses }
}

fn settings(args: &Args) -> Settings {
    Settings {
        limits: EvaluationLimits {
            steps: args.max_steps,
            memory: args.max_policy_memory,
            ..EvaluationLimits::default()
        },
        timeout: Duration::from_secs(args.timeout),
        max_body: args.max_body,
        log_denies: args.log_denies,
        mutation: args
            .mutate
            .then_some(MutationSettings { annotates: args.mutation_annotations, logs: args.log_mutations }),
        exempt: Exempt {
            names: args.exempt_namespace.clone(),
            prefixes: args.exempt_namespace_prefix.clone(),
            suffixes: args.exempt_namespace_suffix.clone(),
        },
        own: own(args),
        redact: args.redact.clone(),
        clock: SystemTime::now,
    }
}

async fn serve(args: &Args, watcher: Watcher) -> Result<(), RunError> {
    let signals = "listening for signals";
    let mut term = signal(SignalKind::terminate()).map_err(system(signals))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system(signals))?;
    let hangup = signal(SignalKind::hangup()).map_err(system(signals))?;
    let state = Arc::clone(&watcher.state);
    let (listener, address) = listen("--listen", args.listen)?;
    let (handle, rest) = (Handle::default(), Rest::default());
    let most = Most::within(args.max_connections.get(), descriptors());
    if most.open < args.max_connections.get() {
        let msg = "the system gives fewer descriptors than `--max-connections` needs; there may be fewer connections";
        state.log.write(Level::Warn, msg, &json!({"connections": most.open}));
    }
    let server = Server {
        tls: Some(Arc::clone(&watcher.config)),
        router: router(Arc::clone(&state)),
        state: Arc::clone(&state),
        most,
        rest,
    };
    if let Some(address) = args.health_listen {
        let (listener, address) = listen("--health-listen", address)?;
        let router = health_router(Arc::clone(&state));
        let state = Arc::clone(&state);
        let probes = Server { tls: None, router, state, most: Most::of_probes(), rest };
        let address = address.to_string();
        watcher.state.log.write(Level::Info, "answering probes", &json!({"address": address}));
        // It ends with the runtime: also who has stopped says so.
        tokio::spawn(async move { probes.serve(listener, &Handle::default()).await });
    }
    state.log.write(Level::Info, "listening", &json!({"address": address.to_string()}));

    let ended = Arc::new(Notify::new());
    let watching = tokio::spawn(watcher.watch(hangup));
    let stopping = {
        let (state, handle, ended) = (Arc::clone(&state), handle.clone(), Arc::clone(&ended));
        // A request that has come is answered by its deadline.
        let (delay, drain) = (shutdown_delay(args), Duration::from_secs(args.timeout + 1));
        tokio::spawn(async move {
            let is_asked_by_hand = tokio::select! {
                _ = term.recv() => false,
                _ = interrupt.recv() => true,
                () = ended.notified() => return,
            };
            state.stop();
            state.log.write(Level::Info, "stopping: not ready any more, answering what has come", &json!({}));
            let half = delay / 2;
            let seeing_off = async {
                // First nobody new should come, then who is here should go.
                sleep(half).await;
                handle.see_off();
                sleep(half).await;
            };
            // Who asks a second time does not want to wait.
            if !is_asked_by_hand {
                tokio::select! {
                    () = seeing_off => {}
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            handle.shut_down(drain);
        })
    };
    server.serve(listener, &handle).await;
    ended.notify_one();
    watching.abort();
    // It cannot panic.
    let _ = stopping.await;
    state.log.write(Level::Info, "stopped", &json!({}));
    Ok(())
}

/// Long enough in a pod for everybody to know that its endpoint goes.
fn shutdown_delay(args: &Args) -> Duration {
    const IN_A_POD: u64 = 10;
    let is_pod = || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    Duration::from_secs(args.shutdown_delay.unwrap_or_else(|| if is_pod() { IN_A_POD } else { 0 }))
}

fn listen(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    /// Connections that the system keeps until they are looked at.
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    socket
        .and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        })
        .map_err(|error| RunError::Address { flag, address, error })
}

/// Looks at the files, and has them read again when they changed.
struct Watcher {
    paths: Paths,
    fingerprint: Fingerprint,
    tls: Tls,
    tls_files: Fingerprint,
    /// The CA of a certificate in files.
    ca_file: Option<PathBuf>,
    /// What new connections are served with.
    config: Arc<ArcSwap<ServerConfig>>,
    state: Arc<State>,
}

impl Watcher {
    async fn watch(mut self, mut hangup: Signal) {
        let mut clock = interval(LOOK);
        let state = Arc::clone(&self.state);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = (self.fingerprint.clone(), self.tls_files.clone());
        loop {
            let asked = tokio::select! {
                _ = clock.tick() => false,
                _ = hangup.recv() => true,
            };
            let look = tokio::task::spawn_blocking(move || {
                let now = (Fingerprint::of_paths(&self.paths), Fingerprint::of_files(&self.tls.files()));
                if let Some(recorder) = self.state.decisions.as_ref().filter(|_| asked) {
                    recorder.reopen();
                }
                // Files that still change are half written: a set that lacks its last constraints may well compile.
                let reads_files = self.state.following().is_none();
                if reads_files && (asked || (now.0 == seen.0 && now.0 != self.fingerprint)) {
                    self.state.replace(load(&self.paths));
                    self.fingerprint = now.0.clone();
                }
                if (asked && !self.tls.files().is_empty())
                    || (now.1 == seen.1 && now.1 != self.tls_files)
                    || self.tls.is_due(SystemTime::now())
                {
                    self.read_certificate();
                    self.tls_files = now.1.clone();
                }
                self.state.check_certificate();
                (self, now)
            });
            let Ok((watcher, now)) = look.await else {
                // Reading panicked, and the watcher is gone with it. What is served stays.
                let error = Error::new(ErrorKind::Unreadable, "reading the changed files broke off");
                let hint = "this is a defect of the webhook; changes are not seen until it is restarted";
                return state.replace(Err(vec![error.hint(hint)]));
            };
            (self, seen) = (watcher, now);
        }
    }

    fn read_certificate(&mut self) {
        match self.tls.serve(SystemTime::now()) {
            Ok(served) => {
                self.config.store(served.config);
                self.state.certificate_served(served.validity);
                if let Err(error) = trust(&self.state, &self.tls, self.ca_file.as_deref()) {
                    self.state.certificate_failed(&error.to_string());
                }
            }
            Err(error) => self.state.certificate_failed(&error.to_string()),
        }
    }
}

/// Tells who looks after the webhook configuration which CAs to trust, if we know them.
fn trust(state: &State, tls: &Tls, ca_file: Option<&Path>) -> Result<(), TlsError> {
    let Some(keeping) = state.keeping() else { return Ok(()) };
    match (&tls.certificate, ca_file) {
        (Certificate::SelfSigned(made), _) => keeping.serves(&made.bundle()),
        (Certificate::Files { .. }, Some(file)) => {
            keeping.serves(&read_certificates(file)?.iter().map(to_pem).collect::<String>());
        }
        (Certificate::Files { .. }, None) => {}
    }
    Ok(())
}

/// Writes why it did not start.
pub fn report(error: &RunError) {
    let before = if matches!(error, RunError::Policies(_)) { "" } else { "error: " };
    // Nobody is left to tell.
    let _ = writeln!(io::stderr(), "{before}{error}");
}
