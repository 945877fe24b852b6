//! What there is to read, and its bytes, unpacked. What a file is packed with is told by its first bytes, not by its name.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use portcullis_sources::{InputFile, Special, special, with_patience};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

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
            // What else cannot be opened is reported by who opens it.
            None => Ok(Self { name: file.name.into(), origin: Origin::File(file.path) }),
            Some(Special::Pipe) => {
                with_patience(&file.name, || Self::spool(&file.name, File::open(&file.path)?, None))
            }
            Some(other) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("expected a file, found {other}")))
            }
        }
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

    /// The bytes, from the first on.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read, or begins like a packed one and is none.
    pub fn open(&self) -> io::Result<Bytes> {
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
        unpacked(BufReader::with_capacity(PIECE, file))
    }
}

/// A stream as it was before it was packed, if it was.
fn unpacked(mut stream: impl BufRead + Send + 'static) -> io::Result<Bytes> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    let first = stream.fill_buf()?;
    if first.starts_with(GZIP) {
        return Ok(Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(stream))));
    }
    if first.starts_with(ZSTD) {
        return Ok(Box::new(BufReader::with_capacity(
            PIECE,
            Frames { stream, decoder: FrameDecoder::new(), inside: false },
        )));
    }
    Ok(Box::new(stream))
}

/// The frames of a Zstandard file, one behind the other.
struct Frames<R> {
    stream: R,
    decoder: FrameDecoder,
    /// In a frame, not between two.
    inside: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if self.stream.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.inside = self.begin()?;
                continue;
            }
            while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                let missing = BlockDecodingStrategy::UptoBytes(buffer.len() - self.decoder.can_collect());
                self.decoder.decode_blocks(&mut self.stream, missing).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let sums = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
            if let (Some(said), Some(found)) = sums
                && said != found
            {
                let message = "the checksum is not that of what was unpacked";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.inside = false;
        }
    }
}

impl<R: BufRead> Frames<R> {
    /// Reads the head of the next frame; false if it is one to pass over.
    fn begin(&mut self) -> io::Result<bool> {
        match self.decoder.init(&mut self.stream) {
            Ok(()) => Ok(true),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = u64::from(length);
                let passed = io::copy(&mut (&mut self.stream).take(length), &mut io::sink())?;
                if passed == length { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
