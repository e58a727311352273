"""Quantisation-aware distillation rounds as int8 files do, and is used only where it helps on val."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.odd_images import load
from torch import Tensor, nn

import tdmr_ray
from tdmr_ray.deploy import quantizing
from tdmr_ray.deploy.artifact import Artifact
from tdmr_ray.deploy.check_images import check_images_of
from tdmr_ray.deploy.fake_quantization import RoundedActivations, fold_batch_norm, keep_rounded, round_weights
from tdmr_ray.deploy.formats import FORMATS, Conversion
from tdmr_ray.deploy.graph import DeployedGraph
from tdmr_ray.deploy.quantization_aware import AwareEpoch, observe, train_aware
from tdmr_ray.deploy.quantizing import Quantizer
from tdmr_ray.errors import InputError
from tdmr_ray.models import load_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps


def planes_of(pixels: Any) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def rounded_logits(network: nn.Module, calibration: Tensor, images: Tensor) -> Tensor:
    round_weights(network)
    activations = RoundedActivations()
    observe(activations, network, calibration)
    logits: Tensor = activations.run(network, images).logits
    return logits


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "tf_mobilenetv3_small_minimal_100"])
def test_folding_batch_norm_changes_no_output(name: str) -> None:
    torch.manual_seed(0)
    network = load_target(name, num_classes=3, image_px=32)
    images = torch.rand(8, 3, 32, 32)
    for _ in range(3):
        network(images)  # statistics of its own
    network.eval()
    with torch.no_grad():
        before = network(images).logits
        fold_batch_norm(network, images[:1])
        after = network(images).logits
    assert not [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-3)


def test_only_what_a_runtime_keeps_is_rounded() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6(), nn.Conv2d(1, 1, 1), nn.Hardswish())
    activations = RoundedActivations()
    observe(activations, network, torch.rand(4, 1, 2, 2))
    assert len(activations.ranges) == 5  # pixels, and the output of each layer
    assert activations.unrounded == {1}  # the first convolution is computed together with ReLU6
    assert all(low <= 0 <= high for low, high in activations.ranges)
    with torch.no_grad():
        found = activations.run(nn.Sequential(nn.Conv2d(1, 1, 1)), torch.rand(4, 1, 2, 2))
    assert found.shape == (4, 1, 2, 2)


def test_weights_are_rounded_by_channel() -> None:
    layer = nn.Conv2d(2, 3, 1)
    before = layer.weight.detach().clone()
    round_weights(layer)
    keep_rounded(layer)
    step = before.flatten(1).abs().amax(dim=1) / 127
    found = layer.weight.detach().flatten(1) / step[:, None]
    torch.testing.assert_close(found, found.round(), atol=1e-3, rtol=0)
    assert 0 < (found - before.flatten(1) / step[:, None]).abs().max() <= 0.501


def test_what_rounds_weights_is_no_layer() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    round_weights(network)
    activations = RoundedActivations()
    observe(activations, network, torch.rand(4, 1, 2, 2))
    assert len(activations.ranges) == 3  # pixels, convolution, ReLU


@pytest.mark.slow
def test_training_brings_the_rounded_network_closer() -> None:
    config = TrialConfig().with_values({"method": "scratch", "target.name": "mobilenetv3_small_050"})
    task = tdmr_ray.load_task("digits", shots=20)
    config = with_steps(config, task, 60)
    target = fit(config, task, lambda _: None, read_test=False).target
    assert target is not None
    model = tdmr_ray.SmallModel(target.eval(), task.class_names, task.image_px, task.input_format, config)
    calibration = check_images_of(task).calibration
    images, planes = task.val.images.float() / 255, planes_of(calibration)
    with torch.no_grad():
        wanted = model.target(images).logits
    untrained = DeployedGraph(model).eval()
    fold_batch_norm(untrained.target, planes[:1])
    epochs: list[AwareEpoch] = []
    trained = train_aware(model, task, calibration, epochs=2, on_epoch=epochs.append)
    before, after = (
        (rounded_logits(graph.target, planes, images).softmax(1) - wanted.softmax(1)).abs().mean()
        for graph in (untrained, trained)
    )
    assert [(epoch.number, epoch.of) for epoch in epochs] == [(1, 2), (2, 2)]
    assert after < before < 0.1


def artifact_of(kept: float, split: str = "val") -> Artifact:
    metrics = {"top1": kept, "log_loss": 1 - kept}
    return Artifact("fake", "int8", 1, "f", 1, True, split=split, num_images=100, metrics=metrics, torch_top1=0.9)


@pytest.mark.parametrize(
    ("quantization", "post", "aware", "chosen", "trainings"),
    [
        ("auto", 0.9, 0.9, "post", 0),
        ("auto", 0.897, 0.95, "post", 0),
        ("auto", 0.88, 0.89, "aware", 1),
        ("auto", 0.88, 0.87, "post", 1),
        ("post", 0.5, 0.9, "post", 0),
        ("aware", 0.9, 0.5, "aware", 1),
    ],
)
def test_training_is_for_files_that_lose(
    quantization: quantizing.Quantization,
    post: float,
    aware: float,
    chosen: str,
    trainings: int,
    small: tdmr_ray.SmallModel,
    odd_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    plain, other = (DeployedGraph(small).eval() for _ in range(2))

    def train(*_: Any, **__: Any) -> DeployedGraph:
        done.append("trained")
        return other

    def measured(conversion: Conversion, folder: Path) -> Artifact:
        return artifact_of(aware if conversion.graph is other else post)

    monkeypatch.setattr(quantizing, "train_aware", train)
    conversion = Conversion(plain, 1, np.zeros((1, 40, 40, 3), np.uint8), {})
    quantizer = Quantizer(small, conversion, lambda: load(odd_images), lambda _: None)
    for number in range(2):  # two formats share one training
        place = tmp_path / str(number)
        place.mkdir()
        best = quantizer.best(FORMATS["onnx"], quantization, measured, place)
        assert best.artifact.quantization == chosen
    assert len(done) == trainings


def test_without_training_images_the_file_stays_as_it_is(small: tdmr_ray.SmallModel, tmp_path: Path) -> None:
    def gone() -> tdmr_ray.Task:
        raise InputError("data.name", "no such folder")

    notes: list[str] = []
    conversion = Conversion(DeployedGraph(small).eval(), 1, np.zeros((1, 40, 40, 3), np.uint8), {})
    quantizer = Quantizer(small, conversion, gone, notes.append)
    best = quantizer.best(FORMATS["onnx"], "auto", lambda *_: artifact_of(0.5), tmp_path)
    assert best.artifact.quantization == "post"
    assert notes[-1] == "not possible without the training images: no such folder"
    with pytest.raises(InputError, match="no such folder"):
        quantizer.best(FORMATS["onnx"], "aware", lambda *_: artifact_of(0.5), tmp_path)


def test_test_does_not_choose(small: tdmr_ray.SmallModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that trained on val is judged by its agreement on calibration images, here complete."""
    graph = DeployedGraph(small).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (4, graph.read_px, graph.read_px, 3), dtype=np.uint8)

    class Same:
        name = "same"

        def open(self, path: Path, threads: int) -> Any:
            return lambda batch: graph(torch.from_numpy(batch)).detach().numpy()

    quantizer = Quantizer(small, Conversion(graph, 1, pixels, {}), lambda: pytest.fail("no training"), lambda _: None)
    best = quantizer.best(Same(), "auto", lambda *_: artifact_of(0.1, "test"), tmp_path)  # type: ignore[arg-type]
    assert (best.artifact.quantization, best.loss) == ("post", 0.0)
