//! How large what is recorded may be: a policy chooses its texts, and may repeat a request in them.

use std::borrow::Cow;
use std::io;

use serde::Serialize;

/// Bytes of a message.
pub const MESSAGE: usize = 4 << 10;
/// Bytes of details, as JSON.
pub const DETAILS: usize = 16 << 10;
/// Bytes of a name, as of the user or the object.
pub const NAME: usize = 1 << 10;
/// Bytes of what is found in one request: in the log, and in the record of decisions.
pub const FINDINGS: usize = 256 << 10;

/// A text of at most so many bytes, and some that tell how long it was.
#[must_use]
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept}… (cut: {} bytes in all)", text.len()))
}

/// What stands for something that is larger than it may be.
#[must_use]
pub fn left_out(what: &str, most: usize) -> String {
    format!("(cut: the {what} have more than {most} bytes)")
}

/// How many bytes something takes as JSON.
#[must_use]
pub fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What is recorded always has a JSON form; what has none takes no place.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("aäb", 2), "a… (cut: 4 bytes in all)");
    }
}
