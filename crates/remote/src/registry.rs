//! One repository of a registry: manifests and blobs, each of which is what its digest says.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use ureq::http::{Method, StatusCode};

use crate::challenge::Challenge;
use crate::credentials::{self, Credentials};
use crate::digest::{self, Digest};
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::http::{Address, Answer, Ask, Client, broken_off};
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Manifest, OCI_INDEX, OCI_MANIFEST};
use crate::options::{Bounds, Options};
use crate::reference::Reference;

/// What is done there, as tokens are given out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Pull,
    Push,
}

/// A repository.
pub(crate) struct Repository {
    client: Client,
    base: Address,
    host: String,
    name: String,
    doing: Doing,
    bounds: Bounds,
    /// The header that says who we are, once somebody asked for it.
    authorization: Mutex<Option<String>>,
}

/// A manifest that was read, and the digest of its bytes.
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
}

const ANY: &str = "*/*";
/// Most bytes of an answer that gives out a token.
const TOKEN: u64 = 256 << 10;

impl Repository {
    pub(crate) fn new(reference: &Reference, doing: Doing, options: &Options) -> Result<Self, RemoteError> {
        let client = Client::new(options)?;
        let host = reference.host();
        // Docker's own registry answers under another name than the one that everybody writes.
        let (server, name) = if credentials::is_docker(host) {
            let name = reference.repository();
            let name = if name.contains('/') { name.to_owned() } else { format!("library/{name}") };
            ("registry-1.docker.io", name)
        } else {
            (host, reference.repository().to_owned())
        };
        let base = client.registry(server)?;
        let (bounds, host) = (options.bounds, host.to_owned());
        Ok(Self { client, base, host, name, doing, bounds, authorization: Mutex::new(None) })
    }

    fn address(&self, rest: &str) -> Result<Address, RemoteError> {
        self.base.join(&format!("/v2/{}/{rest}", self.name))
    }

    /// The manifest that a reference names.
    pub(crate) fn manifest(&self, reference: &Reference) -> Result<Found, RemoteError> {
        match reference.digest() {
            Some(digest) => self.manifest_by(digest.as_str(), Some(digest)),
            None => self.manifest_by(reference.tag(), None),
        }
    }

