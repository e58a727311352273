"""A shipped model classifies files exactly as val was measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.odd_images import DECODE_PX, INPUT_PX, distil, fit_head, load

import tdmr_ray
from tdmr_ray.checksums import CHECKSUM
from tdmr_ray.data.reading import InputFormat, Resize
from tdmr_ray.deploy.predicting import NONE_OF_THESE
from tdmr_ray.errors import InputError
from tdmr_ray.run_layout import MODEL_CONFIG


def share_of_right(model: tdmr_ray.SmallModel, root: Path) -> tuple[float, list[str]]:
    """Return the accuracy of a model on the files of val, and the classes that it gives them."""
    paths = sorted(path for path in (root / "val").rglob("*") if path.is_file())
    found = [each.class_name for each in model.predict(paths)]
    right = [name == path.parent.name for name, path in zip(found, paths, strict=True)]
    return sum(right) / len(right), found


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_prediction_of_the_files_of_val_is_what_was_measured(resize: Resize, odd_images: Path, tmp_path: Path) -> None:
    task = load(odd_images, resize)
    model = fit_head(task)
    model.save(tmp_path / "model")
    again = tdmr_ray.load_model(tmp_path / "model")
    assert again.input_format == task.input_format == InputFormat(DECODE_PX, resize, "bicubic", bit_depth=12)
    assert (again.image_px, again.target.spec.size_px) == (INPUT_PX, INPUT_PX)
    top1, found = share_of_right(again, odd_images)
    assert 0.3 < top1 < 1
    assert top1 == pytest.approx(model.val_top1, abs=1e-6)
    arrays = again.predict(task.val.images.permute(0, 2, 3, 1).numpy())
    assert sorted(each.class_name for each in arrays) == sorted(found)


@pytest.mark.slow
def test_distilled_model_predicts_as_it_was_measured_in_training(odd_images: Path, tmp_path: Path) -> None:
    model = distil(odd_images)
    model.save(tmp_path / "model")
    top1, _ = share_of_right(tdmr_ray.load_model(tmp_path / "model"), odd_images)
    assert top1 == pytest.approx(model.val_top1, abs=1e-6)


def test_saved_model_is_described_in_words(folder: Path) -> None:
    description = json.loads((folder / MODEL_CONFIG).read_text())
    assert description["preprocessing"] == (
        "upright RGB, crop to 48 px with bicubic interpolation, divide by 255; the network scales to 32 px; "
        "mean and std are part of the network"
    )


def test_improbable_images_are_none_of_the_classes(small: tdmr_ray.SmallModel, odd_images: Path) -> None:
    paths = sorted((odd_images / "val" / "left").iterdir())
    sure = small.predict(paths)
    least = float(np.median([each.probability for each in sure]))
    unsure = small.predict(paths, min_probability=least)
    assert [each.class_name == NONE_OF_THESE for each in unsure] == [each.probability < least for each in sure]
    assert 0 < sum(each.class_name == NONE_OF_THESE for each in unsure) < len(paths)


def test_all_unreadable_files_are_in_one_message(small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    good = next((odd_images / "val" / "left").iterdir())
    with pytest.raises(InputError) as error:
        small.predict([tmp_path / "text.png", good, tmp_path / "missing.jpg"])
    assert len(error.value.problems) == 2
    assert error.value.problems[1].startswith(f"{tmp_path}/missing.jpg cannot be read as an image: ")


def test_model_of_an_older_version_is_refused(folder: Path, tmp_path: Path) -> None:
    description = json.loads((folder / MODEL_CONFIG).read_text())
    del description["input_format"], description[CHECKSUM]
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / MODEL_CONFIG).write_text(json.dumps(description))
    with pytest.raises(InputError, match="older version"):
        tdmr_ray.load_model(tmp_path)
