//! Waiting for somebody else, and saying so.

use std::io::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What messages call standard input.
pub const STDIN: &str = "<stdin>";

/// Does what may wait for ever: reading a pipe. Says what it waits for, should nothing come.
pub fn with_patience<T>(name: &str, work: impl FnOnce() -> T) -> T {
    const PATIENCE: Duration = Duration::from_secs(3);
    let text = if name == STDIN {
        "note: waiting for the end of standard input; `< /dev/null` gives none".to_owned()
    } else {
        format!("note: waiting for the end of `{}`, which is no file", name.escape_debug())
    };
    let (done, waiting) = mpsc::channel::<()>();
    let reminder = thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Only a courtesy.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    });
    let result = work();
    drop(done);
    // It cannot panic, and if it did, nothing would be lost.
    let _ = reminder.join();
    result
}
