//! Templates from conftest's policies. The files stay as they are, as libraries of the templates; a few lines in front
//! of them ask a rule about the object of a review, and make violations of what it finds.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{Error, ErrorKind, ModuleRuleKind, RegoFile, RegoVersion};
use portcullis_rego_syntax::analysis::refs;
use portcullis_rego_syntax::{Version, parse};
use serde_json::json;

use super::header::Header;
use super::module::{Module, leads_to};
use super::{Built, constraint, kind_of, write};

/// What became of conftest's policies.
#[derive(Clone, Debug, Default)]
pub struct Turned {
    /// A template and a constraint for each rule.
    pub built: Vec<Built>,
    /// A suite that names all of them, as YAML; empty if there are none.
    pub suite: String,
    /// What could not be turned, and why.
    pub left: Vec<Error>,
}

/// Turns the rules `deny`, `violation` and `warn` of a package into templates, constraints and a suite.
#[must_use]
pub fn from_conftest(files: &[RegoFile], package: &str) -> (Turned, Vec<Error>) {
    let modules: Vec<Module> = files.iter().map(Module::of).collect();
    let errors: Vec<Error> = modules.iter().flat_map(|module| module.errors.iter().cloned()).collect();
    if !errors.is_empty() {
        return (Turned::default(), errors);
    }
    let mut turned = Turned::default();
    let is_asked = |module: &Module| module.package().join(".") == package;
    turned.left.extend(modules.iter().filter(|module| module.is_test()).map(|module| {
        let warning = left("unit tests stay as they are: templates have suites", module);
        warning.hint("run them with `portcullis verify`, as before")
    }));
    // By file, what keeps it from being a library of a template.
    let reasons: BTreeMap<&str, Error> = modules
        .iter()
        .filter(|module| !module.is_test())
        .filter_map(|module| Some((&**module.source.name(), reason(module, &modules)?)))
        .collect();
    turned.left.extend(reasons.values().cloned());
    let mut rules: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    let mut has_exceptions = false;
    for module in modules.iter().filter(|module| is_asked(module) && !module.is_test()) {
        for rule in &module.tree.rules {
            match ModuleRuleKind::of_rule(rule.name()) {
                Some(ModuleRuleKind::Exception) => has_exceptions = true,
                Some(_) => rules.entry(rule.name()).or_default().push(module),
                None => {}
            }
        }
    }
    if rules.is_empty() {
        let message = format!("package `{package}` has no rule `deny`, `violation` or `warn`");
        return (turned, vec![Error::new(ErrorKind::NoInput, message)]);
    }
    let mut errors = Vec::new();
    let of_package: Vec<&Module> =
        modules.iter().filter(|module| is_asked(module) && !module.is_test()).collect();
    let libs = needed(&of_package, &modules);
    let Some(version) = common_version(&libs) else {
        let message = "the files are written in Rego v0 and v1: a template has one version";
        return (turned, vec![Error::new(ErrorKind::Rego, message).hint("write all of them in one")]);
    };
    for (rule, defined) in rules {
        let broken = defined.iter().any(|module| reasons.contains_key(&**module.source.name()));
        // Rules of one package may need each other, wherever they stand.
        let broken = broken || libs.iter().any(|lib| reasons.contains_key(&**lib.source.name()));
        if broken {
            let at = defined.first().map(|module| module.whole());
            let warning = Error::warning(ErrorKind::Unsupported, format!("`{rule}` is not turned"));
            let hint = "it may need what cannot be turned; move that into another package";
            turned.left.push(warning.at(at).hint(hint));
            continue;
        }
        match one(package, rule, version, &libs, &modules, has_exceptions) {
            Ok(built) => turned.built.extend(built),
            Err(error) => errors.push(error),
        }
    }
    turned.suite = suite(&turned.built).unwrap_or_default();
    (turned, errors)
}

fn left(message: &str, module: &Module) -> Error {
    Error::warning(ErrorKind::Unsupported, message).at(module.whole())
}

/// Why a file cannot be a library of a template.
fn reason(module: &Module, modules: &[Module]) -> Option<Error> {
    for (path, span) in module.data_reads() {
        if path.is_empty() {
            let message = "this reads all of `data`, which templates may not";
            return Some(Error::warning(ErrorKind::Unsupported, message).at(module.at(span)));
        }
        if leads_to(&path, modules).is_empty() {
            let path = path.join(".");
            let message =
                format!("this reads `data.{path}`, which is given with `--data` and not there in a cluster");
            let warning = Error::warning(ErrorKind::Unsupported, message).at(module.at(span));
            return Some(warning.hint("make it a parameter, or a library of Rego that has the values"));
        }
    }
    let is_combined =
        |path: &[Option<&str>]| matches!(path, [Some("input"), None, Some("contents" | "path"), ..]);
    let combined = refs(&module.tree, &module.names).find(|reference| is_combined(&reference.path))?;
    let message = "this is about all documents at once (`--combine`), and a review is about one object";
    let warning = Error::warning(ErrorKind::Unsupported, message).at(module.at(combined.span));
    Some(warning.hint("compare with `data.inventory` in a template of its own"))
}

