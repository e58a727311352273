"""Leaderboards built from records: rows, recommendation, sentences and files."""

import csv
import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from tdmr_ray.checksums import write_checked
from tdmr_ray.errors import InputError
from tdmr_ray.leaderboard import leaderboard
from tdmr_ray.ledger import Ledger
from tdmr_ray.records import Pair, Phase, State, TrialRecord
from tdmr_ray.report.fetch import fetched
from tdmr_ray.report.folder import Search, compare, read_search
from tdmr_ray.report.formatting import amount, difference, gain_cell, spread
from tdmr_ray.report.leaderboard import Leaderboard, build_leaderboard
from tdmr_ray.report.markdown import render_markdown
from tdmr_ray.report.published import every_reading, published_schema
from tdmr_ray.report.statistics import estimate
from tdmr_ray.report.wording import alarms, cautions, sentence
from tdmr_ray.report.write import write_reports
from tdmr_ray.storage import StoragePath
from tdmr_ray.training.controls import CONTROLS

COSTS = {"t": {"params": 578474, "macs": 896000, "latency_ms": 2.125}}


def record(
    name: str,
    *,
    phase: Phase = "confirm",
    role: str = "tdmr",
    pair: tuple[str, str] = ("f", "t"),
    seed: int = 0,
    val: float = 0.9,
    test: float | None = None,
    state: State = "complete",
    error: str = "",
) -> TrialRecord:
    metrics = {"val/top1": val, "val/log_loss": 1 - val} | ({} if test is None else {"test/top1": test})
    return TrialRecord(
        id=name,
        phase=phase,
        role=role,
        pair=Pair(foundation=pair[0], target=pair[1]),
        config={"seed": seed, "x": 1},
        values={"prompt.size_px": 2, "temperature.start": 1.23456},
        recipe=f"{role} {pair}",
        steps=800,
        state=state,
        metrics=metrics if state != "failed" else {},
        seed=seed,
        seconds=3600.0,
        cpu_hours=1.0,
        error=error,
    )


def complete_search() -> list[TrialRecord]:
    records = [record("s1", phase="search"), record("s2", phase="search", val=0.5, state="pruned")]
    records += [record("s3", phase="search", pair=("g", "t"), val=0.95)]
    records += [record("s4", phase="search", pair=("g", "t"), state="failed", error="NaN <b>here</b>")]
    for seed, (tdmr, scratch) in enumerate([(0.93, 0.90), (0.95, 0.91), (0.94, 0.89)]):
        records.append(record(f"c{seed}", seed=seed, val=0.92, test=tdmr))
        records.append(record(f"d{seed}", seed=seed, pair=("g", "t"), val=0.91, test=0.99))
        records.append(record(f"x{seed}", role="scratch", pair=("", "t"), seed=seed, test=scratch))
        records.append(record(f"l{seed}", role="linear_probe", pair=("f", ""), seed=seed, test=0.97))
    return records


@pytest.fixture
def board() -> Leaderboard:
    return build_leaderboard(complete_search(), COSTS)


def test_random_foundation_weights_raise_an_alarm() -> None:
    known, random = record("a"), record("b", pair=("f@random", "t"))
    random = random.model_copy(update={"config": {"foundation": {"weights": "random"}}})
    assert alarms(build_leaderboard([known], COSTS)) == []
    board = build_leaderboard([known, random], COSTS)
    assert alarms(board) == ["Foundations with random weights: f@random. Their results show costs, not accuracy."]
    assert "**Foundations with random weights: f@random." in render_markdown(board)


def test_rows_are_ranked_by_val_not_by_test(board: Leaderboard) -> None:
    assert [row.foundation for row in board.rows] == ["f", "g"]


