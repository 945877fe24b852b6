//! Namespaces that a Config keeps processes away from.

use crate::api::{Config, Process};
use crate::matcher::Glob;
use crate::object::Object;

#[derive(Clone, Debug, Default)]
pub(super) struct Exclusions(Vec<(Vec<Process>, Vec<Glob>)>);

impl Exclusions {
    pub(super) fn compile<'a>(configs: impl IntoIterator<Item = &'a Config>) -> Self {
        let rules = configs.into_iter().flat_map(|config| &config.exclusions);
        Self(
            rules
                .map(|rule| {
                    let globs = rule.namespaces.iter().map(|text| Glob::compile(text)).collect();
                    (rule.processes.clone(), globs)
                })
                .collect(),
        )
    }

    /// A Namespace is tested by its own name; what is in no namespace is excluded only by `*`.
    pub(super) fn exclude_object(&self, process: Process, object: &Object) -> bool {
        let name = if object.is_namespace() { object.name() } else { object.namespace() };
        self.exclude_name(process, name)
    }

    pub(super) fn exclude_name(&self, process: Process, name: &str) -> bool {
        self.0.iter().any(|(processes, globs)| {
            let concerned = processes.iter().any(|named| *named == process || *named == Process::All);
            concerned && globs.iter().any(|glob| glob.matches(name))
        })
    }
}
