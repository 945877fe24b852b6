//! Budgets. Exceeding one is a typed error, never a crash and never a pass.

/// What a reader accepts. The defaults fit manifests and cluster dumps; raise them knowingly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest source text, in bytes. Positions are 32 bits wide, so 4 GiB is the most in any case.
    pub source_bytes: usize,
    /// Deepest nesting of lists and objects in a document; more than 1000 is taken as 1000, which is as deep
    /// as the recursive code behind the reader can safely go.
    pub nesting: usize,
    /// Most scalars, lists and objects that one document may be written with; each takes some 80 bytes when
    /// read, whatever it is in the text. 64 MiB of usual manifests have some three million.
    pub nodes: usize,
    /// Most nodes that YAML aliases may add to one document.
    pub alias_nodes: usize,
}

impl Limits {
    /// The nesting that is allowed in fact.
    pub(crate) fn effective_nesting(&self) -> usize {
        self.nesting.min(1000)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { source_bytes: 64 << 20, nesting: 128, nodes: 5_000_000, alias_nodes: 100_000 }
    }
}
