//! Whether two texts are the same, which is asked for each key that is looked up.

/// Whether two texts are equal. Most are short: those of up to 16 bytes are compared as numbers, without a
/// call.
#[inline]
pub(crate) fn is_same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<8>(), a.last_chunk::<8>())
        && a.len() <= 16
    {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<4>(), a.last_chunk::<4>())
        && a.len() <= 8
    {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    a == b
}

#[cfg(test)]
mod tests {
    use super::is_same_text;

    #[test]
    fn it_is_equality() {
        let texts: Vec<String> = (0..26).map(|length| ('a'..='z').take(length).collect()).collect();
        for text in &texts {
            for other in &texts {
                let copy: String = other.chars().collect();
                assert_eq!(is_same_text(text, &copy), text == other);
            }
            for place in 0..text.len() {
                let differs = |(at, c)| if at == place { '#' } else { c };
                let other: String = text.chars().enumerate().map(differs).collect();
                assert!(!is_same_text(text, &other), "{text} {other}");
            }
        }
    }
}
