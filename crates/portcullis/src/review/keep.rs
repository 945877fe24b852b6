//! How much of what constraints said is kept. One evaluation is bounded by its limits; a review has as many
//! as there are constraints.

use std::fmt::Write as _;

use super::{Verdict, Violation};
use crate::value::{self, Value};

/// What a finding takes besides its texts.
const OVERHEAD: usize = 128;
/// What a part of details takes besides its text.
const PART: usize = 32;
/// What stays of a message in any case.
const SHORT: usize = 1 << 10;

/// Bytes that are left for findings.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    is_cut: bool,
}

impl Room {
    pub(super) const fn new(bytes: usize) -> Self {
        Self { bytes, is_cut: false }
    }

    /// Whether there was no room for something.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Takes what a result holds, and cuts it to what there is. What it says of the object stays: an error is
    /// one, and of violations the first is always kept.
    pub(super) fn keep(&mut self, verdict: &mut Verdict, prints: &mut Vec<String>) {
        match verdict {
            Verdict::Pass => {}
            Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
                self.violations(violations);
            }
            Verdict::Error(error) => self.message(&mut error.message),
        }
        let kept = prints.iter().take_while(|print| self.take(print.len().saturating_add(OVERHEAD))).count();
        prints.truncate(kept);
    }

    fn violations(&mut self, violations: &mut Vec<Violation>) {
        let mut kept = 0;
        for violation in &mut *violations {
            if self.bytes == 0 && kept > 0 {
                self.is_cut = true;
                break;
            }
            kept += 1;
            self.message(&mut violation.message);
            let mut room = self.bytes;
            if value::takes_at_most(&violation.details, PART, &mut room).is_some() {
                self.bytes = room;
            } else {
                // That they are too much was found by looking at as much as there was room for.
                self.bytes /= 2;
                self.is_cut = true;
                violation.details = Value::from("(cut: there is no room for more findings of this review)");
            }
        }
        let left = violations.len() - kept;
        violations.truncate(kept);
        if left > 0 {
            violations.push(Violation::left_out(left));
        }
        violations.shrink_to_fit();
    }

    fn message(&mut self, message: &mut String) {
        let length = message.len();
        if self.take(length.saturating_add(OVERHEAD)) {
            return;
        }
        if !self.take(SHORT + OVERHEAD) {
            self.bytes = 0;
        }
        if length > SHORT {
            message.truncate(message.floor_char_boundary(SHORT));
            // Writing to a string cannot fail.
            let _ = write!(message, "… (cut: {length} bytes in all)");
            message.shrink_to_fit();
        }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(self.bytes);
        self.is_cut |= left.is_none();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{EvaluationError, RawViolation};

    fn violations(messages: &[&str]) -> Verdict {
        let violation = |message: &&str| {
            let details = value::object([("all", Value::from("d".repeat(100)))]);
            Violation::new(RawViolation::new((*message).to_owned(), details), None)
        };
        Verdict::Violations(messages.iter().map(violation).collect())
    }

    fn said(verdict: &Verdict) -> Vec<(String, bool)> {
        let Verdict::Violations(violations) = verdict else { panic!("{verdict:?}") };
        let has_details = |violation: &Violation| violation.details()["all"].is_string();
        violations.iter().map(|violation| (violation.message.clone(), has_details(violation))).collect()
    }

    #[test]
    fn what_fits_is_untouched_and_what_does_not_stays_a_violation() {
        let long = "x".repeat(5000);
        let all = violations(&["a", "b", &long, "z"]);
        let mut verdict = all.clone();
        Room::new(1 << 20).keep(&mut verdict, &mut Vec::new());
        assert_eq!(verdict, all);
        // The second has its message, not its details; then there is no room.
        let mut room = Room::new(2 * OVERHEAD + 250);
        let mut prints = vec!["print".to_owned()];
        room.keep(&mut verdict, &mut prints);
        let cut = format!("{}… (cut: 5000 bytes in all)", "x".repeat(SHORT));
        let expected = [("a", true), ("b", false), (&cut, false), ("… and 1 more violations", false)];
        assert_eq!(said(&verdict), expected.map(|(message, has_details)| (message.to_owned(), has_details)));
        assert!(prints.is_empty());
        let mut verdict = violations(&[&long]);
        room.keep(&mut verdict, &mut prints);
        let [(message, _)] = &*said(&verdict) else { panic!("{verdict:?}") };
        assert!(message.len() < 1100 && message.ends_with("x… (cut: 5000 bytes in all)"), "{message}");
        let mut verdict = Verdict::Error(EvaluationError::new(long));
        room.keep(&mut verdict, &mut prints);
        assert!(matches!(verdict, Verdict::Error(error) if error.message.len() < 1100));
    }
}
