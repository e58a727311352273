"""Packages with entry points, as pip would leave them in a folder of the path."""

from pathlib import Path


def install(folder: Path, name: str, code: str, **points: str) -> None:
    """Write a package of one module, and its entry points by group without the prefix `tdmr_ray.`.

    Args:
        folder: Folder of the path.
        name: Name of the package and its module.
        code: Content of the module.
        points: Lines such as `tint = module:Class`.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(f"[tdmr_ray.{group}]\n{line}\n" for group, line in points.items()))
