//! What a template's text says of itself, worked out when it is first asked for: of most templates nobody asks
//! for all of it, and it would be nearly half of what loading them takes.

use std::sync::OnceLock;

use portcullis_rego_syntax::Module;

use super::operations::OperationUse;
use super::reads::{Reads, mentions_inventory};
use super::{CallGraph, InventoryRead, parsed};
use crate::api::template::Text;

/// The texts of a template, and what they say. The texts were parsed without errors before.
#[derive(Debug)]
pub(crate) struct Told {
    /// The main module first.
    texts: Vec<Text>,
    mentions_inventory: bool,
    reads: OnceLock<Reads>,
    operation_use: OnceLock<OperationUse>,
}

impl Told {
    pub(crate) fn new<'m>(texts: Vec<Text>, modules: impl IntoIterator<Item = &'m Module>) -> Self {
        let mentions_inventory = modules.into_iter().any(mentions_inventory);
        Self { texts, mentions_inventory, reads: OnceLock::new(), operation_use: OnceLock::new() }
    }

    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Which parts of the object and which kinds of the inventory it reads.
    pub(crate) fn reads(&self) -> &Reads {
        self.reads.get_or_init(|| {
            let modules = parsed(&self.texts);
            Reads::of(&modules.iter().map(|parsed| &parsed.module).collect::<Vec<_>>())
        })
    }

    /// The kinds it reads from the inventory.
    pub(crate) fn inventory_reads(&self) -> &[InventoryRead] {
        if self.mentions_inventory { &self.reads().inventory } else { &[] }
    }

    /// What it says about operations.
    pub(crate) fn operation_use(&self) -> &OperationUse {
        self.operation_use.get_or_init(|| OperationUse::of(&CallGraph::of(&parsed(&self.texts))))
    }
}
