"""Does a search stay light when it is long? Empty trials through Tune, studies, ledger and TensorBoard.

Run:    python benchmarks/many_trials.py             (5,000 trials; --trials 1000 for fewer)
Cost:   7 minutes on 2 cores, which must have nothing else to do.
Result: results/many_trials.json and .md: the driver's CPU time for a trial and its memory after 100, 1,000 and 5,000.

Trials train nothing and answer at once with a curve that their learning rate decides, so all that is measured is ours
and Ray Tune's: four continuous parameters, TPE, early stopping. Ten pairs, then two, whose studies are five times as
long.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from ray import tune
from ray.cloudpickle import register_pickle_by_value
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
FOUNDATIONS = ("glyph_cnn", "glyph_vit")
TARGETS = ("lcnet_035", "lcnet_050", "lcnet_075", "mobilenetv3_small_050", "mobilenetv3_small_075")
PAIRS = {"ten": (FOUNDATIONS, TARGETS), "two": (FOUNDATIONS, TARGETS[:1])}


def empty_space(trials: int, pairs: str) -> Space:
    """Four continuous parameters for each of ten or two pairs."""
    ranges = ("distill.lr", "temperature.start", "distill.alignment_weight", "distill.weight_decay")
    tree = {
        "name": NAME,
        "data": {"name": "digits", "shots": 5},
        "pairs": dict(zip(("foundations", "targets"), PAIRS[pairs], strict=True)),
        "budget": {"trials": trials, "epochs": EPOCHS, "allocation": "equal"},
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


def measure(trials: int, pairs: str) -> tuple[list[float], list[int]]:
    """Run empty trials in a temporary folder; this process's CPU seconds and bytes when each ended."""
    space, watch = empty_space(trials, pairs), Watch()
    register_pickle_by_value(sys.modules[__name__])  # Ray's workers cannot import the script of a spawned process
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
            store=store,
            folders=folders,
            objective="val/top1",
            listeners=(LedgerWriter(folders, rungs.epochs), board, progress, watch),
            halts=(),
            scheduler=PairAsha(rungs, "val/top1"),
            trainable=EmptyTrial,
        )
        progress.stop()
    return watch.cpu_s, watch.bytes


def figures_at(mark: int, cpu_s: list[float], memory: list[int]) -> tuple[float, float]:
    """Milliseconds for a trial over the last `WINDOW` before a mark, and megabytes."""
    first = max(1, mark - WINDOW)
    return 1000 * (cpu_s[mark - 1] - cpu_s[first - 1]) / (mark - first), memory[mark - 1] / 1e6


def main(trials: Annotated[int, typer.Option(min=2 * WINDOW)] = MARKS[-1]) -> None:
    """Measure, each number of pairs in a process of its own; print and keep."""
    lines = ["| pairs | trials so far | driver's CPU ms for a trial | driver's memory, MB |", "|---|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for pairs in PAIRS:
            spent = pool.submit(measure, trials, pairs).result()
            for mark in (each for each in MARKS if each <= trials):
                ms, megabytes = figures_at(mark, *spent)
                figures |= {f"{pairs}_pairs_ms_at_{mark}": ms, f"{pairs}_pairs_mb_at_{mark}": megabytes}
                lines.append(f"| {pairs} | {mark} | {ms:.0f} | {megabytes:.0f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (FOLDER / f"{NAME}.md").write_text(text, encoding="utf-8")
    print(write_results(NAME, figures))


if __name__ == "__main__":
    typer.run(main)
