//! What may come next: parameters from the schema, fields of the kinds that are matched, builtins, functions of libraries.

use std::collections::BTreeSet;
use std::ops::Range;

use portcullis::{FieldPath, Location};
use portcullis_rego_syntax::Span;
use portcullis_rego_syntax::ast::Rule;
use portcullis_rego_syntax::builtins::{self, Answered};
use serde_json::Value;

use crate::before::{Before, before};
use crate::builtin_docs;
use crate::fields::{kinds, shown};
use crate::hover::{REVIEW, variables};
use crate::index::{Entry, Index};
use crate::rego::{Bindings, Module, Path, Program, head_of};
use crate::schema::{Schema, described, type_of};
use crate::spot::Spot;

/// What something is that may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A field of an object, or a parameter.
    Field,
    /// A function.
    Function,
    /// A rule.
    Rule,
    /// A variable.
    Variable,
    /// What is imported.
    Module,
    /// A word of the language.
    Keyword,
}

/// Something that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// How it is called.
    pub name: String,
    /// What is put in: the name, or that of a key of YAML with what follows it.
    pub text: String,
    /// What it is.
    pub sort: Sort,
    /// In a few words.
    pub detail: String,
    /// In more, in Markdown.
    pub documentation: Option<String>,
}

impl Proposal {
    fn new(name: impl Into<String>, sort: Sort, detail: impl Into<String>) -> Self {
        let name = name.into();
        Self { text: name.clone(), name, sort, detail: detail.into(), documentation: None }
    }
}

/// What may stand in the place of some text. Editors filter by what is written there.
pub fn complete(index: &Index, spot: &Spot<'_>) -> Option<(Vec<Proposal>, Location)> {
    match spot {
        Spot::Rego { entry, program, module, offset } => {
            let of = program.modules.get(*module)?;
            let at = before(&of.text, *offset as usize);
            let location = located(entry, &of.path, &at.partial)?;
            Some((rego(index, entry, program, of, &at), location))
        }
        Spot::Cel { entry, path, text, offset } => {
            let at = before(text, *offset as usize);
            let location = located(entry, path, &at.partial)?;
            Some((cel(index, entry, &at), location))
        }
        Spot::Yaml { .. } => None,
    }
}

fn located(entry: &Entry, path: &FieldPath, range: &Range<usize>) -> Option<Location> {
    let span = u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?;
    entry.document.locate_part(path, span)
}

fn rego(index: &Index, entry: &Entry, program: &Program, module: &Module, at: &Before) -> Vec<Proposal> {
    let Some(Some(first)) = at.steps.first() else { return names(program, module, at) };
    let mut path: Path = match root(module, first, at.partial.start) {
        Some(path) => path,
        None => return of_builtins(&dotted(&at.steps)),
    };
    path.extend(at.steps.iter().skip(1).cloned());
    let name = |at: usize| path.get(at).and_then(Option::as_deref);
    match (name(0), name(1), name(2)) {
        (Some("input"), None, _) if path.len() == 1 => vec![
            Proposal::new("parameters", Sort::Field, "what the constraint gives"),
            Proposal::new("review", Sort::Field, "the request"),
        ],
        (Some("input"), Some("parameters"), _) => parameters(entry, path.get(2..).unwrap_or_default()),
        (Some("input"), Some("review"), None) if path.len() == 2 => {
            REVIEW.iter().map(|(name, what)| Proposal::new(*name, Sort::Field, *what)).collect()
        }
        (Some("input"), Some("review"), Some("object" | "oldObject")) => {
            object_fields(index, entry, path.get(3..).unwrap_or_default())
        }
        (Some("data"), ..) => library(program, &path),
        _ => Vec::new(),
    }
}

/// What a name stands for, at a place of a module.
fn root(module: &Module, name: &str, at: usize) -> Option<Path> {
    if name == "input" || name == "data" {
        return Some(vec![Some(name.to_owned())]);
    }
    // Of the variables that are called so, the one of this rule: what stands here may be no program yet.
    let rule = rule_at(module, at);
    let is_near = |span: Span| rule.is_none_or(|rule| rule.span.contains(span));
    let bindings = Bindings::of(&module.ast, &module.names);
    let ids = module.names.all().filter_map(|resolution| match resolution {
        portcullis_rego_syntax::Resolution::Local(id) => Some(id),
        _ => None,
    });
    let is_it = |id: &portcullis_rego_syntax::resolve::LocalId| {
        module.names.local(*id).is_some_and(|local| local.name == name && is_near(local.span))
    };
    let local = ids.filter(is_it).find_map(|id| bindings.path_of_local(id));
    local.or_else(|| {
        let import =
            module.ast.imports.iter().find(|import| import.name().is_some_and(|own| own.text == name))?;
        Some(import.segments().into_iter().map(|step| Some(step.to_owned())).collect())
    })
}

