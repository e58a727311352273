"""The model card: front matter that parses, and values that stay inside their cells."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.made_search import HOSTILE, PLAIN, made_search

from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.deploy.artifact import Artifact, Latency, add_artifact
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.card import CARD, refresh_card, write_card
from tdmr_ray.report.card_facts import CardFacts
from tdmr_ray.report.exported import NOTES
from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.markdown import escape
from tdmr_ray.run_layout import CALIBRATION
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import describe_model
from tdmr_ray.training.reliability import Bin, ModelReliability, Reliability

COUNTS = {"train": 5, "val": 2, "test": 3}


def facts_of(folder: Path, *, names: tuple[str, ...] = PLAIN, settings: Mapping[str, Any] | None = None) -> CardFacts:
    """Facts of the recommended model of a made search."""
    summary = DataSummary(
        source=f"/home/somebody/{names[0]}",
        classes=dict.fromkeys(names, COUNTS),
        unlabeled=7,
        ignored={"unreadable | file": 2},
        near_duplicates=[],
        groups=0,
        smallest_px=None,
        largest_px=None,
        size_px=32,
        resize="crop",
        interpolation="bilinear",
    )
    comparison = Comparison([replace(made_search(4, names=names), data_summary=summary)])
    model = comparison.board.recommended
    assert model is not None
    record = next(each for each in comparison.records if each.recipe == model.figures.recipe)
    config = TrialConfig.model_validate(record.config).with_values(dict(settings or {}))
    record = record.model_copy(update={"config": config.model_dump(mode="json"), "versions": {"torch": "2"}})
    form = InputFormat(32)
    (folder / "target.safetensors").write_bytes(b"weights")
    describe_model(folder, config, class_names=names, image_px=32, input_format=form, metrics={}, temperature=1.25)
    return CardFacts(model, record, comparison, folder)


def parts_of(folder: Path) -> tuple[dict[str, Any], str]:
    """The front matter, and the text after it."""
    empty, front, body = (folder / CARD).read_text(encoding="utf-8").split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(front), body


def rows_of(body: str, title: str) -> list[str]:
    return [line for line in body.split(f"## {title}\n")[1].split("\n## ")[0].splitlines() if line.startswith("|")]


@pytest.mark.parametrize("names", [PLAIN, HOSTILE], ids=["plain names", "hostile names"])
def test_front_matter_parses_and_tables_keep_their_shape(names: tuple[str, ...], tmp_path: Path) -> None:
    facts = facts_of(tmp_path, names=names)
    write_card(facts, tmp_path)
    front, body = parts_of(tmp_path)
    assert (front["library_name"], front["pipeline_tag"]) == ("timm", "image-classification")
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == round(facts.top1 or 0, 4)
    assert "license" not in front
    images = rows_of(body, "Images")
    assert len(images) == 2 + len(names)
    for line in images:
        assert line.replace("\\|", "").count("|") == 5
    for tag in ("<script", "<img", "<b>", "{{"):
        assert tag not in body.replace("\\<", "")
    assert "/home/somebody" not in (tmp_path / CARD).read_text()
    assert "\u202e" not in body


def test_the_card_says_what_a_reader_needs(tmp_path: Path) -> None:
    facts = facts_of(tmp_path)
    write_card(facts, tmp_path)
    _, body = parts_of(tmp_path)
    assert "| cat | 5 | 2 | 3 |" in body
    assert "left out: 2 unreadable \\| file" in body
    assert "Against scratch, its best rival on val: " in body
    assert "temperature 1.25, fitted to val" in body
    assert f"| SHA-256 of the weights | {hashlib.sha256(b'weights').hexdigest()} |" in body
    for title in ("Per class", "Against its rivals", "Limits", "Licences", "Provenance"):
        assert f"\n## {title}\n" in body
    objective = rows_of(body, "Figures")[2]
    assert objective.startswith("| top1 (objective) |") and "%" in objective and "\\[" in objective


@pytest.mark.parametrize(
    ("target", "weights", "expected"),
    [
        ("lcnet_050", "", {}),
        ("lcnet_050", "pretrained", {"license": "apache-2.0"}),
        ("mobileone_s0", "pretrained", {"license": "other", "license_name": "mobileone-license"}),
    ],
)
def test_a_licence_is_stated_only_where_the_weights_began_with_one(
    target: str, weights: str, expected: dict[str, str], tmp_path: Path
) -> None:
    write_card(facts_of(tmp_path, settings={"target.name": target, "target.weights": weights}), tmp_path)
    front, body = parts_of(tmp_path)
    assert {name: value for name, value in front.items() if name.startswith("license")} == expected
    stated = expected.get("license_name", expected.get("license", "random initial weights"))
    assert rows_of(body, "Licences")[-1] == f"| target {escape(target)} | {stated} |"


def test_an_export_is_listed_in_the_card_afterwards(tmp_path: Path) -> None:
    write_card(facts_of(tmp_path), tmp_path)
    before = (tmp_path / CARD).read_text()
    refresh_card(tmp_path)
    assert (tmp_path / CARD).read_text() == before
    add_artifact(tmp_path, Artifact("onnx", "fp32", 1, "a|b.onnx", 2000, True, latencies=(Latency(1, 0.5, 0.75),)))
    refresh_card(tmp_path)
    refresh_card(tmp_path)
    _, body = parts_of(tmp_path)
    assert body.count("## Exported files") == 1
    assert "| a\\|b.onnx | onnx | fp32 | verified | 0.00 | - | - | - | 0.50 / 0.75 | - | - |" in body
    assert body.index(NOTES) < body.index("## Limits")
    refresh_card(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a\\|b"),
        ("[x](http://y)", "\\[x\\](http\\://y)"),
        ("1. one\n# two", "1\\. one \\# two"),
        ("- dash", "\\- dash"),
        ("``` <b>", "\\`\\`\\` \\<b\\>"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_record_without_figures_on_test_has_a_card(tmp_path: Path) -> None:
    facts = facts_of(tmp_path)
    record: TrialRecord = facts.record.model_copy(update={"metrics": {}, "phase": "refit"})
    write_card(replace(facts, record=record), tmp_path)
    assert "trained again with the labels of val as well" in parts_of(tmp_path)[1]
    assert json.loads((tmp_path / "config.json").read_text())["temperature"] == 1.25


def test_a_built_in_set_has_the_numbers_of_the_trial(tmp_path: Path) -> None:
    facts = facts_of(tmp_path)
    search = replace(facts.comparison.searches[0], data_summary=None)
    counts = {"train": list(range(1, 7)), "test": [9] * 6}
    record = facts.record.model_copy(update={"label_counts": counts})
    write_card(replace(facts, record=record, comparison=Comparison([search])), tmp_path)
    assert "| dog | 2 | - | 9 |" in parts_of(tmp_path)[1]


def test_the_card_states_the_calibration_error_where_it_was_measured(tmp_path: Path) -> None:
    facts = facts_of(tmp_path)
    found = Reliability(bins=(Bin(count=40, confidence=0.9, accuracy=0.875),))
    kept = ModelReliability(title="t", temperature=1.25, val_before=found, val=found, test=found)
    (tmp_path / CALIBRATION).write_text(kept.model_dump_json())
    write_card(facts, tmp_path)
    assert "calibration error with it is 2.5 points on 40 images of test" in parts_of(tmp_path)[1]
