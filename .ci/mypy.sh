#!/usr/bin/env bash
# Type-check the package as it is installed: mypy follows folders, and ours lie under other names than they import as.
# Usage: .ci/mypy.sh [python]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=$(command -v "${1:-python}")
[[ $python == /* ]] || python=$PWD/$python

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/optimise_onnx"
ln -s "$root"/src/optimise_onnx/* "$root"/{ir,frontends,backends,passes,tools} "$tree/optimise_onnx/"

cd "$tree"
MYPYPATH=$tree "$python" -m mypy --strict --config-file "$root/pyproject.toml" \
    --cache-dir "$root/.mypy_cache" -p optimise_onnx
