"""Export of a network to an ONNX file."""

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn


def write_onnx_graph(network: nn.Module, path: Path, example: Tensor, *, output: str, any_batch: bool = False) -> None:
    """Write a network from `images` to one output.

    Args:
        network: The network.
        path: The file.
        example: Images of the type and shape that it takes, [B, ...]; at least two for batches of any size.
        output: Name of the output.
        any_batch: Whether it takes batches of any size and not only B images.

    Raises:
        ImportError: If onnx or onnxscript is missing.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            input_names=["images"],
            output_names=[output],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}} if any_batch else None,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
