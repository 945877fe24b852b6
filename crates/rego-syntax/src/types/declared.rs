//! The types of builtin functions, read from their declarations in [`crate::builtins`].

use super::lattice::{Key, Type};
use crate::builtins;

/// The type of a builtin function; none if there is no such function.
pub(super) fn builtin(name: &str) -> Option<Type> {
    parse(builtins::find(name)?.signature)
}

/// Reads `x: number, y: array[any] -> any<null, string>`. Without `->` the function returns nothing.
fn parse(signature: &'static str) -> Option<Type> {
    let (params, result) = match signature.split_once("->") {
        Some((params, result)) => (params.trim(), Some(result.trim())),
        None => (signature.trim(), None),
    };
    let mut names = Vec::new();
    let mut types = Vec::new();
    let mut reader = Reader(params);
    while !reader.0.is_empty() {
        names.push(reader.name());
        types.push(reader.of_type()?);
        if !reader.take(",") && !reader.0.is_empty() {
            return None;
        }
    }
    let mut reader = Reader(result.unwrap_or(""));
    names.push(reader.name());
    let result = if result.is_some() { reader.of_type()? } else { Type::Unknown };
    reader.0.is_empty().then(|| Type::function(types, result, names))
}

struct Reader(&'static str);

impl Reader {
    fn take(&mut self, token: &str) -> bool {
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'static str {
        let end = self.0.find(['<', '[', ',', '>', ']', ':']).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.trim()
    }

    /// The name before a colon; empty if there is none.
    fn name(&mut self) -> &'static str {
        let before = self.0;
        let name = self.word();
        if self.take(":") {
            return name;
        }
        self.0 = before;
        ""
    }

    fn of_type(&mut self) -> Option<Type> {
        let mut fixed = Vec::new();
        let word = self.word();
        Some(match word {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "number" => Type::Number,
            "string" => Type::String,
            "any" => {
                while self.separator(fixed.is_empty()) {
                    fixed.push(self.of_type()?);
                }
                fixed.sort();
                Type::union(fixed)
            }
            "array" => {
                while self.separator(fixed.is_empty()) {
                    fixed.push(self.of_type()?);
                }
                let dynamic = if self.take("[") { self.of_type()? } else { Type::Unknown };
                if !dynamic.is_unknown() && !self.take("]") {
                    return None;
                }
                Type::array(fixed, dynamic)
            }
            "set" => {
                let of = self.take("[").then(|| self.of_type())??;
                self.take("]").then(|| Type::set(of))?
            }
            "object" => {
                let mut fixed = Vec::new();
                while self.separator(fixed.is_empty()) {
                    let key = Key::string(self.name());
                    fixed.push((key, self.of_type()?));
                }
                let mut dynamic = None;
                if self.take("[") {
                    let key = self.of_type()?;
                    if !self.take(":") {
                        return None;
                    }
                    dynamic = Some((key, self.of_type()?));
                    if !self.take("]") {
                        return None;
                    }
                }
                Type::object(fixed, dynamic)
            }
            _ => return None,
        })
    }

    /// Whether another part of `<…>` follows.
    fn separator(&mut self, is_first: bool) -> bool {
        if is_first {
            return self.take("<");
        }
        !self.take(">") && self.take(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_declarations_are_read() {
        for row in builtins::all() {
            let Some(Type::Function(function)) = builtin(row.name) else {
                panic!("{} has no types", row.name)
            };
            assert_eq!(function.params.len(), row.arity, "{}", row.name);
        }
    }

    #[test]
    fn declarations_are_read_as_they_are_shown() {
        for name in ["json.patch", "net.cidr_contains_matches", "json.marshal_with_options", "time.clock"] {
            let Some(Type::Function(function)) = builtin(name) else { panic!("{name} has no declaration") };
            let declared = builtins::find(name).unwrap().signature.replace(" -> ", ", ");
            assert_eq!(super::super::show::parameters(&function, true), format!("({declared})"));
        }
    }
}
