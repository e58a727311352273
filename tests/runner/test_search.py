"""A small search end to end by its command line, and every file that it leaves."""

import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import torch
import yaml
from helpers.metrics import without_times
from helpers.searching import SPACE, records_without_times, run, write_space
from helpers.waiting import wait_until
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tdmr_ray.data.loading import load_task
from tdmr_ray.deploy.small_model import load_model
from tdmr_ray.ledger import Ledger
from tdmr_ray.records import Phase, TrialRecord, complete
from tdmr_ray.report.folder import read_search
from tdmr_ray.runner.confirmation import PHASES
from tdmr_ray.runner.tensorboard import trial_folder
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.training.model_folder import weights_digest
from tdmr_ray.training.reliability import read_reliability
from tdmr_ray.training.workers import Metrics

pytestmark = pytest.mark.slow

SMALLER_PX = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store and a space file in which one target has smaller images."""
    directory = tmp_path_factory.mktemp("search")
    targets = [{"name": "lcnet_035", "input_px": SMALLER_PX}, "mobilenetv3_small_050"]
    write_space(directory, pairs={**SPACE["pairs"], "targets": targets})
    return directory


@pytest.fixture(scope="module")
def output(folder: Path) -> str:
    """The output of the search; its files are in `directory`/out."""
    return run("search", "--space", folder / "space.yaml", "--out", folder / "out", "--store", folder / "store")


@pytest.fixture(scope="module")
def out(folder: Path, output: str) -> Path:
    return folder / "out"


@pytest.fixture(scope="module")
def records(out: Path) -> list[TrialRecord]:
    return Ledger(out / "records.jsonl").read()


def test_the_first_line_announces_the_search_and_the_last_ones_name_the_files(output: str, out: Path) -> None:
    first = output.splitlines()[0]
    assert "2 pairs, 6 trials of up to 3 epochs" in first
    assert re.search(r"about \d+:\d\d:\d\d \(\d+:\d\d:\d\d of it for teachers\)$", first)
    (board,) = json.loads((out / "leaderboard.json").read_text())["tables"]
    assert board["sentence"] in output
    assert "leaderboard.html" in output
    assert "tensorboard --logdir" in output


def test_every_promised_file_is_there(out: Path) -> None:
    promised = {"records.jsonl", "tensorboard", "best", "study.sqlite3", "space.yaml", "environment.json"}
    promised |= {f"leaderboard.{ending}" for ending in ("md", "csv", "json", "html")}
    assert promised <= {path.name for path in out.iterdir()}
    assert json.loads((out / "environment.json").read_text())["versions"]["tdmr_ray"]
    assert yaml.safe_load((out / "space.yaml").read_text())["name"] == "small"


def test_planned_trials_run_once_and_the_finalists_are_confirmed(records: list[TrialRecord]) -> None:
    searched = [record for record in records if record.phase == "search"]
    assert len(searched) == 6
    assert {record.state for record in searched} <= {"complete", "pruned"}
    roles = {phase: Counter(record.role for record in records if record.phase == phase) for phase in PHASES}
    # as many tries at the rates of scratch and plain distillation as a pair had trials, if it had more than one
    tries = Counter(record.pair.name for record in searched).values()
    assert roles["tune"] == dict.fromkeys(("scratch", "plain_kd"), sum(count for count in tries if count > 1))
    # two seeds: two finalists, two targets from scratch, one shared probe, two plain distillations
    assert roles["confirm"] == roles["refit"] == {"tdmr": 4, "scratch": 4, "linear_probe": 2, "plain_kd": 4}
    assert not roles["cv"]


def test_only_confirmation_and_refit_read_test(records: list[TrialRecord]) -> None:
    for record in records:
        has_test = any(name.startswith("test/") for name in record.metrics)
        assert has_test == (record.phase in ("confirm", "refit"))
        assert any(name.startswith("val/") for name in record.metrics) == (record.phase != "refit")
        assert "test" not in json.dumps(record.config)


def test_finalists_and_rivals_take_the_same_number_of_steps_at_most(records: list[TrialRecord]) -> None:
    taken = {(record.role, record.steps) for record in complete_in(records, "confirm")}
    assert {role for role, steps in taken if steps} == {"tdmr", "scratch", "plain_kd"}
    assert all(steps <= 32 for _, steps in taken), "24, and what is left of an epoch of 8"


def complete_in(records: list[TrialRecord], phase: Phase) -> list[TrialRecord]:
    return [record for record in records if record.phase == phase and record.state == "complete"]


def test_a_teacher_is_made_once(records: list[TrialRecord], folder: Path) -> None:
    made = [record.teacher for record in records if record.teacher and not record.teacher_reused]
    assert len(made) == len(set(made))
    assert {path.name for path in (folder / "store").iterdir() if path.is_dir()} >= set(made)


def test_a_trial_replays_from_its_record_without_ray_bit_for_bit(records: list[TrialRecord]) -> None:
    for record in [complete(records, phase=phase)[0] for phase in ("search", "confirm", "refit")]:
        torch.set_num_threads(record.threads)
        config = TrialConfig.model_validate(record.config)
        rows: list[Metrics] = []
        outcome = fit(config, load_task(config.data), rows.append, read_test=record.phase != "search")
        assert [row["val/top1"] for row in rows if "val/top1" in row] == record.curve
        assert without_times(outcome.metrics) == without_times(record.metrics)


def test_the_command_line_replays_a_trial(records: list[TrialRecord], out: Path, tmp_path: Path) -> None:
    record = complete(records, phase="confirm")[0]
    name = f"{out / 'records.jsonl'}:{record.id}"
    run("train", "--record", name, "--workers", 0, "--out", tmp_path / "alone")
    alone = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    assert alone["test/top1"] == record.metrics["test/top1"]


def test_two_workers_see_the_batches_of_one(records: list[TrialRecord], out: Path, tmp_path: Path) -> None:
    """With hardly any learning, the mean loss of an epoch is the loss of its samples in any number of workers.

    Batch norm sees half of a batch in each worker, and so does CKA, which is left out here.
    """
    record = next(record for record in complete(records, phase="confirm") if record.role == "tdmr")
    name = f"{out / 'records.jsonl'}:{record.id}"
    still = {"distill.lr": 1e-6, "distill.alignment_weight": 0, "distill.epochs": 1, "distill.num_stages": 1}
    pins = [part for key, value in still.items() for part in ("--set", f"{key}={value}")]
    metrics = []
    for workers in (0, 2):
        directory = tmp_path / str(workers)
        run("train", "--record", name, "--workers", workers, "--out", directory, "--store", tmp_path / "store", *pins)
        metrics.append(json.loads((directory / "metrics.json").read_text()))
        assert (directory / "target.safetensors").exists()
    assert metrics[1]["train/loss"] == pytest.approx(metrics[0]["train/loss"], rel=0.1)
    assert metrics[1]["val/teacher_top1"] == metrics[0]["val/teacher_top1"]


def event_files(out: Path, pattern: str) -> list[EventAccumulator]:
    found = []
    for directory in sorted((out / "tensorboard").glob(pattern)):
        events = EventAccumulator(str(directory), size_guidance={"images": 0, "scalars": 0})
        events.Reload()
        found.append(events)
    return found


def test_tensorboard_files_hold_both_steps_pictures_and_hparams(out: Path, records: list[TrialRecord]) -> None:
    searched = event_files(out, "*/search-tdmr-*")
    assert len(searched) == 6
    scalars = {tag for events in searched for tag in events.Tags()["scalars"]}
    assert {f"train/{name}" for name in ("loss", "alignment", "logits", "labels", "top1")} <= scalars
    assert {"temperature", "lr", "val/top1", "val/teacher_top1", "images_per_s"} <= scalars
    assert {"reprogram/loss", "reprogram/val_top1", "reprogram/lr"} <= scalars
    pictures = {tag for events in searched for tag in events.Tags()["images"]}
    assert {"prompt", "label mapping (row: source class)"} <= pictures
    confirmed = event_files(out, "*/confirm-*")
    assert len(confirmed) == len([record for record in records if record.phase == "confirm"])
    assert all("confusion (row: true class)" in events.Tags()["images"] for events in confirmed)


def test_tensorboard_agrees_with_the_records(out: Path, records: list[TrialRecord]) -> None:
    for record in records:
        key = TrialConfig.model_validate(record.config).key()[:8]
        (events,) = event_files(out, f"{record.pair.name}/{record.phase}-{record.role}-{key}-*")
        scalars = events.Scalars("val/top1") if record.curve else ()
        written = [event.value for event in scalars][: len(record.curve)]
        assert written == pytest.approx(record.curve)


def test_hparams_hold_every_searched_and_pinned_value(out: Path) -> None:
    from tensorboard.plugins.hparams import metadata

    (events, *_) = event_files(out, "*/search-tdmr-*")
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    assert {*SPACE["search"], *SPACE["fixed"], "loss.kind", "data.shots", "role", "state"} <= set(start.hparams)


def test_a_tensorboard_server_shows_the_event_files(out: Path) -> None:
    arguments = ["--logdir", str(out / "tensorboard"), "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        address = next(m.group() for line in server.stderr if (m := re.search(r"http://127.0.0.1:\d+/", line)))
        wait_until(lambda: len(json.load(urlopen(f"{address}data/runs"))) >= 6, "six runs are shown", server)
        runs: list[str] = json.load(urlopen(f"{address}data/runs"))
        name = next(name for name in runs if "/search-tdmr-" in name)
        tags = json.load(urlopen(f"{address}data/plugin/scalars/tags"))
        assert {"val/top1", "temperature"} <= tags[name].keys()
        assert json.load(urlopen(f"{address}data/plugin/images/tags"))
    finally:
        server.terminate()
        server.communicate()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_optuna_dashboard_serves_the_studies(out: Path, records: list[TrialRecord]) -> None:
    with sqlite3.connect(out / "study.sqlite3") as database:
        names = {name for (name,) in database.execute("select study_name from studies")}
    assert names == {"glyph_cnn-lcnet_035", "glyph_cnn-mobilenetv3_small_050"}
    port = free_port()
    artifact = Path(sys.executable).with_name("optuna-dashboard")
    server = subprocess.Popen(
        [artifact, "--quiet", "--host", "127.0.0.1", "--port", str(port), f"sqlite:///{out / 'study.sqlite3'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/api/studies"
        wait_until(lambda: answers(address), "the server answers", server)
        studies = json.load(urlopen(address))["study_summaries"]
        assert {study["study_name"] for study in studies} == names
        shown = [
            trial
            for study in studies
            for trial in json.load(urlopen(f"{address}/{study['study_id']}?after=0"))["trials"]
            if not any(attribute["key"] == "repeated" for attribute in trial["user_attrs"])
        ]
    finally:
        server.terminate()
        server.wait()
    searched = {record.id: record for record in records if record.phase == "search"}
    assert len(shown) == len(searched)
    states = {"Complete": "complete", "Pruned": "pruned", "Fail": "failed"}
    for trial in shown:
        attributes = {each["key"]: each["value"].strip('"') for each in trial["user_attrs"]}
        record = searched[attributes["id"]]
        assert states[trial["state"]] == record.state
        assert [each["value"] for each in trial["intermediate_values"]] == pytest.approx(record.curve)


def answers(address: str) -> bool:
    """Whether a server has started."""
    with contextlib.suppress(OSError):
        urlopen(address).close()
        return True
    return False


def test_the_leaderboard_agrees_with_the_records(out: Path, records: list[TrialRecord]) -> None:
    (board,) = json.loads((out / "leaderboard.json").read_text())["tables"]
    for row in board["rows"]:
        own = [
            record.metrics["test/top1"]
            for record in complete(records, phase="confirm")
            if (record.pair.foundation, record.pair.target) == (row["foundation"], row["target"])
        ]
        assert row["test"]["mean"] == pytest.approx(float(np.mean(own)))
        assert row["test"]["n"] == row["refit"]["n"] == 2
        assert row["steps"] > 0
        assert {f"{split}/{name}" for split in ("val", "test", "refit") for name in METRICS} <= row["metrics"].keys()
        assert row["controls"].keys() == {"scratch", "linear_probe", "plain_kd"}
        assert {"params", "macs", "latency_ms"} <= row["cost"].keys()


def test_tensorboard_and_the_report_agree_on_test_figures_read_once_after_the_search(
    out: Path, records: list[TrialRecord]
) -> None:
    (board,) = json.loads((out / "leaderboard.json").read_text())["tables"]
    readings = board["test_readings"]
    assert len(readings) == len({(each["role"], each["pair"], each["seed"], each["phase"]) for each in readings}) > 0
    assert min(each["read"] for each in readings) >= max(each.ended for each in records if each.phase == "search")
    by_id = {record.id: record for record in records}
    for each in readings:
        directory = trial_folder(by_id[each["id"]], TrialConfig.model_validate(by_id[each["id"]].config))
        (events,) = event_files(out, directory)
        values = [event.value for event in events.Scalars("test/top1")]
        assert values == pytest.approx([each["top1"]] * len(values))


def test_the_page_shows_the_visualizations_of_finalists(out: Path, records: list[TrialRecord]) -> None:
    shown = read_search(out).visualizations
    finalists = [record.id for record in complete(records, phase="confirm")]
    assert set(finalists) <= shown.keys()
    assert shown[finalists[0]]["class_names"] == [str(digit) for digit in range(10)]
    page = (out / "leaderboard.html").read_text()
    assert "Confusion matrix: glyph_cnn -&gt; lcnet_035" in page
    assert "temperature.schedule" in page
    assert "Reliability: glyph_cnn -&gt; lcnet_035" in page


def test_the_leaderboard_can_be_made_again(out: Path, tmp_path: Path) -> None:
    run("leaderboard", out, "--out", tmp_path)
    again = json.loads((tmp_path / "leaderboard.json").read_text())
    assert again == json.loads((out / "leaderboard.json").read_text())


def test_the_recommended_model_is_shipped_whichever_method_made_it(out: Path, records: list[TrialRecord]) -> None:
    (board,) = json.loads((out / "leaderboard.json").read_text())["tables"]
    config = json.loads((out / "best/config.json").read_text())
    shipped = next(record for record in records if record.id == config["record"])
    assert (shipped.recipe, shipped.role) == (board["recommended"]["recipe"], board["recommended"]["method"])
    assert shipped.phase == "refit"
    assert (out / "best/target.safetensors").exists()
    for card in (out / "best/README.md", *out.glob("best/*/README.md")):
        front = yaml.safe_load(card.read_text(encoding="utf-8").split("---\n")[1])
        assert front["model-index"][0]["results"][0]["metrics"][0]["type"] == "accuracy"
        assert str(weights_digest(card.parent)) in card.read_text(encoding="utf-8")
    assert {path.name for path in (out / "best").iterdir() if path.is_dir()} == {
        "glyph_cnn-lcnet_035",
        "glyph_cnn-mobilenetv3_small_050",
    }


def test_the_winner_is_shipped_and_predicts_as_measured(out: Path, tmp_path: Path) -> None:
    directory = out / "best" / "glyph_cnn-lcnet_035"
    shipped = load_model(directory)
    assert shipped.image_px == SMALLER_PX
    task = load_task(shipped.config.data)
    assert len(task.val) == 0, "the labels of val joined train"
    right = shipped.probabilities(task.test.images.float() / 255).argmax(dim=1) == task.test.labels
    assert right.float().mean().item() == pytest.approx(shipped.metrics["test/top1"])
    assert load_file(directory / "target.safetensors").keys() == shipped.target.state_dict().keys()
    picture = tmp_path / "digit.png"
    Image.fromarray(task.test.images[0].permute(1, 2, 0).numpy()).save(picture)
    file, label, probability = run("predict", directory, picture).strip().split("\t")
    assert (file, label in task.class_names) == (str(picture), True)
    assert 0 < float(probability) <= 1


def test_the_winner_can_be_exported_and_is_measured_again(out: Path) -> None:
    pytest.importorskip("onnxruntime")
    directory = out / "best" / "glyph_cnn-lcnet_035"
    output = run("export", directory)
    assert (directory / "target.onnx").stat().st_size > 100_000
    match = re.search(r"test/top1 ([\d.]+) % \(network ([\d.]+)\)", output)
    assert match, "the labels of val joined train"
    assert match.group(1) == match.group(2)
    model = load_model(directory)
    assert model.temperature != 1.0
    assert model.thresholds.num_images == sum(each.count for each in read_reliability(out / "best")[0].val.bins) > 0


def test_two_runs_with_one_seed_and_one_trial_at_a_time_give_the_same_records(folder: Path, tmp_path: Path) -> None:
    pins = ["--set", "resources.concurrent=1", "--set", "confirm.seeds=[0]", "--trials", 4, "--seed", 0]
    pins += ["--set", "confirm.controls=[linear_probe]"]
    found = []
    for name in ("one", "two"):
        out = tmp_path / name
        run("search", "--space", folder / "space.yaml", "--out", out, "--store", tmp_path / f"store_{name}", *pins)
        found.append(records_without_times(out / "records.jsonl"))
    assert found[0] == found[1]
