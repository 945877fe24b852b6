//! What has a name in a directory and is not a file.

use std::fmt;
use std::fs::FileType;

/// Neither a file nor a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// What something is, if it is neither a file nor a directory nor a link.
#[cfg(unix)]
pub fn special(file_type: FileType) -> Option<Special> {
    use std::os::unix::fs::FileTypeExt as _;

    if file_type.is_fifo() {
        Some(Special::Pipe)
    } else if file_type.is_socket() {
        Some(Special::Socket)
    } else if file_type.is_char_device() || file_type.is_block_device() {
        Some(Special::Device)
    } else {
        None
    }
}

/// What something is, if it is neither a file nor a directory nor a link.
#[cfg(not(unix))]
pub const fn special(_: FileType) -> Option<Special> {
    None
}
