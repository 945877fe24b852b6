//! What there is to read, and its bytes, unpacked. What a file is packed with shows in its first bytes, not by its name.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use portcullis_sources::{InputFile, Special, special, with_patience};

/// How much is asked of the system at once.
const PIECE: usize = 256 << 10;

/// A source that can be read any number of times, one after the other.
#[derive(Debug)]
pub struct Source {
    /// What messages call it.
    pub name: Arc<str>,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    /// Standard input, written to a file that has no name: the stream comes but once.
    Spooled(File),
}

/// The bytes of a source.
pub type Bytes = Box<dyn BufRead + Send>;

impl Source {
    /// A file, or a pipe, which comes but once.
    ///
    /// # Errors
    ///
    /// As [`Source::spool`], for a pipe. A device, which may have no end, and a socket are none.
    pub fn file(file: InputFile) -> io::Result<Self> {
        let found = fs::metadata(&file.path).ok().and_then(|metadata| special(metadata.file_type()));
        match found {
            // What else cannot be opened is reported when it is opened.
            None => Ok(Self::plain(file)),
            Some(Special::Pipe) => {
                with_patience(&file.name, || Self::spool(&file.name, File::open(&file.path)?, None))
            }
            Some(other) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("expected a file, found {other}")))
            }
        }
    }

    /// A file, whatever the system has at its path.
    pub(super) fn plain(file: InputFile) -> Self {
        Self { name: file.name.into(), origin: Origin::File(file.path) }
    }

    /// All of a stream, kept on disk as it comes. Cost: as much disk as it has bytes.
    ///
    /// # Errors
    ///
    /// Of the stream, and if the directory for temporary files is full or cannot be written.
    pub fn spool(name: &str, mut stream: impl Read, directory: Option<&Path>) -> io::Result<Self> {
        let mut file = match directory {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        io::copy(&mut stream, &mut file)?;
        file.flush()?;
        Ok(Self { name: name.into(), origin: Origin::Spooled(file) })
    }

    /// The bytes, from the first on. Unpacking keeps no more than a window of so many bytes.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read, or begins like a packed one and is none.
    pub fn open(&self, window: u64) -> io::Result<Bytes> {
        let file = match &self.origin {
            Origin::File(path) => File::open(path)?,
            Origin::Spooled(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                file
            }
        };
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "expected a file, found a directory"));
        }
        unpacked(BufReader::with_capacity(PIECE, file), window)
    }
}

/// A stream as it was before it was packed, if it was.
fn unpacked(mut stream: impl BufRead + Send + 'static, window: u64) -> io::Result<Bytes> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    let first = stream.fill_buf()?;
    if first.starts_with(GZIP) {
        return Ok(Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(stream))));
    }
    if first.starts_with(ZSTD) {
        return zstandard(stream, window);
    }
    Ok(Box::new(stream))
}

/// Reads a Zstandard stream: frames one behind the other. No more than a window is kept of it, and no frame is begun whose window is
/// larger than what there is room for.
fn zstandard(stream: impl BufRead + Send + 'static, window: u64) -> io::Result<Bytes> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?;
    // The format knows windows from 2^10 bytes on.
    decoder.window_log_max(window.max(1 << 10).ilog2())?;
    Ok(Box::new(BufReader::with_capacity(PIECE, Zstandard { decoder, window })))
}

struct Zstandard<R: BufRead> {
    decoder: zstd::stream::read::Decoder<'static, R>,
    window: u64,
}

impl<R: BufRead> Read for Zstandard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// As the library says it.
        const TOO_LARGE: &str = "requires too much memory";
        self.decoder.read(buffer).map_err(|error| {
            if !error.to_string().contains(TOO_LARGE) {
                return error;
            }
            let fits = super::size(1 << self.window.max(1 << 10).ilog2());
            io::Error::other(format!(
                "unpacking it takes a window of more than the {fits} that there is room for; raise `--max-memory`, or pack it with a smaller window"
            ))
        })
    }
}
