"""The rows of a table in a text file, whatever program wrote it: encoding, delimiter and quotes are detected."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tdmr_ray.errors import InputError

DELIMITERS = (",", ";", "\t")
NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF file",
}
"""First bytes of files that people give in place of a table."""
HEAD = 1 << 16
"""Number of bytes that show whether a file is text."""
BLANK = ' \r\n"' + "".join(DELIMITERS)
"""Characters of a line without any text."""
END = "\0"
"""Last line that a reader is given; it ends up in a cell if a quote is open."""


@dataclass(frozen=True)
class Row:
    """Cells of a row without the spaces around them, and the number of the line on which it begins."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table's header and the rows below it; rows without any text are left out.

    Attributes:
        header: Names of the columns.
        rows: Rows in the order of the file.
        delimiter: Character between two cells.
        encoding: Encoding of the file.
    """

    header: tuple[str, ...]
    rows: Sequence[Row]
    delimiter: str
    encoding: str


def read_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read a table in UTF-8, UTF-16 or cp1252, with commas, semicolons or tabs between cells.

    Args:
        path: The file.
        wanted: Names of columns; the delimiter is the one that makes most of them appear in the header.

    Raises:
        InputError: If the file cannot be read, is not text, is empty, or has a quote that is never closed.
    """
    text, encoding = _decode(path, _content(path))
    text, declared = _without_declaration(text)
    top = next((line for line in io.StringIO(text) if line.strip(BLANK)), "")
    delimiter = declared or max(DELIMITERS, key=lambda each: _fit(top, each, wanted))
    rows = list(_rows(path, text, delimiter, skipped=1 if declared else 0))
    if not rows:
        raise InputError("data", f"{path} is empty; its first line must name the columns, such as path,label")
    return Table(rows[0].cells, rows[1:], delimiter, encoding)


def _without_declaration(text: str) -> tuple[str, str]:
    """Take the line `sep=;` that Excel puts first off a text; return the rest, and the delimiter or ''."""
    first, _, rest = text.partition("\n")
    name, equals, delimiter = first.strip(' "').partition("=")
    if name.lower() == "sep" and equals and delimiter in DELIMITERS:
        return rest, delimiter
    return text, ""


def _content(path: Path) -> bytes:
    """Read a file, but no more than its beginning if that is not text."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("data", f"{path} is not a file; csv: needs a table, and a folder is given without csv:")
        with path.open("rb") as file:
            head = file.read(HEAD)
            kind = next((kind for magic, kind in NOT_TEXT.items() if head.startswith(magic)), "")
            if kind:
                raise InputError("data", f"{path} must be a text table, got {kind}; save it as CSV")
            return head + (b"" if _utf_16(head) is None and b"\0" in head else file.read())
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError("data", f"{path} cannot be read: {reason}") from error


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    """Return text with line breaks as `\\n`, and its encoding."""
    wide = _utf_16(content[:HEAD])
    for encoding in [wide] if wide else ["utf-8-sig", "cp1252"]:
        try:
            text = io.StringIO(content.decode(encoding), newline=None).getvalue()
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at byte {error.start}"
            continue
        if END in text:
            line = text[: text.index(END)].count("\n") + 1
            raise InputError(
                "data", f"{path} must be a text table, got a NUL byte in line {line}; save it again as CSV"
            )
        return text.removeprefix("\ufeff"), encoding
    known = "UTF-16" if wide else "UTF-8 or cp1252"
    raise InputError("data", f"{path} must be a text table, but it is not {known} ({reason}); save it as CSV in UTF-8")


def _utf_16(head: bytes) -> str | None:
    """Return the kind of UTF-16 of a file by its byte order mark or the zeros of Latin letters, or None."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd, half = head[::2].count(0), head[1::2].count(0), len(head) // 4
    if odd > half and not even:
        return "utf-16-le"
    return "utf-16-be" if even > half and not odd else None


def _fit(line: str, delimiter: str, wanted: Sequence[str]) -> tuple[int, int]:
    """Return how many wanted columns a header line has with a delimiter, and how many columns at all."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return 0, 0
    names = {cell.strip().lower() for cell in cells}
    return sum(name.strip().lower() in names for name in wanted), len(cells)


def _rows(path: Path, text: str, delimiter: str, skipped: int) -> Iterator[Row]:
    """Yield the rows that have any text; `skipped` lines of the file are not in `text`."""
    reader = csv.reader(chain(io.StringIO(text), [END]), delimiter=delimiter, skipinitialspace=True)
    start = 1 + skipped
    try:
        for cells in reader:
            if cells == [END]:
                return
            if cells and cells[-1].endswith(END):
                raise InputError("data", f"{path}: line {start} opens a double quote that is never closed; remove it")
            if any(cell.strip() for cell in cells):
                yield Row(start, tuple(cell.strip() for cell in cells))
            start = reader.line_num + 1 + skipped
    except csv.Error as error:
        raise InputError(
            "data", f"{path}: line {start} cannot be read: {error}; is a double quote not closed?"
        ) from error
