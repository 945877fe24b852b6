//! Expressions as they are written, with macros expanded: nodes in one list, which name each other by place.
//! So a tree of any depth is dropped without recursion, and what is known of a node is a list beside it.

use std::sync::Arc;

/// The place of a node.
pub(crate) type ExprId = u32;

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// An element of a list: optional if it is written with `?`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub value: ExprId,
    pub optional: bool,
}

/// An entry of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub key: ExprId,
    pub value: ExprId,
    pub optional: bool,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub at: u32,
    pub name: Arc<str>,
    pub value: ExprId,
    pub optional: bool,
}

/// What macros become: goes over a range with an accumulator.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub range: ExprId,
    pub iter: Arc<str>,
    pub iter2: Option<Arc<str>>,
    pub accu: Arc<str>,
    pub init: ExprId,
    pub condition: ExprId,
    pub step: ExprId,
    pub result: ExprId,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Where the text is wrong. A diagnostic says so.
    Error,
    Literal(Literal),
    Ident(Arc<str>),
    Select {
        operand: ExprId,
        field: Arc<str>,
        test_only: bool,
    },
    Call {
        function: Arc<str>,
        target: Option<ExprId>,
        args: Vec<ExprId>,
    },
    List(Vec<Item>),
    Map(Vec<Entry>),
    Struct {
        name: Arc<str>,
        fields: Vec<Field>,
    },
    Fold(Box<Fold>),
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The byte that says where it is: of an operation, its sign.
    pub at: u32,
    pub kind: Kind,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Ast {
    pub nodes: Vec<Node>,
    pub root: ExprId,
}

static NOWHERE: Node = Node { at: 0, kind: Kind::Error };

impl Ast {
    pub(crate) fn node(&self, id: ExprId) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&NOWHERE)
    }

    /// `a.b.c` as a name, if it is one.
    pub(crate) fn qualified_name(&self, id: ExprId) -> Option<String> {
        let mut parts: Vec<&str> = Vec::new();
        let mut at = id;
        loop {
            match &self.node(at).kind {
                Kind::Ident(name) => {
                    parts.push(name);
                    parts.reverse();
                    return Some(parts.join("."));
                }
                Kind::Select { operand, field, test_only: false } => {
                    parts.push(field);
                    at = *operand;
                }
                _ => return None,
            }
        }
    }

    /// The nodes of an expression that are directly below one of them, in the order of the text.
    pub(crate) fn children(&self, id: ExprId) -> Vec<ExprId> {
        match &self.node(id).kind {
            Kind::Error | Kind::Literal(_) | Kind::Ident(_) => Vec::new(),
            Kind::Select { operand, .. } => vec![*operand],
            Kind::Call { target, args, .. } => target.iter().chain(args).copied().collect(),
            Kind::List(items) => items.iter().map(|item| item.value).collect(),
            Kind::Map(entries) => entries.iter().flat_map(|entry| [entry.key, entry.value]).collect(),
            Kind::Struct { fields, .. } => fields.iter().map(|field| field.value).collect(),
            Kind::Fold(fold) => vec![fold.range, fold.init, fold.condition, fold.step, fold.result],
        }
    }
}
