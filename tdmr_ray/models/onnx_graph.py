"""Export of a network to an ONNX file."""

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import nn


def write_onnx_graph(network: nn.Module, path: Path, *, size_px: int, output: str) -> None:
    """Write a network from `images` [B, 3, size_px, size_px] to one output, for batches of any size.

    Raises:
        ImportError: If onnx or onnxscript is missing.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 3, size_px, size_px),),
            str(path),
            input_names=["images"],
            output_names=[output],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
