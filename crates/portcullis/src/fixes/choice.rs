//! Which of several fixes that were tried is the one, and whether the policy decides that.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use crate::path::FieldPath;
use crate::value::{self, Value, View};

use super::edit::{Class, Edit, PLACEHOLDER};
use super::fix::FixDecision;
use super::plausible::distance;
use super::{place, plausible};

/// Edits that make the violation go.
pub(super) struct Tried {
    pub(super) edits: Vec<Edit>,
}

/// The places of some edits with what kind they are of, and all such edits.
type Group<'t> = (Vec<(&'t FieldPath, Class)>, Vec<&'t Tried>);

/// The fix that is offered: decided by the policy rather than by the author, then with the fewest edits, then by their
/// kinds, by whether the message is about them, and the nearest to where it is.
pub(super) fn choose(
    tried: &[Tried],
    object: &Value,
    message: &str,
    kind: &str,
    is_fixed: &dyn Fn(&[Edit]) -> bool,
) -> Option<(Vec<Edit>, FixDecision)> {
    let about = About { text: letters(&format!("{message} {kind}")) };
    // Of the same places, edits of the same kind.
    let mut groups: Vec<Group<'_>> = Vec::new();
    let is_offered = |one: &&Tried| one.edits.iter().all(|edit| about.may_be(&edit.path));
    for one in tried.iter().filter(is_offered) {
        let places: Vec<(&FieldPath, Class)> =
            one.edits.iter().map(|edit| (&edit.path, edit.class)).collect();
        match groups.iter_mut().find(|(known, _)| *known == places) {
            Some((_, group)) => group.push(one),
            None => groups.push((places, vec![one])),
        }
    }
    let chosen = groups.iter().filter_map(|(_, group)| of_group(group, object, is_fixed));
    let chosen = chosen.map(|(edits, decision)| {
        let is_grave = edits.iter().any(|edit| plausible::is_for_author(edit, object));
        (edits, if is_grave { FixDecision::Author } else { decision })
    });
    let rank = |(edits, decision): &(Vec<Edit>, FixDecision)| {
        let class = edits.iter().map(|edit| edit.class).max();
        let relevance = edits.iter().any(|edit| about.is_about(&edit.path));
        let added = edits.iter().filter(|edit| place::at(object, edit.path.segments()).is_none()).count();
        let depth: usize = edits.iter().map(|edit| edit.path.segments().len()).sum();
        (*decision, edits.len(), Reverse(relevance), class, added, Reverse(depth))
    };
    let mut ranked: Vec<_> = chosen.map(|one| (rank(&one), one)).collect();
    // Stable: of those that are as good, the first that the policy looks at.
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut ranked = ranked.into_iter();
    let (best, (edits, decision)) = ranked.next()?;
    // Which of several places is meant is not for a tool to say.
    let is_one_of = ranked.next().is_some_and(|(next, _)| next == best);
    Some((edits, if is_one_of { FixDecision::Author } else { decision }))
}

