//! What is meant at a place, and where else it stands: definitions and references, across the texts of a template, its
//! constraints and suites.

use std::path::PathBuf;

use portcullis::{FieldPath, Location, PolicyLanguage, Segment};
use serde_json::Value;

use crate::cel;
use crate::index::{Entry, Index};
use crate::rego::{Path, Program, Symbol};
use crate::schema::{self, Schema};
use crate::spot::{Spot, program, texts};
use crate::uri::without_detours;

/// Something that somebody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Something in the Rego of a document.
    Rego {
        /// The document: its file, and where it begins.
        document: (PathBuf, u32),
        /// What it is.
        symbol: Symbol,
    },
    /// A parameter of the constraints of a kind.
    Parameter {
        /// The kind.
        kind: String,
        /// Its path.
        path: Path,
    },
    /// A variable of a policy in CEL.
    Variable {
        /// The document: its file, and where it begins.
        document: (PathBuf, u32),
        /// Its name.
        name: String,
    },
    /// The kind of constraints.
    Kind(String),
    /// A file.
    File(PathBuf),
}

/// A place that means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The name in it; of a file its beginning.
    pub location: Location,
    /// Whether it comes to be there.
    pub is_definition: bool,
}

/// What tells a document from others.
pub fn identity(entry: &Entry) -> (PathBuf, u32) {
    (entry.path.clone(), entry.document.location().range().start)
}

/// What is meant at a place, and the name there.
pub fn target(spot: &Spot<'_>) -> Option<(Target, Location)> {
    match spot {
        Spot::Rego { entry, program, module, offset } => {
            let one = program.at(*module, *offset)?;
            let place = &program.modules.get(*module)?.path;
            let location = entry.document.locate_part(place, one.span.start..one.span.end)?;
            let target = match &one.symbol {
                Symbol::Parameter(path) => {
                    Target::Parameter { kind: entry.template()?.kind().to_owned(), path: path.clone() }
                }
                symbol => Target::Rego { document: identity(entry), symbol: symbol.clone() },
            };
            Some((target, location))
        }
        Spot::Cel { entry, path, text, offset } => {
            let at = *offset as usize;
            let one = cel::occurrences(text)
                .into_iter()
                .find(|one| (one.range.start..=one.range.end).contains(&at))?;
            let location = entry.document.locate_part(path, span(&one.range)?)?;
            let target = match one.symbol {
                cel::Symbol::Parameter(path) => {
                    Target::Parameter { kind: entry.template()?.kind().to_owned(), path }
                }
                cel::Symbol::Variable(name) => Target::Variable { document: identity(entry), name },
                cel::Symbol::Object(_) | cel::Symbol::Function(_) => return None,
            };
            Some((target, location))
        }
        Spot::Yaml { entry, path, is_key } => of_yaml(entry, path, *is_key),
    }
}

fn span(range: &std::ops::Range<usize>) -> Option<std::ops::Range<u32>> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}

fn of_yaml(entry: &Entry, path: &FieldPath, is_key: bool) -> Option<(Target, Location)> {
    let place = if is_key { entry.document.locate_key(path)? } else { entry.document.locate(path)? };
    let value = || Some(schema::at(&entry.document.to_json(), path)?.as_str()?.to_owned());
    let names: Vec<&str> = path.segments().iter().filter_map(key).collect();
    if let Some(constraint) = entry.constraint() {
        let kind = constraint.key().kind.to_string();
        if names == ["kind"] {
            return Some((Target::Kind(kind), entry.document.locate(path)?));
        }
        let path = schema::parameter_at(path).filter(|parameter| is_key && !parameter.is_empty())?;
        return Some((Target::Parameter { kind, path }, place));
    }
    if let Some(template) = entry.template() {
        let kind = template.kind().to_owned();
        if names == ["spec", "crd", "spec", "names", "kind"] {
            return Some((Target::Kind(kind), entry.document.locate(path)?));
        }
        if let Some(parameter) = template.schema_path().and_then(|schema| parameter_of_schema(schema, path)) {
            return is_key.then_some((Target::Parameter { kind, path: parameter }, place));
        }
    }
    if names.ends_with(&["variables", "name"]) && !is_key && !texts(entry).is_empty() {
        return Some((Target::Variable { document: identity(entry), name: value()? }, place));
    }
    if entry.suite.is_some() && !is_key {
        let is_file = ["template", "constraint", "object", "expansion", "mutated", "mutators", "inventory"];
        if names.last().is_some_and(|name| is_file.contains(name)) {
            let path = without_detours(&entry.path.parent()?.join(value()?));
            return Some((Target::File(path), place));
        }
    }
    None
}

