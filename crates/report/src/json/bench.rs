//! `portcullis bench`: a list of runs, as gator has it, with durations as Go writes them.

use std::io::{self, Write};

use serde_json::Value;

use crate::bench::{BenchReport, Span};

pub(super) fn write(report: &BenchReport, out: &mut dyn Write) -> io::Result<()> {
    super::write_indented(&content(report)?, out)
}

/// The report with its durations as texts.
pub(crate) fn content(report: &BenchReport) -> io::Result<Value> {
    let mut value = serde_json::to_value([report]).map_err(io::Error::other)?;
    with_texts(&mut value, false);
    Ok(value)
}

fn with_texts(value: &mut Value, is_duration: bool) {
    match value {
        Value::Number(number) if is_duration => {
            *value = Value::String(Span(number.as_u64().unwrap_or_default()).to_go());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| with_texts(item, false)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let is_group = matches!(name.as_str(), "latencies" | "setupBreakdown") || is_duration;
                let is_one = name.to_lowercase().ends_with("duration");
                with_texts(field, is_group || is_one);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_texts_and_numbers_stay() {
        let mut value = serde_json::json!([{"iterations": 3, "totalDuration": 1_500_000, "latencies": {"p50": 90},
            "setupBreakdown": {"dataLoading": 61_000_000_000_u64}, "constraints": [{"steps": 4, "duration": 1_000}]}]);
        with_texts(&mut value, false);
        assert_eq!(
            value,
            serde_json::json!([{"iterations": 3, "totalDuration": "1.5ms", "latencies": {"p50": "90ns"},
                "setupBreakdown": {"dataLoading": "1m1s"}, "constraints": [{"steps": 4, "duration": "1µs"}]}])
        );
    }
}
