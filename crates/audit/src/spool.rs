//! Findings on disk, so that there may be more of them than memory, and so that every form of report can read them all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use portcullis_report::{Finding, Findings, Reading};

/// A temporary file without a name: whatever happens to the process, nothing is left of it.
#[derive(Debug)]
pub struct Spool {
    file: RefCell<BufWriter<File>>,
    end: u64,
    /// Where the findings of each namespace are: full blocks are on disk as well, in a file of their own.
    namespaces: BTreeMap<Arc<str>, Offsets>,
    blocks: File,
    blocks_end: u64,
    memory: u64,
}

/// Numbers of one namespace. A block holds so many of them, then the place of the next block.
#[derive(Debug, Default)]
struct Offsets {
    first: u64,
    /// Where the block that is not full yet will be.
    next: u64,
    full: u64,
    last: Vec<u64>,
}

const BLOCK: usize = 63;
const BLOCK_BYTES: usize = (BLOCK + 1) * 8;

impl Spool {
    /// An empty one, in a directory or where temporary files go.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn new(directory: Option<&Path>) -> io::Result<Self> {
        let create = || match directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        };
        Ok(Self {
            file: RefCell::new(BufWriter::new(create()?)),
            end: 0,
            namespaces: BTreeMap::new(),
            blocks: create()?,
            blocks_end: 0,
            memory: 0,
        })
    }

    /// About how many bytes of memory it takes: for each namespace no more than a block.
    pub fn memory(&self) -> u64 {
        self.memory
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
        let offset = self.end;
        self.end += line.len() as u64;
        self.note(finding.object.home(), offset)
    }

    /// Notes where a finding of a namespace is.
    fn note(&mut self, namespace: &Arc<str>, offset: u64) -> io::Result<()> {
        /// What an entry of the map takes beside its block.
        const ENTRY: u64 = 192;
        let end = &mut self.blocks_end;
        let mut reserve = || std::mem::replace(end, *end + BLOCK_BYTES as u64);
        if !self.namespaces.contains_key(namespace) {
            let first = reserve();
            self.memory += ENTRY + namespace.len() as u64;
            self.namespaces.insert(namespace.clone(), Offsets { first, next: first, ..Offsets::default() });
        }
        let Some(offsets) = self.namespaces.get_mut(namespace) else { return Ok(()) };
        let before = offsets.last.capacity();
        offsets.last.push(offset);
        self.memory += (offsets.last.capacity().saturating_sub(before) * 8) as u64;
        if offsets.last.len() < BLOCK {
            return Ok(());
        }
        let place = std::mem::replace(&mut offsets.next, reserve());
        let block: Vec<u8> =
            offsets.last.drain(..).chain([offsets.next]).flat_map(u64::to_le_bytes).collect();
        offsets.full += 1;
        std::os::unix::fs::FileExt::write_all_at(&self.blocks, &block, place)
    }

    /// The numbers of a block, and where the next one is.
    fn block(&self, place: u64) -> io::Result<(Vec<u64>, u64)> {
        let mut bytes = [0; BLOCK_BYTES];
        std::os::unix::fs::FileExt::read_exact_at(&self.blocks, &mut bytes, place)?;
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
        let mut numbers: Vec<u64> = bytes.chunks_exact(8).map(number).collect();
        let next = numbers.pop().unwrap_or_default();
        Ok((numbers, next))
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
    fn read(&self) -> io::Result<Reading<'_>> {
        let reader = self.reader(0)?.take(self.end);
        let lines = BufReader::with_capacity(1 << 16, reader).split(b'\n');
        Ok(Box::new(lines.map(|line| serde_json::from_slice(&line?).map_err(io::Error::other))))
    }

    fn namespaces(&self) -> Vec<Arc<str>> {
        self.namespaces.keys().cloned().collect()
    }

    fn of_namespace<'a>(&'a self, namespace: &'a str) -> Reading<'a> {
        let offsets = self.namespaces.get(namespace);
        let full = offsets.map_or(0, |offsets| offsets.full);
        let last = offsets.map(|offsets| offsets.last.as_slice()).unwrap_or_default();
        let mut place = offsets.map_or(0, |offsets| offsets.first);
        let blocks = (0..full).flat_map(move |_| {
            let read = self.block(place);
            let numbers = match read {
                Ok((numbers, next)) => {
                    place = next;
                    numbers.into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(error)],
            };
            numbers.into_iter()
        });
        let findings = blocks.chain(last.iter().map(|offset| Ok(*offset))).map(|offset| {
            let mut line = Vec::new();
            BufReader::with_capacity(2 << 10, self.reader(offset?)?).read_until(b'\n', &mut line)?;
            serde_json::from_slice(&line).map_err(io::Error::other)
        });
        Box::new(findings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use portcullis_report::{ObjectName, Place, Verdict};

    use super::*;

    #[test]
    fn findings_of_a_namespace_come_in_order_and_take_no_memory_each() {
        let mut spool = Spool::new(None).unwrap();
        let count = 3 * BLOCK as u64 + 7;
        for ordinal in 0..count * 2 {
            let namespace = if ordinal % 2 == 0 { "even" } else { "odd" };
            let object = ObjectName { namespace: namespace.into(), ..ObjectName::default() };
            let finding = Finding {
                object,
                labels: Arc::default(),
                ordinal,
                place: Place::Cluster,
                field: String::new(),
                policy: 0,
                actions: Vec::new(),
                verdict: Verdict::Violation,
                message: format!("number {ordinal}"),
                details: portcullis_report::Details::default(),
                implied: None,
                explanation: None,
                text: None,
            };
            spool.push(&finding).unwrap();
        }
        for (first, namespace) in ["even", "odd"].into_iter().enumerate() {
            let found: Vec<u64> =
                spool.of_namespace(namespace).map(|finding| finding.unwrap().ordinal).collect();
            let expected: Vec<u64> = (0..count).map(|number| number * 2 + first as u64).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(spool.of_namespace("none").count(), 0);
        assert!(spool.memory() < 2 * (192 + 16 + 64 * 8 + 8), "{}", spool.memory());
    }
}