/// Modules with all that they need.
fn needed<'m>(of: &[&'m Module], modules: &'m [Module]) -> Vec<&'m Module> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&Module> = of.to_vec();
    let mut all = Vec::new();
    while let Some(module) = open.pop() {
        if found.insert(module.source.name()) {
            all.push(module);
            open.extend(module.data_reads().iter().flat_map(|(path, _)| leads_to(path, modules)));
        }
    }
    all.sort_by(|a, b| a.source.name().cmp(b.source.name()));
    all
}

/// The version that all are written in.
fn common_version(modules: &[&Module]) -> Option<RegoVersion> {
    let are_all =
        |version: Version| modules.iter().all(|module| parse(&module.code(), version).diagnostics.is_empty());
    if are_all(Version::V1) {
        return Some(RegoVersion::V1);
    }
    are_all(Version::V0).then_some(RegoVersion::V0)
}

/// A module as a library: its package, and the packages that it reads, are below `lib`.
fn as_library(module: &Module) -> String {
    let mut insertions = Vec::new();
    if let Some(first) = module.tree.package.as_ref().and_then(|package| package.path.first())
        && first.text != "lib"
    {
        insertions.push((first.span.start, "lib.".to_owned()));
    }
    for (path, span) in module.data_reads() {
        if path.first() != Some(&"lib") {
            insertions.push((span.end, ".lib".to_owned()));
        }
    }
    insertions.sort();
    insertions.dedup();
    module.code_with(&mut insertions)
}

fn one(
    package: &str,
    rule: &str,
    version: RegoVersion,
    libs: &[&Module],
    modules: &[Module],
    has_exceptions: bool,
) -> Result<Option<Built>, Error> {
    let kind = kind_of(&format!("{package}-{rule}"));
    let Some(first) = libs.iter().find(|module| {
        module.package().join(".") == package && module.tree.rules_named(rule).next().is_some()
    }) else {
        return Ok(None);
    };
    let (said, _) = Header::of(first);
    let is_alone = modules.iter().filter(|module| module.package().join(".") == package).count() == 1;
    let enforcement = rule.starts_with("warn").then(|| "warn".to_owned());
    let title = said.title.filter(|_| is_alone);
    let description = said.description.filter(|_| is_alone);
    let header = Header { title, description, enforcement, ..Header::default() };
    let rego = asking(package, rule, version, has_exceptions);
    let libs: Vec<String> = libs.iter().map(|module| as_library(module)).collect();
    let template = write::Template { kind: &kind, header: &header, version, rego: &rego, libs: &libs };
    let error = |message| Error::new(ErrorKind::UnsupportedValue, message).at(first.whole());
    Ok(Some(Built {
        source: first.source.clone(),
        template: template.to_yaml().map_err(error)?,
        constraint: Some(write::document(&constraint(&kind, &header)).map_err(error)?),
        kind,
        shares_folder: true,
    }))
}

/// The lines that ask a rule.
fn asking(package: &str, rule: &str, version: RegoVersion, has_exceptions: bool) -> String {
    let own = kind_of(&format!("{package}-{rule}")).to_lowercase();
    let suffix = rule.split_once('_').map_or("", |(_, suffix)| suffix);
    let package = if package.starts_with("lib.") { package.to_owned() } else { format!("lib.{package}") };
    let asked = format!("data.{package}.{rule} with input as input.review.object");
    let exceptions = format!("data.{package}.exception with input as input.review.object");
    let unless = if has_exceptions { "\tnot excepted\n" } else { "" };
    let (head, opens, is) = match version {
        RegoVersion::V0 => ("violation[{\"msg\": msg, \"details\": details}] {", " {", "="),
        RegoVersion::V1 => ("violation contains {\"msg\": msg, \"details\": details} if {", " if {", ":="),
    };
    let mut text = format!(
        "package {own}\n\n{head}\n\tfound := {asked}\n\tentry := found[_]\n{unless}\tmsg := message(entry)\n\tdetails := metadata(entry)\n}}\n\n\
         message(entry) {is} entry{opens}\n\tis_string(entry)\n}}\n\n\
         message(entry) {is} entry.msg{opens}\n\tis_string(entry.msg)\n}}\n\n\
         # Whatever it is, it is not nothing.\n\
         message(entry) {is} sprintf(\"%v\", [entry]){opens}\n\tnot is_string(entry)\n\tnot has_message(entry)\n}}\n\n\
         has_message(entry){opens}\n\tis_string(entry.msg)\n}}\n\n\
         metadata(entry) {is} object.remove(entry, {{\"msg\"}}){opens}\n\tis_object(entry)\n}}\n\n\
         metadata(entry) {is} {{}}{opens}\n\tnot is_object(entry)\n}}\n"
    );
    if has_exceptions {
        let excepted = format!(
            "\nexcepted{opens}\n\texceptions := {exceptions}\n\texceptions[_][_] == \"{suffix}\"\n}}\n"
        );
        text.push_str(&excepted);
    }
    text
}

fn suite(built: &[Built]) -> Result<String, String> {
    if built.is_empty() {
        return Ok(String::new());
    }
    let test = |built: &Built| {
        json!({
            "name": built.name(),
            "template": format!("template_{}.yaml", built.kind),
            "constraint": format!("constraint_{}.yaml", built.kind),
        })
    };
    write::document(&json!({
        "apiVersion": "test.gatekeeper.sh/v1alpha1",
        "kind": "Suite",
        "metadata": {"name": "from-conftest"},
        "tests": built.iter().map(test).collect::<Vec<_>>(),
    }))
}
