//! The operations of the normal form, run one after the other.
//!
//! [`Machine::run`] takes a list of operations and what to do with an answer (`found`). Most operations have
//! at most one answer and are a step of its loop ([`Machine::simple`]): it goes on, or the attempt ends.
//! Operations with several answers (`Scan`, `Relation`, `Keys`, `With`, `Join`) run the rest of the list for
//! each, by calling `run` again; that is all the backtracking there is. The depth of these calls is bounded
//! by a limit.
//!
//! A call that nobody has answered yet ends the attempt, and so does every operation within which there was one
//! (`Machine::unknown`): nothing goes on from what may be otherwise. All else is run on, so that what is asked
//! independently is asked at once.
//!
//! Each operation is charged one step before it runs, and what was done ahead of it when the program was
//! specialised; it charges itself for what it looks at or makes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use portcullis_rego_syntax::Span;
use portcullis_value::{Object, Set, Value, View};

use super::documents::TWO_ENTRIES;
use super::heap::{UNDEFINED, boolean};
use super::replaced::{Replaced, World, with_path};
use super::tracer::Tracer;
use super::{Flow, Machine, Step, Stop};
use crate::builtins::{Builtin, Context, Failure};
use crate::collections;
use crate::error::{EvalError, EvalErrorKind};
use crate::normal_form::{
    Arg, Callee, Change, Charge, Collect, CollectHead, Comparison, Op, OpKind, Pattern, Replacement, Root,
    Slot, Target, is_heavy,
};

/// So many entries of an object are put in order one by one.
const MAX_LISTED: usize = 32;

/// Where an attempt goes after an operation.
enum Next {
    /// To the next operation.
    On,
    /// Nowhere: there is no answer.
    Fail,
}

impl Next {
    fn when(holds: bool) -> Self {
        if holds { Self::On } else { Self::Fail }
    }
}

