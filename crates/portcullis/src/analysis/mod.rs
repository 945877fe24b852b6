//! What the text of a policy says, without running it: whether it may be a policy at all, what is wrong with
//! it, and what it reads.
//!
//! ```text
//! texts --parse, resolve--> modules --reads--> what is read: fields, kinds of the inventory
//!                              \--call_graph--> rules, and which need which
//!                                     |--template_rules, recursion, types--> what has to be right
//!                                     |--operations, reviewed_kinds--> what it is about
//!                                     \--lint (feature)--> what cannot have been meant
//! ```

mod answers;
mod call_graph;
mod inventory_read;
#[cfg(feature = "lint")]
mod lint;
mod mutants;
mod object_uses;
mod operations;
mod reads;
mod recursion;
mod reviewed_kinds;
mod rule_reads;
mod template_rules;
mod told;
mod types;

use portcullis_rego::{CompileError, CompileErrorKind, Unit};
use portcullis_rego_syntax::{Module, Names, Parsed, resolve, resolve_in};

use crate::api::template::{Text, TextPlace};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::schema::Schema;

pub(crate) use answers::{Asked, Looks, asked, unchecked};
pub(crate) use call_graph::{CallGraph, ParsedModule};
pub use inventory_read::InventoryRead;
#[cfg(feature = "lint")]
pub use lint::Explanation;
pub use mutants::{Mutant, MutantKind};
pub(crate) use object_uses::{Constant, ObjectUse, object_uses};
pub(crate) use operations::Mention;
pub(crate) use rule_reads::RulesTold;
pub(crate) use template_rules::locate;
pub(crate) use told::{CelUse, Told};

/// A path below `input.review.object` that the policy reads: constant steps, `None` where it is computed.
pub(crate) type ObjectRead = Vec<Option<Box<str>>>;

/// Parses modules that belong together, the main one of a template first, and finds out what their names mean.
pub(crate) fn parsed<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Vec<ParsedModule<'a>> {
    let parsed =
        texts.into_iter().map(|text| (text, portcullis_rego_syntax::parse(&text.text, text.version.into())));
    let parsed: Vec<(&Text, Parsed)> = parsed.collect();
    let names_of = |number: usize, module: &Module| {
        let others = parsed.iter().enumerate().filter(|(other, (_, parsed))| {
            *other != number && parsed.module.package_path() == module.package_path()
        });
        let rules = others.flat_map(|(_, (_, parsed))| &parsed.module.rules);
        let package_rules = rules.map(|rule| rule.name().to_owned()).collect();
        resolve_in(module, &resolve::Environment { package_rules, functions: Vec::new() })
    };
    let names: Vec<Names> =
        parsed.iter().enumerate().map(|(number, (_, parsed))| names_of(number, &parsed.module)).collect();
    let modules = parsed.into_iter().zip(names).enumerate();
    modules
        .map(|(number, ((text, Parsed { module, diagnostics }), names))| ParsedModule {
            text,
            module,
            diagnostics,
            names,
            is_lib: number > 0,
        })
        .collect()
}

/// Checks the modules of a template against the rules for templates and, with the feature `lint`, against
/// what cannot have been meant.
pub(crate) fn check(graph: &CallGraph<'_>, schema: Option<&Schema>, document: &Document) -> Vec<Error> {
    let mut errors = refused(graph, document);
    if let Some(schema) = schema {
        errors.extend(template_rules::check_parameters(graph, schema, document));
    }
    #[cfg(feature = "lint")]
    lint::check(graph, schema, document, &mut errors);
    errors
}

/// What OPA would refuse modules for that are no template's. The document is the one that stands for all of
/// them.
pub(crate) fn check_modules(graph: &CallGraph<'_>, document: &Document) -> Vec<Error> {
    let modules = graph.modules;
    let mut errors = Vec::new();
    for (number, parsed) in modules.iter().enumerate() {
        errors.extend(unreadable(parsed, document));
        let unit = Unit { module: &parsed.module, names: &parsed.names };
        let missing = portcullis_rego::unavailable_builtins(&unit, number);
        errors.extend(missing.iter().map(|error| compile_error(error, modules, document)));
    }
    errors.extend(beyond_one_module(graph, document));
    errors
}

/// What is wrong with the text of one module.
fn unreadable(parsed: &ParsedModule<'_>, document: &Document) -> Vec<Error> {
    // What follows from a text that does not parse is noise.
    let unresolved = parsed.names.diagnostics.iter().filter(|_| parsed.diagnostics.is_empty());
    let found = parsed.diagnostics.iter().chain(unresolved);
    found.map(|diagnostic| template_rules::rego_error(diagnostic, parsed, document)).collect()
}

/// What needs all modules to be seen: types, and rules that need themselves.
fn beyond_one_module(graph: &CallGraph<'_>, document: &Document) -> Vec<Error> {
    let modules = graph.modules;
    let mut errors = Vec::new();
    let recursions = recursion::find(graph);
    let mut found =
        modules.iter().flat_map(|parsed| parsed.diagnostics.iter().chain(&parsed.names.diagnostics));
    if found.next().is_none() && recursions.is_empty() {
        errors.extend(types::check(modules, document));
    }
    errors.extend(recursions.iter().map(|error| compile_error(error, modules, document)));
    errors
}

/// What Gatekeeper and OPA would refuse the modules for.
fn refused(graph: &CallGraph<'_>, document: &Document) -> Vec<Error> {
    let modules = graph.modules;
    let mut errors = Vec::new();
    for (number, parsed) in modules.iter().enumerate() {
        errors.extend(unreadable(parsed, document));
        errors.extend(template_rules::check(graph, number, parsed, document));
    }
    let compile_error = |error: &CompileError| compile_error(error, modules, document);
    for (number, parsed) in modules.iter().enumerate() {
        let unit = Unit { module: &parsed.module, names: &parsed.names };
        errors.extend(portcullis_rego::unavailable_builtins(&unit, number).iter().map(compile_error));
    }
    errors.extend(template_rules::check_libraries(graph, document));
    errors.extend(beyond_one_module(graph, document));
    errors
}

/// A place in a text that is a file of its own.
pub(crate) fn location(text: &Text, span: portcullis_rego_syntax::Span) -> Option<crate::source::Location> {
    match &text.place {
        TextPlace::File(source) => Some(crate::source::Location::new(source.clone(), span.start..span.end)),
        TextPlace::Within(_) => None,
    }
}

pub(crate) fn compile_error(
    error: &CompileError,
    modules: &[ParsedModule<'_>],
    document: &Document,
) -> Error {
    let location = modules.get(error.module).and_then(|parsed| locate(document, parsed.text, error.span));
    let kind = match error.kind {
        CompileErrorKind::Rego => ErrorKind::Rego,
        CompileErrorKind::Limit => ErrorKind::Limit,
    };
    Error::new(kind, error.message.clone()).maybe_hint(error.hint.clone()).at(location)
}
