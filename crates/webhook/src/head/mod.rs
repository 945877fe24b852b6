//! What an answer needs of a request, found while its bytes arrive: the uid, the version, and how much the body comes to when it is
//! read. API servers take an answer under another uid for a failed call, so that also what is never kept or cannot be read has to be
//! answered under its own.
//!
//! [`BodyHead`] reads JSON as Go's reader of Kubernetes does: names of fields are exact, the last of several equal ones counts, `null` in the
//! place of the request forgets it. Where the text is no JSON it goes on as well as it can; then the request is refused in any case. Its
//! state does not grow with the body, and nothing in it depends on how the bytes are cut.

use std::fmt;

use portcullis::AdmissionReview;

/// Longest uid that is repeated. Those of API servers have 36 bytes.
pub const UID_BYTES: usize = 256;
/// Longest text that is looked at for another reason.
const TEXT_BYTES: usize = 64;

/// How a body begins and how much it holds, as far as it has come.
#[derive(Clone, Default)]
pub struct BodyHead {
    /// Lists and objects that are open. Which of both they are does not matter for what is looked for.
    depth: usize,
    lexer: Lexer,
    /// In the review and in its request: what comes next.
    expect: Expect,
    /// The last key there.
    key: Key,
    /// Whether the object at the second level is the request.
    in_request: bool,
    /// The review has ended; what follows is not part of it.
    is_over: bool,
    text: Text,
    uid: Uid,
    is_beta: bool,
    size: Size,
}

/// How much there is in a text, counted without reading it: what it takes in memory depends on it more than on its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the text.
    pub bytes: usize,
    /// Lists and objects.
    pub containers: usize,
    /// Texts and keys.
    pub texts: usize,
    /// Numbers, `true`, `false` and `null`.
    pub words: usize,
}

#[derive(Clone, Debug, Default)]
enum Uid {
    #[default]
    Missing,
    Read(String),
    TooLong,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lexer {
    #[default]
    Between,
    /// In a number or a word.
    Bare,
    String,
    /// Behind a backslash.
    Escape,
    /// In the digits of `\u`: how many have come, and what they are.
    Unicode(u8, u16),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Value,
    Key,
    Colon,
    Comma,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    ApiVersion,
    Request,
    Uid,
}

impl BodyHead {
    /// Of a body that is there as a whole, or of its beginning.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut head = Self::default();
        head.push(body);
        head
    }

