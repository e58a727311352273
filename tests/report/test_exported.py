"""The exported files of the shipped models in the report."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made_search import made_search

from tdmr_ray.deploy.artifact import ARTIFACTS, Artifact, Latency, add_artifact
from tdmr_ray.ledger import Ledger
from tdmr_ray.report.exported import NOTES, exported_table, read_exported
from tdmr_ray.report.folder import compare, read_search
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.training.model_folder import weights_digest

PAIR = "glyph_cnn-lcnet_050"
FULL = Artifact(
    format="onnx",
    precision="int8",
    batch=1,
    file="target-int8.onnx",
    size_bytes=1_234_567,
    verified=True,
    split="val",
    num_images=50,
    metrics={"top1": 0.9},
    torch_top1=0.92,
    agreement=0.98,
    largest_difference=0.1,
    num_test_images=40,
    test_top1=0.875,
    latencies=(Latency(1, 0.5, 0.75), Latency(2, 0.25, 0.5)),
    start_ms=3.0,
    peak_mb=12.34,
)
BARE = Artifact("coreml", "fp32", 1, "target.mlpackage", 2_000_000, verified=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A search's output directory with a full entry, a bare one, one of earlier weights, and a damaged list."""
    layout = RunLayout(tmp_path)
    for record in made_search(4).records:
        Ledger(layout.records).append(record)
    for folder in (layout.best, layout.best / PAIR, layout.best / "damaged"):
        folder.mkdir(parents=True)
        (folder / "target.safetensors").write_bytes(b"weights")
    add_artifact(layout.best, replace(FULL, weights=weights_digest(layout.best)))
    add_artifact(layout.best, BARE)
    add_artifact(layout.best / PAIR, replace(FULL, weights="0" * 64, split="test", num_test_images=0, test_top1=None))
    (layout.best / "damaged" / ARTIFACTS).write_text("[")
    return tmp_path


def test_the_table_has_a_line_for_each_file(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = exported_table(read_exported(RunLayout(run)))
    assert "run tdmr export again" in caplog.text
    assert frame["model"].tolist() == ["best", "best", PAIR]
    assert frame["state"].tolist() == ["verified", "converted, not run", "of earlier weights, export again"]
    assert frame["val %"].tolist() == ["90.0", "-", "-"]
    assert frame["test %"].tolist() == ["87.5", "-", "90.0"]
    assert frame["ms, 1 thread"].tolist() == ["0.50 / 0.75", "-", "0.50 / 0.75"]
    assert frame["ms, 2 threads"].tolist() == ["0.25 / 0.50", "-", "0.25 / 0.50"]
    assert frame["memory MB"].tolist() == ["12.3", "-", "12.3"]


def test_page_and_markdown_show_the_table_only_where_files_were_exported(run: Path, tmp_path: Path) -> None:
    paths = write_reports(compare([read_search(run)]), run)
    for ending in ("md", "html"):
        text = paths[ending].read_text(encoding="utf-8").replace("<bdi>", "").replace("&#39;", "'")
        assert "Exported files" in text and NOTES in text and "target-int8.onnx" in text
    without = write_reports(compare([made_search(4)]), tmp_path)
    assert all("Exported files" not in without[ending].read_text(encoding="utf-8") for ending in ("md", "html"))
