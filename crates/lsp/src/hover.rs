//! What is told of a name: builtins, parameters with their schema, rules with their comments, fields with the values
//! that samples have.

use std::fmt::Write as _;

use portcullis::Location;

use crate::builtin_docs;
use crate::cel;
use crate::fields::{kinds, shown};
use crate::index::{Entry, Index};
use crate::rego::{Bindings, Path, Program, Symbol, comment_above, head_of};
use crate::samples;
use crate::schema::{Schema, described, parameter_at};
use crate::spot::Spot;

/// What is told, in Markdown, and of which text.
pub fn hover(index: &Index, spot: &Spot<'_>) -> Option<(String, Location)> {
    match spot {
        Spot::Rego { entry, program, module, offset } => {
            let one = program.at(*module, *offset)?;
            let place = &program.modules.get(*module)?.path;
            let location = entry.document.locate_part(place, one.span.start..one.span.end)?;
            Some((of_rego(index, entry, program, &one.symbol)?, location))
        }
        Spot::Cel { entry, path, text, offset } => {
            let at = *offset as usize;
            let one = cel::occurrences(text)
                .into_iter()
                .find(|one| (one.range.start..=one.range.end).contains(&at))?;
            let span = u32::try_from(one.range.start).ok()?..u32::try_from(one.range.end).ok()?;
            let location = entry.document.locate_part(path, span)?;
            Some((of_cel(index, entry, &one.symbol)?, location))
        }
        Spot::Yaml { entry, path, is_key } => {
            let constraint = entry.constraint().filter(|_| *is_key)?;
            let parameter = parameter_at(path).filter(|parameter| !parameter.is_empty())?;
            let text = index
                .templates(&constraint.key().kind)
                .find_map(|template| of_parameter(&Schema::of(template)?, &parameter))?;
            Some((text, entry.document.locate_key(path)?))
        }
    }
}

fn of_parameter(schema: &Schema, parameter: &[Option<String>]) -> Option<String> {
    let found = schema.of_parameter(parameter)?;
    let name = parameter.last().and_then(Option::as_deref).unwrap_or("_");
    Some(described(name, found))
}

fn path_text(path: &[Option<String>]) -> String {
    path.iter().enumerate().fold(String::new(), |mut text, (number, step)| {
        match step {
            Some(name) if number == 0 => text.push_str(name),
            Some(name) => {
                let _ = write!(text, ".{name}");
            }
            None => text.push_str("[_]"),
        }
        text
    })
}

fn of_rego(index: &Index, entry: &Entry, program: &Program, symbol: &Symbol) -> Option<String> {
    match symbol {
        Symbol::Builtin(name) => builtin_docs::described(name),
        Symbol::Parameter(path) => match Schema::of(entry).and_then(|schema| of_parameter(&schema, path)) {
            Some(text) => Some(text),
            None => Some(format!("`input.parameters.{}`: the schema does not have it", path_text(path))),
        },
        Symbol::Input(path) => of_input(index, entry, path),
        Symbol::Rule { package, name } => {
            let mut text = String::new();
            let mut comment = None;
            for (number, rule) in program.rules(package, name) {
                let Some(module) = program.modules.get(number) else { continue };
                let _ = writeln!(text, "{}", head_of(module, rule));
                comment = comment.or_else(|| comment_above(module, rule.span));
            }
            let comment = comment.map(|comment| format!("\n\n{comment}")).unwrap_or_default();
            (!text.is_empty())
                .then(|| format!("```rego\n{text}```{comment}\n\nof package `{}`", package.join(".")))
        }
        Symbol::Import { module, index } => {
            let import = program.modules.get(*module)?.ast.imports.get(*index)?;
            let package: Vec<String> = import.segments().into_iter().skip(1).map(str::to_owned).collect();
            let names = program.names_in(&package).join("`, `");
            let rules = if names.is_empty() { String::new() } else { format!("\n\nrules: `{names}`") };
            Some(format!("```rego\nimport {}\n```{rules}", import.segments().join(".")))
        }
        Symbol::Local { module, id } => {
            let module = program.modules.get(*module)?;
            let local = module.names.local(*id)?;
            let path = Bindings::of(&module.ast, &module.names).path_of_local(*id);
            match path {
                Some(path) => {
                    let told = of_input(index, entry, &path).unwrap_or_default();
                    Some(format!("local variable `{}` is `{}`\n\n{told}", local.name, path_text(&path)))
                }
                None => Some(format!("local variable `{}`", local.name)),
            }
        }
    }
}

