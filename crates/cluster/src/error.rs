//! What can go wrong between us and an API server.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// Why something could not be read from an API server, or written to it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// It is not known which API server, or how to speak to it.
    #[error("the connection to the cluster cannot be set up: {message}")]
    Configuration {
        /// What was expected, and what was found.
        message: String,
    },
    /// No answer, or only the beginning of one.
    #[error("{doing}: {message}")]
    Unreachable {
        /// The request.
        doing: String,
        /// Why.
        message: String,
    },
    /// The API server said no.
    #[error("{doing}: {status}")]
    Refused {
        /// The request.
        doing: String,
        /// What it said.
        status: Status,
    },
    /// The answer is not what was asked for.
    #[error("{doing}: {message}")]
    Unreadable {
        /// The request.
        doing: String,
        /// What was expected, and what was found.
        message: String,
    },
}

impl ClusterError {
    /// The HTTP status, if there was one that says no.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.code),
            _ => None,
        }
    }

    /// Whether we may not do it: 401 or 403.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code(), Some(401 | 403))
    }

    /// Whether there is no such object, or no such kind.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the object was changed by somebody else meanwhile, or made by somebody else.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// Whether the state that was asked for is too old to be known.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.code() == Some(410)
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status.code, 408 | 429 | 500 | 502 | 503 | 504),
            Self::Configuration { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// How long the API server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { status, .. } => status.retry_after,
            _ => None,
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration { message: message.into() }
    }

    pub(crate) fn unreadable(doing: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unreadable { doing: doing.into(), message: message.into() }
    }
}

/// The `Status` object of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// A word, such as `Forbidden` or `Expired`; may be empty.
    pub reason: String,
    /// A sentence; may be empty.
    pub message: String,
    /// From the header `Retry-After` or the details.
    pub retry_after: Option<Duration>,
    /// On 410 in the middle of a list: a token to go on with, at a newer state.
    pub continue_token: Option<String>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the API server answered {}", self.code)?;
        for text in [&self.reason, &self.message] {
            if !text.is_empty() {
                write!(f, ", {}", text.trim_end().replace('\n', " "))?;
            }
        }
        Ok(())
    }
}

/// `Status` as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    code: Option<u16>,
    reason: Option<String>,
    message: Option<String>,
    details: Option<Details>,
    metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    retry_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

impl Status {
    /// Of a body that may be a `Status`, and of the HTTP status it came with.
    pub(crate) fn read(code: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        /// Proxies answer with pages.
        const SHOWN: usize = 200;
        let Ok(wire) = serde_json::from_slice::<Wire>(body) else {
            let text = String::from_utf8_lossy(body);
            let message: String = text.chars().take(SHOWN).filter(|c| !c.is_control()).collect();
            return Self { code, reason: String::new(), message, retry_after, continue_token: None };
        };
        let seconds = wire.details.and_then(|details| details.retry_after_seconds).filter(|&after| after > 0);
        Self {
            code: if code == 200 { wire.code.unwrap_or(500) } else { code },
            reason: wire.reason.unwrap_or_default(),
            message: wire.message.unwrap_or_default(),
            retry_after: retry_after.or_else(|| seconds.map(Duration::from_secs)),
            continue_token: wire
                .metadata
                .and_then(|metadata| metadata.continue_token)
                .filter(|token| !token.is_empty()),
        }
    }
}
