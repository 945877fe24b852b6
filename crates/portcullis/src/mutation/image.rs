//! Names of images: `domain/path:tag`, of which an AssignImage sets parts.

/// What an image's name consists of. Each part may be empty; the tag begins with `:` or `@`.
struct Parts<'t> {
    domain: &'t str,
    path: &'t str,
    tag: &'t str,
}

/// A domain is what stands before the first slash, if it looks like one.
fn split(name: &str) -> Parts<'_> {
    let (domain, rest) = match name.split_once('/') {
        Some((domain, rest)) if domain.contains(['.', ':']) || domain == "localhost" => (domain, rest),
        _ => ("", name),
    };
    let (path, tag) =
        rest.split_at_checked(rest.find([':', '@']).unwrap_or(rest.len())).unwrap_or((rest, ""));
    Parts { domain, path, tag }
}

/// The name with other parts; an empty one leaves that of the name.
pub(super) fn with_parts(name: &str, domain: &str, path: &str, tag: &str) -> String {
    let old = split(name);
    let choose = |new: &'_ str, old: &'_ str| if new.is_empty() { old.to_owned() } else { new.to_owned() };
    let domain = choose(domain, old.domain);
    let slash = if domain.is_empty() { "" } else { "/" };
    format!("{domain}{slash}{}{}", choose(path, old.path), choose(tag, old.tag))
}

/// A part of `parameters`, and what is wrong with it.
pub(super) type Complaint = (&'static str, &'static str);

/// What is wrong with parts that are to be set. Each has to be read as itself again, or the name would grow
/// with each mutation.
pub(super) fn complaints(domain: &str, path: &str, tag: &str) -> Vec<Complaint> {
    let mut found = Vec::new();
    if domain.is_empty() && path.is_empty() && tag.is_empty() {
        found.push(("", "one of `assignDomain`, `assignPath` and `assignTag` is needed"));
    }
    if !domain.is_empty() && !is_domain(domain) {
        found
            .push(("assignDomain", "expected a domain with a dot in it, or `localhost`, and a port or none"));
    }
    if !path.is_empty() && !is_path(path) {
        found
            .push(("assignPath", "expected the path of an image: lower-case letters, digits and separators"));
    } else if domain.is_empty() && !split(path).domain.is_empty() {
        found.push(("assignPath", "the path begins like a domain, which has to be set in `assignDomain`"));
    }
    if !tag.is_empty() && !is_tag(tag) {
        found.push(("assignTag", "expected a tag that begins with `:`, or a digest that begins with `@`"));
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_none_or(is_port) {
        return false;
    }
    if host == "localhost" {
        return true;
    }
    let Some((first, rest)) = host.split_once('.') else { return false };
    let is_part = |c: char| is_word(c) || c == '-';
    first.starts_with(is_word)
        && first.chars().all(is_part)
        && rest.ends_with(is_word)
        && rest.chars().all(|c| is_part(c) || c == '.')
}

/// Words of lower-case letters and digits, between which stands one of `.`, `/`, `_`, `__` or some dashes.
fn is_path(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "/" | "_" | "__") || text.chars().all(|c| c == '-');
    let mut separator_at = None;
    if !text.starts_with(is_part) || !text.ends_with(is_part) {
        return false;
    }
    for (at, c) in text.char_indices() {
        match (is_part(c), separator_at) {
            (false, None) => separator_at = Some(at),
            (true, Some(begin)) => {
                if !is_separator(text.get(begin..at).unwrap_or_default()) {
                    return false;
                }
                separator_at = None;
            }
            _ => {}
        }
    }
    true
}