def test_a_row_holds_means_over_seeds_and_paired_gains(board: Leaderboard) -> None:
    row = board.rows[0]
    assert row.test is not None
    assert row.test.mean == pytest.approx(0.94)
    assert row.test.n == 3
    gain = row.controls["scratch"].gain
    assert gain is not None
    assert gain.mean == pytest.approx(0.04)
    assert row.num_trials == {"complete": 1, "pruned": 1, "failed": 0}
    assert row.cost["params"] == 578474


def test_shared_controls_appear_only_with_their_pairs(board: Leaderboard) -> None:
    first, second = board.rows
    assert first.controls.keys() == {"scratch", "linear_probe"}
    assert second.controls.keys() == {"scratch"}


def test_an_unconfirmed_row_is_marked() -> None:
    board = build_leaderboard([record("s1", phase="search", val=0.9)], {})
    assert not board.rows[0].confirmed
    assert "not confirmed" in sentence(board)
    assert "(1 trial)" in render_markdown(board)


def test_a_search_with_only_failures_has_a_report() -> None:
    board = build_leaderboard([record("s1", phase="search", state="failed", error="why")], {})
    assert "nothing to ship" in sentence(board)
    assert "why" in render_markdown(board)


@pytest.mark.parametrize("role", ["scratch", "fine_tune", "plain_kd", "frozen_target", "self_training"])
def test_a_rival_that_is_better_on_val_is_recommended(role: str) -> None:
    foundation = "f" if CONTROLS[role].has_foundation else ""
    records = [record("c", test=0.96), record("x", role=role, pair=(foundation, "t"), val=0.95, test=0.9)]
    board = build_leaderboard(records, {})
    assert sentence(board) == (
        f"Ship t, trained by {role}{' from f' if foundation else ''}: 90.0 % on test, the best on val, tied with 1 "
        f"other model. TDMR (f -> t) against its best rival on val, {role}: +6.0 points on test (not significant)."
    )
    assert any("no choice depends on test" in caution for caution in cautions(board))


@pytest.mark.parametrize("role", ["linear_probe", "majority"])
def test_a_rival_that_is_no_small_model_is_never_recommended(role: str) -> None:
    pair = ("f", "") if role == "linear_probe" else ("", "")
    finalist, rival = record("c", val=0.9, test=0.9), record("x", role=role, pair=pair, val=0.85, test=0.99)
    board = build_leaderboard([finalist, rival], {})
    assert board.recommended == board.models[0]
    assert [model.method for model in board.models] == ["tdmr"]


@pytest.mark.parametrize(("floor", "ships"), [(0.89, True), (0.9, False), (0.95, False)])
def test_nothing_is_recommended_that_is_not_better_than_the_largest_class(floor: float, ships: bool) -> None:
    records = [record("c", val=0.9, test=0.9), record("m", role="majority", pair=("", ""), val=floor, test=0.9)]
    board = build_leaderboard(records, {})
    assert (board.recommended is not None) is ships
    assert ("always answering the largest class" in sentence(board)) is not ships


def test_a_refit_is_reported_beside_the_figures_before_it() -> None:
    before = [record(f"c{seed}", seed=seed, test=0.90) for seed in range(3)]
    after = [
        record(f"r{seed}", phase="refit", seed=seed, test=0.94).model_copy(
            update={"config": {"data": {"join": "val"}}, "metrics": {"test/top1": 0.94}, "steps": 400}
        )
        for seed in range(3)
    ]
    board = build_leaderboard([*before, *after], {})
    row = board.rows[0]
    assert row.test is not None and row.refit is not None and row.final is row.refit
    assert (row.test.mean, row.refit.mean) == (pytest.approx(0.90), pytest.approx(0.94))
    assert (row.steps, row.refit_steps) == (800, 400)
    assert "94.0 ± 0.0 % on test after the refit (90.0 ± 0.0 % before)" in sentence(board)


