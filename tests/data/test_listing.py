"""The user's images are listed, split and decoded; one message lists every problem."""

import contextlib
import gzip
import io
import json
import pickle
import random
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

from tdmr_ray.data.config import Columns, DataConfig
from tdmr_ray.data.datasets import forget_datasets
from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.data.listing import list_images
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.data.split_names import TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "photos", 10)


def test_flat_folder_is_split_by_class(folder: Path) -> None:
    task = load_task(DataConfig(name=str(folder), image_px=32, shots=2, unlabeled=True))
    assert task.class_names == ("left", "right")
    assert (len(task.train), task.num_labeled, len(task.val), len(task.test)) == (10, 4, 4, 6)
    assert task.train.images.shape == (10, 3, 32, 32)
    assert task.preset == "photo"
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


PNG = io.BytesIO()
two_halves().save(PNG, "PNG")


def write_shard(path: Path, labels: list[str | bytes | None], suffix: str = "txt") -> Path:
    """Write a shard with an image for each label; None is an image without one."""
    with tarfile.open(path, "w") as shard:
        for index, label in enumerate(labels):
            content = label.encode() if isinstance(label, str) else label
            for name, data in {f"{index}.png": PNG.getvalue(), f"{index}.{suffix}": content}.items():
                if data is not None:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    shard.addfile(member, io.BytesIO(data))
    return path


def test_images_of_shards_without_a_label_join_training(tmp_path: Path) -> None:
    write_shard(tmp_path / "a-Training-0.tar", ["cat", "dog", None, ""])
    write_shard(tmp_path / "b-dev-0.tar", ["cat", None])
    write_shard(tmp_path / "c-unlabelled-0.tar", ["cat", None])
    listing = list_images(DataConfig(name=f"wds/{tmp_path}/*.tar"))
    assert listing.class_names == ("cat", "dog")
    assert listing.labels.tolist() == [0, 1, UNLABELED, UNLABELED, 0, UNLABELED, UNLABELED]
    assert listing.splits.tolist() == [TRAIN, TRAIN, TRAIN, TRAIN, VAL, TRAIN, TRAIN]
    assert listing.ignored == {"images of val or test without a label": [f"{tmp_path}/b-dev-0.tar:1.png"]}
    assert read_image(listing.open(6), InputFormat(8)).shape == (3, 8, 8)


def broken_header(path: Path) -> None:
    content = bytearray(write_shard(path, ["cat", "dog"]).read_bytes())
    content[1024:1536] = b"x" * 512
    path.write_bytes(bytes(content))


WRONG_SHARDS = {
    "no tar file": (lambda path: path.write_bytes(b"not a tar file" * 100), "1 shards cannot be read: "),
    "an empty file": (lambda path: path.write_bytes(b""), "1 shards cannot be read: "),
    "a shard cut off in an image": (
        lambda path: path.write_bytes(write_shard(path, ["cat", "dog"]).read_bytes()[:600]),
        "1 shards cannot be read: .*unexpected end of data",
    ),
    "a damaged header inside": (broken_header, "1 shards cannot be read: .*no valid header at byte"),
    "a compressed shard": (
        lambda path: path.write_bytes(gzip.compress(write_shard(path, ["cat", "dog"]).read_bytes())),
        "it is compressed; unpack it to a plain .tar",
    ),
    "a label in no encoding": (
        lambda path: write_shard(path, [b"\xff\xfe\xfa", "a"]),
        "1 shards cannot be read: .*utf-8",
    ),
    "no label": (lambda path: write_shard(path, [None, None]), "2 images have neither .cls nor .txt beside them"),
    "one class": (lambda path: write_shard(path, ["cat", None]), "must have at least two classes, got only 'cat'"),
}


@pytest.mark.parametrize("case", WRONG_SHARDS)
def test_wrong_shard_is_one_message(case: str, tmp_path: Path) -> None:
    make, message = WRONG_SHARDS[case]
    make(tmp_path / "a.tar")
    with pytest.raises(InputError, match=message):
        list_images(DataConfig(name=f"wds/{tmp_path}/a.tar"))


