//! Writes policies and inputs from a tape of random choices. What is written is well-formed: every variable
//! is bound before it is used, and a rule asks only rules before it. The first choice is always the simplest,
//! so that a shorter tape is a simpler policy.

use std::fmt::Write as _;

/// What is written of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// What the model knows.
    Model,
    /// Of that, what the interpreter of regorus is known to get right.
    Engine,
}

pub struct Writer<'t> {
    tape: std::slice::Iter<'t, u8>,
    subset: Subset,
    /// Counts variables, so that no two have a name.
    variables: usize,
    /// Rules that can be asked.
    rules: Vec<String>,
    functions: Vec<String>,
}

type Scope = Vec<String>;

const PATHS: &[&str] = &[
    "input.a",
    "input.b",
    "input.c",
    "input.c.x",
    "input.b[0]",
    "input.d",
    "input.d[0].k",
    "input.z",
    "input.c[\"y\"]",
    "input.a.b",
];

impl<'t> Writer<'t> {
    pub fn new(tape: &'t [u8], subset: Subset) -> Self {
        Self { tape: tape.iter(), subset, variables: 0, rules: Vec::new(), functions: Vec::new() }
    }

    /// A number below `bound`; 0 when the tape has ended.
    fn pick(&mut self, bound: usize) -> usize {
        usize::from(self.tape.next().copied().unwrap_or(0)) % bound.max(1)
    }