/// Of fixes of the same places: which values.
fn of_group(
    group: &[&Tried],
    object: &Value,
    is_fixed: &dyn Fn(&[Edit]) -> bool,
) -> Option<(Vec<Edit>, FixDecision)> {
    let first = group.first()?;
    let last = first.edits.last()?;
    if group.iter().all(|one| one.edits.last().is_some_and(|edit| edit.new.is_none())) {
        return Some((first.edits.clone(), by_placeholders(&first.edits)));
    }
    let old = place::at(object, last.path.segments());
    // Whether anything would do, and so this value says nothing.
    let is_free = |edits: &[Edit]| {
        edits.iter().enumerate().any(|(position, edit)| {
            let Some(any) = edit.new.as_ref().and_then(with_any_text) else { return false };
            let mut other = edits.to_vec();
            let Some(edit) = other.get_mut(position) else { return false };
            edit.new = Some(any);
            is_fixed(&other)
        })
    };
    let mut values: Vec<&&Tried> = group.iter().filter(|one| !has_placeholder(&one.edits)).collect();
    values.dedup_by(|a, b| a.edits == b.edits);
    let author = |edits: &[Edit]| Some((edits.to_vec(), FixDecision::Author));
    let policy = |edits: &[Edit]| Some((edits.to_vec(), by_placeholders(edits)));
    match values.as_slice() {
        [] => {
            let free = group.iter().find(|one| is_free(&one.edits));
            let any = group.iter().find(|one| one.edits.iter().any(has_any_text)).filter(|_| free.is_some());
            author(&any.or(free).unwrap_or(first).edits)
        }
        // The same in another form is no choice.
        [only] if last.class == Class::Form => policy(&only.edits),
        all if all.iter().any(|one| is_free(&one.edits)) => {
            // A list of what is not allowed does not say what is.
            if old.is_some() {
                return None;
            }
            let placeholder = group.iter().rev().find(|one| has_placeholder(&one.edits));
            author(&placeholder.unwrap_or(first).edits)
        }
        [only] if last.class == Class::Key && is_amount(last) => author(&only.edits),
        // One of many values that are for something else.
        [_, _, ..] if last.class == Class::Key && plausible::metadata_key(&last.path).is_some() => None,
        [only] if last.class != Class::Bound => policy(&only.edits),
        all => match (last.class, old) {
            (Class::Bound, Some(old)) => nearest(all, old).and_then(|one| {
                let is_bound = beyond(&one.edits, old).is_some_and(|other| !is_fixed(&other));
                if is_bound { policy(&one.edits) } else { author(&one.edits) }
            }),
            (Class::Bound, None) => {
                all.iter().min_by(|a, b| by_amount(a, b)).and_then(|one| author(&one.edits))
            }
            (Class::Choice, Some(old)) => match similar(all, old) {
                Some(one) => policy(&one.edits),
                None => author(&all.first()?.edits),
            },
            // Both truth values pass: then it is not what is asked for.
            (Class::Flip, _) => None,
            _ => author(&all.first()?.edits),
        },
    }
}

/// A value with a text that no policy asks for in the place of each of its texts; none if it has none.
fn with_any_text(value: &Value) -> Option<Value> {
    match value.view() {
        View::String(_) => Some(Value::from(PLACEHOLDER)),
        View::Array(items) => {
            let made: Vec<Option<Value>> = items.iter().map(with_any_text).collect();
            made.iter().any(Option::is_some).then(|| {
                items.iter().zip(made).map(|(old, new)| new.unwrap_or_else(|| old.clone())).collect()
            })
        }
        View::Object(_) => {
            let made =
                value::entries(value).map(|(key, old)| (Arc::<str>::from(key), old, with_any_text(old)));
            let made: Vec<_> = made.collect();
            made.iter().any(|(_, _, new)| new.is_some()).then(|| {
                value::object(
                    made.into_iter().map(|(key, old, new)| (key, new.unwrap_or_else(|| old.clone()))),
                )
            })
        }
        _ => None,
    }
}

/// Whether what an edit puts in has the text that stands for any.
fn has_any_text(edit: &Edit) -> bool {
    fn is_in(value: &Value) -> bool {
        match value.view() {
            View::String(text) => text == PLACEHOLDER,
            View::Array(items) => items.iter().any(is_in),
            View::Object(_) => value::entries(value).any(|(_, part)| is_in(part)),
            _ => false,
        }
    }
    edit.new.as_ref().is_some_and(is_in)
}

fn has_placeholder(edits: &[Edit]) -> bool {
    edits.iter().any(|edit| edit.is_placeholder)
}

fn by_placeholders(edits: &[Edit]) -> FixDecision {
    if has_placeholder(edits) { FixDecision::Author } else { FixDecision::Policy }
}

/// Whether it puts in a quantity or number where there was none.
fn is_amount(edit: &Edit) -> bool {
    edit.new.as_ref().is_some_and(|new| plausible::quantity(new).is_some())
}

fn new_of(one: &Tried) -> Option<&Value> {
    one.edits.last()?.new.as_ref()
}

fn by_amount(a: &Tried, b: &Tried) -> Ordering {
    let zero = Value::from(0_i64);
    let amount = |one: &Tried| new_of(one).and_then(|new| distance(new, &zero)).unwrap_or(f64::MAX);
    amount(a).total_cmp(&amount(b))
}

