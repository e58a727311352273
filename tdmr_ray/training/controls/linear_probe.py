"""Linear probe: the foundation with a linear layer, too large to ship."""

from typing import ClassVar, Literal

from tdmr_ray.data.task import Task
from tdmr_ray.method.alignments import CKAAlignment
from tdmr_ray.method.losses import KLLoss
from tdmr_ray.method.mappings import LinearMapping
from tdmr_ray.method.prompts import BorderPrompt
from tdmr_ray.method.schedules import ConstantSchedule, ScheduleConfig
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig
from tdmr_ray.training.sections import DistillConfig, PseudoLabelsConfig, TargetConfig


class LinearProbe(Control):
    """The foundation with a linear layer, without prompt and without distillation."""

    has_foundation: ClassVar[bool] = True
    has_target: ClassVar[bool] = False
    ships: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    class Config(ControlConfig):
        """Settings of the linear probe: none."""

        kind: Literal["linear_probe"] = "linear_probe"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        unused = {
            "target": TargetConfig(),
            "loss": KLLoss.Config(),
            "alignment": CKAAlignment.Config(),
            "distill": DistillConfig(),
        }
        probe = with_probed_teacher(finalist, ConstantSchedule.Config())
        return probe.model_copy(update={"method": "linear_probe", **unused})


def with_probed_teacher(finalist: TrialConfig, temperature: ScheduleConfig) -> TrialConfig:
    """Return a finalist's trial with a linear probe as teacher and another temperature."""
    return finalist.model_copy(
        update={
            "method": "tdmr",
            "prompt": BorderPrompt.Config(),
            "mapping": LinearMapping.Config(),
            "pseudo_labels": PseudoLabelsConfig(),
            "outputs": finalist.outputs.model_copy(update={"view_averaging": 0.0}),
            "temperature": temperature,
        }
    )
