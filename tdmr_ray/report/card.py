"""The model card of a shipped model: `README.md` with the front matter of Hugging Face's hub."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import jinja2
import yaml

from tdmr_ray.report.card_facts import CardFacts
from tdmr_ray.report.exported import NOTES, exported_of, exported_table
from tdmr_ray.report.markdown import escape, markdown_table
from tdmr_ray.run_layout import RunLayout

CARD = "README.md"
LOCAL_FOLDER = re.compile(r"local-dir:\S*/")
"""Start of the name of a foundation in a folder, which is nobody's business."""
START, END = "<!-- exported files -->", "<!-- end of exported files -->"
HUB_LICENSES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "apple-ascl", "apple-amlr", "gemma")
"""Licences that the hub knows by the name that timm gives them."""


def write_card(facts: CardFacts, folder: Path) -> None:
    """Write the card into a model's folder, with the files that are exported there."""
    body = _environment().get_template("card.md").render(**facts.texts(), exported_section=_exported_section(folder))
    front = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True, width=10_000)
    text = f"---\n{front}---\n\n" + re.sub("\n{3,}", "\n\n", body) + "\n"
    (folder / CARD).write_text(LOCAL_FOLDER.sub("local-dir:", text), encoding="utf-8")


def refresh_card(folder: Path) -> None:
    """List the files that were exported since the card was written; does nothing without a card."""
    path = folder / CARD
    if not path.is_file():
        return
    before, start, rest = path.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if start and end:
        path.write_text(before + _exported_section(folder).rstrip("\n") + after, encoding="utf-8")


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """Return the front matter; it has a licence only if the shipped weights began as weights whose licence is known."""
    matter: dict[str, Any] = {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "tdmr_ray", plain(facts.method)],
    }
    if facts.license in HUB_LICENSES:
        matter["license"] = facts.license
    elif facts.license:
        matter |= {"license": "other", "license_name": facts.license}
    matter["metrics"] = ["accuracy"]
    top1 = facts.top1
    if top1 is not None:
        dataset = {"type": _slug(facts.dataset), "name": plain(facts.dataset), "split": "test"}
        metric = {"type": "accuracy", "name": "top1", "value": round(top1, 4)}
        result = {"task": {"type": "image-classification"}, "dataset": dataset, "metrics": [metric]}
        matter["model-index"] = [{"name": plain(facts.title), "results": [result]}]
    return matter


def plain(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(each if unicodedata.category(each) != "Cc" else " " for each in text).split())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "images"


def _exported_section(folder: Path) -> str:
    files = exported_of(folder, RunLayout(folder.parent))
    lines = [START, END]
    if files:
        table = exported_table(files).drop(columns="model")
        lines = [START, "## Exported files", "", *markdown_table(table), "", NOTES, END]
    return "\n".join(lines) + "\n"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tdmr_ray.report"),
        autoescape=False,  # Markdown; every value goes through `md`
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["md"] = escape
    return environment