/// The edits with the number or quantity of the last one moved a little towards what is there: what a bound does not
/// let pass.
fn beyond(edits: &[Edit], old: &Value) -> Option<Vec<Edit>> {
    let mut edits = edits.to_vec();
    let last = edits.last_mut()?;
    let new = last.new.as_ref()?;
    let (from, to) = (plausible::quantity(new)?, plausible::quantity(old)?);
    let is_number = [new, old].iter().all(|value| value.as_number().is_some());
    last.new = Some(if is_number {
        Value::from(new.as_number()?.as_i64()?.checked_add(if to > from { 1 } else { -1 })?)
    } else {
        let step = if to > from { (from * 0.01).min(to - from) } else { -(from * 0.01) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "quantities are less, and what is not is refused"
        )]
        let thousandths = ((from + step) * 1000.0).round() as i64;
        Value::from(format!("{thousandths}m"))
    });
    Some(edits)
}

/// The value nearest to what is there; none if two are as near.
fn nearest<'t>(all: &[&&'t Tried], old: &Value) -> Option<&'t Tried> {
    let far = |one: &Tried| new_of(one).and_then(|new| distance(new, old)).unwrap_or(f64::MAX);
    let mut sorted: Vec<&Tried> = all.iter().map(|one| **one).collect();
    sorted.sort_by(|a, b| far(a).total_cmp(&far(b)));
    match sorted.as_slice() {
        [first, second, ..] if far(first).total_cmp(&far(second)) == Ordering::Equal => None,
        [first, ..] => Some(first),
        [] => None,
    }
}

/// The text that is meant, if what is there is nearly one of them: at most a fifth of its letters are others.
fn similar<'t>(all: &[&&'t Tried], old: &Value) -> Option<&'t Tried> {
    let old = old.as_str()?;
    let far = |one: &Tried| new_of(one).and_then(value::as_str).map(|new| changes(old, new));
    let mut near: Vec<(usize, &Tried)> = all.iter().filter_map(|one| Some((far(one)?, **one))).collect();
    near.sort_by_key(|(far, _)| *far);
    let most = old.chars().count().div_ceil(5);
    match near.as_slice() {
        [(first, one), (second, _), ..] if first < second && *first <= most => Some(one),
        _ => None,
    }
}

/// How many letters have to be changed, added or taken to make one text of the other; letters of another case count as
/// the same. Of long texts only the beginning is compared.
fn changes(a: &str, b: &str) -> usize {
    const MOST: usize = 128;
    let letters = |text: &str| text.chars().take(MOST).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (position, left) in a.iter().enumerate() {
        let mut next = vec![position + 1];
        for (column, right) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&row, column) + usize::from(left != right);
            next.push(replaced.min(cell(&row, column + 1) + 1).min(cell(&next, column) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// What a message is about.
struct About {
    text: String,
}

impl About {
    /// Labels and annotations are offered where the message names them: one that turns a policy off for an object is
    /// no fix.
    fn may_be(&self, path: &FieldPath) -> bool {
        let Some(key) = plausible::metadata_key(path) else { return true };
        let name = letters(key.rsplit(['/', '.']).next().unwrap_or(key));
        !name.is_empty() && self.text.contains(&name)
    }

    /// Whether the message has the name of a field, or most of the words in it.
    fn is_about(&self, path: &FieldPath) -> bool {
        let Some(name) = place::last_key(path) else { return false };
        let words: Vec<String> = words(name).into_iter().filter(|word| word.len() > 3).collect();
        let said = words.iter().filter(|word| self.text.contains(&**word)).count();
        self.text.contains(&letters(name)) || said * 2 > words.len()
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// `readOnlyRootFilesystem` as `read`, `only`, `root`, `filesystem`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        if c.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        assert_eq!(changes("RuntimeDefault", "runtimedefault"), 0);
        assert_eq!(changes("RuntimDefault", "RuntimeDefault"), 1);
        assert_eq!(changes("", "abc"), 3);
        assert_eq!(changes("kitten", "sitting"), 3);
    }

    #[test]
    fn names_are_words() {
        assert_eq!(words("readOnlyRootFilesystem"), ["read", "only", "root", "filesystem"]);
        assert_eq!(words("hostPID"), ["host", "p", "i", "d"]);
    }
}
