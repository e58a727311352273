"""The hash of source code follows imports, and only imports."""

from pathlib import Path

import pytest

from tdmr_ray.code_digest import ROOT, digest_sources, imported_sources, source_digest

FILES = {
    "__init__.py": "from pack.unrelated import nothing",
    "entry.py": "import os\nfrom pack import first\n\ndef late():\n    from pack.inner import thing",
    "first.py": "from pack.second import VALUE as OTHER",
    "second.py": "VALUE = 1",
    "unrelated.py": "import pack.entry",
    "inner/__init__.py": "from .leaf import thing",
    "inner/leaf.py": "from ..beside import answer\n\ndef thing(): ...",
    "beside.py": "answer = 42",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_through_functions_and_packages(root: Path) -> None:
    found = imported_sources(root, "pack.entry")
    assert sorted(found) == [
        "pack.beside",
        "pack.entry",
        "pack.first",
        "pack.inner",
        "pack.inner.leaf",
        "pack.second",
    ]


@pytest.mark.parametrize(
    ("file", "counts"), [(name, name not in ("unrelated.py", "__init__.py")) for name in FILES], ids=str
)
def test_digest_changes_with_imported_files_only(root: Path, file: str, counts: bool) -> None:
    before = digest_sources(root, "pack.entry")
    assert digest_sources(root, "pack.entry") == before
    with (root / "pack" / file).open("a") as text:
        text.write("\nextra = 0\n")
    assert (digest_sources(root, "pack.entry") != before) is counts


def test_digest_changes_when_a_module_moves(root: Path) -> None:
    before = digest_sources(root, "pack.entry")
    (root / "pack" / "second.py").rename(root / "pack" / "third.py")
    (root / "pack" / "first.py").write_text("from pack.third import VALUE as OTHER")
    assert digest_sources(root, "pack.entry") != before


def test_modules_that_do_not_exist_are_named(root: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"got pack\.nothing"):
        digest_sources(root, "pack.entry", "pack.nothing")


def test_decoded_data_depends_on_every_kind_of_listing() -> None:
    found = imported_sources(ROOT, "tdmr_ray.data.decoded")
    listings = {f"tdmr_ray.data.listing.{path.stem}" for path in (ROOT / "tdmr_ray/data/listing").glob("[!_]*.py")}
    assert listings <= set(found)
    assert not any(name.startswith(("tdmr_ray.training", "tdmr_ray.runner")) for name in found)


def test_order_of_modules_does_not_count() -> None:
    names = "tdmr_ray.data.decoded", "tdmr_ray.data.views"
    assert source_digest(*names) == source_digest(*reversed(names)) != source_digest(names[0])
