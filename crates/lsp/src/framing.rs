//! Messages on a stream: `Content-Length`, an empty line, JSON. Whatever comes is read in bounded memory.

use std::io::{self, BufRead, Read as _, Write};

use lsp_server::Message;

/// The longest line of a header, and how many lines it may have.
const HEADER_BYTES: u64 = 4 << 10;
const HEADER_LINES: usize = 32;

/// The largest message. A file that is opened comes in one, and escapes make it larger.
pub const MESSAGE_BYTES: u64 = 64 << 20;

/// What comes next.
#[derive(Debug)]
pub enum Read {
    /// A message.
    Message(Message),
    /// Something that is no message, and what follows may be one.
    NoMessage(String),
    /// The other side has nothing more to say.
    End,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// Where one message ends is not known any more, and so not where another begins.
    #[error("the header of a message: {0}")]
    Header(String),
    /// The stream cannot be read.
    #[error("messages cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a message.
///
/// # Errors
///
/// If the stream cannot be read, or it is not known where the next message begins.
pub fn read(from: &mut impl BufRead) -> Result<Read, FramingError> {
    let Some(length) = header(from)? else { return Ok(Read::End) };
    if length > MESSAGE_BYTES {
        let passed = io::copy(&mut from.take(length), &mut io::sink())?;
        if passed < length {
            return Ok(Read::End);
        }
        return Ok(Read::NoMessage(format!(
            "a message of {length} bytes was not read: {MESSAGE_BYTES} are the most"
        )));
    }
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Ok(Read::End);
    }
    Ok(match serde_json::from_slice(&body) {
        Ok(message) => Read::Message(message),
        Err(error) => Read::NoMessage(format!("expected a message in JSON: {error}")),
    })
}

/// The length that the lines before a message say; none at the end of the stream.
fn header(from: &mut impl BufRead) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for _ in 0..HEADER_LINES {
        let mut line = Vec::new();
        from.take(HEADER_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            // Either it is too long, or the stream ended in it.
            let is_long = line.len() as u64 == HEADER_BYTES;
            let why = || FramingError::Header(format!("a line has more than {HEADER_BYTES} bytes"));
            return if is_long { Err(why()) } else { Ok(None) };
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let why = || FramingError::Header("there is no `Content-Length`".to_owned());
            return length.ok_or_else(why).map(Some);
        }
        let field = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = field else {
            return Err(FramingError::Header(format!("expected `NAME: VALUE`, found `{}`", shown(line))));
        };
        if name.eq_ignore_ascii_case("content-length") {
            let read = value.parse().map_err(|_| {
                FramingError::Header(format!(
                    "`Content-Length`: expected a number of bytes, found `{}`",
                    shown(value)
                ))
            });
            length = Some(read?);
        }
    }
    Err(FramingError::Header(format!("there are more than {HEADER_LINES} lines")))
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

/// Writes a message.
///
/// # Errors
///
/// If nobody takes it.
pub fn write(message: &Message, to: &mut impl Write) -> io::Result<()> {
    message.write(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut from = bytes;
        let mut found = Vec::new();
        loop {
            match read(&mut from) {
                Ok(Read::Message(message)) => found.push(format!("{message:?}")),
                Ok(Read::NoMessage(why)) => found.push(why),
                Ok(Read::End) => return found,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
    }

    #[test]
    fn what_is_no_message_is_said_and_what_follows_is_read() {
        let good = br#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#;
        let mut stream = b"content-length: 3\r\n\r\n{a}".to_vec();
        stream.extend(format!("Content-Type: x\r\nContent-Length: {}\r\n\r\n", good.len()).into_bytes());
        stream.extend(good);
        let found = all(&stream);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("expected a message"), "{found:?}");
        assert!(found[1].contains("initialized"), "{found:?}");
    }

    #[test]
    fn a_header_that_says_nothing_ends_the_stream() {
        for (stream, why) in [
            ("Content-Length: many\r\n\r\n", "expected a number"),
            ("Content-Length: -1\r\n\r\n", "expected a number"),
            ("Content-Length: 99999999999999999999999\r\n\r\n", "expected a number"),
            ("X: 1\r\n\r\n{}", "no `Content-Length`"),
            ("nothing\r\n", "expected `NAME: VALUE`"),
            (&"x".repeat(5000), "more than"),
            (&"a: b\r\n".repeat(100), "more than"),
        ] {
            let found = all(stream.as_bytes());
            assert!(found.len() == 1 && found[0].contains(why), "{stream}: {found:?}");
        }
        // Nobody finds out whether there would have been more.
        assert!(all(b"Content-Length: 18446744073709551615\r\n\r\n{}").is_empty());
        assert!(all(b"Content-Length: 10\r\n\r\n{}").is_empty());
        assert!(all(b"Content-Le").is_empty());
    }

    #[test]
    fn a_message_that_is_too_large_is_passed_over() {
        let length = usize::try_from(MESSAGE_BYTES).unwrap() + 1;
        let mut stream = format!("Content-Length: {length}\r\n\r\n").into_bytes();
        stream.resize(stream.len() + length, b' ');
        stream.extend(b"Content-Length: 2\r\n\r\n{}");
        let found = all(&stream);
        assert!(found.len() == 2 && found[0].contains("was not read"), "{found:?}");
    }
}
