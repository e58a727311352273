"""`tdmr export DIR/best/PAIR`: a small model as files for devices, each verified on images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr_ray.cli import FAILED, run_command
from tdmr_ray.errors import InputError, near_match

if TYPE_CHECKING:
    from tdmr_ray.deploy.artifact import Artifact
    from tdmr_ray.deploy.demo.runtime import Runtime
    from tdmr_ray.deploy.exporting import Failure
    from tdmr_ray.deploy.formats import Precision

ALL = "all"


def export(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    formats: Annotated[
        str, typer.Option("--format", help="onnx, litert, executorch, coreml, openvino; several by commas; or all.")
    ] = "onnx",
    precisions: Annotated[
        str, typer.Option("--precision", help="fp32, fp16, int8; several by commas; or all.")
    ] = "fp32",
    batch: Annotated[int, typer.Option(min=1, help="Images that a file takes at once.")] = 1,
    max_loss: Annotated[
        float, typer.Option(min=0, help="Points of accuracy that a file may lose; more, and it is not written.")
    ] = 2.0,
    quantization: Annotated[
        str,
        typer.Option(
            help="How int8 files are made. post: from the network as it is. aware: after a few epochs of training on "
            "the model's own images, in which it learns to bear the rounding. auto: aware if post loses more than "
            "half a point on val, and if aware is then better."
        ),
    ] = "post",
    out: Annotated[Path | None, typer.Option(help="Folder for the files [the model's own].")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Write demo/index.html too: a page that runs the ONNX file in a browser.")
    ] = False,
    runtime: Annotated[
        Path | None, typer.Option(help="Tarball of onnxruntime-web for --demo [from the npm registry, then cached].")
    ] = None,
) -> None:
    """Write files that take RGB pixels, uint8 [B, px, px, 3], and give probabilities [B, C].

    Each file is run on images of val before it is kept, and its figures are in artifacts.json. `all` leaves out
    formats whose packages are not installed. `tdmr predict FILE IMAGE...` runs .onnx and .tflite without torch.

    predict.pyz beside them runs them without this package: python predict.pyz IMAGE... needs numpy, pillow, and
    onnxruntime or ai-edge-litert.
    """
    from tdmr_ray.deploy.exporting import Failure, export_model
    from tdmr_ray.deploy.formats import FORMATS, PRECISIONS
    from tdmr_ray.deploy.quantizing import QUANTIZATIONS
    from tdmr_ray.deploy.small_model import load_model
    from tdmr_ray.report.card import refresh_card

    names = _chosen("--format", formats, list(FORMATS))
    if formats == ALL:
        names = [name for name in names if _is_installed(name)]
    wanted = [
        (name, precision)
        for name in names
        for precision in PRECISIONS
        if precision in _chosen("--precision", precisions, list(PRECISIONS))
        and (precisions != ALL or precision in FORMATS[name].precisions)
    ]
    impossible = [
        f"{name} has no {precision}" for name, precision in wanted if precision not in FORMATS[name].precisions
    ]
    if impossible:
        raise InputError("--precision", [f"{each}; leave it out, or use 'all'" for each in impossible])
    way = next((each for each in QUANTIZATIONS if each == quantization), None)
    if way is None:
        rule = f"'{quantization}' is unknown{near_match(quantization, QUANTIZATIONS)}; choose from "
        raise InputError("--quantization", rule + ", ".join(QUANTIZATIONS))
    if runtime is not None and not demo:
        raise InputError("--runtime", "is for the page; add --demo")
    carried = _runtime(wanted, batch, runtime) if demo else None
    results = export_model(
        load_model(folder),
        out or folder,
        wanted,
        batch=batch,
        source=folder,
        max_loss=max_loss / 100,
        quantization=way,
        on_result=lambda found: typer.echo(_line(found)),
        on_note=lambda line: typer.echo(line, err=True),
    )
    if carried is not None:
        _write_demo(folder, out or folder, results, carried)
    refresh_card(out or folder)
    if any(isinstance(each, Failure) for each in results):
        raise typer.Exit(FAILED)


def _chosen(option: str, text: str, legal: list[str]) -> list[str]:
    if text == ALL:
        return legal
    names = [name.strip() for name in text.split(",")]
    problems = [
        f"'{name}' is unknown{near_match(name, legal)}; choose from {', '.join(legal)}, all"
        for name in names
        if name not in legal
    ]
    if problems:
        raise InputError(option, problems)
    return names


def _is_installed(name: str) -> bool:
    from tdmr_ray.deploy.formats import FORMATS

    try:
        FORMATS[name].check_installed()
    except InputError as error:
        typer.echo(f"{name} is left out: {error.problems[0]}", err=True)
        return False
    return True


def _runtime(wanted: "list[tuple[str, Precision]]", batch: int, given: Path | None) -> "Runtime":
    """Return what a page needs, before files are made; it runs ONNX, one image at once."""
    from tdmr_ray.deploy.demo.runtime import load_runtime

    if "onnx" not in dict(wanted):
        raise InputError("--demo", "needs an ONNX file; add onnx to --format")
    if batch != 1:
        raise InputError("--demo", f"classifies one image at once, got --batch {batch}; leave out --batch")
    return load_runtime(given)


def _write_demo(source: Path, folder: Path, results: "list[Artifact | Failure]", runtime: "Runtime") -> None:
    """Write the page for the first ONNX file that was kept."""
    from tdmr_ray.deploy.artifact import Artifact
    from tdmr_ray.deploy.demo.page import DEMO, Shown, write_demo
    from tdmr_ray.deploy.small_model import load_model

    found = next((each for each in results if isinstance(each, Artifact) and each.format == "onnx"), None)
    if found is None:
        typer.echo("demo: there is no ONNX file to show; it is not written")
        return
    model = load_model(source)
    notes = [f"It is right on {100 * (found.top1 or 0):.1f} % of {found.num_images} images of {found.split}."]
    if model.temperature != 1:
        notes.append(f"Its probabilities were calibrated, with temperature {model.temperature:.2f}.")
    name = model.config.target.name
    shown = Shown(name, model.class_names, model.input_format, model.thresholds.min_probability or 0.0, notes)
    page = write_demo(folder / DEMO, folder / found.file, shown, runtime)
    typer.echo(f"{page.relative_to(folder)}: {page.stat().st_size / 1e6:.2f} MB, open it in a browser")


def _line(found: "Artifact | Failure") -> str:
    from tdmr_ray.deploy.exporting import Failure

    if isinstance(found, Failure):
        return f"{found.format} {found.precision}: {found.reason}"
    size = f"{found.file}: {found.size_bytes / 1e6:.2f} MB"
    if found.quantization:
        size += f", quantisation {found.quantization}"
    if found.top1 is None or found.torch_top1 is None:
        return f"{size}, converted, cannot be run here"
    return (
        f"{size}, {found.split}/top1 {100 * found.top1:.1f} % (network {100 * found.torch_top1:.1f}), "
        f"same class for {100 * (found.agreement or 0):.1f} %, {_times(found)}"
    )


def _times(found: "Artifact") -> str:
    times = ", ".join(
        f"{each.median_ms:.1f} ms" + (f" on {each.threads} thread{'s' * (each.threads > 1)}" if each.threads else "")
        for each in found.latencies
    )
    return f"{times} for {found.batch}" + ("" if found.peak_mb is None else f", {found.peak_mb:.0f} MB of memory")


if __name__ == "__main__":
    run_command(export)
