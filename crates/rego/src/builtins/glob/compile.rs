//! From terms to a matcher, by gobwas's rules: which terms are taken together, and around which a tree is
//! built, decides what is found.

use portcullis_value::{Budget, LimitKind};

use super::super::{Failure, too_large};
use super::matcher::{Matcher, Tree};
use super::parse::Term;

/// Most matchers that are inside of each other. Compiling and matching are recursive.
const DEEPEST: usize = 200;

pub(super) struct Compiler<'c, 'w> {
    pub(super) budget: &'c mut Budget<'w>,
    pub(super) separators: &'c [char],
    pub(super) trees: usize,
}

impl Compiler<'_, '_> {
    /// The matcher of a term.
    pub(super) fn compile(&mut self, term: &Term, depth: usize) -> Result<Matcher, Failure> {
        self.budget.step(1)?;
        let depth = deeper(depth)?;
        Ok(match term {
            Term::Nothing => Matcher::Nothing,
            Term::Text(text) => Matcher::Text(text.clone()),
            Term::List { chars, not } => match (chars.as_slice(), not) {
                ([c], false) => Matcher::Text(c.to_string()),
                _ => Matcher::List { chars: chars.clone(), not: *not },
            },
            Term::Range { low, high, not } => Matcher::Range { low: *low, high: *high, not: *not },
            Term::Any if self.separators.is_empty() => Matcher::Super,
            Term::Any => Matcher::Any(self.separators.to_vec()),
            Term::Super => Matcher::Super,
            Term::Single => Matcher::Single(self.separators.to_vec()),
            Term::Sequence(terms) if terms.is_empty() => Matcher::Nothing,
            Term::Sequence(terms) => {
                let matchers = self.all(terms, depth)?;
                let matchers = self.glue_runs(matchers)?;
                simplified(self.join(matchers, depth)?)
            }
            Term::Alternatives(alternatives) => {
                if let Some(sequence) = self.common_taken_out(alternatives)? {
                    return self.compile(&sequence, depth);
                }
                let mut matchers = self.all(alternatives, depth)?;
                match matchers.pop() {
                    Some(only) if matchers.is_empty() => only,
                    last => {
                        matchers.extend(last);
                        Matcher::AnyOf(matchers)
                    }
                }
            }
        })
    }

    fn all(&mut self, terms: &[Term], depth: usize) -> Result<Vec<Matcher>, Failure> {
        // Separators are copied for each wildcard.
        let bytes = self.separators.len().saturating_mul(4).saturating_add(64);
        self.budget.take(terms.len().saturating_mul(bytes))?;
        terms.iter().map(|term| self.compile(term, depth)).collect()
    }

    /// What alternatives begin and end with in common, with the alternatives of the rest between; nothing if
    /// there is none.
    fn common_taken_out(&mut self, alternatives: &[Term]) -> Result<Option<Term>, Failure> {
        let sequences: Vec<&[Term]> = alternatives
            .iter()
            .map(|term| match term {
                Term::Sequence(terms) => terms.as_slice(),
                _ => &[],
            })
            .collect();
        let shortest = sequences.iter().map(|terms| terms.len()).min().unwrap_or_default();
        if sequences.len() <= 1 || shortest == 0 {
            return Ok(None);
        }
        self.budget.step(sequences.len().saturating_mul(shortest) as u64)?;
        let (left, right) = common(&sequences, shortest);
        if left == 0 && right == 0 {
            return Ok(None);
        }
        let first = sequences.first().copied().unwrap_or_default();
        let part = |terms: &[Term]| Term::Sequence(terms.to_vec());
        let mut result = Vec::new();
        if left > 0 {
            result.push(part(first.get(..left).unwrap_or_default()));
        }
        let mut rests: Vec<Term> = Vec::new();
        for terms in &sequences {
            let rest = terms.get(left..terms.len() - right).unwrap_or_default();
            let rest = if rest.is_empty() { Term::Nothing } else { part(rest) };
            self.budget.step(rests.len() as u64)?;
            if !rests.contains(&rest) {
                rests.push(rest);
            }
        }
        match rests.pop() {
            Some(Term::Nothing) if rests.is_empty() => {}
            Some(only) if rests.is_empty() => result.push(only),
            last => {
                rests.extend(last);
                result.push(Term::Alternatives(rests));
            }
        }
        if right > 0 {
            result.push(part(first.get(first.len() - right..).unwrap_or_default()));
        }
        Ok(Some(Term::Sequence(result)))
    }

