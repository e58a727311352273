"""An exported file gives the network's probabilities for image files, without torch; another one is not kept."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.cli import run_command
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.artifact import ARTIFACTS, Artifact, Latency, read_artifacts
from tdmr_ray.deploy.batches import in_batches
from tdmr_ray.deploy.check_images import CHECK_IMAGES, check_images_of, load_check_images
from tdmr_ray.deploy.exporting import Failure, export_model
from tdmr_ray.deploy.formats import FORMATS, Conversion, Precision
from tdmr_ray.deploy.graph import DeployedGraph, scaling_matrix
from tdmr_ray.deploy.measuring import measure
from tdmr_ray.deploy.onnx_model import metadata_of, open_onnx
from tdmr_ray.deploy.predicting import find_images, predict_files
from tdmr_ray.deploy.quiet import quiet
from tdmr_ray.errors import InputError
from tdmr_ray.export import export
from tdmr_ray.machine import available_cores
from tdmr_ray.method.resize import resize
from tdmr_ray.models.fast_layers import SmallMapConv2d
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import weights_digest
from tdmr_ray.training.thresholds import Thresholds

COMBINATIONS = [(name, precision) for name, form in FORMATS.items() for precision in form.precisions]

THRESHOLDS = Thresholds(3, 2, 0.75, (0.2, 0.5, 0.9))


@pytest.fixture(scope="module")
def exported(small: tdmr_ray.SmallModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ONNX file that takes three images at once, from a model with a temperature."""
    folder = tmp_path_factory.mktemp("export")
    (found,) = export_model(replace(small, temperature=1.7, thresholds=THRESHOLDS), folder, [("onnx", "fp32")], batch=3)
    assert isinstance(found, Artifact)
    assert (found.split, found.batch, found.verified, found.agreement) == ("val", 3, True, 1.0)
    assert found.top1 == pytest.approx(small.val_top1, abs=1e-6)
    assert read_artifacts(folder) == [found]
    return folder


@pytest.mark.parametrize(("from_px", "to_px"), [(48, 32), (33, 40), (168, 160), (8, 8)])
def test_two_matrix_products_scale_like_the_network(from_px: int, to_px: int) -> None:
    images = torch.rand(2, 3, from_px, from_px)
    matrix = scaling_matrix(from_px, to_px)
    assert (matrix @ images @ matrix.T - resize(images, to_px)).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), COMBINATIONS)
def test_each_format_keeps_the_networks_answers(
    name: str, precision: Precision, small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path
) -> None:
    """In a process of its own, since LiteRT's converter starts threads that no later fork survives."""
    small.save(tmp_path)
    check_images_of(load(odd_images)).save(tmp_path)
    allowed = {"fp32": 0.0, "fp16": 0.2, "int8": 1.0}[precision]  # the random layers of this network bear little
    command = [sys.executable, "-m", "tdmr_ray.export", str(tmp_path), "--format", name, "--precision", precision]
    subprocess.run([*command, "--max-loss", str(100 * allowed)], check=True)
    (found,) = read_artifacts(tmp_path)
    assert (tmp_path / found.file).exists()
    assert found.size_bytes > 0
    assert found.verified is (name != "coreml")
    if found.verified:
        assert found.agreement is not None and found.agreement >= 1 - allowed
        assert found.peak_mb is not None and found.peak_mb > 0
        counts = [count for count in (1, 2, 4) if count <= available_cores()]
        assert [each.threads for each in found.latencies] == ([0] if name == "executorch" else counts)
        assert all(0 < each.median_ms <= each.p95_ms for each in found.latencies)
        assert found.start_ms is not None and found.weights == weights_digest(tmp_path)
        assert (found.split, found.num_test_images) == ("val", len(load(odd_images).test))
        assert found.test_top1 is not None
        with quiet():
            run = FORMATS[name].open(tmp_path / found.file, threads=1)
            assert run is not None
            probabilities = in_batches(run, np.zeros((2, 48, 48, 3), np.uint8), 1)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=0.02)


