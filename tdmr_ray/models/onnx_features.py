"""Features of a frozen foundation from ONNX Runtime, where it is faster than torch on a CPU."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tdmr_ray.models.at_once import in_parts
from tdmr_ray.models.foundation import Foundation
from tdmr_ray.models.onnx_graph import write_onnx_graph

TOLERANCE = 1e-3
"""Largest difference to torch's features, relative to the largest one. Half precision alone rounds by 5e-4."""
MIN_FLOPS = 1e12
"""Least work for which the seconds of an export are spent: about 20 seconds of a core."""


class OnnxFeatures:
    """An exported foundation.

    Args:
        foundation: What is exported, on the CPU.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is missing.
        Exception: If the foundation cannot be exported.
    """

    def __init__(self, foundation: Foundation) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "features.onnx"
            side = foundation.spec.size_px
            write_onnx_graph(_Graph(foundation), path, torch.zeros(2, 3, side, side), output="features", any_batch=True)
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._size_px = foundation.spec.size_px

    def __call__(self, images: Tensor) -> Tensor:
        """Map images [B, 3, size_px, size_px] in 0..1 to features [B, d]."""
        return in_parts(self._run, images, self._size_px)

    def _run(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self._session.run(None, {"images": images.numpy()})[0])


def export_features(foundation: Foundation) -> OnnxFeatures | None:
    """Export a foundation; None if this is impossible here, or if its features then differ from torch's."""
    side = foundation.spec.size_px
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        exported = OnnxFeatures(foundation)
        found = exported(images)
    except Exception:  # noqa: BLE001  # exporters and runtimes raise errors of any class; torch runs every foundation
        return None
    with torch.no_grad():
        expected = foundation.features(images)
    error = (found - expected).abs().max() / expected.abs().max()
    return exported if error < TOLERANCE else None


@torch.no_grad()
def worth_exporting(foundation: Foundation, num_images: int) -> bool:
    """Whether ONNX Runtime is the faster engine for so many images on a CPU, each view of an image counted.

    It is where most of the work is in convolutions. In products of matrices, as of transformers, torch is as fast
    (`benchmarks/foundation_speed.py`).
    """
    side = foundation.spec.size_px
    with FlopCounterMode(display=False) as counter:
        foundation.features(torch.zeros(1, 3, side, side))
    flops = counter.get_flop_counts()["Global"]
    total, convolutions = int(sum(flops.values())), int(flops.get(torch.ops.aten.convolution, 0))
    return convolutions > total / 2 and num_images * total > MIN_FLOPS


class _Graph(nn.Module):
    """The exported graph: images in 0..1 to features."""

    def __init__(self, foundation: Foundation) -> None:
        super().__init__()
        self.foundation = foundation

    def forward(self, images: Tensor) -> Tensor:
        return self.foundation.features_at_once(images)