impl<'v, T: Tracer<'v>> Machine<'v, T> {
    /// Runs operations, and `found` for each answer.
    pub(super) fn run(&mut self, ops: &'v [Op], found: &mut dyn FnMut(&mut Self) -> Step) -> Step {
        let mut rest = ops;
        while let Some((op, after)) = rest.split_first() {
            let Charge { steps, memory } = op.charge;
            if let Err(error) =
                self.budget.step(steps.into()).and_then(|()| self.budget.charge(memory.into()))
            {
                return Err(self.located(error.into(), op.span));
            }
            let unknown = self.unknown;
            let next = match &op.kind {
                OpKind::Path { root, keys, is_plain, to } => {
                    let next = self.path(root, keys, *is_plain, *to);
                    if T::RECORDS {
                        self.record_path(root, keys, matches!(next, Ok(Next::On)).then_some(*to));
                    }
                    next
                }
                OpKind::Not { ops } => {
                    self.tracer.enter(self.module, op.span);
                    let holds = self.has_answer(ops);
                    self.tracer.leave();
                    holds.map(|holds| Next::when(!holds))
                }
                OpKind::Call { callee, args, to } => {
                    let answer = self.call(callee, args, op.span);
                    if T::RECORDS
                        && let Ok(answer) = &answer
                    {
                        self.record_call(callee, args, answer);
                    }
                    answer.map(|value| self.keep(*to, value))
                }
                OpKind::Scan { root, key, to } => {
                    return self.scan(root, key, *to, op.span, after, found);
                }
                OpKind::Relation { builtin, args, to } => {
                    return self.relation(builtin, args, *to, op.span, after, found);
                }
                OpKind::Keys { node, keys, to } => {
                    let keys: Vec<&Value> = keys.iter().map(|key| self.value(key)).collect();
                    let keys = self.keys_at(*node, &keys).map_err(|error| self.located(error, op.span))?;
                    if self.unknown != unknown {
                        return Ok(Flow::More);
                    }
                    return self.each(keys.into_iter(), *to, op.span, after, found);
                }
                OpKind::With { changes, ops } => return self.with(changes, ops, op.span, after, found),
                OpKind::Join(join) => return self.join(join, op.span, after, found),
                kind => self.simple(kind, op.span),
            };
            match next {
                // What rests on something unknown is unknown as well.
                Ok(Next::On) if self.unknown != unknown => return Ok(Flow::More),
                Ok(Next::On) => rest = after,
                Ok(Next::Fail) => {
                    self.tracer.fail(self.module, op.span);
                    return Ok(Flow::More);
                }
                Err(error) => return Err(self.located(error, op.span)),
            }
        }
        found(self)
    }

    /// An operation with at most one answer, of those that are not run above.
    fn simple(&mut self, kind: &'v OpKind, span: Span) -> Result<Next, Stop> {
        match kind {
            OpKind::Fail
            | OpKind::Scan { .. }
            | OpKind::Relation { .. }
            | OpKind::Keys { .. }
            | OpKind::With { .. }
            | OpKind::Path { .. }
            | OpKind::Not { .. }
            | OpKind::Call { .. }
            | OpKind::Join(_) => Ok(Next::Fail),
            OpKind::Document { group, to } => {
                let value = self.document(*group)?;
                Ok(self.keep(*to, value))
            }
            OpKind::Tree { node, keys, to } => {
                let keys: Vec<&Value> = keys.iter().map(|key| self.value(key)).collect();
                let value = self.tree_at(*node, &keys, span)?;
                Ok(self.keep(*to, value))
            }
            OpKind::Holds { value } => {
                Ok(Next::when(!matches!(self.value(value).view(), View::Bool(false) | View::Undefined)))
            }
            OpKind::Compare { operator, left, right } => {
                let (left, right) = (self.value(left), self.value(right));
                let holds = collections::compare(&mut self.budget, *operator, left, right)?;
                if T::RECORDS {
                    self.tracer.compare(*operator, left, right, holds);
                }
                Ok(Next::when(holds))
            }
            OpKind::Match { value, pattern } => {
                let value = self.value(value);
                let fits = self.fits(value, pattern)?;
                if T::RECORDS
                    && let Pattern::Equal(other) = pattern
                {
                    let other = self.value(other);
                    self.tracer.compare(Comparison::Equal, value, other, fits);
                }
                Ok(Next::when(fits))
            }
            OpKind::Array { items, to } => {
                self.budget.make_items(items.len())?;
                let items: Value = items.iter().map(|item| self.value(item).clone()).collect();
                let array = self.make(items)?;
                Ok(self.keep(*to, array))
            }
            OpKind::Set { items, to } => {
                // A tree has more to be made than its elements.
                self.budget.step(4)?;
                self.budget.make_items(items.len())?;
                let start = self.found.len();
                for item in items {
                    let item = self.value(item);
                    collections::weigh(&mut self.budget, item)?;
                    self.found.push(item);
                }
                let set = self.take_set(start);
                let set = self.make(set)?;
                Ok(self.keep(*to, set))
            }
            OpKind::Object { entries, is_sorted, to } => {
                self.budget.step(4)?;
                self.budget.make_items(entries.len())?;
                let object =
                    if *is_sorted { self.sorted_object(entries)? } else { self.object(entries, span)? };
                Ok(self.keep(*to, object))
            }
            OpKind::Collect { collect, to } => {
                self.tracer.enter(self.module, span);
                let value = self.collect(collect, span);
                self.tracer.leave();
                let value = value?;
                Ok(self.keep(*to, value))
            }
            OpKind::Every { domain, key, value, ops } => {
                self.tracer.enter(self.module, span);
                let next = self.every(domain, *key, *value, ops);
                self.tracer.leave();
                next
            }
            OpKind::Mark(mark) => {
                self.tracer.reach(*mark);
                Ok(Next::On)
            }
            OpKind::Print { args } => {
                self.print(args)?;
                Ok(Next::On)
            }
        }
    }

    fn keep(&mut self, to: Slot, value: &'v Value) -> Next {
        if value.is_undefined() {
            return Next::Fail;
        }
        self.set(to, value);
        Next::On
    }

    /// Where keys begin, and those that are left.
    fn start<'k>(&mut self, root: &'v Root, keys: &'k [Arg]) -> (Option<&'v Value>, &'k [Arg])
    where
        'v: 'k,
    {
        if let (Root::Input, Some((first, rest))) = (root, keys.split_first())
            && !self.world.parts.is_empty()
        {
            let Arg::Const(first) = first else { return (self.root(root), keys) };
            let part = self.world.parts.iter().find(|(key, _)| key == first);
            return (part.map(|(_, value)| value), rest);
        }
        (self.root(root), keys)
    }

    /// `input`, put together if it is not yet.
    fn whole_input(&mut self) -> Option<&'v Value> {
        if !self.world.parts.is_empty() {
            let whole = Object::of_sorted(self.world.parts.iter().cloned());
            self.world.input = Some(self.heap.keep_free(Value::from(whole)));
            self.world.parts = &[];
        }
        self.world.input
    }

    fn root(&mut self, root: &'v Root) -> Option<&'v Value> {
        match root {
            Root::Input => self.whole_input(),
            Root::Data => Some(self.world.data),
            Root::Arg(arg) => Some(self.value(arg)),
        }
    }

    fn path(&mut self, root: &'v Root, keys: &'v [Arg], is_plain: bool, to: Slot) -> Result<Next, Stop> {
        self.budget.step(keys.len() as u64 / 4)?;
        if !is_plain {
            for key in keys {
                let key = self.value(key);
                if is_heavy(key) {
                    collections::weigh(&mut self.budget, key)?;
                }
            }
        }
        let (Some(mut value), keys) = self.start(root, keys) else { return Ok(Next::Fail) };
        for key in keys {
            let key = self.value(key);
            let found = match (value.view(), key.as_str()) {
                (View::Object(object), Some(text)) => object.get_str(text),
                _ if matches!(root, Root::Data) => collections::get_base(value, key),
                _ => collections::get(value, key),
            };
            let Some(found) = found else { return Ok(Next::Fail) };
            value = found;
        }
        Ok(self.keep(to, value))
    }

    /// Tells what keys lead to.
    #[cold]
    fn record_path(&mut self, root: &'v Root, keys: &'v [Arg], found: Option<Slot>) {
        let base = match root {
            Root::Input => None,
            Root::Data => return,
            Root::Arg(arg) => Some(self.value(arg)),
        };
        let keys: Vec<&Value> = keys.iter().map(|key| self.value(key)).collect();
        let found = found.map(|slot| self.slot(slot));
        self.tracer.read(base, &keys, found);
    }

    /// Tells what a builtin says.
    #[cold]
    fn record_call(&mut self, callee: &'v Callee, args: &'v [Arg], answer: &'v Value) {
        let args: Vec<&Value> = args.iter().map(|arg| self.value(arg)).collect();
        let answer = Some(answer).filter(|answer| !answer.is_undefined());
        match callee {
            Callee::Builtin(builtin) => self.tracer.call(builtin.row.name, &args, answer),
            Callee::Member | Callee::MemberAt => self.tracer.call("in", &args, answer),
            Callee::Compare(operator) => {
                if let [left, right] = *args.as_slice() {
                    let holds = answer.is_some_and(|answer| matches!(answer.view(), View::Bool(true)));
                    self.tracer.compare(*operator, left, right, holds);
                }
            }
            Callee::Function(_) | Callee::Template => {}
        }
    }

    fn scan(
        &mut self,
        root: &'v Root,
        key: &'v Pattern,
        to: Slot,
        span: Span,
        after: &'v [Op],
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        let Some(collection) = self.root(root).filter(|collection| collection.count().is_some()) else {
            self.tracer.fail(self.module, span);
            return Ok(Flow::More);
        };
        let count = collection.count().unwrap_or_default();
        let mut has_any = false;
        let position = self.tracer.position();
        self.budget.step(count as u64).map_err(|error| self.located(error.into(), span))?;
        self.deeper().map_err(|error| self.located(error, span))?;
        let mut flow = Flow::More;
        match collection.view() {
            View::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if !matches!(key, Pattern::Any) {
                        let index = self.heap.index(&mut self.budget, index)?;
                        if !self.fits(index, key)? {
                            continue;
                        }
                    }
                    has_any = true;
                    self.tracer.back_to(position);
                    self.tracer.pick(item);
                    self.set(to, item);
                    flow = self.run(after, found)?;
                    if flow == Flow::Enough {
                        break;
                    }
                }
            }
            View::Set(items) => {
                for item in items {
                    if self.fits(item, key)? {
                        has_any = true;
                        self.tracer.back_to(position);
                        self.tracer.pick(item);
                        self.set(to, item);
                        flow = self.run(after, found)?;
                        if flow == Flow::Enough {
                            break;
                        }
                    }
                }
            }
            View::Object(object) => {
                for (name, value) in object.iter() {
                    if self.fits(name, key)? {
                        has_any = true;
                        self.tracer.back_to(position);
                        self.tracer.pick(value);
                        self.set(to, value);
                        flow = self.run(after, found)?;
                        if flow == Flow::Enough {
                            break;
                        }
                    }
                }
            }
            _ => {}
        }
        self.depth -= 1;
        if !has_any {
            self.tracer.fail(self.module, span);
        }
        Ok(flow)
    }

    fn relation(
        &mut self,
        builtin: &'static Builtin,
        args: &'v [Arg],
        to: Slot,
        span: Span,
        after: &'v [Op],
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        let frame = self.push_all(args);
        let answers = self.builtin(builtin, frame, span).map_err(|error| self.located(error, span))?;
        let View::Array(answers) = answers.view() else {
            self.tracer.fail(self.module, span);
            return Ok(Flow::More);
        };
        self.each(answers.iter(), to, span, after, found)
    }

    /// Runs what follows for each value.
    fn each(
        &mut self,
        values: impl Iterator<Item = &'v Value>,
        to: Slot,
        span: Span,
        after: &'v [Op],
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        self.deeper().map_err(|error| self.located(error, span))?;
        let mut flow = Ok(Flow::More);
        let mut has_any = false;
        let position = self.tracer.position();
        for value in values {
            has_any = true;
            self.tracer.back_to(position);
            self.set(to, value);
            flow = self.run(after, found);
            if !matches!(flow, Ok(Flow::More)) {
                break;
            }
        }
        self.depth -= 1;
        if !has_any {
            self.tracer.fail(self.module, span);
        }
        flow
    }

    /// Whether a value fits; variables of the pattern are then set.
    fn fits(&mut self, value: &'v Value, pattern: &'v Pattern) -> Result<bool, Stop> {
        match (pattern, value.view()) {
            (Pattern::Any, _) => Ok(true),
            (Pattern::Bind(slot), _) => {
                self.set(*slot, value);
                Ok(true)
            }
            (Pattern::Equal(other), _) => {
                let other = self.value(other);
                Ok(collections::equal(&mut self.budget, other, value)?)
            }
            (Pattern::Array(patterns), View::Array(items)) if items.len() == patterns.len() => {
                self.budget.step(patterns.len() as u64 / 4)?;
                for (item, pattern) in items.iter().zip(patterns) {
                    if !self.fits(item, pattern)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Pattern::Object(patterns), View::Object(object)) if object.len() == patterns.len() => {
                self.budget.step(patterns.len() as u64)?;
                for (key, pattern) in patterns {
                    let key = self.value(key);
                    collections::weigh(&mut self.budget, key)?;
                    let Some(found) = object.get(key) else { return Ok(false) };
                    if !self.fits(found, pattern)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Pattern::Array(_) | Pattern::Object(_), _) => Ok(false),
        }
    }

    /// Gives a key a value. Two values are a conflict.
    fn insert(
        &mut self,
        object: &mut BTreeMap<&'v Value, &'v Value>,
        key: &'v Value,
        value: &'v Value,
        span: Span,
    ) -> Result<(), Stop> {
        collections::weigh(&mut self.budget, key)?;
        match object.entry(key) {
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
            Entry::Occupied(place) if collections::equal(&mut self.budget, place.get(), value)? => Ok(()),
            Entry::Occupied(_) => Err(self.conflict(span, TWO_ENTRIES)),
        }
    }

    /// `{…: …}` of values whose keys are constant, in order and different.
    fn sorted_object(&mut self, entries: &'v [(Arg, Arg)]) -> Result<&'v Value, Stop> {
        for (key, _) in entries {
            let key = self.value(key);
            collections::weigh(&mut self.budget, key)?;
        }
        let entries = entries.iter().map(|(key, value)| (self.value(key).clone(), self.value(value).clone()));
        let object = Object::of_sorted(entries);
        self.make(Value::from(object))
    }

    /// `{…: …}` of values. Nearly all have few entries, which need no tree.
    fn object(&mut self, entries: &'v [(Arg, Arg)], span: Span) -> Result<&'v Value, Stop> {
        if entries.len() > MAX_LISTED {
            let mut object = BTreeMap::new();
            for (key, value) in entries {
                self.insert(&mut object, self.value(key), self.value(value), span)?;
            }
            return self.make(object_of(&object));
        }
        let mut object: Vec<(&Value, &Value)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key, value) = (self.value(key), self.value(value));
            collections::weigh(&mut self.budget, key)?;
            match object.binary_search_by(|(known, _)| (*known).cmp(key)) {
                Err(place) => object.insert(place, (key, value)),
                Ok(place) => {
                    let known = object.get(place).map_or(UNDEFINED, |(_, known)| known);
                    if !collections::equal(&mut self.budget, known, value)? {
                        return Err(self.conflict(span, TWO_ENTRIES));
                    }
                }
            }
        }
        let object = object.iter().map(|(key, value)| ((*key).clone(), (*value).clone()));
        self.make(Value::from(Object::of_sorted(object)))
    }

    /// The set of what was found since so many were; of elements that are equal the first one stays.
    pub(super) fn take_set(&mut self, start: usize) -> Value {
        let elements = self.found.get_mut(start..).unwrap_or_default();
        let is_sorted = elements.is_sorted_by(|a, b| a < b);
        if !is_sorted {
            elements.sort();
        }
        let set = if is_sorted {
            Set::of_sorted(elements.iter().copied().cloned())
        } else {
            // Stable, so that the first of those that are equal comes first.
            let firsts = elements.chunk_by(|a, b| a.cmp(b).is_eq()).filter_map(|equal| equal.first());
            firsts.copied().cloned().collect()
        };
        self.found.truncate(start);
        Value::from(set)
    }

    fn has_answer(&mut self, ops: &'v [Op]) -> Result<bool, Stop> {
        self.deeper()?;
        let flow = self.run(ops, &mut |_| Ok(Flow::Enough));
        self.depth -= 1;
        Ok(flow? == Flow::Enough)
    }

    fn every(
        &mut self,
        domain: &'v Arg,
        key: Option<Slot>,
        value: Option<Slot>,
        ops: &'v [Op],
    ) -> Result<Next, Stop> {
        let domain = self.value(domain);
        let Some(count) = domain.count() else { return Ok(Next::Fail) };
        self.budget.step(count as u64)?;
        let holds = |machine: &mut Self, name: Option<&'v Value>, element: &'v Value| -> Result<bool, Stop> {
            if let (Some(slot), Some(name)) = (key, name) {
                machine.set(slot, name);
            }
            if let Some(slot) = value {
                machine.set(slot, element);
            }
            let unknown = machine.unknown;
            // One that is not known yet does not keep the others from being asked.
            Ok(machine.has_answer(ops)? || machine.unknown != unknown)
        };
        match domain.view() {
            View::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let index = match key {
                        Some(_) => Some(self.heap.index(&mut self.budget, index)?),
                        None => None,
                    };
                    if !holds(self, index, item)? {
                        return Ok(Next::Fail);
                    }
                }
            }
            View::Set(items) => {
                for item in items {
                    if !holds(self, Some(item), item)? {
                        return Ok(Next::Fail);
                    }
                }
            }
            View::Object(object) => {
                for (name, element) in object.iter() {
                    if !holds(self, Some(name), element)? {
                        return Ok(Next::Fail);
                    }
                }
            }
            _ => {}
        }
        Ok(Next::On)
    }

    fn collect(&mut self, collect: &'v Collect, span: Span) -> Result<&'v Value, Stop> {
        self.deeper()?;
        let made = self.collected(collect, span);
        self.depth -= 1;
        made
    }

    fn collected(&mut self, collect: &'v Collect, span: Span) -> Result<&'v Value, Stop> {
        let made = match &collect.head {
            CollectHead::Array(head) => {
                let start = self.found.len();
                self.run(&collect.ops, &mut |machine| {
                    machine.budget.make_items(1)?;
                    machine.found.push(machine.value(head));
                    Ok(Flow::More)
                })?;
                self.found.drain(start..).cloned().collect()
            }
            CollectHead::Set(head) => {
                let start = self.found.len();
                self.run(&collect.ops, &mut |machine| {
                    machine.budget.make_items(1)?;
                    let item = machine.value(head);
                    collections::weigh(&mut machine.budget, item)?;
                    machine.found.push(item);
                    Ok(Flow::More)
                })?;
                self.take_set(start)
            }
            CollectHead::Object(key, value) => {
                let mut object = BTreeMap::new();
                self.run(&collect.ops, &mut |machine| {
                    machine.budget.make_items(1)?;
                    machine.insert(&mut object, machine.value(key), machine.value(value), span)?;
                    Ok(Flow::More)
                })?;
                object_of(&object)
            }
        };
        self.make(made)
    }

    fn call(&mut self, callee: &'v Callee, args: &'v [Arg], span: Span) -> Result<&'v Value, Stop> {
        self.budget.step(args.len() as u64 / 4)?;
        let frame = self.push_all(args);
        match callee {
            // Most calls are these.
            Callee::Function(group) if self.world.functions.is_empty() => self.function(*group, frame),
            Callee::Builtin(builtin) if self.world.functions.is_empty() => self.builtin(builtin, frame, span),
            callee => self.call_with(callee, frame, span),
        }
    }

    /// Puts arguments where the frame of a function will be, and returns where that is.
    fn push_all(&mut self, args: &'v [Arg]) -> usize {
        let frame = self.stack.len();
        for arg in args {
            let value = self.value(arg);
            self.stack.push(value);
        }
        frame
    }

    /// The answer of a function that may be replaced, to the arguments that are the slots from `frame` on;
    /// they are taken away.
    fn call_with(&mut self, callee: &'v Callee, frame: usize, span: Span) -> Result<&'v Value, Stop> {
        if !self.world.functions.is_empty() {
            self.budget.step(self.world.functions.len() as u64 / 16)?;
            let target = match callee {
                Callee::Builtin(builtin) => Some(Target::Builtin(builtin.row.name)),
                Callee::Function(group) => Some(Target::Function(*group)),
                _ => None,
            };
            match target.and_then(|target| self.world.function(target)) {
                Some(Replaced::Value(value)) => {
                    self.stack.truncate(frame);
                    return Ok(value);
                }
                // What replaces a function sees all functions as they are.
                Some(Replaced::Callee(callee)) => {
                    self.budget.step(self.world.weight())?;
                    let mut world = self.world.unmade();
                    world.functions.clear();
                    let before = std::mem::replace(&mut self.world, world);
                    let answer = self.call_with(callee, frame, span);
                    self.world = before;
                    return answer;
                }
                None => {}
            }
        }
        match callee {
            Callee::Builtin(builtin) => return self.builtin(builtin, frame, span),
            Callee::Function(group) => return self.function(*group, frame),
            Callee::Compare(_) | Callee::Member | Callee::MemberAt | Callee::Template => {}
        }
        let answer = match (callee, self.stack.get(frame..).unwrap_or_default()) {
            (Callee::Compare(operator), &[left, right]) => {
                boolean(collections::compare(&mut self.budget, *operator, left, right)?)
            }
            (Callee::Member, &[value, collection]) => boolean(self.is_member(value, collection)?),
            (Callee::MemberAt, &[key, value, collection]) => {
                collections::weigh(&mut self.budget, key)?;
                boolean(match collections::get(collection, key) {
                    Some(found) => collections::equal(&mut self.budget, found, value)?,
                    None => false,
                })
            }
            (Callee::Template, &[parts]) => self.template(parts)?,
            _ => UNDEFINED,
        };
        self.stack.truncate(frame);
        Ok(answer)
    }

    /// The answer of a builtin to the arguments that are the slots from `frame` on; they are taken away.
    fn builtin(&mut self, builtin: &'static Builtin, frame: usize, span: Span) -> Result<&'v Value, Stop> {
        let mut context = Context {
            budget: &mut self.budget,
            now_ns: self.now_ns,
            seed: self.seed,
            caches: self.caches,
            outside: &mut self.outside,
            text: &mut self.text,
        };
        let answer = builtin.ask(&mut context, self.stack.get(frame..).unwrap_or_default());
        self.stack.truncate(frame);
        match answer {
            Ok(value) => self.make(value),
            Err(Failure::Undefined(message)) if self.strict => Err(Box::new(EvalError {
                kind: EvalErrorKind::Builtin,
                message: builtin.named(&message),
                at: Some((self.module, span)),
            })),
            Err(Failure::Undefined(_)) => Ok(UNDEFINED),
            Err(Failure::Limit(exceeded)) => Err(exceeded.into()),
            Err(Failure::Unanswered) => {
                self.unknown += 1;
                Ok(UNDEFINED)
            }
            Err(Failure::Wrong(message)) => Err(Box::new(EvalError {
                kind: EvalErrorKind::Builtin,
                message,
                at: Some((self.module, span)),
            })),
            Err(Failure::Unavailable(message)) => Err(Box::new(EvalError {
                kind: EvalErrorKind::Unavailable,
                message: message.to_owned(),
                at: Some((self.module, span)),
            })),
        }
    }

    /// Runs operations in another world, and what follows in this one.
    fn with(
        &mut self,
        changes: &'v [Change],
        ops: &'v [Op],
        span: Span,
        after: &'v [Op],
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        let weight = self.world.weight().saturating_add(changes.len() as u64);
        self.budget.step(weight).map_err(|error| self.located(error.into(), span))?;
        let mut world = self.world.unmade();
        for change in changes {
            if let Change::Input { value, .. } | Change::Data { value, .. } = change {
                let value = self.value(value);
                collections::weigh(&mut self.budget, value)
                    .map_err(|error| self.located(error.into(), span))?;
            }
            self.change(&mut world, change).map_err(|error| self.located(error, span))?;
        }
        self.deeper().map_err(|error| self.located(error, span))?;
        self.outer.push(std::mem::replace(&mut self.world, world));
        let flow = self.run(ops, &mut |machine| {
            let Some(outer) = machine.outer.pop() else { return Ok(Flow::Enough) };
            let inner = std::mem::replace(&mut machine.world, outer);
            let flow = machine.run(after, found);
            machine.outer.push(std::mem::replace(&mut machine.world, inner));
            flow
        });
        if let Some(outer) = self.outer.pop() {
            self.world = outer;
        }
        self.depth -= 1;
        flow
    }

    fn change(&mut self, world: &mut World<'v>, change: &'v Change) -> Result<(), Stop> {
        match change {
            Change::Input { path, value } => {
                let before = match world.parts {
                    [] => world.input,
                    _ => self.whole_input(),
                };
                world.input = Some(self.with_path(before, path, value)?);
                world.parts = &[];
            }
            Change::Data { path, value } => {
                world.data = self.with_path(Some(world.data), path, value)?;
                world.replaced.push(path);
            }
            Change::Function { target, by } => {
                let by = match by {
                    Replacement::Value(value) => Replaced::Value(self.value(value)),
                    Replacement::Callee(callee) => Replaced::Callee(callee),
                };
                world.functions.push((*target, by));
            }
        }
        Ok(())
    }

    fn with_path(
        &mut self,
        document: Option<&'v Value>,
        path: &'v [Value],
        value: &'v Arg,
    ) -> Result<&'v Value, Stop> {
        let value = self.value(value);
        if path.is_empty() {
            return Ok(value);
        }
        let document = with_path(&mut self.budget, document, path, value.clone())?;
        self.make(document)
    }

    /// Each argument is a set: empty if what was to be printed is undefined. Several values make several
    /// lines.
    fn print(&mut self, args: &'v [Arg]) -> Result<(), Stop> {
        let mut lines = vec![String::new()];
        for (position, arg) in args.iter().enumerate() {
            let View::Set(values) = self.value(arg).view() else { continue };
            let mut texts = Vec::new();
            for value in values {
                texts.push(self.text_of(value)?);
            }
            if texts.is_empty() {
                texts.push("<undefined>".to_owned());
            }
            let separator = if position > 0 { " " } else { "" };
            let mut longer = Vec::new();
            for line in &lines {
                for text in &texts {
                    self.budget.make_text(line.len() + text.len() + 1)?;
                    longer.push(format!("{line}{separator}{text}"));
                }
            }
            lines = longer;
        }
        for line in lines {
            self.count_output(line.len())?;
            self.prints.push(line);
        }
        Ok(())
    }

    fn template(&mut self, parts: &Value) -> Result<&'v Value, Stop> {
        let Some(parts) = parts.as_array() else { return Ok(UNDEFINED) };
        let mut text = String::new();
        for part in parts {
            let next = match part.view() {
                View::Set(values) => match values.first() {
                    Some(value) if values.len() == 1 => self.text_of(value)?,
                    Some(_) => {
                        return Err(Box::new(EvalError {
                            kind: EvalErrorKind::Conflict,
                            message: "an expression in a template string has several values".to_owned(),
                            at: None,
                        }));
                    }
                    None => "<undefined>".to_owned(),
                },
                _ => self.text_of(part)?,
            };
            self.budget.make_text(next.len())?;
            text.push_str(&next);
        }
        self.make(Value::from(text))
    }

    /// A value as text: strings as they are, everything else as it is written.
    fn text_of(&mut self, value: &Value) -> Result<String, Stop> {
        match value.view() {
            View::String(text) => {
                self.budget.make_text(text.len())?;
                Ok(text.to_string())
            }
            _ => Ok(portcullis_value::text(&mut self.budget, value)?),
        }
    }

    fn is_member(&mut self, value: &Value, collection: &Value) -> Result<bool, Stop> {
        let found = match collection.view() {
            View::Array(items) => self.is_among(value, items.iter())?,
            View::Object(object) => self.is_among(value, object.values())?,
            View::Set(items) => {
                collections::weigh(&mut self.budget, value)?;
                items.contains(value)
            }
            _ => false,
        };
        Ok(found)
    }

    fn is_among<'i>(&mut self, value: &Value, items: impl Iterator<Item = &'i Value>) -> Result<bool, Stop> {
        for item in items {
            self.budget.step(1)?;
            if collections::equal(&mut self.budget, item, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The object of some entries.
fn object_of(entries: &BTreeMap<&Value, &Value>) -> Value {
    Value::from(entries.iter().map(|(key, value)| ((*key).clone(), (*value).clone())).collect::<Object>())
}
