//! Parts, read: first to see that each is whole and as it was written, then once more, line by line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use portcullis_report::Policy;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::Shard;
use super::part::{End, FORMAT, Header, Last, VERSION, Written, hex};
use crate::events::At;
use crate::source::size;

/// A part that is whole.
#[derive(Debug)]
pub struct Whole {
    /// As it was named.
    pub name: String,
    /// Of which audit it is.
    pub header: Header,
    /// Which shard.
    pub shard: Shard,
    /// How it ended.
    pub end: End,
    /// Its policies.
    pub policies: Vec<Policy>,
    /// SHA-256 of what says them.
    pub policies_sha256: String,
    sha256: String,
    lines: Lines,
}

/// Lines, each of which has a bound.
#[derive(Debug)]
struct Lines {
    file: BufReader<File>,
    hash: Sha256,
    /// How many were read.
    number: u64,
    most: u64,
}

/// A line of what was said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    at: At,
    #[serde(borrow)]
    said: &'a RawValue,
}

const CUT: &str = "it is cut off: its last line, which says that it is whole, is not there";

impl Lines {
    /// The next line, with its end; empty at the end of the file.
    fn next(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.file).take(self.most);
        bounded.read_until(b'\n', &mut line).map_err(|error| portcullis_sources::reason(&error))?;
        if line.len() as u64 >= self.most && line.last() != Some(&b'\n') {
            let most = size(self.most);
            return Err(format!(
                "line {} has more than {most}, which is what `--max-memory` leaves for one",
                self.number + 1
            ));
        }
        self.number += u64::from(!line.is_empty());
        if line.last().is_some_and(|last| *last != b'\n') {
            return Err(CUT.to_owned());
        }
        String::from_utf8(line).map_err(|_| format!("line {} is no text", self.number))
    }

    fn hash(&mut self, line: &str) {
        self.hash.update(line);
    }
}

/// The end of a part, if a line is that.
fn last(line: &str) -> Option<Result<Last, String>> {
    let is_last = line.starts_with(r#"{"end":"#);
    is_last
        .then(|| serde_json::from_str(line).map_err(|error| format!("its last line cannot be read: {error}")))
}

impl Whole {
    /// Reads all of a file, and says what is wrong with it if it is no part that is whole. A line has at most so many bytes. Cost: the
    /// file is read; what is in memory of it is a line, and its policies.
    pub fn open(path: &Path, most: u64) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| portcullis_sources::reason(&error))?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if !is_file {
            return Err("it is no file: it has to be read twice".to_owned());
        }
        let mut lines =
            Lines { file: BufReader::with_capacity(16 << 10, file), hash: Sha256::new(), number: 0, most };
        let start = lines.file.fill_buf().map_err(|error| portcullis_sources::reason(&error))?;
        match start {
            [] => return Err("it is empty".to_owned()),
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                return Err("it is packed: unpack it first".to_owned());
            }
            _ => {}
        }
        let line = lines.next()?;
        let header = header(&line)?;
        let shard = Shard::new(header.shard, header.of)
            .ok_or_else(|| format!("there is no shard {}/{}", header.shard, header.of))?;
        lines.hash(&line);
        let (mut policies, mut of_policies) = (Vec::new(), Sha256::new());
        for _ in 0..header.policies {
            let line = lines.next()?;
            lines.hash(&line);
            of_policies.update(&line);
            let policy: Written = serde_json::from_str(&line)
                .map_err(|error| format!("line {} is no policy: {error}", lines.number))?;
            policies.push(policy.read()?);
        }
        let (place, before, number) = (position(&mut lines.file)?, lines.hash.clone(), lines.number);
        let Last { end, lines: count, sha256 } = loop {
            let line = lines.next()?;
            match last(&line) {
                Some(last) => break last?,
                None if line.is_empty() => return Err(CUT.to_owned()),
                None => lines.hash(&line),
            }
        };
        if !lines.next().is_ok_and(|more| more.is_empty()) {
            return Err("it goes on behind its end: each part has to be a file of its own".to_owned());
        }
        if count != number_of(lines.number) || sha256 != hex(lines.hash.clone()) {
            return Err("it is not as it was written: its lines are others than its end says".to_owned());
        }
        lines.file.seek(SeekFrom::Start(place)).map_err(|error| portcullis_sources::reason(&error))?;
        (lines.hash, lines.number) = (before, number);
        let (name, policies_sha256) = (path.display().to_string(), hex(of_policies));
        Ok(Self { name, header, shard, end, policies, policies_sha256, sha256, lines })
    }

    /// The next thing that was said, and where; `None` at the end.
    ///
    /// # Errors
    ///
    /// If it cannot be read any more, or is not what it was.
    pub fn say_next(&mut self) -> io::Result<Option<(At, Box<RawValue>)>> {
        let wrong = |name: &str, why: &str| io::Error::other(format!("`{name}`: {why}"));
        let line = self.lines.next().map_err(|why| wrong(&self.name, &why))?;
        if last(&line).is_some() {
            let is_same = hex(self.lines.hash.clone()) == self.sha256;
            return if is_same {
                Ok(None)
            } else {
                Err(wrong(&self.name, "it was changed while it was read"))
            };
        }
        self.lines.hash(&line);
        let said: Said<'_> = serde_json::from_str(&line)
            .map_err(|error| wrong(&self.name, &format!("line {}: {error}", self.lines.number)))?;
        Ok(Some((said.at, said.said.to_owned())))
    }
}

/// How many lines come before the last one.
const fn number_of(lines: u64) -> u64 {
    lines.saturating_sub(1)
}

fn position(file: &mut BufReader<File>) -> Result<u64, String> {
    file.stream_position().map_err(|error| portcullis_sources::reason(&error))
}

fn header(line: &str) -> Result<Header, String> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Any {
        format: String,
        version: u32,
    }
    let any: Option<Any> = serde_json::from_str(line).ok();
    match any {
        Some(any) if any.format == FORMAT && any.version == VERSION => {
            serde_json::from_str(line).map_err(|error| format!("its first line cannot be read: {error}"))
        }
        Some(any) if any.format == FORMAT => Err(format!(
            "it is a part of version {}, and this program puts together those of version {VERSION}",
            any.version
        )),
        _ => Err("it is no part: those are what `audit --shard` writes".to_owned()),
    }
}