/// The rule that a place is in, or the last one before it.
fn rule_at(module: &Module, at: usize) -> Option<&Rule> {
    module.ast.rules.iter().rev().find(|rule| rule.span.start as usize <= at)
}

fn dotted(steps: &[Option<String>]) -> String {
    steps.iter().flat_map(|step| [step.as_deref().unwrap_or("_"), "."]).collect()
}

fn parameters(entry: &Entry, path: &[Option<String>]) -> Vec<Proposal> {
    let Some(schema) = Schema::of(entry) else { return Vec::new() };
    schema.below(path).into_iter().map(|(name, schema)| parameter(name, schema)).collect()
}

fn parameter(name: &str, schema: &Value) -> Proposal {
    let documentation = Some(described(name, schema));
    Proposal { documentation, ..Proposal::new(name, Sort::Field, type_of(schema)) }
}

fn object_fields(index: &Index, entry: &Entry, path: &[Option<String>]) -> Vec<Proposal> {
    let found = kinds(index, entry).fields(path).into_iter();
    found
        .map(|field| {
            let detail = format!("{} (of {})", field.holds, shown(&field.kinds));
            Proposal { documentation: field.description, ..Proposal::new(field.name, Sort::Field, detail) }
        })
        .collect()
}

/// What lies below a path of `data`: rules of a package, and packages.
fn library(program: &Program, path: &Path) -> Vec<Proposal> {
    let below: Vec<String> = path.iter().skip(1).map_while(Clone::clone).collect();
    let mut found: Vec<Proposal> = Vec::new();
    for module in &program.modules {
        if module.package == below {
            found.extend(module.ast.rules.iter().map(|rule| of_rule(module, rule)));
        } else if let Some(next) = module.package.strip_prefix(below.as_slice()).and_then(<[String]>::first) {
            found.push(Proposal::new(next, Sort::Module, "package"));
        }
    }
    distinct(found)
}

fn of_rule(module: &Module, rule: &Rule) -> Proposal {
    let sort = if rule.head.params.is_some() { Sort::Function } else { Sort::Rule };
    let documentation = crate::rego::comment_above(module, rule.span);
    Proposal { documentation, ..Proposal::new(rule.name(), sort, head_of(module, rule)) }
}

fn of_builtins(prefix: &str) -> Vec<Proposal> {
    let usable = builtins::all().filter(|builtin| {
        !matches!(builtin.answered, Answered::Missing(_)) && !builtin.name.starts_with("internal.")
    });
    let below = usable.filter_map(|builtin| Some((builtin, builtin.name.strip_prefix(prefix)?)));
    below
        .map(|(builtin, name)| Proposal {
            documentation: builtin_docs::described(builtin.name),
            ..Proposal::new(name, Sort::Function, builtin_docs::signature(builtin))
        })
        .collect()
}

const KEYWORDS: &[&str] = &[
    "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null", "package", "some",
    "true", "with",
];

/// All names that are known at a place.
fn names(program: &Program, module: &Module, at: &Before) -> Vec<Proposal> {
    let mut found = Vec::new();
    if let Some(rule) = rule_at(module, at.partial.start) {
        let locals = module.names.locals().iter().filter(|local| rule.span.contains(local.span));
        // What is being written is no variable yet.
        let written = |span: Span| span.start as usize == at.partial.start;
        let locals = locals.filter(|local| local.name != "_" && !written(local.span));
        found.extend(locals.map(|local| Proposal::new(&local.name, Sort::Variable, "local variable")));
    }
    for other in program.modules.iter().filter(|other| other.package == module.package) {
        found.extend(other.ast.rules.iter().map(|rule| of_rule(other, rule)));
    }
    let imports = module.ast.imports.iter().filter_map(|import| Some((import, import.name()?)));
    found.extend(imports.map(|(import, name)| {
        Proposal::new(&name.text, Sort::Module, format!("import {}", import.segments().join(".")))
    }));
    found.push(Proposal::new("input", Sort::Variable, "the request and the parameters"));
    found.push(Proposal::new("data", Sort::Variable, "libraries and `data.inventory`"));
    found.extend(of_builtins(""));
    found.extend(KEYWORDS.iter().map(|word| Proposal::new(*word, Sort::Keyword, "")));
    distinct(found)
}

/// Each name once: the first counts.
fn distinct(mut found: Vec<Proposal>) -> Vec<Proposal> {
    let mut seen = BTreeSet::new();
    found.retain(|proposal| seen.insert(proposal.name.clone()));
    found
}

