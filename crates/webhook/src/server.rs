//! HTTP around [`crate::admission`]: what is read of a request, how long it may take, and what is said if it cannot be judged.
//!
//! An admission request is answered with HTTP 200 and an AdmissionReview, whatever happens: too many requests, a body that is too
//! large, a deadline that passed, a defect of the webhook. Each is `allowed: false` with code 400, 413 or 500. HTTP's own 429 or 503
//! would be a failed call, and a failed call is let in where `failurePolicy` is `Ignore`.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State as Shared};
#[cfg(feature = "otel")]
use axum::http::HeaderMap;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::time::timeout_at;

use portcullis::Verdict;
use portcullis_cluster::Event;

use crate::admission::{Answer, Budget, Envelope, Serving, Status, admit, admit_label};
use crate::body;
use crate::decisions::Draft;
use crate::head::{Head, Size};
use crate::log::{Level, Lines};
use crate::memory::{ConnectionId, Holding, Part};
use crate::pool::Failure;
use crate::redact::Redaction;
use crate::state::State;

/// The endpoints.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/admit", post(serve_admit))
        .route("/v1/admitlabel", post(serve_admit_label))
        .with_state(Arc::clone(&state))
        .merge(health_router(state))
}

/// The endpoints of probes and metrics.
pub fn health_router(state: Arc<State>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(serve_ready))
        .route("/metrics", get(serve_metrics))
        .with_state(state)
}

async fn serve_ready(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let status = if state.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = parameter(query.as_deref(), "verbose").is_some();
    let text = match (verbose, state.is_ready()) {
        (true, _) => return long_text(&state, status, "text/plain; charset=utf-8", state.describe()),
        (false, true) => "ok".to_owned(),
        (false, false) if state.is_stopping() => "stopping".to_owned(),
        (false, false) => "starting".to_owned(),
    };
    (status, text).into_response()
}

async fn serve_metrics(Shared(state): Shared<Arc<State>>) -> Response {
    long_text(&state, StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", state.metrics())
}

/// A text of some length, unless too many of them wait for their readers.
fn long_text(state: &State, status: StatusCode, content_type: &'static str, text: String) -> Response {
    match Long::body(state, text.into_bytes()) {
        Some(body) => (status, [(header::CONTENT_TYPE, content_type)], body).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "too many answers wait for their readers").into_response(),
    }
}