    /// The manifest of a tag or a digest. By a tag, it is what the registry says that it is; its digest is our own.
    pub(crate) fn manifest_by(&self, name: &str, expected: Option<&Digest>) -> Result<Found, RemoteError> {
        let accept = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX].join(", ");
        let address = self.address(&format!("manifests/{name}"))?;
        let answer = self.ask(&Method::GET, &address, &accept, None)?;
        if answer.status != StatusCode::OK {
            return Err(answer.failure(&format!("the manifest of `{name}` cannot be read")));
        }
        let said = answer.header("docker-content-digest").map(str::to_owned);
        let kind = answer
            .header("content-type")
            .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
        let bytes = answer.bytes(self.bounds.manifest, "the manifest")?;
        let digest = Digest::of(&bytes);
        let other = |what: &str, said: &str| {
            let message =
                format!("the manifest of `{name}` has the digest {digest}, and not {said}, as {what} says");
            Err(RemoteError::new(RemoteErrorKind::Untrue, message)
                .hint("it was changed on the way or by the registry; nothing of it is used"))
        };
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return other("the reference", expected.as_str());
        }
        if let Some(said) = said.filter(|said| said.starts_with("sha256:") && *said != digest.as_str()) {
            return other("the registry", &said);
        }
        let manifest = read_manifest(&bytes, kind.as_deref(), name)?;
        Ok(Found { manifest, digest })
    }

    /// A small blob as a whole.
    pub(crate) fn blob(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = Vec::new();
        self.copy_blob(descriptor, most, &mut bytes)?;
        Ok(bytes)
    }

    /// Puts a blob into a file.
    pub(crate) fn blob_into(&self, descriptor: &Descriptor, file: &Path) -> Result<(), RemoteError> {
        let unwritten = |error: &std::io::Error| local("a layer cannot be kept", error);
        let mut opened = File::create_new(file).map_err(|error| unwritten(&error))?;
        self.copy_blob(descriptor, self.bounds.packed, &mut opened)?;
        opened.flush().map_err(|error| unwritten(&error))
    }

    /// Copies a blob, and looks whether it is what its descriptor says: who gets an error uses nothing of it.
    fn copy_blob(
        &self,
        descriptor: &Descriptor,
        most: u64,
        to: &mut impl std::io::Write,
    ) -> Result<(), RemoteError> {
        let Descriptor { digest, size, .. } = descriptor;
        let expected = digest_of(descriptor)?;
        if *size > most {
            return Err(RemoteError::new(
                RemoteErrorKind::Limit,
                format!("{digest} has {size} bytes, more than {most}"),
            ));
        }
        let address = self.address(&format!("blobs/{expected}"))?;
        let answer = self.ask(&Method::GET, &address, ANY, None)?;
        if answer.status != StatusCode::OK {
            return Err(answer.failure(&format!("{expected} cannot be read")));
        }
        let shown = answer.address.shown();
        let (count, found) =
            digest::copy(answer.reader(), to, *size).map_err(|error| broken_off(&shown, &error))?;
        let untrue = |message: String| {
            Err(RemoteError::new(RemoteErrorKind::Untrue, message)
                .hint("it was changed on the way or by the registry; nothing of it is used"))
        };
        if count != *size {
            let more = if count > *size { "more" } else { "less" };
            return untrue(format!("{expected} has {more} than the {size} bytes that its manifest says"));
        }
        if found != expected {
            return untrue(format!("instead of {expected} the registry sent {found}"));
        }
        Ok(())
    }

    /// Brings a blob there, unless it is there.
    pub(crate) fn push_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), RemoteError> {
        let there = self.ask(&Method::HEAD, &self.address(&format!("blobs/{digest}"))?, ANY, None)?;
        if there.status == StatusCode::OK {
            return Ok(());
        }
        let begin = self.address("blobs/uploads/")?;
        let kind = "application/octet-stream";
        let answer = self.ask(&Method::POST, &begin, ANY, Some((kind, &[])))?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(answer.failure("nothing can be brought there"));
        }
        let Some(location) = answer.header("location") else {
            let message = "the registry does not say where to bring a layer";
            return Err(RemoteError::new(RemoteErrorKind::Untrue, message));
        };
        let upload = answer.address.join(location)?;
        self.client.may_follow(&begin, &upload)?;
        let upload = upload.with_parameter("digest", digest.as_str())?;
        let answer = self.ask(&Method::PUT, &upload, ANY, Some((kind, bytes)))?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.failure(&format!("{digest} cannot be brought there")));
        }
        Ok(())
    }

    /// Brings a manifest there, under a tag.
    pub(crate) fn push_manifest(&self, tag: &str, bytes: &[u8]) -> Result<Digest, RemoteError> {
        let address = self.address(&format!("manifests/{tag}"))?;
        let answer = self.ask(&Method::PUT, &address, ANY, Some((OCI_MANIFEST, bytes)))?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.failure(&format!("`{tag}` cannot be made")));
        }
        let digest = Digest::of(bytes);
        match answer
            .header("docker-content-digest")
            .filter(|said| said.starts_with("sha256:") && *said != digest.as_str())
        {
            None => Ok(digest),
            Some(said) => {
                let message = format!("the registry keeps {said} instead of {digest}");
                Err(RemoteError::new(RemoteErrorKind::Untrue, message))
            }
        }
    }

    /// Asks as whoever we are there; if that is not known yet and has to be, once more.
    fn ask(
        &self,
        method: &Method,
        address: &Address,
        accept: &str,
        body: Option<(&str, &[u8])>,
    ) -> Result<Answer, RemoteError> {
        // Only the registry gets to know who we are: an upload may go to somebody else.
        let is_registry = address.is_of_same(&self.base);
        let known = self.known().filter(|_| is_registry);
        let ask = |authorization: Option<&str>| {
            self.client.ask(&Ask {
                method: method.clone(),
                address: address.clone(),
                accept,
                authorization,
                body,
            })
        };
        let answer = ask(known.as_deref())?;
        let may_repeat =
            answer.status == StatusCode::UNAUTHORIZED && is_registry && answer.address.is_of_same(&self.base);
        if !may_repeat {
            return Ok(answer);
        }
        let challenge =
            answer.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let challenge = Challenge::of(challenge);
        let Some(authorization) = self.authorized(challenge, known.as_deref())? else {
            return Err(self.refused(answer));
        };
        let answer = ask(Some(&authorization))?;
        if answer.status == StatusCode::UNAUTHORIZED { Err(self.refused(answer)) } else { Ok(answer) }
    }

    fn refused(&self, answer: Answer) -> RemoteError {
        let host = &self.host;
        answer
            .failure(&format!("`{host}` does not let us in"))
            .hint(format!("log in with `docker login {host}`"))
    }

    fn known(&self) -> Option<String> {
        self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The header for a challenge; none if there is nothing to answer it with. `tried` did not do.
    fn authorized(
        &self,
        challenge: Option<Challenge>,
        tried: Option<&str>,
    ) -> Result<Option<String>, RemoteError> {
        // Held while somebody asks, so that all threads together ask once.
        let mut kept = self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.is_some() && kept.as_deref() != tried {
            return Ok(kept.clone());
        }
        let credentials = credentials::find(&self.host)?;
        let header = match (challenge, credentials) {
            (Some(Challenge::Basic), Some(Credentials::Password { user, password })) => {
                Some(Credentials::basic(&user, &password))
            }
            (Some(Challenge::Basic), Some(Credentials::IdentityToken(_)) | None) | (None, _) => None,
            (Some(Challenge::Bearer { realm, service }), credentials) => {
                Some(format!("Bearer {}", self.token(&realm, service.as_deref(), credentials.as_ref())?))
            }
        };
        kept.clone_from(&header);
        Ok(header)
    }

    /// Asks whoever gives out tokens for one.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        credentials: Option<&Credentials>,
    ) -> Result<String, RemoteError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let actions = match self.doing {
            Doing::Pull => "pull",
            Doing::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.name);
        let realm = Address::parse(realm)?;
        self.client.may_follow(&self.base, &realm)?;
        let shown = realm.shown();
        let mut address = realm;
        let form;
        let answer = match credentials {
            Some(Credentials::IdentityToken(token)) => {
                let parameters = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "portcullis"),
                    ("service", service.unwrap_or_default()),
                    ("scope", &scope),
                    ("refresh_token", token),
                ];
                let pairs: Vec<String> = parameters
                    .iter()
                    .map(|(key, value)| format!("{key}={}", crate::http::escaped(value)))
                    .collect();
                form = pairs.join("&");
                let body = Some(("application/x-www-form-urlencoded", form.as_bytes()));
                self.client.ask(&Ask {
                    method: Method::POST,
                    address,
                    accept: ANY,
                    authorization: None,
                    body,
                })?
            }
            password => {
                if let Some(service) = service {
                    address = address.with_parameter("service", service)?;
                }
                address = address.with_parameter("scope", &scope)?;
                let basic = match password {
                    Some(Credentials::Password { user, password }) => {
                        Some(Credentials::basic(user, password))
                    }
                    Some(Credentials::IdentityToken(_)) | None => None,
                };
                let authorization = basic.as_deref();
                self.client.ask(&Ask {
                    method: Method::GET,
                    address,
                    accept: ANY,
                    authorization,
                    body: None,
                })?
            }
        };
        if answer.status != StatusCode::OK {
            let host = &self.host;
            let refused = answer.failure(&format!("`{shown}` gives no token for `{host}`"));
            return Err(refused.hint(format!("log in with `docker login {host}`")));
        }
        let bytes = answer.bytes(TOKEN, "the token")?;
        let token =
            serde_json::from_slice::<Token>(&bytes).ok().and_then(|token| token.token.or(token.access_token));
        token.filter(|token| !token.is_empty()).ok_or_else(|| {
            RemoteError::new(
                RemoteErrorKind::Untrue,
                format!("`{shown}` answers with something else than a token"),
            )
        })
    }
}

