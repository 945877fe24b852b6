//! Two lists of violations of the same constraint, matched.

use std::collections::BTreeMap;
use std::io;

use portcullis::ConstraintKey;
use portcullis_report::AuditReport;
use serde::Serialize;

use super::Theirs;

/// Of ours that are not among theirs, so many are kept to be shown; the rest are counted.
const SHOWN: usize = 20;

/// A violation. Which version of its API an object is listed in says nothing about the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// API group of the object.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, empty if there is none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
}

/// How two audits stand to each other in one constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They say the same, as far as their list goes, and count the same.
    Equal,
    /// They do not.
    Differs,
    /// It cannot be known, and why.
    NotComparable(String),
}

/// What came of one constraint.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The constraint.
    pub key: ConstraintKey,
    /// How they stand.
    pub verdict: Verdict,
    /// When their audit began.
    pub timestamp: Option<String>,
    /// Who wrote it.
    pub written_by: Option<String>,
    /// How many violations they count, and how many of them they list.
    pub theirs: Option<(u64, u64)>,
    /// How many we count.
    pub ours: u64,
    /// What they list and we do not find.
    pub only_theirs: Vec<Entry>,
    /// What we find and they do not list, though their list is whole; the first ones.
    pub only_ours: Vec<Entry>,
    /// All of these.
    pub only_ours_total: u64,
    /// Of one object, their message and ours.
    pub other_texts: Vec<(Entry, String)>,
}

type Object = (String, String, String, String);

/// One constraint while findings go by.
struct Side {
    /// What is listed of each object, as long as no finding of ours is the same.
    listed: BTreeMap<Object, Vec<Entry>>,
    /// Findings of listed objects that are none of theirs: no more than are listed.
    others: Vec<Entry>,
    only_ours: Vec<Entry>,
    only_ours_total: u64,
}

fn object(entry: &Entry) -> Object {
    (entry.group.clone(), entry.kind.clone(), entry.namespace.clone(), entry.name.clone())
}

/// Compares each constraint of a report with what its status says.
///
/// # Errors
///
/// If the findings cannot be read any more.
pub fn compare(report: &AuditReport, theirs: &[Theirs], message_limit: usize) -> io::Result<Vec<Comparison>> {
    let mut sides: Vec<Side> = theirs.iter().map(Side::of).collect();
    for finding in report.findings.read()? {
        let finding = finding?;
        let Some(side) = sides.get_mut(finding.policy) else { continue };
        let name = &finding.object;
        side.take(
            Entry {
                group: name.group.to_string(),
                kind: name.kind.to_string(),
                namespace: name.namespace.to_string(),
                name: name.name.to_string(),
                message: finding.message,
            },
            message_limit,
        );
    }
    let all = report.policies.iter().zip(&report.totals.by_policy).zip(theirs.iter().zip(sides));
    Ok(all
        .map(|((policy, tally), (theirs, side))| {
            side.finish(policy.key.clone(), theirs, tally.violations + tally.unknown, message_limit)
        })
        .collect())
}

impl Side {
    fn of(theirs: &Theirs) -> Self {
        let mut listed: BTreeMap<Object, Vec<Entry>> = BTreeMap::new();
        if let Theirs::Audited(audited) = theirs {
            for entry in &audited.listed {
                listed.entry(object(entry)).or_default().push(entry.clone());
            }
        }
        Self { listed, others: Vec::new(), only_ours: Vec::new(), only_ours_total: 0 }
    }

    /// Takes a finding of ours, and away what they list of it.
    fn take(&mut self, ours: Entry, message_limit: usize) {
        if let Some(listed) = self.listed.get_mut(&object(&ours)) {
            let exact = listed.iter().position(|theirs| theirs.message == ours.message);
            let found = exact.or_else(|| {
                listed.iter().position(|theirs| is_cut(&theirs.message, &ours.message, message_limit))
            });
            if let Some(found) = found {
                listed.swap_remove(found);
                return;
            }
            if self.others.len() < listed.len() {
                self.others.push(ours.clone());
            }
        }
        self.only_ours_total += 1;
        if self.only_ours.len() < SHOWN {
            self.only_ours.push(ours);
        }
    }

