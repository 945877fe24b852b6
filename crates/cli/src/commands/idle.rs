//! Why constraints say nothing: what keeps them from an object, for `--why`, and from all objects, for `-v`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use portcullis::{Applicability, ConstraintKey};

/// Constraints that apply to no object, and how many objects each criterion keeps them from.
#[derive(Default)]
pub struct Idle(Mutex<BTreeMap<ConstraintKey, Kept>>);

/// What keeps a constraint from objects.
#[derive(Default)]
struct Kept {
    applies: bool,
    objects: usize,
    by: BTreeMap<String, usize>,
}

impl Idle {
    /// Takes what constraints have to do with one object. The order in which objects come does not matter.
    pub fn note<'k>(&self, found: impl Iterator<Item = (&'k ConstraintKey, Applicability)>) {
        // Counts that somebody left by a panic are still counts.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, found) in found {
            let kept = kept.entry(key.clone()).or_default();
            kept.objects += 1;
            match found {
                Applicability::Applies | Applicability::Unknown(_) => kept.applies = true,
                Applicability::Criteria(criteria) => {
                    for criterion in criteria {
                        *kept.by.entry(format!("{criterion} does not hold")).or_default() += 1;
                    }
                }
                other => *kept.by.entry(sentence(&other)).or_default() += 1,
            }
        }
    }

    pub fn sentences(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = kept.iter().filter(|(_, kept)| !kept.applies);
        let sentences = idle.map(|(key, kept)| {
            let mut by: Vec<(&String, usize)> =
                kept.by.iter().map(|(criterion, objects)| (criterion, *objects)).collect();
            by.sort_by_key(|&(criterion, objects)| (std::cmp::Reverse(objects), criterion));
            let by: Vec<String> =
                by.iter().map(|(criterion, objects)| format!("{criterion} ({objects})")).collect();
            let objects =
                if kept.objects == 1 { "1 object".to_owned() } else { format!("{} objects", kept.objects) };
            format!("{key} applies to none of {objects}: {}", by.join(", "))
        });
        sentences.collect()
    }
}

/// Whether somebody asks about a constraint.
pub fn is_asked(key: &ConstraintKey, names: &[String]) -> bool {
    names.iter().any(|name| **name == *key.name || **name == *key.kind || *name == key.to_string())
}

pub fn sentence(found: &Applicability) -> String {
    match found {
        Applicability::Applies => "applies".to_owned(),
        Applicability::Criteria(criteria) => {
            let does = if criteria.len() == 1 { "does" } else { "do" };
            format!("does not apply: {} {does} not hold", criteria.join(", "))
        }
        Applicability::NotHere => "has no action here (`scopedEnforcementActions`)".to_owned(),
        Applicability::Operation => "is not asked about this operation".to_owned(),
        Applicability::Excluded => "is not asked, because a Config excludes the namespace".to_owned(),
        Applicability::Unknown(why) => {
            format!("is an error, since it is not known whether it applies: {why}")
        }
        _ => "is not known".to_owned(),
    }
}
