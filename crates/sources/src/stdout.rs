//! Standard output that is not there.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Whether the program was started without a standard output (`>&-`): a report would be lost, and nobody
/// would know.
///
/// Rust opens `/dev/null` in its place before a program begins, for reading and writing. Who throws a report
/// away on purpose (`> /dev/null`) opens it for writing only. Some libraries that start programs do not, and
/// cannot be distinguished from none.
#[must_use]
pub fn stdout_is_closed() -> bool {
    is_closed()
}

/// The error of a write to it all the same.
#[must_use]
pub fn closed_stdout() -> io::Error {
    let message = "standard output is closed; to throw the output away, write `> /dev/null`";
    io::Error::new(io::ErrorKind::BrokenPipe, message)
}

/// Ends a program that was asked for its help or version, or was given arguments that it does not know.
/// `print` writes the text, to standard output if `code` is 0. A text that nobody can read is an error.
pub fn usage(code: i32, print: impl FnOnce() -> io::Result<()>) -> ExitCode {
    const ERROR: u8 = 2;
    let written = match code {
        0 if stdout_is_closed() => Err(closed_stdout()),
        0 => print().and_then(|()| io::stdout().flush()),
        // To standard error: if that fails, nobody can know.
        _ => print().or(Ok(())),
    };
    match written {
        Ok(()) => ExitCode::from(u8::try_from(code).unwrap_or(ERROR)),
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: {error}");
            ExitCode::from(ERROR)
        }
    }
}

#[cfg(target_os = "linux")]
fn is_closed() -> bool {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    const READ_AND_WRITE: u32 = 2;
    let opened = std::io::stdout().as_fd().try_clone_to_owned().map(fs::File::from);
    let Ok(metadata) = opened.and_then(|file| file.metadata()) else { return true };
    let is_null = fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev());
    if !metadata.file_type().is_char_device() || !is_null {
        return false;
    }
    let flags = fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 == READ_AND_WRITE)
}

#[cfg(not(target_os = "linux"))]
const fn is_closed() -> bool {
    false
}