fn key(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Key(key) => Some(key),
        Segment::Index(_) => None,
    }
}

/// A field of a schema as the parameter that it describes: `properties.a.items.properties.b` is `a[_].b`.
fn parameter_of_schema(schema: &FieldPath, path: &FieldPath) -> Option<Path> {
    let mut below = path.segments().strip_prefix(schema.segments())?.iter().map(key);
    let mut parameter = Path::new();
    while let Some(step) = below.next() {
        match step? {
            "properties" => parameter.push(Some(below.next()??.to_owned())),
            "items" | "additionalProperties" => parameter.push(None),
            _ => return None,
        }
    }
    (parameter.last()?.is_some()).then_some(parameter)
}

/// All places that mean it, in the order of the files.
pub fn places(index: &Index, target: &Target) -> Vec<Place> {
    let mut found = Vec::new();
    match target {
        Target::Rego { document, symbol } => {
            for entry in index.file(&document.0).iter().filter(|entry| identity(entry) == *document) {
                if let Some(program) = program(entry) {
                    found.extend(of_symbol(entry, &program, symbol));
                }
            }
        }
        Target::Parameter { kind, path } => {
            for entry in index.templates(kind) {
                found.extend(of_parameter(entry, path));
            }
            for entry in index.constraints(kind) {
                let value = entry.document.to_json();
                let root = FieldPath::root().child("spec").child("parameters");
                let mut fields = Vec::new();
                if let Some(parameters) = schema::at(&value, &root) {
                    fields_at(parameters, path, &root, &mut fields);
                }
                let places = fields.iter().filter_map(|field| entry.document.locate_key(field));
                found.extend(places.map(|location| place(entry, location, false)));
            }
        }
        Target::Variable { document, name } => {
            for entry in index.file(&document.0).iter().filter(|entry| identity(entry) == *document) {
                found.extend(of_variable(entry, name));
            }
        }
        Target::Kind(kind) => {
            let of = FieldPath::root().child("spec").child("crd").child("spec").child("names").child("kind");
            let templates =
                index.templates(kind).filter_map(|entry| Some((entry, entry.document.locate(&of)?)));
            found.extend(templates.map(|(entry, location)| place(entry, location, true)));
            let of = FieldPath::root().child("kind");
            let used = index.constraints(kind).filter_map(|entry| Some((entry, entry.document.locate(&of)?)));
            found.extend(used.map(|(entry, location)| place(entry, location, false)));
        }
        Target::File(path) => {
            let start = Location::new(portcullis::Source::new(path.display().to_string(), ""), 0..0);
            found.push(Place { path: path.clone(), location: start, is_definition: true });
        }
    }
    found.sort_by(|a, b| (&a.path, a.location.range().start).cmp(&(&b.path, b.location.range().start)));
    found.dedup();
    found
}

fn place(entry: &Entry, location: Location, is_definition: bool) -> Place {
    Place { path: entry.path.clone(), location, is_definition }
}

fn of_symbol(entry: &Entry, program: &Program, symbol: &Symbol) -> Vec<Place> {
    let each = program.same(symbol).filter_map(|one| {
        let module = program.modules.get(one.module)?;
        let location = entry.document.locate_part(&module.path, one.span.start..one.span.end)?;
        Some(place(entry, location, one.is_definition))
    });
    each.collect()
}

