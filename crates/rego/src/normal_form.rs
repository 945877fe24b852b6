//! The normal form: what lowering makes of rules, and what is evaluated.
//!
//! A rule body is a list of operations. Each reads slots of the rule's frame and writes slots that no
//! operation before it wrote, so that nothing is ever unbound where it is read. An operation that finds
//! nothing ends the attempt, and with it all of the statement it comes from: this is how undefined spreads in
//! OPA. An operation with several answers ([`OpKind::Scan`], [`OpKind::With`]) runs the rest of its list once
//! for each.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_rego_syntax::Span;
use portcullis_value::{Value, View};

use crate::builtins::Builtin;

/// A variable of a frame.
pub(crate) type Slot = u32;
/// A document made by rules, by its position in [`crate::Program`].
pub(crate) type GroupId = usize;
/// A place in the tree of documents made by rules.
pub(crate) type NodeId = usize;
/// Something that is kept between evaluations, by its position in [`NormalForm`].
pub(crate) type SiteId = usize;

/// What an operation reads.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Slot(Slot),
    Const(Value),
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row.name)
    }
}

/// Where a path of keys begins.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Input,
    /// The base document: what `data` has besides rules.
    Data,
    Arg(Arg),
}

/// What a value is matched against, left to right.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Anything.
    Any,
    /// Anything, which the slot then holds.
    Bind(Slot),
    /// What equals this.
    Equal(Arg),
    /// An array of this length.
    Array(Box<[Pattern]>),
    /// An object with exactly these keys.
    Object(Box<[(Arg, Pattern)]>),
}

/// An operation, and the statement it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) kind: OpKind,
    pub(crate) span: Span,
    pub(crate) charge: Charge,
}

impl Op {
    pub(crate) const fn new(kind: OpKind, span: Span) -> Self {
        Self { kind, span, charge: Charge::ONE }
    }
}

/// What is charged before an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// One for itself, and what was done ahead when the program was specialised.
    pub(crate) steps: u32,
    pub(crate) memory: u32,
}

impl Charge {
    pub(crate) const ONE: Self = Self { steps: 1, memory: 0 };
}

/// What keeping a value that was made is charged, in bytes. Those that are the same everywhere are not kept.
pub(crate) fn kept_bytes(value: &Value) -> usize {
    match value.view() {
        View::Undefined | View::Null | View::Bool(_) => 0,
        _ => size_of::<Value>(),
    }
}

#[derive(Clone, Debug)]
pub(crate) enum OpKind {
    /// Never holds.
    Fail,
    /// Follows keys from a root. Whether all keys are constant and short is known, since most are.
    Path { root: Root, keys: Box<[Arg]>, is_plain: bool, to: Slot },
    /// Each element whose key fits; of sets the elements are the keys, too.
    Scan { root: Root, key: Pattern, to: Slot },
    /// The document that rules make at a path.
    Document { group: GroupId, to: Slot },
    /// What is at keys below a path, made by rules or not.
    Tree { node: NodeId, keys: Box<[Arg]>, to: Slot },
    /// Each key there.
    Keys { node: NodeId, keys: Box<[Arg]>, to: Slot },
    /// The answer of a function.
    Call { callee: Callee, args: Box<[Arg]>, to: Slot },
    /// Each answer of a builtin that has several.
    Relation { builtin: &'static Builtin, args: Box<[Arg]>, to: Slot },
    /// Holds unless the value is `false`.
    Holds { value: Arg },
    /// Holds if the comparison does.
    Compare { operator: Comparison, left: Arg, right: Arg },
    /// Holds if the value fits.
    Match { value: Arg, pattern: Pattern },
    /// `[…]` of values.
    Array { items: Box<[Arg]>, to: Slot },
    /// `{…}` of values.
    Set { items: Box<[Arg]>, to: Slot },
    /// `{…: …}` of values. Whether the keys are constant and in order is known, since most are.
    Object { entries: Box<[(Arg, Arg)]>, is_sorted: bool, to: Slot },
    /// A comprehension.
    Collect { collect: Box<Collect>, to: Slot },
    /// Holds if the operations have no answer.
    Not { ops: Box<[Op]> },
    /// Holds if the operations have an answer for every element.
    Every { domain: Arg, key: Option<Slot>, value: Option<Slot>, ops: Box<[Op]> },
    /// Runs operations where documents or functions are replaced, and what follows where they are not.
    With { changes: Box<[Change]>, ops: Box<[Op]> },
    /// Keeps the values as a printed line.
    Print { args: Box<[Arg]> },
    /// Says that a statement is reached, by its position in [`NormalForm::marks`].
    Mark(usize),
    /// Compares with what `data` holds: each answer of a chain of operations whose values equal others.
    Join(Box<Join>),
}

impl OpKind {
    /// Entries that may be in any order are put into that of their keys.
    pub(crate) fn object(mut entries: Vec<(Arg, Arg)>, to: Slot) -> Self {
        let key = |(key, _): &(Arg, Arg)| if let Arg::Const(key) = key { Some(key.clone()) } else { None };
        if entries.iter().all(|entry| key(entry).is_some()) {
            entries.sort_by_key(key);
        }
        let is_sorted =
            entries.iter().all(|entry| key(entry).is_some()) && entries.is_sorted_by(|a, b| key(a) < key(b));
        Self::Object { entries: entries.into(), is_sorted, to }
    }

