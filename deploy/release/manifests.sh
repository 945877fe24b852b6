#!/usr/bin/env bash
# Writes what package managers read of a release: deploy/release/manifests.sh v0.1.0 FOLDER
#
#   portcullis.rb          a formula of Homebrew (on Linux), for a tap
#   portcullis.krew.yaml   a plugin of krew: `kubectl portcullis`
#
# FOLDER has the release's archives in SHA256SUMS, as build.sh writes it; the targets that it names are those that can be installed. Sums are taken
# from there and nowhere else. PORTCULLIS_REPOSITORY is owner/name on GITHUB_SERVER_URL (https://github.com).
set -euo pipefail

version=${1:?the version, such as v0.1.0}
folder=${2:?the folder of the release}
repository=${PORTCULLIS_REPOSITORY:?owner/name of the repository}
home=${GITHUB_SERVER_URL:-https://github.com}/$repository
# Both are written into a program in Ruby, and the version into a pattern.
if ! [[ $version =~ ^v[0-9]+(\.[0-9]+)*(-[0-9A-Za-z.-]+)?$ && $home =~ ^[a-z]+://[A-Za-z0-9./:_-]+$ ]]; then
    echo "no version such as v0.1.0, or no repository such as owner/name: $version, $home" >&2
    exit 2
fi

sum_of() { sed -n "s/^\([0-9a-f]\{64\}\)  portcullis-${version//./\\.}-$1-unknown-linux-musl\.tar\.gz\$/\1/p" "$folder/SHA256SUMS"; }
url_of() { echo "$home/releases/download/$version/portcullis-$version-$1-unknown-linux-musl.tar.gz"; }

brew='' krew=''
# As rustc, Homebrew and Go call them.
while read -r arch on go; do
    sum=$(sum_of "$arch")
    [ -n "$sum" ] || continue
    brew+="
    $on do
      url \"$(url_of "$arch")\"
      sha256 \"$sum\"
    end"
    krew+="
    - selector: {matchLabels: {os: linux, arch: $go}}
      uri: $(url_of "$arch")
      sha256: $sum
      files:
        - {from: portcullis, to: .}
        - {from: LICENSE, to: .}
      bin: portcullis"
done <<'ARCHES'
x86_64 on_intel amd64
aarch64 on_arm arm64
ARCHES
if [ -z "$brew" ]; then
    echo "$folder/SHA256SUMS names no archive of $version: build.sh makes them" >&2
    exit 2
fi

cat > "$folder/portcullis.rb" <<RUBY
class Portcullis < Formula
  desc "Judge Kubernetes manifests by Gatekeeper policies"
  homepage "$home"
  version "${version#v}"
  license "Apache-2.0"
  depends_on :linux

  on_linux do$brew
  end

  def install
    bin.install "portcullis", "portcullis-audit", "portcullis-webhook"
    generate_completions_from_executable(bin/"portcullis", "completions")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/portcullis version")
  end
end
RUBY

cat > "$folder/portcullis.krew.yaml" <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: portcullis
spec:
  version: $version
  homepage: $home
  shortDescription: Judge manifests by Gatekeeper policies
  description: |
    Runs ConstraintTemplates, constraints and the API server's own admission
    policies on manifests and clusters, and says which line is wrong, and why.
  platforms:$krew
YAML
