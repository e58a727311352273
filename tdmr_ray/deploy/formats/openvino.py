"""OpenVINO, for Intel CPUs, GPUs and NPUs."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.deploy.batches import Pixels, Runner
from tdmr_ray.deploy.formats.format import Conversion, Format, Precision


class OpenVinoFormat(Format):
    """An `.xml` file with its weights in a `.bin` file beside it."""

    name: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    extra: ClassVar[str] = "openvino"
    modules: ClassVar[tuple[str, ...]] = ("openvino",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16")
    runtime: ClassVar[str] = "openvino"

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write both files; the metadata are under `tdmr_ray` in the first."""
        import openvino

        example = conversion.graph.example(conversion.batch)
        shape = [(list(example.shape), openvino.Type.u8)]
        model = openvino.convert_model(conversion.graph, example_input=example, input=shape)
        for key, text in conversion.metadata.items():
            model.set_rt_info(text, ["tdmr_ray", key])
        openvino.save_model(model, str(path), compress_to_fp16=precision == "fp16")

    def open(self, path: Path, threads: int) -> Runner:
        """Return a runner on the CPU."""
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        compiled = openvino.compile_model(str(path), "CPU", settings)

        def run(pixels: Pixels) -> NDArray[np.float32]:
            return np.array(compiled(pixels)[0], dtype=np.float32)

        return run
