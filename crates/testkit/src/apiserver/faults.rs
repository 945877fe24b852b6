//! What goes wrong, when, and how often.

use std::time::Duration;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A list, or a page of one.
    List,
    /// A watch.
    Watch,
    /// A GET of one object.
    Get,
    /// Any write.
    Write,
    /// `/api`, `/apis` and below.
    Discover,
    /// All of them.
    Any,
}

/// Something that goes wrong with the requests that it is for.
#[derive(Clone, Debug)]
pub struct Fault {
    verb: Verb,
    /// Empty is any.
    plural: String,
    /// Requests that it lets pass first.
    skip: usize,
    /// Requests that it is for; `None` is all.
    times: Option<usize>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Status {
        code: u16,
        reason: &'static str,
        retry_after: Option<u64>,
        continues: bool,
    },
    /// The connection ends: a list in the middle of its body, a watch after so many events.
    Disconnect {
        events: usize,
    },
    /// A watch gets this event and ends.
    ErrorEvent {
        code: u16,
        reason: &'static str,
    },
    Delay(Duration),
    /// The answer is this text, with HTTP 200.
    Text(String),
}

impl Fault {
    /// On requests of a kind, by its plural; an empty text is any kind. Without more it is a 500, once.
    pub fn on(verb: Verb, plural: &str) -> Self {
        let what = What::Status { code: 500, reason: "InternalError", retry_after: None, continues: false };
        Self { verb, plural: plural.to_owned(), skip: 0, times: Some(1), what }
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Happens so often.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Happens until [`super::ApiServer::heal`].
    #[must_use]
    pub fn always(self) -> Self {
        Self { times: None, ..self }
    }

    /// A status code and its reason.
    #[must_use]
    pub fn status(self, code: u16, reason: &'static str) -> Self {
        Self { what: What::Status { code, reason, retry_after: None, continues: false }, ..self }
    }

    /// 403.
    #[must_use]
    pub fn forbidden(self) -> Self {
        self.status(403, "Forbidden")
    }

    /// 410, without a token to go on with.
    #[must_use]
    pub fn gone(self) -> Self {
        self.status(410, "Expired")
    }

    /// 410 of a list, with a token that goes on where the list was, at the newest state.
    #[must_use]
    pub fn gone_but_continues(self) -> Self {
        let what = What::Status { code: 410, reason: "Expired", retry_after: None, continues: true };
        Self { what, ..self }
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn too_many_requests(self, seconds: u64) -> Self {
        let retry_after = Some(seconds);
        Self {
            what: What::Status { code: 429, reason: "TooManyRequests", retry_after, continues: false },
            ..self
        }
    }

    /// The connection ends: a list in the middle of its body, a watch after so many events.
    #[must_use]
    pub fn disconnect_after(self, events: usize) -> Self {
        Self { what: What::Disconnect { events }, ..self }
    }

    /// A watch begins with an error event of this code, and ends.
    #[must_use]
    pub fn error_event(self, code: u16, reason: &'static str) -> Self {
        Self { what: What::ErrorEvent { code, reason }, ..self }
    }

    /// The answer comes late.
    #[must_use]
    pub fn slow(self, delay: Duration) -> Self {
        Self { what: What::Delay(delay), ..self }
    }

    /// The answer is something else.
    #[must_use]
    pub fn answers(self, text: &str) -> Self {
        Self { what: What::Text(text.to_owned()), ..self }
    }

    /// Whether it is for this request, which uses it up.
    pub(super) fn takes(&mut self, verb: Verb, plural: &str) -> bool {
        let fits = (self.verb == Verb::Any || self.verb == verb)
            && (self.plural.is_empty() || self.plural == plural);
        if !fits || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }
}
