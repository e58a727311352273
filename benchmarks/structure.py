"""Is the code easier to change than before? The same counts for an earlier revision and for this checkout.

Run:    python benchmarks/structure.py REV          (REV is the revision before, such as abe044e)
Cost:   half a minute.
Result: results/structure.json and .md.

To see how many places a new kind of component touches, one existing kind stands for each concept: a place is a line of
`tdmr_ray` with that kind's name in a string (a dict key, a `Literal`, a tuple, a rule, a message). Docstrings do not
count. Import time is the fastest of several fresh processes.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import ROOT, name_revision, name_this_checkout, open_worktree
from benchmarks.results_file import show_and_keep

NAME = "structure"
KINDS = {
    "prompt": "overlay",
    "mapping": "bayesian_plus",
    "loss": "dkd",
    "alignment": "cka",
    "schedule": "exponential",
    "control": "plain_kd",
}
"""An existing kind of each concept whose name has no other meaning in the package."""
LONG_FUNCTION = 60
FRAGMENTS = ("Of", "By", "As", "From", "Whose", "What", "Where", "How")
"""Words that begin no sentence (DESIGN section 9)."""
IMPORTS = 5

Counts = dict[str, float]


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    path: Path
    text: str
    tree: ast.Module


def read_modules(package: Path) -> list[Module]:
    """All modules of a package."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    return [Module(path, text, ast.parse(text)) for path, text in texts.items()]


def list_docstrings(tree: ast.Module) -> list[ast.Constant]:
    """Docstrings of modules, classes and functions, and the strings below attributes that document them."""
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


def lines_naming(module: Module, kind: str) -> set[int]:
    """Lines with a string, not a docstring, that has the kind's name as a word."""
    skipped = {id(node) for node in list_docstrings(module.tree)}
    word = re.compile(rf"\b{re.escape(kind)}\b")
    return {
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in skipped
        and word.search(node.value)
    }


def count_places(modules: list[Module], kind: str) -> tuple[int, int]:
    """Files and lines that name a kind."""
    lines = [len(lines_naming(module, kind)) for module in modules]
    return sum(count > 0 for count in lines), sum(lines)


def function_lengths(modules: list[Module]) -> dict[str, int]:
    """Lines of every function, by file and name."""
    return {
        f"{module.path.name}:{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def begins_with_fragment(text: str) -> bool:
    """Whether the first word is one of `FRAGMENTS`."""
    return text.strip().split(" ", 1)[0].rstrip(":,") in FRAGMENTS


def split_sentences(text: str) -> list[str]:
    """Sentences of a docstring, and what follows the name of each argument or attribute."""
    return re.split(r"(?<=[.:;])\s+|\n\s*\n", text)


def import_ms(checkout: Path) -> float:
    """Milliseconds of `import tdmr_ray` in a fresh process; the fastest of several."""
    code = "from time import perf_counter as now; start = now(); import tdmr_ray; print(1000 * (now() - start))"
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", code]
    runs = [
        subprocess.run(command, env=environment, cwd=checkout, capture_output=True, check=True, text=True)
        for _ in range(IMPORTS)
    ]
    return min(float(run.stdout) for run in runs)


def measure(checkout: Path) -> Counts:
    """All counts of a checkout."""
    modules = read_modules(checkout / "tdmr_ray")
    lengths = function_lengths(modules)
    docstrings = [str(node.value) for module in modules for node in list_docstrings(module.tree)]
    counts: Counts = {
        "files": len(modules),
        "median_lines": median(len(module.text.splitlines()) for module in modules),
        "longest_file": max(len(module.text.splitlines()) for module in modules),
        "longest_function": max(lengths.values()),
        "functions_over_60_lines": sum(length > LONG_FUNCTION for length in lengths.values()),
        "dict_str_any": sum(module.text.count("dict[str, Any]") for module in modules),
        "readme_lines": len((checkout / "README.md").read_text(encoding="utf-8").splitlines()),
        "docstrings": len(docstrings),
        "docstrings_beginning_with_a_fragment": sum(map(begins_with_fragment, docstrings)),
        "sentences_beginning_with_a_fragment": sum(
            begins_with_fragment(sentence) for text in docstrings for sentence in split_sentences(text)
        ),
        "import_ms": import_ms(checkout),
    }
    for concept, kind in KINDS.items():
        counts[f"files_naming_a_{concept}"], counts[f"lines_naming_a_{concept}"] = count_places(modules, kind)
    return counts


def render(before: Counts, after: Counts, revisions: tuple[str, str]) -> list[str]:
    """A table in Markdown."""
    titles = {f"files_naming_a_{concept}": f"files that name `{kind}`" for concept, kind in KINDS.items()}
    titles |= {f"lines_naming_a_{concept}": f"lines that name `{kind}`" for concept, kind in KINDS.items()}
    lines = [f"| | before ({revisions[0]}) | after ({revisions[1]}) |", "|---|--:|--:|"]
    for name in before:
        title = titles.get(name, name.replace("_", " "))
        lines.append(f"| {title} | {before[name]:.4g} | {after[name]:.4g} |")
    return lines


def main(
    revision: Annotated[str, typer.Argument(metavar="REV", help="the revision before, such as abe044e")],
) -> None:
    """Count in both; print and keep."""
    before = name_revision(revision)
    with open_worktree(before) as checkout:
        earlier = measure(checkout)
    now, after = measure(ROOT), name_this_checkout()
    figures = {f"{name}_before": value for name, value in earlier.items()}
    figures |= {f"{name}_after": value for name, value in now.items()}
    notes = {"revisions": {"before": before, "after": after}, "kinds": KINDS, "fragments": list(FRAGMENTS)}
    show_and_keep(NAME, render(earlier, now, (before, after)), figures, notes)


if __name__ == "__main__":
    typer.run(main)
