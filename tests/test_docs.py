"""README and documentation: links resolve, commands exist, sentences are short, and the reference is complete."""

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import tdmr_ray
from tdmr_ray.space.parameter import Choices, Range
from tdmr_ray.space.sections import Budget, Confirm, Objective, Pairs, Resources
from tdmr_ray.training.config import TrialConfig

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PROSE = [README, ROOT / "CONTRIBUTING.md", *PAGES]
GENERATED = {ROOT / "docs" / "space_file_reference.md"}
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
REPOSITORY_PATH = re.compile(r"`(?P<path>(?:tdmr_ray|tests|benchmarks|cluster|search_spaces|docs)/[\w./]+)`")
MAX_WORDS = 30
SECTIONS = (Pairs, Objective, Budget, Confirm, Resources)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_blocks(page: Path, language: str) -> str:
    blocks = FENCE.finditer(page.read_text(encoding="utf-8"))
    return "\n".join(block["code"] for block in blocks if block["language"] == language)


def sentences(page: Path) -> Iterator[str]:
    """Yield the sentences of running text; headings, tables, code and HTML are left out."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    kept = [line for line in text.splitlines() if not re.match(r"\s*(\||#|!\[|!!!|:::|\d+ \|)", line)]
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:- |\d+\. |> ))", "\n".join(kept)):
        flat = re.sub(r"\]\([^)]*\)", "]", " ".join(paragraph.split())).lstrip("->1234567890. :")
        yield from (part for part in re.split(r"(?<=[.!?:])\**\s+(?=[\w*`\[\"])", flat) if part)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [*PROSE, ROOT / "CHANGELOG.md"], ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        assert target.is_file() or target in GENERATED, f"{link[0]} leads nowhere"


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    missing = [
        found["path"]
        for found in REPOSITORY_PATH.finditer(page.read_text(encoding="utf-8"))
        if not (ROOT / found["path"]).exists() and "NAME" not in found["path"]
    ]
    assert not missing


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_commands_exist(page: Path) -> None:
    shell = code_blocks(page, "sh") + "\n".join(re.findall(r"`((?:make|python|\.venv)[^`]*)`", page.read_text("utf-8")))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", shell, re.MULTILINE):
        assert target in targets
    for module in re.findall(r"-m (tdmr_ray[\w.]*)", shell):
        assert find_spec(module), f"there is no module {module}"
    for path in re.findall(r"(?<![\w/])((?:benchmarks|search_spaces|cluster)/[\w./]+)", shell):
        assert (ROOT / path).is_file(), f"there is no file {path}"


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_sentences_are_short(page: Path) -> None:
    long = [text for text in sentences(page) if len(re.findall(r"\S*\w\S*", text)) > MAX_WORDS]
    assert not long


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_no_sentence_begins_with_a_bare_preposition(page: Path) -> None:
    assert not [text for text in sentences(page) if re.match(r"(Of|By|As|From|Whose) ", text)]


def test_every_shipped_space_file_is_described() -> None:
    described = (ROOT / "docs" / "space_file.md").read_text(encoding="utf-8")
    assert not [path.name for path in (ROOT / "search_spaces").glob("*.yaml") if f"`{path.name}`" not in described]


def test_python_blocks_are_valid() -> None:
    for each in (README, *PAGES):
        compile(code_blocks(each, "python"), name_of(each), "exec")


def test_reference_covers_every_parameter(reference: ModuleType) -> None:
    documented = {entry.name for group in reference.trial_groups() for entry in group.entries}
    assert set(TrialConfig().flat()) <= documented


def test_reference_page_lists_every_parameter(reference: ModuleType) -> None:
    page = reference.render_reference()
    assert not [name for name in TrialConfig().flat() if f"| `{name}` |" not in page]


def test_every_parameter_has_a_meaning(reference: ModuleType) -> None:
    entries = [entry for group in reference.trial_groups() for entry in group.entries]
    entries += [entry for model in (Range, Choices, *SECTIONS) for entry in reference.entries_of(model)]
    assert not [entry.name for entry in entries if not entry.doc]


def test_reference_states_ranges_and_defaults(reference: ModuleType) -> None:
    entries = {entry.name: entry for group in reference.trial_groups() for entry in group.entries}
    lr = entries["distill.lr"]
    assert (lr.type, lr.range, lr.default) == ("number", "> 0", f"`{TrialConfig().distill.lr}`")
    assert "`bf16`" in entries["precision"].type


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not [page for page in PAGES if page.relative_to(ROOT / "docs").as_posix() not in navigation]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=name_of)
def test_workflows_run_existing_commands(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^make ([\w-]+)", commands, re.MULTILINE)) <= set(targets)
    assert commands.strip()


def test_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tdmr_ray.__version__


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "quickstart.md"], ids=name_of)
def test_python_examples_use_public_names(page: Path) -> None:
    names = set(re.findall(r"\btdmr_ray\.(\w+)", code_blocks(page, "python")))
    assert {"load_task", "reprogram", "distill", "run_search", "load_model"} <= names
    assert names <= set(tdmr_ray.__all__)