def test_intervals_and_gains_cover_the_test_images() -> None:
    def read(name: str, role: str, pair: tuple[str, str], seed: int, wrong: int) -> TrialRecord:
        flags = ["0" * wrong + "1" * (50 - wrong), "1" * 50]
        return record(name, role=role, pair=pair, seed=seed, test=1 - wrong / 100).model_copy(update={"right": flags})

    records = [read(f"c{seed}", "tdmr", ("f", "t"), seed, 10) for seed in range(3)]
    records += [read(f"x{seed}", "scratch", ("", "t"), seed, 20) for seed in range(3)]
    row = build_leaderboard(records, {}).rows[0]
    gain = row.controls["scratch"].gain
    assert row.test is not None and row.test.low is not None and row.test.high is not None
    assert gain is not None and gain.low is not None and gain.high is not None
    assert row.test.low < 0.87 < row.test.mean < 0.93 < row.test.high
    assert gain.low < 0.08 < gain.mean < 0.12 < gain.high


@pytest.mark.parametrize(("teacher", "marked"), [(0.93, True), (0.97, False)])
def test_a_teacher_below_scratch_is_marked(teacher: float, marked: bool) -> None:
    finalist = record("c", test=0.96)
    finalist.metrics["val/teacher_top1"] = teacher
    board = build_leaderboard([finalist, record("x", role="scratch", pair=("", "t"), val=0.95, test=0.95)], {})
    assert ("(below scratch)" in render_markdown(board)) is marked


def test_all_files_hold_the_same_figures(tmp_path: Path) -> None:
    paths = write_reports(compare([Search("test", complete_search(), COSTS)]), tmp_path)
    (data,) = json.loads(paths["json"].read_text())["tables"]
    with paths["csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert data["rows"][0]["test"]["mean"] == pytest.approx(0.94)
    assert float(rows[0]["test.mean"]) == pytest.approx(0.94)
    assert float(rows[0]["controls.scratch.gain.mean"]) == pytest.approx(0.04)
    assert "94.0 ± 1.0" in paths["md"].read_text()
    assert "94.0 ± 1.0" in paths["html"].read_text()
    assert "NaN &lt;b&gt;here&lt;/b&gt;" in paths["html"].read_text()


def test_the_schema_file_is_current_and_validates_the_json_file(tmp_path: Path) -> None:
    schema = json.loads(files("tdmr_ray.report").joinpath("leaderboard.schema.json").read_text())
    assert schema == published_schema(), "python -m tdmr_ray.report.published writes it"
    paths = write_reports(compare([Search("test", complete_search(), COSTS)]), tmp_path)
    jsonschema.validate(json.loads(paths["json"].read_text()), schema)


def test_an_empty_search_has_a_report(tmp_path: Path) -> None:
    paths = write_reports(compare([Search("test", [])]), tmp_path)
    assert all("nothing to ship" in paths[ending].read_text() for ending in ("md", "json", "html"))


def test_searches_on_different_images_get_separate_tables(tmp_path: Path) -> None:
    def on(data: str, title: str) -> Search:
        return Search(title, [each.model_copy(update={"data": data}) for each in complete_search()], COSTS)

    same, other = compare([on("a", "one"), on("b", "two"), on("a", "three")])
    assert (same.title, other.title) == ("one, three", "two")
    paths = write_reports([same, other], tmp_path)
    assert [table["data"] for table in json.loads(paths["json"].read_text())["tables"]] == ["a", "b"]
    with paths["csv"].open() as file:
        assert {row["searches"] for row in csv.DictReader(file)} == {"one, three", "two"}
    assert paths["md"].read_text().count("# Leaderboard: ") == 2


def test_every_test_reading_is_listed_once_with_its_time() -> None:
    timed = [
        each.model_copy(update={"ended": f"2026-11-21T10:{number:02}:00+00:00"})
        for number, each in enumerate(complete_search())
    ]
    (comparison,) = compare([Search("test", timed)])
    readings = every_reading(comparison)
    assert [each.id for each in readings] == [each.id for each in timed if "test/top1" in each.metrics]
    assert len({(each.role, each.pair, each.seed) for each in readings}) == len(readings)
    assert all(each.read.startswith("2026-11-21T10:") for each in readings)


def test_one_seed_has_no_spread() -> None:
    assert spread(estimate([0.954])) == "95.4 %"
    assert spread(estimate([0.231]), "log_loss") == "0.231 nats"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (12, "12"), (578474, "578 k"), (1_380_000, "1.38 M"), (5.6e10, "56 G")]
)
def test_amount_abbreviates_large_numbers(value: float | None, text: str) -> None:
    assert amount(value) == text


