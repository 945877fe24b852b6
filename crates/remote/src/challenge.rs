//! What a registry asks for before it lets somebody in.

/// How to say who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By name and password, to the registry itself.
    Basic,
    /// By a token that somebody else gives out.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads the values of `WWW-Authenticate`. The first one that can be done counts, tokens before passwords.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for value in values {
            let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest);
                let of = |name: &str| {
                    let mut found = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.next().map(|(_, value)| value.clone())
                };
                if let Some(realm) = of("realm") {
                    return Some(Self::Bearer { realm, service: of("service") });
                }
            }
        }
        basic
    }
}

/// `a="b",c=d`, with quotes that may have commas in them.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(',').trim().to_owned();
        let after = after.trim_start();
        let (value, left) = if let Some(quoted) = after.strip_prefix('"') {
            let mut value = String::new();
            let mut is_escaped = false;
            let mut end = quoted.len();
            for (at, c) in quoted.char_indices() {
                match c {
                    _ if is_escaped => {
                        value.push(c);
                        is_escaped = false;
                    }
                    '\\' => is_escaped = true,
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    c => value.push(c),
                }
            }
            (value, quoted.get(end..).unwrap_or_default())
        } else {
            let (value, left) = after.split_once(',').unwrap_or((after, ""));
            (value.trim().to_owned(), left)
        };
        found.push((key, value));
        rest = left.trim_start().trim_start_matches(',');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let of = |values: &[&str]| Challenge::of(values.iter().copied());
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let docker = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(of(&[docker]), bearer("https://auth.example/token", Some("registry.example")));
        assert_eq!(of(&["basic realm=\"x\"", "bearer realm=https://a/t"]), bearer("https://a/t", None));
        assert_eq!(of(&["Basic"]), Some(Challenge::Basic));
        assert_eq!(of(&[r#"Bearer scope="a=b, realm=c", realm="d""#]), bearer("d", None));
        assert_eq!(of(&["Negotiate", "Bearer x"]), None);
        assert_eq!(of(&["Bearer realm=\"never ends"]), bearer("never ends", None));
    }
}