fn of_parameter(entry: &Entry, path: &Path) -> Vec<Place> {
    let mut found = Vec::new();
    let described = Schema::of(entry).and_then(|schema| entry.document.locate_key(&schema.path_of(path)?));
    found.extend(described.map(|location| place(entry, location, true)));
    if let Some(program) = program(entry) {
        let is_it = |symbol: &Symbol| matches!(symbol, Symbol::Parameter(other) if is_same(other, path));
        for one in program.occurrences.iter().filter(|one| is_it(&one.symbol)) {
            let module = program.modules.get(one.module).map(|module| &module.path);
            let location =
                module.and_then(|path| entry.document.locate_part(path, one.span.start..one.span.end));
            found.extend(location.map(|location| place(entry, location, false)));
        }
    }
    for text in texts(entry).iter().filter(|text| text.language == PolicyLanguage::Cel) {
        for one in cel::occurrences(text.text) {
            let is_it = matches!(&one.symbol, cel::Symbol::Parameter(other) if is_same(other, path));
            let location = span(&one.range).filter(|_| is_it);
            let location = location.and_then(|span| entry.document.locate_part(text.path, span));
            found.extend(location.map(|location| place(entry, location, false)));
        }
    }
    found
}

/// Whether two paths may mean the same: an element that is named is one of any.
fn is_same(one: &Path, other: &Path) -> bool {
    let is_equal = |(a, b): (&Option<String>, &Option<String>)| a == b || a.is_none() || b.is_none();
    one.len() == other.len() && one.last() == other.last() && one.iter().zip(other).all(is_equal)
}

/// The fields of a value at a path in which any element may be meant.
fn fields_at(value: &Value, path: &[Option<String>], at: &FieldPath, found: &mut Vec<FieldPath>) {
    let Some((first, rest)) = path.split_first() else {
        found.push(at.clone());
        return;
    };
    match (first, value) {
        (Some(name), Value::Object(fields)) => {
            if let Some(below) = fields.get(name) {
                fields_at(below, rest, &at.child(name.as_str()), found);
            }
        }
        (None, Value::Array(items)) => {
            for (number, item) in items.iter().enumerate() {
                fields_at(item, rest, &at.child(number), found);
            }
        }
        (None, Value::Object(fields)) => {
            for (name, field) in fields {
                fields_at(field, rest, &at.child(name.as_str()), found);
            }
        }
        _ => {}
    }
}

fn of_variable(entry: &Entry, name: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let value = entry.document.to_json();
    for text in texts(entry).iter().filter(|text| text.language == PolicyLanguage::Cel) {
        let field = text.path.parent().map(|parent| parent.child("name"));
        let is_variable = text.path.parent().and_then(|parent| parent.parent());
        let is_variable =
            is_variable.is_some_and(|list| list.segments().last().and_then(key) == Some("variables"));
        if let Some(field) = field.filter(|_| is_variable)
            && schema::at(&value, &field).and_then(Value::as_str) == Some(name)
        {
            found.extend(entry.document.locate(&field).map(|location| place(entry, location, true)));
        }
        for one in cel::occurrences(text.text) {
            let is_it = matches!(&one.symbol, cel::Symbol::Variable(other) if other == name);
            let location = span(&one.range).filter(|_| is_it);
            let location = location.and_then(|span| entry.document.locate_part(text.path, span));
            found.extend(location.map(|location| place(entry, location, false)));
        }
    }
    found
}

/// Where somebody is brought who asks where it comes from.
pub fn definitions(index: &Index, target: &Target) -> Vec<Place> {
    let mut all = places(index, target);
    if let Target::Rego { document, symbol: Symbol::Import { module, index: import } } = target {
        all = package_of(index, document, *module, *import);
    }
    if all.iter().any(|place| place.is_definition) {
        all.retain(|place| place.is_definition);
    }
    all
}

/// The package clauses of what is imported; the import itself if there are none.
fn package_of(index: &Index, document: &(PathBuf, u32), module: usize, import: usize) -> Vec<Place> {
    let mut found = Vec::new();
    for entry in index.file(&document.0).iter().filter(|entry| identity(entry) == *document) {
        let Some(program) = program(entry) else { continue };
        let Some(import) = program.modules.get(module).and_then(|module| module.ast.imports.get(import))
        else {
            continue;
        };
        let segments = import.segments();
        for module in &program.modules {
            let package = module.package.iter().map(String::as_str);
            if segments.iter().copied().skip(1).eq(package)
                && let Some(clause) = &module.ast.package
            {
                let location = entry.document.locate_part(&module.path, clause.span.start..clause.span.end);
                found.extend(location.map(|location| place(entry, location, true)));
            }
        }
    }
    found
}
