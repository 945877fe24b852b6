//! With a registry that lies, is slow, or sends us elsewhere.

use std::time::{Duration, Instant};

use portcullis_remote::{Bundle, Options, RemoteErrorKind};

use crate::servers::{Layer, MANIFEST, Reply, Request, Server, digest, manifest};
use crate::{options, pulled, reference, refused};

/// What it is, or what is said of it, and how it is answered.
type Case = (&'static str, fn(&Request) -> Reply);

fn layers() -> Vec<Layer> {
    vec![
        Layer::titled("application/yaml", "a.yaml", "kind: A\n"),
        Layer::titled("application/yaml", "b.yaml", "kind: B\n"),
    ]
}

/// An honest answer.
fn honest(request: &Request) -> Reply {
    let layers = layers();
    if request.path.contains("/manifests/") {
        let text = manifest(&layers);
        return Reply::of(
            200,
            &[("content-type", MANIFEST), ("docker-content-digest", &digest(text.as_bytes()))],
            text,
        );
    }
    match layers.iter().find(|layer| request.path.ends_with(&digest(&layer.bytes))) {
        Some(layer) => Reply::of(200, &[], layer.bytes.clone()),
        None => Reply::of(404, &[], ""),
    }
}

fn is_blob(request: &Request) -> bool {
    request.path.contains("/blobs/")
}

fn name(server: &Server) -> String {
    format!("{}/p:v1", server.host)
}

#[test]
fn digests_are_never_believed() {
    let server = Server::start(honest);
    assert_eq!(pulled(&name(&server), &options()).unwrap().len(), 2);
    let lies: [Case; 5] = [
        ("instead of sha256", |request| {
            if is_blob(request) { Reply::of(200, &[], "kind: E\n") } else { honest(request) }
        }),
        ("has less than the 8 bytes", |request| {
            if is_blob(request) { Reply::of(200, &[], "kind") } else { honest(request) }
        }),
        ("has more than the 8 bytes", |request| {
            if is_blob(request) { Reply::of(200, &[], "kind: A\nkind: B") } else { honest(request) }
        }),
        ("as the registry says", |request| {
            if is_blob(request) {
                return honest(request);
            }
            let said = digest(b"another");
            Reply::of(
                200,
                &[("content-type", MANIFEST), ("docker-content-digest", &said)],
                manifest(&layers()),
            )
        }),
        ("is no manifest", |request| {
            if is_blob(request) {
                honest(request)
            } else {
                Reply::of(200, &[("content-type", "text/html")], "<html>")
            }
        }),
    ];
    for (expected, lie) in lies {
        let server = Server::start(lie);
        let (kind, message) = refused(&name(&server), &options());
        assert!(matches!(kind, RemoteErrorKind::Untrue | RemoteErrorKind::Unusable), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    // What is asked for by its digest is that, or nothing.
    let pinned = format!("{}/p@{}", Server::start(honest).host, digest(b"what was wanted"));
    let (kind, message) = refused(&pinned, &options());
    assert_eq!(
        (kind, message.contains("as the reference says")),
        (RemoteErrorKind::Untrue, true),
        "{message}"
    );
}

#[test]
fn a_manifest_that_says_two_things_is_none() {
    for (kind, text) in [
        ("application/vnd.oci.image.index.v1+json", manifest(&layers())),
        (
            "application/vnd.oci.image.manifest.v1+json",
            manifest(&layers()).replace(
                "{\"schemaVersion\":2",
                "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"schemaVersion\":2",
            ),
        ),
        (MANIFEST, manifest(&layers()).replace("\"schemaVersion\":2", "\"schemaVersion\":1")),
        (MANIFEST, manifest(&layers()).replace("sha256:", "sha512:")),
        (MANIFEST, manifest(&layers()).replace("\"layers\":", "\"layers\":[],\"layers\":")),
        (MANIFEST, "[]".to_owned()),
        (MANIFEST, "{}".to_owned()),
    ] {
        let server = Server::start(move |_| Reply::of(200, &[("content-type", kind)], text.clone()));
        let (kind, message) = refused(&name(&server), &options());
        assert_eq!(kind, RemoteErrorKind::Unusable, "{message}");
    }
}

#[test]
fn what_never_ends_ends() {
    let quick = Options { timeout: Duration::from_secs(2), ..options() };
    let cases: [Case; 6] = [
        ("silent manifest", |_| Reply::Silent),
        ("dripping manifest", |_| Reply::Drip),
        ("endless manifest", |_| Reply::Endless),
        ("silent blobs", |request| if is_blob(request) { Reply::Silent } else { honest(request) }),
        ("dripping blobs", |request| if is_blob(request) { Reply::Drip } else { honest(request) }),
        ("endless blobs", |request| if is_blob(request) { Reply::Endless } else { honest(request) }),
    ];
    for (what, answer) in cases {
        let server = Server::start(answer);
        let started = Instant::now();
        let (kind, message) = refused(&name(&server), &quick);
        assert!(started.elapsed() < Duration::from_secs(15), "{what} took {:?}", started.elapsed());
        assert!(
            matches!(kind, RemoteErrorKind::Limit | RemoteErrorKind::Unreachable | RemoteErrorKind::Untrue),
            "{what}: {message}"
        );
    }
    // Heads that do not end, either.
    let server = Server::start(|_| Reply::of(200, &[("x", &*"y".repeat(1 << 20))], ""));
    assert_eq!(refused(&name(&server), &quick).0, RemoteErrorKind::Unreachable);
    let server = Server::start(|request| {
        let path = format!("{}x", request.path);
        Reply::of(307, &[("location", &*path)], "")
    });
    let (kind, message) = refused(&name(&server), &options());
    assert_eq!(
        (kind, message.contains("more than 5 redirects")),
        (RemoteErrorKind::Untrue, true),
        "{message}"
    );
}

#[test]
fn redirects_lead_to_what_was_promised_or_nowhere() {
    let storage = Server::start(honest);
    let host = storage.host.clone();
    let server = Server::start(move |request| {
        if is_blob(request) {
            Reply::of(307, &[("location", &*format!("http://{host}{}?signed=secret", request.path))], "")
        } else {
            honest(request)
        }
    });
    // The storage gets a path with a query: it answers 404, and the query is not shown.
    let (kind, message) = refused(&name(&server), &options());
    assert_eq!(kind, RemoteErrorKind::NotFound, "{message}");
    assert!(!message.contains("signed"), "{message}");
    let host = storage.host.clone();
    let server = Server::start(move |request| {
        if is_blob(request) {
            Reply::of(307, &[("location", &*format!("http://{host}{}", request.path))], "")
        } else {
            honest(request)
        }
    });
    assert_eq!(pulled(&name(&server), &options()).unwrap().len(), 2);
    for target in
        ["http://192.0.2.1/x", "file:///etc/passwd", "http://user:pass@127.0.0.1/x", "gopher://x/", ""]
    {
        let server = Server::start(move |request| {
            if is_blob(request) { Reply::of(307, &[("location", target)], "") } else { honest(request) }
        });
        let (kind, message) = refused(&name(&server), &options());
        assert!(matches!(kind, RemoteErrorKind::Untrue), "{target}: {message}");
    }
}

#[test]
fn an_upload_goes_nowhere_else_and_is_looked_at() {
    let mut bundle = Bundle::default();
    bundle.add("a.yaml", b"kind: A\n".to_vec(), &options()).unwrap();
    let push = |server: &Server| bundle.push(&reference(&name(server)), None, &options());
    let begun = |location: &'static str| {
        Server::start(move |request| match &*request.method {
            "POST" => Reply::of(202, &[("location", location)], ""),
            "HEAD" => Reply::of(404, &[], ""),
            _ => Reply::of(201, &[], ""),
        })
    };
    for location in ["http://192.0.2.1/upload", "file:///tmp/x", "ftp://x/"] {
        assert_eq!(push(&begun(location)).unwrap_err().kind(), RemoteErrorKind::Untrue, "{location}");
    }
    push(&begun("/upload?state=1")).unwrap();
    // A registry that keeps something else says so.
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::of(200, &[], ""),
        _ => Reply::of(201, &[("docker-content-digest", &*digest(b"other"))], ""),
    });
    assert_eq!(push(&server).unwrap_err().kind(), RemoteErrorKind::Untrue);
    // Who asks for a redirect of what is brought does not get it.
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::of(404, &[], ""),
        _ => Reply::of(307, &[("location", "http://127.0.0.1:1/")], ""),
    });
    assert_eq!(push(&server).unwrap_err().kind(), RemoteErrorKind::Unreachable);
}

