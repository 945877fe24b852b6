//! The policies of an audit: read, compiled, and described for reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use portcullis::{
    AdmissionEffect, ConstraintInfo, ConstraintKey, EnforcementPoint, Error, Limits, PolicyException,
    PolicySet, PolicySettings, Resource, Unsupported,
};
use portcullis_report::Policy;
use portcullis_sources::{Choice, Ignores, RenderArgs, documents_without, is_policy, prepared};
use sha2::{Digest as _, Sha256};

use crate::implying::{Expand, Implying, USES};

/// Compiled policies and what reports say about them.
#[derive(Debug)]
pub struct Policies {
    /// What judges.
    pub set: PolicySet,
    /// What objects imply, which is judged as well.
    pub implying: Implying,
    /// The constraints that are audited, by key.
    pub described: Vec<Policy>,
    /// Where each constraint is in `described`.
    pub index: BTreeMap<ConstraintKey, usize>,
    /// SHA-256 of what the policies say, in hexadecimal digits.
    pub digest: String,
    /// What is wrong with the policies. Those with errors are not in the set.
    pub problems: Vec<Error>,
}

impl Policies {
    /// Reads and compiles the policies of some paths; other objects there are left alone.
    pub fn read(
        paths: &[PathBuf],
        expand: Option<Expand>,
        unsupported: Unsupported,
        settings: &PolicySettings,
        ignores: &Ignores,
    ) -> Self {
        let render = RenderArgs::default();
        let input = documents_without(paths, Choice::Policies, &Limits::default(), &render, ignores);
        let mut problems = input.problems;
        let mut resources = Vec::new();
        for document in &input.documents {
            let (resource, found) = Resource::read_for(document, USES);
            if is_policy(resource.as_ref(), document) {
                // Of mutators, what is wrong depends on whether they are used.
                let is_mutator = resource.as_ref().is_some_and(Resource::is_mutator);
                problems.extend(found.into_iter().filter(|_| !is_mutator));
                resources.extend(resource);
            }
        }
        let (implying, found) = Implying::take(&mut resources, expand);
        problems.extend(found);
        let (set, found) = PolicySet::from_resources_in(prepared(resources), settings);
        problems.extend(found);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        problems.extend(set.idle_exceptions(Some(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))));
        Self::new(set, implying, unsupported.judge(problems))
    }

    /// Of a set and of what objects imply, with what was found to be wrong when they were compiled.
    pub fn new(set: PolicySet, implying: Implying, mut problems: Vec<Error>) -> Self {
        // How policies are written is what `lint` is for.
        problems.retain(|problem| !problem.kind().is_style());
        let is_audited = |constraint: &&std::sync::Arc<ConstraintInfo>| {
            !constraint.enforcement().actions(EnforcementPoint::Audit).is_empty()
        };
        let described: Vec<Policy> = set
            .constraints()
            .filter(is_audited)
            .map(|constraint| Policy::of(constraint, EnforcementPoint::Audit))
            .collect();
        problems.sort();
        problems.dedup();
        let index = described.iter().enumerate().map(|(index, policy)| (policy.key.clone(), index)).collect();
        let digest = digest(&set, &implying);
        Self { set, implying, described, index, digest, problems }
    }
}

/// What counts is what policies say: kind, name and `spec`, not where they stand nor what is noted beside them.
fn digest(set: &PolicySet, implying: &Implying) -> String {
    let mut hash = Sha256::new();
    let mut add = |kind: &str, name: &str, json: &serde_json::Value| {
        let line = serde_json::json!([kind, name, json.get("spec")]);
        hash.update(line.to_string());
        hash.update(b"\n");
    };
    for template in set.templates() {
        add("ConstraintTemplate", template.name().as_str(), &template.document().to_json());
    }
    for constraint in set.constraints() {
        let key = constraint.key();
        add(&key.kind, &key.name, &constraint.object().to_json());
        // The policy of a binding is none of the templates.
        let validating = AdmissionEffect::Validating;
        if &*key.kind == validating.binding_kind() {
            add(validating.policy_kind(), &key.name, &constraint.template().document().to_json());
        }
    }
    for (exception, document) in set.exceptions().zip(set.exception_documents()) {
        add(PolicyException::KIND, exception.name(), &document.to_json());
    }
    for (kind, name, text) in implying.texts() {
        add(kind, name, text);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