/// The digest of a descriptor, if it is one that can be looked after.
pub(crate) fn digest_of(descriptor: &Descriptor) -> Result<Digest, RemoteError> {
    Digest::parse(&descriptor.digest).ok_or_else(|| {
        let message = format!("`{}` in the manifest is no digest that is known here", descriptor.digest);
        RemoteError::new(RemoteErrorKind::Unusable, message).hint("registries use `sha256:` and 64 digits")
    })
}

fn read_manifest(bytes: &[u8], kind: Option<&str>, name: &str) -> Result<Manifest, RemoteError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        media_type: Option<String>,
        manifests: Option<Vec<Descriptor>>,
    }
    let unusable = |message: String| RemoteError::new(RemoteErrorKind::Unusable, message);
    let no_manifest =
        |why: &dyn std::fmt::Display| unusable(format!("what is called `{name}` is no manifest: {why}"));
    let index: Index = serde_json::from_slice(bytes).map_err(|error| no_manifest(&error))?;
    let inside = index.media_type.as_deref();
    // Of two types, each could be read differently by somebody else.
    if let (Some(inside), Some(kind)) = (inside, kind)
        && inside != kind
    {
        return Err(no_manifest(&format!("it is sent as `{kind}` and says that it is `{inside}`")));
    }
    if let Some(parts) = index.manifests {
        let named: Vec<&str> = parts.iter().take(5).map(|part| part.digest.as_str()).collect();
        let message =
            format!("what is called `{name}` is an index of {} artifacts, and not one", parts.len());
        return Err(unusable(message).hint(format!("name one by its digest: {}", named.join(", "))));
    }
    let kind = inside.or(kind).unwrap_or(OCI_MANIFEST);
    if kind != OCI_MANIFEST && kind != DOCKER_MANIFEST {
        return Err(no_manifest(&format!("its type is `{kind}`")));
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| no_manifest(&error))?;
    if manifest.schema_version != 2 {
        return Err(no_manifest(&format!("its version is {}", manifest.schema_version)));
    }
    Ok(manifest)
}
