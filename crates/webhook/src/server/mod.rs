//! HTTP around [`crate::admission`]: what is read of a request, how long it may take, and what is said if it cannot be judged.
//!
//! An admission request is answered with HTTP 200 and an AdmissionReview, whatever happens: too many requests, a body that is too
//! large, a deadline that passed, a defect of the webhook. Each is `allowed: false` with code 400, 413 or 500. HTTP's own 429 or 503
//! would be a failed call, and a failed call is let in where `failurePolicy` is `Ignore`.

mod arrived;
mod purpose;
mod times;
mod told;

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use portcullis::{Answers, MutationLimits, Object, PolicySet, Questions};

use crate::admission::{self, Answer, Budget, Envelope, Mutated, Mutating, Validated};
use crate::body::Refusal;
use crate::memory::{Eviction, Holding, Part};
use crate::pool::Failure;
use crate::serving::Serving;
use crate::state::{MutationSettings, State};

use arrived::{Arrived, Judged};
use purpose::Purpose;
use times::parameter;
use told::tell;

/// The endpoints. That of mutation is only there if the webhook mutates.
pub fn router(state: Arc<State>) -> Router {
    let mut router =
        Router::new().route("/v1/admit", post(serve_admit)).route("/v1/admitlabel", post(serve_admit_label));
    if state.settings.mutation.is_some() {
        router = router.route("/v1/mutate", post(serve_mutate));
    }
    router.with_state(Arc::clone(&state)).merge(health_router(state))
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
    serve(&state, request, Purpose::Admit).await
}

async fn serve_mutate(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    serve(&state, request, Purpose::Mutate).await
}

async fn serve(state: &Arc<State>, request: Request, purpose: Purpose) -> Response {
    let arrived = Arrived::of(state, request, purpose).await;
    let judged = match &arrived.read {
        Err(refusal) => Err(arrived.refusal(state, refusal)),
        Ok(()) => unwound(judge(state, &arrived))
            .await
            .unwrap_or_else(|| Err(Answer::failed(Failure::Panicked.to_string()))),
    };
    let judged = match judged {
        Ok(judged) => judged,
        Err(answer) => arrived.unjudged(state, answer).await,
    };
    finish(state, &arrived, judged)
}

/// What came of the first look at a request, on a thread for reviews.
enum Look {
    Judged(Box<Judged>),
    /// Its Namespace has to be asked for.
    Wants(String),
    /// Providers of external data have to be asked.
    Asks(Box<Asks>),
}

/// A request whose constraints ask for what is not known yet.
struct Asks {
    questions: Questions,
    namespace: Result<Option<Object>, String>,
}

/// # Errors
///
/// The answer, if it could not be judged.
async fn judge(state: &Arc<State>, arrived: &Arrived) -> Result<Judged, Answer> {
    if state.following().is_some_and(|following| !following.is_ready()) {
        return Err(Answer::failed("the policies of the cluster are not read yet"));
    }
    let serving = state.serving();
    let mut look = arrived.in_pool(state, look(state, arrived, &serving)).await?;
    let gone = || arrived.refusal(state, &Refusal::Evicted(Eviction::Bytes));
    let (mut answers, mut is_answered) = (Answers::new(), true);
    for round in 1.. {
        let namespace = match look {
            Look::Judged(judged) => return Ok(*judged),
            Look::Wants(name) => {
                let Some(following) = state.following() else {
                    return Err(Answer::failed("there is no cluster to ask for a namespace"));
                };
                tokio::select! {
                    biased;
                    () = arrived.holding.told() => return Err(gone()),
                    namespace = following.ask_for_namespace(&name, arrived.times.review) => namespace,
                }
            }
            Look::Asks(asks) => {
                let Asks { questions, namespace } = *asks;
                let until = arrived.times.asking();
                // No thread waits for a provider, and whose body is dropped meanwhile is told so.
                let found = tokio::select! {
                    biased;
                    () = arrived.holding.told() => return Err(gone()),
                    found = ask(state, arrived.purpose, &questions, until) => found,
                };
                answers.extend(found);
                is_answered = questions.iter().any(|question| answers.answers(question));
                namespace
            }
        };
        let may_ask = is_answered && round < PolicySet::MAX_ROUNDS;
        let review = review(state, arrived, &serving, answers.clone(), may_ask);
        let envelope = arrived.known();
        look = arrived.in_pool(state, move |holding| review(holding, envelope, namespace)).await?;
    }
    // Rounds end, as the last one asks nothing.
    Err(Answer::failed("the review did not end"))
}

