"""An exported file gives the network's probabilities for image files, without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.onnx import TOLERANCE, check_export, export_onnx, scaling_matrix
from tdmr_ray.deploy.onnx_model import open_onnx
from tdmr_ray.deploy.predicting import find_images, predict_files
from tdmr_ray.errors import InputError
from tdmr_ray.export import export
from tdmr_ray.method.resize import resize
from tdmr_ray.training.config import TrialConfig


@pytest.fixture(scope="module")
def exported(small: tdmr_ray.SmallModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "target.onnx"
    verified = export_onnx(small, path)
    assert verified.split == "val"
    assert verified.top1 == pytest.approx(small.val_top1, abs=1e-6)
    assert verified.metrics == pytest.approx(verified.before, abs=1e-4)
    return path


@pytest.mark.parametrize(("from_px", "to_px"), [(48, 32), (33, 40), (168, 160), (8, 8)])
def test_two_matrix_products_scale_like_the_network(from_px: int, to_px: int) -> None:
    images = torch.rand(2, 3, from_px, from_px)
    matrix = scaling_matrix(from_px, to_px)
    assert (matrix @ images @ matrix.T - resize(images, to_px)).abs().max() < 1e-5


@pytest.mark.slow
def test_exported_file_and_network_agree_on_files(small: tdmr_ray.SmallModel, exported: Path, odd_images: Path) -> None:
    paths = find_images([odd_images / "val"])
    model = open_onnx(exported)
    assert (model.class_names, model.input_format) == (small.class_names, small.input_format)
    found = dict(predict_files(model, paths))
    for path, own in zip(paths, small.predict(paths), strict=True):
        other = found[path]
        assert isinstance(other, tdmr_ray.Prediction)
        np.testing.assert_allclose(other.probabilities, own.probabilities, atol=TOLERANCE)
        assert other.class_name == own.class_name


@pytest.mark.slow
def test_a_file_that_differs_is_refused(
    small: tdmr_ray.SmallModel, exported: Path, odd_images: Path, tmp_path: Path
) -> None:
    graph = onnx.load(exported)
    weights = [each for each in graph.graph.initializer if len(each.dims) == 4]
    changed = onnx.numpy_helper.to_array(weights[0]) * 3
    weights[0].CopyFrom(onnx.numpy_helper.from_array(changed.copy(), weights[0].name))
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="the file differs from the network by"):
        check_export(small, onnxruntime.InferenceSession(str(tmp_path / "other.onnx")), load(odd_images))


def test_a_model_of_arrays_is_verified_on_a_task_that_is_given(small: tdmr_ray.SmallModel, tmp_path: Path) -> None:
    made = replace(small, config=TrialConfig(), input_format=InputFormat(40))
    with pytest.raises(InputError, match="the model was not made from files"):
        export_onnx(made, tmp_path / "target.onnx")
    assert not list(tmp_path.iterdir())


class SameNetwork:
    """Stands for the session of a file that was exported without a mistake."""

    def __init__(self, model: tdmr_ray.SmallModel) -> None:
        self.model = model

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [self.model.probabilities(torch.from_numpy(feed["images"])).numpy()]


@pytest.mark.parametrize(("join", "split"), [("none", "val"), ("val", "test"), ("all", "train")])
def test_a_refitted_model_is_verified_on_images_that_are_left(
    small: tdmr_ray.SmallModel, join: str, split: str
) -> None:
    task = load_task(small.config.data.model_copy(update={"join": join}))
    verified = check_export(small, SameNetwork(small), task)
    assert (verified.split, verified.top1) == (split, verified.before["top1"])
    assert 0 < verified.top1 <= 1


@pytest.mark.slow
def test_the_command_exports_a_refitted_model_and_shows_its_accuracy_on_test(
    small: tdmr_ray.SmallModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small.config.data.model_copy(update={"join": "val"})
    config = small.config.model_copy(update={"data": data})
    replace(small, config=config, metrics={"test/top1": 0.5}).save(tmp_path)
    assert tdmr_ray.load_model(tmp_path).val_top1 is None
    export(tmp_path)
    assert (tmp_path / "target.onnx").exists()
    printed = capsys.readouterr().out
    assert " MB, test/top1 1.0000 " in printed
    assert "val/" not in printed


@pytest.mark.slow
def test_other_files_are_refused_in_one_message(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        open_onnx(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="cannot be opened as ONNX"):
        open_onnx(tmp_path / "text.onnx")
    graph = onnx.load(exported)
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "bare.onnx")
    with pytest.raises(InputError, match="must hold class names and input format"):
        open_onnx(tmp_path / "bare.onnx")


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
    command = [sys.executable, "-c", WITHOUT_TORCH, str(exported), str(odd_images / "val")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = find_images([odd_images / "val"])
    assert [line.split("\t")[0] for line in lines] == [str(path) for path in paths]
    assert [line.split("\t")[1] for line in lines] == [each.class_name for each in small.predict(paths)]
