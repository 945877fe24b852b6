//! Budgets. Exceeding one is a typed error, never a crash and never a pass.

/// What a reader accepts. The defaults fit manifests and cluster dumps; raise them knowingly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest source text, in bytes.
    pub source_bytes: usize,
    /// Deepest nesting of lists and objects in a document.
    pub nesting: usize,
    /// Most nodes that YAML aliases may add to one document.
    pub alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { source_bytes: 64 << 20, nesting: 128, alias_nodes: 100_000 }
    }
}
