//! Prometheus's text format, as all programs write it. The crates for it rename counters, and Gatekeeper's names are taken as they are.

use std::fmt::{Display, Write as _};

/// A text of metrics, as a scraper reads it.
#[derive(Debug, Default)]
pub struct MetricsText(String);

impl MetricsText {
    /// All that was written.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Begins a metric: what its samples are about. `kind` is one of Prometheus's, such as `counter`.
    pub fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Writes a number, with labels. Their texts may be any.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if position == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    /// Writes a histogram: for each upper bound how many were at most that, then the sum of all and their number.
    pub fn histogram<B: Display>(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        buckets: impl IntoIterator<Item = (B, u64)>,
        (sum, count): (impl Display, u64),
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, number) in buckets {
            self.sample(&bucket, &[labels, &[("le", &bound.to_string())]].concat(), number);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count);
    }
}
