//! A bar on standard error, for runs that take long enough to make somebody wonder.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows nothing in a pipe, nor within the first half second.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: AtomicBool,
}

impl Progress {
    pub fn new(objects: usize, quiet: bool) -> Self {
        Self::of("objects", objects, quiet)
    }

    /// Of something else than objects.
    pub fn of(what: &str, number: usize, quiet: bool) -> Self {
        let wanted = !quiet && io::stderr().is_terminal();
        let bar = wanted.then(|| {
            let bar = ProgressBar::with_draw_target(Some(number as u64), ProgressDrawTarget::hidden());
            let style =
                ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {what}, {{eta}} left"));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, started: Instant::now(), shown: AtomicBool::new(false) }
    }

    /// One object more is done.
    pub fn advance(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let Some(bar) = &self.bar else { return };
        bar.inc(1);
        if self.started.elapsed() > PATIENCE && !self.shown.swap(true, Ordering::Relaxed) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
