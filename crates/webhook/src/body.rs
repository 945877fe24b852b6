//! Reading the body of a request. Whatever happens to it, its uid is looked for until it ends, since a refusal needs it too.
//!
//! ```text
//! frames ──> BodyHead (uid, size)
//!       └──> Holding (bytes, as long as there is room)
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, header};
use tokio::time::timeout_at;

use crate::admission::Answer;
use crate::head::{BodyHead, UID_BYTES};
use crate::memory::{Eviction, Holding};

/// What is read of a body that is refused. Nobody sends this much by mistake.
const MAX_READ: usize = 64 << 20;

/// Why a body cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is larger than what is read.
    TooLarge(usize),
    /// It had to make room.
    Evicted(Eviction),
    /// It did not end in time.
    Late,
    /// Its sender is gone, or does not keep to the protocol.
    Broken(String),
    /// It is not said to be JSON.
    ContentType(String),
    /// Its uid cannot be repeated.
    Uid,
}

impl Refusal {
    /// What the sender is answered; `total` is the time that it had.
    #[must_use]
    pub fn answer(&self, total: std::time::Duration) -> Answer {
        match self {
            Self::TooLarge(most) => {
                Answer::malformed(413, format!("the body has more than the {most} bytes that are read"))
            }
            Self::Evicted(Eviction::Bytes) => Answer::failed(
                "there was no memory for the body beside those of others, see `--max-body-memory`; try again",
            ),
            Self::Evicted(Eviction::Place) => {
                Answer::failed("the webhook has more requests than it can take in; try again")
            }
            Self::Late => {
                let millis = total.as_millis();
                Answer::failed(format!("the body did not come within {millis} ms, the request's deadline"))
            }
            Self::Broken(error) => Answer::malformed(400, format!("the body breaks off: {error}")),
            Self::ContentType(found) => {
                Answer::malformed(400, format!("expected `application/json`, found `{found}`"))
            }
            Self::Uid => {
                let message = format!("expected a `request.uid` of at most {UID_BYTES} bytes, it has more");
                Answer::malformed(400, message)
            }
        }
    }

    /// Whether it is refused because others were there.
    #[must_use]
    pub fn is_shed(&self) -> bool {
        matches!(self, Self::Evicted(_))
    }
}

/// Reads a body to its end, also if it cannot be kept: who is answered before everything is sent sees a broken connection instead of
/// the answer, and a broken connection is for `failurePolicy` to judge. `head` knows what has come, whatever is returned.
///
/// # Errors
///
/// If there is nothing that could be judged.
pub async fn read(
    mut body: Body,
    headers: &HeaderMap,
    holding: &Holding,
    head: &mut BodyHead,
    most: usize,
    until: Instant,
) -> Result<(), Refusal> {
    let mut refusal = None;
    let reading = async {
        loop {
            let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = tokio::select! {
                biased;
                () = holding.told() => return Err(Refusal::Evicted(Eviction::Place)),
                frame = next => frame,
            };
            let Some(frame) = frame else { return Ok(()) };
            let Ok(data) = frame.map_err(|error| Refusal::Broken(error.to_string()))?.into_data() else {
                continue;
            };
            head.push(&data);
            let total = head.size().bytes;
            if total > most && refusal != Some(Refusal::TooLarge(most)) {
                refusal = Some(Refusal::TooLarge(most));
                holding.forget();
            }
            if refusal.is_none()
                && let Err(eviction) = holding.push(&data, most)
            {
                refusal = Some(Refusal::Evicted(eviction));
            }
            if total > most.max(MAX_READ) {
                return Ok(());
            }
        }
    };
    let ended = timeout_at(until.into(), reading).await;
    match (refusal, ended) {
        (Some(refusal), _) => return Err(refusal),
        (None, Ok(read)) => read?,
        (None, Err(_)) => return Err(Refusal::Late),
    }
    holding.seal().map_err(Refusal::Evicted)?;
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type != Some(b"application/json") {
        let found = content_type.unwrap_or_default();
        let found = found.get(..found.len().min(100)).unwrap_or_default();
        return Err(Refusal::ContentType(String::from_utf8_lossy(found).into_owned()));
    }
    if head.is_uid_too_long() {
        return Err(Refusal::Uid);
    }
    Ok(())
}
