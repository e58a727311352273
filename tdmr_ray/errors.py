"""What a user can get wrong, by name. Nothing here knows about torch, Ray or files."""

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Something the user typed or gave cannot work; shown as one message without a traceback, exit code 2.

    Args:
        where: The file, option or thing that the problems are in.
        problems: Each one a sentence that gives the rule, what was got, and what to do.
    """

    def __init__(self, where: str, problems: str | Sequence[str]) -> None:
        self.where = where
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self._message())

    def _message(self) -> str:
        count = len(self.problems)
        head = f"{self.where}: {count} problem{'' if count == 1 else 's'}"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, tuple[str, ...]]]:
        return type(self), (self.where, self.problems)


class NonFiniteLoss(RuntimeError):
    """A loss term became NaN or infinite; the trial cannot go on, the search can."""


class SearchStopped(RuntimeError):
    """A search cannot go on for a reason outside it; shown as one message without a traceback, exit code 1."""


def near_match(name: str, options: Iterable[str]) -> str:
    """'; did you mean X?' for the legal name nearest to `name`, or the legal names if none is near."""
    known = sorted(options)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"; known: {shown}"
