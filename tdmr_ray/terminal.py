"""Text on a terminal. Names, paths and errors come from others; here is the one place where they enter `rich`.

Such a text may hold what looks like rich's markup, control characters that would move the cursor, text direction
marks, or surrogates (file names that are not UTF-8), which no file takes.
"""

import contextlib
import errno
import os
import select
import sys
import unicodedata

from rich.console import Console, RenderableType
from rich.text import Text

LONGEST = 2000
"""Number of characters of a text in a line or a cell; the files hold the whole."""
DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def plain(text: str) -> str:
    """Return a text with control characters, direction marks and surrogates as escapes such as `\\x1b`."""
    return "".join(letter if _is_harmless(letter) else _escape(letter) for letter in text)


def foreign(text: object, style: str = "") -> Text:
    """Return somebody else's text for a line or a cell: no markup, no control characters, not endless."""
    shown = plain(str(text))
    return Text(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}...", style)


def say(console: Console, text: str, style: str = "") -> None:
    """Print lines as they are, without wrapping them and without interpreting their brackets as markup."""
    show(console, Text(plain(text), style))


def show(console: Console, content: RenderableType) -> None:
    """Print; a terminal or a pipe that is gone ends nothing."""
    try:
        console.print(content, highlight=False, soft_wrap=isinstance(content, Text))
    except SystemExit:  # rich's answer to a pipe that nobody reads
        leave_lost_output()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        leave_lost_output()


def leave_lost_output() -> None:
    """Write to nowhere from now on where the terminal or the pipe of stdout or stderr is gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if not _is_lost(stream.fileno()):
                continue
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _is_lost(output: int) -> bool:
    """Whether a terminal has hung up, or nobody reads a pipe any more."""
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or not (unicodedata.category(letter) in ("Cc", "Cs") or letter in DIRECTION_MARKS)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
