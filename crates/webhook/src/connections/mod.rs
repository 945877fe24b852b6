//! Connections: how many there may be, and how long one may do nothing.
//!
//! ```text
//! accept ──> silent ──> handshake ──> open: requests ──> told to leave ──> end
//! ```
//!
//! A connection has a seat of its own only after its handshake, so that who may not connect keeps nobody out, and loses it when it
//! asks for nothing for as long as [`Rest`] says, or when somebody else needs it. What counts is whole heads of requests, so that
//! neither dripping bytes nor pings hold a seat. Who has to go is told by the protocol, and has a moment for the answers to what came.
//!
//! Before the end there is a time in which everybody is asked to go elsewhere and nobody is turned away ([`Handle::see_off`]): an HTTP/1
//! connection with its next answer, as closing one at rest may meet a request that is on its way; an HTTP/2 connection at once, by GOAWAY.

mod seats;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderValue, Request, Version, header};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::log::Level;
use crate::memory::ConnectionId;
use crate::state::State;
use seats::{Control, Order, Seat, Seats};
pub use seats::{Most, Rest};

/// How often refused clients are reported.
const TELL: Duration = Duration::from_mins(1);
/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a connection that has to go has left for its answers.
const LEAVE: Duration = Duration::from_secs(1);
/// How long connections are taken from the queue of the system in the end.
const QUEUED: Duration = Duration::from_millis(50);
/// Streams of one connection. API servers open another one when these are taken.
const STREAMS: u32 = 100;
/// Largest head of a request.
const HEAD_BYTES: usize = 16 << 10;

impl Most {
    /// So many open ones, or as many as the system has descriptors for.
    #[must_use]
    pub fn within(open: usize, descriptors: Option<usize>) -> Self {
        const SHAKING: usize = 512;
        const LEAVING: usize = 128;
        /// Of files, probes, and connections to the cluster.
        const OTHERS: usize = 192;
        let left = descriptors.unwrap_or(usize::MAX).saturating_sub(OTHERS).max(8);
        let (shaking, leaving) = (SHAKING.min(left / 4), LEAVING.min(left / 8));
        Self { shaking, leaving, open: open.min(left - shaking - leaving) }
    }

    /// For probes: a few at a time.
    #[must_use]
    pub fn of_probes() -> Self {
        Self { shaking: 32, open: 64, leaving: 16 }
    }
}

/// The descriptors that the process may have, where the system says.
#[must_use]
pub fn descriptors() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not near.
    Serving,
    /// New clients are answered, and asked to go elsewhere next time.
    SeeingOff,
    /// Nobody comes any more, and who is here has until then.
    Ending(Instant),
}

/// What ends connections.
#[derive(Clone, Debug)]
pub struct Handle(watch::Sender<Phase>);

impl Default for Handle {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Handle {
    /// From now on connected clients are asked to connect elsewhere, as soon as that loses no request.
    pub fn see_off(&self) {
        self.0.send_if_modified(|phase| {
            let is_serving = *phase == Phase::Serving;
            if is_serving {
                *phase = Phase::SeeingOff;
            }
            is_serving
        });
    }

    /// From now on nobody connects, and who is connected is answered and has to leave, for as long as this at most.
    pub fn shut_down(&self, within: Duration) {
        let _ = self.0.send_replace(Phase::Ending(Instant::now() + within));
    }
}

/// What serves connections.
pub struct Server {
    /// What the server shows, or nothing for plain connections.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// What answers.
    pub router: Router,
    /// What all requests share.
    pub state: Arc<State>,
    /// How many connections there may be.
    pub most: Most,
    /// How long they may do nothing.
    pub rest: Rest,
}

struct Shared {
    server: Server,
    seats: Seats,
    http: Builder<TokioExecutor>,
    told: Mutex<Option<Instant>>,
}

impl Server {
    /// Serves connections until it is asked to end and all of them have ended.
    pub async fn serve(self, listener: TcpListener, handle: &Handle) {
        let shared = Arc::new(Shared {
            seats: Seats::new(self.most),
            http: http(self.tls.is_some()),
            told: Mutex::default(),
            server: self,
        });
        let mut stop = handle.0.subscribe();
        // It ends when the last connection has dropped its side.
        let (alive, mut ended) = mpsc::channel::<Infallible>(1);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|phase| matches!(phase, Phase::Ending(_))) => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // There are no descriptors, or the client is gone again.
                shared.seats.make_room();
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            shared.begin(stream, handle, &alive);
        }
        // Who is in the queue of the system has connected, as far as they know.
        let last = Instant::now() + QUEUED;
        while let Ok(Ok((stream, _))) = timeout_at(last.into(), listener.accept()).await {
            shared.begin(stream, handle, &alive);
        }
        drop((listener, alive));
        ended.recv().await;
    }
}

/// What one connection may make us keep is bounded by these.
fn http(has_http2: bool) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // How long a head may take is `Rest`'s to say, which also knows whether it is the first.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(128 << 10)
        .initial_connection_window_size(512 << 10)
        .max_send_buf_size(64 << 10);
    if has_http2 { http } else { http.http1_only() }
}

impl Shared {
    fn begin(self: &Arc<Self>, stream: TcpStream, handle: &Handle, alive: &mpsc::Sender<Infallible>) {
        let seat = self.seats.arrive();
        let (shared, phase, alive) = (Arc::clone(self), handle.0.subscribe(), alive.clone());
        tokio::spawn(async move {
            shared.connection(stream, seat, phase).await;
            drop(alive);
        });
    }

