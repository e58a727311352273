"""The user's images are listed, split and decoded; one message lists every problem."""

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Features, Value
from datasets import Dataset as HubTable
from datasets import Image as HubImage
from pictures import BAD, GOOD, make_folder, two_halves

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import forget_datasets
from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.data.listing import list_images
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.data.split_names import TEST, TRAIN, VAL
from tdmr_ray.data.task import load_task
from tdmr_ray.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "photos", 10)


def test_flat_folder_is_split_by_class(folder: Path) -> None:
    task = load_task(DataConfig(name=str(folder), image_px=32, shots=2, unlabeled=True))
    assert task.class_names == ("left", "right")
    assert (len(task.train), task.num_labeled, len(task.val), len(task.test)) == (10, 4, 4, 6)
    assert task.train.images.shape == (10, 3, 32, 32)
    assert task.mirror
    halves = task.labeled.images.float().unflatten(3, (2, 16)).mean(dim=(1, 2, 4))
    assert torch.equal(halves.argmax(dim=1), task.labeled.labels)


def test_splits_of_a_folder_are_kept_and_missing_ones_are_drawn(tmp_path: Path) -> None:
    for part, count in {"train": 12, "validation": 4}.items():
        make_folder(tmp_path / "set" / part, count)
    listing = list_images(DataConfig(name=str(tmp_path / "set")))
    assert np.unique(listing.splits).tolist() == [TRAIN, VAL]
    task = load_task(DataConfig(name=str(tmp_path / "set"), image_px=16))
    assert len(task.val) == 8
    assert len(task.train) + len(task.test) == 24
    make_folder(tmp_path / "set" / "test", 3)
    forget_datasets()
    assert len(load_task(DataConfig(name=str(tmp_path / "set"), image_px=16)).test) == 6


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    make_folder(tmp_path / "set", 1, ("class 10", "class 2", "apple"))
    assert list_images(DataConfig(name=str(tmp_path / "set"))).class_names == ("apple", "class 2", "class 10")


def test_csv_file_gives_images_labels_and_splits(folder: Path) -> None:
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in sorted(folder.rglob("*.jpg"))]
    table = folder / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]))
    assert list_images(DataConfig(name=f"csv:{table}")).class_names == ("left", "right")
    table.write_text("\n".join(["path,label,split", *(f"{row},{'test' if 'l' in row else 'train'}" for row in rows)]))
    assert set(list_images(DataConfig(name=f"csv:{table}")).splits.tolist()) <= {TRAIN, TEST}


def test_shards_are_read_in_place(tmp_path: Path) -> None:
    content = io.BytesIO()
    two_halves().save(content, "PNG")
    for part in ("train", "test"):
        for number in range(2):
            with tarfile.open(tmp_path / f"photos-{part}-{number:02d}.tar", "w") as shard:
                for index in range(4):
                    for suffix, data in {"png": content.getvalue(), "cls": str(index % 2).encode()}.items():
                        member = tarfile.TarInfo(f"{number}{index}.{suffix}")
                        member.size = len(data)
                        shard.addfile(member, io.BytesIO(data))
    listing = list_images(DataConfig(name=f"wds/{tmp_path}/photos-train-{{00..01}}.tar"))
    assert (len(listing.names), listing.class_names) == (8, ("0", "1"))
    assert read_image(listing.open(5), InputFormat(8))[:, 4, 1].tolist() == [255, 0, 0]
    both = list_images(DataConfig(name=f"wds/{tmp_path}/*.tar"))
    assert sorted(np.unique(both.splits).tolist()) == [TRAIN, TEST]
    with pytest.raises(InputError, match="1 shards do not exist"):
        list_images(DataConfig(name=f"wds/{tmp_path}/photos-train-{{00..02}}.tar"))


def test_torchvision_set_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    chance = np.random.default_rng(0)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        batch = {"data": chance.integers(0, 255, (20, 3072), dtype=np.uint8), "labels": list(range(10)) * 2}
        (base / name).write_bytes(pickle.dumps(batch))
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    listing = list_images(DataConfig(name="torch/cifar10"), str(tmp_path))
    assert listing.class_names == tuple(names)
    assert np.bincount(listing.splits).tolist() == [100, 0, 20]
    assert read_image(listing.open(119), InputFormat(32)).shape == (3, 32, 32)


