//! How large what is answered and recorded may be: a policy chooses its texts, and may repeat a request in them. Here and nowhere else
//! texts are cut, so that what is left out is said in one way.

use std::borrow::Cow;

/// Bytes of all that constraints say of one request, as it is held until the answer is made: the largest body, and some more.
pub const HELD: usize = 4 << 20;
/// Bytes of the message of an answer: nobody reads as much, and it is kept until it is sent.
pub const ANSWER: usize = 256 << 10;
/// Bytes of warnings: API servers pass on 4096, notes about what is left out included.
pub const WARNINGS: usize = 4000;
/// Bytes of a message that is recorded.
pub const MESSAGE: usize = 4 << 10;
/// Bytes of what the user saw, in the record.
pub const TOLD: usize = 16 << 10;
/// Bytes of details, as JSON.
pub const DETAILS: usize = 16 << 10;
/// Bytes of a name, as of the user or the object.
pub const NAME: usize = 1 << 10;
/// Bytes of what is found in one request: in the log, and in the record of decisions.
pub const FINDINGS: usize = 256 << 10;

/// Bytes of why a constraint denies with one message, in the record of decisions; and of all that is explained of one request.
pub const EXPLANATION: usize = 16 << 10;
/// See [`EXPLANATION`].
pub const EXPLANATIONS: usize = 64 << 10;

/// A text of at most so many bytes, and some that tell how long it was.
#[must_use]
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    Cow::Owned(format!("{kept}… (cut: {} bytes in all)", text.len()))
}

/// The texts that there is room for, whole, and a last one that says how many are left out. Of a first one that is too long by itself
/// the beginning stays.
#[must_use]
pub fn fit(texts: impl IntoIterator<Item = String>, what: &str, most: usize) -> Vec<String> {
    let (mut kept, mut room, mut left) = (Vec::new(), most, 0_usize);
    for text in texts {
        match room.checked_sub(text.len()) {
            Some(rest) if left == 0 => {
                room = rest;
                kept.push(text);
            }
            _ if kept.is_empty() => {
                room = 0;
                kept.push(cut(&text, most).into_owned());
            }
            _ => left += 1,
        }
    }
    if left > 0 {
        kept.push(format!("… and {left} more {what}"));
    }
    kept
}

/// What stands for something that is larger than it may be.
#[must_use]
pub fn left_out(what: &str, most: usize) -> String {
    format!("(cut: the {what} have more than {most} bytes)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("aäb", 2), "a… (cut: 4 bytes in all)");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let fit = |texts: &[&str], most| fit(texts.iter().map(|&text| text.to_owned()), "violations", most);
        assert_eq!(fit(&["ab", "cd"], 4), ["ab", "cd"]);
        assert_eq!(fit(&["ab", "cd", "e"], 3), ["ab", "… and 2 more violations"]);
        assert_eq!(fit(&["a€b"], 3), ["a… (cut: 5 bytes in all)"]);
        assert_eq!(fit(&["abcd", "e"], 3), ["abc… (cut: 4 bytes in all)", "… and 1 more violations"]);
        assert!(fit(&[], 3).is_empty());
    }
}
