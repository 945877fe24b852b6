#!/usr/bin/env bash
# Runs `portcullis` for pre-commit: the one on the PATH, or PORTCULLIS, or the one of this clone, which is built once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
portcullis=${PORTCULLIS:-$(command -v portcullis || true)}
if [ -z "$portcullis" ]; then
    portcullis=$here/target/pre-commit/bin/portcullis
    if [ ! -x "$portcullis" ]; then
        command -v cargo > /dev/null || { echo "neither \`portcullis\` nor \`cargo\` is on the PATH: install one of them" >&2; exit 2; }
        echo "building portcullis, once" >&2
        cargo install --quiet --locked --path "$here/crates/cli" --root "$here/target/pre-commit" >&2
    fi
fi
# Standard input is nobody's manifest here.
exec "$portcullis" "$@" < /dev/null
