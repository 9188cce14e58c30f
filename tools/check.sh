#!/usr/bin/env bash
# Everything that can be said about the tree without running it.
set -euo pipefail
step() { printf '%-46s' "$1"; shift; if out=$("$@" 2>&1); then echo ok; else echo FAILED; echo "$out"; exit 1; fi; }

step "ruff format" ruff format --check -q .
step "ruff check" ruff check -q --output-format=concise .
step "mypy --strict" mypy
step "import-linter" lint-imports
step "buf lint" buf lint proto
step "generated stubs match the contract" bash tools/proto_fresh.sh
if command -v opa >/dev/null; then
  step "opa fmt" bash -c 'test -z "$(opa fmt --list policies/xinguan)"'
  step "opa check --strict" opa check --strict policies/xinguan
  step "only permitted builtins outside tests" opa check --strict --ignore '*_test.rego' \
    --capabilities policies/capabilities.json policies/xinguan
  step "policy bundle matches its sources" python -m gateway.decision.bundle check
elif [ -n "${CI:-}" ]; then
  echo "opa is missing and CI forbids skipping its checks" >&2; exit 1
else
  echo "skipped: opa fmt, check and the bundle's freshness (run 'make opa' with Go installed)"
fi
if command -v regal >/dev/null; then
  step "regal" regal lint --config-file policies/.regal/config.yaml policies/xinguan
elif [ -n "${CI:-}" ]; then
  echo "regal is missing and CI forbids skipping it" >&2; exit 1
else
  echo "skipped: regal (run 'make regal' with Go installed)"
fi
step "data contracts" xinguan catalogue check
step "no registry host in the lock" bash -c '! grep -nE "https?://|--(extra-)?index-url" requirements.lock'
step "nor in that of npm" bash -c '! grep -n "\"resolved\"" tests/gateway/credential/js/package-lock.json'