/// Asks providers, and the cluster about rights. What is written into objects is what they say now, as in Gatekeeper.
async fn ask(state: &State, purpose: Purpose, questions: &Questions, until: Instant) -> Answers {
    let of_providers = async {
        match purpose {
            Purpose::Admit => state.providers.answer(questions, Some(until)).await,
            Purpose::Mutate => state.providers.answer_anew(questions, Some(until)).await,
        }
    };
    let of_cluster = async {
        match &state.rights {
            Some(rights) => rights.answer(questions, until).await,
            None => Answers::new(),
        }
    };
    let (mut answers, rights) = tokio::join!(of_providers, of_cluster);
    answers.extend(rights);
    answers
}

/// Reads the envelope, and judges if all that this takes is there.
fn look(
    state: &Arc<State>,
    arrived: &Arrived,
    serving: &Arc<Serving>,
) -> impl FnOnce(&Holding) -> Option<Look> + use<> {
    let (state, review) = (Arc::clone(state), review(state, arrived, serving, Answers::new(), true));
    let (known, head, purpose) = (Arc::clone(&arrived.envelope), arrived.head.clone(), arrived.purpose);
    move |holding| {
        let body = holding.peek()?;
        let (envelope, refusal) = Envelope::read(&body, &head);
        // Nobody else reads it.
        let _ = known.set(envelope.clone());
        if let Some(answer) = refusal {
            let told = tell(&state, purpose, &body, &envelope, &answer, &state.serving(), state.now_ns());
            return Some(Look::Judged(Box::new(Judged { envelope, answer, told })));
        }
        // Others may need its room while it waits.
        drop(body);
        let namespace = match state.following() {
            None => None,
            Some(following) => match following.known_namespace(&envelope) {
                Some(namespace) => namespace,
                None => return Some(Look::Wants(envelope.namespace().to_owned())),
            },
        };
        review(holding, envelope, Ok(namespace))
    }
}

/// The review of a request whose envelope was read, by what was served when it came: also if it waits for its turn or for providers, no swap
/// falls into it. What is asked of providers and not answered yet comes first, if it may ask any more.
fn review(
    state: &Arc<State>,
    arrived: &Arrived,
    serving: &Arc<Serving>,
    answers: Answers,
    may_ask: bool,
) -> impl FnOnce(&Holding, Envelope, Result<Option<Object>, String>) -> Option<Look> + use<> {
    let (state, serving) = (Arc::clone(state), Arc::clone(serving));
    let (deadline, purpose) = (arrived.times.review, arrived.purpose);
    move |holding, envelope, namespace| {
        if may_ask && purpose == Purpose::Admit && admission::may_ask(&serving) {
            let body = holding.peek()?;
            let budget = Budget { limits: state.settings.limits, deadline, now_ns: state.now_ns() };
            let (own, known) = (&state.settings.own, namespace.clone());
            let questions = admission::questions(&body, &envelope, &serving, own, known, &budget, &answers);
            if !questions.is_empty() {
                return Some(Look::Asks(Box::new(Asks { questions, namespace })));
            }
        }
        let (own, limits, now_ns) = (&state.settings.own, state.settings.limits, state.now_ns());
        let (body, answer, ignored) = match purpose {
            Purpose::Admit => {
                let body = holding.take()?;
                let budget = Budget { limits, deadline, now_ns };
                let explains = state.decisions.as_ref().is_some_and(|recorder| recorder.content.explanations);
                let known = explains.then(|| namespace.clone());
                let Validated { mut answer, ignored } =
                    admission::judge(&body, &envelope, &serving, own, namespace, &budget, &answers);
                if let Some(namespace) = known {
                    let (body, envelope, serving) = (&*body, &envelope, &*serving);
                    let (budget, answers) = (&budget, &answers);
                    let asked = admission::Asked { body, envelope, serving, own, namespace, budget, answers };
                    answer.explanations = admission::explanations(&answer, asked);
                }
                (body, answer, ignored)
            }
            Purpose::Mutate => {
                let MutationSettings { annotates, logs: tells } = state.settings.mutation.unwrap_or_default();
                // What was reckoned for a constraint is there for the mutators.
                let limits = MutationLimits { memory: limits.memory, ..MutationLimits::default() };
                let id = if annotates || tells { random_id() } else { String::new() };
                let (max_patch, id) = (state.settings.max_body, id.as_str());
                let mutating =
                    Mutating { limits, deadline, max_patch, id, annotates, tells, answers: &answers };
                // While providers are asked, others may need its room.
                let may_ask = may_ask && admission::may_mutators_ask(&serving);
                let body = if may_ask { holding.peek()? } else { holding.take()? };
                let known = namespace.clone();
                let Mutated { answer, questions, ignored } =
                    admission::mutate(&body, &envelope, &serving, own, known, &mutating);
                if may_ask && !questions.is_empty() {
                    return Some(Look::Asks(Box::new(Asks { questions, namespace })));
                }
                (if may_ask { holding.take()? } else { body }, answer, ignored)
            }
        };
        let mut told = tell(&state, purpose, &body, &envelope, &answer, &serving, now_ns);
        told.ignored(purpose, &envelope, &ignored);
        Some(Look::Judged(Box::new(Judged { envelope, answer, told })))
    }
}