def test_a_difference_shows_its_interval() -> None:
    assert gain_cell(estimate([0.03, 0.04, 0.05])) == "+4.0 [+1.5, +6.5]"
    assert difference(estimate([0.03, 0.04, 0.05])) == "+4.0 points [+1.5, +6.5]"
    assert gain_cell(None) == "-"


def confirmed(target: str, val: list[float], *, test: float = 0.9) -> list[TrialRecord]:
    return [
        record(f"{target}{seed}", pair=("f", target), seed=seed, val=value, test=test) for seed, value in enumerate(val)
    ]


SPEED = {"slow": {"latency_ms": 3.0}, "fast": {"latency_ms": 1.0}, "weak": {"latency_ms": 0.5}}


def test_the_fastest_row_tied_with_the_best_is_recommended() -> None:
    records = [*confirmed("slow", [0.95, 0.96, 0.94]), *confirmed("fast", [0.955, 0.94, 0.945])]
    board = build_leaderboard([*records, *confirmed("weak", [0.65, 0.66, 0.64])], SPEED)
    assert [(row.target, row.tied) for row in board.rows] == [("slow", True), ("fast", True), ("weak", False)]
    assert board.recommended is not None
    assert board.recommended.figures is board.rows[1]
    assert sentence(board) == (
        "Ship fast, trained by TDMR from f: 90.0 ± 0.0 % on test, the fastest of the models tied with the best on val, "
        "1.00 ms per image."
    )


def test_a_tied_row_that_is_far_behind_is_not_recommended() -> None:
    records = [*confirmed("slow", [0.95, 0.97, 0.93]), *confirmed("fast", [0.99, 0.80, 0.91])]
    board = build_leaderboard(records, SPEED)
    assert all(row.tied for row in board.rows)
    assert board.recommended is not None
    assert board.recommended.figures is board.rows[0]
    assert "tied with 1 other model" in sentence(board)
    assert any("no pair is significantly better" in caution for caution in cautions(board))


