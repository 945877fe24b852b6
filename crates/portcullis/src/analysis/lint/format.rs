//! The verbs of a format for `sprintf`, as Go reads it, and which arguments each takes.

use std::iter::Peekable;
use std::str::Chars;

use super::shape::Shape;

/// A verb of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// A letter, which takes one argument.
    Letter(char),
    /// The text ends after `%`: nothing is taken.
    Missing,
}

/// The verbs in order; `None` if the format says by numbers which arguments it takes, or takes widths from
/// them.
pub(super) fn verbs(format: &str) -> Option<Vec<Verb>> {
    let mut rest = format.chars().peekable();
    let mut verbs = Vec::new();
    while let Some(c) = rest.next() {
        if c != '%' {
            continue;
        }
        skip(&mut rest, |c| "+-# 0".contains(c));
        skip(&mut rest, |c| c.is_ascii_digit());
        if rest.next_if_eq(&'.').is_some() {
            skip(&mut rest, |c| c.is_ascii_digit());
        }
        match rest.next() {
            Some('%') => {}
            Some('[' | '*') => return None,
            Some(letter) => verbs.push(Verb::Letter(letter)),
            None => verbs.push(Verb::Missing),
        }
    }
    Some(verbs)
}

fn skip(rest: &mut Peekable<Chars<'_>>, wanted: impl Fn(char) -> bool) {
    while rest.next_if(|c| wanted(*c)).is_some() {}
}

/// Whether a verb can show values of a type. Go is given numbers and texts; everything else as its text.
pub(super) fn shows(verb: char, shape: Option<Shape>) -> bool {
    match (verb, shape) {
        ('v' | 'T' | 'q', _) | ('x' | 'X', Some(Shape::Number) | None) => true,
        // Integers, or other numbers: the text does not tell which.
        ('b' | 'c' | 'd' | 'o' | 'O' | 'U' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G', shape) => {
            matches!(shape, Some(Shape::Number) | None)
        }
        ('s' | 'x' | 'X', shape) => shape != Some(Shape::Number),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(format: &str) -> Option<String> {
        let verbs = verbs(format)?;
        let letter = |verb: &Verb| match verb {
            Verb::Letter(letter) => *letter,
            Verb::Missing => '!',
        };
        Some(verbs.iter().map(letter).collect())
    }

    #[test]
    fn verbs_are_read_as_go_reads_them() {
        assert_eq!(letters("no verbs").as_deref(), Some(""));
        assert_eq!(letters("%v %+v %-10s %05.2f %#x 100%% %").as_deref(), Some("vvsfx!"));
        assert_eq!(letters("%[1]d"), None);
        assert_eq!(letters("%*d"), None);
        assert_eq!(letters("%.*f"), None);
    }

    #[test]
    fn verbs_show_what_they_are_for() {
        assert!(shows('d', Some(Shape::Number)) && shows('d', None) && !shows('d', Some(Shape::String)));
        assert!(shows('s', Some(Shape::Array)) && !shows('s', Some(Shape::Number)));
        assert!(!shows('t', Some(Shape::Boolean)), "Go is given the text");
        assert!(!shows('y', None));
    }
}
