//! When a request has to be where.

use std::time::{Duration, Instant};

#[cfg(feature = "otel")]
use axum::http::HeaderMap;

/// When a request has to be where. The API server's clock started before ours, and our answer has to travel.
pub(super) struct Times {
    pub(super) start: Instant,
    pub(super) total: Duration,
    /// The end of the review.
    pub(super) review: Instant,
    /// The end of waiting for it: what works between two looks at the watch must not hold up the answer.
    pub(super) answer: Instant,
    /// The end of what is done for the records of a request that was not judged.
    pub(super) records: Instant,
    /// The span that the request came from.
    #[cfg(feature = "otel")]
    pub(super) parent: Option<opentelemetry::trace::SpanContext>,
}

impl Times {
    pub(super) fn of(query: Option<&str>, most: Duration) -> Self {
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
            records: after(margin / 4),
            #[cfg(feature = "otel")]
            parent: None,
        }
    }
}

impl Times {
    /// Until when it may be waited for providers of external data: a fifth of what is left is for judging by what they say.
    pub(super) fn asking(&self) -> Instant {
        let now = Instant::now();
        now + self.review.saturating_duration_since(now) * 4 / 5
    }
}

#[cfg(feature = "otel")]
impl Times {
    pub(super) fn with_parent(self, headers: &HeaderMap) -> Self {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        Self { parent: parent.and_then(crate::traces::parent), ..self }
    }
}

pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// A duration as Go writes it: `10s`, `1m30s`, `1.5s`, `500ms`. `None` if it is none, or nothing at all.
fn duration(text: &str) -> Option<Duration> {
    let nanoseconds = u64::try_from(portcullis_value::go_duration(text)?).ok()?;
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
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
