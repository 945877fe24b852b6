#!/usr/bin/env bash
# Puts the program of a release where PORTCULLIS_INTO says, and its path into GITHUB_OUTPUT and GITHUB_PATH where there are such.
#
#   PORTCULLIS_BINARY      a program that is there already: nothing is fetched
#   PORTCULLIS_VERSION     the release, such as v0.1.0
#   PORTCULLIS_REPOSITORY  owner/name on GITHUB_SERVER_URL (https://github.com)
#   PORTCULLIS_INTO        a folder
#
# What was fetched is used only if its SHA-256 is the one that the release says.
set -euo pipefail

fail() { echo "::error::portcullis: $*" >&2; exit 2; }

into=${PORTCULLIS_INTO:?where to put it}
mkdir -p "$into"
binary=${PORTCULLIS_BINARY:-}
if [ -z "$binary" ]; then
    version=${PORTCULLIS_VERSION:-}
    repository=${PORTCULLIS_REPOSITORY:-}
    [ -n "$version" ] && [ -n "$repository" ] || fail "no release is known: give \`version\`, such as v0.1.0, or \`binary\`"
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) target=x86_64-unknown-linux-musl ;;
        Linux-aarch64) target=aarch64-unknown-linux-musl ;;
        *) fail "there is no release for $(uname -s) on $(uname -m): build it with cargo and give \`binary\`" ;;
    esac
    archive=portcullis-$version-$target.tar.gz
    from=${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download/$version
    for file in "$archive" SHA256SUMS; do
        curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$into/$file" "$from/$file" \
            || fail "$from/$file cannot be had"
    done
    # The one line of this archive: a list without it, or with another sum, ends here.
    (cd "$into" && grep -F "  $archive" SHA256SUMS | sha256sum --check --strict --status) \
        || fail "$archive is not what SHA256SUMS of the release says"
    tar -xzf "$into/$archive" -C "$into" --no-same-owner portcullis
    binary=$into/portcullis
fi
"$binary" version || fail "$binary does not run"
if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "binary=$binary" >> "$GITHUB_OUTPUT"; fi
if [ -n "${GITHUB_PATH:-}" ]; then dirname "$binary" >> "$GITHUB_PATH"; fi
