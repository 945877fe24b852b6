//! Durations in a space that does not grow: 128 steps for each doubling.

use std::time::Duration;

use portcullis_report::bench::{Latencies, Span};

const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How often each duration occurred, to 0.8 %; shortest, longest and sum exactly.
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; place(u64::MAX) + 1], count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    pub fn add(&mut self, duration: Duration) {
        let Span(ns) = Span::of(duration);
        if let Some(count) = self.counts.get_mut(place(ns)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += u128::from(ns);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub const fn count(&self) -> u64 {
        self.count
    }

    pub fn latencies(&self) -> Latencies {
        if self.count == 0 {
            return Latencies::default();
        }
        let mean = u64::try_from(self.sum / u128::from(self.count)).unwrap_or(u64::MAX);
        let [p50, p95, p99] = [50, 95, 99].map(|percent| Span(self.percentile(percent)));
        Latencies { min: Span(self.min), max: Span(self.max), mean: Span(mean), p50, p95, p99 }
    }

    /// What so many of a hundred do not exceed.
    fn percentile(&self, percent: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0_u128;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted {
                return last_of(index).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// Where a duration is counted: below 128 each has a place, then the seven bits behind the first.
fn place(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let place = u64::from(shift) * STEPS + (ns >> shift);
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The longest that is counted at a place.
fn last_of(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / STEPS).saturating_sub(1);
    let low = index - shift * STEPS;
    // The last place ends with the longest that there is.
    ((u128::from(low) + 1) << shift).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_counted_where_it_is_found_again() {
        let mut before = None;
        for ns in (0..5_000).chain((1..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits, 3 << (bits - 1)]))
        {
            let last = last_of(place(ns));
            assert!(last >= ns && last - ns <= ns / STEPS, "{ns} is taken for {last}");
            before = before.max(Some(place(ns)));
        }
        assert_eq!(last_of(place(u64::MAX)), u64::MAX);
        assert!(before.is_some_and(|most| most <= place(u64::MAX)));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut durations: Vec<u64> = (0..10_000_u64).map(|n| (n * 7_919) % 100_003 + n * n % 77).collect();
        let mut histogram = Histogram::new();
        for ns in &durations {
            histogram.add(Duration::from_nanos(*ns));
        }
        durations.sort_unstable();
        for (percent, found) in
            [(50, histogram.percentile(50)), (95, histogram.percentile(95)), (99, histogram.percentile(99))]
        {
            let exact = durations[durations.len() * percent / 100 - 1];
            assert!(found >= exact && found - exact <= exact / 100, "{percent}: {found} for {exact}");
        }
        let latencies = histogram.latencies();
        assert_eq!((latencies.min.0, latencies.max.0), (durations[0], durations[9_999]));
        assert_eq!(latencies.mean.0, durations.iter().sum::<u64>() / 10_000);
    }

    #[test]
    fn parts_are_the_same_as_the_whole() {
        let (mut one, mut other, mut whole) = (Histogram::new(), Histogram::new(), Histogram::new());
        for ns in 0..1_000 {
            let duration = Duration::from_nanos(ns * 31);
            if ns % 2 == 0 { &mut one } else { &mut other }.add(duration);
            whole.add(duration);
        }
        one.merge(&other);
        assert_eq!(one.latencies(), whole.latencies());
        assert_eq!(Histogram::new().latencies(), Latencies::default());
    }
}
