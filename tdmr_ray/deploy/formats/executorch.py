"""ExecuTorch with XNNPACK, for apps on PyTorch's own runtime."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.deploy.batches import Pixels, Runner
from tdmr_ray.deploy.formats.format import Conversion, Format, Precision

if TYPE_CHECKING:
    import torch


class ExecuTorchFormat(Format):
    """A `.pte` file whose layers run in XNNPACK; int8 by PT2E quantisation with scales for each channel."""

    name: ClassVar[str] = "executorch"
    suffix: ClassVar[str] = ".pte"
    extra: ClassVar[str] = "executorch"
    modules: ClassVar[tuple[str, ...]] = ("executorch", "torchao")
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8")
    runtime: ClassVar[str] = "executorch.runtime"
    sets_threads: ClassVar[bool] = False

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write the file."""
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        example = (conversion.graph.example(conversion.batch),)
        network: Any = _quantized(conversion, example) if precision == "int8" else conversion.graph
        exported = torch.export.export(network, example)
        program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
        path.write_bytes(program.buffer)

    def open(self, path: Path, threads: int) -> Runner:
        """Return a runner of ExecuTorch's own runtime, which has no setting for threads in Python."""
        import torch
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(str(path)).load_method("forward")

        def run(pixels: Pixels) -> NDArray[np.float32]:
            found: NDArray[np.float32] = method.execute([torch.from_numpy(pixels)])[0].numpy().copy()
            return found

        return run


def _quantized(conversion: Conversion, example: tuple["torch.Tensor"]) -> Any:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    with torch.no_grad():
        captured = torch.export.export(conversion.graph, example).module()
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        prepared = prepare_pt2e(captured, quantizer)
        for row in range(len(conversion.calibration)):
            prepared(torch.from_numpy(conversion.calibration[[row] * conversion.batch]))
        return convert_pt2e(prepared)
