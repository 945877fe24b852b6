//! Label selectors, as Kubernetes evaluates them: all requirements must hold, an empty selector matches
//! everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::matching::{LabelSelector, Operator};
use crate::object::Object;
use crate::value::{self, Value};

#[derive(Clone, Debug)]
pub(crate) struct Selector(Box<[Requirement]>);

#[derive(Clone, Debug)]
struct Requirement {
    key: Arc<str>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    In(BTreeSet<Arc<str>>),
    /// Also holds where the label is absent.
    NotIn(BTreeSet<Arc<str>>),
    Exists,
    DoesNotExist,
}

impl Selector {
    pub(crate) fn compile(selector: &LabelSelector) -> Self {
        let labels = selector.match_labels.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            test: Test::In(BTreeSet::from([value.clone()])),
        });
        let expressions = selector.match_expressions.iter().map(|expression| {
            let values = || expression.values.iter().cloned().collect();
            let test = match expression.operator {
                Operator::In => Test::In(values()),
                Operator::NotIn => Test::NotIn(values()),
                Operator::Exists => Test::Exists,
                Operator::DoesNotExist => Test::DoesNotExist,
            };
            Requirement { key: expression.key.clone(), test }
        });
        Self(labels.chain(expressions).collect())
    }

    /// Whether the object's own labels satisfy the selector.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.is_satisfied(|key| object.label(key))
    }

    /// The same of an object as a value.
    pub(crate) fn matches_labels_of(&self, object: &Value) -> bool {
        let labels = value::get_path(object, &["metadata", "labels"]);
        self.is_satisfied(|key| labels.and_then(|labels| value::str_at(labels, &[key])))
    }

    fn is_satisfied<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| {
            let label = label(&requirement.key);
            match &requirement.test {
                Test::In(values) => label.is_some_and(|label| values.contains(label)),
                Test::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
                Test::Exists => label.is_some(),
                Test::DoesNotExist => label.is_none(),
            }
        })
    }
}