#[test]
fn what_a_server_says_moves_no_terminal() {
    let said = r#"{"errors":[{"code":"DENIED","message":"\u001b[2Jall is well\u202e"}]}"#;
    let server = Server::start(move |_| Reply::of(403, &[], said));
    let (kind, message) = refused(&name(&server), &options());
    assert_eq!(kind, RemoteErrorKind::Refused);
    assert!(
        message.contains("DENIED") && !message.contains('\u{1b}') && !message.contains('\u{202e}'),
        "{message:?}"
    );
    let server = Server::start(|_| Reply::of(500, &[], "x".repeat(100_000)));
    assert!(refused(&name(&server), &options()).1.len() < 300);
}

#[test]
fn a_server_without_time_is_asked_again_and_not_for_ever() {
    let busy = |times: usize| {
        let count = std::sync::atomic::AtomicUsize::new(0);
        Server::start(move |request| {
            if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < times {
                Reply::of(503, &[("retry-after", "0")], "")
            } else {
                honest(request)
            }
        })
    };
    assert_eq!(pulled(&name(&busy(2)), &options()).unwrap().len(), 2);
    let server = busy(usize::MAX);
    assert_eq!(refused(&name(&server), &options()).0, RemoteErrorKind::Unreachable);
    assert_eq!(server.requests().len(), 3);
    let server = Server::start(|_| Reply::of(429, &[("retry-after", "86400")], ""));
    let started = Instant::now();
    refused(&name(&server), &Options { timeout: Duration::from_secs(1), ..options() });
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
