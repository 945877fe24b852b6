//! What the answers of constraints rest on: for callers that must not repeat some fields of objects.

use super::PolicySet;
use crate::names::{ConstraintKey, Gvk};
use crate::path::{FieldPath, Segment};
use crate::program::Base;

impl PolicySet {
    /// Whether what a constraint says of an object, or that it says anything, may rest on one of its fields,
    /// or on something in that. The object is the one of a review, or the old one. A step `*` is any;
    /// positions of arrays may be left out.
    ///
    /// `false` is certain: the field could be anything, and the verdict and every text would be the same.
    /// `true` is not: what cannot be seen in the policy's text is taken for read. A constraint that is not in
    /// the set may rest on everything.
    ///
    /// Cost: following the template's program, once; then its reads.
    #[must_use]
    pub fn may_rest_on(&self, constraint: &ConstraintKey, field: &FieldPath) -> bool {
        ["object", "oldObject"]
            .into_iter()
            .any(|object| self.meets(constraint, Base::Input, &[Some("review"), Some(object)], field))
    }

    /// As [`PolicySet::may_rest_on`], of the same field of objects of the inventory: of one kind, or of all.
    #[must_use]
    pub fn may_rest_on_inventory(
        &self,
        constraint: &ConstraintKey,
        kind: Option<&Gvk>,
        field: &FieldPath,
    ) -> bool {
        let api_version = kind.map(Gvk::api_version);
        let (api_version, kind) = (api_version.as_deref(), kind.map(|gvk| &*gvk.kind));
        let cluster = [Some("inventory"), Some("cluster"), api_version, kind, None];
        let namespaced = [Some("inventory"), Some("namespace"), None, api_version, kind, None];
        self.meets(constraint, Base::Data, &cluster, field)
            || self.meets(constraint, Base::Data, &namespaced, field)
    }

    fn meets(&self, key: &ConstraintKey, base: Base, object: &[Option<&str>], field: &FieldPath) -> bool {
        let position = self.0.constraints.binary_search_by(|constraint| constraint.info.key().cmp(key));
        let Some(constraint) = position.ok().and_then(|position| self.0.constraints.get(position)) else {
            return true;
        };
        let positions: Vec<String> = field
            .segments()
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => key.to_string(),
                Segment::Index(index) => index.to_string(),
            })
            .collect();
        let steps = positions.iter().map(|step| (step != "*").then_some(step.as_str()));
        let place: Vec<Option<&str>> = object.iter().copied().chain(steps).collect();
        constraint.template.program.may_rest_on(base, &place)
    }
}
