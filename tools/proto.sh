#!/usr/bin/env bash
# Generates the Python side of the contract beside its sources.
set -euo pipefail
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
python -m grpc_tools.protoc -I proto -I "$site" \
  --python_out=proto --grpc_python_out=proto --mypy_out=proto --mypy_grpc_out=proto \
  proto/xinguan/v1/*.proto proto/arrow_flight/*.proto
