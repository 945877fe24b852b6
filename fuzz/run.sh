#!/bin/sh
# Builds a fuzz target for libFuzzer with the stable toolchain and runs it.
#
#   fuzz/run.sh TARGET [SECONDS] [libFuzzer options…]
set -eu
cd "$(dirname "$0")"
target=${1:?which target? see fuzz_targets/}
seconds=${2:-60}
shift
[ $# -gt 0 ] && shift

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    cargo build --release --target "$host" --bin "$target"

seeds=seeds/$target
case $target in
documents_*) seeds=seeds/documents_never_panic ;;
cel_*) set -- -dict=cel.dict "$@" ;;
# They read the same language.
rego_*)
    seeds=seeds/rego
    set -- -dict=rego.dict "$@"
    ;;
splitter_*)
    seeds=seeds/splitter
    set -- -dict=splitter.dict "$@"
    ;;
esac

mkdir -p "corpus/$target" "artifacts/$target"
exec "target/$host/release/$target" "corpus/$target" "$seeds" \
    -max_total_time="$seconds" -max_len=4096 -artifact_prefix="artifacts/$target/" "$@"
