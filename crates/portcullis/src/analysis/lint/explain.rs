//! What a template's Rego consists of and what it reads, for people who want to know what a policy does.

use std::collections::BTreeSet;

use portcullis_rego_syntax::Resolution;
use portcullis_rego_syntax::ast::{Expr, ExprKind};
use portcullis_rego_syntax::visit::{self, Visitor};

use super::program::{Program, Scope};
use crate::analysis::Told;
use crate::analysis::call_graph::{CallGraph, ParsedModule};
use crate::analysis::reads::Reads;
use crate::api::template::{RegoSource, RegoVersion};
use crate::document::Document;

/// What a template's Rego consists of, and what it reads.
#[derive(Clone, Debug)]
pub struct Explanation {
    version: Option<RegoVersion>,
    package: String,
    rules: usize,
    libraries: Vec<String>,
    input_reads: Vec<String>,
    builtins: Vec<String>,
}

impl Explanation {
    /// Explains a template that compiles.
    pub(crate) fn of(source: &RegoSource, document: &Document) -> Self {
        let texts = [&source.module].into_iter().chain(&source.libs);
        let modules = crate::analysis::parsed(texts);
        let graph = CallGraph::of(&modules);
        let program = Program::new(&graph, None, document);
        let mut uses = Uses::default();
        for scope in program.scopes() {
            let mut collector = Collector { scope, uses: &mut uses };
            visit::walk_module(&mut collector, &scope.parsed.module);
        }
        // Followed through functions as well.
        let reads = Reads::of(&modules.iter().map(|parsed| &parsed.module).collect::<Vec<_>>());
        for read in reads.object {
            let steps = ["input", "review", "object"].map(|step| Some(step.to_owned()));
            let below = read.into_iter().map(|step| step.map(String::from));
            uses.inputs.insert(steps.into_iter().chain(below).collect());
        }
        let package = |parsed: &ParsedModule<'_>| parsed.module.package_path().join(".");
        Self {
            version: Some(source.version),
            package: modules.first().map(package).unwrap_or_default(),
            rules: modules.iter().map(|parsed| parsed.module.rules.len()).sum(),
            libraries: modules.iter().skip(1).map(package).collect(),
            input_reads: longest(&uses.inputs).map(shown).collect(),
            builtins: uses.builtins.into_iter().collect(),
        }
    }

    /// Explains CEL: it has neither packages nor rules.
    pub(crate) fn of_cel(told: &Told) -> Self {
        let mut inputs = BTreeSet::new();
        for read in &told.reads().object {
            let below = read.iter().map(|step| step.as_deref().map(str::to_owned));
            inputs.insert(std::iter::once(Some("object".to_owned())).chain(below).collect());
        }
        Self {
            version: None,
            package: String::new(),
            rules: 0,
            libraries: Vec::new(),
            input_reads: longest(&inputs).map(shown).collect(),
            builtins: Vec::new(),
        }
    }

    /// The dialect of Rego; `None` if it is CEL.
    #[must_use]
    pub const fn version(&self) -> Option<RegoVersion> {
        self.version
    }

    /// The package of the main module.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// How many rules and functions there are, those of libraries counted; a rule with several definitions
    /// counts for each.
    #[must_use]
    pub const fn rules(&self) -> usize {
        self.rules
    }

    /// The packages of the libraries.
    #[must_use]
    pub fn libraries(&self) -> &[String] {
        &self.libraries
    }

    /// The parts of `input` that it reads, `[_]` where a step is computed:
    /// `input.review.object.spec.containers[_].image`.
    #[must_use]
    pub fn input_reads(&self) -> &[String] {
        &self.input_reads
    }

    /// The builtin functions it calls.
    #[must_use]
    pub fn builtins(&self) -> &[String] {
        &self.builtins
    }
}

type Path = Vec<Option<String>>;

#[derive(Default)]
struct Uses {
    inputs: BTreeSet<Path>,
    builtins: BTreeSet<String>,
}

/// The paths that are not the beginning of another: who reads a part reads what it is in.
fn longest(paths: &BTreeSet<Path>) -> impl Iterator<Item = &Path> {
    let after = |path: &Path| paths.range(path.clone()..).nth(1);
    paths.iter().filter(move |path| path.len() > 1 && !after(path).is_some_and(|next| next.starts_with(path)))
}

fn shown(path: &Path) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            None => text.push_str("[_]"),
            Some(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Some(name) => {
                text.push('[');
                text.push_str(&serde_json::Value::from(name.as_str()).to_string());
                text.push(']');
            }
        }
    }
    text
}

struct Collector<'u, 'p, 'a> {
    scope: Scope<'p, 'a>,
    uses: &'u mut Uses,
}

impl<'a> Visitor<'a> for Collector<'_, '_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Some(path) = self.scope.input_path(expr) {
            self.uses.inputs.insert(path);
        }
        if let ExprKind::Call(call) = &expr.kind {
            let callee = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
            if self.scope.parsed.names.at(callee.span) == Some(Resolution::Builtin) {
                self.uses.builtins.extend(call.name());
            }
        }
        visit::walk_expr(self, expr);
    }
}
