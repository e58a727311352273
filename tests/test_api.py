"""The Python API, as the quick start uses it."""

from pathlib import Path

import numpy as np
import pytest

import tdmr_ray
from tdmr_ray.api import TrialProgress

FAST = {"outputs.num_views": 2, "reprogram.epochs": 2}


@pytest.fixture(scope="module")
def task() -> tdmr_ray.Task:
    return tdmr_ray.load_task("digits", shots=5)


@pytest.fixture(scope="module")
def teacher(task: tdmr_ray.Task) -> tdmr_ray.ReprogrammedTeacher:
    return tdmr_ray.reprogram("glyph_cnn", task, settings=FAST)


@pytest.fixture(scope="module")
def small(teacher: tdmr_ray.ReprogrammedTeacher, task: tdmr_ray.Task) -> tdmr_ray.SmallModel:
    return tdmr_ray.distill(teacher, "lcnet_035", task, settings={"distill.epochs": 2})


def test_every_public_name_can_be_imported() -> None:
    assert set(tdmr_ray.__all__) <= set(dir(tdmr_ray))
    assert all(getattr(tdmr_ray, name) is not None for name in tdmr_ray.__all__)
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        _ = tdmr_ray.serach  # type: ignore[attr-defined]


def test_a_teacher_knows_the_digits(teacher: tdmr_ray.ReprogrammedTeacher) -> None:
    assert teacher.val_top1 > 0.8


def test_a_distilled_model_survives_saving(small: tdmr_ray.SmallModel, task: tdmr_ray.Task, tmp_path: Path) -> None:
    images = task.val.images[:70].permute(0, 2, 3, 1).numpy()
    small.save(tmp_path / "model")
    again = tdmr_ray.load_model(tmp_path / "model")
    before, after = small.predict(images), again.predict(images)
    assert len(before) == 70
    for own, other in zip(before, after, strict=True):
        assert own.class_name == other.class_name
        np.testing.assert_array_equal(own.probabilities, other.probabilities)
        assert own.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert again.val_top1 == small.val_top1


def test_files_and_arrays_give_one_prediction(small: tdmr_ray.SmallModel, task: tdmr_ray.Task, tmp_path: Path) -> None:
    from PIL import Image

    pixels = task.val.images[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    (of_file,) = small.predict([tmp_path / "digit.png"])
    (of_array,) = small.predict(pixels[None])
    np.testing.assert_allclose(of_file.probabilities, of_array.probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda task, teacher: tdmr_ray.load_task("digit"), "did you mean 'digits'"),
        (lambda task, teacher: tdmr_ray.load_task("digits", shots=0), "shots: input should be greater"),
        (lambda task, teacher: tdmr_ray.reprogram("glyph_vti", task), "did you mean 'glyph_vit'"),
        (lambda task, teacher: tdmr_ray.reprogram("glyph_cnn", task, mapping="best"), "input should be 'linear'"),
        (
            lambda task, teacher: tdmr_ray.reprogram("glyph_cnn", task, settings={"prompt.size": 2}),
            "prompt.size: unknown parameter; did you mean 'prompt.size_px'",
        ),
        (
            lambda task, teacher: tdmr_ray.reprogram("glyph_cnn", task, settings={"prompt.size_px": 20}),
            "less than half of the 32 px",
        ),
        (lambda task, teacher: tdmr_ray.distill(teacher, "lcnet_03", task), "did you mean 'lcnet_035'"),
        (
            lambda task, teacher: tdmr_ray.distill(teacher, "lcnet_035", task, settings={"prompt.size_px": 2}),
            "prompt.size_px: belongs to the teacher",
        ),
        (
            lambda task, teacher: tdmr_ray.distill(teacher, "lcnet_035", tdmr_ray.load_task("digits", shots=6)),
            "made from other images",
        ),
        (lambda task, teacher: tdmr_ray.run_search({"name": "x"}), "pairs: is missing"),
        (lambda task, teacher: tdmr_ray.load_model("nowhere"), "holds no model"),
        (lambda task, teacher: tdmr_ray.read_results("nowhere"), "holds no records.jsonl"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_one_clear_error(
    call: object, message: str, task: tdmr_ray.Task, teacher: tdmr_ray.ReprogrammedTeacher
) -> None:
    with pytest.raises(tdmr_ray.InputError) as error:
        call(task, teacher)  # type: ignore[operator]
    assert message in str(error.value)


SPACE = {
    "name": "own",
    "data": {"name": "digits"},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 2, "epochs": 2},
    "confirm": {"top": 1, "seeds": [0], "controls": ["linear_probe"], "steps": 120},
    "search": {"distill.lr": {"low": 0.006, "high": 0.02}},
    "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1},
}


@pytest.mark.slow
def test_a_search_over_a_users_own_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    labels = np.array(["dark", "bright", "green"])[np.arange(120) % 3]
    images = generator.integers(0, 60, (120, 24, 24, 3), dtype=np.uint8)
    images[labels == "bright"] += 150
    images[labels == "green", :, :, 1] += 150
    task = tdmr_ray.Task.from_arrays(images, labels, shots=10)
    messages: list[str] = []
    progress: list[TrialProgress] = []
    result = tdmr_ray.run_search(
        SPACE,
        task=task,
        out=tmp_path / "out",
        store=tmp_path / "store",
        on_message=messages.append,
        on_progress=progress.append,
    )
    assert capsys.readouterr().out == ""
    assert not result.interrupted
    assert {record.data for record in result.records if record.phase == "search"} == {task.fingerprint}
    assert messages[0] == "arrays: 3 classes, 90 labelled images, 30 without labels"
    assert any(message.startswith("own: 1 pairs, 2 trials") for message in messages)
    assert {each.phase for each in progress} == {"search", "confirm", "refit"}
    assert (tmp_path / "out" / "leaderboard.html").exists()
    assert not any(message.startswith("warning: the images") for message in messages)
    tables = [(tmp_path / "out" / name).read_text() for name in ("label_issues.csv", "next_to_label.csv")]
    assert tables[0].startswith("path,split,given_label,suggested_label,")
    assert tables[1].splitlines()[1].startswith("image ")
    model = tdmr_ray.load_model(result.best)
    assert model.class_names == ("bright", "dark", "green")
    assert {each.class_name for each in model.predict(images[:30])} <= {"bright", "dark", "green"}
    again = tdmr_ray.read_results(tmp_path / "out")
    assert again.best == result.best
