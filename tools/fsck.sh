#!/usr/bin/env bash
# Builds Tessera's fsck with Go, for the test that lets a foreign tool read and check our log.
set -euo pipefail
version=$1 tools=$2
mkdir -p "$tools"
if [ -x "$tools/fsck" ]; then
  exit 0
fi
if command -v go >/dev/null; then
  echo "building Tessera's fsck $version with go"
  GOBIN="$(cd "$tools" && pwd)" GOFLAGS= CGO_ENABLED=0 go install \
    "github.com/transparency-dev/tessera/cmd/fsck@v$version"
elif [ -n "${CI:-}" ]; then
  echo "fsck $version is missing: install Go" >&2
  exit 1
else
  echo "skipped: fsck $version needs Go; no foreign tool reads the log in the tests"
fi