HUB_IMAGES = ("cmyk.jpg", "grey.png", "see_through.png", "sixteen.png", "turned.jpg")
"""Images of `GOOD` that the hub set has for each class and split."""


def hub_set(folder: Path, label: Any) -> Path:
    """Write Parquet files like those on the hub; test also has images without a label."""
    made = folder.parent / "made"
    made.mkdir()
    for file in HUB_IMAGES:
        GOOD[file][0](made / file)
    for split, names in {"train": ("cat", "dog"), "val": ("cat", "dog"), "test": ("dog", "cat", None)}.items():
        rows = [(str(made / file), name) for name in names for file in HUB_IMAGES]
        values = [label.str2int(name) if name else -1 for _, name in rows] if label else [name for _, name in rows]
        features = Features({"image": HubImage(), "label": label or Value("string")})
        table = HubTable.from_dict({"image": [path for path, _ in rows], "label": values}, features=features)
        folder.mkdir(exist_ok=True)
        table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("label", [ClassLabel(names=["dog", "cat"]), None], ids=["numbers", "words"])
def test_hub_set_is_listed_and_decoded(label: Any, tmp_path: Path) -> None:
    listing = list_images(DataConfig(name=f"hfds/{hub_set(tmp_path / 'set', label)}"), str(tmp_path / "cache"))
    assert listing.class_names == (("dog", "cat") if label else ("cat", "dog"))
    shown = [listing.class_names[number] for number in listing.labels]
    count = len(HUB_IMAGES)
    assert listing.splits.tolist() == [part for part in (TRAIN, VAL, TEST) for _ in range(2 * count)]
    assert shown == (["cat"] * count + ["dog"] * count) * 2 + ["dog"] * count + ["cat"] * count
    for row in range(len(shown)):
        _, left, right = GOOD[HUB_IMAGES[row % count]]
        pixels = read_image(listing.open(row), InputFormat(20))
        assert np.abs(pixels[:, 10, 3].astype(int) - left).max() <= 2
        assert np.abs(pixels[:, 10, 16].astype(int) - right).max() <= 2


def test_hub_set_becomes_a_task_and_lists_bad_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        make_folder(tmp_path / "set" / part, 8)
    task = load_task(DataConfig(name="hfds/set", image_px=16))
    assert (len(task.train) + len(task.val), len(task.test)) == (16, 16)
    assert task.class_names == ("left", "right")
    before = task_key(DataConfig(name="hfds/set"))
    BAD["truncated.jpg"](tmp_path / "set" / "train" / "left" / "2.jpg")
    forget_datasets()
    assert task_key(DataConfig(name="hfds/set")) != before
    with pytest.raises(InputError, match="1 images cannot be read") as error:
        load_task(DataConfig(name="hfds/set", image_px=16))
    assert error.value.problems[0].startswith(f"hfds/{tmp_path}/set train 2: ")


def test_downloaded_hub_set_is_found_offline(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    list_images(DataConfig(name=f"hfds/{make_folder(tmp_path / 'photos' / 'train', 3).parent}"), str(cache))
    (cache / "photos").rename(cache / "someone___photos")
    listing = list_images(DataConfig(name="hfds/someone/photos"), str(cache))
    assert (listing.labels.tolist(), listing.class_names) == ([0, 0, 0, 1, 1, 1], ("left", "right"))
    assert read_image(listing.open(5), InputFormat(8)).shape == (3, 8, 8)


def test_wrong_hub_set_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'hfds/no/such' is unavailable: "):
        list_images(DataConfig(name="hfds/no/such"), str(tmp_path / "cache"))
    make_folder(tmp_path / "odd" / "test", 2)
    with pytest.raises(InputError, match="must have a split 'train', got test"):
        list_images(DataConfig(name=f"hfds/{tmp_path}/odd"), str(tmp_path / "cache"))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "train.csv").write_text("text,label\na,0\nb,1\n")
    with pytest.raises(InputError, match="must have the columns image and label, got label, text"):
        list_images(DataConfig(name=f"hfds/{tmp_path}/texts"), str(tmp_path / "cache"))


def write_bad(folder: Path) -> None:
    for name, make in BAD.items():
        if name != "bomb.png":
            make(folder / "left" / name)
    forget_datasets()


