#!/bin/bash
# Measures what one GPU makes of this package, in at most 10 minutes; see benchmarks/gpu/__main__.py.
#
#   benchmarks/gpu.sh [--tiny --out FOLDER] [PART...]   runs, with the packages in wheels/ where the machine lacks them
#   benchmarks/gpu.sh wheels [PACKAGE...]               downloads them (all that torch, timm and torchvision do not
#                                                       bring, or those named) for Python $PYTHON_VERSION [this one's]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
MAX_MIB=64
# MODULE=PACKAGE for each import of tdmr_ray.training that torch, timm and torchvision do not bring.
NEEDED="pydantic=pydantic pydantic_core=pydantic_core annotated_types=annotated-types typing_inspection=typing-inspection
scipy=scipy sklearn=scikit-learn joblib=joblib threadpoolctl=threadpoolctl cloudpickle=cloudpickle narwhals=narwhals"
# Without these, parts of the package beyond the trainer do not work; they are too large to be carried together.
OPTIONAL="ray optuna pyarrow"

if [ "${1:-}" = wheels ]; then
  shift
  packages=("$@")
  [ ${#packages[@]} -gt 0 ] || for pair in $NEEDED; do packages+=("${pair#*=}"); done
  version=${PYTHON_VERSION:-$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
  platforms=()
  for glibc in 2_28 2_27 2_17 2_12 2_5; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
  for old in manylinux2014_x86_64 manylinux2010_x86_64 manylinux1_x86_64; do platforms+=(--platform "$old"); done
  mkdir -p wheels
  "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
    "${platforms[@]}" --constraint constraints.txt --dest wheels "${packages[@]}"
  mib=$(du -sm wheels | cut -f1)
  echo "wheels/ holds $(find wheels -name '*.whl' | wc -l) wheels for Python $version, $mib MiB"
  [ "$mib" -lt $MAX_MIB ] || { echo "wheels/ must stay under $MAX_MIB MiB: name only what the machine lacks" >&2; exit 1; }
  exit
fi

lacks() { ! "$PYTHON" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1"; }

missing=()
for pair in $NEEDED; do lacks "${pair%=*}" && missing+=("${pair#*=}"); done
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
if [ ${#missing[@]} -gt 0 ]; then
  [ -d wheels ] || { echo "this machine lacks ${missing[*]}: run 'benchmarks/gpu.sh wheels' where pip works and carry wheels/" >&2; exit 1; }
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  echo "installing from wheels/: ${missing[*]}"
  "$PYTHON" -m pip install --quiet --no-index --find-links wheels --no-deps --no-compile --target "$site" "${missing[@]}"
  export PYTHONPATH=$site:$PYTHONPATH
fi
for module in $OPTIONAL; do lacks "$module" && echo "without $module: not installed here"; done
"$PYTHON" -m benchmarks.gpu "$@"
