"""Other people's texts on a terminal."""

import ast
import io
import os
import pty
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.studies import build_space, record_of
from rich.console import Console
from rich.text import Text

import tdmr_ray
from tdmr_ray.ledger import Ledger
from tdmr_ray.records import Pair
from tdmr_ray.runner.progress import Progress
from tdmr_ray.terminal import LONGEST, foreign, leave_lost_output, plain, say
from tdmr_ray.tuning.studies import PairStudies

NASTY = {
    "OSError: [/red]": "OSError: [/red]",
    "[bold": "[bold",
    "[link=file:///etc/passwd]x[/link] [[ ]] \\[": "[link=file:///etc/passwd]x[/link] [[ ]] \\[",
    "\x1b[2J\x1b]0;title\x07 cleared": r"\x1b[2J\x1b]0;title\x07 cleared",
    "\x00\x08\x0d\x9b31m": r"\x00\x08\r\x9b31m",
    "file \udcff\udc80.png": r"file \udcff\udc80.png",
    "\u202egnp.exe": r"\u202egnp.exe",
    "👩‍🔬 शोध 日本語 é": "👩‍🔬 शोध 日本語 é",
    "long " * 100_000: ("long " * 100_000)[:LONGEST] + "...",
    "": "",
}


def strict_console(*, terminal: bool) -> tuple[Console, io.BytesIO]:
    """A console on a file that refuses what is not UTF-8, and the file's content."""
    content = io.BytesIO()
    file = io.TextIOWrapper(content, encoding="utf-8", errors="strict", write_through=True)
    return Console(file=file, force_terminal=terminal, color_system=None, width=5000), content


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_the_display_shows_any_text_as_it_is_or_escaped(text: str, terminal: bool) -> None:
    console, content = strict_console(terminal=terminal)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    spec = studies.next_spec()
    assert spec is not None
    spec = replace(spec, pair=Pair(foundation=text[:300], target="t"))
    progress.begin("search", [spec.pair.name], 1)
    progress.started(spec)
    progress.working([(spec, text)])
    progress.lost(spec, text)
    progress.started(spec)
    progress.ended(spec, record_of(spec, "failed").model_copy(update={"error": text}))
    progress.stop()
    say(console, text[:LONGEST])
    shown = content.getvalue().decode()
    assert shown.count(plain(text[:300])) >= 2
    assert foreign(text).plain == NASTY[text]
    assert say_of(text[:LONGEST]) == NASTY[text].removesuffix("...") + "\n"


def say_of(text: str) -> str:
    console, content = strict_console(terminal=False)
    say(console, text)
    return content.getvalue().decode()


def test_only_one_module_prints_with_rich() -> None:
    package = Path(tdmr_ray.__file__).parent
    printing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "print"
    }
    assert printing == {"terminal.py"}


def test_a_record_of_any_error_reaches_the_ledger(tmp_path: Path) -> None:
    spec = PairStudies(build_space()).next_spec()
    assert spec is not None
    ledger = Ledger(tmp_path / "records.jsonl")
    for text in NASTY:
        ledger.append(record_of(spec, "failed").model_copy(update={"error": plain(text)}))
    assert ledger.read()[-1].error == ""


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_a_lost_output_ends_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pty.openpty() if kind == "terminal" else os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        console = Console(file=stream, force_terminal=kind == "terminal")
        say(console, "before")
        assert b"before" in os.read(reader, 100)
        leave_lost_output()
        say(console, "still there")
        assert b"still there" in os.read(reader, 100)
        os.close(reader)
        say(console, "nobody reads this")
        leave_lost_output()
        stream.write("nor this")
        stream.flush()


def test_styles_are_for_our_own_words_only() -> None:
    assert foreign("[red]x[/red]", "bold") == Text("[red]x[/red]", "bold")
