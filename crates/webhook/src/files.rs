//! Files that are written: what may be secret goes only where nobody else reads it, and a path never leads elsewhere, waits, or ends up
//! in something that is not a file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Who else may be on the other side of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nobody: a file of ours that only we may read, or a FIFO like that.
    #[default]
    Private,
    /// Anybody: links are followed, modes and owners are not looked at, and devices are written to.
    Shared,
}

/// Why a file is not written to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be opened.
    #[error("{0}")]
    System(io::Error),
    /// It is a link.
    #[error("it is a symbolic link, which may lead anywhere: name what it leads to, or give `{flag}`", flag = SHARED)]
    Link,
    /// It is a FIFO that nobody reads.
    #[error("it is a FIFO that nobody reads: start its reader first")]
    NoReader,
    /// It is something else.
    #[error("it is a {0}: name a file")]
    NoFile(&'static str),
    /// It is something that only the flag lets be written to.
    #[error("it is a {0}: name a file, or give `{flag}`", flag = SHARED)]
    Device(&'static str),
    /// Others may read it.
    #[error("others may read or write it (mode {0:o}): `chmod 600` it, or give `{flag}`", flag = SHARED)]
    Open(u32),
    /// It has other names.
    #[error("it has {0} names, and may be a file for something else: name a file of its own, or give `{flag}`", flag = SHARED)]
    Names(u64),
    /// It is somebody else's.
    #[error("it is owned by user {0}, who may read it: name a file of your own, or give `{flag}`", flag = SHARED)]
    Owner(u32),
}

/// The flag that is for files of others.
const SHARED: &str = "--decision-log-shared";

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::System(error) => error,
            error => io::Error::other(error.to_string()),
        }
    }
}

/// Opens a file to append to, or makes it, for its owner only. Never waits: not for the reader of a FIFO either.
///
/// # Errors
///
/// If the system refuses, or it is not what `access` asks for.
pub fn append(path: &Path, access: Access) -> Result<File, OpenError> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if access == Access::Private {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path);
    let file = opened.map_err(|error| explain(path, error))?;
    // Of what was opened, not of what is at the path by now.
    let found = file.metadata().map_err(OpenError::System)?;
    let kind = found.file_type();
    if kind.is_dir() || kind.is_block_device() || kind.is_socket() {
        return Err(OpenError::NoFile("directory, socket or disk"));
    }
    if access == Access::Private {
        let mode = found.permissions().mode() & 0o777;
        let own = rustix::process::geteuid().as_raw();
        match () {
            () if kind.is_char_device() => return Err(OpenError::Device("device")),
            () if mode & 0o077 != 0 => return Err(OpenError::Open(mode)),
            () if found.nlink() > 1 => return Err(OpenError::Names(found.nlink())),
            () if found.uid() != own => return Err(OpenError::Owner(found.uid())),
            () => {}
        }
    }
    // A thread of its own writes, and may wait.
    let flags = fcntl_getfl(file.as_fd()).map_err(|error| OpenError::System(error.into()))?;
    fcntl_setfl(file.as_fd(), flags - OFlags::NONBLOCK).map_err(|error| OpenError::System(error.into()))?;
    Ok(file)
}

fn explain(path: &Path, error: io::Error) -> OpenError {
    let there = fs::symlink_metadata(path).map(|found| found.file_type());
    match there {
        Ok(kind) if kind.is_symlink() => OpenError::Link,
        Ok(kind)
            if kind.is_fifo() && error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) =>
        {
            OpenError::NoReader
        }
        Ok(kind) if kind.is_socket() => OpenError::NoFile("socket"),
        Ok(kind) if kind.is_dir() => OpenError::NoFile("directory"),
        _ => OpenError::System(error),
    }
}

