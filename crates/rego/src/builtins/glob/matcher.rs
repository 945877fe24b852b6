//! Matchers as gobwas has them: each can be asked whether it matches a text as a whole, and where in a text
//! it first does.
//!
//! The second question is answered less well than the first: a matcher names one place only, and some name
//! none. Where a matcher is made of others, that shows, and policies have been written and tested with it. So
//! these answer as gobwas does (v0.2.3, which OPA uses), on bytes and with Go's reading of them; where gobwas
//! panics, a part beyond the text is empty.

use std::collections::HashMap;

use portcullis_value::{Budget, Exceeded, LimitKind};

/// What Go reads where bytes are not a character.
const NO_CHARACTER: char = char::REPLACEMENT_CHARACTER;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    Nothing,
    /// Anything.
    Super,
    /// Anything without a separator.
    Any(Vec<char>),
    /// A character that is not a separator.
    Single(Vec<char>),
    Text(String),
    List {
        chars: Vec<char>,
        not: bool,
    },
    Range {
        low: char,
        high: char,
        not: bool,
    },
    /// At least so many characters.
    Min(usize),
    /// At most so many.
    Max(usize),
    Contains {
        part: String,
        not: bool,
    },
    Prefix(String),
    Suffix(String),
    /// Both; they may overlap.
    PrefixSuffix(String, String),
    /// A text, and no separator after it.
    PrefixAny(String, Vec<char>),
    /// No separator, and a text.
    SuffixAny(Vec<char>, String),
    /// One of them.
    AnyOf(Vec<Matcher>),
    /// All of them.
    EveryOf(Vec<Matcher>),
    /// One after the other, of a known length each: so many characters in all.
    Row(usize, Vec<Matcher>),
    Tree(Box<Tree>),
}

/// A matcher with what comes before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// No two trees of a glob have the same.
    id: usize,
    pub(super) value: Matcher,
    pub(super) left: Option<Matcher>,
    pub(super) right: Option<Matcher>,
    left_length: Option<usize>,
    right_length: Option<usize>,
    length: Option<usize>,
}

impl Tree {
    pub(super) fn new(id: usize, value: Matcher, left: Option<Matcher>, right: Option<Matcher>) -> Self {
        let length = |side: &Option<Matcher>| side.as_ref().map_or(Some(0), Matcher::length);
        let (left_length, right_length) = (length(&left), length(&right));
        let length = match (left_length, value.length(), right_length) {
            (Some(left), Some(value), Some(right)) => Some(left.saturating_add(value).saturating_add(right)),
            _ => None,
        };
        Self { id, value, left, right, left_length, right_length, length }
    }
}

impl Matcher {
    /// How many characters are matched, if that is the same for all texts, as gobwas counts it: of
    /// alternatives, one whose length is not known counts only if it is not the first.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Nothing => Some(0),
            Self::Single(_) | Self::List { .. } | Self::Range { .. } => Some(1),
            Self::Text(text) => Some(text.chars().count()),
            Self::Row(length, _) => Some(*length),
            Self::Tree(tree) => tree.length,
            Self::AnyOf(matchers) => {
                let mut lengths = matchers.iter().map(Self::length).skip_while(Option::is_none);
                let first = lengths.next()?;
                lengths.all(|length| length == first).then_some(first).flatten()
            }
            _ => None,
        }
    }
}

impl Matcher {
    /// What looking at a text costs beside looking at it once: each character may be compared with many.
    fn width(&self) -> usize {
        let chars = match self {
            Self::Any(chars)
            | Self::Single(chars)
            | Self::List { chars, .. }
            | Self::PrefixAny(_, chars)
            | Self::SuffixAny(chars, _) => chars.len(),
            _ => 0,
        };
        1 + chars / 4
    }
}

/// Where a matcher matches first: from where, and the lengths that it may have there, ascending.
type Found = Option<(usize, Vec<usize>)>;

/// One question about one text.
pub(super) struct Run<'r, 'w, 't> {
    pub(super) budget: &'r mut Budget<'w>,
    text: &'t [u8],
    /// What trees answered for parts of the text.
    known: HashMap<(usize, usize, usize), bool>,
    /// Bytes that are held at once.
    held: u64,
}

impl<'r, 'w, 't> Run<'r, 'w, 't> {
    pub(super) fn new(budget: &'r mut Budget<'w>, text: &'t str) -> Self {
        Self { budget, text: text.as_bytes(), known: HashMap::new(), held: 0 }
    }

    /// Whether a matcher matches the text as a whole.
    pub(super) fn matches_all(&mut self, matcher: &Matcher) -> Result<bool, Exceeded> {
        self.matches(matcher, 0, self.text.len())
    }

