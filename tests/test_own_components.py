"""A user adds a prompt, mapping, loss, alignment, schedule and control, and searches with all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tdmr_ray.ledger import Ledger

FOLDER = Path(__file__).parent / "own_components"
SPACE = {
    "name": "own",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 3, "epochs": 2},
    "confirm": {"top": 1, "seeds": [0], "controls": ["short_scratch"], "steps": 20},
    "search": {
        "prompt.kind": {"choices": ["tint", "border"]},
        "prompt.strength": {"low": 0.05, "high": 0.5},
        "prompt.size_px": {"choices": [0, 2]},
    },
    "fixed": {
        "mapping.kind": "nearest_mean",
        "loss.kind": "absolute",
        "alignment.kind": "norm",
        "temperature.schedule": "halving",
        "outputs.num_views": 2,
        "reprogram.epochs": 1,
    },
}


@pytest.mark.slow
def test_one_class_and_one_entry_make_a_component_searchable(tmp_path: Path) -> None:
    space, out = tmp_path / "space.yaml", tmp_path / "out"
    space.write_text(yaml.safe_dump(SPACE))
    paths = os.pathsep.join([str(FOLDER), str(Path(__file__).parents[1])])
    command = [sys.executable, "-m", "tdmr_ray.search", "--space", str(space), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [*command, "--store", str(tmp_path / "store")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = Ledger(out / "records.jsonl").read()
    searched = [record for record in records if record.phase == "search"]
    assert len(searched) == 3
    assert {record.state for record in searched} <= {"complete", "pruned"}
    assert {record.config["prompt"]["kind"] for record in searched} == {"tint", "border"}
    for record in searched:
        kinds = [record.config[section]["kind"] for section in ("mapping", "loss", "alignment")]
        assert kinds == ["nearest_mean", "absolute", "norm"]
        assert record.config["temperature"]["schedule"] == "halving"
        tinted = record.config["prompt"]["kind"] == "tint"
        assert ("prompt.strength" in record.values, "prompt.size_px" in record.values) == (tinted, not tinted)
    rivals = [record for record in records if record.role == "short_scratch"]
    assert {record.phase for record in rivals} >= {"confirm", "refit"}
    assert {record.state for record in rivals} == {"complete"}
    assert {record.config["distill"]["epochs"] for record in rivals if record.phase == "confirm"} == {1}
