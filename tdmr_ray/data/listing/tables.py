"""Images in a table: a row for each image, with the file's path, its label and, optionally, its split and group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tdmr_ray.data.config import Columns
from tdmr_ray.data.listing.columns import Found, find_columns
from tdmr_ray.data.listing.listing import Listing, listing_of_files, natural_order, shortened, similar_names, some_of
from tdmr_ray.data.listing.table_paths import explain_missing, file_at, same_file, similar_file
from tdmr_ray.data.listing.table_text import Row, read_table
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL, is_unlabeled_name, split_named
from tdmr_ray.errors import InputError

REPEATED = "repeated rows"
"""Reason in `Listing.ignored` for rows that say the same as an earlier one."""


@dataclass(frozen=True)
class Entry:
    """A row whose cells are understood.

    Attributes:
        line: Line of the file.
        text: Path in the table.
        path: File of the image; None if it is missing.
        label: Class name, '' for none.
        split: `ANY`, `TRAIN`, `VAL` or `TEST`.
        group: Group, '' for none.
    """

    line: int
    text: str
    path: Path | None
    label: str
    split: int
    group: str


@dataclass
class Faults:
    """Faulty rows by kind: what the rule is and what to do, and for each row its line and what is wrong."""

    table: Path
    rows: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, rule: str, do: str, line: int, got: str) -> None:
        """Note a faulty row."""
        self.rows.setdefault((rule, do), []).append(f"line {line} ({shortened(got)})")

    def has(self, rule: str) -> bool:
        """Return whether a rule was broken before."""
        return any(rule == known for known, _ in self.rows)

    def messages(self) -> list[str]:
        """Return a problem for each kind of fault."""
        return [f"{self.table}: {rule}, got {some_of(rows)}; {do}" for (rule, do), rows in self.rows.items()]


def list_csv(path: Path, columns: Columns) -> Listing:
    """List the images of a table; those without a label join the training split unlabelled.

    Raises:
        InputError: With every problem of the table, each with its lines.
    """
    entries, found, faults, warnings = _read_entries(path, columns, needs_label=True)
    unique, repeated = _unique(entries, faults)
    _check_labels(unique, faults)
    names = sorted({entry.label for entry in entries if entry.label}, key=natural_order)
    problems = [*faults.messages(), *_check_classes(path, names, entries)]
    if problems:
        raise InputError("data", problems)
    by_name = {name: number for number, name in enumerate(names)}
    rows = [
        (entry.path, by_name[entry.label], entry.split) if entry.label else (entry.path, UNLABELED, TRAIN)
        for entry in unique
        if entry.path
    ]
    return listing_of_files(
        rows,
        names,
        path.parent,
        groups=[entry.group for entry in unique] if found.group is not None else (),
        ignored={REPEATED: repeated} if repeated else {},
        warnings=[*warnings, *similar_names(str(path), names)],
    )


def read_paths(path: Path, columns: Columns) -> list[Path]:
    """Return each image of a table once, whatever its label; the table needs no column of labels.

    Raises:
        InputError: With every problem of the table, each with its lines.
    """
    entries, _, faults, _ = _read_entries(path, columns, needs_label=False)
    problems = faults.messages() or (
        [] if entries else [f"{path} has no row below its header; add a row for each image"]
    )
    if problems:
        raise InputError("data", problems)
    return list({same_file(entry.text): entry.path for entry in entries if entry.path}.values())


def _read_entries(path: Path, columns: Columns, *, needs_label: bool) -> tuple[list[Entry], Found, Faults, list[str]]:
    """Read the rows of a table; return them with its columns, faults and warnings.

    Raises:
        InputError: If the file is no table, or lacks columns.
    """
    wanted = [columns.path or "path", columns.label, columns.split, columns.group]
    table = read_table(path, wanted)
    found, problems = find_columns(table.header, columns, path="path", where=str(path), needs_label=needs_label)
    if problems:
        raise InputError("data", problems)
    faults = Faults(path)
    width = len(table.header)
    entries = [_entry(row, found, path, faults) for row in table.rows if _has_cells(row, width, faults)]
    odd = table.encoding == "cp1252"
    warnings = [f"{path} is not UTF-8 and is read as Windows text (cp1252); check the class names"] if odd else []
    return entries, found, faults, warnings


def _has_cells(row: Row, width: int, faults: Faults) -> bool:
    if len(row.cells) < width:
        rule = f"every row must have {_cells(width)}, like the header"
        faults.add(rule, "fill in or delete these rows", row.line, _cells(len(row.cells)))
        return False
    if any(row.cells[width:]):
        rule = f"no row may have more than {_cells(width)}, the header's number"
        do = "put cells that contain the delimiter in double quotes; an image has one label"
        faults.add(rule, do, row.line, _cells(len(row.cells)))
        return False
    return True


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _entry(row: Row, found: Found, table: Path, faults: Faults) -> Entry:
    def cell(place: int | None) -> str:
        return "" if place is None else row.cells[place]

    text, label, split = cell(found.path), cell(found.label), cell(found.split)
    path = file_at(text, table.parent)
    if path is None:
        rule, do = explain_missing(text, table.parent)
        hint = "" if faults.has(rule) else similar_file(table.parent / text)
        faults.add(rule, do, row.line, (text or "nothing") + hint)
    number = split_named(split) if split else ANY
    if is_unlabeled_name(split):
        label, number = "", TRAIN
    if number is None:
        faults.add("split must be train, val, test, unlabeled or empty", "correct these rows", row.line, f"'{split}'")
        number = ANY
    if found.label is not None and not label and number in (VAL, TEST):
        rule = "images of val and test must have a label"
        faults.add(rule, "give them one, or leave their split empty so that they join unlabelled", row.line, text)
    return Entry(row.line, text, path, label, number, cell(found.group))


def _unique(entries: Iterable[Entry], faults: Faults) -> tuple[list[Entry], list[str]]:
    """Return the first entry of each file, and the names of files that are repeated as they were."""
    first: dict[str, Entry] = {}
    repeated = []
    for entry in entries:
        known = first.setdefault(same_file(entry.text) if entry.text else f"\0{entry.line}", entry)
        if known is entry:
            continue
        if (known.label, known.split, known.group) == (entry.label, entry.split, entry.group):
            repeated.append(entry.text)
            continue
        field = "label" if known.label != entry.label else "split" if known.split != entry.split else "group"
        got = f"like line {known.line}: {entry.text}"
        if field == "label":
            got += f", '{entry.label}' and '{known.label}'"
        faults.add(f"an image may be listed only once, or with one {field}", "delete the wrong rows", entry.line, got)
    return list(first.values()), repeated


def _check_labels(entries: Sequence[Entry], faults: Faults) -> None:
    """Note labels that are lists of other labels, such as `cat,dog` beside `cat` and `dog`."""
    names = {entry.label for entry in entries if entry.label}
    lists = {name for name in names if any(_parts(name, separator) <= names for separator in ",;|")}
    for entry in entries:
        if entry.label in lists:
            do = "give these images the label that matters most, or leave them out"
            faults.add("only one label per image is supported", do, entry.line, f"'{entry.label}'")


def _parts(label: str, separator: str) -> set[str]:
    """Return the parts of a list of labels, or the label itself in a form that no label has if it is no list."""
    parts = {part.strip(" []'\"") for part in label.split(separator)}
    return parts if len(parts) > 1 and "" not in parts else {"\0"}


def _check_classes(path: Path, names: Sequence[str], entries: Sequence[Entry]) -> list[str]:
    if len(names) >= 2:
        return []
    if not entries:
        return [f"{path} has no row below its header; add a row for each image"]
    got = f"only '{shortened(names[0])}'" if names else "no label at all"
    return [f"{path} must have at least two classes, got {got}; a classifier needs images of something else, too"]
