//! Time zones by name, by tables. A build without the feature `time-zones` has no tables: there is no zone then, and an evaluation that
//! names one is an error, and not undefined, since a rule that is undefined may be a pass.

use super::Failure;

#[cfg(feature = "time-zones")]
pub(super) use tables::Zone;

#[cfg(feature = "time-zones")]
mod tables {
    use chrono::{DateTime, Offset, TimeZone};
    use chrono_tz::{OffsetName, Tz};

    use super::super::undefined;
    use super::Failure;

    #[derive(Clone, Copy)]
    pub(in super::super) struct Zone(Tz);

    impl Zone {
        pub(in super::super) fn named(name: &str) -> Result<Self, Failure> {
            // No zone has a name that is half as long.
            let zone = Some(name).filter(|name| name.len() <= 64).and_then(|name| name.parse::<Tz>().ok());
            zone.map(Self).ok_or_else(|| {
                let shown: String = name.chars().take(60).collect();
                undefined(format!("unknown time zone {shown}"))
            })
        }

        /// Seconds that its clocks are before those of UTC.
        pub(in super::super) fn offset(self, seconds: i64) -> i64 {
            let Some(time) = DateTime::from_timestamp(seconds, 0) else { return 0 };
            self.0.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc().into()
        }

        /// What it calls itself at a time.
        pub(in super::super) fn abbreviation(self, seconds: i64) -> String {
            let time = DateTime::from_timestamp(seconds, 0);
            let offset = time.map(|time| self.0.offset_from_utc_datetime(&time.naive_utc()));
            offset.and_then(|offset| offset.abbreviation().map(ToOwned::to_owned)).unwrap_or_default()
        }
    }
}

/// There is none.
#[cfg(not(feature = "time-zones"))]
#[derive(Clone, Copy)]
pub(super) enum Zone {}

#[cfg(not(feature = "time-zones"))]
impl Zone {
    pub(super) fn named(_: &str) -> Result<Self, Failure> {
        Err(Failure::Unavailable(
            "a time zone was named, but this build has none: it was made without the feature `time-zones`",
        ))
    }

    pub(super) fn offset(self, _: i64) -> i64 {
        match self {}
    }

    pub(super) fn abbreviation(self, _: i64) -> String {
        match self {}
    }
}
