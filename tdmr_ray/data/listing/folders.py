"""Images in folders: one for each class, directly or below folders for the splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tdmr_ray.data.config import LOOSE, DataConfig
from tdmr_ray.data.listing.listing import Listing, listing_of_files, natural_order, readable, similar_names, some_of
from tdmr_ray.data.listing.walk import Ignored, Tree, walk
from tdmr_ray.data.paths import is_file, is_folder
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL, is_unlabeled_name, split_named
from tdmr_ray.errors import InputError

NO_CLASS = "without a class"
HELD_OUT = "without a label in val or test"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
DROP = "add images, or set data.drop_small_classes: true"


@dataclass
class Found:
    """The images of a folder, sorted out.

    Attributes:
        root: The folder.
        ignored: Names of what is left out, by reason.
        tops: Folders that hold class folders, and their split; `ANY` for the root itself.
        classes: Images of each class, for each of `tops`.
        unlabeled: Images without a label.
        loose: Images beside class folders.
        warnings: What the owner should know.
        problems: What must be mended.
    """

    root: Path
    ignored: Ignored
    tops: list[tuple[Tree, int]] = field(default_factory=list)
    classes: list[dict[str, list[Path]]] = field(default_factory=list)
    unlabeled: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, paths: Sequence[Path]) -> None:
        """Note images that are left out."""
        if paths:
            self.ignored.setdefault(reason, []).extend(self.shown(paths))

    def shown(self, paths: Sequence[Path]) -> list[str]:
        """Return paths relative to the root."""
        return [readable(path.relative_to(self.root)) for path in paths]


def list_folder(root: Path, config: DataConfig) -> Listing:
    """List a folder for each class, directly or below train/ val/ test/, and images without labels in unlabeled/.

    Raises:
        InputError: With every problem: no folder, fewer than two classes, a class without images in a split.
    """
    if not is_folder(root):
        raise InputError("data", _explain_no_folder(root))
    found = Found(root, {})
    skip = Path(config.unlabeled) if isinstance(config.unlabeled, str) and is_folder(Path(config.unlabeled)) else None
    tree = walk(root, found.ignored, skip=skip)
    _find_tops(found, tree, config)
    for top, split in list(found.tops):
        _sort_out(found, top, split)
    _place_loose(found, config)
    names = sorted({name for classes in found.classes for name in classes}, key=natural_order)
    found.problems += _check_classes(found, names, drop_small=config.drop_small_classes)
    if found.problems:
        raise InputError("data", found.problems)
    return _listing(found, names)


def _explain_no_folder(root: Path) -> str:
    if not is_file(root):
        return f"there is no folder {root}; give one with a folder for each class"
    rule = f"must be a folder with a folder for each class, got the file {root}"
    if root.name.lower().endswith(ARCHIVES):
        return f"{rule}; unpack it, and give the folder"
    return f"{rule}; if it is a table of paths and labels, give csv:{root}"


def _find_tops(found: Found, tree: Tree, config: DataConfig) -> None:
    """Find the folders that hold class folders, and the images of folders named unlabeled/."""
    named = [(each, split_named(each.name)) for each in tree.folders]
    splits = [(each, split) for each, split in named if split is not None] if config.layout == "auto" else []
    others = [each for each, split in named if split is None and not is_unlabeled_name(each.name) and each.all_images()]
    if not splits:
        found.tops.append((tree, ANY))
        return
    if others:
        rule = "folders beside those of splits must be splits too, or be named unlabeled"
        got = f"got {_quoted(others)} beside {_quoted([each for each, _ in splits])}"
        advice = "set data.layout: classes if all of them are classes, or move the others away"
        raise InputError("data", f"{found.root}: {rule}, {got}; {advice}")
    if all(split in (VAL, TEST) for _, split in splits):
        got = f"got only {_quoted([each for each, _ in splits])}; rename one, or set data.layout: classes"
        raise InputError("data", f"{found.root} must have a folder train, {got}")
    found.loose += tree.images
    for each in tree.folders:
        if is_unlabeled_name(each.name):
            _take_unlabeled(found, each)
    found.tops += splits


def _quoted(trees: Sequence[Tree]) -> str:
    return some_of([f"'{tree.name}'" for tree in trees])


def _sort_out(found: Found, top: Tree, split: int) -> None:
    """Sort out the class folders, unlabelled images and loose images of the root or a split."""
    classes = {each.name: each for each in top.folders if not is_unlabeled_name(each.name)}
    held_out = split in (VAL, TEST)
    if held_out and _is_flat(top, found):
        images = top.all_images()
        found.tops = [each for each in found.tops if each[0] is not top]
        found.leave_out(NO_CLASS, images)
        if images:
            found.warnings.append(
                f"'{top.name}' holds {len(images)} images in no class of train, which are left out; "
                f"to use them without labels: data.unlabeled: {top.path}"
            )
        return
    for each in top.folders:
        if is_unlabeled_name(each.name) and held_out:
            found.leave_out(HELD_OUT, each.all_images())
        elif is_unlabeled_name(each.name):
            _take_unlabeled(found, each)
    if held_out:
        found.leave_out(HELD_OUT, top.images)
    else:
        found.loose += top.images
    found.classes.append({name: each.all_images() for name, each in classes.items()})
    found.warnings += [_describe_nested(each) for each in classes.values() if any(_full(each))]


def _take_unlabeled(found: Found, folder: Tree) -> None:
    images = folder.all_images()
    found.unlabeled += images
    if not images:
        found.warnings.append(f"'{folder.name}' holds no images")


def _is_flat(top: Tree, found: Found) -> bool:
    """Return whether a split has no class folders, or a single one that train, which has several, does not have."""
    own = {each.name for each in _full(top)}
    train = {each.name for tree, split in found.tops if split == TRAIN for each in _full(tree)}
    return not own or (len(own) == 1 and len(train) > 1 and own.isdisjoint(train))


def _full(tree: Tree) -> list[Tree]:
    return [each for each in tree.folders if each.all_images()]


def _describe_nested(tree: Tree) -> str:
    inner = _full(tree)
    return (
        f"class '{tree.name}' takes the images of {len(inner)} folders inside it: {_quoted(inner)}; "
        f"if those are the classes, give {tree.path}"
    )


def _place_loose(found: Found, config: DataConfig) -> None:
    """Take the images beside class folders without labels, or leave them out and say so."""
    if config.unlabeled == LOOSE:
        found.unlabeled += found.loose
        if not found.loose:
            found.problems.append(f"{found.root}: no images lie beside the class folders for data.unlabeled: {LOOSE}")
    elif found.loose and any(any(classes.values()) for classes in found.classes):
        found.leave_out(NO_CLASS, found.loose)
        found.warnings.append(
            f"{len(found.loose)} images lie beside the class folders and are left out; "
            f"to use them without labels: data.unlabeled: {LOOSE}"
        )


def _check_classes(found: Found, names: Sequence[str], *, drop_small: bool) -> list[str]:
    unreadable = [readable(Path(name)) for name in names if name != readable(Path(name))]
    if unreadable:
        rule = "names of classes must be text in UTF-8"
        return [f"{found.root}: {rule}, got {some_of(unreadable)}; rename these folders"]
    if not names:
        count = len(found.loose) + len(found.ignored.get(NO_CLASS, ()))
        advice = "sort them into folders, or give csv:FILE with a label for each"
        hint = f"; {count} images lie in it without a class: {advice}" if count else ""
        return [f"{found.root} must have a folder for each class, got none{hint}"]
    if len(names) == 1:
        only = f"{found.root} must have at least two classes, got only '{names[0]}'"
        inner = [each for top, _ in found.tops for child in top.folders for each in _full(child)]
        return [only + (f"; to use {_quoted(inner)} inside it, give {inner[0].path.parent}" if inner else "")]
    if drop_small:
        return []
    problems = []
    for (top, _), classes in zip(found.tops, found.classes, strict=True):
        empty = [f"'{name}'" for name in names if not classes.get(name)]
        if empty:
            got = f"{len(empty)} of {len(names)} classes have no image there"
            problems.append(f"{top.path}: {got}: {some_of(empty)}; {DROP}")
    return problems


def _listing(found: Found, names: Sequence[str]) -> Listing:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(names)}
    rows = [
        (path, numbers[name], split)
        for (_, split), classes in zip(found.tops, found.classes, strict=True)
        for name in sorted(classes, key=natural_order)
        for path in classes[name]
    ]
    rows += [(path, UNLABELED, TRAIN) for path in found.unlabeled]
    warnings = [*found.warnings, *similar_names(str(found.root), names)]
    return listing_of_files(rows, names, found.root, ignored=found.ignored, warnings=warnings)
