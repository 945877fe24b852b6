//! The first pass: what policies compare objects with, and the Namespaces. Of each object only the fields are kept that policies read.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;
use portcullis::{Inventory, InventoryStore, Object, PolicySet};

use crate::judge::read;
use crate::memory::{Budget, Ceiling};
use crate::pipeline::{self, Feed, Item, Weighed, Work};
use crate::source::{Text, size};

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// It does not fit.
    #[error(
        "what the policies compare objects with takes more than {}, half of the {} that `--max-memory` allows; raise it", size(*.allowed), size(*.ceiling)
    )]
    TooLarge {
        /// What it may take.
        allowed: u64,
        /// The ceiling.
        ceiling: u64,
    },
    /// It was ended from outside.
    #[error("it was ended while it read what policies compare objects with")]
    Stopped,
    /// No threads.
    #[error(transparent)]
    System(#[from] io::Error),
}

#[derive(Debug)]
struct Kept {
    objects: Vec<Object>,
    bytes: u64,
    cut: bool,
}

impl Weighed for Kept {
    fn weight(&self) -> u64 {
        self.bytes
    }

    fn is_cut(&self) -> bool {
        self.cut
    }
}

/// Tells which texts are worth parsing, by words that stand in them.
struct Wanted<'a> {
    policies: &'a PolicySet,
    any: bool,
    kinds: Vec<Finder<'a>>,
}

impl<'a> Wanted<'a> {
    fn new(policies: &'a PolicySet) -> Self {
        let kinds = policies.kept_kinds().map(|kind| Finder::new(kind.as_bytes())).collect();
        Self { policies, any: policies.keeps_kind(None), kinds }
    }

    fn may_be(&self, text: &Text) -> bool {
        // A kind could be written with escapes.
        const ESCAPES: [&[u8]; 3] = [b"\\u", b"\\x", b"\\U"];
        let of_list =
            text.identity.as_ref().is_some_and(|identity| self.policies.keeps_kind(Some(&identity.1)));
        self.any
            || of_list
            || self.kinds.iter().any(|kind| kind.find(&text.bytes).is_some())
            || ESCAPES.iter().any(|escape| memchr::memmem::find(&text.bytes, escape).is_some())
    }
}

/// Reads all of a feed and keeps what is asked for. What is wrong with it is found again when it is judged. Returns the inventory and
/// about how many bytes it takes.
///
/// # Errors
///
/// If it takes more than half of the ceiling.
pub fn gather(
    policies: &PolicySet,
    feed: &mut dyn Feed,
    threads: usize,
    ceiling: Ceiling,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Result<(Inventory, u64), InventoryError> {
    let wanted = Wanted::new(policies);
    let mut store = InventoryStore::new();
    let (mut bytes, mut too_large) = (0_u64, false);
    let keep = |items: Vec<Item>| {
        let mut kept = Kept { objects: Vec::new(), bytes: 0, cut: false };
        for item in items {
            if stop.load(Ordering::Relaxed) {
                kept.cut = true;
                break;
            }
            let objects = match item {
                Item::Text { file, text } if wanted.may_be(&text) => read(&file, text).0,
                #[cfg(feature = "kube")]
                Item::Listed { page, index } => page.object(index).into_iter().flatten().collect(),
                Item::Text { .. } | Item::Unread(_) | Item::FailedKind(..) => continue,
            };
            for object in objects.iter().filter_map(|object| policies.for_inventory(object)) {
                kept.bytes += object.weight() as u64;
                kept.objects.push(object);
            }
        }
        kept
    };
    let budget = Budget::new(ceiling.work());
    let done = pipeline::run(feed, Work { threads, budget: &budget, stop }, &keep, |kept, read| {
        bytes += kept.bytes;
        if bytes > ceiling.inventory() {
            too_large = true;
            return Err(io::Error::other("the inventory is too large"));
        }
        kept.objects.into_iter().for_each(|object| store.upsert(object));
        progress(read);
        Ok(())
    });
    if too_large {
        return Err(InventoryError::TooLarge { allowed: ceiling.inventory(), ceiling: ceiling.bytes() });
    }
    done?;
    if stop.load(Ordering::Relaxed) {
        return Err(InventoryError::Stopped);
    }
    Ok((store.snapshot(), bytes))
}