    fn choose<'a>(&mut self, from: &'a [&'a str]) -> &'a str {
        from[self.pick(from.len())]
    }

    fn fresh(&mut self) -> String {
        self.variables += 1;
        format!("v{}", self.variables)
    }

    /// An input: the same few paths, each of them sometimes absent.
    pub fn input(&mut self) -> String {
        let mut entries = Vec::new();
        if self.pick(4) != 0 {
            let value = self.choose(&["1", "\"x\"", "{\"b\": 2}", "null", "[1, 2]", "false", "0"]).to_owned();
            entries.push(format!("\"a\": {value}"));
        }
        if self.pick(4) != 0 {
            let value =
                self.choose(&["[1, 2, 3]", "[]", "[1, \"x\", [1]]", "[2, 2]", "[false, 1]"]).to_owned();
            entries.push(format!("\"b\": {value}"));
        }
        if self.pick(4) != 0 {
            let value = self
                .choose(&["{\"x\": 1, \"y\": 2}", "{}", "{\"x\": \"y\"}", "{\"y\": {\"x\": 1}}"])
                .to_owned();
            entries.push(format!("\"c\": {value}"));
        }
        if self.pick(4) != 0 {
            let value = self
                .choose(&["[{\"k\": 1}, {\"k\": 2}]", "[{\"k\": \"x\"}, {}]", "[{\"j\": 1, \"k\": [1, 2]}]"])
                .to_owned();
            entries.push(format!("\"d\": {value}"));
        }
        format!("{{{}}}", entries.join(", "))
    }

    /// A module of the package `p`.
    pub fn module(&mut self) -> String {
        let mut text = "package p\n".to_owned();
        for number in 0..=self.pick(5) {
            let name = format!("r{number}");
            match self.pick(5) {
                0 => self.complete(&name, &mut text),
                1 => {
                    for _ in 0..=self.pick(2) {
                        let (body, scope) = self.body(&[], 2);
                        let key = self.head(&scope);
                        let _ = writeln!(text, "{name} contains {key} if {{\n{body}}}");
                    }
                }
                2 => {
                    for _ in 0..=self.pick(2) {
                        let (body, scope) = self.body(&[], 2);
                        let key = self.key(&scope);
                        let value = self.head(&scope);
                        let _ = writeln!(text, "{name}[{key}] := {value} if {{\n{body}}}");
                    }
                }
                3 => {
                    self.function(&format!("f{number}"), &mut text);
                    continue;
                }
                _ => {
                    let value = self.choose(&["0", "\"none\"", "false", "[]"]);
                    let _ = writeln!(text, "default {name} := {value}");
                    self.complete(&name, &mut text);
                }
            }
            self.rules.push(name);
        }
        text
    }

    fn complete(&mut self, name: &str, text: &mut String) {
        for _ in 0..=self.pick(2) {
            let (body, scope) = self.body(&[], 2);
            let value = self.head(&scope);
            let _ = write!(text, "{name} := {value} if {{\n{body}}}");
            for _ in 0..self.pick(3) {
                let (body, scope) = self.body(&[], 1);
                let value = self.head(&scope);
                let _ = write!(text, " else := {value} if {{\n{body}}}");
            }
            text.push('\n');
        }
    }

    fn function(&mut self, name: &str, text: &mut String) {
        for _ in 0..=self.pick(3) {
            let variable = self.fresh();
            let (param, scope) = match self.pick(4) {
                0 => (variable.clone(), vec![variable]),
                1 => (self.choose(&["1", "\"x\"", "[]"]).to_owned(), vec![]),
                2 => (format!("[{variable}, _]"), vec![variable]),
                _ => ("_".to_owned(), vec![]),
            };
            let (body, scope) = self.body(&scope, 1);
            let value = self.head(&scope);
            let _ = write!(text, "{name}({param}) := {value} if {{\n{body}}}");
            if self.pick(3) == 1 {
                let outer: Scope = if param.starts_with('v') { vec![param.clone()] } else { vec![] };
                let value = self.head(&outer);
                let _ = write!(text, " else := {value}");
            }
            text.push('\n');
        }
        self.functions.push(name.to_owned());
    }

    /// Statements, and the variables that are bound after them.
    fn body(&mut self, outer: &[String], depth: usize) -> (String, Scope) {
        let mut scope = outer.to_vec();
        let mut text = String::new();
        for _ in 0..=self.pick(3) {
            let statement = self.statement(&mut scope, depth);
            let _ = writeln!(text, "\t{statement}");
        }
        (text, scope)
    }

    fn statement(&mut self, scope: &mut Scope, depth: usize) -> String {
        match self.pick(if depth == 0 { 6 } else { 11 }) {
            0 => {
                let (variable, value) = (self.fresh(), self.term(scope, depth));
                scope.push(variable.clone());
                format!("{variable} := {value}")
            }
            1 => self.comparison(scope, depth),
            2 => {
                let (variable, collection) = (self.fresh(), self.collection(scope, depth));
                scope.push(variable.clone());
                format!("some {variable} in {collection}")
            }
            3 => {
                let (key, value) = (self.fresh(), self.fresh());
                let collection = self.collection(scope, depth);
                scope.extend([key.clone(), value.clone()]);
                format!("some {key}, {value} in {collection}")
            }
            4 => self.choose(PATHS).to_owned(),
            5 => {
                let variable = self.fresh();
                let path = self.choose(&["input.b", "input.c", "input.d", "input.a"]).to_owned();
                let steps = self.choose(&["[_]", "[_][_]", "[_].k"]).to_owned();
                scope.push(variable.clone());
                format!("{variable} = {path}{steps}")
            }
            6 => {
                let negated = match self.pick(3) {
                    0 => self.choose(PATHS).to_owned(),
                    1 => {
                        let path = self.choose(PATHS).to_owned();
                        // With the engine a negation of what is undefined always holds.
                        let operators: &[&str] =
                            if self.subset == Subset::Engine { &["=="] } else { &["==", "!=", "<", ">="] };
                        let operator = self.choose(operators).to_owned();
                        format!("{path} {operator} {}", self.constant())
                    }
                    _ => self.rule().unwrap_or_else(|| "input.z".to_owned()),
                };
                format!("not {negated}")
            }
            7 => {
                let (variable, index) = (self.fresh(), self.fresh());
                let path = self.choose(&["input.b", "input.c", "input.d"]).to_owned();
                scope.extend([variable.clone(), index.clone()]);
                format!("some {variable}, {index}\n\t{variable} = {path}[{index}]")
            }
            8 if self.subset == Subset::Engine => "input.b".to_owned(),
            8 => {
                let variable = self.fresh();
                let items = match self.pick(3) {
                    0 => format!("[{}]", self.items(scope, depth - 1)),
                    1 => format!("{{{}}}", self.items(scope, depth - 1)),
                    _ => "input.b".to_owned(),
                };
                let mut inner = scope.clone();
                inner.push(variable.clone());
                let test = self.comparison(&inner, depth - 1);
                format!("every {variable} in {items} {{ {variable} != 7; {test} }}")
            }
            9 => {
                let variable = self.fresh();
                let asked = self.rule().unwrap_or_else(|| "input.a".to_owned());
                let value = self.constant();
                let target = self.choose(&["input.a", "input.c.x", "input", "input.z"]).to_owned();
                let value = if target == "input" { format!("{{\"a\": {value}}}") } else { value };
                scope.push(variable.clone());
                format!("{variable} := {asked} with {target} as {value}")
            }
            _ => {
                let (one, other) = (self.fresh(), self.fresh());
                let value = format!("[{}, {}]", self.term(scope, depth - 1), self.term(scope, depth - 1));
                scope.extend([one.clone(), other.clone()]);
                format!("[{one}, {other}] := {value}")
            }
        }
    }

    fn comparison(&mut self, scope: &Scope, depth: usize) -> String {
        let lhs = self.term(scope, depth);
        let rhs = self.term(scope, depth);
        match self.pick(6) {
            0 => format!("{lhs} == {rhs}"),
            1 => format!("{lhs} != {rhs}"),
            2 => format!("{lhs} in {}", self.collection(scope, depth)),
            // The engine orders sets and objects the other way round.
            _ if self.subset == Subset::Engine => format!("count([{lhs}]) < count([{rhs}, 1])"),
            3 => format!("{lhs} < {rhs}"),
            4 => format!("{lhs} >= {rhs}"),
            _ => format!("{lhs} > {rhs}"),
        }
    }

    fn rule(&mut self) -> Option<String> {
        (!self.rules.is_empty()).then(|| {
            let at = self.pick(self.rules.len());
            self.rules[at].clone()
        })
    }

    fn constant(&mut self) -> String {
        self.choose(&["1", "2", "\"x\"", "true", "false", "null", "[1]", "{\"x\": 1}", "{1, 2}"]).to_owned()
    }

    fn key(&mut self, scope: &Scope) -> String {
        if scope.is_empty() || self.pick(2) == 0 {
            return self.choose(&["\"x\"", "\"y\"", "1"]).to_owned();
        }
        scope[self.pick(scope.len())].clone()
    }

    /// What a rule or comprehension makes. The engine stops iterating where it is undefined.
    fn head(&mut self, scope: &Scope) -> String {
        if self.subset == Subset::Model {
            self.term(scope, 1)
        } else if scope.is_empty() || self.pick(3) == 0 {
            self.constant()
        } else {
            scope[self.pick(scope.len())].clone()
        }
    }

    fn items(&mut self, scope: &Scope, depth: usize) -> String {
        let count = 1 + self.pick(2);
        (0..count).map(|_| self.term(scope, depth)).collect::<Vec<_>>().join(", ")
    }

    fn collection(&mut self, scope: &Scope, depth: usize) -> String {
        match self.pick(5) {
            0 => "input.b".to_owned(),
            1 => "input.c".to_owned(),
            2 => "input.d".to_owned(),
            3 => self.rule().unwrap_or_else(|| "input.b".to_owned()),
            _ => format!("[{}]", self.items(scope, depth.saturating_sub(1))),
        }
    }

    fn term(&mut self, scope: &Scope, depth: usize) -> String {
        match self.pick(if depth == 0 { 4 } else { 13 }) {
            0 => self.constant(),
            1 => self.choose(PATHS).to_owned(),
            2 | 3 if scope.is_empty() => self.choose(PATHS).to_owned(),
            2 => scope[self.pick(scope.len())].clone(),
            3 => {
                let variable = scope[self.pick(scope.len())].clone();
                let step = self.choose(&["[0]", ".x", ".k", "[1]", "[_]"]).to_owned();
                format!("{variable}{step}")
            }
            4 => format!("[{}]", self.items(scope, depth - 1)),
            5 => format!("{{{}}}", self.items(scope, depth - 1)),
            6 => format!("{{\"k\": {}}}", self.term(scope, depth - 1)),
            7 => {
                let operator = self.choose(&["+", "-", "*"]).to_owned();
                format!("({} {operator} {})", self.term(scope, depth - 1), self.term(scope, depth - 1))
            }
            8 => {
                let (body, inner) = self.body(scope, depth - 1);
                let body = body.trim().replace("\n\t", "; ");
                let head = self.head(&inner);
                match self.pick(3) {
                    0 => format!("[{head} | {body}]"),
                    1 => format!("{{{head} | {body}}}"),
                    _ => format!("{{{}: {head} | {body}}}", self.key(&inner)),
                }
            }
            9 if !self.functions.is_empty() => {
                let at = self.pick(self.functions.len());
                let name = self.functions[at].clone();
                format!("{name}({})", self.term(scope, depth - 1))
            }
            10 => format!("count({})", self.term(scope, depth - 1)),
            11 => {
                let operator = self.choose(&["|", "&", "-"]).to_owned();
                format!(
                    "({{{}}} {operator} {{{}}})",
                    self.items(scope, depth - 1),
                    self.items(scope, depth - 1)
                )
            }
            _ => self.rule().unwrap_or_else(|| self.constant()),
        }
    }
}
