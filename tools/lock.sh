#!/usr/bin/env bash
# Locks every dependency with hashes and without index addresses. A release younger than
# seven days is not taken: most poisoned releases are found within that time. Extras stay
# written: without them pip looks for the newest release of `name[extra]` beside the locked one.
set -euo pipefail
uv pip compile pyproject.toml --group dev --python-version 3.11 --universal --generate-hashes --no-strip-extras \
  --no-emit-index-url --no-header --no-annotate --quiet \
  --exclude-newer "$(date -u -d '7 days ago' +%Y-%m-%d)" -o requirements.lock