    fn part(&self, from: usize, to: usize) -> &'t [u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.held = self.held.saturating_add(bytes as u64);
        if self.held > self.budget.limits().memory {
            return Err(self.budget.exceeded(LimitKind::Memory));
        }
        Ok(())
    }

    fn matches(&mut self, matcher: &Matcher, from: usize, to: usize) -> Result<bool, Exceeded> {
        let s = self.part(from, to);
        self.budget.read_text(s.len().saturating_mul(matcher.width()))?;
        Ok(match matcher {
            Matcher::Nothing => s.is_empty(),
            Matcher::Super => true,
            Matcher::Any(separators) => find_any(s, separators).is_none(),
            Matcher::Single(separators) => is_one(s, |c| !separators.contains(&c)),
            Matcher::Text(text) => s == text.as_bytes(),
            Matcher::List { chars, not } => is_one(s, |c| chars.contains(&c) != *not),
            Matcher::Range { low, high, not } => is_one(s, |c| (*low..=*high).contains(&c) != *not),
            Matcher::Min(least) => runes(s).take(*least).count() >= (*least).max(1),
            Matcher::Max(most) => runes(s).take(most.saturating_add(1)).count() <= *most,
            Matcher::Contains { part, not } => find(s, part.as_bytes()).is_some() != *not,
            Matcher::Prefix(prefix) => s.starts_with(prefix.as_bytes()),
            Matcher::Suffix(suffix) => s.ends_with(suffix.as_bytes()),
            Matcher::PrefixSuffix(prefix, suffix) => {
                s.starts_with(prefix.as_bytes()) && s.ends_with(suffix.as_bytes())
            }
            Matcher::PrefixAny(prefix, separators) => {
                s.strip_prefix(prefix.as_bytes()).is_some_and(|rest| find_any(rest, separators).is_none())
            }
            Matcher::SuffixAny(separators, suffix) => {
                s.strip_suffix(suffix.as_bytes()).is_some_and(|rest| find_any(rest, separators).is_none())
            }
            Matcher::AnyOf(matchers) => {
                for matcher in matchers {
                    if self.matches(matcher, from, to)? {
                        return Ok(true);
                    }
                }
                false
            }
            Matcher::EveryOf(matchers) => {
                for matcher in matchers {
                    if !self.matches(matcher, from, to)? {
                        return Ok(false);
                    }
                }
                true
            }
            Matcher::Row(length, parts) => {
                runes(s).take(length.saturating_add(1)).count() == *length && self.row(parts, from, to)?
            }
            Matcher::Tree(tree) => {
                let key = (tree.id, from, to);
                if let Some(known) = self.known.get(&key) {
                    return Ok(*known);
                }
                let answer = self.tree(tree, from, to)?;
                self.hold(64)?;
                self.known.insert(key, answer);
                answer
            }
        })
    }

    /// Whether the parts of a row match what stands at the beginning. A part is given as many characters as
    /// it is long, without the bytes of the last one after its first: so gobwas cuts it.
    fn row(&mut self, parts: &[Matcher], from: usize, to: usize) -> Result<bool, Exceeded> {
        let mut at = from;
        for part in parts {
            let length = part.length().unwrap_or_default();
            let rest = self.part(at.min(to), to);
            // An empty part never says stop.
            let wanted = if length == 0 { usize::MAX } else { length };
            let (mut count, mut last) = (0_usize, 0);
            for (position, _, _) in runes(rest).take(wanted) {
                count += 1;
                last = position;
            }
            self.budget.read_text(last)?;
            let end = at.saturating_add(last + 1);
            if count < length || !self.matches(part, at.min(to), end.min(to))? {
                return Ok(false);
            }
            at = end;
        }
        Ok(true)
    }

    /// Looks for the value, one place after the other, and asks the sides about what is before and after it.
    fn tree(&mut self, tree: &Tree, from: usize, to: usize) -> Result<bool, Exceeded> {
        let length = to - from;
        if tree.length.is_some_and(|least| least > length) {
            return Ok(false);
        }
        let mut offset = tree.left_length.unwrap_or_default();
        let limit = length.saturating_sub(tree.right_length.unwrap_or_default());
        while offset < limit {
            let Some((index, lengths)) = self.index(&tree.value, from + offset, from + limit)? else {
                return Ok(false);
            };
            let bytes = lengths.len().saturating_mul(8);
            self.hold(bytes)?;
            let start = from + offset + index;
            let answer = self.sides(tree, (from, start, to), &lengths)?;
            self.held = self.held.saturating_sub(bytes as u64);
            if answer {
                return Ok(true);
            }
            let (_, width) = first_rune(self.part(start, to));
            offset = offset.saturating_add(index).saturating_add(width.max(1));
        }
        Ok(false)
    }

    /// Whether the sides match what is around the value, which begins in the middle of these places and has
    /// one of some lengths.
    fn sides(&mut self, tree: &Tree, at: (usize, usize, usize), lengths: &[usize]) -> Result<bool, Exceeded> {
        let (from, start, to) = at;
        let left = match &tree.left {
            Some(left) => self.matches(left, from, start)?,
            None => start == from,
        };
        if !left {
            return Ok(false);
        }
        for length in lengths.iter().rev() {
            self.budget.step(1)?;
            let end = start.saturating_add(*length).min(to);
            let right = match &tree.right {
                Some(right) => self.matches(right, end, to)?,
                None => end == to,
            };
            if right {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where a matcher matches first, as far as gobwas finds it.
    fn index(&mut self, matcher: &Matcher, from: usize, to: usize) -> Result<Found, Exceeded> {
        let s = self.part(from, to);
        self.budget.read_text(s.len().saturating_mul(matcher.width()))?;
        let found = match matcher {
            Matcher::Nothing => Some((0, vec![0])),
            Matcher::Super => Some((0, boundaries(s))),
            Matcher::Any(separators) => match find_any(s, separators) {
                Some(0) => Some((0, vec![0])),
                found => Some((0, boundaries(s.get(..found.unwrap_or(s.len())).unwrap_or_default()))),
            },
            Matcher::Single(separators) => first_of(s, |c| !separators.contains(&c)),
            Matcher::List { chars, not } => first_of(s, |c| chars.contains(&c) != *not),
            Matcher::Range { low, high, not } => first_of(s, |c| (*low..=*high).contains(&c) != *not),
            Matcher::Text(text) => find(s, text.as_bytes()).map(|index| (index, vec![text.len()])),
            Matcher::Min(least) => {
                let ends: Vec<_> =
                    runes(s).skip(least.saturating_sub(1)).map(|(at, c, _)| at + c.len_utf8()).collect();
                (s.len() >= *least && !ends.is_empty()).then_some((0, ends))
            }
            Matcher::Max(most) => {
                let ends = runes(s).take(*most).map(|(at, c, _)| at + c.len_utf8());
                Some((0, [0].into_iter().chain(ends).collect()))
            }
            Matcher::Contains { part, not } => contains(s, part.as_bytes(), *not),
            Matcher::Prefix(prefix) => find(s, prefix.as_bytes()).map(|index| {
                let length = prefix.len();
                let behind = s.get(index + length..).unwrap_or_default();
                (index, ends_behind(length, behind))
            }),
            Matcher::PrefixAny(prefix, separators) => find(s, prefix.as_bytes()).map(|index| {
                let length = prefix.len();
                let behind = s.get(index + length..).unwrap_or_default();
                let end = find_any(behind, separators).unwrap_or(behind.len());
                (index, ends_behind(length, behind.get(..end).unwrap_or_default()))
            }),
            Matcher::Suffix(suffix) => {
                find(s, suffix.as_bytes()).map(|index| (0, vec![index + suffix.len()]))
            }
            Matcher::SuffixAny(separators, suffix) => find(s, suffix.as_bytes()).map(|index| {
                let before = s.get(..index).unwrap_or_default();
                let start = find_last_any(before, separators).map_or(0, |at| at + 1);
                (start, vec![(index + suffix.len()).saturating_sub(start)])
            }),
            Matcher::PrefixSuffix(prefix, suffix) => {
                self.prefix_suffix(s, prefix.as_bytes(), suffix.as_bytes())?
            }
            Matcher::AnyOf(matchers) => self.any_of(matchers, from, to)?,
            Matcher::EveryOf(matchers) => self.every_of(matchers, from, to)?,
            Matcher::Row(length, parts) => self.row_index(*length, parts, from, to)?,
            // It does not look.
            Matcher::Tree(_) => None,
        };
        if let Some((_, lengths)) = &found {
            self.budget.step(lengths.len() as u64 / 8)?;
        }
        Ok(found)
    }

    fn prefix_suffix(&mut self, s: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Found, Exceeded> {
        let Some(index) = find(s, prefix) else { return Ok(None) };
        let mut rest = s.get(index..).unwrap_or_default();
        let mut lengths = Vec::new();
        while let Some(at) = find_last(rest, suffix) {
            self.budget.step(1)?;
            lengths.push(at + suffix.len());
            rest = rest.get(..at).unwrap_or_default();
        }
        lengths.reverse();
        Ok((!lengths.is_empty()).then_some((index, lengths)))
    }

    fn any_of(&mut self, matchers: &[Matcher], from: usize, to: usize) -> Result<Found, Exceeded> {
        let mut first: Found = None;
        for matcher in matchers {
            let Some((index, lengths)) = self.index(matcher, from, to)? else { continue };
            match &mut first {
                Some((known, _)) if *known < index => {}
                Some((known, all)) if *known == index => {
                    all.extend(lengths);
                    all.sort_unstable();
                    all.dedup();
                }
                _ => first = Some((index, lengths)),
            }
        }
        Ok(first)
    }

    fn every_of(&mut self, matchers: &[Matcher], from: usize, to: usize) -> Result<Found, Exceeded> {
        let (mut index, mut offset, mut current) = (0_usize, 0_usize, Vec::new());
        for (number, matcher) in matchers.iter().enumerate() {
            let Some((found, lengths)) = self.index(matcher, (from + index).min(to), to)? else {
                return Ok(None);
            };
            if number == 0 {
                current = lengths;
            } else {
                // Both are ascending.
                let moved = found + offset;
                current.retain(|length| {
                    (length + index)
                        .checked_sub(moved)
                        .is_some_and(|length| lengths.binary_search(&length).is_ok())
                });
                for length in &mut current {
                    *length = (*length + index).saturating_sub(moved);
                }
                if current.is_empty() {
                    return Ok(None);
                }
            }
            index = found + offset;
            offset += found;
        }
        Ok(Some((index, current)))
    }

    fn row_index(
        &mut self,
        length: usize,
        parts: &[Matcher],
        from: usize,
        to: usize,
    ) -> Result<Found, Exceeded> {
        for (at, _, _) in runes(self.part(from, to)) {
            self.budget.step(1)?;
            if to - from - at < length {
                break;
            }
            if self.row(parts, from + at, to)? {
                return Ok(Some((at, vec![length])));
            }
        }
        Ok(None)
    }
}

/// A part of a text, or of what is before or after it.
fn contains(s: &[u8], part: &[u8], not: bool) -> Found {
    let found = find(s, part);
    let (skipped, rest) = match (found, not) {
        (None, false) => return None,
        (Some(index), false) => (index + part.len(), s.get(index + part.len()..).unwrap_or_default()),
        (Some(index), true) => (0, s.get(..index).unwrap_or_default()),
        (None, true) => (0, s),
    };
    Some((0, boundaries(rest).into_iter().map(|end| skipped + end).collect()))
}

fn first_of(s: &[u8], wanted: impl Fn(char) -> bool) -> Found {
    runes(s).find(|(_, c, _)| wanted(*c)).map(|(at, c, _)| (at, vec![c.len_utf8()]))
}

/// Where characters begin, and the end.
fn boundaries(s: &[u8]) -> Vec<usize> {
    runes(s).map(|(at, _, _)| at).chain([s.len()]).collect()
}

/// The length of something, and its ends if characters after it belong to it.
fn ends_behind(length: usize, behind: &[u8]) -> Vec<usize> {
    [length].into_iter().chain(runes(behind).map(|(at, c, _)| length + at + c.len_utf8())).collect()
}

/// Whether there is at most one character, and it is as wanted. Of nothing, Go reads a character that is
/// none.
fn is_one(s: &[u8], wanted: impl Fn(char) -> bool) -> bool {
    let (c, width) = first_rune(s);
    s.len() <= width && wanted(c)
}

/// The first character and its width as Go reads them.
fn first_rune(s: &[u8]) -> (char, usize) {
    let head = s.get(..s.len().min(4)).unwrap_or_default();
    let Some(chunk) = head.utf8_chunks().next() else { return (NO_CHARACTER, 0) };
    chunk.valid().chars().next().map_or((NO_CHARACTER, 1), |c| (c, c.len_utf8()))
}

/// The characters with their places and widths.
fn runes(s: &[u8]) -> impl Iterator<Item = (usize, char, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = s.get(at..).filter(|rest| !rest.is_empty())?;
        let (c, width) = first_rune(rest);
        let found = (at, c, width);
        at += width;
        Some(found)
    })
}

fn find(s: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(s, part)
}

fn find_last(s: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(s, part)
}

fn find_char(s: &[u8], c: char) -> Option<usize> {
    if c == NO_CHARACTER {
        return runes(s).find(|(_, found, _)| *found == c).map(|(at, _, _)| at);
    }
    find(s, c.encode_utf8(&mut [0; 4]).as_bytes())
}

/// Where the first of some separators is that is there at all: first in the order of the separators, not of
/// the text.
fn find_any(s: &[u8], separators: &[char]) -> Option<usize> {
    separators.iter().find_map(|c| find_char(s, *c))
}

fn find_last_any(s: &[u8], separators: &[char]) -> Option<usize> {
    separators.iter().find_map(|c| if c.is_ascii() { memchr::memrchr(*c as u8, s) } else { find_char(s, *c) })
}
