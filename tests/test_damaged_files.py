"""One table of damaged files: each is told in one message, or ignored and made again; none gives a traceback."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from helpers.assignments import short_trial
from helpers.made_records import record
from helpers.made_search import COSTS, made_search
from helpers.metrics import without_times
from helpers.searching import SPACE

import tdmr_ray
from tdmr_ray import cli
from tdmr_ray.api.shipping import _ship
from tdmr_ray.checksums import write_checked
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.deploy.check_images import CHECK_IMAGES, check_images_of
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.models import WEIGHTS_FILE, load_target
from tdmr_ray.models.cost import read_costs
from tdmr_ray.records import TDMR
from tdmr_ray.report.folder import Comparison, Search, read_search, read_summary
from tdmr_ray.report.row import Model
from tdmr_ray.run_layout import MODEL_CONFIG, RunLayout
from tdmr_ray.runner.costs import target_costs
from tdmr_ray.runner.launch import write_inputs
from tdmr_ray.runner.messages import TrialReport, report_in
from tdmr_ray.runner.trainable import TrialActor
from tdmr_ray.space.reading import space_from_dict
from tdmr_ray.store import MANIFEST, Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.studies import export_studies

Damage = Callable[[bytes], bytes]


def flip(content: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


DAMAGES: dict[str, Damage] = {
    "flipped": flip,
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "foreign": lambda content: b'{"a": 1}',
    "random": lambda content: np.random.default_rng(0).bytes(3000),
}


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Damages a file."""

    def change(path: Path) -> None:
        content = path.read_bytes()
        assert request.param(content) != content
        path.write_bytes(request.param(content))

    return change


@dataclass(frozen=True)
class Command:
    """Runs `tdmr` in this process."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> tuple[object, str]:
        """Return the exit code and what was said."""
        self.monkeypatch.setattr(sys, "argv", ["tdmr", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = self.capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return ended.value.code, said.out + said.err


@pytest.fixture
def tdmr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a shipped model."""
    config = TrialConfig().with_values({"method": "scratch", "target.name": "lcnet_035", "data.shots": 2})
    task = load_task(config.data)
    target = load_target("lcnet_035", num_classes=10, image_px=32).eval()
    folder = tmp_path / "best"
    SmallModel(target, task.class_names, 32, task.input_format, config).save(folder)
    check_images_of(task).save(folder)
    return folder


@pytest.fixture
def search(tmp_path: Path) -> RunLayout:
    """The output directory of a finished search."""
    layout = RunLayout(tmp_path / "out")
    layout.root.mkdir()
    for each in made_search(6, seeds=1).records:
        Ledger(layout.records).append(each)
    write_inputs(space_from_dict(SPACE), layout)
    write_checked(layout.targets, COSTS)
    summary = DataSummary(
        source="made",
        classes={"one": {"train": 1, "val": 1, "test": 1}},
        unlabeled=0,
        ignored={},
        near_duplicates=[],
        groups=0,
        smallest_px=None,
        largest_px=None,
        size_px=8,
        resize="crop",
        interpolation="box",
    )
    write_checked(layout.data_summary, summary.model_dump(mode="json"))
    return layout


@pytest.mark.parametrize("name", [WEIGHTS_FILE, MODEL_CONFIG])
def test_damaged_model_is_refused(name: str, damage: Callable[[Path], None], model: Path, tdmr: Command) -> None:
    damage(model / name)
    for command in (["predict", model, "image.png"], ["export", model]):
        code, said = tdmr(*command)
        assert code == 2, said
        assert "copy the folder again" in said


def test_weights_of_another_model_are_refused(model: Path, tmp_path: Path) -> None:
    config = TrialConfig().with_values({"target.name": "lcnet_035"})
    other = load_target("lcnet_035", num_classes=10, image_px=32)
    task = load_task(config.data)
    SmallModel(other, task.class_names, 32, task.input_format, config).save(tmp_path / "other")
    (tmp_path / "other" / WEIGHTS_FILE).replace(model / WEIGHTS_FILE)
    with pytest.raises(InputError, match=r"is not the file that config\.json describes"):
        tdmr_ray.load_model(model)


def test_config_that_was_edited_by_hand_needs_its_checksum_removed(model: Path) -> None:
    tree = json.loads((model / MODEL_CONFIG).read_text())
    tree["class_names"][0] = "nought"
    (model / MODEL_CONFIG).write_text(json.dumps(tree))
    with pytest.raises(InputError, match="its checksum does not match"):
        tdmr_ray.load_model(model)
    del tree["crc32"]
    (model / MODEL_CONFIG).write_text(json.dumps(tree))
    assert tdmr_ray.load_model(model).class_names[0] == "nought"


def test_damaged_check_images_are_refused(damage: Callable[[Path], None], model: Path, tdmr: Command) -> None:
    damage(model / CHECK_IMAGES)
    code, said = tdmr("export", model)
    assert code == 2, said
    assert "copy it again, or remove it" in said


