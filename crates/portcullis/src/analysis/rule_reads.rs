//! Which parts of `input` the definitions of a rule read. A rule often has many (`violation`, `deny`), each about
//! something else; the texts that a definition has in it say which of them a message is from.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use portcullis_rego_syntax::ast::{Expr, ExprKind, Module, Rule, TemplatePart};
use portcullis_rego_syntax::visit::{self, Visitor};

use super::call_graph::{CallGraph, RuleId};
use super::reads::{OBJECT, Reads};
use super::{ObjectRead, parsed};
use crate::api::template::{Text, TextPlace};
use crate::source::Source;

/// Least bytes of a text of a policy that say something of where a message is from.
const SHORTEST: usize = 4;
/// Bytes of a message that are looked at.
const LOOKED_AT: usize = 8 << 10;
/// Definitions that are followed: what the others find is placed by what their messages quote. Each takes time with
/// the text of all.
const MAX_DEFINITIONS: usize = 2_000;
/// Most pieces of text that one definition is known by.
const MAX_PIECES: usize = 64;

/// What the rules of some files read, worked out when it is first asked for.
#[derive(Debug)]
pub(crate) struct RulesTold {
    texts: Vec<Text>,
    /// The paths of the rules that are asked, below `data`.
    rules: Vec<Vec<Box<str>>>,
    reads: OnceLock<Vec<RuleReads>>,
}

impl RulesTold {
    pub(crate) fn new(texts: Vec<Text>, rules: Vec<Vec<Box<str>>>) -> Arc<Self> {
        Arc::new(Self { texts, rules, reads: OnceLock::new() })
    }

    /// The file of a module, by the order in which they were compiled.
    pub(crate) fn source(&self, module: usize) -> Option<&Arc<Source>> {
        match &self.texts.get(module)?.place {
            TextPlace::File(source) => Some(source),
            TextPlace::Within(_) => None,
        }
    }

    /// What one of the rules reads.
    pub(crate) fn reads(&self, rule: usize) -> Option<&RuleReads> {
        let reads = self.reads.get_or_init(|| {
            let modules = parsed(&self.texts);
            let graph = CallGraph::of(&modules);
            let mut room = MAX_DEFINITIONS;
            self.rules.iter().map(|path| RuleReads::of(&graph, path, &mut room)).collect()
        });
        reads.get(rule)
    }
}

/// What a rule reads: all of it, and each of its definitions.
#[derive(Debug, Default)]
pub(crate) struct RuleReads {
    all: Vec<ObjectRead>,
    definitions: Vec<Definition>,
}

#[derive(Debug)]
struct Definition {
    /// Texts that its messages may have in them.
    pieces: Vec<Box<str>>,
    reads: Vec<ObjectRead>,
}

impl RuleReads {
    fn of(graph: &CallGraph<'_>, path: &[Box<str>], room: &mut usize) -> Self {
        let path: Vec<&str> = path.iter().map(|step| &**step).collect();
        let Some(rule) =
            graph.along(&path).find(|rule| graph.rules().get(*rule).is_some_and(|node| node.path == path))
        else {
            return Self::default();
        };
        Self::of_defined(graph, rule, &["input"], room)
    }

    /// Of the rule that a template is asked for. Empty if it has but one definition: that reads what the template does.
    pub(super) fn of_template(graph: &CallGraph<'_>) -> Self {
        match graph.violation() {
            Some(rule) if graph.definitions(Some(rule)).len() > 1 => {
                Self::of_defined(graph, rule, &OBJECT, &mut { MAX_DEFINITIONS })
            }
            _ => Self::default(),
        }
    }

    fn of_defined(graph: &CallGraph<'_>, rule: RuleId, root: &[&str], room: &mut usize) -> Self {
        let defined = graph.definitions(Some(rule));
        match room.checked_sub(defined.len()) {
            Some(left) => *room = left,
            None => return Self::default(),
        }
        let definitions: Vec<Definition> = defined
            .iter()
            .map(|(module, definition)| {
                let reached = graph.reached_from(*module, definition).into_iter();
                let reads = reads(graph, (*module, definition), reached, root);
                Definition { pieces: pieces(definition), reads }
            })
            .collect();
        let mut all: Vec<ObjectRead> =
            definitions.iter().flat_map(|definition| &definition.reads).cloned().collect();
        all.sort();
        all.dedup();
        Self { all, definitions }
    }

    /// What the definition reads that a message is most likely from; of all, if that is not known.
    pub(crate) fn for_message(&self, message: &str) -> &[ObjectRead] {
        self.definition_of(message).unwrap_or(&self.all)
    }

    /// What the definition reads that a message is most likely from, if that is known.
    pub(super) fn definition_of(&self, message: &str) -> Option<&[ObjectRead]> {
        let looked_at = message.get(..message.floor_char_boundary(LOOKED_AT)).unwrap_or_default();
        let said = |definition: &Definition| -> usize {
            let pieces = definition.pieces.iter().filter(|piece| looked_at.contains(&***piece));
            pieces.map(|piece| piece.len()).sum()
        };
        let mut best: Option<(usize, &Definition)> = None;
        let mut is_clear = false;
        for definition in &self.definitions {
            let said = said(definition);
            match best {
                Some((known, _)) if said < known => {}
                Some((known, _)) if said == known => is_clear = false,
                _ => {
                    best = Some((said, definition));
                    is_clear = said > 0;
                }
            }
        }
        best.filter(|_| is_clear).map(|(_, definition)| definition.reads.as_slice())
    }
}

fn reads(
    graph: &CallGraph<'_>,
    (module, definition): (usize, &Rule),
    reached: impl Iterator<Item = RuleId>,
    root: &[&str],
) -> Vec<ObjectRead> {
    let mut by_module: BTreeMap<usize, Vec<&Rule>> = BTreeMap::from([(module, vec![definition])]);
    for (module, rule) in reached.flat_map(|rule| graph.definitions(Some(rule))) {
        by_module.entry(*module).or_default().push(rule);
    }
    let rules: Vec<(&Module, Vec<&Rule>)> = by_module
        .into_iter()
        .filter_map(|(module, rules)| Some((&graph.modules.get(module)?.module, rules)))
        .collect();
    Reads::of_rules(&rules, root).object
}

/// The texts of a definition, cut where `sprintf` puts something else.
fn pieces(rule: &Rule) -> Vec<Box<str>> {
    #[derive(Default)]
    struct Pieces(Vec<Box<str>>);
    impl Pieces {
        fn add(&mut self, text: &str) {
            for part in text.split('%') {
                // What follows the sign is its verb.
                let part = if text.starts_with(part) { part } else { part.get(1..).unwrap_or_default() };
                let part = part.trim();
                if part.len() >= SHORTEST && self.0.len() < MAX_PIECES {
                    self.0.push(part.into());
                }
            }
        }
    }
    impl<'m> Visitor<'m> for Pieces {
        fn visit_expr(&mut self, expr: &'m Expr) {
            match &expr.kind {
                ExprKind::String(text) => self.add(text),
                ExprKind::Template(template) => {
                    for part in &template.parts {
                        if let TemplatePart::Text(text) = part {
                            self.add(&text.text);
                        }
                    }
                }
                _ => {}
            }
            visit::walk_expr(self, expr);
        }
    }
    let mut pieces = Pieces::default();
    pieces.visit_rule(rule);
    pieces.0.sort();
    pieces.0.dedup();
    pieces.0
}
