//! A request from the end of its body to its answer: what runs where, and what is said if it does not end in time.
//!
//! ```text
//! body ──> BodyHead, Holding ──> a thread for reviews: Envelope, once ──> review ──> Judged
//!                                          │  the Namespace is not known
//!                                          └──> asked for, on the runtime ──> a thread for reviews: review
//! ```
//!
//! The runtime's threads read nothing of a body but what [`BodyHead`] finds while it comes: uid, version and size. That much is needed there,
//! as it answers also what is never kept, what is dropped, and what has to be reckoned before it is read.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::Request;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use super::purpose::Purpose;
use super::times::Times;
use super::told::{Told, tell};
use crate::admission::{Answer, Envelope};
use crate::body::{self, Refusal};
use crate::head::{BodyHead, Size};
use crate::memory::{ConnectionId, Eviction, Holding};
use crate::pool::Failure;
use crate::state::State;

/// A request whose body has come, or has not.
pub(super) struct Arrived {
    pub(super) purpose: Purpose,
    pub(super) times: Times,
    pub(super) holding: Arc<Holding>,
    pub(super) head: BodyHead,
    pub(super) read: Result<(), Refusal>,
    /// As it was read, if it was.
    pub(super) envelope: Arc<OnceLock<Envelope>>,
}

/// What becomes of a request.
pub(super) struct Judged {
    pub(super) envelope: Envelope,
    pub(super) answer: Answer,
    pub(super) told: Told,
}

impl Arrived {
    pub(super) async fn of(state: &State, request: Request, purpose: Purpose) -> Self {
        let (parts, body) = request.into_parts();
        let times = Times::of(parts.uri.query(), state.settings.timeout);
        #[cfg(feature = "otel")]
        let times = times.with_parent(&parts.headers);
        let connection = parts.extensions.get::<ConnectionId>().copied().unwrap_or_default();
        let holding = Arc::new(state.memory.enter(connection));
        let (most, mut head) = (state.settings.max_body, BodyHead::default());
        let read = body::read(body, &parts.headers, &holding, &mut head, most, times.review).await;
        Self { purpose, times, holding, head, read, envelope: Arc::default() }
    }

    /// What is known of it: as it was read, or what was found while it came.
    pub(super) fn known(&self) -> Envelope {
        self.envelope.get().cloned().unwrap_or_else(|| Envelope::of_head(&self.head))
    }

    /// Why it cannot be judged, as an answer.
    pub(super) fn refusal(&self, state: &State, refusal: &Refusal) -> Answer {
        if refusal.is_shed() {
            state.metrics.shed();
        }
        refusal.answer(self.times.total)
    }

    /// The body of a request that is not judged, if it is short: nothing was reckoned for reading it.
    fn short_body(&self) -> Option<Bytes> {
        const SHORT: usize = 64 << 10;
        self.holding.peek().filter(|body| body.len() <= SHORT)
    }

    /// An answer without a review. The records say whose it is as far as that is found in time; the answer does not wait for them.
    pub(super) async fn unjudged(&self, state: &Arc<State>, answer: Answer) -> Judged {
        if let Some(body) = self.short_body()
            && let Ok(Some(judged)) =
                timeout_at(self.times.records.into(), self.read_aside(state, body, &answer)).await
        {
            return judged;
        }
        let envelope = self.known();
        let told = tell(state, self.purpose, &[], &envelope, &answer, &state.serving(), state.now_ns());
        Judged { envelope, answer, told }
    }

    /// Reads a short body beside the threads for reviews, which may have no time for it. `None` if that broke off.
    async fn read_aside(&self, state: &Arc<State>, body: Bytes, answer: &Answer) -> Option<Judged> {
        let place = Arc::clone(&state.aside).acquire_owned().await.ok()?;
        let (state, answer) = (Arc::clone(state), answer.clone());
        let (known, head, purpose) = (self.envelope.get().cloned(), self.head.clone(), self.purpose);
        let work = move || {
            let envelope = known.unwrap_or_else(|| Envelope::read(&body, &head).0);
            let told = tell(&state, purpose, &body, &envelope, &answer, &state.serving(), state.now_ns());
            // Also if nobody waits for this any more, it has had its place until here.
            drop(place);
            Judged { envelope, answer, told }
        };
        spawn_blocking(work).await.ok()
    }

    /// Does the work on a thread for reviews, and answers in time whatever becomes of it or of the body. The work gives nothing if the
    /// body is gone.
    pub(super) async fn in_pool<T: Send + 'static>(
        &self,
        state: &State,
        work: impl FnOnce(&Holding) -> Option<T> + Send + 'static,
    ) -> Result<T, Answer> {
        let evicted = || self.refusal(state, &Refusal::Evicted(Eviction::Bytes));
        if let Err(eviction) = self.holding.complete() {
            return Err(self.refusal(state, &Refusal::Evicted(eviction)));
        }
        let work = {
            let holding = Arc::clone(&self.holding);
            move || work(&holding)
        };
        let failure = match state.pool.run(cost(self.head.size(), state.decisions.is_some()), work) {
            Ok(pending) => {
                let ended = tokio::select! {
                    biased;
                    ended = timeout_at(self.times.answer.into(), pending) => ended,
                    () = self.holding.told() => return Err(evicted()),
                };
                match ended {
                    Ok(Ok(done)) => return done.ok_or_else(evicted),
                    Ok(Err(failure)) => failure,
                    Err(_) => {
                        self.holding.abandon();
                        let millis = self.times.total.as_millis();
                        let message = format!("the review did not end within {millis} ms, its deadline");
                        return Err(Answer::failed(message));
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
