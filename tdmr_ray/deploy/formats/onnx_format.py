"""ONNX, for ONNX Runtime on servers, in browsers and on phones."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.deploy.batches import Pixels, Runner
from tdmr_ray.deploy.formats.format import Conversion, Format, Precision
from tdmr_ray.machine import available_cores

OUTPUT = "probabilities"
PREPROCESSING_AND_END = ("Cast", "Transpose", "Div", "Softmax")
"""Kinds of operations that stay in floating point under int8."""


class OnnxFormat(Format):
    """A single file of a stated opset, simplified by onnxslim; int8 are QDQ nodes with scales for each channel."""

    name: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    extra: ClassVar[str] = "export"
    modules: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxslim", "onnxruntime")
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "int8")
    runtime: ClassVar[str] = "onnxruntime"

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write the file; class names and input format are in its metadata."""
        import onnx
        import onnxslim

        from tdmr_ray.models.onnx_graph import write_onnx_graph

        with TemporaryDirectory() as scratch:
            exported = Path(scratch) / "graph.onnx"
            write_onnx_graph(conversion.graph, exported, conversion.graph.example(conversion.batch), output=OUTPUT)
            graph = onnxslim.slim(onnx.load(exported))
            if precision == "fp16":
                graph = _in_half(graph)
            elif precision == "int8":
                graph = _quantized(graph, conversion, Path(scratch))
        onnx.helper.set_model_props(graph, conversion.metadata)
        onnx.save(graph, path)

    def open(self, path: Path, threads: int) -> Runner:
        """Return a runner of ONNX Runtime on the CPU."""
        session = open_session(path, threads)

        def run(pixels: Pixels) -> NDArray[np.float32]:
            found: NDArray[np.float32] = session.run(None, {"images": pixels})[0]
            return found

        return run


def open_session(path: Path, threads: int = 0) -> Any:
    """Open a session of ONNX Runtime on the CPU; 0 threads are as many as there are cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _in_half(graph: Any) -> Any:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    kept = [*DEFAULT_OP_BLOCK_LIST, *PREPROCESSING_AND_END]
    return convert_float_to_float16(graph, keep_io_types=True, op_block_list=kept)


def _quantized(graph: Any, conversion: Conversion, scratch: Path) -> Any:
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[Pixels] = iter(full_batches(conversion.calibration, conversion.batch))

        def get_next(self) -> dict[str, Pixels] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    plain, ready, done = scratch / "plain.onnx", scratch / "ready.onnx", scratch / "int8.onnx"
    onnx.save(graph, plain)
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    outside = [node.name for node in onnx.load(ready).graph.node if node.op_type in PREPROCESSING_AND_END]
    quantize_static(
        str(ready),
        str(done),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=outside,
        calibrate_method=CalibrationMethod.MinMax,
    )
    return onnx.load(done)


def full_batches(pixels: Pixels, batch: int) -> list[Pixels]:
    """Divide images into full batches; what is left is dropped, unless it is all there is."""
    if len(pixels) < batch:
        pixels = np.resize(pixels, (batch, *pixels.shape[1:]))
    return [pixels[start : start + batch] for start in range(0, len(pixels) - batch + 1, batch)]
