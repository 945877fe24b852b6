//! What a template's text says of itself, worked out when it is first asked for: of most templates nobody asks
//! for all of it, and it would be nearly half of what loading them takes.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use portcullis_rego_syntax::Module;

use super::operations::OperationUse;
use super::reads::{Reads, mentions_inventory};
use super::rule_reads::RuleReads;
use super::{CallGraph, InventoryRead, ObjectRead, parsed};
use crate::api::template::Text;

/// What the expressions of a template read.
#[derive(Debug)]
pub(crate) struct CelUse {
    pub(crate) object: Vec<ObjectRead>,
    /// Whether the Namespace is read.
    pub(crate) namespace: bool,
    /// Whether the operation is.
    pub(crate) operation: bool,
    /// What is read of other objects: the parameters of an admission policy.
    pub(crate) inventory: Vec<InventoryRead>,
}

/// The texts of a template, and what they say. The texts were parsed without errors before.
#[derive(Debug)]
pub(crate) struct Told {
    /// The main module first.
    texts: Vec<Text>,
    mentions_inventory: bool,
    reads: OnceLock<Reads>,
    violations: OnceLock<RuleReads>,
    operation_use: OnceLock<OperationUse>,
    plain_parameters: OnceLock<BTreeSet<String>>,
}

impl Told {
    pub(crate) fn new<'m>(texts: Vec<Text>, modules: impl IntoIterator<Item = &'m Module>) -> Self {
        let mentions_inventory = modules.into_iter().any(mentions_inventory);
        Self {
            texts,
            mentions_inventory,
            reads: OnceLock::new(),
            violations: OnceLock::new(),
            operation_use: OnceLock::new(),
            plain_parameters: OnceLock::new(),
        }
    }

    /// What CEL says of itself, which is known when it is compiled.
    pub(crate) fn of_cel<'t>(used: CelUse, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let operation_use = OperationUse::of_cel(texts, used.operation);
        let mentions_inventory = !used.inventory.is_empty();
        let reads = Reads { object: used.object, inventory: used.inventory, namespace: used.namespace };
        Self {
            texts: Vec::new(),
            mentions_inventory,
            reads: OnceLock::from(reads),
            violations: OnceLock::from(RuleReads::default()),
            operation_use: OnceLock::from(operation_use),
            plain_parameters: OnceLock::new(),
        }
    }

    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Which parts of the object and which kinds of the inventory it reads.
    pub(crate) fn reads(&self) -> &Reads {
        self.reads.get_or_init(|| {
            let modules = parsed(&self.texts);
            Reads::of(&modules.iter().map(|parsed| &parsed.module).collect::<Vec<_>>())
        })
    }

    /// Which parts of the object the definition of `violation` reads that a message is most likely from; the whole
    /// template, if that is not known.
    pub(crate) fn reads_for(&self, message: &str) -> &[ObjectRead] {
        let violations =
            self.violations.get_or_init(|| RuleReads::of_template(&CallGraph::of(&parsed(&self.texts))));
        violations.definition_of(message).unwrap_or(&self.reads().object)
    }

    /// The kinds it reads from the inventory.
    pub(crate) fn inventory_reads(&self) -> &[InventoryRead] {
        if self.mentions_inventory { &self.reads().inventory } else { &[] }
    }

    /// The parameters that it reads as `input.parameters.name` only, and never where a `default` stands in for them: without
    /// a value, what reads them is undefined. Empty if it reads all parameters at once.
    pub(crate) fn plain_parameters(&self) -> &BTreeSet<String> {
        self.plain_parameters.get_or_init(|| self.parameters_without_a_default())
    }

    fn parameters_without_a_default(&self) -> BTreeSet<String> {
        let modules = parsed(&self.texts);
        let graph = CallGraph::of(&modules);
        let (mut plain, mut guarded) = (BTreeSet::new(), BTreeSet::new());
        for (number, parsed) in modules.iter().enumerate() {
            let has_default =
                |name: &str| parsed.module.rules.iter().any(|rule| rule.is_default && rule.name() == name);
            for reference in graph.references(number) {
                match reference.path.as_slice() {
                    [Some("input"), Some("parameters"), Some(name), ..] if has_default(reference.rule) => {
                        guarded.insert((*name).to_owned());
                    }
                    [Some("input"), Some("parameters"), Some(name), ..] => {
                        plain.insert((*name).to_owned());
                    }
                    [Some("input"), Some("parameters") | None, ..] | [Some("input")] => {
                        return BTreeSet::new();
                    }
                    _ => {}
                }
            }
        }
        plain.retain(|name| !guarded.contains(name));
        plain
    }

    /// What it says about operations.
    pub(crate) fn operation_use(&self) -> &OperationUse {
        self.operation_use.get_or_init(|| OperationUse::of(&CallGraph::of(&parsed(&self.texts))))
    }
}
