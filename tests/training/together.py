"""One of several processes that reprogram together; started by `test_workers.py`.

python together.py RANK COUNT FOLDER
"""

import sys
from pathlib import Path

import torch
from torch import distributed

from tdmr_ray.data.loading import load_task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run
from tdmr_ray.training.teacher_artifact import make_teacher
from tdmr_ray.training.workers import joined_workers

NUM_STEPS = 20


def config_of_steps() -> TrialConfig:
    """Reprogramming in which each epoch is one step, so that its history has the loss of every step."""
    return TrialConfig().with_values(
        {
            "data.shots": 5,
            "foundation.name": "glyph_cnn",
            "prompt.size_px": 2,
            "reprogram.batch_size": 501,
            "reprogram.epochs": NUM_STEPS,
            "outputs.num_views": 2,
            "outputs.view_averaging": 0.5,
            "target.name": "lcnet_035",
            "distill.epochs": 2,
        }
    )


def main(rank: int, count: int, folder: Path) -> None:
    """Make an artifact, start to distil from it, and save both."""
    torch.set_num_threads(1)
    if count > 1:
        distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=count)
    workers, config = joined_workers(), config_of_steps()
    assert (workers.rank, workers.count) == (rank, count)
    task = load_task(config.data)
    artifact = make_teacher(config, task, workers)
    run = Run(config, task, lambda config, task: artifact, workers)
    epochs = [run.run_epoch() for _ in range(2)]
    assert artifact.outputs is not None
    torch.save(
        {
            "losses": [row["reprogram/loss"] for row in artifact.history[1:]],
            "val": [row["reprogram/val_top1"] for row in artifact.history],
            "logits": torch.from_numpy(artifact.outputs.logits).float(),
            "epochs": [{name: value for name, value in row.items() if "images_per_s" not in name} for row in epochs],
            "weights": run.state()["training"]["best"]["weights"]["weights"],
        },
        folder / f"{rank}-of-{count}.pt",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
