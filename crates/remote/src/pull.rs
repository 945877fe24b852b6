//! An artifact as a folder.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::folder::{Filling, Inside};
use crate::manifest::{Descriptor, Manifest, TITLE, UNPACK};
use crate::many::for_each;
use crate::options::Options;
use crate::reference::Reference;
use crate::registry::{Doing, Found, Repository, digest_of};
use crate::signature::{Key, verify};
use crate::unpack::{is_gzip, unpack};

/// An artifact whose manifest is known and whose layers are not here yet.
pub struct Artifact {
    repository: Repository,
    reference: Reference,
    found: Found,
    options: Options,
}

/// What was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// How many files.
    pub files: usize,
}

/// What a layer is.
enum Layer {
    /// One file.
    File(Inside),
    /// An archive; of one folder, if it says so.
    Archive(Option<Inside>),
}

impl Artifact {
    /// Asks for the manifest.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    pub fn find(reference: &Reference, options: &Options) -> Result<Self, RemoteError> {
        let found = Repository::new(reference, Doing::Pull, options)
            .and_then(|repository| Ok((repository.manifest(reference)?, repository)));
        let (found, repository) = found.map_err(|error| error.of(&format!("`{reference}`")))?;
        Ok(Self { repository, reference: reference.clone(), found, options: options.clone() })
    }

    /// The digest of the manifest, and so of everything that is in it.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.found.digest
    }

    /// Looks whether one of the keys signed it.
    ///
    /// # Errors
    ///
    /// If none did.
    pub fn verify(&self, keys: &[Key]) -> Result<(), RemoteError> {
        let verified = verify(&self.repository, self.digest(), keys);
        verified.map_err(|error| error.of(&format!("`{}`", self.reference)))
    }

    /// Puts its files into an empty folder of our own.
    ///
    /// # Errors
    ///
    /// Whatever keeps one of its files from coming. Then what is in the folder is to be thrown away.
    pub fn pull_into(&self, folder: &Path) -> Result<Pulled, RemoteError> {
        self.pull(folder).map_err(|error| error.of(&format!("`{}`", self.reference)))
    }

    /// Makes a folder of it. It is there as a whole, or not at all.
    ///
    /// # Errors
    ///
    /// If there is something already, or the artifact cannot be pulled.
    pub fn pull_to(&self, folder: &Path) -> Result<Pulled, RemoteError> {
        let shown = folder.display();
        let is_free = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(local(&format!("`{shown}` cannot be looked at"), &error)),
        };
        if !is_free {
            let message = format!("`{shown}` is there already");
            return Err(RemoteError::new(RemoteErrorKind::Local, message)
                .hint("remove it, or name another folder with `--output`"));
        }
        let beside = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(beside)
            .map_err(|error| local(&format!("`{}` cannot be made", beside.display()), &error))?;
        let room = temporary(Some(beside))?;
        let inside = room.path().join("pulled");
        fs::create_dir(&inside).map_err(|error| local("a folder cannot be made", &error))?;
        let pulled = self.pull_into(&inside)?;
        // An empty folder gives way; one that was filled meanwhile does not.
        fs::rename(&inside, folder).map_err(|error| local(&format!("`{shown}` cannot be made"), &error))?;
        Ok(pulled)
    }

    fn pull(&self, folder: &Path) -> Result<Pulled, RemoteError> {
        let layers = self.layers()?;
        let room = temporary(self.options.temp_dir.as_deref())?;
        let files = self.fetch(&layers, room.path())?;
        let mut filling = Filling::new(folder, self.options.bounds);
        for ((descriptor, layer), file) in layers.iter().zip(&files) {
            let filled = self.add(layer, file, &mut filling);
            filled.map_err(|error| error.of(&format!("layer {}", descriptor.digest)))?;
            // Only to make room.
            let _ = fs::remove_file(file);
        }
        if filling.files() == 0 {
            return Err(RemoteError::new(RemoteErrorKind::Unusable, "there are no files in it"));
        }
        Ok(Pulled { files: filling.files() })
    }

    /// What the layers are. Nothing is fetched of an artifact that cannot be used as a whole.
    fn layers(&self) -> Result<Vec<(&Descriptor, Layer)>, RemoteError> {
        let Manifest { layers, .. } = &self.found.manifest;
        let bounds = &self.options.bounds;
        let limit = |message: String| Err(RemoteError::new(RemoteErrorKind::Limit, message));
        if layers.len() > bounds.layers {
            return limit(format!("it has {} layers, more than {}", layers.len(), bounds.layers));
        }
        let size = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        if size > bounds.packed {
            return limit(format!("its layers have {size} bytes, more than {}", bounds.packed));
        }
        layers.iter().map(|descriptor| Ok((descriptor, layer(descriptor)?))).collect()
    }

    /// Brings the layers here, each into a file of its number.
    fn fetch(&self, layers: &[(&Descriptor, Layer)], room: &Path) -> Result<Vec<PathBuf>, RemoteError> {
        let file = |number: usize| room.join(number.to_string());
        for_each(layers, |number, (descriptor, _)| self.repository.blob_into(descriptor, &file(number)))?;
        Ok((0..layers.len()).map(file).collect())
    }

    fn add(&self, layer: &Layer, file: &Path, filling: &mut Filling<'_>) -> Result<(), RemoteError> {
        let opened = || File::open(file).map_err(|error| local("a layer cannot be read", &error));
        match layer {
            Layer::File(path) => filling.write(path, opened()?).map(|_| ()),
            Layer::Archive(below) => {
                let mut first = Vec::new();
                opened()?
                    .take(2)
                    .read_to_end(&mut first)
                    .map_err(|error| local("a layer cannot be read", &error))?;
                unpack(opened()?, is_gzip(&first), below.as_ref(), filling, self.options.bounds)
            }
        }
    }
}

/// What a layer is, by what is said of it. A title makes it a file, whatever its type: `oras push` calls files archives.
fn layer(descriptor: &Descriptor) -> Result<Layer, RemoteError> {
    digest_of(descriptor)?;
    let kind = descriptor.media_type.as_str();
    let unusable = |message: String| Err(RemoteError::new(RemoteErrorKind::Unusable, message));
    if let Some(title) = descriptor.annotation(TITLE) {
        let path = Inside::parse(title)?;
        if descriptor.annotation(UNPACK) == Some("true") {
            return Ok(Layer::Archive(path));
        }
        let Some(path) = path else {
            return unusable(format!("the layer `{title}` is a file without a name"));
        };
        // It would be a file that nobody reads.
        let is_packed = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip"]
            .iter()
            .any(|end| title.to_ascii_lowercase().ends_with(end));
        if is_packed {
            let message =
                format!("the layer `{title}` is an archive inside of the artifact, which is not unpacked");
            return Err(RemoteError::new(RemoteErrorKind::Unusable, message).hint("push the folder itself"));
        }
        return Ok(Layer::File(path));
    }
    if [".tar", ".tar+gzip", ".tar.gzip"].iter().any(|end| kind.ends_with(end)) {
        return Ok(Layer::Archive(None));
    }
    unusable(format!(
        "the layer {} of type `{kind}` has no title and is no archive of tar, plain or with gzip",
        descriptor.digest
    ))
}

/// A folder that goes when nobody needs it, and that nobody else reads.
pub(crate) fn temporary(parent: Option<&Path>) -> Result<tempfile::TempDir, RemoteError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".portcullis-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    let made = match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    made.map_err(|error| local("a temporary folder cannot be made", &error))
}