@pytest.mark.slow
def test_exported_file_and_network_agree_on_files(small: tdmr_ray.SmallModel, exported: Path, odd_images: Path) -> None:
    paths = find_images([odd_images / "val"])
    model = open_onnx(exported / "target.onnx")
    assert (model.class_names, model.input_format, model.thresholds) == (
        small.class_names,
        small.input_format,
        THRESHOLDS,
    )
    found = dict(predict_files(model, paths))
    for path, own in zip(paths, replace(small, temperature=1.7).predict(paths), strict=True):
        other = found[path]
        assert isinstance(other, tdmr_ray.Prediction)
        np.testing.assert_allclose(other.probabilities, own.probabilities, atol=1e-3)
        assert other.class_name == own.class_name


OLD = {"format": "onnx", "precision": "fp32", "batch": 1, "file": "a.onnx", "size_bytes": 8, "verified": True}


def test_a_list_of_an_older_version_is_read_and_one_of_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ARTIFACTS
    path.write_text(json.dumps([{**OLD, "latency_ms": 2.0, "latency_p95_ms": 3.0}, OLD]))
    first, second = read_artifacts(tmp_path)
    assert (first.latencies, first.peak_mb) == ((Latency(1, 2.0, 3.0),), None)
    assert second.latencies == ()
    for text in (json.dumps([{**OLD, "speed": 1}]), json.dumps([{"format": "onnx"}]), "[", "3"):
        path.write_text(text)
        with pytest.raises(InputError, match="delete it, then run tdmr export again"):
            read_artifacts(tmp_path)


def test_a_file_that_crashes_its_runtime_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "target.onnx").write_text("no model")
    with pytest.raises(RuntimeError, match=r"in a fresh process ended with 1: .*onnx"):
        measure("onnx", tmp_path / "target.onnx", batch=1, px=8)


