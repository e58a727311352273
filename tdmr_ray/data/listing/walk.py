"""A walk through a folder of images that skips what is none, and counts it by reason."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from tdmr_ray.data.listing.listing import readable
from tdmr_ray.data.reading import SUFFIXES, is_image

LITTER_FOLDERS = frozenset(
    ["@eadir", "__macosx", "__pycache__", "#recycle", "$recycle.bin", "system volume information", "lost+found"]
)
"""Folders, in lower case, that file servers, archives and systems leave behind."""
LITTER_FILES = frozenset(["thumbs.db", "desktop.ini", "icon\r"])
"""Files, in lower case, that systems leave behind."""

HIDDEN, LITTER, NO_IMAGE = "hidden", "left by another program", "not an image"
BROKEN_LINK, CIRCULAR_LINK = "broken link", "circular link"
IMAGE_FOLDER, UNREADABLE = "folder with the name of an image", "unreadable folder"
TOO_DEEP, DEEPEST = "folder too deep", 64
"""Reason, and the number of folders inside one another from which on nobody looks further."""

Ignored = dict[str, list[str]]
"""Names of what is left out, by reason."""


@dataclass
class Tree:
    """A folder and its images.

    Attributes:
        path: The folder.
        images: Images directly in it, sorted by name.
        folders: Its folders, sorted by name.
    """

    path: Path
    images: list[Path] = field(default_factory=list)
    folders: "list[Tree]" = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    def all_images(self) -> list[Path]:
        """Return the images in it and in the folders below, sorted by path."""
        return sorted([*self.images, *(path for tree in self.folders for path in tree.all_images())])


def walk(root: Path, ignored: Ignored, *, skip: Path | None = None) -> Tree:
    """Return the tree of a folder's images; links to folders are followed.

    Args:
        root: An existing folder.
        ignored: Receives what is left out, with names relative to `root`.
        skip: A folder below `root` that is left out without a word.
    """
    return _Walk(root, ignored, skip.resolve() if skip else None).tree(root, (root.resolve(),))


@dataclass(frozen=True)
class _Walk:
    root: Path
    ignored: Ignored
    skip: Path | None

    def tree(self, folder: Path, above: tuple[Path, ...]) -> Tree:
        """Return the tree of a folder, given its real path and those of the folders around it."""
        tree = Tree(folder)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            self.leave_out(UNREADABLE, folder)
            return tree
        for entry in entries:
            self.add(entry, tree, above)
        return tree

    def add(self, entry: os.DirEntry[str], tree: Tree, above: tuple[Path, ...]) -> None:
        path = Path(entry.path)
        reason = _reason_to_skip(entry)
        if reason:
            self.leave_out(reason, path)
        elif not entry.is_dir():
            if entry.is_file() and is_image(path):
                tree.images.append(path)
            else:
                self.leave_out(NO_IMAGE, path)
        elif len(above) > DEEPEST:
            self.leave_out(TOO_DEEP, path)
        elif (real := path.resolve()) != self.skip:
            if real in above:
                self.leave_out(CIRCULAR_LINK, path)
            else:
                tree.folders.append(self.tree(path, (*above, real)))

    def leave_out(self, reason: str, path: Path) -> None:
        self.ignored.setdefault(reason, []).append(readable(path.relative_to(self.root)))


def _reason_to_skip(entry: os.DirEntry[str]) -> str:
    """Return why an entry is left out before anybody looks into it, or ''."""
    name = entry.name.lower()
    if entry.is_symlink() and (trouble := _trouble_of_link(Path(entry.path))):
        return trouble
    if name.startswith("."):
        return HIDDEN
    if name in (LITTER_FOLDERS if entry.is_dir() else LITTER_FILES):
        return LITTER
    if entry.is_dir() and Path(name).suffix in SUFFIXES:
        return IMAGE_FOLDER
    return ""


def _trouble_of_link(path: Path) -> str:
    """Return why a link leads nowhere, or ''."""
    try:
        path.stat()
    except OSError as error:
        return CIRCULAR_LINK if error.errno == errno.ELOOP else BROKEN_LINK
    return ""
