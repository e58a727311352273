"""Write the page: markup, scripts, runtime and model in one HTML file that forbids itself the network."""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from tdmr_ray.content_security import content_security_policy
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.demo.runtime import VERSION, Runtime
from tdmr_ray.deploy.predicting import NONE_OF_THESE
from tdmr_ray.errors import InputError

DEMO, PAGE, LICENSE = "demo", "index.html", "onnxruntime-web.LICENSE.txt"
SCRIPTS = ("resample.js", "reading.js")


@dataclass(frozen=True)
class Shown:
    """What the page says of a model.

    Attributes:
        name: Name of the network.
        class_names: C names.
        input_format: Format in which images are read.
        threshold: Least probability of a class, at first.
        notes: Sentences on how good it is.
    """

    name: str
    class_names: Sequence[str]
    input_format: InputFormat
    threshold: float = 0.0
    notes: Sequence[str] = ()


def write_demo(folder: Path, model: Path, shown: Shown, runtime: Runtime) -> Path:
    """Write the page and the runtime's licence into a folder, which is made if it does not exist.

    Args:
        folder: The folder.
        model: An ONNX file that takes one image at once.
        shown: What is known of it.
        runtime: The runtime that is carried along.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LICENSE).write_text(_template(LICENSE), encoding="utf-8")
    (folder / PAGE).write_text(_render(model.read_bytes(), shown, runtime), encoding="utf-8", newline="\n")
    return folder / PAGE


def _render(model: bytes, shown: Shown, runtime: Runtime) -> str:
    scripts = [_template(name) for name in SCRIPTS]
    modules = [as_global(runtime.script), _template("demo.js")]
    style = _template("demo.css")
    settings = {
        "classNames": list(shown.class_names),
        "format": asdict(shown.input_format),
        "threshold": shown.threshold,
        "noneOfThese": NONE_OF_THESE,
    }
    parts = {
        "settings": json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c"),
        "wasm": base64.b64encode(gzip.compress(runtime.wasm, 9, mtime=0)).decode(),
        "model": base64.b64encode(model).decode(),
        "license": _template(LICENSE),
    }
    return (
        _environment()
        .get_template(PAGE)
        .render(
            policy=content_security_policy(scripts=[*scripts, *modules], styles=[style], compiles="'wasm-unsafe-eval'"),
            style=Markup(style),
            scripts=[Markup(text) for text in scripts],
            modules=[Markup(text) for text in modules],
            settings=Markup(parts.pop("settings")),
            **parts,
            shown=shown,
            version=VERSION,
            model_mb=len(model) / 1e6,
            page_mb=(sum(map(len, [*parts.values(), *scripts, *modules])) + len(style)) / 1e6,
        )
    )


def as_global(module: str) -> str:
    """Turn the exports of a module into the global object `ort`, so that it can stand in the page itself.

    Browsers load no module from a file beside a page that was opened from disk. The module gets an address of its
    own, since it takes the page's apart, which fails in Firefox for a page from disk.

    Raises:
        InputError: If the module does not end with its exports, or cannot stand in a page.
    """
    found = re.search(r"export\{([^{}]*)\};?\s*(//# sourceMappingURL=\S*\s*)?$", module)
    if found is None or "</script" in module or "\r" in module:
        raise InputError("--runtime", f"onnxruntime-web must be version {VERSION}; leave out --runtime")
    pairs = [name.strip().partition(" as ") for name in found[1].split(",")]
    members = ",".join(f"{outside or own}:{own}" for own, _, outside in pairs)
    body = module[: found.start()].replace("import.meta.url", '"blob:onnxruntime-web"')
    return f"{body}globalThis.ort={{{members}}};\n"


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("tdmr_ray.deploy.demo")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _template(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
