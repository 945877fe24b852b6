//! The flags about providers, for all commands that judge.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use portcullis::{Error, ErrorKind, Provider};

use crate::answering::Answering;
use crate::asking::{ProviderOptions, Providers};
use crate::http::Identity;
use crate::recorded::Recorded;
use crate::runtime::BlockingProviders;

/// Who says what providers of external data answer.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "External data")]
pub struct ProviderArgs {
    /// Take what providers answer from this file, in YAML by provider and key (`docs/external-data.md`); may be repeated.
    ///
    /// What is not in it is unknown: an error, with the keys that are missing.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub provider_answers: Vec<PathBuf>,
    /// Ask the providers that the policies name, by the Providers beside them, for what is in no file.
    #[arg(long)]
    pub live_providers: bool,
    /// Ask the providers, and write what they answer into this file, for `--provider-answers`.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub record_provider_answers: Option<PathBuf>,
    /// The certificate that is shown to providers, with its chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "provider_key", value_hint = clap::ValueHint::FilePath)]
    pub provider_cert: Option<PathBuf>,
    /// The key of this certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "provider_cert", value_hint = clap::ValueHint::FilePath)]
    pub provider_key: Option<PathBuf>,
    /// Who makes the requests: mutators may ask providers about the user (`dataSource: Username`), which objects do not
    /// name.
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
}

impl ProviderArgs {
    /// Reads the files, and gets ready to ask, if somebody wants that. What is wrong comes back beside it.
    #[must_use]
    pub fn open(&self, providers: &[Provider]) -> (Answering, Vec<Error>) {
        let (recorded, mut problems) = self.recorded();
        let is_live = self.live_providers || self.record_provider_answers.is_some();
        let live = is_live.then(|| self.live(providers, &mut problems)).flatten();
        let answering = Answering::new(recorded, live).with_username(self.username.as_deref());
        (answering, problems)
    }

    /// What the files say, all of them together, and what is wrong with them.
    fn recorded(&self) -> (Recorded, Vec<Error>) {
        let (mut recorded, mut problems) = (Recorded::default(), Vec::new());
        for path in &self.provider_answers {
            match Recorded::read_file(path) {
                Ok(one) => recorded.extend(one),
                Err(error) => {
                    let message = format!("{}: no answers of providers: {error}", path.display());
                    problems.push(Error::new(ErrorKind::Unreadable, message));
                }
            }
        }
        (recorded, problems)
    }

    /// What the files say as one text, the same for the same answers, to compare those of several programs; none
    /// without files. What cannot be read is left out: [`ProviderArgs::open`] says it.
    ///
    /// Cost: the files are read.
    #[must_use]
    pub fn recorded_text(&self) -> Option<String> {
        (!self.provider_answers.is_empty()).then(|| self.recorded().0.write())
    }

    fn live(&self, providers: &[Provider], problems: &mut Vec<Error>) -> Option<BlockingProviders> {
        let identity = match self.identity() {
            Ok(identity) => identity,
            Err(message) => {
                problems.push(Error::new(ErrorKind::Unreadable, message));
                return None;
            }
        };
        let known = Providers::new(ProviderOptions { identity, ..ProviderOptions::default() });
        for error in known.set(providers) {
            let at = providers.iter().find(|provider| provider.name == error.provider);
            let mut problem = Error::new(ErrorKind::InvalidValue, error.message.clone());
            if let Some(location) = at.and_then(|provider| provider.location.clone()) {
                problem = problem.at(location);
            }
            problems.push(problem.about(format!("Provider/{}", error.provider)));
        }
        match BlockingProviders::new(known) {
            Ok(live) => Some(live),
            Err(error) => {
                let message = format!("providers cannot be asked: {error}");
                problems.push(Error::new(ErrorKind::Unreadable, message));
                None
            }
        }
    }

    /// Who we are for providers.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is no PEM: one sentence.
    pub fn identity(&self) -> Result<Option<Identity>, String> {
        let Some((chain, key)) = self.provider_cert.as_ref().zip(self.provider_key.as_ref()) else {
            return Ok(None);
        };
        let read = |path: &PathBuf| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        Identity::from_pem(&read(chain)?, &read(key)?).map(Some)
    }

    /// Writes the record of a run, if somebody wants it: as a whole, or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written: one sentence.
    pub fn finish(&self, answering: &Answering) -> Result<(), String> {
        let Some(path) = &self.record_provider_answers else { return Ok(()) };
        let text = answering.record().write();
        let mut beside = path.clone().into_os_string();
        beside.push(".part");
        let written = fs::File::create(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            format!("{}: the record of providers cannot be written: {error}", path.display())
        })
    }
}
