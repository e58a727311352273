"""The plug-in keeps the contracts of tdmr_ray."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tdmr_ray_example.diary import Diary
from tdmr_ray_example.huber import HuberLoss
from tdmr_ray_example.npz import list_npz
from tdmr_ray_example.veil import VeilPrompt

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.listing import Listing
from tdmr_ray.testing import ListenerContract, LossContract, PromptContract, SourceContract, contract


@contract(VeilPrompt, {}, {"density": 0.9})
class TestVeil(PromptContract):
    pass


@contract(HuberLoss, {}, {"delta": 2.0, "standardize": True})
class TestHuber(LossContract):
    pass


class TestDiary(ListenerContract):
    listener = Diary


class TestNpz(SourceContract):
    @pytest.fixture
    def list_again(self, tmp_path: Path) -> Callable[[], Listing]:
        images, labels = np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1])
        np.savez(tmp_path / "four.npz", images=images, labels=labels, class_names=np.array(["a", "b"]))
        return partial(list_npz, str(tmp_path / "four.npz"), DataConfig())
