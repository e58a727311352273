"""One row of a leaderboard, and the controls it is compared with."""

from dataclasses import dataclass, field
from typing import Any

from tdmr_ray.report.statistics import Estimate


@dataclass(frozen=True)
class Control:
    """A control that a finalist is compared with.

    Attributes:
        val: Accuracy on val.
        test: Accuracy on test.
        gain: The finalist's accuracy on test minus the control's, paired by seed.
        p_value: p value of the gain, corrected for all comparisons of the leaderboard; None with fewer than two seeds.
    """

    val: Estimate
    test: Estimate
    gain: Estimate | None
    p_value: float | None = None


@dataclass(frozen=True)
class Row:
    """One finalist, or the best trial of a pair's search where nothing is confirmed.

    Attributes:
        foundation: Model name.
        target: Model name.
        confirmed: Whether the figures come from the confirmation; otherwise from one trial of the search.
        val: Accuracy on val.
        test: Accuracy on test; None if not confirmed.
        teacher_val: Accuracy of the teacher on val.
        controls: Controls by name.
        values: Values of the searched parameters.
        num_trials: Number of trials in the pair's search, by state.
        search_seconds: Total run time of the pair's search trials.
        cost: `params`, `macs`, `latency_ms` and `latency_p95_ms` of the target, as far as they were measured.
        front: Costs for which no other row has both a higher accuracy on val and a lower cost.
        tied: Whether no other row is significantly better on val; see `not_significantly_beaten`.
        num_test_images: Number of test images; 0 if not confirmed.
    """

    foundation: str
    target: str
    confirmed: bool
    val: Estimate
    test: Estimate | None
    teacher_val: float | None
    controls: dict[str, Control] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    num_trials: dict[str, int] = field(default_factory=dict)
    search_seconds: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)
    front: tuple[str, ...] = ()
    tied: bool = False
    num_test_images: int = 0

    @property
    def name(self) -> str:
        """Name for display."""
        return f"{self.foundation} -> {self.target}"

    @property
    def teacher_below_scratch(self) -> bool:
        """Whether the teacher is worse on val than the target trained from scratch."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.teacher_val is not None and self.teacher_val < scratch.val.mean

    @property
    def below_scratch(self) -> bool:
        """Whether the finalist is worse on val than the target trained from scratch."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.val.mean < scratch.val.mean

    @property
    def below_scratch_on_test(self) -> bool:
        """Whether the finalist is worse on test than the target trained from scratch; nothing is chosen by this."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.test is not None and self.test.mean < scratch.test.mean
