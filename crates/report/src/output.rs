//! Where outputs go.
//!
//! A file appears under its name when it is whole, and not before: it is written beside it, as
//! `NAME.unfinished`, and renamed at the end. What was there before stays until then.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Standard output in large pieces. Only what is written for people may have colours, so only that is
/// searched for them. If there is none, writing is an error.
pub fn stdout(for_people: bool) -> Box<dyn Write> {
    const PIECE: usize = 64 << 10;
    if portcullis_sources::stdout_is_closed() {
        return Box::new(Closed);
    }
    let stdout = Box::new(BufWriter::with_capacity(PIECE, io::stdout().lock()));
    if !for_people {
        return stdout;
    }
    // Whoever takes colours away writes what is between them piece by piece: not to the system.
    let choice = anstream::AutoStream::choice(&io::stdout());
    let coloured = anstream::AutoStream::new(stdout as Box<dyn Write>, choice);
    Box::new(BufWriter::with_capacity(PIECE, coloured))
}

/// A standard output that was closed before the program began.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(portcullis_sources::closed_stdout())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(portcullis_sources::closed_stdout())
    }
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced as a whole.
    File(PathBuf),
}

/// An output that is being written.
pub enum Output {
    /// Standard output.
    Stdout(Box<dyn Write>),
    /// A file that does not have its name yet.
    File {
        /// The bytes.
        out: BufWriter<File>,
        /// Where they are.
        unfinished: PathBuf,
        /// The name that they get.
        path: PathBuf,
    },
}

impl Target {
    fn unfinished(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        PathBuf::from(name)
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path) => {
                let unfinished = Self::unfinished(path);
                create(&unfinished, path).map(drop)
            }
        }
    }

    /// Begins to write. Colours are for people only.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub fn open(&self, for_people: bool) -> io::Result<Output> {
        match self {
            Self::Stdout => Ok(Output::Stdout(stdout(for_people))),
            Self::File(path) => {
                let unfinished = Self::unfinished(path);
                let out = BufWriter::with_capacity(1 << 16, create(&unfinished, path)?);
                Ok(Output::File { out, unfinished, path: path.clone() })
            }
        }
    }
}

/// The name is known beforehand, so what is there is removed and never written to: it may be a link, or a
/// FIFO that nobody reads.
fn create(unfinished: &Path, path: &Path) -> io::Result<File> {
    let removed = match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    removed.and_then(|()| File::create_new(unfinished)).map_err(|error| {
        io::Error::new(error.kind(), format!("`{}` cannot be written: {error}", path.display()))
    })
}

impl Output {
    /// Ends it: a file gets its name.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush(),
            Self::File { out, unfinished, path } => {
                let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                drop(file);
                fs::rename(&unfinished, &path)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File { out, .. } => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { out, .. } => out.flush(),
        }
    }
}