    fn finish(mut self, key: ConstraintKey, theirs: &Theirs, ours: u64, message_limit: usize) -> Comparison {
        let mut only_theirs: Vec<Entry> = self.listed.into_values().flatten().collect();
        let mut other_texts = Vec::new();
        only_theirs.retain(|theirs| {
            let of_object = self.others.iter().position(|ours| object(ours) == object(theirs));
            let Some(found) = of_object else { return true };
            let ours = self.others.swap_remove(found);
            if let Some(shown) = self.only_ours.iter().position(|entry| *entry == ours) {
                self.only_ours.remove(shown);
            }
            self.only_ours_total = self.only_ours_total.saturating_sub(1);
            other_texts.push((theirs.clone(), shortened(&ours.message, message_limit)));
            false
        });
        only_theirs.sort();
        other_texts.sort();
        self.only_ours.sort();
        let mut found = Comparison {
            key,
            verdict: Verdict::Equal,
            timestamp: None,
            written_by: None,
            theirs: None,
            ours,
            only_theirs,
            only_ours: self.only_ours,
            only_ours_total: self.only_ours_total,
            other_texts,
        };
        let audited = match theirs {
            Theirs::Absent => {
                found.verdict = Verdict::NotComparable("no audit has written its status".to_owned());
                found.forget_ours();
                return found;
            }
            Theirs::Unreadable(why) => {
                found.verdict = Verdict::NotComparable(why.clone());
                found.forget_ours();
                return found;
            }
            Theirs::Audited(audited) => audited,
        };
        found.timestamp = Some(audited.timestamp.clone());
        found.written_by.clone_from(&audited.written_by);
        found.theirs = Some((audited.total, audited.listed.len() as u64));
        if audited.total > audited.listed.len() as u64 {
            // What is not listed cannot be distinguished from what they did not find.
            found.forget_ours();
        }
        let is_equal = audited.total == ours
            && found.only_theirs.is_empty()
            && found.other_texts.is_empty()
            && found.only_ours_total == 0;
        found.verdict = match (is_equal, &audited.outdated) {
            (true, _) => Verdict::Equal,
            (false, Some(why)) => Verdict::NotComparable(why.clone()),
            (false, None) => Verdict::Differs,
        };
        found
    }
}

impl Comparison {
    fn forget_ours(&mut self) {
        self.only_ours.clear();
        self.only_ours_total = 0;
    }
}

const DOTS: &str = "...";

/// Whether a message is what is left of another one. Gatekeeper cuts bytes, so that what it leaves of a character at the end is no
/// character any more; we cut between characters, a little earlier.
fn is_cut(theirs: &str, ours: &str, limit: usize) -> bool {
    /// Most bytes of a character but the last.
    const PARTIAL: usize = 3;
    let Some(left) = theirs.strip_suffix(DOTS) else { return false };
    let left = left.trim_end_matches('\u{fffd}');
    let most = limit.saturating_sub(DOTS.len());
    limit > 0
        && ours.len() > limit
        && left.len() <= most
        && left.len() + PARTIAL >= most
        && ours.starts_with(left)
}