fn cel(index: &Index, entry: &Entry, at: &Before) -> Vec<Proposal> {
    let name = |number: usize| at.steps.get(number).and_then(Option::as_deref);
    let is_template = entry.template().is_some();
    match (name(0), name(1)) {
        (None, _) if at.steps.is_empty() => {
            let mut found: Vec<Proposal> = VARIABLES
                .iter()
                .filter(|(name, ..)| {
                    is_template || !["params", "variables"].contains(name) || *name == "variables"
                })
                .map(|(name, what)| Proposal::new(*name, Sort::Variable, *what))
                .collect();
            found.extend(functions(false));
            found
        }
        (Some("object" | "oldObject"), _) => {
            object_fields(index, entry, at.steps.get(1..).unwrap_or_default())
        }
        (Some("variables"), Some("anyObject")) => {
            object_fields(index, entry, at.steps.get(2..).unwrap_or_default())
        }
        (Some("variables"), Some("params")) => parameters(entry, at.steps.get(2..).unwrap_or_default()),
        (Some("params"), _) if is_template => parameters(entry, at.steps.get(1..).unwrap_or_default()),
        (Some("variables"), None) => {
            let own = variables(entry).into_iter();
            let mut found: Vec<Proposal> =
                own.map(|(name, text)| Proposal::new(name, Sort::Variable, text)).collect();
            if is_template {
                found.push(Proposal::new("params", Sort::Variable, "what the constraint gives"));
                found.push(Proposal::new(
                    "anyObject",
                    Sort::Variable,
                    "the object, or the one that is deleted",
                ));
            }
            found
        }
        (Some("request"), None) => {
            let request =
                REVIEW.iter().filter(|(name, _)| !["object", "oldObject", "namespaceObject"].contains(name));
            request.map(|(name, what)| Proposal::new(*name, Sort::Field, *what)).collect()
        }
        _ => functions(true),
    }
}

/// The variables of every expression.
const VARIABLES: &[(&str, &str)] = &[
    ("object", "the object that is judged"),
    ("oldObject", "the object before an update, or the one that is deleted"),
    ("request", "the request"),
    ("params", "what the constraint gives"),
    ("variables", "variables of the policy"),
    ("namespaceObject", "the Namespace that the object is in"),
];

fn functions(is_member: bool) -> Vec<Proposal> {
    let all = portcullis_cel::functions().into_iter().filter(|function| function.is_member == is_member);
    all.map(|function| {
        let documentation = Some(format!("```cel\n{}\n```", function.signatures.join("\n")));
        let detail = function.signatures.into_iter().next().unwrap_or_default();
        Proposal { documentation, ..Proposal::new(function.name, Sort::Function, detail) }
    })
    .collect()
}

/// Parameters of a constraint at a line of its text, which need not be YAML yet: what is indented below
/// `spec.parameters`.
pub fn constraint_keys(index: &Index, text: &str, offset: usize) -> Option<(Vec<Proposal>, Range<usize>)> {
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..offset)?;
    let Placed { item, key: indentation, rest: partial } = Placed::of(line);
    if partial.chars().any(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')) {
        return None;
    }
    // Upwards, each key that is less indented than the one before, and each item that is around it.
    let (mut least, mut path, mut kind) = (indentation, Vec::new(), None);
    if let Some(item) = item {
        path.push(None);
        least = item + 1;
    }
    for line in text.get(..start)?.lines().rev() {
        if line.starts_with("---") {
            break;
        }
        let Placed { item, key: indentation, rest } = Placed::of(line);
        if let Some((key, value)) = rest.split_once(':').filter(|_| !rest.starts_with('#')) {
            if indentation == 0 && key == "kind" {
                kind = kind.or(Some(value.trim().trim_matches(['"', '\'']).to_owned()));
            }
            let opens = value.trim().is_empty() || value.trim_start().starts_with('#');
            if indentation < least && opens {
                path.push(Some(key.trim_matches(['"', '\'']).to_owned()));
                least = indentation;
            }
        }
        if let Some(item) = item.filter(|item| *item < least && path.last() != Some(&None)) {
            path.push(None);
            least = item + 1;
        }
    }
    let kind = kind.or_else(|| {
        let mut behind = text.get(offset..)?.lines().take_while(|line| !line.starts_with("---"));
        behind.find_map(|line| line.strip_prefix("kind:")).map(|kind| kind.trim().to_owned())
    })?;
    path.reverse();
    let below = path.strip_prefix(&[Some("spec".to_owned()), Some("parameters".to_owned())])?;
    let template = index.templates(&kind).next()?;
    let found = parameters(template, below);
    let behind = text.get(offset..)?.lines().next().unwrap_or_default();
    let is_key_already =
        behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let written = beside(text, start, indentation);
    let mut proposals = Vec::new();
    for mut proposal in found.into_iter().filter(|proposal| !written.contains(&*proposal.name)) {
        if !is_key_already.starts_with(':') {
            // What holds others goes on in the next line.
            let is_scalar = ["string", "integer", "number", "boolean"].contains(&&*proposal.detail);
            proposal.text.push_str(if is_scalar { ": " } else { ":" });
        }
        proposals.push(proposal);
    }
    (!proposals.is_empty()).then_some((proposals, offset - partial.len()..offset))
}

