//! Values of the regorus crate: objects of programs that hold them, and what it has to be asked to check this
//! evaluator's answers. Feature `regorus`.

use crate::api::RegoVersion;
use crate::api::template::EngineSource;
use crate::error::Error;
use crate::inventory::Inventory;
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::policy::{PolicySet, TemplateInfo};
use crate::review::Review;
use crate::world::World;

impl Object {
    /// Takes an object from a value of regorus. Cost: a copy.
    ///
    /// # Errors
    ///
    /// As [`Object::from_json`].
    pub fn from_regorus(value: &regorus::Value) -> Result<Self, Error> {
        Self::from_value(value.into())
    }

    /// The object as a value of regorus. Cost: a copy.
    #[must_use]
    pub fn to_regorus(&self) -> regorus::Value {
        self.value().into()
    }
}

impl PolicySet {
    /// The document `input` that the program of a constraint sees for a review; `None` if the set has no such
    /// constraint. Cost: a copy.
    #[must_use]
    pub fn regorus_input(
        &self,
        constraint: &ConstraintKey,
        review: &Review,
        world: &World<'_>,
    ) -> Option<regorus::Value> {
        let constraint = self.compiled().find(|compiled| compiled.info.key() == constraint)?;
        Some((&crate::value::Value::object(constraint.input(&review.input_in(world)))).into())
    }
}

impl Inventory {
    /// The document `data` that programs see. Cost: a copy of all objects.
    #[must_use]
    pub fn to_regorus(&self) -> regorus::Value {
        self.data().into()
    }
}

impl TemplateInfo {
    /// The template's Rego: its dialect, and its text followed by those of its libraries; `None` if it is in
    /// another language.
    #[must_use]
    pub fn rego(&self) -> Option<(RegoVersion, Vec<&str>)> {
        match self.source() {
            EngineSource::Rego(rego) => {
                let texts = [&rego.module].into_iter().chain(&rego.libs).map(|text| &*text.text);
                Some((rego.version, texts.collect()))
            }
            EngineSource::Cel(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use super::*;

    #[test]
    fn objects_come_from_regorus_and_go_there() {
        let text = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "n": [1, -2.5, 18446744073709551615, null, true]}"#;
        let theirs = regorus::Value::from_json_str(text).unwrap();
        let object = Object::from_regorus(&theirs).unwrap();
        assert_eq!(object.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(object.to_regorus(), theirs);
        assert!(Object::from_regorus(&regorus::Value::Undefined).is_err());
    }
}
