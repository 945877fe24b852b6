//! Digests, by which everything is known that is fetched.

use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";
const DIGITS: usize = 64;

/// `sha256:` and 64 hexadecimal digits. There is no other algorithm here: registries use no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// That of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::finished(Sha256::new_with_prefix(bytes))
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == DIGITS && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or_default()
    }

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn finished(hash: Sha256) -> Self {
        use std::fmt::Write as _;
        let mut text = PREFIX.to_owned();
        for byte in hash.finalize() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Copies at most `most` bytes and one more, so that a caller sees that there are more; how many there were, and
/// their digest.
pub(crate) fn copy(from: impl Read, to: &mut impl Write, most: u64) -> io::Result<(u64, Digest)> {
    let mut hash = Sha256::new();
    let mut from = from.take(most.saturating_add(1));
    let mut buffer = vec![0; 64 << 10];
    let mut count: u64 = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((count, Digest::finished(hash))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..read).unwrap_or_default();
        hash.update(part);
        to.write_all(part)?;
        count = count.saturating_add(part.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_everybody() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        let mut out = Vec::new();
        assert_eq!(copy(&b"abcd"[..], &mut out, 2).unwrap().0, 3);
        let (count, digest) = copy(&b"abcd"[..], &mut Vec::new(), 4).unwrap();
        assert_eq!((count, digest), (4, Digest::of(b"abcd")));
    }

    #[test]
    fn only_digests_are_digests() {
        let good = Digest::of(b"x");
        assert_eq!(Digest::parse(good.as_str()), Some(good.clone()));
        for wrong in
            ["", "sha256:", "sha512:00", &good.as_str().to_uppercase(), &format!("{good}0"), good.hex()]
        {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }
}
