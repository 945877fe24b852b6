//! HTTP around [`crate::admission`]: what is read of a request, how long it may take, and what is said if it cannot be judged.
//!
//! An admission request is answered with HTTP 200 and an AdmissionReview, whatever happens: too many requests, a body that is too
//! large, a deadline that passed, a defect of the webhook. Each is `allowed: false` with code 400, 413 or 500. HTTP's own 429 or 503
//! would be a failed call, and a failed call is let in where `failurePolicy` is `Ignore`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::time::timeout_at;

use portcullis::Verdict;
use portcullis_cluster::Event;

use crate::admission::{Answer, Budget, Envelope, Serving, Status, admit, admit_label};
use crate::decisions::Draft;
use crate::log::{Level, Lines};
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
        (true, _) => state.describe(),
        (false, true) => "ok".to_owned(),
        (false, false) if state.is_stopping() => "stopping".to_owned(),
        (false, false) => "starting".to_owned(),
    };
    (status, text).into_response()
}

async fn serve_metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, state.metrics()).into_response()
}

async fn serve_admit(
    Shared(state): Shared<Arc<State>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let times = Times::of(query.as_deref(), state.settings.timeout);
    #[cfg(feature = "otel")]
    let times = times.with_parent(&headers);
    let body = match read_body(&state, &headers, body, &times).await {
        Ok(body) => body,
        Err((envelope, answer)) => return finish(&state, &times, b"", &envelope, &answer, None),
    };
    let namespace = match state.following() {
        None => Ok(None),
        Some(following) if !following.is_ready() => {
            let answer = Answer::failed("the policies of the cluster are not read yet");
            let envelope = Envelope::read_lossy(&body.bytes);
            return finish(&state, &times, &body.bytes, &envelope, &answer, None);
        }
        Some(following) => following.namespace(&Envelope::read_lossy(&body.bytes), times.review).await,
    };
    let work = {
        let (state, serving) = (Arc::clone(&state), state.serving());
        let (body, deadline) = (body.bytes.clone(), times.review);
        move || {
            let (limits, now_ns) = (state.settings.limits, state.now_ns());
            let (envelope, answer) =
                admit(&body, &serving, &state.settings.own, namespace, &Budget { limits, deadline, now_ns });
            let told = tell(&state, &body, &envelope, &answer, &serving, now_ns);
            (envelope, answer, told)
        }
    };
    let (envelope, answer, told) = match in_pool(&state, &times, work).await {
        Ok((envelope, answer, told)) => (envelope, answer, Some(told)),
        Err(answer) => (Envelope::read_lossy(&body.bytes), answer, None),
    };
    finish(&state, &times, &body.bytes, &envelope, &answer, told)
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

async fn serve_admit_label(
    Shared(state): Shared<Arc<State>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let times = Times::of(query.as_deref(), state.settings.timeout);
    let body = match read_body(&state, &headers, body, &times).await {
        Ok(body) => body,
        Err((envelope, answer)) => return respond(&envelope, &answer),
    };
    let work = {
        let (bytes, exempt) = (body.bytes.clone(), state.settings.exempt.clone());
        move || admit_label(&bytes, &exempt)
    };
    let judged = in_pool(&state, &times, work).await;
    let (envelope, answer) = judged.unwrap_or_else(|answer| (Envelope::read_lossy(&body.bytes), answer));
    respond(&envelope, &answer)
}

/// Does the work on a thread for reviews, and answers in time whatever becomes of it.
async fn in_pool<T: Send + 'static>(
    state: &State,
    times: &Times,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Answer> {
    let failure = match state.pool.run(work) {
        Ok(result) => match timeout_at(times.answer.into(), result).await {
            Ok(Ok(Ok(judged))) => return Ok(judged),
            Ok(Ok(Err(failure))) => failure.to_string(),
            // The thread dropped the work: its turn came after the deadline.
            Ok(Err(_)) | Err(_) => {
                format!("the review did not end within {} ms, its deadline", times.total.as_millis())
            }
        },
        Err(failure) => {
            if failure == Failure::Overloaded {
                state.metrics.shed();
            }
            failure.to_string()
        }
    };
    Err(Answer::failed(failure))
}

/// Counts and records an answer, and gives it. Of a request that was not judged nothing was prepared.
fn finish(
    state: &State,
    times: &Times,
    body: &[u8],
    envelope: &Envelope,
    answer: &Answer,
    told: Option<Told>,
) -> Response {
    let took = times.start.elapsed();
    state.metrics.answered(answer, envelope.is_dry_run(), took);
    let told = told.unwrap_or_else(|| tell(state, body, envelope, answer, &state.serving(), state.now_ns()));
    if let (Some(recorder), Some(draft)) = (&state.decisions, told.draft) {
        recorder.record(draft, answer, took);
    }
    #[cfg(feature = "otel")]
    if let Some(tracer) = &state.tracer {
        tracer.answered(times.parent, envelope, answer, took);
    }
    if let Some(following) = state.following() {
        following.record(told.events);
    }
    state.log.write_lines(told.lines);
    respond(envelope, answer)
}

fn respond(envelope: &Envelope, answer: &Answer) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer.to_body(envelope)).into_response()
}

/// A body and its share of the memory for bodies.
struct Received<'a> {
    bytes: Bytes,
    _share: tokio::sync::SemaphorePermit<'a>,
}

async fn read_body<'a>(
    state: &'a State,
    headers: &HeaderMap,
    body: Body,
    times: &Times,
) -> Result<Received<'a>, (Envelope, Answer)> {
    let most = state.settings.max_body;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(most);
    let share = u32::try_from(announced.min(most).div_ceil(1024)).unwrap_or(u32::MAX);
    let late = |what: &str| {
        let message = format!("{what} within {} ms, the request's deadline", times.total.as_millis());
        (Envelope::default(), Answer::failed(message))
    };
    let waited = timeout_at(times.review.into(), state.body_memory.acquire_many(share)).await;
    let Ok(Ok(share)) = waited else {
        state.metrics.shed();
        return Err(late("there was no memory to read the body"));
    };
    let bytes = match timeout_at(times.review.into(), collect(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(refusal)) => return Err(refusal),
        Err(_) => return Err(late("the body did not come")),
    };
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type != Some(b"application/json") {
        let found = String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
        let answer = Answer::malformed(400, format!("expected `application/json`, found `{found}`"));
        return Err((Envelope::read_lossy(&bytes), answer));
    }
    Ok(Received { bytes, _share: share })
}

/// Reads a body. What is too large is thrown away, but still read: clients that are answered before they have sent everything see a
/// broken connection instead of the answer, and a broken connection is for `failurePolicy` to judge.
async fn collect(mut body: Body, most: usize) -> Result<Bytes, (Envelope, Answer)> {
    /// Nobody sends this much by mistake.
    const MOST_READ: usize = 64 << 20;
    let (mut bytes, mut total) = (Vec::new(), 0_usize);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| {
            let answer = Answer::malformed(400, format!("the body breaks off: {error}"));
            (Envelope::read_lossy(&bytes), answer)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        // The beginning is kept: it has the uid.
        let room = most.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(data.get(..room).unwrap_or_default());
        if total > most.max(MOST_READ) {
            break;
        }
    }
    if total > most {
        let message = format!("the body has more than the {most} bytes that are read");
        return Err((Envelope::read_lossy(&bytes), Answer::malformed(413, message)));
    }
    Ok(bytes.into())
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
