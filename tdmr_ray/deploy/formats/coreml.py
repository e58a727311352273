"""Core ML, for iPhones and Macs. It converts anywhere and runs on Apple's systems alone."""

import json
from pathlib import Path
from typing import ClassVar

from tdmr_ray.deploy.formats.format import Conversion, Format, Precision


class CoreMlFormat(Format):
    """An `.mlpackage` that takes an RGB image and gives a class label with probabilities."""

    name: ClassVar[str] = "coreml"
    suffix: ClassVar[str] = ".mlpackage"
    extra: ClassVar[str] = "coreml"
    modules: ClassVar[tuple[str, ...]] = ("coremltools",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16")

    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write the package; its input is an image and not an array."""
        import coremltools
        import torch

        from tdmr_ray.deploy.graph import Planes

        planes = torch.zeros(conversion.batch, 3, conversion.graph.read_px, conversion.graph.read_px)
        with torch.no_grad():
            exported = torch.export.export(Planes(conversion.graph).eval(), (planes,)).run_decompositions({})
            model = coremltools.convert(
                exported,
                inputs=[coremltools.ImageType("images", tuple(planes.shape), color_layout="RGB")],
                outputs=[coremltools.TensorType("probabilities")],
                classifier_config=coremltools.ClassifierConfig(json.loads(conversion.metadata["class_names"])),
                convert_to="mlprogram",
                minimum_deployment_target=coremltools.target.iOS16,
                compute_precision=getattr(coremltools.precision, {"fp32": "FLOAT32", "fp16": "FLOAT16"}[precision]),
                skip_model_load=True,
            )
        model.user_defined_metadata.update(conversion.metadata)
        model.save(str(path))

    def open(self, path: Path, threads: int) -> None:
        """Return None: Core ML runs on Apple's systems alone."""
