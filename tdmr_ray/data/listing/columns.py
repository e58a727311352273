"""The columns of a table or hub set that hold the images, labels, splits and groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from tdmr_ray.data.config import Columns
from tdmr_ray.errors import near_match


@dataclass(frozen=True)
class Found:
    """Positions of the columns among those that there are; None if an optional one is missing.

    Attributes:
        path: Column of the image files.
        label: Column of the class names.
        split: Column of the splits.
        group: Column of the groups.
    """

    path: int
    label: int | None
    split: int | None
    group: int | None


def find_columns(
    got: Sequence[str], columns: Columns, *, path: str, where: str, needs_label: bool = True
) -> tuple[Found, list[str]]:
    """Find columns by name; the case of letters and spaces around names do not matter.

    Args:
        got: Names of the columns that there are.
        columns: Names that are looked for.
        path: Name of the image column if `columns` gives none.
        where: Name of the table for messages.
        needs_label: Whether there must be a column of labels.

    Returns:
        The positions, and the problems: required columns, or optional ones with a name of the user's own, that are
        missing or that two columns are called.
    """
    places: dict[str, int | None] = {}
    problems, missing = [], []
    usual = Columns()
    for field, name in {**columns.model_dump(), "path": columns.path or path}.items():
        hits = [place for place, each in enumerate(got) if each.strip() == name.strip()]
        hits = hits or [place for place, each in enumerate(got) if each.strip().lower() == name.strip().lower()]
        places[field] = hits[0] if hits else None
        required = field == "path" or (field == "label" and needs_label)
        if len(hits) > 1:
            problems.append(f"{where}: {len(hits)} columns are called '{name}'; rename all but one")
        elif not hits and (required or name != getattr(usual, field)):
            missing.append((field, name))
    if missing:
        free = [name for place, name in enumerate(got) if name and place not in places.values()]
        problems.append(_missing_message(got, free, missing, where))
    found = Found(places["path"] or 0, places["label"], places["split"], places["group"])
    return found, problems


def _missing_message(got: Sequence[str], free: Sequence[str], missing: Sequence[tuple[str, str]], where: str) -> str:
    names = [each for each in got if each]
    hints = [hint for _, name in missing if "did you mean" in (hint := near_match(name, free))]
    mapping = ", ".join(f"{field}: NAME" for field, _ in missing)
    wanted = " and ".join(f"'{name}'" for _, name in missing)
    shown = ", ".join(f"'{each[:40]}'" for each in names[:12]) + (", ..." if len(names) > 12 else "")
    plural = "columns" if len(missing) > 1 else "column"
    return (
        f"{where}: must have the {plural} {wanted}, got {shown or 'nothing'}{''.join(hints)}; "
        f"name them with data.columns: {{{mapping}}}"
    )
