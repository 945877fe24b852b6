//! Marks before the operations of each statement, for programs whose coverage is asked for.

use portcullis_rego_syntax::Span;

use crate::normal_form::{Branch, Charge, Collect, Definition, NormalForm, Op, OpKind};

/// Puts a mark before the first operation of each statement, and one at the end of each branch for its head.
/// Marks are charged nothing, so that an evaluation takes the same steps with them.
pub(super) fn mark(form: &mut NormalForm) {
    let mut marker = Marker { module: 0, marks: Vec::new() };
    for group in &mut form.groups {
        for definition in group.definitions.iter_mut().chain(&mut group.default) {
            marker.definition(definition);
        }
    }
    form.marks = marker.marks;
}

struct Marker {
    module: usize,
    marks: Vec<(usize, Span)>,
}

impl Marker {
    fn definition(&mut self, definition: &mut Definition) {
        self.module = definition.module;
        for branch in &mut definition.branches {
            self.branch(branch);
        }
    }

    fn branch(&mut self, branch: &mut Branch) {
        let mut ops = self.ops(&branch.ops, Some(branch.span));
        ops.push(self.new_mark(branch.span));
        branch.ops = ops.into();
    }

    fn new_mark(&mut self, span: Span) -> Op {
        let mark = self.marks.len();
        self.marks.push((self.module, span));
        Op { kind: OpKind::Mark(mark), span, charge: Charge { steps: 0, memory: 0 } }
    }

    /// `head` is the span of what is no statement.
    fn ops(&mut self, ops: &[Op], head: Option<Span>) -> Vec<Op> {
        let mut marked = Vec::with_capacity(ops.len() + 1);
        let mut last = head;
        for op in ops {
            if last != Some(op.span) {
                marked.push(self.new_mark(op.span));
                last = Some(op.span);
            }
            marked.push(Op { kind: self.inside(&op.kind, op.span), span: op.span, charge: op.charge });
        }
        marked
    }

    fn inside(&mut self, kind: &OpKind, span: Span) -> OpKind {
        // What stands within a statement by its own operations has its span.
        let mut inner = |ops: &[Op]| self.ops(ops, Some(span)).into();
        match kind {
            OpKind::Not { ops } => OpKind::Not { ops: inner(ops) },
            OpKind::Every { domain, key, value, ops } => {
                OpKind::Every { domain: domain.clone(), key: *key, value: *value, ops: inner(ops) }
            }
            OpKind::With { changes, ops } => OpKind::With { changes: changes.clone(), ops: inner(ops) },
            OpKind::Collect { collect, to } => {
                let collect = Collect { ops: inner(&collect.ops), head: collect.head.clone() };
                OpKind::Collect { collect: Box::new(collect), to: *to }
            }
            other => other.clone(),
        }
    }
}
