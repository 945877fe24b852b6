//! Exclusions of a configuration file: constraints that are not asked of some files. They are exceptions, and are
//! counted and listed as these: what could not be evaluated is never among them.

use std::path::Path;

use portcullis::{Error, ErrorKind};
use portcullis_report::{
    Exception, Finding, Place, Problem, Suppressed, Suppression, TestReport, Verdict, count,
};

use crate::file_args::{Exclusion, note};

/// Takes what is excluded out of the findings of a report.
pub fn apply(report: &mut TestReport, exclusions: &[Exclusion]) {
    if exclusions.is_empty() {
        return;
    }
    let mut left = Vec::new();
    for finding in std::mem::take(&mut report.findings) {
        let key = report.policies.get(finding.policy).map(|policy| &policy.key);
        match key.and_then(|key| covering(exclusions, key, &finding)) {
            Some(exclusion) => {
                let why = Suppression::Exception {
                    name: name(exclusion),
                    reason: exclusion.reason.clone(),
                    owner: exclusion.owner.clone(),
                    expires_at: None,
                };
                report.suppressed.push(Suppressed { finding, why });
            }
            None => left.push(finding),
        }
    }
    report.findings = left;
    // In the order of the objects, as all of them.
    report.suppressed.sort_by_key(|one| one.finding.ordinal);
    for exclusion in exclusions {
        report.exceptions.push(Exception {
            name: name(exclusion),
            reason: exclusion.reason.clone(),
            owner: exclusion.owner.clone(),
            expires_at: None,
            is_expired: false,
            place: Place::of(&exclusion.place),
        });
        if !report.policies.iter().any(|policy| is_meant(exclusion, &policy.key)) {
            let message = format!("there is no constraint `{}` that could be excluded", exclusion.constraint);
            let warning = Error::warning(ErrorKind::Exception, message).at(exclusion.place.clone());
            report.problems.push(Problem::from(&warning));
        }
    }
    report.problems.sort();
}

/// Says on standard error how many findings are hidden, where no summary counts them: a file that asks for silence must not
/// hide what it hides.
pub fn tell(report: &TestReport, exclusions: &[Exclusion]) {
    let names: Vec<String> = exclusions.iter().map(name).collect();
    let is_hidden =
        |one: &&Suppressed| matches!(&one.why, Suppression::Exception { name, .. } if names.contains(name));
    let hidden = report.suppressed.iter().filter(is_hidden).count();
    if hidden > 0 {
        let findings = count(hidden, "finding is", "findings are");
        note(&format!("{findings} excepted by exclusions of the configuration file"));
    }
}

/// Its place: an exclusion has no other name.
fn name(exclusion: &Exclusion) -> String {
    exclusion.place.to_string()
}

fn is_meant(exclusion: &Exclusion, key: &portcullis::ConstraintKey) -> bool {
    let name = &*exclusion.constraint;
    name == &*key.name || name == &*key.kind || name == key.to_string()
}

/// The exclusion that a finding of a constraint falls under.
pub fn covering<'e>(
    exclusions: &'e [Exclusion],
    key: &portcullis::ConstraintKey,
    finding: &Finding,
) -> Option<&'e Exclusion> {
    exclusions.iter().find(|exclusion| {
        finding.verdict == Verdict::Violation
            && is_meant(exclusion, key)
            && matches!(&finding.place, Place::File { file, .. } if exclusion.files.is_match(Path::new(&**file), false))
    })
}
