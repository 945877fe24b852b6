//! Standard input, as gator reads it: whenever it is not a terminal or another character device.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis::{Document, Error, Limits};

use super::files::read_limited;

const NAME: &str = "<stdin>";

/// Whether somebody may have put something into standard input: a pipe, a file, a socket.
pub fn is_stream() -> bool {
    let stdin = io::stdin();
    !stdin.is_terminal() && !is_character_device(&stdin)
}

#[cfg(unix)]
fn is_character_device(stdin: &io::Stdin) -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;

    let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let metadata = file.and_then(|file| file.metadata());
    // Without a standard input there is nothing to read.
    metadata.map_or(true, |metadata| metadata.file_type().is_char_device())
}

#[cfg(not(unix))]
fn is_character_device(_stdin: &io::Stdin) -> bool {
    false
}

/// Reads the documents of standard input, to its end. Says that it waits, should nothing come.
pub fn read(limits: &Limits) -> (Vec<Document>, Vec<Error>) {
    const PATIENCE: Duration = Duration::from_secs(3);
    let (done, waiting) = mpsc::channel::<()>();
    let reminder = thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let text = "note: waiting for the end of standard input; `< /dev/null` gives none";
            // Only a courtesy.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    });
    let bytes = read_limited(io::stdin().lock(), NAME, limits);
    drop(done);
    // It cannot panic, and if it did, nothing would be lost.
    let _ = reminder.join();
    match bytes {
        Ok(bytes) => Document::read_bytes(NAME, bytes, limits),
        Err(error) => (Vec::new(), vec![error]),
    }
}