async fn serve_admit_label(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let arrived = Arrived::of(&state, request, Purpose::Admit).await;
    let judged = if let Err(refusal) = &arrived.read {
        Err(refusal.answer(arrived.times.total))
    } else {
        let (exempt, head) = (state.settings.exempt.clone(), arrived.head.clone());
        let work = move |holding: &Holding| {
            let body = holding.take()?;
            let (envelope, refusal) = Envelope::read(&body, &head);
            let answer = refusal.unwrap_or_else(|| admission::judge_label(&body, &exempt));
            Some((envelope, answer))
        };
        arrived.in_pool(&state, work).await
    };
    let (envelope, answer) = judged.unwrap_or_else(|answer| (arrived.known(), answer));
    respond(&state, &envelope, &answer)
}

/// Counts and records an answer, and gives it.
fn finish(state: &State, arrived: &Arrived, judged: Judged) -> Response {
    let (times, Judged { envelope, answer, told }) = (&arrived.times, judged);
    let took = times.start.elapsed();
    match arrived.purpose {
        Purpose::Admit => state.metrics.answered(&answer, envelope.is_dry_run(), took),
        Purpose::Mutate => state.metrics.mutated(&answer, took),
    }
    if let (Some(recorder), Some(draft)) = (&state.decisions, told.draft) {
        recorder.record(draft, &answer, took);
    }
    #[cfg(feature = "otel")]
    if let Some(tracer) = &state.tracer {
        let path = match arrived.purpose {
            Purpose::Admit => "/v1/admit",
            Purpose::Mutate => "/v1/mutate",
        };
        tracer.answered(times.parent.as_ref(), path, &envelope, &answer, took);
    }
    if let Some(following) = state.following() {
        following.record(told.events);
    }
    state.log.write_lines(told.lines);
    respond(state, &envelope, &answer)
}

/// An identity in the form of a random UUID. It tells mutations from each other, and nothing rests on its being hard to guess.
fn random_id() -> String {
    let half = || u128::from(RandomState::new().hash_one(SystemTime::now()));
    let bits = (half() << 64) | half();
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

fn respond(state: &State, envelope: &Envelope, answer: &Answer) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    let body = Long::body(state, answer.to_body(envelope));
    // Too many long ones wait for their readers: the verdict goes out without its reasons.
    let body = body.unwrap_or_else(|| {
        // Without its patch it is another verdict.
        if answer.patch.is_some() {
            state.metrics.shed();
        }
        answer.without_reasons().to_body(envelope).into()
    });
    (content_type, body).into_response()
}
