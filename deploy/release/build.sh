#!/usr/bin/env bash
# Builds what a release has, for every target that is installed: deploy/release/build.sh v0.1.0 [FOLDER]
#
#   portcullis-VERSION-TARGET.tar.gz   the programs, static: portcullis (with webhook and audit), portcullis-webhook, portcullis-audit
#   portcullis-VERSION-TARGET.cdx.json what they are made of (CycloneDX)
#   SHA256SUMS                         of all of them
#
# The same commit gives the same files wherever it lies: no times, no owners, no paths, names sorted. Targets: PORTCULLIS_TARGETS, or the musl targets that rustup has.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=${1:?the version, such as v0.1.0}
out=${2:-target/release-files}
manifest=$(cargo metadata --no-deps --format-version 1 --locked | sed -n 's/.*"name":"portcullis-cli","version":"\([^"]*\)".*/\1/p')
if [ "$version" != "v$manifest" ]; then
    echo "the version is v$manifest in Cargo.toml, and $version was asked for" >&2
    exit 2
fi
if ! cargo cyclonedx --version > /dev/null 2>&1; then
    echo "the list of what programs are made of needs cargo-cyclonedx: cargo install cargo-cyclonedx --locked" >&2
    exit 2
fi
targets=${PORTCULLIS_TARGETS:-$(rustup target list --installed | grep -E '^(x86_64|aarch64)-unknown-linux-musl$' || true)}
if [ -z "$targets" ]; then
    echo "no target: rustup target add x86_64-unknown-linux-musl, or set PORTCULLIS_TARGETS" >&2
    exit 2
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# Paths of the machine that builds are no part of a program.
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
rm -rf "$out"
mkdir -p "$out"
for target in $targets; do
    cargo build --release --locked --target "$target" -p portcullis-cli -p portcullis-webhook -p portcullis-audit
    built=${CARGO_TARGET_DIR:-target}/$target/release
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        -cf - LICENSE -C "$built" portcullis portcullis-audit portcullis-webhook \
        | gzip -n9 > "$out/portcullis-$version-$target.tar.gz"
    # Written beside the manifests of all crates: the tool knows no other place. Nor does it leave out where that is.
    cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --manifest-path crates/cli/Cargo.toml --override-filename portcullis-made-of
    sed "s|file://$PWD/|file:///src/|g" crates/cli/portcullis-made-of.json > "$out/portcullis-$version-$target.cdx.json"
    find . -path ./target -prune -o -name portcullis-made-of.json -exec rm {} +
done
(cd "$out" && sha256sum -- * > SHA256SUMS && cat SHA256SUMS)