class Wrong:
    """A format whose files answer something else."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    name, suffix = "wrong", ".wrong"

    def check_installed(self) -> None: ...

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        if self.answer == "nothing":
            raise RuntimeError("layer 3 is\nunknown")
        path.write_text("file")

    def open(self, path: Path, threads: int) -> Any:
        value = {"nan": np.nan, "class 0": 1.0}[self.answer]
        return lambda pixels: np.tile(np.array([[value, 0.0]], np.float32), (len(pixels), 1))


@pytest.mark.parametrize(
    ("answer", "precision", "reason"),
    [
        ("nothing", "fp32", "cannot be converted: layer 3 is"),
        ("nan", "int8", "it differs from the network by nan in a probability, more than 1; it is not written"),
        ("class 0", "fp32", "in a probability, more than 0.001; it is not written"),
        ("class 0", "int8", "points on val, more than 2; it is not written"),
    ],
)
def test_a_file_that_differs_is_not_written(
    answer: str,
    precision: Precision,
    reason: str,
    small: tdmr_ray.SmallModel,
    odd_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FORMATS, "wrong", Wrong(answer))  # type: ignore[arg-type]
    task = load(odd_images)
    (found,) = export_model(small, tmp_path, [("wrong", precision)], task=task, quantization="post")
    assert isinstance(found, Failure)
    assert found.reason.endswith(reason)
    assert not list(tmp_path.iterdir())


def test_a_model_of_arrays_is_verified_on_a_task_that_is_given(small: tdmr_ray.SmallModel, tmp_path: Path) -> None:
    made = replace(small, config=TrialConfig(), input_format=InputFormat(40))
    with pytest.raises(InputError, match="the model was not made from files"):
        export_model(made, tmp_path, [("onnx", "fp32")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("joined", "split"), [("none", "val"), ("val", "test"), ("all", "train")])
def test_check_images_are_those_that_a_model_was_not_trained_on(
    joined: str, split: str, odd_images: Path, tmp_path: Path
) -> None:
    images = check_images_of(load(odd_images), joined=joined)
    images.save(tmp_path)
    again = load_check_images(tmp_path)
    assert again is not None
    assert (again.split, len(again)) == (split, len(images))
    assert np.array_equal(again.pixels, images.pixels)
    assert again.pixels.shape[1:] == again.calibration.shape[1:] == (48, 48, 3)
    assert (again.test is not None) is (split == "val")
    assert again.test is None or again.test.pixels.shape[1:] == (48, 48, 3)


@pytest.mark.slow
def test_a_moved_folder_is_exported_by_its_check_images(
    small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = small.config.model_copy(
        update={"data": small.config.data.model_copy(update={"name": str(tmp_path / "gone")})}
    )
    replace(small, config=gone).save(tmp_path / "model")
    check_images_of(load(odd_images)).save(tmp_path / "model")
    export(tmp_path / "model", formats="onnx", precisions="fp32,int8", max_loss=100)
    assert {path.name for path in (tmp_path / "model").iterdir()} >= {"target.onnx", "target-int8.onnx", CHECK_IMAGES}
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["target.onnx", "target-int8.onnx"]
    top1 = f"{100 * (small.val_top1 or 0):.1f}"
    assert f"val/top1 {top1} % (network {top1}), same class for 100.0 %" in lines[0]
    kept = json.loads((tmp_path / "model" / "artifacts.json").read_text())
    assert [each["precision"] for each in kept] == ["fp32", "int8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "onx"], "'onx' is unknown; did you mean 'onnx'?"),
        (["--precision", "int4"], "'int4' is unknown"),
        (["--quantization", "awar"], "'awar' is unknown; did you mean 'aware'?"),
        (["--format", "openvino", "--precision", "int8"], "openvino has no int8; leave it out, or use 'all'"),
    ],
)
def test_wrong_options_are_told(
    options: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["export", str(folder), *options])
    with pytest.raises(SystemExit) as done:
        run_command(export)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_missing_packages_are_named_with_their_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(FORMATS["litert"]), "modules", ("litert_torch", "no_such_module"))
    with pytest.raises(InputError, match=r"needs .*no_such_module; do: pip install 'tdmr_ray\[litert\]'"):
        FORMATS["litert"].check_installed()


@pytest.mark.slow
def test_other_files_are_refused_in_one_message(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        open_onnx(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="cannot be opened as ONNX"):
        open_onnx(tmp_path / "text.onnx")
    graph = onnx.load(exported / "target.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "bare.onnx")
    with pytest.raises(InputError, match="must hold class names and input format"):
        open_onnx(tmp_path / "bare.onnx")


def test_graph_takes_pixels_and_gives_calibrated_probabilities(small: tdmr_ray.SmallModel) -> None:
    pixels = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)
    graph = DeployedGraph(replace(small, temperature=2.0)).eval()
    own = replace(small, temperature=2.0).classify(pixels.permute(0, 3, 1, 2).numpy())
    np.testing.assert_allclose(graph(pixels).detach().numpy(), own, atol=1e-5)
    assert json.loads(metadata_of(("a",), InputFormat(8), 2.0)["temperature"]) == 2.0


WITHOUT_TORCH = """
import sys
from tdmr_ray.cli import main
sys.argv = ["tdmr", "predict", *sys.argv[1:]]
try:
    main()
except SystemExit as done:
    assert done.code in (0, None), done.code
heavy = {"torch", "timm", "ray", "pandas", "sklearn", "torchvision"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.slow
def test_the_command_runs_an_exported_file_without_torch(
    small: tdmr_ray.SmallModel, exported: Path, odd_images: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(exported / "target.onnx"), str(odd_images / "val")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = find_images([odd_images / "val"])
    assert [line.split("\t")[0] for line in lines] == [str(path) for path in paths]
    assert [line.split("\t")[1] for line in lines] == [each.class_name for each in small.predict(paths)]


def test_graph_has_plain_convolutions_and_leaves_the_model_as_it_is(small: tdmr_ray.SmallModel) -> None:
    before = {type(module) for module in small.target.modules()}
    after = {type(module) for module in DeployedGraph(small).modules()}
    assert SmallMapConv2d in before - after
    assert {type(module) for module in small.target.modules()} == before