def test_trial_with_a_damaged_checkpoint_starts_again_and_says_so(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    assignment = short_trial(tmp_path, **{"distill.epochs": 2})
    for restarted in (False, True):
        actor = TrialActor.__new__(TrialActor)
        actor.setup(assignment.as_config())
        report = report_in(actor.step())
        assert (report.epoch, report.error) == (1, "")
        assert any("the trial started again: trial.pt" in note.text for note in report.notes) == restarted
        damage(Path(assignment.files.checkpoint("trial").path))


def test_trial_with_a_damaged_checkpoint_goes_on_one_epoch_earlier_and_says_so(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    assignment = short_trial(tmp_path, **{"distill.epochs": 4})
    checkpoint = Path(assignment.files.checkpoint("trial").path)

    def steps(count: int) -> list[TrialReport]:
        actor = TrialActor.__new__(TrialActor)
        actor.setup(assignment.as_config())
        return [report_in(actor.step()) for _ in range(count)]

    before = steps(3)
    damage(checkpoint)
    again, third, last = steps(3)
    assert [each.epoch for each in (again, third, last)] == [2, 3, 4]
    assert without_times(third.metrics) == without_times(before[2].metrics)
    assert any("the trial went on one epoch earlier: trial.pt" in note.text for note in third.notes)
    checkpoint.unlink()
    assert steps(1)[0].epoch == 3
    assignment.files.checkpoint("trial").remove()
    assert not list(checkpoint.parent.iterdir())


@pytest.mark.parametrize("name", ["weights.bin", MANIFEST])
def test_damaged_entry_of_the_store_is_made_again(
    name: str, damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(torch.ones(100).numpy().tobytes())

    store = Store(tmp_path)
    damage(store.add("key", write) / name)
    assert store.find("key") is None
    assert "made again" in caplog.text
    assert store.find("key") is None
    store.add("key", write)
    assert store.find("key") == tmp_path / "key"


def test_damaged_database_of_studies_is_made_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path, study = tmp_path / "study.sqlite3", optuna.create_study(study_name="pair")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    export_studies({"pair": study}, path)
    damage(path)
    export_studies({"pair": study}, path)
    assert optuna.load_study(study_name="pair", storage=f"sqlite:///{path}").best_value == 1.0


@pytest.mark.parametrize("name", ["space.yaml", "environment.json", "data.json"])
def test_damaged_copies_of_facts_are_left_out_and_made_again(
    name: str, damage: Callable[[Path], None], search: RunLayout, tdmr: Command
) -> None:
    whole = (search.root / name).read_bytes()
    damage(search.root / name)
    code, said = tdmr("leaderboard", search.root)
    assert code == 0, said
    assert name == "space.yaml" or f"{name} is damaged" in said
    assert read_summary(search) is None or name != "data.json"
    write_inputs(space_from_dict(SPACE), search)
    assert name == "data.json" or (search.root / name).read_bytes() == whole


def test_damaged_costs_are_told_and_measured_again_by_a_search(
    damage: Callable[[Path], None], search: RunLayout, tdmr: Command, caplog: pytest.LogCaptureFixture
) -> None:
    damage(search.targets)
    code, said = tdmr("leaderboard", search.root)
    assert code == 2, said
    assert "let search --resume measure them again" in said
    space = space_from_dict(SPACE)
    costs = target_costs(space, load_task(space.data), search.targets)
    assert "the targets are measured again" in caplog.text
    assert read_costs(search.targets) == costs
    assert len(costs) == 2


def test_damaged_records_are_told_or_end_at_an_unfinished_line(
    damage: Callable[[Path], None], search: RunLayout, tdmr: Command
) -> None:
    damage(search.records)
    damaged = search.records.read_bytes()
    code, said = tdmr("leaderboard", search.root)
    told = "tdmr repair" in said or "holds no records.jsonl" in said
    assert (code, told) == (2, True) or (code == 0 and not damaged.endswith(b"\n"))
    assert search.records.read_bytes() == damaged
    assert tdmr("repair", search.root)[0] == 0
    assert tdmr("leaderboard", search.root)[0] == (0 if search.records.read_bytes() else 2)
    known = {each.id for each in made_search(6, seeds=1).records}
    assert {each.id for each in read_search(search.root).records} <= known


@pytest.mark.parametrize("option", ["resume", "warm_start"])
def test_search_tells_damaged_records_before_anything_is_started_or_written(
    option: str, search: RunLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", None)
    search.records.write_bytes(flip(search.records.read_bytes()))
    before = {path: path.read_bytes() for path in search.root.iterdir() if path.name[0] != "."}
    given = {"resume": True, "out": search.root} if option == "resume" else {"warm_start": [search.root]}
    with pytest.raises(InputError, match="`tdmr repair"):
        tdmr_ray.run_search(SPACE, **{"out": tmp_path / "new", **given}, store=tmp_path / "store")
    assert {path: path.read_bytes() for path in search.root.iterdir() if path.name[0] != "."} == before
    assert not (tmp_path / "new").exists()


def test_damaged_weights_of_a_finalist_do_not_ship(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout, config = RunLayout(tmp_path / "out"), tdmr_ray.load_model(model).config
    values = {"phase": "confirm", "recipe": "r", "artifacts": "best", "config": config.model_dump(mode="json")}
    finalist = record("one", **values, metrics={"val/top1": 0.5, "val/log_loss": 1.0})
    layout.finalists.mkdir(parents=True)
    model.rename(layout.finalists / "best")
    comparison = Comparison([Search("made", [finalist])])
    (row,) = comparison.board.rows
    for damaged in (False, True):
        if damaged:
            weights = layout.finalists / "best" / WEIGHTS_FILE
            weights.write_bytes(flip(weights.read_bytes()))
        _ship(Model(TDMR, row), comparison, layout, load_task(config.data), tmp_path / f"shipped_{damaged}")
    assert tdmr_ray.load_model(tmp_path / "shipped_False").config == config
    assert not (tmp_path / "shipped_True").exists()
    assert "one does not ship: `tdmr train --record" in caplog.text
