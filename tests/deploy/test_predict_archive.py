"""`predict.pyz` reads files like the package and runs exported files without its heavy dependencies."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.deploy.artifact import read_artifacts
from tdmr_ray.deploy.check_images import check_images_of
from tdmr_ray.deploy.litert_model import LABELS, add_metadata, open_litert, read_metadata
from tdmr_ray.deploy.onnx_model import described, metadata_of
from tdmr_ray.deploy.predict_archive import PREDICT_ARCHIVE, write_predict_archive
from tdmr_ray.deploy.predicting import find_images
from tdmr_ray.errors import InputError
from tdmr_ray.training.thresholds import UNCALIBRATED

BLOCKED = """
import runpy, sys

sys.modules.update(dict.fromkeys(BLOCKED_NAMES))
archive = sys.argv[1]
sys.path.insert(0, archive)
sys.argv = sys.argv[1:]
"""
HEAVY = ["torch", "ray", "pydantic", "typer", "scipy", "timm", "pandas", "sklearn", "torchvision"]
RUN = "runpy.run_path(archive, run_name='__main__')"
READ = """
import numpy, pathlib, tdmr_ray
from tdmr_ray.data.reading import InputFormat, read_image
assert tdmr_ray.__file__.startswith(archive), tdmr_ray.__file__
form = InputFormat(48, "pad", bit_depth=12)
numpy.save(sys.argv[1], numpy.stack([read_image(pathlib.Path(each), form) for each in sys.argv[2:]]))
"""


def run(code: str, *arguments: object, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run code with an archive in a process that cannot import the heavy modules, nor this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    text = BLOCKED.replace("BLOCKED_NAMES", repr({*HEAVY, *blocked})) + code
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", check=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_predict_archive(tmp_path_factory.mktemp("archive"))


def test_reading_is_the_packages_own(archive: Path, odd_images: Path, tmp_path: Path) -> None:
    paths = find_images([odd_images])
    assert len({path.suffix for path in paths}) > 3
    found = run(READ, archive, tmp_path / "read.npy", *paths)
    assert found.returncode == 0, found.stderr
    form = InputFormat(48, "pad", bit_depth=12)
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), np.stack([read_image(each, form) for each in paths]))


@pytest.mark.parametrize(
    ("files", "blocked", "arguments", "message"),
    [
        ([], (), ["x.jpg"], "must hold target*.onnx or target*.tflite; copy one there, or give --model FILE"),
        (
            ["target.onnx", "target.tflite"],
            ("onnxruntime", "ai_edge_litert"),
            ["x.jpg"],
            "do: pip install onnxruntime, or pip install ai-edge-litert",
        ),
        (["target.tflite"], (), ["x.jpg", "--min-probability", "2"], "must be from 0 to 1, got 2"),
        ([], (), ["x.jpg", "--model", "target.pte"], "must be one of .onnx, .tflite"),
    ],
)
def test_wrong_input_is_one_message(
    files: list[str], blocked: tuple[str, ...], arguments: list[str], message: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_text("no model")
    found = run(RUN, write_predict_archive(tmp_path), *arguments, blocked=blocked)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_metadata_travel_at_the_end_of_a_litert_file(tmp_path: Path) -> None:
    form, path = InputFormat(32, "crop", bit_depth=12), tmp_path / "target.tflite"
    path.write_bytes(b"flatbuffer")
    with pytest.raises(InputError, match="must hold class names and input format"):
        described(path, read_metadata(path))
    add_metadata(path, metadata_of(("Äpfel", "two\nlines"), form, 1.5))
    assert path.read_bytes().startswith(b"flatbuffer")
    assert described(path, read_metadata(path)) == (("Äpfel", "two\nlines"), form, UNCALIBRATED)
    assert json.loads(read_metadata(path)["temperature"]) == 1.5
    with zipfile.ZipFile(path) as tail:
        assert tail.read(LABELS).decode() == "Äpfel\ntwo lines\n"


def test_other_litert_files_are_refused_in_one_message(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(InputError, match="there is no such file"):
        open_litert(tmp_path / "missing.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(InputError, match="cannot be opened as LiteRT"):
        open_litert(tmp_path / "text.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_archive_predicts_like_the_network(
    name: str, small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path
) -> None:
    small.save(tmp_path)
    check_images_of(load(odd_images)).save(tmp_path)
    export = [sys.executable, "-m", "tdmr_ray.export", str(tmp_path), "--format", name, "--batch", "3"]
    subprocess.run(export, check=True)
    (artifact,) = read_artifacts(tmp_path)
    assert artifact.size_bytes == (tmp_path / artifact.file).stat().st_size
    paths = find_images([odd_images / "val"])
    found = run(RUN, tmp_path / PREDICT_ARCHIVE, odd_images / "val", "--csv", tmp_path / "out.csv")
    assert found.returncode == 0, found.stderr
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    for row, own in zip(rows, small.predict(paths), strict=True):
        assert row["class"] == own.class_name
        np.testing.assert_allclose([float(row[each]) for each in small.class_names], own.probabilities, atol=1e-3)
    command = [sys.executable, "-m", "tdmr_ray.predict", str(tmp_path / artifact.file), *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == [row["class"] for row in rows]
