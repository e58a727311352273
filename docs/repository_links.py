"""MkDocs hook: publishes the files outside `docs/` that pages link to, and rewrites those links.

A page keeps links that work in the repository (`../benchmarks/results/samplers.md`); the site gets a copy of the file
under its path from the repository root. Pages outside `docs/` that the navigation names are published the same way.
"""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
PAGES_OUTSIDE_DOCS = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside `docs/` that a page links to, and what those link to in turn."""
    root = _root(config)
    waiting = [*Path(config.docs_dir).rglob("*.md"), *(root / name for name in PAGES_OUTSIDE_DOCS)]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        uri = _site_uri(path, config)
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=str(path)))
        linked = set(linked_files(path)) - seen if path.suffix == ".md" else set()
        seen |= linked
        waiting += linked
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the files' places in the site."""
    inside = Path(config.docs_dir) / page.file.src_uri
    source = inside if inside.is_file() else _root(config) / page.file.src_uri
    here = Path(page.file.src_uri).parent

    def rewrite(link: re.Match[str]) -> str:
        target = (source.parent / link["path"]).resolve()
        if not target.is_file():
            return link[0]
        return os.path.relpath(_site_uri(target, config), here) + (link["anchor"] or "")

    return LINK.sub(rewrite, markdown)


def linked_files(page: Path) -> list[Path]:
    """Existing files that a Markdown page links to by a relative path."""
    targets = ((page.parent / link["path"]).resolve() for link in LINK.finditer(page.read_text(encoding="utf-8")))
    return [target for target in targets if target.is_file()]


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent.resolve()


def _site_uri(path: Path, config: MkDocsConfig) -> str:
    docs = Path(config.docs_dir).resolve()
    path = path.resolve()
    return path.relative_to(docs if path.is_relative_to(docs) else _root(config)).as_posix()
