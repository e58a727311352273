"""Measure how many machines one driver can serve, with empty trials through as many actors as they would run.

Run:    python benchmarks/many_nodes.py
Cost:   about 6 minutes and 16 GB on 2 cores of an otherwise idle machine.
Result: results/many_nodes.json and .md: results (epochs of trials) per second, by number of actors.

Ray is started with that many cores. The actors are real processes on this machine that only report. They use the
driver's cores, so the result is a lower bound for a driver with cores of its own. An epoch of a real trial takes a
second or more: a driver that handles R results per second serves at least R actors.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from ray.cluster_utils import Cluster

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.driver_overhead import EPOCHS, measure
from benchmarks.results_file import show_and_keep
from tdmr_ray.report.statistics import Estimate

NAME = "many_nodes"
ACTORS = (4, 16, 64)


def measure_with(actors: int, trials: int) -> tuple[list[float], list[float], list[int]]:
    """Run `measure` in a Ray that is started with this many cores."""
    ray = Cluster(initialize_head=True, head_node_args={"num_cpus": actors, "include_dashboard": False})
    return measure(trials, "ten", ray.address)


def main(
    trials: Annotated[int, typer.Option(min=200, help="Minimum number of trials; at least 40 for each actor.")] = 1000,
    most: Annotated[int, typer.Option(min=ACTORS[0], help="Largest number of actors.")] = ACTORS[-1],
) -> None:
    """Measure each number of actors in a fresh process, once all of them have started; print and keep the figures."""
    lines = ["| actors | results/s | trials/s | driver's CPU ms per result |", "|--:|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for actors in (each for each in ACTORS if each <= most):
            wall_s, cpu_s, _ = pool.submit(measure_with, actors, max(trials, 40 * actors)).result()
            first = len(wall_s) // 2
            rate = (len(wall_s) - first - 1) / (wall_s[-1] - wall_s[first])
            cpu_ms = 1000 * (cpu_s[-1] - cpu_s[first]) / (len(wall_s) - first - 1) / EPOCHS
            figures[f"results_per_s_{actors}_actors"] = EPOCHS * rate
            lines.append(f"| {actors} | {EPOCHS * rate:.0f} | {rate:.0f} | {cpu_ms:.1f} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
