//! Connections: how many there may be, and how long one may do nothing.
//!
//! A connection has its place before its handshake, and loses it when it asks for nothing for as long as [`Rest`] says. What counts is whole heads of requests, so that neither dripping bytes nor pings hold a place.

use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use crate::log::Level;
use crate::state::State;

/// How long a connection may ask for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// From its start to the end of the head of its first request.
    pub first: Duration,
    /// Between two requests.
    pub between: Duration,
}

/// API servers close theirs after 90 seconds. Who closes first does so without a request on its way, so the server must not be the one.
impl Default for Rest {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), between: Duration::from_mins(3) }
    }
}

/// How often refused clients are told about.
const TELL: Duration = Duration::from_mins(1);

/// Lets connections in.
#[derive(Clone)]
pub struct Gate {
    tls: RustlsAcceptor,
    places: Arc<Semaphore>,
    rest: Rest,
    state: Arc<State>,
    told: Arc<Mutex<Option<Instant>>>,
}

impl Gate {
    /// A gate with a number of places.
    #[must_use]
    pub fn new(tls: RustlsAcceptor, places: usize, rest: Rest, state: Arc<State>) -> Self {
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { tls, places, rest, state, told: Arc::default() }
    }

    /// Counts a client that was not let in. One line a minute says why: the log is not for who scans ports.
    fn refused(&self, error: &io::Error) {
        self.state.metrics.refused_connection();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            let msg = "a connection was refused; further ones of this minute are only counted";
            self.state.log.write(Level::Warn, msg, &json!({"error": error.to_string()}));
        }
    }
}

type Handshake<S> = <RustlsAcceptor as Accept<TcpStream, S>>::Future;
type Secured<S> = <RustlsAcceptor as Accept<TcpStream, S>>::Stream;

impl<S> Accept<TcpStream, S> for Gate
where
    S: Send + 'static,
    Handshake<S>: Send,
{
    type Stream = Connection<Secured<S>>;
    type Service = Watched<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let error = io::Error::other("there are as many connections as `--max-connections` allows");
            self.refused(&error);
            return Box::pin(ready(Err(error)));
        };
        // An answer is small; waiting for more of it helps nobody. Where it cannot be had, it works all the same.
        let _ = stream.set_nodelay(true);
        let handshake = self.tls.accept(stream, service);
        let gate = self.clone();
        Box::pin(async move {
            let (stream, service) = handshake.await.inspect_err(|error| gate.refused(error))?;
            let activity = Arc::new(Activity::new(gate.rest));
            let end = Box::pin(sleep_until(activity.end().into()));
            let stream = Connection { stream, end, activity: Arc::clone(&activity), _place: place };
            Ok((stream, Watched { service, activity }))
        })
    }
}

/// What a connection asks for.
#[derive(Debug)]
struct Activity {
    rest: Rest,
    start: Instant,
    /// Requests that are worked on.
    running: AtomicUsize,
    /// Milliseconds from the start to the last answer; 0 before the first.
    last: AtomicU64,
}

impl Activity {
    fn new(rest: Rest) -> Self {
        Self { rest, start: Instant::now(), running: AtomicUsize::new(0), last: AtomicU64::new(0) }
    }

    fn began(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis.max(1), Ordering::SeqCst);
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// When it has rested for too long, as it looks now.
    fn end(&self) -> Instant {
        let now = Instant::now();
        if self.running.load(Ordering::SeqCst) > 0 {
            return now + self.rest.between;
        }
        match self.last.load(Ordering::SeqCst) {
            0 => self.start + self.rest.first,
            last => self.start + Duration::from_millis(last) + self.rest.between,
        }
    }
}

/// A stream that ends when its connection has rested for too long.
pub struct Connection<T> {
    stream: T,
    end: Pin<Box<Sleep>>,
    activity: Arc<Activity>,
    _place: OwnedSemaphorePermit,
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        while this.end.as_mut().poll(context).is_ready() {
            let end = this.activity.end();
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            this.end.as_mut().reset(end.into());
        }
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A service that says when it is asked, and when it has answered.
#[derive(Clone, Debug)]
pub struct Watched<S> {
    service: S,
    activity: Arc<Activity>,
}

/// A request that is worked on, also if its future is dropped.
struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.activity.began();
        let running = Running(Arc::clone(&self.activity));
        let answer = self.service.call(request);
        Box::pin(async move {
            let _running = running;
            answer.await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_after_it_rested_and_not_while_it_works() {
        let rest = Rest::default();
        let activity = Arc::new(Activity::new(rest));
        assert_eq!(activity.end(), activity.start + rest.first);
        activity.began();
        assert!(activity.end() > activity.start + rest.first);
        drop(Running(Arc::clone(&activity)));
        let rested = activity.end() - activity.start;
        assert!(rested >= rest.between && rested < rest.between + Duration::from_secs(5), "{rested:?}");
    }
}
