//! Marks before the operations of each statement, for programs whose coverage is asked for.

use std::collections::BTreeMap;

use portcullis_rego_syntax::Span;
use portcullis_rego_syntax::ast::{Module, Statement};
use portcullis_rego_syntax::visit::{Visitor, walk_module, walk_statement};

use crate::normal_form::{Branch, Charge, Collect, Definition, Mark, MarkKind, NormalForm, Op, OpKind};

/// Puts a mark before the first operation of each statement, one at the end of each branch for its head, and one at
/// the end of statements that stand inside of another.
/// Marks are charged nothing, so that an evaluation takes the same steps with them.
pub(super) fn mark<'m>(form: &mut NormalForm, modules: impl Iterator<Item = &'m Module>) {
    let statements = modules.map(statements).collect();
    let mut marker =
        Marker { module: 0, marks: Vec::new(), statements, owners: BTreeMap::new(), head: Span::default() };
    for group in &mut form.groups {
        for definition in group.definitions.iter_mut().chain(&mut group.default) {
            marker.definition(definition);
        }
    }
    form.marks = marker.marks;
    form.owners = marker.owners;
}

struct Marker {
    module: usize,
    marks: Vec<Mark>,
    /// By module, those that begin first and end last first.
    statements: Vec<Vec<Span>>,
    /// What operations are of whose place is a part of it.
    owners: BTreeMap<(usize, Span), Span>,
    /// The head of the branch at hand.
    head: Span,
}

/// The places of all statements of a module, also of those inside of others.
fn statements(module: &Module) -> Vec<Span> {
    struct All(Vec<Span>);

    impl<'m> Visitor<'m> for All {
        fn visit_statement(&mut self, statement: &'m Statement) {
            self.0.push(statement.span);
            walk_statement(self, statement);
        }
    }

    let mut all = All(Vec::new());
    walk_module(&mut all, module);
    all.0.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    all.0
}

impl Marker {
    fn definition(&mut self, definition: &mut Definition) {
        self.module = definition.module;
        for branch in &mut definition.branches {
            self.branch(branch);
        }
    }

    /// The innermost statement that an operation is of, or else the head.
    fn owner(&mut self, span: Span) -> Span {
        if let Some(owner) = self.owners.get(&(self.module, span)) {
            return *owner;
        }
        let statements = self.statements.get(self.module).map(Vec::as_slice).unwrap_or_default();
        let before = statements.partition_point(|statement| statement.start <= span.start);
        let mut before = statements.get(..before).unwrap_or_default().iter().rev();
        let owner = before.find(|statement| span.end <= statement.end).copied().unwrap_or(self.head);
        self.owners.insert((self.module, span), owner);
        owner
    }

    fn branch(&mut self, branch: &mut Branch) {
        self.head = branch.span;
        let (mut ops, last) = self.ops(&branch.ops, Some(branch.span));
        let head = self.new_mark(branch.span, MarkKind::Head, last);
        ops.push(head);
        branch.ops = ops.into();
    }

    /// A mark, which is reached when what follows `before` holds.
    fn new_mark(&mut self, span: Span, kind: MarkKind, before: Option<usize>) -> Op {
        let mark = self.marks.len();
        if let Some(before) = before.and_then(|before| self.marks.get_mut(before))
            && before.span != span
        {
            before.next = Some(mark);
        }
        self.marks.push(Mark { module: self.module, span, kind, next: None });
        Op { kind: OpKind::Mark(mark), span, charge: Charge { steps: 0, memory: 0 } }
    }

    /// `head` is the span of what is no statement. The second result is the last mark of the list itself.
    fn ops(&mut self, ops: &[Op], head: Option<Span>) -> (Vec<Op>, Option<usize>) {
        let mut marked = Vec::with_capacity(ops.len() + 1);
        let (mut last, mut last_mark) = (head, None);
        for op in ops {
            let owner = self.owner(op.span);
            if last != Some(owner) {
                // What the head is made of is reached with it.
                if owner != self.head {
                    let mark = self.marks.len();
                    marked.push(self.new_mark(owner, MarkKind::Statement, last_mark));
                    last_mark = Some(mark);
                }
                last = Some(owner);
            }
            marked.push(Op { kind: self.inside(&op.kind, owner), span: op.span, charge: op.charge });
        }
        (marked, last_mark)
    }

    fn inner(&mut self, ops: &[Op], span: Span) -> Box<[Op]> {
        // What stands within a statement by its own operations has its span.
        let (mut marked, last) = self.ops(ops, Some(span));
        if last.is_some() {
            marked.push(self.new_mark(span, MarkKind::End, last));
        }
        marked.into()
    }

    fn inside(&mut self, kind: &OpKind, span: Span) -> OpKind {
        match kind {
            OpKind::Not { ops } => OpKind::Not { ops: self.inner(ops, span) },
            OpKind::Every { domain, key, value, ops } => {
                OpKind::Every { domain: domain.clone(), key: *key, value: *value, ops: self.inner(ops, span) }
            }
            OpKind::With { changes, ops } => {
                OpKind::With { changes: changes.clone(), ops: self.inner(ops, span) }
            }
            OpKind::Collect { collect, to } => {
                let collect = Collect { ops: self.inner(&collect.ops, span), head: collect.head.clone() };
                OpKind::Collect { collect: Box::new(collect), to: *to }
            }
            other => other.clone(),
        }
    }
}
