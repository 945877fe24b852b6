//! How much there is to read below a folder, before any of it is read: for who is given a folder by somebody who may not
//! know what is in it.

use std::path::Path;

use ignore::WalkBuilder;

use super::files::is_manifest_name;
use super::ignores::Ignores;

/// Most that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files and folders that are looked at, whatever they are called.
    pub entries: usize,
    /// Files that are named like manifests.
    pub files: usize,
    /// Bytes of these.
    pub bytes: u64,
    /// Bytes of one. Larger ones are not read, and do not count.
    pub file_bytes: u64,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Files that are named like manifests.
    pub files: usize,
    /// Bytes of these.
    pub bytes: u64,
    /// There is more than somebody wants to read: it was not gone through to the end.
    pub is_cut: bool,
}

/// Goes through a folder without reading files, and no further than to the first bound.
#[must_use]
pub fn measure(folder: &Path, ignores: &Ignores, bounds: Bounds) -> Measured {
    let ignores = ignores.clone();
    let walk = WalkBuilder::new(folder)
        .standard_filters(false)
        .follow_links(true)
        .filter_entry(move |entry| {
            let is_directory = entry.file_type().is_some_and(|file_type| file_type.is_dir());
            entry.depth() == 0 || !ignores.leaves_out(entry.path(), is_directory, false)
        })
        .build();
    let mut measured = Measured::default();
    // What cannot be read is said by who reads it.
    for (number, entry) in walk.enumerate() {
        if number >= bounds.entries {
            return Measured { is_cut: true, ..measured };
        }
        let Ok(entry) = entry else { continue };
        if !is_manifest_name(entry.path()) || entry.file_type().is_some_and(|file_type| file_type.is_dir()) {
            continue;
        }
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        measured.files += 1;
        measured.bytes = measured.bytes.saturating_add(if bytes > bounds.file_bytes { 0 } else { bytes });
        if measured.files > bounds.files || measured.bytes > bounds.bytes {
            return Measured { is_cut: true, ..measured };
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_gone_through_no_further_than_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.json", "c.txt"] {
            fs::write(folder.path().join(name), "12345").unwrap();
        }
        let all = Bounds { entries: 100, files: 2, bytes: 10, file_bytes: 5 };
        let of = |bounds| measure(folder.path(), &Ignores::default(), bounds);
        assert_eq!(of(all), Measured { files: 2, bytes: 10, is_cut: false });
        for less in [Bounds { entries: 3, ..all }, Bounds { files: 1, ..all }, Bounds { bytes: 9, ..all }] {
            assert!(of(less).is_cut, "{less:?}");
        }
        // One that nobody reads is none of what is read.
        assert_eq!(
            of(Bounds { bytes: 0, file_bytes: 4, ..all }),
            Measured { files: 2, bytes: 0, is_cut: false }
        );
    }
}
