#!/usr/bin/env bash
# What fails, dies and races on purpose: longer than `make test` may be. Each line of the list is one
# command that prints what it tried and exits 1 when something was corrupted, lost or leaked.
set -uo pipefail
commands=(
  "python -m tests.fault.log_matrix"
  "python -m tests.fault.gateway_kill --rounds 30"
  "python -m tests.fault.crowds"
  "python -m tests.fault.stress ${FAULT_ARGS:-}"
)

if ! command -v strace >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y -qq strace >/dev/null || { apt-get update -qq && apt-get install -y -qq strace >/dev/null; }
  fi
  command -v strace >/dev/null || { echo "make fault needs strace (Debian: apt-get install strace)" >&2; exit 1; }
fi

worst=0
for command in "${commands[@]}"; do
  echo "== $command"
  $command || worst=1
done
exit $worst
