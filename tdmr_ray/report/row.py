"""One row of a leaderboard, the rivals it is compared with, and the models that may ship."""

from dataclasses import dataclass, field
from typing import Any

from tdmr_ray.records import TDMR
from tdmr_ray.report.statistics import Estimate


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of a finalist or rival over its seeds.

    Attributes:
        val: Objective on val.
        test: Objective on test; None if not confirmed.
        refit: Objective on test after a refit with the labels of val; None without one.
        cv: Objective on the folds of a cross-validation; None without one.
        steps: Mean number of optimisation steps.
        refit_steps: The same of the refit.
        metrics: All metrics by name, such as `val/log_loss`, `test/auroc` and `refit/top1`.
        recipe: Hash of what was trained.
        tied: Whether no other model is significantly better on val; see `not_significantly_beaten`.
    """

    val: Estimate
    test: Estimate | None
    refit: Estimate | None = None
    cv: Estimate | None = None
    steps: float = 0.0
    refit_steps: float = 0.0
    metrics: dict[str, Estimate] = field(default_factory=dict)
    recipe: str = ""
    tied: bool = False

    @property
    def final(self) -> Estimate | None:
        """Objective on test of what ships: after the refit, if there is one."""
        return self.refit or self.test


@dataclass(frozen=True, kw_only=True)
class Control(Figures):
    """A rival that a finalist is compared with.

    Attributes:
        ships: Whether it is a small model that may be recommended.
        lr: Learning rate that was chosen for it; None if it has none.
        gain: The finalist's result on test minus the rival's, paired by seed and image.
        refit_gain: The same after the refit.
        p_value: p value of the gain, corrected for all comparisons of the leaderboard; None with under three seeds.
    """

    gain: Estimate | None
    refit_gain: Estimate | None = None
    p_value: float | None = None
    ships: bool = False
    lr: float | None = None

    @property
    def final_gain(self) -> Estimate | None:
        """The finalist's gain over the rival in what ships."""
        return self.refit_gain or self.gain


@dataclass(frozen=True, kw_only=True)
class Row(Figures):
    """One finalist, or the best trial of a pair's search where nothing is confirmed.

    Attributes:
        foundation: Model name.
        target: Model name.
        confirmed: Whether the figures come from the confirmation; otherwise from one trial of the search.
        teacher_val: Accuracy of the teacher on val.
        controls: Rivals by name.
        values: Values of the searched parameters.
        num_trials: Number of trials in the pair's search, by state.
        search_seconds: Total run time of the pair's search trials.
        cost: `params`, `macs`, `latency_ms` and `latency_p95_ms` of the target, as far as they were measured.
        front: Costs for which no other row has both a better result on val and a lower cost.
        num_test_images: Number of test images; 0 if not confirmed.
    """

    foundation: str
    target: str
    confirmed: bool
    teacher_val: float | None
    controls: dict[str, Control] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    num_trials: dict[str, int] = field(default_factory=dict)
    search_seconds: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)
    front: tuple[str, ...] = ()
    num_test_images: int = 0

    @property
    def name(self) -> str:
        """Name for display."""
        return f"{self.foundation} -> {self.target}"

    @property
    def teacher_below_scratch(self) -> bool:
        """Whether the teacher is less accurate on val than the target trained from scratch."""
        scratch = self.controls.get("scratch")
        known = scratch.metrics.get("val/top1") if scratch else None
        return known is not None and self.teacher_val is not None and self.teacher_val < known.mean


@dataclass(frozen=True)
class Model:
    """A small model that may be recommended: a finalist, or a rival with a target of its own.

    Attributes:
        method: `tdmr` or the name of the rival.
        row: The finalist, or the one that the rival is compared with.
    """

    method: str
    row: Row

    @property
    def figures(self) -> Figures:
        """The figures of the finalist or rival."""
        return self.row if self.method == TDMR else self.row.controls[self.method]
