//! The names in expressions of CEL, and what they mean: enough for people who write them. What an expression is worth
//! is decided elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

use portcullis_cel::names;

use crate::rego::Path;

/// Something that has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    /// A variable of the policy: `variables.NAME`.
    Variable(String),
    /// A parameter of constraints: its path below `params`.
    Parameter(Path),
    /// A field of the object that is reviewed, or of the one before: the path, with `object` or `oldObject`.
    Object(Path),
    /// A function.
    Function(String),
}

/// A name where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What it means.
    pub symbol: Symbol,
}

/// Macros whose first argument is each element of what they are called on.
const MACROS: &[&str] = &["all", "exists", "exists_one", "existsOne", "filter", "map"];

/// The names of an expression that mean something here, in order.
pub fn occurrences(text: &str) -> Vec<Occurrence> {
    let names = names(text);
    let (mut bound, mut found) = (BTreeMap::<&str, Path>::new(), Vec::new());
    let mut path: Path = Vec::new();
    let mut end = 0;
    for (number, name) in names.iter().enumerate() {
        let word = text.get(name.range.clone()).unwrap_or_default();
        let between = text.get(end..name.range.start).unwrap_or_default();
        end = name.range.end;
        match (name.is_member, link(between)) {
            (true, Some(is_indexed)) => path.extend(is_indexed.then_some(None)),
            // Of a call, or of something else that has no path.
            (true, None) => path = vec![None],
            (false, _) => path.clear(),
        }
        if name.is_called {
            found.push(Occurrence { range: name.range.clone(), symbol: Symbol::Function(word.to_owned()) });
            if MACROS.contains(&word)
                && let Some(argument) = names.get(number + 1).and_then(|next| text.get(next.range.clone()))
            {
                bound.insert(argument, path.iter().cloned().chain([None]).collect());
            }
            path = vec![None];
            continue;
        }
        match bound.get(word).filter(|_| !name.is_member) {
            Some(known) => path.clone_from(known),
            None => path.push(Some(word.to_owned())),
        }
        let symbol = meaning(&path).filter(|_| name.is_member);
        found.extend(symbol.map(|symbol| Occurrence { range: name.range.clone(), symbol }));
    }
    found
}

/// What a path means, of which at least one step is behind its root.
pub fn meaning(path: &[Option<String>]) -> Option<Symbol> {
    let name = |at: usize| path.get(at).and_then(Option::as_deref);
    match (name(0)?, name(1)) {
        ("variables", Some("params")) if path.len() > 2 => Some(Symbol::Parameter(path.get(2..)?.to_vec())),
        ("params", _) if path.len() > 1 => Some(Symbol::Parameter(path.get(1..)?.to_vec())),
        ("variables", Some("anyObject")) if path.len() > 2 => {
            let below = path.get(2..)?.iter().cloned();
            Some(Symbol::Object([Some("object".to_owned())].into_iter().chain(below).collect()))
        }
        ("variables", Some(variable)) if path.len() == 2 => Some(Symbol::Variable(variable.to_owned())),
        ("object" | "oldObject", _) if path.len() > 1 => Some(Symbol::Object(path.to_vec())),
        _ => None,
    }
}

/// Whether what stands between two names makes the second a part of the first: with an index, or without.
fn link(between: &str) -> Option<bool> {
    match between.trim() {
        "." | ".?" => Some(false),
        other => {
            let index = other.strip_prefix('[')?.strip_suffix("].")?;
            (!index.contains(['[', ']', '(', ')'])).then_some(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &[Option<String>]) -> String {
        path.iter().map(|step| step.as_deref().unwrap_or("_")).collect::<Vec<_>>().join(".")
    }

    #[test]
    fn names_are_known_through_macros_and_indices() {
        let text = "variables.cs.all(c, c.image in params.images) && object.spec.xs[0].y == size(variables.params.a.b) \
                    && object.spec.containers.exists(d, d.name == 'variables.no')";
        let found: Vec<String> = occurrences(text)
            .into_iter()
            .map(|one| match one.symbol {
                Symbol::Variable(name) => format!("variable {name}"),
                Symbol::Parameter(path) => format!("parameter {}", shown(&path)),
                Symbol::Object(path) => shown(&path),
                Symbol::Function(name) => format!("{name}()"),
            })
            .collect();
        let wanted = [
            "variable cs",
            "all()",
            "parameter images",
            "object.spec",
            "object.spec.xs",
            "object.spec.xs._.y",
            "size()",
            "variable params",
            "parameter a",
            "parameter a.b",
            "object.spec",
            "object.spec.containers",
            "exists()",
            "object.spec.containers._.name",
        ];
        assert_eq!(found, wanted);
    }
}
