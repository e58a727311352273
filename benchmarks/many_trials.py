"""Does a search stay light when it is long? Empty trials through Tune, studies, ledger and TensorBoard.

Run:    python benchmarks/many_trials.py             (5,000 trials; --trials 1000 for fewer)
Cost:   about 20 minutes on 2 cores.
Result: results/many_trials.json and .md: the driver's CPU time for a trial and its memory after 100, 1,000 and 5,000.

Trials train nothing and answer at once with a curve that their learning rate decides, so all that is measured is ours
and Ray Tune's. Two pairs, four continuous parameters, TPE, early stopping.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from ray import tune
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, write_results
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.runner.asha import PairAsha, Rungs
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.events import Listener
from tdmr_ray.runner.folders import Folders
from tdmr_ray.runner.jobs import Job
from tdmr_ray.runner.loop import run_jobs
from tdmr_ray.runner.progress import SEARCH, Progress
from tdmr_ray.runner.search import LedgerWriter
from tdmr_ray.runner.studies import PairStudies
from tdmr_ray.runner.tensorboard import TensorBoardLog
from tdmr_ray.space import Space
from tdmr_ray.space_file import check_tree
from tdmr_ray.store import Store

NAME = "many_trials"
MARKS = (100, 1000, 5000)
WINDOW = 100
"""Trials before a mark over which the time is averaged."""
EPOCHS = 3


def empty_space(trials: int) -> Space:
    """Two pairs and four continuous parameters."""
    ranges = ("distill.lr", "temperature.start", "distill.alignment_weight", "distill.weight_decay")
    tree = {
        "name": NAME,
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035", "lcnet_050"]},
        "budget": {"trials": trials, "epochs": EPOCHS},
        "search": {name: {"low": 0.001, "high": 0.1} for name in ranges},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


class EmptyTrial(tune.Trainable):
    """Answers as `TrialActor` does, without work."""

    def setup(self, config: dict[str, Any]) -> None:
        """Tune's word for a fresh process."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Tune's word for a further trial."""
        self.job, self.epoch = new_config, 0
        return True

    def step(self) -> dict[str, Any]:
        """An epoch."""
        self.epoch += 1
        score = 1 - abs(self.job["config"]["distill"]["lr"] - 0.05) - 0.1 / self.epoch
        metrics = {"epoch": self.epoch, "val/top1": score}
        facts = {"id": self.job["id"], "pair": self.job["pair"], "seconds": 0.0}
        return {
            **facts,
            "metrics": metrics,
            "epoch": self.epoch,
            "error": "",
            "earlier": [],
            "done": self.epoch == EPOCHS,
        }


class Watch(Listener):
    """A listener that notes the driver's CPU seconds and memory whenever a trial ends."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.cpu_s: list[float] = []
        self.bytes: list[int] = []

    def ended(self, job: Job, record: TrialRecord) -> None:
        """One more."""
        times = self.process.cpu_times()
        self.cpu_s.append(times.user + times.system)
        self.bytes.append(self.process.memory_info().rss)


def measure(trials: int) -> Watch:
    """Run empty trials in a temporary folder."""
    space, watch = empty_space(trials), Watch()
    with tempfile.TemporaryDirectory() as root, ray_session(None, verbose=False):
        folders, store = Folders(Path(root)), Store(Path(root) / "store")
        studies = PairStudies(space)
        progress = Progress(Console(width=120), "val/top1")
        progress.begin(SEARCH, list(studies.studies), trials)
        rungs = Rungs(EPOCHS)
        board = TensorBoardLog(folders.tensorboard, store, "val/top1")
        run_jobs(
            studies,
            resources=space.resources,
            store=store.local,
            folders=folders,
            objective="val/top1",
            listeners=(LedgerWriter(folders, rungs.epochs), board, progress, watch),
            halts=(),
            scheduler=PairAsha(rungs, "val/top1"),
            trainable=EmptyTrial,
        )
        progress.stop()
    return watch


def main(trials: Annotated[int, typer.Option(min=2 * WINDOW)] = MARKS[-1]) -> None:
    """Measure, print and keep."""
    watch = measure(trials)
    lines = ["| trials so far | driver's CPU ms for a trial | driver's memory, MB |", "|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    for mark in (each for each in MARKS if each <= trials):
        first = mark - WINDOW
        spent = watch.cpu_s[mark - 1] - (watch.cpu_s[first - 1] if first else watch.cpu_s[0])
        figures[f"ms_per_trial_at_{mark}"] = 1000 * spent / (WINDOW - (not first))
        figures[f"memory_mb_at_{mark}"] = watch.bytes[mark - 1] / 1e6
        ms, megabytes = figures[f"ms_per_trial_at_{mark}"], figures[f"memory_mb_at_{mark}"]
        lines.append(f"| {mark} | {ms:.0f} | {megabytes:.0f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (FOLDER / f"{NAME}.md").write_text(text, encoding="utf-8")
    print(write_results(NAME, figures))


if __name__ == "__main__":
    typer.run(main)
