#!/usr/bin/env bash
# Builds the pinned regal with Go, from the module and the hashes of all it needs that
# tools/regal/go.sum records. Nothing is taken that isn't named there.
set -euo pipefail
tools=$1
mkdir -p "$tools"
if [ -x "$tools/regal" ] && [ "$tools/regal" -nt tools/regal/go.sum ]; then
  exit 0
fi
if source tools/go.sh "$tools"; then
  echo "building regal with go"
  (cd tools/regal && GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -o "../../$tools/regal" github.com/open-policy-agent/regal)
elif [ -n "${CI:-}" ]; then
  echo "regal is missing: install Go" >&2
  exit 1
else
  echo "skipped: regal needs Go; the policy's style is checked by tests/policies/test_style.py alone"
fi
