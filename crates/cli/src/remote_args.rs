//! The flags about policies that are fetched or pushed.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use portcullis_remote::{Key, Lock, LockMode, Options, Reference, RemoteError};

/// How a registry or a repository is spoken to.
#[derive(Clone, Debug, clap::Args)]
pub struct RegistryArgs {
    /// Speak HTTP without TLS to registries that are not on this machine, too.
    #[arg(long, help_heading = ELSEWHERE)]
    pub plain_http: bool,
    /// The only certificates, in PEM, by which registries are trusted, instead of the system's.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = ELSEWHERE)]
    pub ca_file: Option<PathBuf>,
    /// Most seconds that each source may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, help_heading = ELSEWHERE)]
    pub fetch_timeout: u64,
}

/// What is fetched, and what it has to be.
#[derive(Clone, Debug, clap::Args)]
pub struct RemoteArgs {
    /// An artifact of a registry, `HOST/REPOSITORY[:TAG][@sha256:…]`, taken as PATH; may be repeated.
    ///
    /// Wherever a file or directory is named, `oci://HOST/REPOSITORY[:TAG]` names an artifact, and
    /// `git+https://HOST/REPOSITORY[//FOLDER][?ref=REF]` (also `git+ssh`, `git+file`) a folder of a git repository.
    #[arg(short, long = "image", value_name = "REF", help_heading = ELSEWHERE)]
    pub images: Vec<String>,
    /// Where directories are made for what is fetched, instead of where the system has them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = ELSEWHERE)]
    pub tempdir: Option<PathBuf>,
    /// The lock file, which has the digest or commit of each source; `portcullis.lock` if not given, if there is one.
    ///
    /// A source that it lists and that is another one now is an error.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = ELSEWHERE)]
    pub lock: Option<PathBuf>,
    /// Fetch only what the lock file lists, or what names its own digest or commit.
    #[arg(long, conflicts_with = "update_lock", help_heading = ELSEWHERE)]
    pub locked: bool,
    /// Write into the lock file what each source is now.
    #[arg(long, help_heading = ELSEWHERE)]
    pub update_lock: bool,
    /// Use only artifacts that were signed by this key, as by `cosign sign --key`: a public key in PEM. May be repeated:
    /// one of them has to have signed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = ELSEWHERE)]
    pub verify_key: Vec<PathBuf>,
    #[command(flatten)]
    pub connect: RegistryArgs,
}

/// `portcullis push`.
#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub struct PushArgs {
    /// Under which name: `HOST/REPOSITORY[:TAG]`; the tag is `latest` if not given.
    #[arg(value_name = "REF", value_parser = reference)]
    pub reference: Reference,
    /// Directories with policies, and single files.
    ///
    /// Of a directory are pushed all files that `test` reads, and no others: .yaml, .yml, .json, .jsonl, .ndjson, .rego
    /// and .toml, by their paths below it.
    #[arg(value_name = "FOLDER", required = true, value_hint = ValueHint::AnyPath)]
    pub folders: Vec<PathBuf>,
    /// Sign it with this private key: PKCS#8 in PEM, not encrypted, of ECDSA with P-256 or Ed25519.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sign_key: Option<PathBuf>,
    /// Push nothing, and only print the digest that it would have.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub connect: RegistryArgs,
}

/// `portcullis pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = PULL_EXAMPLES)]
pub struct PullArgs {
    /// What it is called: `HOST/REPOSITORY[:TAG][@sha256:…]`.
    #[arg(value_name = "REF", value_parser = reference)]
    pub reference: Reference,
    /// The directory to make, which must not be there or must be empty; the last part of the repository's name if not
    /// given.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Pull only what was signed by this key, as by `cosign sign --key`: a public key in PEM. May be repeated.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub verify_key: Vec<PathBuf>,
    #[command(flatten)]
    pub connect: RegistryArgs,
}

const ELSEWHERE: &str = "Policies from registries and git";

const PUSH_EXAMPLES: &str = "\
Examples:
  portcullis push ghcr.io/acme/policies:v1 policies/                       prints the digest
  portcullis push ghcr.io/acme/policies:v1 policies/ --sign-key cosign.key   and signs it
  portcullis push localhost:5000/policies policies/ --dry-run              only the digest: equal files, equal digest

Credentials are those of `docker login`. Exit codes: 0 it is there, 2 it is not.";

const PULL_EXAMPLES: &str = "\
Examples:
  portcullis pull ghcr.io/acme/policies:v1                  into policies/
  portcullis pull ghcr.io/acme/policies:v1 -o policy/ --verify-key cosign.pub

Credentials are those of `docker login`. Exit codes: 0 the directory is there as a whole, 2 it is not.";

impl RegistryArgs {
    pub fn options(&self, temp_dir: Option<PathBuf>) -> Options {
        Options {
            plain_http: self.plain_http,
            ca_file: self.ca_file.clone(),
            timeout: Duration::from_secs(self.fetch_timeout),
            temp_dir,
            ..Options::default()
        }
    }
}

impl RemoteArgs {
    /// The lock file, read if anything is to be fetched.
    pub fn read_lock(&self) -> Result<Lock, RemoteError> {
        const LOCK: &str = "portcullis.lock";
        let mode = match (self.update_lock, self.locked, &self.lock) {
            (true, _, _) => LockMode::Update,
            (false, true, _) => LockMode::Locked,
            (false, false, Some(_)) => LockMode::Named,
            (false, false, None) => LockMode::IfThere,
        };
        Lock::read(self.lock.as_deref().unwrap_or(LOCK.as_ref()), mode)
    }
}

/// The keys in some files.
pub fn keys(files: &[PathBuf]) -> Result<Vec<Key>, RemoteError> {
    files.iter().map(|file| Key::read(file)).collect()
}

fn reference(text: &str) -> Result<Reference, String> {
    let text = text.strip_prefix("oci://").unwrap_or(text);
    Reference::parse(text).map_err(|error| match error.what_to_do() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}