/// The keys that are written beside a line which begins at an offset, in the same map: above it and below.
fn beside(text: &str, start: usize, indentation: usize) -> BTreeSet<&str> {
    let (before, line) = text.split_at_checked(start).unwrap_or((text, ""));
    let is_item = |line: &str| Placed::of(line).item.is_some_and(|item| item < indentation);
    let is_end = |line: &&str| {
        let Placed { key, rest, .. } = Placed::of(line);
        rest.starts_with("---") || (!rest.is_empty() && !rest.starts_with('#') && key < indentation)
    };
    let mut lines = Vec::new();
    if !line.lines().next().is_some_and(is_item) {
        for line in before.lines().rev().take_while(|line| !is_end(line)) {
            lines.push(line);
            if is_item(line) && Placed::of(line).key == indentation {
                break;
            }
        }
    }
    let below = line.lines().skip(1).take_while(|line| !is_end(line) && !is_item(line));
    let keys = lines.into_iter().chain(below).filter_map(|line| {
        let Placed { key, rest, .. } = Placed::of(line);
        let name = rest.split_once(':').filter(|_| key == indentation && !rest.starts_with('#'))?.0;
        Some(name.trim_matches(['"', '\'']))
    });
    keys.collect()
}

/// Where things stand in a line.
struct Placed<'t> {
    /// The sign of an item, if it begins with one.
    item: Option<usize>,
    /// The first key.
    key: usize,
    /// From there on.
    rest: &'t str,
}

impl<'t> Placed<'t> {
    fn of(line: &'t str) -> Self {
        let rest = line.trim_start_matches(' ');
        let item = line.len() - rest.len();
        let (item, rest) = match rest.strip_prefix("- ") {
            Some(rest) => (Some(item), rest.trim_start_matches(' ')),
            None => (None, rest),
        };
        Self { item, key: line.len() - rest.len(), rest }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use portcullis::Document;

    use super::*;

    const TEMPLATE: &str = "
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k}
spec:
  crd:
    spec:
      names: {kind: K}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            max: {type: integer}
            repos:
              type: array
              items: {type: object, properties: {name: {type: string}, tag: {type: string}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package k
      violation[{\"msg\": \"\"}] { input.review.object }
";

    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let (documents, _) = Document::read_all("t.yaml", TEMPLATE);
        let index = Index::of(FilePath::new("/w"), documents);
        let offset = text.find('|').unwrap();
        let found = constraint_keys(&index, &text.replace('|', ""), offset);
        let names: Vec<String> =
            found.into_iter().flat_map(|(found, _)| found).map(|proposal| proposal.name).collect();
        assert_eq!(names, wanted, "{text}");
    }

    #[test]
    fn parameters_are_proposed_where_they_are_written() {
        let head = "kind: K\nspec:\n  match: {}\n  parameters:\n";
        check(&format!("{head}    |"), &["max", "repos"]);
        check(&format!("{head}    max: 1\n    re|\n"), &["repos"]);
        check(&format!("{head}    |\n    max: 1\n  other:\n    repos: 1\n"), &["repos"]);
        check(&format!("{head}    repos:\n    - |"), &["name", "tag"]);
        check(&format!("{head}    repos:\n    - name: x\n    - name: y\n      t|"), &["tag"]);
        check(&format!("{head}    repos:\n    - tag: x\n    - |\n    - name: y\n"), &["name", "tag"]);
        check(&format!("{head}    repos:\n    - |\n      tag: x\n"), &["name"]);
        check("spec:\n  parameters:\n    |\nkind: K\n", &["max", "repos"]);
        check("kind: Other\nspec:\n  parameters:\n    |", &[]);
        check("kind: K\nspec:\n  match:\n    |", &[]);
        check("kind: K\n---\nspec:\n  parameters:\n    |", &[]);
    }

    #[test]
    fn a_key_is_put_in_with_its_colon() {
        let (documents, _) = Document::read_all("t.yaml", TEMPLATE);
        let index = Index::of(FilePath::new("/w"), documents);
        for (text, wanted) in [
            ("kind: K\nspec:\n  parameters:\n    |", ["max: ", "repos:"]),
            ("kind: K\nspec:\n  parameters:\n    m|ax: 3\n", ["max", "repos"]),
        ] {
            let offset = text.find('|').unwrap();
            let (found, _) = constraint_keys(&index, &text.replace('|', ""), offset).unwrap();
            let texts: Vec<String> = found.into_iter().map(|proposal| proposal.text).collect();
            assert_eq!(texts, wanted, "{text}");
        }
    }
}
