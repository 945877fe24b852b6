//! The first pass: what policies compare objects with, and the Namespaces. Of each object only the fields are kept that policies read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;
use portcullis::{
    AdmissionMutators, Gvk, Inventory, InventoryStore, Object, Places, PolicySet, Scopes, Severity,
};
use portcullis_report::{MAX_PROBLEMS, Problem};

use crate::memory::{Budget, Ceiling};
use crate::pipeline::{self, Feed, Item, Weighed, Work};
use crate::source::{Role, Text, read, size};

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

/// What came of the first pass.
#[derive(Debug)]
pub struct Gathered {
    /// What policies may compare objects with.
    pub inventory: Inventory,
    /// Where objects live, by what the subject knows and by the CRDs that were among the objects.
    pub places: Places,
    /// What should be in it, but could not be read.
    pub unread: Unread,
}

/// What the first pass could not read. Policies that compare with it may have judged wrongly, whether or not it is audited as well.
#[derive(Debug, Default)]
pub struct Unread {
    /// Objects, documents and sources; at most [`MAX_PROBLEMS`].
    pub problems: BTreeSet<Problem>,
    /// Kinds that could not be listed to their end, and why.
    pub kinds: BTreeMap<Gvk, String>,
}

impl Unread {
    /// Whether everything could be read.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.kinds.is_empty()
    }

    fn add(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            if problem.is_error() && self.problems.len() < MAX_PROBLEMS {
                self.problems.insert(problem.kept());
            }
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    objects: Vec<Object>,
    scopes: Scopes,
    unread: Unread,
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
    mutating: Option<&'a AdmissionMutators>,
    any: bool,
    kinds: Vec<Finder<'a>>,
}

impl<'a> Wanted<'a> {
    fn new(policies: &'a PolicySet, mutating: Option<&'a AdmissionMutators>) -> Self {
        let of_mutating = mutating.into_iter().flat_map(AdmissionMutators::kept_kinds);
        let kinds = policies.kept_kinds().chain(of_mutating).map(|kind| Finder::new(kind.as_bytes()));
        Self { policies, mutating, any: policies.keeps_kind(None), kinds: kinds.collect() }
    }

    fn is_kept(&self, kind: &str) -> bool {
        self.policies.keeps_kind(Some(kind))
            || self.mutating.is_some_and(|mutating| mutating.kept_kinds().any(|kept| kept == kind))
    }

    /// What is kept of an object: of one that mutating admission policies may look at all, as their expressions may read
    /// any part of it.
    fn kept(&self, object: &Object) -> Option<Object> {
        match self.mutating.filter(|mutating| mutating.keeps(object)) {
            Some(_) => Some(object.without_document()),
            None => self.policies.for_inventory(object),
        }
    }

    fn may_be(&self, text: &Text) -> bool {
        // A kind could be written with escapes, or in another encoding.
        const ESCAPES: [&[u8]; 7] = [b"\\u", b"\\x", b"\\U", b"\\\n", b"\\\r", b"binary", b"%TAG"];
        let of_list = match &text.role {
            // What a list is like is part of reading its items.
            Role::Frame(..) => true,
            Role::Item(_, identity) => identity.as_ref().is_some_and(|identity| self.is_kept(&identity.1)),
            Role::Source | Role::Document(_) => false,
        };
        self.any
            || of_list
            || self.kinds.iter().any(|kind| kind.find(&text.bytes).is_some())
            || ESCAPES.iter().any(|escape| memchr::memmem::find(&text.bytes, escape).is_some())
    }
}

/// Reads all of a feed and keeps what is asked for. Texts that hold nothing of it are not looked into.
///
/// # Errors
///
/// If it takes more than half of the ceiling.
#[expect(clippy::too_many_arguments, reason = "all that a pass needs to know")]
pub fn gather(
    policies: &PolicySet,
    mutating: Option<&AdmissionMutators>,
    places: Places,
    feed: &mut dyn Feed,
    threads: usize,
    ceiling: Ceiling,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Result<Gathered, InventoryError> {
    let wanted = Wanted::new(policies, mutating);
    let mut objects: Vec<Object> = Vec::new();
    let mut scopes = places.scopes().clone();
    let mut unread = Unread::default();
    let (mut bytes, mut too_large) = (0_u64, false);
    let reading = ceiling.reading();
    let keep = |items: Vec<Item>, out: &mut dyn FnMut(Kept)| {
        let mut kept = Kept::default();
        for item in items {
            if stop.load(Ordering::Relaxed) {
                kept.cut = true;
                break;
            }
            let objects = match item {
                Item::Text { file, text } if wanted.may_be(&text) => {
                    let read = read(&file, text, &reading);
                    kept.unread.add(read.problems);
                    read.objects
                }
                #[cfg(feature = "kube")]
                Item::Listed { page, index } => match page.object(index) {
                    Some(Ok(object)) => vec![object],
                    Some(Err(error)) => {
                        kept.unread.add([Problem { severity: Severity::Error, ..Problem::of(&error) }]);
                        continue;
                    }
                    None => continue,
                },
                Item::Text { .. } => continue,
                Item::Unread(problem) => {
                    kept.unread.add([Problem { severity: Severity::Error, ..problem }]);
                    continue;
                }
                Item::FailedKind(gvk, why) => {
                    kept.unread.kinds.insert(gvk, why);
                    continue;
                }
            };
            for object in &objects {
                kept.scopes.learn(object);
                if let Some(object) = wanted.kept(object) {
                    kept.bytes += object.weight() as u64;
                    kept.objects.push(object);
                }
            }
        }
        kept.bytes += kept.scopes.weight() as u64;
        out(kept);
    };
    let budget = Budget::new(ceiling.work());
    let done = pipeline::run(feed, Work { threads, budget: &budget, stop }, &keep, |kept, read| {
        bytes += kept.bytes;
        if bytes > ceiling.inventory() {
            too_large = true;
            return Err(io::Error::other("the inventory is too large"));
        }
        // Where they live may depend on what comes behind them.
        objects.extend(kept.objects);
        scopes.extend(&kept.scopes);
        unread.add(kept.unread.problems);
        unread.kinds.extend(kept.unread.kinds);
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
    let places = places.knowing(scopes);
    let mut store = InventoryStore::new();
    for object in objects {
        store.sync(places.settle(object).object, policies);
    }
    // Policies that compare with these are errors: what is missing is not known to be nothing.
    for (gvk, why) in &unread.kinds {
        store.set_unreadable(gvk, Some(why));
    }
    Ok(Gathered { inventory: store.snapshot(), places, unread })
}
