//! A line on standard error, for runs that take long enough to make somebody wonder. In a pipe there is none.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portcullis_report::Tally;

use crate::source::size;

/// What an audit says on standard error, beside its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// How far it is, while it goes on and if that is a terminal: for people who wait for the outputs.
    Progress,
    /// Why it is incomplete or judged nothing, when it has ended: for people who may not look at any output.
    Doubts,
    /// Nothing.
    Nothing,
}

/// The line.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shown on a terminal only, and only if it is asked for.
    pub fn new(aside: Aside) -> Self {
        let wanted = aside == Aside::Progress && io::stderr().is_terminal();
        Self(wanted.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        }))
    }

    /// The first pass has read so many bytes.
    pub fn gathering(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("reading what policies compare with: {}", size(bytes)));
        }
    }

    /// The second pass has judged so many objects.
    pub fn judging(&self, objects: u64, tally: Tally, bytes: u64) {
        if let Some(bar) = &self.0 {
            let Tally { violations, unknown, .. } = tally;
            let read = size(bytes);
            bar.set_message(format!(
                "{objects} objects, {violations} violations, {unknown} unknown; {read} read"
            ));
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