fn is_tag(text: &str) -> bool {
    if let Some(tag) = text.strip_prefix(':') {
        return tag.len() <= 128
            && tag.starts_with(is_word)
            && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'));
    }
    let Some((algorithm, digest)) = text.strip_prefix('@').and_then(|text| text.split_once(':')) else {
        return false;
    };
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part)
        && digest.len() >= 32
        && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use portcullis_value::pattern::Pattern;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        /// The parts as their definitions have them, which are regular expressions.
        #[test]
        fn parts_are_what_their_patterns_match(
            domain in "(localhost|[a._-]{0,6}|[aZ0._-]{1,4}\\.[a0_.-]{0,4})(:[0-9x]{0,2})?",
            path in "[a0][a0A._/-]{0,8}",
            tag in "[:@]?[aZ0+._-]{0,6}(:[0-9a-gA]{30,34})?",
        ) {
            let is = |pattern: &str, text: &str| Pattern::compile(pattern).is_ok_and(|pattern| pattern.is_match(text));
            let domains = r"^([0-9A-Za-z_][0-9A-Za-z_-]*\.[0-9A-Za-z_.-]*[0-9A-Za-z_](:[0-9]+)?|localhost(:[0-9]+)?)$";
            prop_assert_eq!(is_domain(&domain), is(domains, &domain), "{}", domain);
            let paths = "^[a-z0-9]+(([._/]|__|-*)[a-z0-9]+)*$";
            prop_assert_eq!(is_path(&path), is(paths, &path), "{}", path);
            let tags = r"^(:[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}|@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,})$";
            prop_assert_eq!(is_tag(&tag), is(tags, &tag), "{}", tag);
        }

        /// What is set stays set: a name that is one does not grow with each mutation.
        #[test]
        fn parts_that_are_set_stay(name in "([a.:0]{1,4}/)?[a0]{1,3}(/[a0]{1,3})?([:@][a0:]{1,3})?", domain in "[a.:0]{0,6}", path in "[a/.0]{0,6}", tag in "[:@a0]{0,4}") {
            if complaints(&domain, &path, &tag).is_empty() {
                let once = with_parts(&name, &domain, &path, &tag);
                prop_assert_eq!(with_parts(&once, &domain, &path, &tag), once);
            }
        }
    }

    #[test]
    fn parts_are_set_and_others_stay() {
        let set = |name: &str, domain: &str, path: &str, tag: &str| with_parts(name, domain, path, tag);
        assert_eq!(set("nginx", "r.example", "", ""), "r.example/nginx");
        assert_eq!(set("docker.io/library/nginx:1", "r.example", "", ":2"), "r.example/library/nginx:2");
        assert_eq!(set("library/nginx@sha256:00", "", "a/b", ""), "a/b@sha256:00");
        assert_eq!(set("localhost:5000/x", "", "", ":1"), "localhost:5000/x:1");
        assert_eq!(set("", "", "", ":1"), ":1");
    }

    #[test]
    fn what_would_not_be_read_as_itself_is_refused() {
        for domain in ["gcr.io", "a_b.c-d.e:80", "localhost", "localhost:1", "a.b_"] {
            assert!(is_domain(domain), "{domain}");
        }
        for domain in ["gcr", "gcr.io/", ".io", "a.", "a.b:", "a.b:x", "-a.b", "a.b-", "a/b.c", "ü.b"] {
            assert!(!is_domain(domain), "{domain}");
        }
        for path in ["a", "a/b", "a__b", "a---b", "a.b_c-d/e0"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["A", "a//b", "/a", "a/", "a___b", "a._b", "a:b", "a_", "-a", "a-_b"] {
            assert!(!is_path(path), "{path}");
        }
        let digest = format!("@sha256:{}", "aF0".repeat(11));
        for tag in [
            ":1",
            ":_",
            ":v1.2-3",
            &digest,
            &format!(":{}", "x".repeat(128)),
            &digest.replace("sha256", "a+b"),
        ] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in [
            "1",
            ":",
            ":-",
            ":a b",
            "@sha256:00",
            "@:00000000000000000000000000000000",
            &format!(":{}", "x".repeat(129)),
        ] {
            assert!(!is_tag(tag), "{tag}");
        }
        assert_eq!(complaints("", "gcr.io/repo", "").len(), 1);
        assert!(complaints("x.y", "gcr.io/repo", "").is_empty());
        assert_eq!(complaints("", "", "").len(), 1);
    }
}