/// A message for people who compare: as long as theirs can be.
fn shortened(message: &str, limit: usize) -> String {
    if limit == 0 || message.len() <= limit {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(limit.saturating_sub(DOTS.len()));
    format!("{}{DOTS}", message.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::theirs::Audited;
    use super::*;

    fn entry(name: &str, message: &str) -> Entry {
        Entry {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            message: message.to_owned(),
        }
    }

    fn compared(total: u64, theirs: &[(&str, &str)], ours: &[(&str, &str)], outdated: bool) -> Comparison {
        let theirs = Theirs::Audited(Audited {
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            total,
            listed: theirs.iter().map(|(name, message)| entry(name, message)).collect(),
            written_by: None,
            outdated: outdated.then(|| "it was changed".to_owned()),
        });
        let mut side = Side::of(&theirs);
        for (name, message) in ours {
            side.take(entry(name, message), 256);
        }
        let key = ConstraintKey { kind: "A".into(), name: "a".into() };
        side.finish(key, &theirs, ours.len() as u64, 256)
    }

    #[test]
    fn whole_lists_are_compared_one_by_one_in_any_order() {
        let same = compared(2, &[("b", "y"), ("a", "x")], &[("a", "x"), ("b", "y")], false);
        assert_eq!(same.verdict, Verdict::Equal);
        let twice = compared(2, &[("a", "x"), ("a", "x")], &[("a", "x"), ("a", "x")], false);
        assert_eq!(twice.verdict, Verdict::Equal);
        let once = compared(2, &[("a", "x"), ("a", "x")], &[("a", "x")], false);
        assert_eq!((once.verdict, once.only_theirs.len()), (Verdict::Differs, 1));
        let other = compared(1, &[("a", "x")], &[("b", "x")], false);
        assert_eq!((other.only_theirs, other.only_ours), (vec![entry("a", "x")], vec![entry("b", "x")]));
        let text = compared(1, &[("a", "1e+06")], &[("a", "1000000")], false);
        assert_eq!(text.verdict, Verdict::Differs);
        assert_eq!(text.other_texts, [(entry("a", "1e+06"), "1000000".to_owned())]);
        assert!(text.only_theirs.is_empty() && text.only_ours_total == 0);
        let old = compared(1, &[("a", "x")], &[], true);
        assert_eq!(old.verdict, Verdict::NotComparable("it was changed".to_owned()));
        assert_eq!(compared(1, &[("a", "x")], &[("a", "x")], true).verdict, Verdict::Equal);
    }

    #[test]
    fn of_cut_lists_totals_are_compared_and_what_is_listed() {
        let ours: Vec<(String, &str)> = (0..30).map(|number| (format!("p{number:02}"), "x")).collect();
        let ours: Vec<(&str, &str)> = ours.iter().map(|(name, message)| (name.as_str(), *message)).collect();
        assert_eq!(compared(30, &ours[..20], &ours, false).verdict, Verdict::Equal);
        let more = compared(31, &ours[..20], &ours, false);
        assert_eq!((more.verdict, more.only_ours_total), (Verdict::Differs, 0));
        let mut wrong = ours[..20].to_vec();
        wrong[0] = ("gone", "x");
        let other = compared(30, &wrong, &ours, false);
        assert_eq!((other.verdict, other.only_theirs), (Verdict::Differs, vec![entry("gone", "x")]));
    }

    #[test]
    fn cut_messages_are_what_is_left_of_whole_ones() {
        let long = format!("{}{}", "x".repeat(252), "€€€€");
        assert!(long.len() > 256);
        // 253 bytes: one of the character's three.
        assert!(is_cut(&format!("{}\u{fffd}...", "x".repeat(252)), &long, 256));
        assert!(is_cut(&format!("{}...", "x".repeat(252)), &long, 256));
        assert!(!is_cut(&format!("{}...", "x".repeat(240)), &long, 256), "nobody cuts there");
        assert!(!is_cut(&format!("{}...", "y".repeat(253)), &long, 256));
        assert!(!is_cut("x...", "xyz", 256));
        assert!(!is_cut(&"x".repeat(256), &"x".repeat(300), 256));
        let plain = "x".repeat(300);
        assert!(is_cut(&format!("{}...", "x".repeat(253)), &plain, 256));
        assert!(!is_cut(&format!("{}...", "x".repeat(253)), &plain, 0));
    }
}
