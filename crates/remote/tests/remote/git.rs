//! Folders of repositories.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_remote::{
    Bounds, Fetched, Fetcher, Key, Lock, LockMode, Options, Pin, RemoteError, RemoteErrorKind, Source,
};

use crate::{files, options, texts};

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.invalid",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A repository with a commit; its name.
fn repository(folder: &Path, files: &[(&str, &str)]) -> String {
    git(folder, &["init", "--quiet"]);
    write(folder, files);
    commit(folder)
}

fn commit(folder: &Path) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "x"]);
    git(folder, &["rev-parse", "HEAD"])
}

fn fetcher(options: Options) -> Fetcher {
    Fetcher::new(options, Vec::new(), Lock::read("missing.lock".as_ref(), LockMode::IfThere).unwrap())
}

type Found = (Fetched, BTreeMap<String, String>);

fn fetched(text: &str, options: Options) -> Result<Found, RemoteError> {
    let mut fetcher = fetcher(options);
    let found = fetcher.fetch(&Source::parse(text).unwrap().unwrap())?;
    let files = if found.path.is_dir() {
        files(&found.path)
    } else {
        BTreeMap::from([(
            found.path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs::read_to_string(&found.path).unwrap(),
        )])
    };
    let path = found.path.clone();
    drop(fetcher);
    // Nothing is left.
    assert!(!path.exists());
    Ok((found, files))
}

#[test]
fn folders_of_commits_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = repository(
        folder,
        &[("p/a.yaml", "kind: A\n"), ("p/q/b.rego", "package b\n"), ("other/c.yaml", "kind: C\n")],
    );
    git(folder, &["tag", "--annotate", "v1", "--message", "one"]);
    write(folder, &[("p/a.yaml", "kind: Next\n")]);
    let second = commit(folder);
    let url = format!("git+file://{}", folder.display());
    let (found, files) = fetched(&format!("{url}//p?ref=v1"), options()).unwrap();
    assert_eq!(files, texts(&[("a.yaml", "kind: A\n"), ("q/b.rego", "package b\n")]));
    assert_eq!((found.pin, found.name), (Pin::Commit(first.clone()), format!("{url}@{first}/p")));
    let (found, files) = fetched(&url, options()).unwrap();
    assert_eq!((found.pin, files.len()), (Pin::Commit(second.clone()), 3));
    assert_eq!(fetched(&format!("{url}//p?ref=main"), options()).unwrap().0.pin, Pin::Commit(second));
    assert_eq!(
        fetched(&format!("{url}//p?ref={first}"), options()).unwrap().0.pin,
        Pin::Commit(first.clone())
    );
    let (found, files) = fetched(&format!("{url}//p/a.yaml?ref=v1"), options()).unwrap();
    assert_eq!((files, found.name), (texts(&[("a.yaml", "kind: A\n")]), format!("{url}@{first}/p/a.yaml")));
    let refused = |text: &str| fetched(text, options()).unwrap_err();
    for missing in
        ["//missing", "//p?ref=missing", "?ref=0123456789abcdef0123456789abcdef01234567", "//p/a.yaml/b"]
    {
        let error = refused(&format!("{url}{missing}"));
        assert_eq!(error.kind(), RemoteErrorKind::NotFound, "{missing}: {error}");
    }
    // A tag's own name is not that of a commit.
    let tag = git(folder, &["rev-parse", "v1"]);
    assert_eq!(refused(&format!("{url}?ref={tag}")).kind(), RemoteErrorKind::Untrue);
    assert_eq!(refused("git+file:///missing/repository").kind(), RemoteErrorKind::NotFound);
}