def test_bad_images_are_listed_in_an_error_or_left_out(folder: Path) -> None:
    clean = load_task(DataConfig(name=str(folder), image_px=16)).fingerprint
    write_bad(folder)
    with pytest.raises(InputError) as error:
        load_task(DataConfig(name=str(folder), image_px=16))
    files = [problem.split(":")[0] for problem in error.value.problems[:-1]]
    assert files == ["left/empty.jpg", "left/text.png", "left/truncated.jpg"]
    assert "set data.on_bad_image: skip" in error.value.problems[-1]
    task = load_task(DataConfig(name=str(folder), image_px=16, on_bad_image="skip"))
    assert task.fingerprint == clean
    assert task.notes == (
        "3 images cannot be read and are left out: left/empty.jpg, left/text.png, left/truncated.jpg",
    )


def test_images_that_are_in_train_and_test_are_noted(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        make_folder(tmp_path / "set" / part, 6)
    task = load_task(DataConfig(name=str(tmp_path / "set"), image_px=16))
    assert task.notes == (
        "12 of 12 images of val are also in train, which inflates its accuracy",
        "12 of 12 images of test are also in train, which inflates its accuracy",
    )


def test_task_decoded_into_a_file_equals_the_loaded_task(folder: Path, tmp_path: Path) -> None:
    config = DataConfig(name=str(folder), image_px=24, shots=3)
    on_progress: list[int] = []
    (tmp_path / "kept").mkdir()
    decode_task(config, tmp_path / "kept", on_progress.append)
    opened, loaded = open_task(tmp_path / "kept"), load_task(config)
    assert opened.fingerprint == loaded.fingerprint
    assert torch.equal(opened.val.images, loaded.val.images)
    assert sum(on_progress) == len(loaded.train) + len(loaded.val) + len(loaded.test)


def test_key_changes_with_the_files(folder: Path) -> None:
    config = DataConfig(name=str(folder))
    before = task_key(config)
    two_halves().save(folder / "left" / "new.png")
    forget_datasets()
    assert task_key(config) != before


def empty(root: Path) -> None:
    (root / "left").mkdir(parents=True)


def loose(root: Path) -> None:
    root.mkdir()
    two_halves().save(root / "a.png")


def hollow(root: Path) -> None:
    make_folder(root, 2)
    (root / "nothing").mkdir()


def incomplete(root: Path) -> None:
    make_folder(root / "train", 6)
    make_folder(root / "test", 6, ("left",))


WRONG = {
    "no such folder": (lambda root: None, "there is no folder"),
    "nothing in it": (Path.mkdir, "must have a folder for each class, got none"),
    "images without a class": (loose, "1 images lie in it without a class"),
    "no images": (empty, "at least two classes"),
    "one class": (lambda root: make_folder(root, 2, ("only",)), "at least two classes, got only 'only'"),
    "an empty class": (hollow, "1 of 3 classes have no image there: nothing"),
    "a class missing from a split": (incomplete, "1 of 2 classes have no image there: right"),
    "too few images": (lambda root: make_folder(root, 2), "every class must have at least 5 images"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_folder_is_one_message(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    make(tmp_path / "set")
    with pytest.raises(InputError, match=message):
        load_task(DataConfig(name=f"{tmp_path}/set", image_px=16))


def test_wrong_table_is_one_message(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,class\n")
    with pytest.raises(InputError, match="must name the columns path,label"):
        list_images(DataConfig(name=f"csv:{table}"))
    table.write_text("path,label,split\na.jpg,x,training\nb.jpg,y,holdout\n")
    with pytest.raises(InputError) as error:
        list_images(DataConfig(name=f"csv:{table}"))
    assert [problem.split(": ", 1)[1] for problem in error.value.problems] == [
        f"2 files do not exist: {tmp_path}/a.jpg, {tmp_path}/b.jpg",
        "split must be one of train, training, val, valid, validation, test, got holdout",
    ]


def test_every_kind_of_file_in_one_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for file, (make, _, _) in GOOD.items():
            make(tmp_path / "set" / name / file)
    task = load_task(DataConfig(name=str(tmp_path / "set"), image_px=16))
    assert len(task.train) + len(task.val) + len(task.test) == 2 * len(GOOD)
    assert json.dumps(task.class_names) == '["a", "b"]'
