"""Sizes of the GPU measurements: those of a real search, and tiny ones that check the script on a CPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        teachers: timm names of the foundations; the last one also serves the whole search.
        targets: timm names of the targets; the first one also serves packing and batching.
        px: Side of the images, of the teachers' input and of the targets' input.
        num_classes: C.
        num_views: Views of each image with stored teacher outputs.
        batch: Images in a training batch.
        steps: Training steps in an epoch.
        epochs: Epochs of a trial.
        teacher_batch: Images in a batch of a teacher.
        gemm: Side of the square matrices for the GEMM peak.
        copy_bytes: Size of the block that is copied for the copy peak.
        seconds: Length of one measurement.
        window_s: Length of one measurement with several processes.
        packed: Numbers of processes that share the card.
        stacked: Numbers of trials in one batched program.
        memory_batch: Images in the batch that does not fit into the limited memory.
        search_images: Training images of the whole search.
        search_trials: Its trials.
        search_epochs: Their epochs.
        backend: Backend of `torch.compile`.
    """

    teachers: tuple[str, ...] = ("vit_small_patch16_224", "vit_base_patch16_224")
    targets: tuple[str, ...] = ("mobilenetv3_small_050", "mobilenetv3_large_100", "tf_efficientnet_lite0")
    px: int = 224
    num_classes: int = 10
    num_views: int = 8
    batch: int = 64
    steps: int = 8
    epochs: int = 30
    teacher_batch: int = 256
    gemm: int = 8192
    copy_bytes: int = 2**32
    seconds: float = 1.5
    window_s: float = 6.0
    packed: tuple[int, ...] = (1, 2, 4, 8, 16)
    stacked: tuple[int, ...] = (2, 4, 8, 16)
    memory_batch: int = 256
    search_images: int = 1024
    search_trials: int = 16
    search_epochs: int = 10
    backend: str = "inductor"


FULL = Sizes()
TINY = Sizes(
    teachers=("vit_tiny_patch16_224",),
    targets=("mobilenetv3_small_050",),
    px=32,
    num_views=2,
    batch=8,
    steps=2,
    epochs=2,
    teacher_batch=4,
    gemm=256,
    copy_bytes=2**22,
    seconds=0.1,
    window_s=1.0,
    packed=(1, 2),
    stacked=(2,),
    memory_batch=16,
    search_images=24,
    search_trials=2,
    search_epochs=1,
    backend="eager",
)
"""Everything at toy size; the figures mean nothing."""