    /// The uid, if there is one that can be repeated.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        match &self.uid {
            Uid::Read(uid) => Some(uid),
            Uid::Missing | Uid::TooLong => None,
        }
    }

    /// Whether there is a uid of more than [`UID_BYTES`].
    #[must_use]
    pub fn is_uid_too_long(&self) -> bool {
        matches!(self.uid, Uid::TooLong)
    }

    /// The version of the review, if one was named that is known.
    #[must_use]
    pub fn version(&self) -> Option<&'static str> {
        let wanted = if self.is_beta { "v1beta1" } else { "v1" };
        AdmissionReview::VERSIONS.iter().copied().find(|version| *version == wanted)
    }

    /// How much has come.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.size.bytes = self.size.bytes.saturating_add(bytes.len());
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.lexer == Lexer::String {
                let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                let (plain, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                self.text.extend(plain);
                rest = after;
                let Some((&byte, after)) = rest.split_first() else { return };
                rest = after;
                if byte == b'"' {
                    self.lexer = Lexer::Between;
                    self.end_string();
                } else {
                    self.lexer = Lexer::Escape;
                }
                continue;
            }
            rest = after;
            match self.lexer {
                Lexer::Escape => self.escape(byte),
                Lexer::Unicode(digits, code) => self.unicode(byte, digits, code),
                _ => self.structure(byte),
            }
        }
    }

    fn escape(&mut self, byte: u8) {
        let plain = match byte {
            b'u' => {
                self.lexer = Lexer::Unicode(0, 0);
                return;
            }
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            other => other,
        };
        self.lexer = Lexer::String;
        self.text.extend(&[plain]);
    }

    fn unicode(&mut self, byte: u8, digits: u8, code: u16) {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let Some(digit) = digit else {
            // No JSON. The string goes on, or ends here.
            self.lexer = Lexer::String;
            if byte == b'"' {
                self.lexer = Lexer::Between;
                self.end_string();
            }
            return;
        };
        let code = code << 4 | digit;
        if digits < 3 {
            self.lexer = Lexer::Unicode(digits + 1, code);
            return;
        }
        self.lexer = Lexer::String;
        self.text.unit(code);
    }

    fn structure(&mut self, byte: u8) {
        let is_bare = self.lexer == Lexer::Bare;
        self.lexer = Lexer::Between;
        match byte {
            b'"' => {
                self.lexer = Lexer::String;
                self.size.texts += 1;
                self.begin_string();
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b':' => {
                if self.is_tracked() && self.expect == Expect::Colon {
                    self.expect = Expect::Value;
                }
            }
            b',' => {
                if self.is_tracked() {
                    self.expect = Expect::Key;
                }
            }
            b' ' | b'\n' | b'\r' | b'\t' => {}
            byte => {
                self.lexer = Lexer::Bare;
                if !is_bare {
                    self.size.words += 1;
                    self.begin_bare(byte);
                }
            }
        }
    }

    /// In the review itself, or in its request.
    fn is_tracked(&self) -> bool {
        !self.is_over && (self.depth == 1 || self.depth == 2 && self.in_request)
    }

    fn open(&mut self, is_object: bool) {
        self.size.containers += 1;
        if self.is_tracked() {
            let is_request = is_object && self.expect == Expect::Value && self.key == Key::Request;
            self.expect = Expect::Comma;
            if self.depth == 1 && is_request {
                (self.in_request, self.expect) = (true, Expect::Key);
            }
        } else if self.depth == 0 && !self.is_over {
            if is_object {
                self.expect = Expect::Key;
            } else {
                self.is_over = true;
            }
        }
        self.key = Key::Other;
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self) {
        if self.depth == 2 && self.in_request {
            self.in_request = false;
            self.expect = Expect::Comma;
        }
        self.depth = self.depth.saturating_sub(1);
        self.is_over |= self.depth == 0;
    }

    /// Only what matters is kept of a string.
    fn begin_string(&mut self) {
        let most = match (self.is_tracked(), self.expect, self.key) {
            (true, Expect::Key, _) | (true, Expect::Value, Key::ApiVersion) => TEXT_BYTES,
            (true, Expect::Value, Key::Uid) => UID_BYTES,
            _ => 0,
        };
        self.text.begin(most);
    }

    fn end_string(&mut self) {
        if !self.is_tracked() {
            return;
        }
        match self.expect {
            Expect::Key => {
                self.key = match (self.depth, self.text.end()) {
                    (1, Some(b"apiVersion")) => Key::ApiVersion,
                    (1, Some(b"request")) => Key::Request,
                    (2, Some(b"uid")) => Key::Uid,
                    _ => Key::Other,
                };
                self.expect = Expect::Colon;
            }
            Expect::Value => {
                match self.key {
                    Key::Uid => {
                        let uid = self.text.end().map(|uid| String::from_utf8_lossy(uid).into_owned());
                        self.uid = uid.map_or(Uid::TooLong, Uid::Read);
                    }
                    Key::ApiVersion => {
                        self.is_beta = self.text.end() == Some(b"admission.k8s.io/v1beta1".as_slice());
                    }
                    Key::Request | Key::Other => {}
                }
                self.expect = Expect::Comma;
            }
            Expect::Colon | Expect::Comma => {}
        }
    }

    fn begin_bare(&mut self, byte: u8) {
        if self.is_tracked() && self.expect == Expect::Value {
            if self.key == Key::Request && byte == b'n' {
                self.uid = Uid::Missing;
            }
            self.expect = Expect::Comma;
        }
    }
}

impl fmt::Debug for BodyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyHead").field("uid", &self.uid).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A string that is being read, up to some length.
#[derive(Clone, Default)]
struct Text {
    most: usize,
    bytes: Vec<u8>,
    is_longer: bool,
    /// The first half of a character that is written as two.
    half: Option<u16>,
}

impl Text {
    fn begin(&mut self, most: usize) {
        self.most = most;
        self.bytes.clear();
        self.is_longer = false;
        self.half = None;
    }

    fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.most == 0 {
            return;
        }
        self.end_half();
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > self.most {
            self.is_longer = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// A half without its other one is what Go makes of it.
    fn end_half(&mut self) {
        if self.half.take().is_some() {
            self.char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn char(&mut self, char: char) {
        self.put(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// A unit of UTF-16.
    fn unit(&mut self, unit: u16) {
        if self.most == 0 {
            return;
        }
        let pair = self.half.map(|half| [half, unit]);
        match (pair.and_then(|pair| char::decode_utf16(pair).next()), char::decode_utf16([unit]).next()) {
            (Some(Ok(char)), Some(Err(_))) => {
                self.half = None;
                self.char(char);
            }
            (_, Some(Ok(char))) => {
                self.end_half();
                self.char(char);
            }
            (_, _) => {
                self.end_half();
                // A second half that comes first never gets its first one.
                if (0xd800..0xdc00).contains(&unit) {
                    self.half = Some(unit);
                } else {
                    self.char(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }

    /// The whole string; `None` if it is longer than what is kept.
    fn end(&mut self) -> Option<&[u8]> {
        self.end_half();
        (!self.is_longer).then_some(&self.bytes)
    }
}

#[cfg(test)]
mod tests;
