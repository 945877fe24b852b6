//! The label that takes a Namespace out of the webhook's sight, and who may have it.

use portcullis::{Operation, Review};

use super::answer::{Answer, Status};

const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";

/// The namespaces that may have the label.
#[derive(Clone, Debug, Default)]
pub struct Exempt {
    /// By name.
    pub names: Vec<String>,
    /// By the start of the name.
    pub prefixes: Vec<String>,
    /// By the end of the name.
    pub suffixes: Vec<String>,
}

impl Exempt {
    fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|exempt| exempt == name)
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
    }
}

pub(super) fn judge(review: &Review, exempt: &Exempt) -> Answer {
    let Some(object) = review.object() else {
        return Answer::failed("expected a request with an object");
    };
    let free = review.operation() == Operation::Delete
        || !object.is_namespace()
        || exempt.contains(object.name())
        || object.label(IGNORE_LABEL).is_none();
    if free {
        return Answer::new(Status::Allow, 200, "");
    }
    let message = format!("Only exempt namespace can have the {IGNORE_LABEL} label");
    Answer { reason: Some("Forbidden"), ..Answer::new(Status::Deny, 403, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_exempt_by_name_start_and_end() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let exempt =
            Exempt { names: texts(&["infra"]), prefixes: texts(&["kube-"]), suffixes: texts(&["-system"]) };
        for name in ["infra", "kube-public", "cert-system"] {
            assert!(exempt.contains(name), "{name}");
        }
        for name in ["", "infra2", "my-kube-", "system", "-systems"] {
            assert!(!exempt.contains(name), "{name}");
        }
        assert!(!Exempt::default().contains("infra"));
    }
}
