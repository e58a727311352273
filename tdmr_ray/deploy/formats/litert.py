"""LiteRT (formerly TensorFlow Lite), for Android and microcomputers."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from tdmr_ray.deploy.batches import Runner
from tdmr_ray.deploy.formats.format import Conversion, Format, Precision
from tdmr_ray.deploy.litert_model import add_metadata, open_interpreter, runner_of

SIGNATURE, INPUT = "serving_default", "args_0"
"""Names that litert-torch gives."""
NETWORK = ".*Target_target.*"
"""Layers that int8 concerns: the network itself, without preprocessing and softmax."""


class LiteRtFormat(Format):
    """A `.tflite` file; int8 weights have a scale for each channel, activations one for each tensor."""

    name: ClassVar[str] = "litert"
    suffix: ClassVar[str] = ".tflite"
    extra: ClassVar[str] = "litert"
    modules: ClassVar[tuple[str, ...]] = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "int8")
    runtime: ClassVar[str] = "ai_edge_litert.interpreter"

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write the file; class names and input format are in associated files at its end."""
        import litert_torch

        with TemporaryDirectory() as scratch:
            exported = Path(scratch) / "graph.tflite"
            litert_torch.convert(conversion.graph, (conversion.graph.example(conversion.batch),)).export(str(exported))
            content = exported.read_bytes() if precision == "fp32" else _quantized(exported, conversion, precision)
        path.write_bytes(content)
        add_metadata(path, conversion.metadata)

    def open(self, path: Path, threads: int) -> Runner:
        """Return a runner of the LiteRT interpreter with XNNPACK."""
        return runner_of(open_interpreter(path, threads))


def _quantized(exported: Path, conversion: Conversion, precision: Precision) -> Any:
    from ai_edge_quantizer import qtyping, quantizer, recipe

    work = quantizer.Quantizer(str(exported))
    if precision == "fp16":
        work.update_quantization_recipe(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
                compute_precision=qtyping.ComputePrecision.FLOAT,
            ),
            algorithm_key=recipe.AlgorithmName.FLOAT_CASTING,
        )
        return bytes(work.quantize().quantized_model)
    work.load_quantization_recipe([{**rule, "regex": NETWORK} for rule in recipe.static_wi8_ai8()])
    images = [{INPUT: conversion.calibration[[row] * conversion.batch]} for row in range(len(conversion.calibration))]
    return bytes(work.quantize(work.calibrate({SIGNATURE: images})).quantized_model)
