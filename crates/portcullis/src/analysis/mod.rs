//! What the text of a policy says, without running it: whether it may be a policy at all, what is wrong with
//! it, and what it reads.
//!
//! ```text
//! texts --parse, resolve--> modules --template_rules, recursion, types--> what has to be right
//!                              |--reads, operations--> what is read: fields, kinds, operations
//!                              \--lint (feature)--> what cannot have been meant
//! ```

mod inventory_read;
#[cfg(feature = "lint")]
mod lint;
mod operations;
mod reads;
mod recursion;
mod reviewed_kinds;
mod rule_book;
mod template_rules;
mod types;

use portcullis_rego::{CompileError, Unit};
use portcullis_rego_syntax::{Parsed, Version, resolve, resolve_in};

use crate::api::template::{RegoSource, RegoVersion, Text};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::schema::Schema;

pub use inventory_read::InventoryRead;
#[cfg(feature = "lint")]
pub use lint::Explanation;
pub(crate) use operations::{Mention, OperationUse};
pub(crate) use reads::Reads;
pub(crate) use template_rules::{ParsedModule, locate};

/// A path below `input.review.object` that the policy reads: constant steps, `None` where it is computed.
pub(crate) type ObjectRead = Vec<Option<Box<str>>>;

/// The modules of a template as they are written.
pub(crate) struct FrontEnd<'a> {
    pub(crate) modules: Vec<ParsedModule<'a>>,
    pub(crate) errors: Vec<Error>,
}

/// Parses all modules of a template and checks them against the rules for templates and, with the feature
/// `lint`, against what cannot have been meant.
pub(crate) fn front_end<'a>(
    source: &RegoSource,
    texts: &'a [Text],
    schema: Option<&Schema>,
    document: &Document,
) -> FrontEnd<'a> {
    let FrontEnd { modules, mut errors } = checked(source, texts, document);
    if let Some(schema) = schema {
        errors.extend(template_rules::check_parameters(&modules, schema, document));
    }
    #[cfg(feature = "lint")]
    lint::check(&modules, schema, document, &mut errors);
    FrontEnd { modules, errors }
}

/// The modules, and what Gatekeeper and OPA would refuse them for.
fn checked<'a>(source: &RegoSource, texts: &'a [Text], document: &Document) -> FrontEnd<'a> {
    let version = match source.version {
        RegoVersion::V0 => Version::V0,
        RegoVersion::V1 => Version::V1,
    };
    let parsed: Vec<Parsed> =
        texts.iter().map(|text| portcullis_rego_syntax::parse(&text.text, version)).collect();
    let mut packages: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for Parsed { module, .. } in &parsed {
        let path = module.package_path().into_iter().map(str::to_owned).collect();
        packages.push((path, module.rules.iter().map(|rule| rule.name().to_owned()).collect()));
    }
    let mut modules = Vec::new();
    let mut errors = Vec::new();
    let mut is_sound = true;
    for (number, (text, Parsed { module, diagnostics })) in texts.iter().zip(parsed).enumerate() {
        let package = packages.get(number).map(|(path, _)| path);
        let others = packages
            .iter()
            .enumerate()
            .filter(|(other, (path, _))| *other != number && Some(path) == package);
        let package_rules = others.flat_map(|(_, (_, rules))| rules.iter().cloned()).collect();
        let environment = resolve::Environment { package_rules, functions: Vec::new() };
        let names = resolve_in(&module, &environment);
        let parsed = ParsedModule { text, module, names, is_lib: number > 0 };
        errors.extend(
            diagnostics.iter().map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)),
        );
        let broken = !diagnostics.is_empty();
        is_sound &= !broken && parsed.names.diagnostics.is_empty();
        // What follows from a text that does not parse is noise.
        let unresolved = parsed.names.diagnostics.iter().filter(|_| !broken);
        errors.extend(unresolved.map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)));
        errors.extend(template_rules::check(&parsed, broken, document));
        modules.push(parsed);
    }
    for (number, parsed) in modules.iter().enumerate() {
        let unit = Unit { module: &parsed.module, names: &parsed.names };
        let unavailable = portcullis_rego::unavailable_builtins(&unit, number);
        errors.extend(unavailable.iter().map(|error| compile_error(error, &modules, document)));
    }
    errors.extend(template_rules::check_libraries(&modules, document));
    let recursions = recursion::find(&modules);
    if is_sound && recursions.is_empty() {
        errors.extend(types::check(&modules, document));
    }
    for found in recursions {
        let location = modules.get(found.module).and_then(|parsed| locate(document, parsed.text, found.span));
        errors.push(Error::new(found.kind, found.message).at(location));
    }
    FrontEnd { modules, errors }
}

pub(crate) fn compile_error(
    error: &CompileError,
    modules: &[ParsedModule<'_>],
    document: &Document,
) -> Error {
    let location = modules.get(error.module).and_then(|parsed| locate(document, parsed.text, error.span));
    Error::new(ErrorKind::Rego, error.message.clone()).maybe_hint(error.hint.clone()).at(location)
}
