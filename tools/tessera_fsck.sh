#!/usr/bin/env bash
# Builds Tessera's fsck with Go, for the test that lets a foreign tool read and check our log. It
# gets a name of its own, so that it never stands before the system's fsck.
set -euo pipefail
version=$1 tools=$2
mkdir -p "$tools"
if [ -x "$tools/tessera-fsck" ]; then
  exit 0
fi
if source tools/go.sh "$tools"; then
  echo "building Tessera's fsck $version with go"
  fresh=$(mktemp -d)
  GOBIN="$fresh" GOFLAGS= CGO_ENABLED=0 go install \
    "github.com/transparency-dev/tessera/cmd/fsck@v$version"
  mv "$fresh/fsck" "$tools/tessera-fsck"
  rmdir "$fresh"
elif [ -n "${CI:-}" ]; then
  echo "Tessera's fsck $version is missing: install Go" >&2
  exit 1
else
  echo "skipped: Tessera's fsck $version needs Go; no foreign tool reads the log in the tests"
fi
