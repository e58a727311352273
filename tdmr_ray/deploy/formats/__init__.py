"""File formats for devices. Each has a file of its own; a new one joins `FORMATS`."""

from tdmr_ray.deploy.formats.coreml import CoreMlFormat
from tdmr_ray.deploy.formats.executorch import ExecuTorchFormat
from tdmr_ray.deploy.formats.format import PRECISIONS, Conversion, Format, Precision
from tdmr_ray.deploy.formats.litert import LiteRtFormat
from tdmr_ray.deploy.formats.onnx_format import OnnxFormat
from tdmr_ray.deploy.formats.openvino import OpenVinoFormat

FORMATS: dict[str, Format] = {
    each.name: each for each in (OnnxFormat(), LiteRtFormat(), ExecuTorchFormat(), CoreMlFormat(), OpenVinoFormat())
}

__all__ = ["FORMATS", "PRECISIONS", "Conversion", "Format", "Precision"]