/// Puts a text into a file for all to read: readers see the old text or the new one, and no half. What is at the path is replaced, a
/// link as well; what is beside it under the name that is used meanwhile is removed, and never written to.
///
/// # Errors
///
/// If the system refuses.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        return Err(io::Error::other("it is there and is no file"));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask: it is for clients, who are other users.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_files_of_our_own_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let refused = |name: &str| append(&path(name), Access::Private).unwrap_err().to_string();
        let mode = |name: &str, mode| fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        append(&path("new"), Access::Private).unwrap().write_all(b"a").unwrap();
        append(&path("new"), Access::Private).unwrap().write_all(b"b").unwrap();
        assert_eq!(fs::read_to_string(path("new")).unwrap(), "ab");
        assert_eq!(fs::metadata(path("new")).unwrap().permissions().mode() & 0o777, 0o600);
        for open in [0o644, 0o640, 0o606, 0o660, 0o601] {
            mode("new", open);
            assert!(refused("new").contains(&format!("(mode {open:o})")), "{}", refused("new"));
        }
        assert!(append(&path("new"), Access::Shared).is_ok());
        mode("new", 0o600);
        symlink(path("new"), path("link")).unwrap();
        symlink(path("gone"), path("loose")).unwrap();
        for link in ["link", "loose"] {
            assert!(refused(link).contains("symbolic link"), "{}", refused(link));
        }
        assert!(!path("gone").exists());
        assert!(append(&path("link"), Access::Shared).is_ok());
        fs::hard_link(path("new"), path("hard")).unwrap();
        for name in ["new", "hard"] {
            assert!(refused(name).contains("2 names"), "{}", refused(name));
        }
        assert!(append(&path("hard"), Access::Shared).is_ok());
        fs::remove_file(path("hard")).unwrap();
        assert!(append(&path("new"), Access::Private).is_ok());
        for device in ["/dev/null", "/dev/full"] {
            let error = append(Path::new(device), Access::Private).unwrap_err();
            assert!(matches!(error, OpenError::Device(_)), "{error}");
            assert!(append(Path::new(device), Access::Shared).is_ok());
        }
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        for name in ["socket", "folder"] {
            for access in [Access::Private, Access::Shared] {
                let error = append(&path(name), access).unwrap_err();
                assert!(matches!(error, OpenError::NoFile(_)), "{error}");
            }
        }
        assert!(matches!(append(&path("folder/none/x"), Access::Private), Err(OpenError::System(_))));
    }

    #[test]
    fn a_fifo_needs_a_reader_and_nobody_waits_for_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        assert!(
            std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success()
        );
        for access in [Access::Private, Access::Shared] {
            let error = append(&path, access).unwrap_err();
            assert!(matches!(error, OpenError::NoReader), "{error}");
        }
        let reader = {
            let path = path.clone();
            std::thread::spawn(move || fs::read_to_string(path).unwrap())
        };
        // The reader waits for us, at last.
        let mut opened = append(&path, Access::Private);
        while matches!(opened, Err(OpenError::NoReader)) {
            std::thread::yield_now();
            opened = append(&path, Access::Private);
        }
        opened.unwrap().write_all(b"record").unwrap();
        assert_eq!(reader.join().unwrap(), "record");
    }

    #[test]
    fn a_replaced_file_is_never_somebody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("victim"), "x").unwrap();
        symlink(path("victim"), path("ca.pem.new")).unwrap();
        symlink(path("victim"), path("ca.pem")).unwrap();
        replace(&path("ca.pem"), "ca").unwrap();
        assert_eq!(fs::read_to_string(path("victim")).unwrap(), "x");
        assert_eq!(fs::read_to_string(path("ca.pem")).unwrap(), "ca");
        assert!(fs::symlink_metadata(path("ca.pem")).unwrap().is_file());
        assert_eq!(fs::metadata(path("ca.pem")).unwrap().permissions().mode() & 0o777, 0o644);
        fs::create_dir(path("folder")).unwrap();
        assert!(replace(&path("folder"), "ca").is_err());
    }
}