def test_a_lead_of_single_val_images_beats_nobody() -> None:
    def counted(target: str, right: tuple[int, ...], num_val: int) -> list[TrialRecord]:
        found = confirmed(target, [count / 540 for count in right])
        return [each.model_copy(update={"label_counts": {"val": [num_val // 2] * 2}}) for each in found]

    ours, theirs = (513, 510, 516), (512, 509, 514)
    for num_val, tied in ((540, True), (540_000, False)):
        board = build_leaderboard([*counted("a", ours, num_val), *counted("b", theirs, num_val)], {})
        assert [row.tied for row in board.rows] == [True, tied], num_val


@pytest.mark.parametrize(
    ("classes", "val", "objective", "says"),
    [
        # 5 images a class: a val of 2 images, all of them right
        ([1, 1], 1.0, "top1", "yet: 2 val images cannot tell the best model (100.0 %) from .* 18 more labelled"),
        ([3, 3], 1.0, "top1", ""),
        ([1] * 300, 0.002, "top1", "no model is better on val than always answering the largest class"),
        ([38, 2], 0.067, "top1", "no model is better on val"),
        ([38, 2], 0.96, "top1", "cannot tell the best model (96.0 %) from always answering the largest class (95.0 %)"),
        ([38, 2], 1.0, "top1", "yet"),
        ([38, 1], 0.97, "balanced_accuracy", "(50.0 %)"),
        ([38, 12], 0.97, "balanced_accuracy", ""),
        ([20, 20], 0.7, "auroc", ""),
        ([20, 20], 0.5, "auroc", "no model is better on val"),
        ([20, 20], 0.5, "log_loss", ""),
        ([20, 20], 0.7, "log_loss", "no model is better on val"),
    ],
)
def test_nothing_is_recommended_at_chance(classes: list[int], val: float, objective: str, says: str) -> None:
    counts = {"train": [4 * count for count in classes], "val": classes, "test": classes}
    figures = {f"{split}/{name}": val for split in ("val", "test") for name in (objective, "log_loss")}
    found = [
        each.model_copy(
            update={"label_counts": counts, "metrics": figures, "config": {**each.config, "objective": objective}}
        )
        for each in confirmed("t", [val] * 3)
    ]
    board = build_leaderboard(found, {})
    assert (board.recommended is None) == bool(says)
    if says:
        assert re.search(says.replace("(", r"\(").replace(")", r"\)"), sentence(board))


def test_trials_outside_the_space_do_not_count() -> None:
    inside, outside = confirmed("a", [0.8] * 3), confirmed("b", [0.9] * 3)
    board = build_leaderboard([*inside, *(each.model_copy(update={"outside": True}) for each in outside)], {})
    assert [row.target for row in board.rows] == ["a"]


def test_few_seeds_are_a_caution() -> None:
    assert any("only 3 seeds" in caution for caution in cautions(build_leaderboard(confirmed("slow", [0.9] * 3), {})))
    assert cautions(build_leaderboard(confirmed("slow", [0.9] * 5), {})) == []


def test_significant_gains_have_an_asterisk() -> None:
    def searched(gains: list[float]) -> Leaderboard:
        records = [record(f"c{seed}", seed=seed, test=0.9 + gain) for seed, gain in enumerate(gains)]
        records += [record(f"x{seed}", role="scratch", pair=("", "t"), seed=seed, test=0.9) for seed in range(4)]
        records += [record(f"l{seed}", role="linear_probe", pair=("f", ""), seed=seed, test=0.9) for seed in range(4)]
        return build_leaderboard(records, {})

    clear, chance = searched([0.030, 0.031, 0.029, 0.030]), searched([0.03, -0.02, 0.04, 0.01])
    assert "]*" in render_markdown(clear)
    assert "]*" not in render_markdown(chance)


def test_remote_results_are_fetched_without_weights(bucket: str, tmp_path: Path) -> None:
    remote = tmp_path / "far"
    (remote / "finalists" / "c0").mkdir(parents=True)
    (remote / "finalists" / "c0" / "target.safetensors").write_bytes(bytes(100))
    write_checked(remote / "finalists" / "c0" / "visualizations.json", {"class_names": []})
    (remote / "space.yaml").write_text("name: far away\n")
    kept = [each.model_copy(update={"artifacts": each.id if each.id == "c0" else ""}) for each in complete_search()]
    for each in kept:
        Ledger(remote / "records.jsonl").append(each)
    for path in remote.rglob("*.*"):
        (StoragePath(bucket) / "team" / "first" / str(path.relative_to(remote))).send(path)
    for location in (f"file://{remote}", f"{bucket}/team/first"):
        with fetched(location) as folder:
            search = read_search(folder)
            assert not list(folder.rglob("*.safetensors"))
        assert (search.title, list(search.records)) == ("far away", kept)
        assert search.visualizations == {"c0": {"class_names": []}}
    with fetched(str(remote)) as folder:
        assert folder == remote


@pytest.mark.parametrize(
    "location", ["{}/nothing", "file://{}/nothing", "nosuch://bucket/prefix", "s3://no-such-bucket/prefix"]
)
def test_a_location_without_results_is_one_error_message(location: str, s3: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no records.jsonl|cannot be read"):
        leaderboard([location.format(tmp_path)], tmp_path)