/// The bytes of an answer, with their part of the memory for answers until they are sent.
struct Long(Vec<u8>, #[expect(dead_code, reason = "it is given back in the end")] Part);

impl AsRef<[u8]> for Long {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Long {
    /// `None` if there is no room.
    fn body(state: &State, bytes: Vec<u8>) -> Option<Body> {
        /// As much as the request itself takes anyway.
        const SHORT: usize = 4096;
        if bytes.len() <= SHORT {
            return Some(bytes.into());
        }
        let part = state.answers.take(bytes.capacity())?;
        Some(Bytes::from_owner(Self(bytes, part)).into())
    }
}

/// A request whose body has come, or has not.
struct Arrived {
    times: Times,
    holding: Arc<Holding>,
    head: Head,
    read: Result<(), body::Refusal>,
}

impl Arrived {
    async fn of(state: &State, request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let times = Times::of(parts.uri.query(), state.settings.timeout);
        #[cfg(feature = "otel")]
        let times = times.with_parent(&parts.headers);
        let connection = parts.extensions.get::<ConnectionId>().copied().unwrap_or_default();
        let holding = Arc::new(state.memory.enter(connection));
        let (most, mut head) = (state.settings.max_body, Head::default());
        let read = body::read(body, &parts.headers, &holding, &mut head, most, times.review).await;
        Self { times, holding, head, read }
    }

    /// Why it cannot be judged, as an answer.
    fn refused(&self, state: &State, refusal: &body::Refusal) -> Judged {
        if refusal.is_shed() {
            state.metrics.shed();
        }
        self.unjudged(refusal.answer(self.times.total))
    }

    /// What the request is about.
    fn envelope(&self) -> Envelope {
        self.holding.peek().map_or_else(|| Envelope::of_head(&self.head), |body| Envelope::read_lossy(&body))
    }

    /// The body of a request that is not judged, if it is short: nothing was reckoned for reading it.
    fn short_body(&self) -> Option<Bytes> {
        const SHORT: usize = 64 << 10;
        self.holding.peek().filter(|body| body.len() <= SHORT)
    }

    /// An answer without a review. It says whose answer it is, also if nothing is left of the body.
    fn unjudged(&self, answer: Answer) -> Judged {
        let body = self.short_body();
        let envelope = body.map_or_else(|| Envelope::of_head(&self.head), |body| Envelope::read_lossy(&body));
        Judged { envelope, answer, told: None }
    }

    /// Does the work on a thread for reviews, and answers in time whatever becomes of it or of the body.
    async fn in_pool<T: Send + 'static>(
        &self,
        state: &State,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, Answer> {
        let work = {
            let holding = Arc::clone(&self.holding);
            move || holding.take().map(|body| work(&body))
        };
        let late = || {
            let millis = self.times.total.as_millis();
            Answer::failed(format!("the review did not end within {millis} ms, its deadline"))
        };
        let evicted = |eviction| {
            state.metrics.shed();
            body::Refusal::Evicted(eviction).answer(self.times.total)
        };
        if let Err(eviction) = self.holding.complete() {
            return Err(evicted(eviction));
        }
        let pending = state.pool.run(cost(self.head.size(), state.decisions.is_some()), work);
        let failure = match pending {
            Ok(pending) => {
                let ended = tokio::select! {
                    biased;
                    ended = timeout_at(self.times.answer.into(), pending) => ended,
                    () = self.holding.told() => return Err(evicted(crate::memory::Eviction::Bytes)),
                };
                match ended {
                    Ok(Ok(Some(judged))) => return Ok(judged),
                    Ok(Ok(None)) => return Err(evicted(crate::memory::Eviction::Bytes)),
                    Ok(Err(failure)) => failure,
                    Err(_) => {
                        self.holding.abandon();
                        return Err(late());
                    }
                }
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Overloaded => state.metrics.shed(),
            Failure::TooLarge => return Err(Answer::malformed(413, failure.to_string())),
            Failure::Panicked | Failure::GivenUp => {}
        }
        Err(Answer::failed(failure.to_string()))
    }
}

/// About how many bytes it takes to judge a body: its text, its values with their places, and what the records make of it. Measured with
/// bodies of 3 MiB that consist of one kind of thing: 135 bytes for an empty object, 105 for a short text, 66 for a number, and less for
/// what is not empty.
fn cost(size: Size, is_recorded: bool) -> usize {
    const CONTAINER: usize = 136;
    const TEXT: usize = 112;
    const WORD: usize = 72;
    let copies = if is_recorded { 5 } else { 2 };
    [(size.bytes, copies), (size.containers, CONTAINER), (size.texts, TEXT), (size.words, WORD)]
        .into_iter()
        .fold(0, |sum, (number, each)| number.saturating_mul(each).saturating_add(sum))
}

/// What becomes of a request.
struct Judged {
    envelope: Envelope,
    answer: Answer,
    /// Nothing is prepared for a request that was not judged.
    told: Option<Told>,
}

/// The result; `None` if the work panicked.
async fn unwound<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

async fn serve_admit(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let arrived = Arrived::of(&state, request).await;
    let judged = match &arrived.read {
        Err(refusal) => arrived.refused(&state, refusal),
        Ok(()) => unwound(judge(&state, &arrived))
            .await
            .unwrap_or_else(|| arrived.unjudged(Answer::failed(Failure::Panicked.to_string()))),
    };
    finish(&state, &arrived, judged)
}

async fn judge(state: &Arc<State>, arrived: &Arrived) -> Judged {
    let times = &arrived.times;
    let namespace = match state.following() {
        None => Ok(None),
        Some(following) if !following.is_ready() => {
            return arrived.unjudged(Answer::failed("the policies of the cluster are not read yet"));
        }
        Some(following) => {
            let envelope = arrived.envelope();
            tokio::select! {
                biased;
                () = arrived.holding.told() => {
                    return arrived.refused(state, &body::Refusal::Evicted(crate::memory::Eviction::Place));
                }
                namespace = following.namespace(&envelope, times.review) => namespace,
            }
        }
    };
    let work = {
        let (state, serving) = (Arc::clone(state), state.serving());
        let deadline = times.review;
        move |body: &[u8]| {
            let (limits, now_ns) = (state.settings.limits, state.now_ns());
            let (envelope, answer) =
                admit(body, &serving, &state.settings.own, namespace, &Budget { limits, deadline, now_ns });
            let told = tell(&state, body, &envelope, &answer, &serving, now_ns);
            Judged { envelope, answer, told: Some(told) }
        }
    };
    arrived.in_pool(state, work).await.unwrap_or_else(|answer| arrived.unjudged(answer))
}

/// What is told of a request to others than the API server: made where the review ran, as it may be much, and told when it is known that
/// the answer came in time.
struct Told {
    draft: Option<Draft>,
    lines: Lines,
    events: Vec<Event>,
}

fn tell(
    state: &State,
    body: &[u8],
    envelope: &Envelope,
    answer: &Answer,
    serving: &Serving,
    now_ns: i64,
) -> Told {
    let mut told = Told { draft: None, lines: Lines::default(), events: Vec::new() };
    let is_refused = answer.status == Status::Error && answer.outcome.is_none();
    let has_findings = answer.outcome.iter().flat_map(|outcome| &outcome.results);
    let has_findings = has_findings.into_iter().any(|result| result.verdict != Verdict::Pass);
    if state.decisions.is_none() && !is_refused && !has_findings {
        return told;
    }
    let keeps_request = state.decisions.as_ref().is_some_and(|recorder| recorder.content.requests);
    let redaction = Redaction::of(body, answer, serving, &state.settings.redact, keeps_request);
    if state.decisions.is_some() {
        told.draft = Some(Draft::new(body, envelope, answer, serving, now_ns, &redaction));
    }
    let (records, left) = answer.records(envelope, &redaction);
    if state.settings.log_denies {
        for record in &records {
            told.lines.add(Level::Info, &record.msg(), record);
        }
        if left > 0 {
            let fields = json!({"process": "admission", "findings": left});
            told.lines.add(Level::Warn, "more was found than is logged of one request", &fields);
        }
    }
    if let Some(following) = state.following() {
        told.events = following.events(envelope, &records);
    }
    if is_refused {
        let fields = json!({"process": "admission", "error": redaction.refusal(answer)});
        told.lines.add(Level::Error, "a request could not be judged, and was refused", &fields);
    }
    told
}

async fn serve_admit_label(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let arrived = Arrived::of(&state, request).await;
    let judged = if let Err(refusal) = &arrived.read {
        Err(refusal.answer(arrived.times.total))
    } else {
        let exempt = state.settings.exempt.clone();
        arrived.in_pool(&state, move |body| admit_label(body, &exempt)).await
    };
    let (envelope, answer) = judged.unwrap_or_else(|answer| {
        let Judged { envelope, answer, .. } = arrived.unjudged(answer);
        (envelope, answer)
    });
    respond(&state, &envelope, &answer)
}

/// Counts and records an answer, and gives it. Of a request that was not judged nothing was prepared.
fn finish(state: &State, arrived: &Arrived, judged: Judged) -> Response {
    let (times, Judged { envelope, answer, told }) = (&arrived.times, judged);
    let took = times.start.elapsed();
    state.metrics.answered(&answer, envelope.is_dry_run(), took);
    let told = told.unwrap_or_else(|| {
        let body = arrived.short_body().unwrap_or_default();
        tell(state, &body, &envelope, &answer, &state.serving(), state.now_ns())
    });
    if let (Some(recorder), Some(draft)) = (&state.decisions, told.draft) {
        recorder.record(draft, &answer, took);
    }
    #[cfg(feature = "otel")]
    if let Some(tracer) = &state.tracer {
        tracer.answered(times.parent, &envelope, &answer, took);
    }
    if let Some(following) = state.following() {
        following.record(told.events);
    }
    state.log.write_lines(told.lines);
    respond(state, &envelope, &answer)
}

fn respond(state: &State, envelope: &Envelope, answer: &Answer) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    let body = Long::body(state, answer.to_body(envelope));
    // Too many long ones wait for their readers: the verdict goes out without its reasons.
    let body = body.unwrap_or_else(|| answer.without_reasons().to_body(envelope).into());
    (content_type, body).into_response()
}

/// When a request has to be where. The API server's clock started before ours, and our answer has to travel.
struct Times {
    start: Instant,
    total: Duration,
    /// The end of the review.
    review: Instant,
    /// The end of waiting for it: what works between two looks at the watch must not hold up the answer.
    answer: Instant,
    /// The span that the request came from.
    #[cfg(feature = "otel")]
    parent: Option<crate::traces::Parent>,
}

impl Times {
    fn of(query: Option<&str>, most: Duration) -> Self {
        let start = Instant::now();
        let asked = parameter(query, "timeout").and_then(duration);
        let total = asked.map_or(most, |asked| asked.min(most));
        let margin = (total / 10).clamp(Duration::from_millis(1), Duration::from_millis(500));
        let after = |margin| start.checked_add(total.saturating_sub(margin)).unwrap_or(start);
        Self {
            start,
            total,
            review: after(margin),
            answer: after(margin / 2),
            #[cfg(feature = "otel")]
            parent: None,
        }
    }
}

#[cfg(feature = "otel")]
impl Times {
    fn with_parent(self, headers: &HeaderMap) -> Self {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        Self { parent: parent.and_then(crate::traces::Parent::parse), ..self }
    }
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// A duration as Go writes it: `10s`, `1m30s`, `1.5s`, `500ms`. `None` if it is none, or nothing at all.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, f64)] =
        &[("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number: f64 = rest.strip_suffix(digits)?.parse().ok()?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| digits.starts_with(unit))?;
        seconds += number * factor;
        rest = digits.strip_prefix(unit)?;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, millis) in
            [("10s", 10_000), ("1m30s", 90_000), ("1.5s", 1500), ("500ms", 500), ("1h0m0s", 3_600_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "0s", "s", "10", "-1s", "1x", "1..2s", "1e400s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_answer_comes_before_the_api_server_stops_waiting() {
        let times = Times::of(Some("x=1&timeout=1s"), Duration::from_secs(10));
        assert_eq!(times.review - times.start, Duration::from_millis(900));
        assert_eq!(times.answer - times.start, Duration::from_millis(950));
        let capped = Times::of(Some("timeout=30s"), Duration::from_secs(10));
        assert_eq!(capped.total, Duration::from_secs(10));
        let absent = Times::of(None, Duration::from_secs(10));
        assert_eq!(absent.total, Duration::from_secs(10));
    }
}
