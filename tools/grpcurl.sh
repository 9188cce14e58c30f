#!/usr/bin/env bash
# Fetches the pinned grpcurl with Go, for the test that runs the README's command with it.
set -euo pipefail
version=$1 tools=$2
mkdir -p "$tools"
if [ -x "$tools/grpcurl" ]; then
  exit 0
fi
if source tools/go.sh "$tools"; then
  echo "building grpcurl $version with go"
  GOBIN="$(cd "$tools" && pwd)" GOFLAGS= CGO_ENABLED=0 go install \
    "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$version"
elif [ -n "${CI:-}" ]; then
  echo "grpcurl $version is missing: install Go" >&2
  exit 1
else
  echo "skipped: grpcurl $version needs Go; the README's grpcurl command is not run"
fi