def test_no_damage_to_a_shard_makes_a_traceback(tmp_path: Path) -> None:
    whole = write_shard(tmp_path / "a.tar", ["cat", "dog", None, "cat"]).read_bytes()
    for seed in range(200):
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            content[chance.randrange(len(whole) // 512) * 512 + chance.randrange(512)] = chance.randrange(256)
        (tmp_path / "a.tar").write_bytes(bytes(content[: chance.choice([None, chance.randrange(len(whole))])]))
        with contextlib.suppress(InputError):
            assert len(list_images(DataConfig(name=f"wds/{tmp_path}/a.tar")).class_names) >= 2


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
    """Write Parquet files like those on the hub; train and test also have images without a label."""
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


HUB_ROWS: dict[str, list[tuple[Any, str, str]]] = {
    "train": [("cat", "test", "p1"), (" dog ", "", "p2"), (None, "train", ""), ("", "Unlabelled", "p3")],
    "Testing": [("cat", "", "p4"), (None, "", "p4")],
    "unsupervised": [("cat", "test", "p5")],
    "extra": [("dog", "", "")],
}
"""Label, cell of a column of splits, and group of each row of a hub set."""


def columns_set(folder: Path) -> Path:
    """Write a hub set whose columns have names of their own."""
    two_halves().save(folder / "a.png")
    (folder / "set").mkdir()
    lines = ["configs:", "- config_name: default", "  data_files:"]
    for part, rows in HUB_ROWS.items():
        labels, sets, plants = zip(*rows, strict=True)
        cells = {"img": [str(folder / "a.png")] * len(rows), "Species": labels, "set": sets, "plant": plants}
        kinds = Features({"img": HubImage(), **{name: Value("string") for name in ("Species", "set", "plant")}})
        HubTable.from_dict(cells, features=kinds).to_parquet(folder / "set" / f"{part}.parquet")
        lines += [f"  - split: {part}", f"    path: {part}.parquet"]
    (folder / "set" / "README.md").write_text("\n".join(["---", *lines, "---", ""]))
    return folder / "set"


def test_hub_set_has_unlabelled_images_groups_and_columns_of_other_names(tmp_path: Path) -> None:
    name = f"hfds/{columns_set(tmp_path)}"
    columns = Columns(path="img", label="species", group="plant")
    listing = list_images(DataConfig(name=name, columns=columns), str(tmp_path / "cache"))
    assert listing.class_names == ("cat", "dog")
    assert listing.labels.tolist() == [0, 1, UNLABELED, UNLABELED, 0, UNLABELED]
    assert listing.splits.tolist() == [TRAIN, TRAIN, TRAIN, TRAIN, TEST, TRAIN]
    assert listing.groups == ["p1", "p2", "", "p3", "p4", "p5"]
    assert listing.ignored == {"images of val or test without a label": [f"{name} Testing 1"]}
    assert listing.warnings == [f"'{name}': splits with unknown names are not used: extra (1 images)"]
    assert read_image(listing.open(5), InputFormat(8)).shape == (3, 8, 8)
    columns = columns.model_copy(update={"split": "set"})
    listing = list_images(DataConfig(name=name, columns=columns), str(tmp_path / "cache"))
    assert listing.splits.tolist() == [TEST, TRAIN, TRAIN, TRAIN, TEST, TRAIN]


WRONG_COLUMNS = {
    "a column of splits with other words": (Columns(path="img", label="set", split="plant"), "'plant' must hold train"),
    "no column of images": (Columns(path="nothing", label="set"), "must have the column 'nothing'"),
    "no column of groups": (Columns(path="img", label="set", group="day"), "must have the column 'day', got 'img'"),
    "images in place of labels": (Columns(path="img", label="img"), "only one label per image is supported"),
}


@pytest.mark.parametrize("case", WRONG_COLUMNS)
def test_wrong_column_of_a_hub_set_is_one_message(case: str, tmp_path: Path) -> None:
    columns, message = WRONG_COLUMNS[case]
    with pytest.raises(InputError, match=message):
        list_images(DataConfig(name=f"hfds/{columns_set(tmp_path)}", columns=columns), str(tmp_path / "cache"))


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
    with pytest.raises(InputError, match="must have the column 'image', got 'text', 'label'"):
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
    assert task.notes[:-1] == (
        "3 images cannot be read and are left out: left/empty.jpg, left/text.png, left/truncated.jpg",
    )


def test_images_that_are_in_train_and_test_are_noted(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        make_folder(tmp_path / "set" / part, 6)
    task = load_task(DataConfig(name=str(tmp_path / "set"), image_px=16))
    assert "24 of 24 images of val and test have a nearly identical one in another split" in task.notes[0]


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
    "an empty class": (hollow, "1 of 3 classes have no image there: 'nothing'"),
    "a class missing from a split": (incomplete, "1 of 2 classes have no image there: 'right'"),
    "too few images": (lambda root: make_folder(root, 2), "every class must have at least 5 labelled images"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_folder_is_one_message(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    make(tmp_path / "set")
    with pytest.raises(InputError, match=message):
        load_task(DataConfig(name=f"{tmp_path}/set", image_px=16))


def test_every_kind_of_file_in_one_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for file, (make, _, _) in GOOD.items():
            make(tmp_path / "set" / name / file)
    task = load_task(DataConfig(name=str(tmp_path / "set"), image_px=16))
    assert len(task.train) + len(task.val) + len(task.test) == 2 * len(GOOD)
    assert json.dumps(task.class_names) == '["a", "b"]'
