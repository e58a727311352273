"""`tdmr predict`: folders, tables, unreadable files."""

import csv
import shutil
import sys
from pathlib import Path

import pytest
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.cli import run_command
from tdmr_ray.deploy.calibration import calibrate
from tdmr_ray.deploy.predicting import BATCH_SIZE, NONE_OF_THESE
from tdmr_ray.predict import predict


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        run_command(predict)
    return int(done.value.code or 0)


@pytest.fixture
def photos(odd_images: Path, tmp_path: Path) -> Path:
    """More images than a batch, some without a suffix, with litter between them."""
    source = sorted((odd_images / "val" / "left").iterdir())
    root = tmp_path / "photos"
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for number in range(BATCH_SIZE + 6):
        shutil.copy(source[number % len(source)], root / "deep" / f"{number:03d}")
    shutil.copy(source[0], root / "deep" / "er" / source[0].name)
    shutil.copy(source[0], root / ".hidden" / source[0].name)
    shutil.copy(source[0], root / f".{source[0].name}")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="session")
def calibrated(small: tdmr_ray.SmallModel, odd_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, saved with temperature and thresholds of val."""
    path = tmp_path_factory.mktemp("saved") / "calibrated"
    calibrate(small, load(odd_images).val).apply(small).save(path)
    return path


def test_folder_and_files_give_a_line_each(
    folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    single = photos / "deep" / "000"
    assert run(monkeypatch, folder, photos, single) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == BATCH_SIZE + 8
    assert lines[-1][0] == str(single)
    assert lines[-1][1:] == lines[0][1:]
    assert {name for _, name, _ in lines} <= {"left", "right"}


def test_table_has_a_column_for_each_class(
    folder: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    assert run(monkeypatch, folder, photos, "--csv", table, "--min-probability", 1) == 0
    assert capsys.readouterr().out == f"{table}: {BATCH_SIZE + 7} images\n"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "probability", "left", "right"]
    assert {row["class"] for row in rows} == {"none of these"}
    for row in rows:
        assert float(row["left"]) + float(row["right"]) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == max(float(row["left"]), float(row["right"]))


def test_thresholds_of_val_decide_what_is_refused_and_what_belongs_to_a_set(
    calibrated: Path,
    photos: Path,
    odd_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tdmr_ray.load_model(calibrated)
    least, in_set = model.thresholds.none_of_these(), model.thresholds.for_coverage(0.95)
    assert run(monkeypatch, calibrated, photos, odd_images / "val", "--none-of-these", "--coverage", 0.95) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    whole = model.predict([Path(path) for path, *_ in lines])
    assert min(each.probability for each in whole) < least
    for (_, name, _, names), each in zip(lines, whole, strict=True):
        assert (name == NONE_OF_THESE) is (each.probability < least)
        assert ("|" in names) is bool(each.probabilities.min() >= in_set)
        assert names.split("|")[0] == model.class_names[each.probabilities.argmax()]
    table = tmp_path / "table.csv"
    assert run(monkeypatch, calibrated, photos, "--csv", table, "--coverage", 0.95) == 0
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "probability", "set", "left", "right"]
    assert {name for row in rows for name in row["set"].split("|")} == {"left", "right"}


def test_unreadable_images_are_listed_at_the_end_and_fail_the_command(
    folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert run(monkeypatch, folder, photos, photos / "missing.jpg") == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == BATCH_SIZE + 7
    problems = shown.err.splitlines()
    assert problems[0].startswith(f"{photos}/broken.jpg: cannot be read as an image: ")
    assert problems[1].startswith(f"{photos}/missing.jpg: cannot be read as an image: ")
    assert problems[2] == "2 images cannot be read and are left out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "EMPTY"], "holds no images; give images, or folders with images"),
        (["EMPTY", "PHOTOS"], "holds no model"),
        (["MODEL", "PHOTOS", "--csv", "EMPTY/no/table.csv"], "cannot be written: No such file or directory"),
        (["MODEL", "PHOTOS", "--min-probability", "1.5"], "Invalid value for"),
        (["MODEL", "PHOTOS", "--none-of-these"], "the model was never calibrated on val"),
        (["CALIBRATED", "PHOTOS", "--coverage", "0.99"], "needs 99 val images, and the model has 42"),
    ],
)
def test_wrong_input_is_one_message(
    arguments: list[str],
    message: str,
    folder: Path,
    calibrated: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    names = {"MODEL": folder, "CALIBRATED": calibrated, "PHOTOS": photos, "EMPTY": tmp_path / "empty"}
    for name, path in names.items():
        arguments = [each.replace(name, str(path)) for each in arguments]
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err


def test_folder_reads_like_single_files(small: tdmr_ray.SmallModel, photos: Path) -> None:
    single, whole = photos / "deep" / "000", sorted((photos / "deep").glob("0*"))
    assert small.predict([single])[0].probability == pytest.approx(small.predict(whole)[0].probability, abs=1e-4)