    pub(crate) fn path(root: Root, keys: Box<[Arg]>, to: Slot) -> Self {
        let is_plain = keys.iter().all(|key| match key {
            Arg::Const(key) => !is_heavy(key),
            Arg::Slot(_) => false,
        });
        Self::Path { root, keys, is_plain, to }
    }
}

/// Whether looking something up by a key is charged by its size.
pub(crate) fn is_heavy(key: &Value) -> bool {
    key.is_collection() || matches!(key.view(), View::String(text) if text.len() > 64)
}

/// A comparison with the answers of a [`SiteChain`].
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) site: SiteId,
    /// Operations that mean the same, as they were written: run where there is no index.
    pub(crate) scan: Box<[Op]>,
    /// Those of them that need nothing of the chain.
    pub(crate) before: Box<[Op]>,
    /// What the keys of the index must equal.
    pub(crate) keys: Box<[Arg]>,
    /// Those that are run for each answer that was found.
    pub(crate) behind: Box<[Op]>,
}

/// A comprehension.
#[derive(Clone, Debug)]
pub(crate) struct Collect {
    pub(crate) ops: Box<[Op]>,
    pub(crate) head: CollectHead,
}

/// What a comprehension makes for each answer.
#[derive(Clone, Debug)]
pub(crate) enum CollectHead {
    Array(Arg),
    Set(Arg),
    Object(Arg, Arg),
}

/// What is called.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    Builtin(&'static Builtin),
    Function(GroupId),
    Compare(Comparison),
    /// `value in collection`.
    Member,
    /// `key, value in collection`.
    MemberAt,
    /// The text of a template string; its argument is an array of texts and sets of at most one value.
    Template,
}

/// The comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One `with`.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// `input`, or the document at a path below it.
    Input { path: Box<[Value]>, value: Arg },
    /// The document at a path below `data`.
    Data { path: Box<[Value]>, value: Arg },
    /// A function.
    Function { target: Target, by: Replacement },
}

impl Change {
    /// What it reads.
    pub(crate) fn reads(&self) -> Option<&Arg> {
        match self {
            Self::Input { value, .. }
            | Self::Data { value, .. }
            | Self::Function { by: Replacement::Value(value), .. } => Some(value),
            Self::Function { by: Replacement::Callee(_), .. } => None,
        }
    }
}

/// A function that may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Builtin(&'static str),
    Function(GroupId),
}

/// What a function is replaced by.
#[derive(Clone, Debug)]
pub(crate) enum Replacement {
    Value(Arg),
    Callee(Callee),
}

/// A rule body with the head it is evaluated for: `else` makes several of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    /// Of how many slots the frame is; arguments come first.
    pub(crate) slots: u32,
    /// What arguments of a function must equal, before anything is run.
    pub(crate) guards: Box<[Guard]>,
    pub(crate) ops: Box<[Op]>,
    pub(crate) head: BranchHead,
    pub(crate) span: Span,
}

/// `f("a")`, or `f(x) { x == "a" }`: the argument at a position equals a constant without parts.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) position: usize,
    pub(crate) value: Value,
}

impl Branch {
    /// Whether the guards let the arguments through.
    pub(crate) fn admits(&self, args: &[&Value]) -> bool {
        self.guards.iter().all(|guard| args.get(guard.position).is_some_and(|arg| **arg == guard.value))
    }
}

