//! What wants more than a policy may have is answered rightly or ends in a clear error, and soon.
//!
//! The cases, and what each is to end in, are in `portcullis_testkit::hostile`. Time and memory are shown by
//! `cargo run --release -p portcullis-benches --bin hostile`; here only what does not end would fail.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis_testkit::hostile::{CASES, Hostile};

/// Far more than the 100 ms of an optimised build: nothing is optimised here, and machines are shared.
const GUARD: Duration = Duration::from_mins(1);

/// What threads have by default.
const STACK: usize = 2 << 20;

fn run(case: &'static Hostile) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    let built = case.build();
    let started = thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody listens when the guard was faster.
        let _ = sender.send(built.run());
    });
    started.map_err(|error| error.to_string())?;
    match receiver.recv_timeout(GUARD) {
        Ok((outcome, _)) if case.is_as_wanted(&outcome) => Ok(()),
        Ok((outcome, _)) => Err(format!("{}: {outcome}, not {:?}", case.name, case.wanted)),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("{}: no end", case.name)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(format!("{}: a panic", case.name)),
    }
}

#[test]
fn what_is_hostile_ends_in_a_right_answer_or_a_clear_error() {
    let failures: Vec<String> = CASES.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), CASES.len(), failures.join("\n"));
}
