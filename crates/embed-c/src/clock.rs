//! How long a call has been under way.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod imp {
    use std::time::Instant;

    pub(crate) struct Clock(Instant);

    impl Clock {
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        pub(crate) fn elapsed_ms(&self) -> Option<u64> {
            u64::try_from(self.0.elapsed().as_millis()).ok()
        }
    }
}

/// A bare module has no clock: its host has one, and it is the only thing that is imported.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod imp {
    #[link(wasm_import_module = "portcullis")]
    unsafe extern "C" {
        /// Milliseconds since some moment, never going back.
        safe fn now_ms() -> f64;
    }

    pub(crate) struct Clock(f64);

    impl Clock {
        pub(crate) fn start() -> Self {
            Self(now_ms())
        }

        /// `None` if the clock is no clock.
        pub(crate) fn elapsed_ms(&self) -> Option<u64> {
            let elapsed = now_ms() - self.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is finite and not negative, and more than fits is the most that fits"
            )]
            (elapsed.is_finite() && elapsed >= 0.0).then_some(elapsed as u64)
        }
    }
}

pub(crate) use imp::Clock;