/// What a branch gives for each answer of its operations.
#[derive(Clone, Debug)]
pub(crate) enum BranchHead {
    /// A value of a complete document or function.
    Value(Arg),
    /// An element of a set.
    Element(Arg),
    /// A value at a path of an object.
    Entry { path: Box<[Arg]>, value: Arg },
    /// An element of the set at a path of an object.
    EntryElement { path: Box<[Arg]>, element: Arg },
}

/// A rule: branches of which the first with an answer counts.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) module: usize,
    pub(crate) branches: Box<[Branch]>,
}

/// What kind of document rules make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    Complete,
    Function { arity: usize },
    Set,
    Object,
}

/// All rules of one document.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) kind: GroupKind,
    /// Below `data`.
    pub(crate) path: Box<[Value]>,
    pub(crate) definitions: Box<[Definition]>,
    pub(crate) default: Option<Definition>,
    /// All rules have the same constant value: the first answer is the only one.
    pub(crate) is_constant: bool,
    /// Where the document is kept that is the same in every evaluation with the same `data`.
    pub(crate) site: Option<SiteId>,
}

/// What is made once for all evaluations with the same `data`.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) kind: SiteKind,
    pub(crate) module: usize,
    /// What is used when it is made, in an order in which it can be made.
    pub(crate) needs: Box<[SiteId]>,
}

#[derive(Debug)]
pub(crate) enum SiteKind {
    Document(GroupId),
    /// A document that is a set, by its rules: the first key of each answer is an element.
    Set(Box<[SetRule]>),
    Chain(SiteChain),
}

/// A rule of a set that needs `data` only.
#[derive(Debug)]
pub(crate) struct SetRule {
    pub(crate) module: usize,
    pub(crate) chain: SiteChain,
}

/// Operations that read slots of their own, constants and `data` only.
#[derive(Debug)]
pub(crate) struct SiteChain {
    /// Of how many slots the frame is.
    pub(crate) slots: u32,
    pub(crate) ops: Box<[Op]>,
    /// What its answers are looked up by.
    pub(crate) keys: Box<[Slot]>,
    /// What is kept of each answer: the slots that others read.
    pub(crate) kept: Box<[Slot]>,
    pub(crate) member: Option<Member>,
}

impl SiteChain {
    /// Of how many values a row is.
    pub(crate) fn width(&self) -> usize {
        self.keys.len() + self.kept.len()
    }
}

/// The part of a chain that looks at one member of `data`, and so need not be run again while that is the
/// same.
#[derive(Debug)]
pub(crate) struct Member {
    /// How many operations come before that part, the iteration over the members last.
    pub(crate) after: usize,
    /// The member.
    pub(crate) slot: Slot,
    /// Slots from before that are read, too.
    pub(crate) fixed: Box<[Slot]>,
}

/// A place in the tree of documents made by rules.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) path: Box<[Value]>,
    pub(crate) group: Option<GroupId>,
    pub(crate) children: BTreeMap<Value, NodeId>,
}

/// Everything that is evaluated.
#[derive(Debug)]
pub(crate) struct NormalForm {
    pub(crate) groups: Vec<Group>,
    /// The first is `data`.
    pub(crate) nodes: Vec<Node>,
    pub(crate) entry: Entry,
    pub(crate) sites: Vec<Site>,
    /// Operations of all branches, inner ones counted.
    pub(crate) operations: usize,
    /// The statements that say when they are reached; none unless they are asked for.
    pub(crate) marks: Vec<Mark>,
    /// The statements, or the heads, that operations are of which stand for a part only: module and place.
    pub(crate) owners: BTreeMap<(usize, Span), Span>,
}

impl NormalForm {
    /// The statement or head that an operation is of, of programs with marks.
    pub(crate) fn owner(&self, module: usize, span: Span) -> Span {
        self.owners.get(&(module, span)).copied().unwrap_or(span)
    }
}

/// A place that says when it is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) module: usize,
    pub(crate) span: Span,
    pub(crate) kind: MarkKind,
    /// The mark that is reached when the operations behind this one hold; none behind the last, and where the
    /// statement goes on at a later mark.
    pub(crate) next: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// The beginning of a statement, or of a part of one.
    Statement,
    /// The end of a branch: its head.
    Head,
    /// The end of statements inside of another.
    End,
}

/// The lowered query.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) module: usize,
    pub(crate) branch: Branch,
    /// The named variables; none for [`crate::Query::Path`].
    pub(crate) variables: Option<Vec<(Value, Slot)>>,
}
