//! Documents that depend on one entry of `input` only, such as the reviewed object, and so are the same in
//! every evaluation with that entry: also of other programs that have the same rules.
//!
//! Two documents are the same if their operations are, with all that they need, whatever the rules are called
//! and wherever they stand: this is what their digests say.

use std::fmt::{self, Write as _};

use portcullis_rego_syntax::Span;
use portcullis_rego_syntax::builtins::Effects;
use portcullis_value::Value;
use sha2::{Digest as _, Sha256};

use crate::builtins::Builtin;
use crate::normal_form::{
    Arg, Branch, Callee, Collect, Definition, Group, GroupId, GroupKind, NormalForm, Op, OpKind, Root,
};

/// Most documents and functions that one document may need.
const MOST_NEEDED: usize = 64;

/// Most operations of all of them: of larger ones the digest would cost more than it saves.
const MOST_OPERATIONS: usize = 4_000;

/// Most operations that are written for all documents of a program: some tens of milliseconds. This is done
/// once, in the first review, and charged to none.
const MOST_WRITTEN: usize = 30_000;

/// What a document is, whatever program it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

/// A document that may be the same elsewhere.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) digest: Digest,
    /// The documents it needs, itself first: in the same order wherever it is.
    pub(crate) needed: Box<[GroupId]>,
}

/// The documents of a program that depend on one entry of `input` only, by their groups.
#[derive(Debug)]
pub(crate) struct Commons {
    pub(crate) key: Value,
    groups: Box<[Option<Common>]>,
}

impl Commons {
    /// Those of a program. Cost: writing the operations of each document with those of all it needs, 30,000 of
    /// all; documents beyond these are not shared.
    pub(crate) fn of(form: &NormalForm, key: &Value) -> Self {
        let mut room = MOST_WRITTEN;
        let common = |id: GroupId| {
            let is_document = form.groups.get(id).is_some_and(is_document);
            is_document.then(|| Walk::of(form, key, id, &mut room)).flatten()
        };
        Self { key: key.clone(), groups: (0..form.groups.len()).map(common).collect() }
    }

    pub(crate) fn get(&self, group: GroupId) -> Option<&Common> {
        self.groups.get(group)?.as_ref()
    }
}

const fn is_document(group: &Group) -> bool {
    !matches!(group.kind, GroupKind::Function { .. })
}

struct Walk<'f> {
    key: &'f Value,
    /// Documents and functions that are needed, in the order in which they are met.
    needed: Vec<GroupId>,
    operations: usize,
    /// Operations that may still be written for the program.
    room: &'f mut usize,
}

/// A digest that is written to.
struct Writer(Sha256);

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl<'f> Walk<'f> {
    /// None if the document depends on anything else.
    fn of(form: &NormalForm, key: &'f Value, id: GroupId, room: &'f mut usize) -> Option<Common> {
        let mut walk = Self { key, needed: vec![id], operations: 0, room };
        let mut writer = Writer(Sha256::new());
        let mut next = 0;
        while let Some(group) = walk.needed.get(next) {
            let group = form.groups.get(*group).filter(|group| group.site.is_none())?;
            let definitions = group.definitions.iter().chain(&group.default);
            let head = (group.kind, group.is_constant, group.definitions.len(), group.default.is_some());
            write!(writer, "{head:?}").ok()?;
            for definition in definitions {
                let definition = walk.definition(definition)?;
                write!(writer, "{:?}", definition.branches).ok()?;
            }
            next += 1;
        }
        let documents = walk.needed.into_iter().filter(|id| form.groups.get(*id).is_some_and(is_document));
        Some(Common { digest: Digest(writer.0.finalize().into()), needed: documents.collect() })
    }

    /// As it would be written anywhere else.
    fn definition(&mut self, definition: &Definition) -> Option<Definition> {
        let branch = |branch: &Branch| {
            Some(Branch { ops: self.ops(&branch.ops)?, span: Span::default(), ..branch.clone() })
        };
        let branches = definition.branches.iter().map(branch).collect::<Option<_>>()?;
        Some(Definition { module: 0, branches })
    }

    fn ops(&mut self, ops: &[Op]) -> Option<Box<[Op]>> {
        // A list without operations is written as well.
        let written = ops.len() + 1;
        *self.room = self.room.checked_sub(written)?;
        self.operations += written;
        if self.operations > MOST_OPERATIONS {
            return None;
        }
        let op = |op: &Op| Some(Op { kind: self.kind(&op.kind)?, span: Span::default(), charge: op.charge });
        ops.iter().map(op).collect()
    }

    fn kind(&mut self, kind: &OpKind) -> Option<OpKind> {
        match kind {
            OpKind::Path { root: Root::Input, keys, .. } => {
                let is_known = matches!(keys.first(), Some(Arg::Const(first)) if first == self.key);
                is_known.then(|| kind.clone())
            }
            OpKind::Path { root: Root::Data, .. }
            | OpKind::Scan { root: Root::Input | Root::Data, .. }
            | OpKind::Tree { .. }
            | OpKind::Keys { .. }
            | OpKind::With { .. }
            | OpKind::Print { .. }
            | OpKind::Mark(_)
            | OpKind::Join(_) => None,
            OpKind::Document { group, to } => Some(OpKind::Document { group: self.need(*group)?, to: *to }),
            OpKind::Call { callee, args, to } => {
                let callee = match callee {
                    Callee::Builtin(builtin) if !is_closed(builtin) => return None,
                    Callee::Function(group) => Callee::Function(self.need(*group)?),
                    Callee::Builtin(_)
                    | Callee::Compare(_)
                    | Callee::Member
                    | Callee::MemberAt
                    | Callee::Template => callee.clone(),
                };
                Some(OpKind::Call { callee, args: args.clone(), to: *to })
            }
            OpKind::Relation { builtin, .. } => is_closed(builtin).then(|| kind.clone()),
            OpKind::Collect { collect, to } => {
                let collect = Collect { ops: self.ops(&collect.ops)?, head: collect.head.clone() };
                Some(OpKind::Collect { collect: Box::new(collect), to: *to })
            }
            OpKind::Not { ops } => Some(OpKind::Not { ops: self.ops(ops)? }),
            OpKind::Every { domain, key, value, ops } => {
                let ops = self.ops(ops)?;
                Some(OpKind::Every { domain: domain.clone(), key: *key, value: *value, ops })
            }
            OpKind::Fail
            | OpKind::Path { root: Root::Arg(_), .. }
            | OpKind::Scan { root: Root::Arg(_), .. }
            | OpKind::Holds { .. }
            | OpKind::Compare { .. }
            | OpKind::Match { .. }
            | OpKind::Array { .. }
            | OpKind::Set { .. }
            | OpKind::Object { .. } => Some(kind.clone()),
        }
    }

    /// The number of a document or function among those that are needed.
    fn need(&mut self, group: GroupId) -> Option<GroupId> {
        if let Some(known) = self.needed.iter().position(|known| *known == group) {
            return Some(known);
        }
        self.needed.push(group);
        (self.needed.len() <= MOST_NEEDED).then(|| self.needed.len() - 1)
    }
}

const fn is_closed(builtin: &Builtin) -> bool {
    matches!(builtin.row.effects, Effects::Closed | Effects::Infallible)
}
