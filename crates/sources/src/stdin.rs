//! Standard input, as gator reads it: whenever it is not a terminal or another character device.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::{Document, Error, Limits};

use super::patience::with_patience;
use super::reading::read_limited;

pub use super::patience::STDIN as NAME;

/// Whether it belongs to somebody for whom it is no input.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// From now on, nobody takes standard input for something to judge: it is how another program talks to this one.
pub fn take() {
    TAKEN.store(true, Ordering::Relaxed);
}

/// Whether somebody may have put something into standard input: a pipe, a file, a socket.
pub fn is_stream() -> bool {
    if TAKEN.load(Ordering::Relaxed) {
        return false;
    }
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

/// Reads the bytes of standard input, to its end. Says that it waits, should nothing come.
///
/// # Errors
///
/// If it cannot be read, or is larger than the limit.
pub fn read_bytes(limits: &Limits) -> Result<Vec<u8>, Error> {
    with_patience(NAME, || read_limited(io::stdin().lock(), NAME, limits))
}

/// Reads the documents of standard input, to its end. Says that it waits, should nothing come.
pub fn read(limits: &Limits) -> (Vec<Document>, Vec<Error>) {
    match read_bytes(limits) {
        Ok(bytes) => Document::read_bytes(NAME, bytes, limits),
        Err(error) => (Vec::new(), vec![error]),
    }
}
