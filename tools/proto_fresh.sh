#!/usr/bin/env bash
# Fails when the committed stubs are not what the .proto files generate.
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/fresh"
cp -r proto "$copy/fresh/proto"
(cd "$copy/fresh" && bash "$OLDPWD/tools/proto.sh" >/dev/null 2>&1)
diff -rq -x __pycache__ proto "$copy/fresh/proto"