    /// Counts a client that was not let in. One line a minute says why: the log is not for who scans ports.
    fn refused(&self, error: &str) {
        self.server.state.metrics.refused_connection();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            let msg = "a connection was refused; further ones of this minute are only counted";
            self.server.state.log.write(Level::Warn, msg, &json!({"error": error}));
        }
    }

    async fn connection(&self, stream: TcpStream, seat: Seat, phase: watch::Receiver<Phase>) {
        // An answer is small; waiting for more of it helps nobody. Where it cannot be had, it works all the same.
        let _ = stream.set_nodelay(true);
        let shaken = tokio::select! {
            biased;
            _ = seat.control.told(Order::Leave) => {
                return self.refused("too many connections are in their handshake; the one that did so for longest is closed");
            }
            shaken = timeout(HANDSHAKE, self.shake(stream, &seat)) => shaken,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.refused(&error.to_string()),
            Err(_) => return self.refused("the handshake did not end in time"),
        };
        if !seat.open(&self.server.state.memory) {
            return self.refused(
                "there are as many connections as `--max-connections` allows, and something is worked on for each",
            );
        }
        match stream {
            Stream::Tls(stream) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.requests(*stream, &seat, phase, is_http2).await;
            }
            Stream::Plain(stream) => self.requests(stream, &seat, phase, false).await,
        }
    }

    async fn shake(&self, stream: TcpStream, seat: &Seat) -> io::Result<Stream> {
        stream.readable().await?;
        seat.spoke();
        match &self.server.tls {
            Some(tls) => {
                let stream = TlsAcceptor::from(tls.load_full()).accept(stream).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            None => Ok(Stream::Plain(stream)),
        }
    }

    async fn requests(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        seat: &Seat,
        mut phase: watch::Receiver<Phase>,
        is_http2: bool,
    ) {
        let (control, rest) = (&seat.control, self.server.rest);
        let service = Watched {
            router: self.server.router.clone(),
            id: seat.id(),
            control: Arc::clone(control),
            phase: phase.clone(),
        };
        let connection = self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let mut order = Order::Stay;
        let mut seen = Phase::Serving;
        let mut end = pin!(sleep_until(control.end(rest).into()));
        // When it is asked to leave by the protocol, if it is to be.
        let mut is_told = false;
        let mut tell = pin!(sleep_until(Instant::now().into()));
        // Who has just come has a request for us.
        let moment = || if control.has_asked() { Instant::now() } else { Instant::now() + LEAVE };
        loop {
            tokio::select! {
                biased;
                told = control.told(order) => {
                    if told == Order::Cut {
                        return;
                    }
                    self.server.state.memory.leave(seat.id());
                    order = Order::Leave;
                    end.as_mut().reset((Instant::now() + LEAVE).into());
                    connection.as_mut().graceful_shutdown();
                }
                changed = phase.wait_for(|phase| *phase != seen), if order == Order::Stay => {
                    seen = changed.map_or_else(|_| Phase::Ending(Instant::now()), |phase| *phase);
                    if let Phase::Ending(last) = seen {
                        order = Order::Leave;
                        end.as_mut().reset(last.into());
                    }
                    if is_http2 || order == Order::Leave {
                        is_told = true;
                        tell.as_mut().reset(moment().into());
                    }
                }
                () = tell.as_mut(), if is_told => {
                    is_told = false;
                    connection.as_mut().graceful_shutdown();
                }
                () = end.as_mut() => {
                    if order == Order::Leave {
                        return;
                    }
                    let later = control.end(rest);
                    if later > Instant::now() {
                        end.as_mut().reset(later.into());
                        continue;
                    }
                    order = Order::Leave;
                    end.as_mut().reset((Instant::now() + LEAVE).into());
                    connection.as_mut().graceful_shutdown();
                }
                // How a client ends it is its own affair.
                _ = connection.as_mut() => return,
            }
        }
    }
}

enum Stream {
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Plain(TcpStream),
}

/// The endpoints, as a connection sees them: it knows when it is asked, and when it has answered.
#[derive(Clone, Debug)]
struct Watched {
    router: Router,
    id: ConnectionId,
    control: Arc<Control>,
    phase: watch::Receiver<Phase>,
}

/// A request that is worked on, also if its future is dropped.
struct Running(Arc<Control>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl<B> Service<Request<B>> for Watched
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.control.began();
        let running = Running(Arc::clone(&self.control));
        request.extensions_mut().insert(self.id);
        let is_http1 = request.version() <= Version::HTTP_11;
        let phase = self.phase.clone();
        let answer = self.router.call(request);
        Box::pin(async move {
            let _running = running;
            let mut answer = answer.await?;
            if is_http1 && *phase.borrow() != Phase::Serving {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_places_than_descriptors() {
        let most = |open, descriptors| {
            let most = Most::within(open, descriptors);
            (most.shaking, most.open, most.leaving)
        };
        assert_eq!(most(2048, None), (512, 2048, 128));
        assert_eq!(most(2048, Some(1 << 20)), (512, 2048, 128));
        for descriptors in [0, 100, 256, 1024, 2000] {
            let (shaking, open, leaving) = most(2048, Some(descriptors));
            assert!(shaking > 0 && open > 0 && leaving > 0);
            assert!(shaking + open + leaving <= descriptors.saturating_sub(192).max(8), "{descriptors}");
        }
        assert!(descriptors().is_some_and(|descriptors| descriptors > 10));
    }
}
