//! How to fetch, and how much.

use std::path::PathBuf;
use std::time::Duration;

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Speak HTTP without TLS also to registries that are not on this machine.
    pub plain_http: bool,
    /// The only certificates that are trusted, in PEM, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Most time for each source, from the first request to the last byte.
    pub timeout: Duration,
    /// Where folders are made for what is fetched, instead of where the system has them.
    pub temp_dir: Option<PathBuf>,
    /// How much.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: false,
            ca_file: None,
            timeout: Duration::from_mins(5),
            temp_dir: None,
            bounds: Bounds::default(),
        }
    }
}

/// How much of a source is taken. What is larger is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a manifest.
    pub manifest: u64,
    /// Layers of an artifact.
    pub layers: usize,
    /// Bytes of all layers as they are sent, and of a repository as git sends it.
    pub packed: u64,
    /// Bytes of all files, and of all archives as they are read.
    pub unpacked: u64,
    /// Files, with the folders that archives name.
    pub files: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { manifest: 4 << 20, layers: 10_000, packed: 256 << 20, unpacked: 512 << 20, files: 20_000 }
    }
}
