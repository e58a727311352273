"""Fixtures for all tests: real classes, small sizes, fixed seeds."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest
import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.resize import resize
from tdmr_ray.training.config import TrialConfig

NUM_CLASSES = 3
IMAGE_PX = 16
TINY_TARGET = "lcnet_035"


@pytest.fixture(autouse=True)
def _one_thread_fixed_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class TinyFoundation(nn.Module):
    """A tiny foundation: features [B, 6], source logits [B, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.body = nn.Linear(12, 6)
        self.classifier = nn.Linear(6, 5)
        self.requires_grad_(False)

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        shift = 0.0 if tokens is None else tokens.mean()
        return (self.body(self.pool(resize(images, 16)).flatten(1)) + shift).tanh()

    def source_logits(self, features: Tensor) -> Tensor:
        return 5 * self.classifier(features)


@pytest.fixture
def tiny_foundation() -> TinyFoundation:
    return TinyFoundation()


def coloured_images(count: int, seed: int) -> Images:
    """Noise with one bright third, whose position is the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % NUM_CLASSES
    images = torch.randint(0, 90, (count, 3, IMAGE_PX, IMAGE_PX), generator=generator, dtype=torch.uint8)
    third = IMAGE_PX // NUM_CLASSES
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, :, label * third : (label + 1) * third] += 150
    return Images(images, labels)


@pytest.fixture
def tiny_task() -> Task:
    """Three classes, 30 labelled and 12 unlabelled training images, 15 for val, 15 for test."""
    labeled, hidden = coloured_images(30, 1), coloured_images(12, 2)
    train = Images(torch.cat([labeled.images, hidden.images]), torch.cat([labeled.labels, torch.full((12,), -1)]))
    val, test = coloured_images(15, 3), coloured_images(15, 4)
    return Task(train, 30, val, test, ("left", "middle", "right"), preset="document", fingerprint="tiny")


@pytest.fixture
def tiny_config() -> TrialConfig:
    """A trial of two epochs with a small target and a built-in foundation."""
    return TrialConfig().with_values(
        {
            "foundation.name": "glyph_cnn",
            "target.name": TINY_TARGET,
            "reprogram.epochs": 1,
            "outputs.num_views": 2,
            "distill.epochs": 2,
            "distill.batch_size": 128,
        }
    )


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for all searches that do not depend on its content."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """An S3 server on loopback, for this process and the processes that it starts."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield
    server.stop()


@pytest.fixture
def bucket(s3: None, request: pytest.FixtureRequest) -> str:
    """The URI of a new bucket."""
    import boto3

    name = f"bucket-{abs(hash(request.node.nodeid))}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