    /// Takes together the longest run that can be; of several, one that is longer in characters, or else the
    /// first. Then again.
    fn glue_runs(&mut self, mut matchers: Vec<Matcher>) -> Result<Vec<Matcher>, Failure> {
        loop {
            self.budget.step(matchers.len() as u64)?;
            let mut best: Option<Gluable> = None;
            for run in runs(&matchers) {
                let is_better = best.as_ref().is_none_or(|best| {
                    best.count < run.count
                        || best.length.zip(run.length).is_some_and(|(best, new)| best < new)
                });
                if is_better {
                    best = Some(run);
                }
            }
            let Some(Gluable { start, count, .. }) = best else { return Ok(matchers) };
            self.budget.step(count as u64)?;
            let Some(glued) = glue(matchers.get(start..start + count).unwrap_or_default()) else {
                return Ok(matchers);
            };
            matchers.splice(start..start + count, [glued]);
        }
    }

    /// One matcher of several: a glued one, or a tree around the last of the longest of known length.
    fn join(&mut self, mut matchers: Vec<Matcher>, depth: usize) -> Result<Matcher, Failure> {
        self.budget.step(matchers.len() as u64)?;
        let depth = deeper(depth)?;
        if matchers.len() > 1
            && let Some(glued) = glue(&matchers)
        {
            return Ok(glued);
        }
        let lengths = matchers.iter().enumerate().filter_map(|(at, matcher)| Some((matcher.length()?, at)));
        let middle = lengths.max().map_or(0, |(_, at)| at);
        let mut right = matchers.split_off(middle);
        let value = right.remove(0);
        if matchers.is_empty() && right.is_empty() {
            return Ok(value);
        }
        let left = if matchers.is_empty() { None } else { Some(self.join(matchers, depth)?) };
        let right = if right.is_empty() { None } else { Some(self.join(right, depth)?) };
        self.trees += 1;
        Ok(Matcher::Tree(Box::new(Tree::new(self.trees, value, left, right))))
    }
}

fn deeper(depth: usize) -> Result<usize, Failure> {
    if depth >= DEEPEST {
        return Err(too_large(
            LimitKind::Pattern,
            format!("the parts of a glob are nested more than {DEEPEST} deep"),
        ));
    }
    Ok(depth + 1)
}

/// How many terms sequences begin and end with in common. Both ends are looked at by turns, sequence by
/// sequence: a term in the middle of the shortest one is the left's as soon as one other sequence has it
/// there.
fn common(sequences: &[&[Term]], shortest: usize) -> (usize, usize) {
    let (mut left, mut right) = (0, 0);
    let (mut left_ends, mut right_ends) = (false, false);
    let Some(at) = sequences.iter().position(|terms| terms.len() == shortest) else { return (0, 0) };
    let model = sequences.get(at).copied().unwrap_or_default();
    for from_left in 0..shortest {
        if left + right >= shortest {
            break;
        }
        let from_right = shortest - 1 - from_left;
        for (_, terms) in sequences.iter().enumerate().filter(|(other, _)| *other != at) {
            if left_ends && right_ends {
                return (left, right);
            }
            left_ends = left_ends || model.get(from_left) != terms.get(from_left);
            right_ends = right_ends
                || (!left_ends && from_right <= from_left)
                || model.get(from_right) != terms.get(terms.len() - 1 - from_left);
        }
        left += usize::from(!left_ends);
        right += usize::from(!right_ends);
    }
    (left, right)
}

/// What a matcher that looks at each character by itself looks for: characters that are none of these.
fn excluded(matcher: &Matcher) -> Option<&[char]> {
    match matcher {
        Matcher::Super => Some(&[]),
        Matcher::Any(separators) | Matcher::Single(separators) => Some(separators),
        Matcher::List { chars, not: true } => Some(chars),
        _ => None,
    }
}

