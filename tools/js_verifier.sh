#!/usr/bin/env bash
# Installs the pinned JavaScript verifier of SD-JWT VC, for the tests that check credentials with it.
set -euo pipefail
tools=$1 sources=tests/gateway/credential/js
target=$(dirname "$tools")/js  # beside, by name: the folder of tools may be a link
if [ -d "$target/node_modules" ] && cmp -s "$sources/package-lock.json" "$target/package-lock.json"; then
  exit 0
fi
if command -v node >/dev/null && command -v npm >/dev/null; then
  echo "installing the JavaScript verifier with npm"
  mkdir -p "$target"
  cp "$sources/package.json" "$sources/package-lock.json" "$target/"
  (cd "$target" && npm ci --no-audit --no-fund --ignore-scripts --silent)
elif [ -n "${CI:-}" ]; then
  echo "the JavaScript verifier is missing: install Node.js 20 or newer" >&2
  exit 1
else
  echo "skipped: the JavaScript verifier needs Node.js 20; credentials are not checked with it"
fi
