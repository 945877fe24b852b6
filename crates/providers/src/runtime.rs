//! Providers for those who have no runtime: command lines and audits.

use std::time::Instant;

use portcullis::{Answers, Questions};
use tokio::runtime::{Builder, Runtime};

use crate::asking::Providers;

/// Providers, and a thread that speaks to them. Callers wait.
pub struct BlockingProviders {
    providers: Providers,
    runtime: Runtime,
}

impl BlockingProviders {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system gives none.
    pub fn new(providers: Providers) -> std::io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("providers").enable_all().build()?;
        Ok(Self { providers, runtime })
    }

    /// As [`Providers::answer`]. Must not be called within a runtime.
    #[must_use]
    pub fn answer(&self, questions: &Questions, deadline: Option<Instant>) -> Answers {
        self.runtime.block_on(self.providers.answer(questions, deadline))
    }

    /// As [`Providers::answer_anew`]. Must not be called within a runtime.
    #[must_use]
    pub fn answer_anew(&self, questions: &Questions, deadline: Option<Instant>) -> Answers {
        self.runtime.block_on(self.providers.answer_anew(questions, deadline))
    }

    /// The providers.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.providers
    }
}

impl std::fmt::Debug for BlockingProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.providers.fmt(f)
    }
}