/// Matchers that can be one, from one of them on.
struct Gluable {
    start: usize,
    count: usize,
    /// Of how many characters it would be, if that is known.
    length: Option<usize>,
}

/// The longest that can be one, for each first matcher.
fn runs(matchers: &[Matcher]) -> Vec<Gluable> {
    let mut runs = Vec::new();
    // Of matchers that exclude the same, and of those of known length: how many from here on.
    let (mut every, mut row, mut length) = (0_usize, 0_usize, 0_usize);
    let mut behind: Option<&Matcher> = None;
    for (start, matcher) in matchers.iter().enumerate().rev() {
        let is_same = behind.is_some_and(|behind| excluded(behind) == excluded(matcher));
        every = if excluded(matcher).is_none() {
            0
        } else if is_same {
            every + 1
        } else {
            1
        };
        (row, length) = matcher.length().map_or((0, 0), |own| (row + 1, length.saturating_add(own)));
        behind = Some(matcher);
        if every.max(row) >= 2 {
            let length = (row > every).then_some(length);
            runs.push(Gluable { start, count: every.max(row), length });
        }
    }
    runs.reverse();
    runs
}

/// Several matchers as one, if they look at each character for the same, or if all are of a known length.
fn glue(matchers: &[Matcher]) -> Option<Matcher> {
    let first = matchers.first()?;
    let is_of_all =
        |separators: &&[char]| matchers.iter().all(|matcher| excluded(matcher) == Some(*separators));
    if let Some(separators) = excluded(first).filter(is_of_all) {
        return Some(every(matchers, separators));
    }
    let length = matchers.iter().try_fold(0_usize, |sum, matcher| Some(sum + matcher.length()?))?;
    Some(Matcher::Row(length, matchers.to_vec()))
}

fn every(matchers: &[Matcher], separators: &[char]) -> Matcher {
    let has_super = matchers.iter().any(|matcher| matches!(matcher, Matcher::Super));
    let has_any = matchers.iter().any(|matcher| matches!(matcher, Matcher::Any(_)));
    let least =
        matchers.iter().filter(|matcher| !matches!(matcher, Matcher::Super | Matcher::Any(_))).count();
    match (has_super, has_any, least) {
        (true, false, 0) => return Matcher::Super,
        (false, true, 0) => return Matcher::Any(separators.to_vec()),
        (true, _, 1..) | (_, true, 1..) if separators.is_empty() => return Matcher::Min(least),
        _ => {}
    }
    let mut every = Vec::new();
    if least > 0 {
        every.push(Matcher::Min(least));
        if !has_any && !has_super {
            every.push(Matcher::Max(least));
        }
    }
    if !separators.is_empty() {
        every.push(Matcher::Contains { part: separators.iter().collect(), not: true });
    }
    Matcher::EveryOf(every)
}

/// A tree around a text with something simple beside it is simpler. Here a prefix and a suffix lose that they
/// must not overlap.
fn simplified(matcher: Matcher) -> Matcher {
    let Matcher::Tree(mut tree) = matcher else { return matcher };
    tree.left = tree.left.map(simplified);
    tree.right = tree.right.map(simplified);
    let Matcher::Text(text) = &tree.value else { return Matcher::Tree(tree) };
    let text = text.clone();
    match (&tree.left, &tree.right) {
        (None, None) => Matcher::Text(text),
        (Some(Matcher::Super), Some(Matcher::Super)) => Matcher::Contains { part: text, not: false },
        (Some(Matcher::Super), None) => Matcher::Suffix(text),
        (None, Some(Matcher::Super)) => Matcher::Prefix(text),
        (None, Some(Matcher::Suffix(suffix))) => Matcher::PrefixSuffix(text, suffix.clone()),
        (Some(Matcher::Prefix(prefix)), None) => Matcher::PrefixSuffix(prefix.clone(), text),
        (Some(Matcher::Any(separators)), None) => Matcher::SuffixAny(separators.clone(), text),
        (None, Some(Matcher::Any(separators))) => Matcher::PrefixAny(text, separators.clone()),
        _ => Matcher::Tree(tree),
    }
}
