//! Who we are for a registry: docker's `config.json`, and the programs that it names.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{RemoteError, RemoteErrorKind, local};

/// What lets us in. Never shown.
#[derive(Clone)]
pub(crate) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// For which the registry's own service gives out others.
    IdentityToken(String),
}

impl Credentials {
    /// The value of a header.
    pub(crate) fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What docker calls its own registry.
const DOCKER: &str = "https://index.docker.io/v1/";
const LARGEST: u64 = 4 << 20;
/// A name that a program gives who gives out identity tokens.
const TOKEN_USER: &str = "<token>";

/// The credentials for a registry; none if there are none. What cannot be read is an error and not a stranger: the
/// artifact that a stranger gets may be another.
pub(crate) fn find(host: &str) -> Result<Option<Credentials>, RemoteError> {
    let Some(path) = path() else { return Ok(None) };
    let shown = path.display().to_string();
    let text = match fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(local(&format!("`{shown}` cannot be read"), &error)),
        Ok(file) => {
            let mut text = String::new();
            file.take(LARGEST)
                .read_to_string(&mut text)
                .map_err(|error| local(&format!("`{shown}` cannot be read"), &error))?;
            text
        }
    };
    let config: Config = serde_json::from_str(&text).map_err(|error| {
        // Not what stands there: these are secrets.
        let message = format!(
            "`{shown}` is no configuration of docker: line {}, column {}",
            error.line(),
            error.column()
        );
        RemoteError::new(RemoteErrorKind::Local, message)
    })?;
    let helper =
        config.cred_helpers.iter().find(|(key, _)| is_key_of(key, host)).map(|(_, name)| name.as_str());
    if let Some(helper) = helper.or(config.creds_store.as_deref()).filter(|name| !name.is_empty())
        && let Some(found) = ask(helper, host)?
    {
        return Ok(Some(found));
    }
    let entry = config.auths.iter().find(|(key, _)| is_key_of(key, host)).map(|(_, entry)| entry);
    entry.map_or(Ok(None), |entry| of_entry(entry, host, &shown))
}

fn path() -> Option<PathBuf> {
    let is_some = |value: &std::ffi::OsString| !value.is_empty();
    let folder = env::var_os("DOCKER_CONFIG").filter(is_some).map(PathBuf::from);
    let home = || env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).filter(is_some);
    folder.or_else(|| Some(PathBuf::from(home()?).join(".docker"))).map(|folder| folder.join("config.json"))
}

/// Whether a key of the file means a registry. Keys may be addresses of an API, as docker once wrote them; one with
/// a path of a repository means less than the registry, and is none.
fn is_key_of(key: &str, host: &str) -> bool {
    if is_docker(host) && (key == DOCKER || is_docker(key)) {
        return true;
    }
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    key.eq_ignore_ascii_case(host)
}

/// The names of docker's own registry.
pub(crate) fn is_docker(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

fn of_entry(entry: &Entry, host: &str, shown: &str) -> Result<Option<Credentials>, RemoteError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(token) = given(&entry.identitytoken) {
        return Ok(Some(Credentials::IdentityToken(token)));
    }
    if let Some(auth) = given(&entry.auth) {
        let wrong = || {
            let message = format!("`auth` of `{host}` in `{shown}` is no base64 of `USER:PASSWORD`");
            RemoteError::new(RemoteErrorKind::Local, message)
        };
        let bytes = STANDARD.decode(auth.trim()).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let (user, password) = text.split_once(':').ok_or_else(wrong)?;
        let password = password.trim_end_matches('\0');
        return Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }));
    }
    Ok(given(&entry.username)
        .zip(given(&entry.password))
        .map(|(user, password)| Credentials::Password { user, password }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME`. It gets ten seconds, and may not ask anybody itself.
fn ask(name: &str, host: &str) -> Result<Option<Credentials>, RemoteError> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const MOST: u64 = 64 << 10;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(is_plain) {
        let message =
            format!("docker's configuration names `{name}` as a credential helper, which is no name of one");
        return Err(RemoteError::new(RemoteErrorKind::Local, message));
    }
    let program = format!("docker-credential-{name}");
    let failed = |what: &str| {
        RemoteError::new(
            RemoteErrorKind::Local,
            format!("`{program}`, which docker's configuration names, {what}"),
        )
        .hint(format!(
            "log in anew with `docker login {host}`, or take the helper out of docker's configuration"
        ))
    };
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    let server = if is_docker(host) { DOCKER } else { host };
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has its answer ready.
        let _ = stdin.write_all(server.as_bytes());
    }
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.map(|stdout| stdout.take(MOST).read_to_string(&mut text));
        text
    });
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                // It is ours, and it may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("did not answer within 10 seconds"));
            }
            Err(error) => return Err(failed(&format!("cannot be waited for: {error}"))),
        }
    };
    while !reader.is_finished() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    if !reader.is_finished() {
        return Err(failed("left something behind that keeps its output open"));
    }
    let text = reader.join().unwrap_or_default();
    if !status.success() {
        return if text.contains("credentials not found") { Ok(None) } else { Err(failed("failed")) };
    }
    let answer: Answer =
        serde_json::from_str(&text).map_err(|_| failed("answered with something else than credentials"))?;
    Ok(Some(if answer.username == TOKEN_USER {
        Credentials::IdentityToken(answer.secret)
    } else {
        Credentials::Password { user: answer.username, password: answer.secret }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_registries() {
        for (key, host) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/v2/", "ghcr.io"),
            ("http://localhost:5000", "localhost:5000"),
            (DOCKER, "docker.io"),
            ("docker.io", "registry-1.docker.io"),
            ("https://index.docker.io/v1/", "index.docker.io"),
        ] {
            assert!(is_key_of(key, host), "{key} {host}");
        }
        for (key, host) in [
            ("ghcr.io", "ghcr.io.evil.example"),
            ("ghcr.io/acme", "ghcr.io"),
            ("localhost", "localhost:5000"),
            (DOCKER, "ghcr.io"),
        ] {
            assert!(!is_key_of(key, host), "{key} {host}");
        }
    }
}