/// A field of what is reviewed: what it holds, and which values samples have.
fn of_input(index: &Index, entry: &Entry, path: &Path) -> Option<String> {
    let name = |at: usize| path.get(at).and_then(Option::as_deref);
    if (name(0), name(1)) == (Some("input"), Some("parameters")) {
        return Schema::of(entry).and_then(|schema| of_parameter(&schema, path.get(2..)?));
    }
    if (name(0), name(1)) != (Some("input"), Some("review")) {
        return None;
    }
    match name(2) {
        Some("object" | "oldObject") => Some(of_object(index, entry, path.get(2..)?, &path_text(path))),
        Some(field) => {
            let known = REVIEW.iter().find(|(known, _)| *known == field);
            Some(known.map_or_else(|| path_text(path), |(_, what)| format!("`{}`: {what}", path_text(path))))
        }
        None => Some("the request that is reviewed".to_owned()),
    }
}

/// What `input.review` has.
pub const REVIEW: &[(&str, &str)] = &[
    ("object", "the object that is judged"),
    ("oldObject", "the object before an update, or the one that is deleted"),
    ("operation", "`CREATE`, `UPDATE`, `DELETE` or `CONNECT`; empty in audits"),
    ("kind", "group, version and kind of the object"),
    ("name", "the name of the object"),
    ("namespace", "the namespace that the object is in"),
    ("userInfo", "who asks: `username`, `groups`, `uid`, `extra`"),
    ("resource", "group, version and resource of the request"),
    ("subResource", "the part of the object that is asked for, such as `status`"),
    ("dryRun", "whether nothing is to be stored"),
    ("options", "the options of the request"),
    ("uid", "what the request is known by"),
    ("namespaceObject", "the Namespace that the object is in"),
];

fn of_cel(index: &Index, entry: &Entry, symbol: &cel::Symbol) -> Option<String> {
    match symbol {
        cel::Symbol::Function(name) => {
            let function = portcullis_cel::functions().into_iter().find(|known| known.name == name)?;
            Some(format!("```cel\n{}\n```", function.signatures.join("\n")))
        }
        cel::Symbol::Parameter(path) => of_parameter(&Schema::of(entry)?, path),
        cel::Symbol::Object(path) => Some(of_object(index, entry, path, &path_text(path))),
        cel::Symbol::Variable(name) => {
            let expression = variables(entry).into_iter().find(|(known, _)| known == name)?.1;
            Some(format!("```cel\n{expression}\n```\n\nvariable `{name}`"))
        }
    }
}

/// The variables of a policy in CEL, with their expressions.
pub fn variables(entry: &Entry) -> Vec<(String, String)> {
    let value = entry.document.to_json();
    let each = crate::spot::texts(entry).into_iter().filter_map(|text| {
        let item = text.path.parent()?;
        let list = item.parent()?;
        if list.segments().last() != Some(&"variables".into()) {
            return None;
        }
        let name = crate::schema::at(&value, &item.child("name"))?.as_str()?;
        Some((name.to_owned(), text.text.to_owned()))
    });
    each.collect()
}

/// `path` begins with `object` or `oldObject`.
fn of_object(index: &Index, entry: &Entry, path: &[Option<String>], shown_path: &str) -> String {
    let mut text = format!("`{shown_path}`");
    let below = path.get(1..).unwrap_or_default();
    if let Some(field) = kinds(index, entry).field(below) {
        let _ = write!(text, ": {} (of {})", field.holds, shown(&field.kinds));
        if let Some(description) = field.description {
            let _ = write!(text, "\n\n{description}");
        }
    }
    let values = samples::values(index, &entry.path, path);
    if !values.is_empty() {
        text.push_str("\n\nin the samples:\n");
        for (value, sample) in values {
            let _ = write!(text, "\n- `{value}` ({sample})");
        }
    }
    text
}
