//! What comes of mutants, and which of those that survive suites list as meaning the same (`equivalentMutants`).
//!
//! An entry that fits nothing any more is an error: it says something of a policy that is not so, and would let
//! the next mutant of that kind pass unseen. The same goes for one that fits more than it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::{Error, ErrorKind};
use portcullis_report::count;
use portcullis_suite::{EquivalentMutant, Wanted};

/// What comes of a mutant.
pub enum Fate {
    /// A case comes out otherwise.
    Killed,
    /// Verdicts are the same, only messages or details are others.
    Said,
    /// It does not compile.
    Refused,
    /// No case notices it; with how a case comes to another verdict without asserting it, if one does.
    Survived(Option<String>),
}

/// A mutant that was tried.
pub struct Judged<'a> {
    /// The change, as it is printed.
    pub change: String,
    pub rule: &'a str,
    /// The files of the suites that test templates with this text.
    pub files: BTreeSet<&'a str>,
    pub fate: Fate,
}

/// What a file of suites lists.
pub struct List {
    pub file: Arc<str>,
    pub entries: Vec<EquivalentMutant>,
    /// Whether all of its cases were run, and pass. Of a part of them more mutants survive, so that nothing
    /// follows for the entries.
    pub is_whole: bool,
}

/// Rules of templates that are not mutated, as their other language is run: file and rule.
pub type NotRun<'a> = BTreeSet<(&'a str, Arc<str>)>;

/// The numbers of the mutants that lists accept, and what is wrong with entries, in the order of lists and entries.
pub fn accepted(
    lists: &[List],
    judged: &[Judged<'_>],
    not_run: &NotRun<'_>,
) -> (BTreeSet<usize>, Vec<Error>) {
    let mut by_rule: BTreeMap<(&str, &str), Vec<(usize, &Judged<'_>)>> = BTreeMap::new();
    for (number, one) in judged.iter().enumerate() {
        for file in &one.files {
            by_rule.entry((file, one.rule)).or_default().push((number, one));
        }
    }
    let (mut accepted, mut errors) = (BTreeSet::new(), Vec::new());
    for list in lists {
        for entry in &list.entries {
            let in_rule = by_rule.get(&(&*list.file, &*entry.rule));
            if in_rule.is_none() && not_run.contains(&(&*list.file, entry.rule.clone())) {
                continue;
            }
            let is_such =
                |one: &Judged<'_>| entry.change.as_deref().is_none_or(|change| one.change == change);
            let fits: Vec<_> = in_rule.into_iter().flatten().filter(|(_, one)| is_such(one)).collect();
            let survivors = fits.iter().filter(|(_, one)| matches!(one.fate, Fate::Survived(None)));
            let survivors: Vec<usize> = survivors.map(|(number, _)| *number).collect();
            if list.is_whole && !entry.count.is(survivors.len()) {
                let fates: Vec<&Fate> = fits.iter().map(|(_, one)| &one.fate).collect();
                errors.push(wrong(entry, survivors.len(), in_rule.is_some(), &fates));
                // Which of them are meant is not known.
                if entry.count.is_exceeded_by(survivors.len()) {
                    continue;
                }
            }
            accepted.extend(survivors);
        }
    }
    (accepted, errors)
}

/// What is wrong with an entry that so many mutants fit, and all that are such a change came to these fates.
fn wrong(entry: &EquivalentMutant, found: usize, is_rule: bool, fates: &[&Fate]) -> Error {
    let error = |message: String, hint: String| {
        Error::new(ErrorKind::Suite, message).hint(hint).at(entry.location.clone())
    };
    if let Wanted::Exactly(wanted) = entry.count
        && found > 0
    {
        let survivors = count(found, "mutant that survives", "mutants that survive");
        let message = format!("this equivalent mutant fits {survivors}, expected {wanted}");
        return error(message, format!("look at each of them; if all mean the same, say `count: {found}`"));
    }
    let nearly = fates.iter().find_map(|fate| match fate {
        Fate::Survived(nearly) => nearly.as_deref(),
        Fate::Killed | Fate::Said | Fate::Refused => None,
    });
    let why = match nearly {
        _ if !is_rule => format!("no rule `{}` of a template of this suite was mutated", entry.rule),
        _ if fates.is_empty() => format!("no mutant of the rule `{}` is such a change", entry.rule),
        Some(nearly) => format!("it is not equivalent, as {nearly}"),
        None if fates.iter().any(|fate| matches!(fate, Fate::Said)) => {
            "it changes only what is said, and needs no entry".to_owned()
        }
        None if fates.iter().any(|fate| matches!(fate, Fate::Killed)) => "cases notice it".to_owned(),
        None => "it does not compile".to_owned(),
    };
    let hint = "take the entry out, or write `change` and `rule` as `verify --mutate` prints them";
    error(format!("this equivalent mutant fits no mutant that survives: {why}"), hint.to_owned())
}
