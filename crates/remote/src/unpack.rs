//! Archives of folders: tar, plain or packed with gzip.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};

use crate::error::{RemoteError, RemoteErrorKind};
use crate::folder::{Filling, Inside, too_much, unread};
use crate::options::Bounds;

/// Whether some bytes are packed with gzip.
pub(crate) fn is_gzip(first: &[u8]) -> bool {
    first.starts_with(&[0x1f, 0x8b])
}

/// Unpacks an archive. With `below`, all of it has to lie below that folder, as in archives that oras makes of one.
pub(crate) fn unpack(
    archive: impl Read,
    packed: bool,
    below: Option<&Inside>,
    filling: &mut Filling<'_>,
    bounds: Bounds,
) -> Result<(), RemoteError> {
    // Archives that name nothing but long headers are bounded, too.
    let most = bounds.unpacked.saturating_add(bounds.files as u64 * 2048);
    if packed {
        entries(
            Bounded { inner: MultiGzDecoder::new(archive), left: most, most: bounds.unpacked },
            below,
            filling,
        )
    } else {
        entries(Bounded { inner: archive, left: most, most: bounds.unpacked }, below, filling)
    }
}

fn entries(from: impl Read, below: Option<&Inside>, filling: &mut Filling<'_>) -> Result<(), RemoteError> {
    const NAME: &str = "the archive";
    let unusable = |message: String| Err(RemoteError::new(RemoteErrorKind::Unusable, message));
    let mut archive = Archive::new(from);
    let wrong = |error: io::Error| unread(NAME, &error);
    let mut headers = 0;
    // The path of the next entry, where it is too long for its own header.
    let mut long: Option<Vec<u8>> = None;
    // Raw: what says something of other entries is read here, within bounds.
    for entry in archive.entries().map_err(wrong)?.raw(true) {
        let mut entry = entry.map_err(wrong)?;
        headers += 1;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => {
                let mut name = about_another(&mut entry)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                long = Some(name);
                continue;
            }
            EntryType::XHeader => {
                long = long_path(&about_another(&mut entry)?)?.or(long);
                continue;
            }
            EntryType::XGlobalHeader => {
                if long_path(&about_another(&mut entry)?)?.is_some() {
                    return unusable("the archive names one path for all of its files".to_owned());
                }
                continue;
            }
            _ => {}
        }
        let bytes = long.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return unusable(format!(
                "the path `{}` in the archive is no UTF-8",
                String::from_utf8_lossy(&bytes)
            ));
        };
        let path = Inside::parse(text)?;
        match kind {
            EntryType::Directory => {
                if let Some(path) = &path {
                    filling.folder(path)?;
                }
            }
            EntryType::Regular | EntryType::Continuous => {
                let Some(path) = path else {
                    return unusable("the archive has a file without a name".to_owned());
                };
                if below.is_some_and(|folder| !path.is_below(folder)) {
                    return unusable(format!(
                        "`{}` in the archive is not below the folder that it is of",
                        path.as_str()
                    ));
                }
                if path.as_str().rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")) {
                    let message = format!(
                        "`{}` takes away a file of another layer, which is not done here",
                        path.as_str()
                    );
                    return unusable(message);
                }
                let size = entry.header().size().map_err(wrong)?;
                if filling.write(&path, entry)? != size {
                    return unusable(format!("the archive ends within `{}`", path.as_str()));
                }
            }
            other => {
                let what = match other {
                    EntryType::Symlink | EntryType::Link | EntryType::GNULongLink => "a link",
                    EntryType::Char | EntryType::Block => "a device",
                    EntryType::Fifo => "a pipe",
                    _ => "neither a file nor a folder",
                };
                return unusable(format!("`{text}` in the archive is {what}: nothing of it is used"));
            }
        }
    }
    // What comes behind the end of an archive would be read by nobody.
    let mut rest = archive.into_inner();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = rest.read(&mut buffer).map_err(wrong)?;
        if read == 0 {
            break;
        }
        if buffer.get(..read).unwrap_or_default().iter().any(|byte| *byte != 0) {
            return unusable("there is something behind the end of the archive".to_owned());
        }
    }
    if long.is_some() {
        return unusable("the archive ends with a path, without its file".to_owned());
    }
    if headers == 0 {
        return unusable("the archive is empty".to_owned());
    }
    Ok(())
}

/// What an entry says of another one. Paths are short.
fn about_another(entry: &mut impl Read) -> Result<Vec<u8>, RemoteError> {
    const MOST: u64 = 64 << 10;
    let mut bytes = Vec::new();
    entry.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| unread("the archive", &error))?;
    if bytes.len() as u64 > MOST {
        let message = "the archive has a header that is too long";
        return Err(RemoteError::new(RemoteErrorKind::Limit, message));
    }
    Ok(bytes)
}

/// The path in an extended header. One that says how large its file is is refused: it could be read in two ways.
fn long_path(header: &[u8]) -> Result<Option<Vec<u8>>, RemoteError> {
    let mut path = None;
    for record in PaxExtensions::new(header) {
        let record = record.map_err(|error| unread("the archive", &error))?;
        let key = record.key_bytes();
        if key == b"path" {
            path = Some(record.value_bytes().to_vec());
        } else if key == b"size" || key.starts_with(b"GNU.sparse") {
            let message = "the archive has files of a size that its headers do not have";
            return Err(RemoteError::new(RemoteErrorKind::Unusable, message));
        }
    }
    Ok(path)
}

/// A reader that ends as an error.
struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(too_much(self.most))),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive with all that is read of one.
    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let long = format!("{}/long.yaml", "folder".repeat(30));
        for (path, text) in [("a/b.yaml", "kind: A\n"), (&*long, "kind: B\n"), ("c.rego", "package c\n")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// Whatever is changed, nothing lies outside of the folder, and nothing panics.
    #[test]
    fn broken_archives_end_as_errors() {
        let whole = archive();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&whole).unwrap();
        let packed = packer.finish().unwrap();
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let bounds = Bounds { unpacked: 1 << 20, files: 100, ..Bounds::default() };
        let outside = tempfile::tempdir().unwrap();
        let mut good = 0;
        for round in 0..1000 {
            let mut bytes = if round % 3 == 0 { packed.clone() } else { whole.clone() };
            // Headers have sums: most changes that get through are those that fix them.
            for _ in 0..random(4) {
                let at = random(bytes.len());
                bytes[at] = u8::try_from(random(256)).unwrap();
            }
            if round % 3 == 1 {
                let start = random(bytes.len() / 512) * 512;
                let sum: u32 = (start..start + 512)
                    .map(|at| if (148..156).contains(&(at - start)) { 32 } else { u32::from(bytes[at]) })
                    .sum();
                bytes[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            if random(10) == 0 {
                bytes.truncate(random(bytes.len()));
            }
            let root = outside.path().join("root");
            std::fs::create_dir(&root).unwrap();
            let mut filling = Filling::new(&root, bounds);
            let result = unpack(&*bytes, is_gzip(&bytes), None, &mut filling, bounds);
            good += usize::from(result.is_ok());
            assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
            std::fs::remove_dir_all(&root).unwrap();
        }
        assert!(good > 50, "{good}");
    }
}
