//! Findings on disk, so that there may be more of them than memory, and so that every form of report can read them all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use portcullis_report::audit::{Finding, Findings};

/// A temporary file without a name: whatever happens to the process, nothing is left of it.
#[derive(Debug)]
pub struct Spool {
    file: RefCell<BufWriter<File>>,
    end: u64,
    /// Where the findings of each namespace are.
    namespaces: BTreeMap<Arc<str>, Vec<u64>>,
}

impl Spool {
    /// An empty one, in a directory or where temporary files go.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn new(directory: Option<&Path>) -> io::Result<Self> {
        let file = match directory {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        Ok(Self { file: RefCell::new(BufWriter::new(file)), end: 0, namespaces: BTreeMap::new() })
    }

    /// Adds a finding.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn push(&mut self, finding: &Finding) -> io::Result<()> {
        let mut line = serde_json::to_vec(finding).map_err(io::Error::other)?;
        line.push(b'\n');
        self.file.get_mut().write_all(&line)?;
        self.namespaces.entry(finding.object.home().clone()).or_default().push(self.end);
        self.end += line.len() as u64;
        Ok(())
    }

    /// The namespaces of objects with findings; empty for the cluster's own objects.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<str>> {
        self.namespaces.keys()
    }

    /// The findings of a namespace, in order.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = io::Result<Finding>> + '_ {
        let offsets = self.namespaces.get(namespace).map(Vec::as_slice).unwrap_or_default();
        offsets.iter().map(|offset| {
            let mut line = Vec::new();
            BufReader::with_capacity(2 << 10, self.reader(*offset)?).read_until(b'\n', &mut line)?;
            serde_json::from_slice(&line).map_err(io::Error::other)
        })
    }

    fn reader(&self, at: u64) -> io::Result<Reader> {
        let mut writer = self.file.borrow_mut();
        writer.flush()?;
        Ok(Reader { file: writer.get_ref().try_clone()?, at })
    }
}

/// Reads from its own place, which the writer and other readers do not move.
struct Reader {
    file: File,
    at: u64,
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Findings for Spool {
    fn read(&self) -> io::Result<Box<dyn Iterator<Item = io::Result<Finding>> + '_>> {
        let reader = self.reader(0)?.take(self.end);
        let lines = BufReader::with_capacity(1 << 16, reader).split(b'\n');
        Ok(Box::new(lines.map(|line| serde_json::from_slice(&line?).map_err(io::Error::other))))
    }
}