#[test]
fn nothing_of_a_repository_does_anything() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let repo = folder.path().join("repo");
    fs::create_dir(&repo).unwrap();
    let touch = format!("touch {}", witness.display());
    repository(
        &repo,
        &[
            ("p/a.yaml", "kind: A # $Format:%H$ $Id$\n"),
            // Files that are left out and changed where git exports or checks them out.
            (
                ".gitattributes",
                "p/hidden.yaml export-ignore\n* export-subst ident filter=evil text eol=crlf\n",
            ),
            ("p/hidden.yaml", "kind: Hidden\n"),
            ("p/.gitattributes", "* filter=evil\n"),
            (".gitmodules", "[submodule \"x\"]\npath = x\nurl = ext::sh -c evil\n"),
        ],
    );
    for setting in [
        "filter.evil.smudge",
        "filter.evil.process",
        "core.fsmonitor",
        "uploadpack.packObjectsHook",
        "core.sshCommand",
        "core.pager",
    ] {
        git(&repo, &["config", setting, &touch]);
    }
    for hook in ["post-checkout", "pre-upload", "reference-transaction", "post-index-change"] {
        let path = repo.join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(&mut fs::metadata(&path).unwrap().permissions(), 0o755);
        Command::new("chmod").arg("+x").arg(&path).status().unwrap();
    }
    let _ = fs::remove_file(&witness);
    let (_, files) = fetched(&format!("git+file://{}//p", repo.display()), options()).unwrap();
    assert_eq!(files["a.yaml"], "kind: A # $Format:%H$ $Id$\n");
    assert_eq!(files["hidden.yaml"], "kind: Hidden\n");
    assert!(!witness.exists());
}

#[test]
fn links_submodules_and_what_is_kept_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repository(
        folder,
        &[
            ("good/a.yaml", "kind: A\n"),
            ("lfs/a.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"),
        ],
    );
    fs::create_dir(folder.join("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("linked/a.yaml")).unwrap();
    let first = commit(folder);
    git(folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{first},modules/x")]);
    git(folder, &["commit", "--quiet", "--message", "x"]);
    let url = format!("git+file://{}", folder.display());
    for (path, expected) in [("linked", "is a link"), ("modules", "is a submodule"), ("lfs", "Git LFS")] {
        let error = fetched(&format!("{url}//{path}"), options()).unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Unusable, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(fetched(&format!("{url}//good"), options()).unwrap().1.len(), 1);
}

#[test]
fn a_repository_has_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing that could be packed.
    let mut state = 1_u64;
    let noise: String = (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from((state >> 33) % 75).unwrap())
        })
        .collect();
    repository(
        folder,
        &[("big/a.yaml", &noise), ("small/b.yaml", "kind: B\n"), ("small/c.yaml", "kind: C\n")],
    );
    let url = format!("git+file://{}", folder.display());
    let usual = Bounds::default();
    for (path, bounds) in [
        ("big", Bounds { unpacked: 100_000, ..usual }),
        ("small", Bounds { packed: 100_000, ..usual }),
        ("small", Bounds { files: 1, ..usual }),
    ] {
        let error = fetched(&format!("{url}//{path}"), Options { bounds, ..options() }).unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Limit, "{error}");
    }
    let started = Instant::now();
    let error = fetched(&url, Options { timeout: Duration::ZERO, ..options() }).unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Limit, "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_lock_holds_for_commits_and_keys_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = repository(folder, &[("a.yaml", "kind: A\n")]);
    let source = Source::parse(&format!("git+file://{}?ref=main", folder.display())).unwrap().unwrap();
    let pinned = Source::parse(&format!("git+file://{}?ref={first}", folder.display())).unwrap().unwrap();
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("portcullis.lock");
    let with = |mode: LockMode| Fetcher::new(options(), Vec::new(), Lock::read(&file, mode).unwrap());
    let mut update = with(LockMode::Update);
    update.fetch(&source).unwrap();
    update.finish().unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains(&first));
    with(LockMode::Locked).fetch(&source).unwrap();
    write(folder, &[("a.yaml", "kind: Moved\n")]);
    let second = commit(folder);
    for mode in [LockMode::Locked, LockMode::Named, LockMode::IfThere] {
        let error = with(mode).fetch(&source).unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Lock, "{error}");
        assert!(error.to_string().contains(&first) && error.to_string().contains(&second), "{error}");
    }
    // What names its own commit needs no lock.
    with(LockMode::Locked).fetch(&pinned).unwrap();
    let key = Key::of_pem(b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n").unwrap();
    let mut keyed = Fetcher::new(options(), vec![key], Lock::read(&file, LockMode::Locked).unwrap());
    assert_eq!(keyed.fetch(&pinned).unwrap_err().kind(), RemoteErrorKind::Signature);
}
