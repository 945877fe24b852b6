#!/usr/bin/env bash
# Judges the manifests for GitHub's action (action.yml): annotations on standard output, reports in files, a summary of the job.
set -euo pipefail

lines() { # each line of a variable, without empty ones, into an array
    local -n into=$1
    local line
    while IFS= read -r line; do
        if [ -n "${line// /}" ]; then into+=("$line"); fi
    done <<< "$2"
}

policies=() manifests=() more=()
lines policies "$POLICIES"
lines manifests "$MANIFESTS"
lines more "$ARGUMENTS"
arguments=()
for policy in "${policies[@]}"; do arguments+=(--policies "$policy"); done
arguments+=(-o github -o "sarif=$SARIF" -o "markdown=$MARKDOWN" "${more[@]}" -- "${manifests[@]}")

code=0
"$PORTCULLIS" test "${arguments[@]}" < /dev/null || code=$?
{
    echo "exit-code=$code"
    echo "sarif=$SARIF"
    echo "markdown=$MARKDOWN"
} >> "${GITHUB_OUTPUT:-/dev/null}"
if [ -f "$MARKDOWN" ]; then cat "$MARKDOWN" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"; fi
exit "$code"
