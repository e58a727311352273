"""What a model card says: the facts of a shipped model from its search's records and its folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tdmr_ray.models.licenses import describe_license, foundation_license, target_license
from tdmr_ray.records import TDMR, TrialRecord
from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.formatting import difference, gain_cell, percent, scale_of, spread, unit
from tdmr_ray.report.per_class import class_table, explain, per_class_of
from tdmr_ray.report.row import Model
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.report.wording import cautions, describe
from tdmr_ray.run_layout import CALIBRATION, MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.training.model_folder import weights_digest
from tdmr_ray.training.reliability import ModelReliability

HUBS = ("torch/", "hfds/")
LIMITS = (
    "It was tested on images from the same source as the training images. Other cameras, places, seasons and lighting "
    "were not tested.",
    "It answers one of its classes unless a least probability is set. How it treats images of none of them was not "
    "tested here.",
    "Its accuracy for groups of people or other subgroups was not tested, and neither was its resistance to "
    "manipulated images.",
    "Latency and memory are those of the machine that measured them, not of a phone.",
)


@dataclass(frozen=True)
class CardFacts:
    """Facts of a shipped model.

    Attributes:
        model: The model in the leaderboard.
        record: The trial whose weights ship.
        comparison: The search.
        folder: The model's folder, with weights and `config.json`.
    """

    model: Model
    record: TrialRecord
    comparison: Comparison
    folder: Path

    @cached_property
    def config(self) -> TrialConfig:
        """Configuration of the trial."""
        return TrialConfig.model_validate(self.record.config)

    @property
    def method(self) -> str:
        """`tdmr` or the name of the rival that made it."""
        return self.model.method

    @property
    def dataset(self) -> str:
        """Name of the images, without the folders above them."""
        found = next((each.data_summary.source for each in self.comparison.searches if each.data_summary), None)
        name = found or self.config.data.name
        return name if name.startswith(HUBS) else Path(name.removeprefix("csv:")).name or name

    @property
    def title(self) -> str:
        """Target and images."""
        return f"{self.model.row.target} for {self.dataset}"

    @property
    def license(self) -> str | None:
        """Licence of the weights that the shipped ones began as; None if there are none, or it is unknown."""
        return target_license(self.config.target.name, self.config.target.weights)

    @property
    def top1(self) -> float | None:
        """Mean accuracy on test of what ships, over the seeds."""
        found = self.model.figures.metrics.get(f"{self._split}/top1")
        return found.mean if found else None

    @property
    def _split(self) -> str:
        return "refit" if self.model.figures.refit else "test"

    def texts(self) -> dict[str, Any]:
        """Return what the template needs."""
        described = json.loads((self.folder / MODEL_CONFIG).read_text(encoding="utf-8"))
        per_class = per_class_of(self.record.recipe, self.comparison)
        return {
            "title": self.title,
            "what": f"An image classifier with {len(described['class_names'])} classes: {describe(self.model)}.",
            "temperature": f"{described['temperature']:.6g}",
            "preprocessing": described["preprocessing"],
            "classes": self._classes(described["class_names"]),
            "data_lines": self._data_lines(),
            "protocol": self._protocol(),
            "split_name": "test, after the refit" if self._split == "refit" else "test",
            "metrics": self._metrics(),
            "metrics_note": self._metrics_note(),
            "rivals": self._rivals(),
            "rivals_note": self._rivals_note(),
            "gain_name": f"gain of TDMR, {'points' if unit(self._objective) == '%' else 'nats'} [95 % CI]",
            "per_class": class_table(per_class).to_numpy().tolist() if per_class else [],
            "per_class_note": explain(per_class).replace("The recommended model", "This recipe") if per_class else "",
            "calibration": self._calibration(described["temperature"]),
            "limits": [*LIMITS, *(each for each in cautions(self.comparison.board) if not each.startswith("Data: "))],
            "licenses": self._licenses(),
            "provenance": self._provenance(),
            "command": "tdmr search --space space.yaml",
        }

    @property
    def _objective(self) -> str:
        return self.comparison.board.objective

    def _classes(self, names: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Return the numbers of images of each class: of the data set, or else of the shipped trial's own labels."""
        splits = ("train", "val", "test")
        summary = next((each.data_summary for each in self.comparison.searches if each.data_summary), None)
        if summary is not None:
            known = summary.classes
            return [(name, [str(known[name][each]) if name in known else "-" for each in splits]) for name in names]
        counts = self.record.label_counts
        own = [counts[each] if len(counts.get(each, ())) == len(names) else ["-"] * len(names) for each in splits]
        return [(name, [str(each[index]) for each in own]) for index, name in enumerate(names)]

    def _data_lines(self) -> list[str]:
        summary = next((each.data_summary for each in self.comparison.searches if each.data_summary), None)
        if summary is None:
            return ["These are the labels of the trial whose weights ship."] if self.record.label_counts else []
        lines = [f"{summary.unlabeled} more images without labels joined the training"] if summary.unlabeled else []
        lines += [f"left out: {count} {reason}" for reason, count in summary.ignored.items()]
        if summary.near_duplicates:
            lines.append(f"{len(summary.near_duplicates)} pairs of near-identical images are in different splits")
        if summary.groups:
            lines.append(f"{summary.groups} groups of several images, none of which straddles splits that were drawn")
        return lines

    def _protocol(self) -> list[str]:
        figures = self.model.figures
        lines = [
            f"Everything was chosen by {self._objective} on val. Test was read after the search and decided nothing.",
            f"{figures.val.n} seeds drew the labelled images, the division into train and val and the initial weights "
            f"anew, and trained for {figures.steps:.0f} steps on average.",
        ]
        if self.record.phase == "refit":
            used = (
                "all labels, those of test included" if self.config.data.join == "all" else "the labels of val as well"
            )
            lines.append(f"The shipped weights are those of seed {self.record.seed}, trained again with {used}.")
        else:
            lines.append(f"The shipped weights are those of seed {self.record.seed}, the best on val.")
        return lines

    def _metrics(self) -> list[tuple[str, str]]:
        figures = self.model.figures
        rows = [(f"{self._objective} (objective)", _interval(figures.final, self._objective))]
        for name in METRICS:
            found = figures.metrics.get(f"{self._split}/{name}")
            if found is not None and name != self._objective:
                rows.append((name, _interval(found, name)))
        own = self.record.metrics.get(f"test/{self._objective}")
        if own is not None:
            rows.append((f"{self._objective} of the shipped weights alone", _number(own, self._objective)))
        return rows

    def _metrics_note(self) -> str:
        seeds = self.model.figures.val.n
        images = f" and {self.model.row.num_test_images} test images" if self.model.row.num_test_images else ""
        if seeds < 3:
            return f"Means over {seeds} seeds{images}; fewer than three seeds have no interval."
        return f"Means over {seeds} seeds{images}, with 95 % confidence intervals in brackets."

    def _rivals(self) -> list[list[str]]:
        row, objective = self.model.row, self._objective
        return [
            [name, spread(control.final, objective), gain_cell(control.final_gain, objective)]
            for name, control in row.controls.items()
        ]

    def _rivals_note(self) -> str:
        row, objective = self.model.row, self._objective
        sign = 1 if METRICS[objective].greater_is_better else -1
        small = {name: each for name, each in row.controls.items() if each.ships}
        ours = f"TDMR ({row.name}): {spread(row.final, objective)} on test."
        if not small:
            return ours
        name, best = max(small.items(), key=lambda item: sign * item[1].val.mean)
        gain = best.final_gain
        made = "" if self.method == TDMR else f" This model was made by {self.method}."
        return f"{ours} Against {name}, its best rival on val: {difference(gain, objective)}.{made}"

    def _calibration(self, temperature: float) -> list[str]:
        path = self.folder / CALIBRATION
        known = ModelReliability.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None
        if known is None and temperature == 1:
            return ["Its probabilities are not calibrated."]
        lines = [f"The softmax has temperature {temperature:.4g}, fitted to val (Guo et al. 2017)."]
        if known is not None and known.test is not None:
            error = f"{100 * known.test.error:.1f} points on {known.test.num_images} images of test"
            lines.append(f"The expected calibration error with it is {error}.")
        found = self.model.figures.metrics.get(f"{self._split}/log_loss")
        if found is not None:
            lines.append(f"The log loss on test before this temperature is {_interval(found, 'log_loss')}.")
        return lines

    def _licenses(self) -> list[tuple[str, str]]:
        config = self.config
        rows = [
            (f"foundation {each.name}", describe_license(foundation_license(each.name, each.weights), each.weights))
            for each in config.foundation.networks
            if each.name and self.record.pair.foundation
        ]
        start = config.target.weights
        stated = describe_license(self.license, start) if start else "random initial weights"
        return [*rows, (f"target {config.target.name}", stated)]

    def _provenance(self) -> list[tuple[str, str]]:
        record = self.record
        known = {
            "trial": record.id,
            "SHA-256 of the weights": weights_digest(self.folder) or "",
            "SHA-256 of the foundation's weights": record.weights,
            "SHA-256 of the target's initial weights": record.target_weights,
            "SHA-256 of images, labels and split": record.data,
            "trained on": f"{record.device}, {record.precision}, {record.threads} threads",
            "finished": record.ended,
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        }
        return [(name, value) for name, value in known.items() if value]


def _number(value: float, objective: str) -> str:
    return f"{percent(value)} %" if unit(objective) == "%" else f"{value:.3f} nats"


def _interval(found: Estimate | None, objective: str) -> str:
    if found is None:
        return "-"
    text = _number(found.mean, objective)
    if found.low is None or found.high is None:
        return text
    scale, digits = scale_of(objective), 1 if unit(objective) == "%" else 3
    return f"{text} [{scale * found.low:.{digits}f}, {scale * found.high:.{digits}f}]"
