"""Label issues, images to label next, heat maps, and the files of an inspection."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tdmr_ray.data.task import Images, Task
from tdmr_ray.inspection.grad_cam import grad_cam
from tdmr_ray.inspection.held_out import Predictions, averaged, mean_predictions, out_of_fold
from tdmr_ray.inspection.inspect import InspectionFiles, Shown, Sources, inspect_task
from tdmr_ray.inspection.label_issues import find_label_issues
from tdmr_ray.inspection.next_to_label import rank_to_label
from tdmr_ray.models import load_target
from tdmr_ray.training.features import ViewFeatures, with_ids


def clusters(labels: Tensor, seed: int, dim: int = 8) -> Tensor:
    """Return features [N, d] that lie around one corner for each class."""
    noise = torch.randn(len(labels), dim, generator=torch.Generator().manual_seed(seed))
    return 6 * torch.nn.functional.one_hot(labels, dim).float() + noise


def test_changed_labels_are_found_and_no_others() -> None:
    true = torch.arange(90) % 3
    given = true.clone()
    given[[4, 31, 77]] = (true[[4, 31, 77]] + 1) % 3
    probabilities = out_of_fold(clusters(true, 0), given, 3)
    assert probabilities is not None
    issues = find_label_issues(probabilities, given)
    assert sorted(issues.rows.tolist()) == [4, 31, 77]
    assert issues.suggested.tolist() == true[issues.rows].tolist()
    assert issues.odds.tolist() == sorted(issues.odds.tolist(), reverse=True)
    assert float(issues.odds[-1]) >= 10


@pytest.mark.parametrize("labels", [[0, 0, 0, 0, 1], [0, 0, 0, 0]], ids=["a class of one image", "a single class"])
def test_too_few_labels_say_nothing_about_each_other(labels: list[int]) -> None:
    given = torch.tensor(labels)
    assert out_of_fold(clusters(given, 0), given, 2) is None


def test_classes_of_two_images_are_held_out_without_a_warning() -> None:
    probabilities = out_of_fold(clusters(torch.arange(6) % 3, 1), torch.arange(6) % 3, 3)
    assert probabilities is not None
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0] * 6, abs=1e-5)


def test_a_targets_predictions_count_for_the_images_that_it_did_not_see() -> None:
    ids = torch.tensor([7, 3, 9])
    trials = [
        Predictions(torch.tensor([3, 5]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])),
        Predictions(torch.tensor([9, 3]), torch.tensor([[0.0, 1.0], [0.5, 0.5]])),
    ]
    mean, times = mean_predictions(ids, trials, 2)
    assert times.tolist() == [0, 2, 1]
    assert mean.tolist() == [[0.0, 0.0], [0.75, 0.25], [0.0, 1.0]]
    head = torch.tensor([[0.6, 0.4], [0.25, 0.75], [0.5, 0.5]])
    assert averaged(head, mean, times).tolist() == [
        pytest.approx(row) for row in ([0.6, 0.4], [0.5, 0.5], [0.25, 0.75])
    ]


def naive_ranking(features: Tensor, labeled: Tensor, probabilities: Tensor, count: int) -> list[int]:
    """Return the rows that greedy facility location chooses when it computes every gain anew."""
    both = torch.cat([features, labeled])
    unit = torch.nn.functional.normalize(both - both.mean(dim=0), dim=1)
    similarity = (unit @ unit.T).clamp(min=0) ** 3
    two = probabilities.sort(dim=1, descending=True).values
    weights = 1 - two[:, 0] + two[:, 1]
    num, chosen = len(features), list(range(len(features), len(both)))
    for _ in range(count):
        covered = similarity[:num, chosen].max(dim=1).values
        gains = ((similarity[:num, :num] - covered[:, None]).clamp(min=0) * weights[:, None]).sum(dim=0)
        gains[[row for row in chosen if row < num]] = -1
        chosen.append(int(gains.argmax()))
    return chosen[len(labeled) :]


def test_the_ranking_is_that_of_plain_greedy_facility_location() -> None:
    features = clusters(torch.arange(60) % 5, 2)
    labeled = clusters(torch.arange(2), 3)
    probabilities = torch.rand(60, 5, generator=torch.Generator().manual_seed(4)).softmax(dim=1)
    ranking = rank_to_label(features, labeled, probabilities, count=12)
    assert ranking.rows.tolist() == naive_ranking(features, labeled, probabilities, 12)
    assert float(ranking.scores[0]) == 1.0
    assert ranking.scores.tolist() == sorted(ranking.scores.tolist(), reverse=True)
    new_classes = {row % 5 for row in ranking.rows[:3].tolist()}
    assert new_classes == {2, 3, 4}, "the classes without a label come first"


def test_all_images_are_ranked_if_there_are_few() -> None:
    features = clusters(torch.arange(4), 5)
    ranking = rank_to_label(features, features[:1] + 0.1, torch.full((4, 3), 1 / 3))
    assert sorted(ranking.rows.tolist()) == [0, 1, 2, 3]


def test_a_small_input_is_explained_on_an_earlier_map() -> None:
    target = load_target("lcnet_035", num_classes=2, image_px=32).eval()
    assert target.network.forward_features(torch.rand(1, 3, 32, 32)).shape[-1] == 1
    heat = grad_cam(target, torch.rand(3, 3, 32, 32), torch.tensor([0, 1, 0]))
    assert heat is not None
    assert heat.shape == (3, 32, 32)
    assert 0 <= float(heat.min()) < float(heat.max()) <= 1
    assert float(heat.std(dim=(1, 2)).max()) > 0, "a place is shown"


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mixer_s32_224"])
def test_networks_without_feature_maps_have_no_heat_map(name: str) -> None:
    target = load_target(name, num_classes=2, image_px=224).eval()
    assert grad_cam(target, torch.rand(1, 3, 224, 224), torch.tensor([0])) is None


def test_heat_is_the_weighted_sum_of_the_last_map() -> None:
    target = load_target("lcnet_035", num_classes=3, image_px=128).eval()
    image = torch.rand(1, 3, 128, 128)
    maps = target.network.forward_features(target.spec.normalize(image)).detach().requires_grad_()
    assert maps.shape[-1] == 4, "the last map is large enough"
    logits = target.network.get_classifier()(target.network.forward_head(maps, pre_logits=True))
    (gradient,) = torch.autograd.grad(logits[0, 2], maps)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()
    heat = grad_cam(target, image, torch.tensor([2]))
    assert heat is not None
    expected = torch.nn.functional.interpolate((expected / expected.max())[None], size=(128, 128), mode="bilinear")
    torch.testing.assert_close(heat, expected[0].detach(), atol=1e-5, rtol=1e-4)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def features_of(task: Task, true: Tensor) -> ViewFeatures:
    assert task.train.ids is not None
    assert task.val.ids is not None
    ids = torch.cat([task.train.ids, task.val.ids])
    order = ids.argsort()
    return ViewFeatures(ids[order].numpy(), clusters(true, 6)[order].numpy().astype(np.float16))


@pytest.mark.parametrize("names", [(), "folder"], ids=["arrays", "files"])
def test_files_of_an_inspection(names: Sequence[str], tiny_task: Task, tmp_path: Path) -> None:
    base = with_ids(tiny_task)
    true = torch.arange(len(base.train) + len(base.val)) % 3
    wrong = base.train.labels.clone()
    wrong[1] = (wrong[1] + 1) % 3
    task = replace(base, train=Images(base.train.images, wrong, base.train.ids))
    if names:
        names = [f"cläss/{number}, a.png" for number in range(len(true))]
    target = load_target("lcnet_035", num_classes=3, image_px=128).eval()
    assert task.val.ids is not None
    seen = torch.nn.functional.one_hot((task.val.labels + 1) % 3, 3).float()
    files = InspectionFiles(*(tmp_path / name for name in ("issues.csv", "next.csv", "shown.json")))
    sources = Sources(
        features=[features_of(task, true)],
        held_out=[Predictions(task.val.ids, torch.full((len(task.val), 3), 1 / 3))],
        shown=Shown(target, task.val, seen),
        unlabeled=torch.full((12, 3), 1 / 3),
        names=names,
    )
    inspect_task(task, sources, files)
    (issue,) = read(files.label_issues)
    assert task.train.ids is not None
    first = int(task.train.ids[1])
    assert issue["path"] == (f"cläss/{first}, a.png" if names else f"image {first}")
    assert issue["split"] == "train"
    assert issue["given_label"] == task.class_names[int(wrong[1])]
    assert issue["suggested_label"] == task.class_names[int(base.train.labels[1])]
    ranked = read(files.next_to_label)
    assert [row["rank"] for row in ranked] == [str(number) for number in range(1, 13)]
    shown = json.loads(files.inspection.read_text(encoding="utf-8"))
    assert (shown["num_issues"], shown["num_labels"]) == (1, 30 + 15)
    assert shown["issues"][0]["path"] == issue["path"]
    assert shown["num_held_out"] == len(task.val)
    assert len(shown["heat_maps"]) == 6
    assert all(each["label"] != each["predicted"] for each in shown["heat_maps"])


def test_nothing_is_ranked_without_unlabelled_images(tiny_task: Task, tmp_path: Path) -> None:
    task = with_ids(tiny_task)
    files = InspectionFiles(*(tmp_path / name for name in ("issues.csv", "next.csv", "shown.json")))
    task = replace(task, train=task.labeled)
    true = torch.cat([task.train.labels, task.val.labels])
    inspect_task(task, Sources(features=[features_of(task, true)]), files)
    assert not files.next_to_label.exists()
    assert read(files.label_issues) == []
    assert json.loads(files.inspection.read_text(encoding="utf-8"))["confusions"] == []
