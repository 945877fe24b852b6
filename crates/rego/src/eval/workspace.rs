//! What evaluations that follow each other leave to the next one: the room they took, of which nothing is read
//! again, and the documents that they share (`shared.rs`).

use portcullis_value::Value;

use super::heap::{Heap, UNDEFINED};
use super::replaced::Document;
use super::shared::Shared;
use crate::normal_form::GroupId;

/// Bytes of values and room that are kept at most. More is given back before the next evaluation.
const MAX_BYTES: usize = 64 << 10;

/// Values that may lie there from evaluations before.
const MAX_VALUES: usize = 24;

/// Room for evaluations that follow each other, as those of one review do. An evaluation is the same with a
/// new one and with one that others were run in.
///
/// It holds what the last evaluations made, of 64 KiB at most besides that of the last one.
///
/// Made for one entry of `input` ([`Workspace::of_input`]), it also keeps the documents that depend on this
/// entry only, 32 of at most 64 KiB: they are made once, whatever the programs that need them.
#[derive(Default)]
pub struct Workspace {
    pub(super) heap: Heap,
    /// Bytes of the values that lie there, as budgets count them.
    pub(super) used: u64,
    pub(super) vacant: Vacant<'static>,
    /// What evaluations have in common.
    pub(super) shared: Option<Shared>,
}

/// Lists without anything in them.
#[derive(Default)]
pub(super) struct Vacant<'v> {
    pub(super) stack: Vec<&'v Value>,
    pub(super) found: Vec<&'v Value>,
    pub(super) documents: Vec<Document<'v>>,
    pub(super) asked: Vec<GroupId>,
    pub(super) text: String,
}

impl Workspace {
    /// For evaluations whose input has this value at a key. Others are run in it as well, and share nothing.
    #[must_use]
    pub fn of_input(key: &str, value: Value) -> Self {
        Self { shared: Some(Shared::new(Value::from(key), value)), ..Self::default() }
    }

    /// How many documents it keeps for other evaluations.
    #[must_use]
    pub fn shared_documents(&self) -> usize {
        self.shared.as_ref().map_or(0, Shared::len)
    }

    pub(super) fn is_for(&self, entries: &[(Value, Value)]) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_for(entries))
    }

    /// Gives back what is too much to be kept.
    pub(super) fn tidy(&mut self) {
        if self.used > MAX_BYTES as u64 || self.heap.len() > MAX_VALUES {
            self.heap = Heap::default();
            self.used = 0;
        }
    }
}

impl Vacant<'_> {
    /// The same room for values of another lifetime: a list that is empty holds none, and is collected where
    /// it lies.
    pub(super) fn again<'w>(self) -> Vacant<'w> {
        fn values<'w>(mut list: Vec<&Value>) -> Vec<&'w Value> {
            list.clear();
            list.shrink_to(MAX_BYTES / size_of::<&Value>());
            list.into_iter().map(|_| UNDEFINED).collect()
        }
        let Vacant { stack, found, mut documents, mut asked, mut text } = self;
        documents.clear();
        documents.shrink_to(MAX_BYTES / size_of::<Document<'_>>());
        asked.clear();
        asked.shrink_to(MAX_BYTES / size_of::<GroupId>());
        text.clear();
        text.shrink_to(MAX_BYTES);
        Vacant {
            stack: values(stack),
            found: values(found),
            documents: documents.into_iter().map(|_| Document::NotMade).collect(),
            asked,
            text,
        }
    }
}
