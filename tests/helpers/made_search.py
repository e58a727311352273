"""Generated results of a search: trials of all kinds with curves, controls and visualizations."""

import base64
import io

import numpy as np
from PIL import Image

from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.report.folder import Search
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.visualizations import Disagreement, Visualizations

COSTS = {
    "lcnet_050": {"params": 6e5, "macs": 2e6, "latency_ms": 1.9, "latency_p95_ms": 2.2},
    "mobilenetv3_small_050": {"params": 5e5, "macs": 9e5, "latency_ms": 2.3, "latency_p95_ms": 2.9},
}
HOSTILE = (
    "<script>document.title='injected'</script>",
    "</script><img src=x onerror=\"document.title='injected'\">",
    "'\"><b>bold</b>&amp;{{ 7 * 7 }}",
    "very long " * 30,
    "\u202eright to left שלום مرحبا",
    "emoji 🐈‍⬛🔥 and\nnew lines\tand tabs",
)
PLAIN = ("cat", "dog", "bird", "fish", "ant", "bee")


def made_search(num_trials: int = 24, *, names: tuple[str, ...] = PLAIN, title: str = "made", seeds: int = 3) -> Search:
    """Generate the results of a search over two foundations and two targets.

    Args:
        num_trials: Number of trials in the search, shared evenly by the four pairs.
        names: Six names, which appear as class names and in other texts.
        title: Title of the search.
        seeds: Number of seeds of each finalist and control.
    """
    rng = np.random.default_rng(0)
    pairs = [
        Pair(foundation=foundation, target=target) for foundation in ("glyph_cnn", "glyph_vit") for target in COSTS
    ]
    records = [_searched(rng, number, pairs[number % 4]) for number in range(num_trials)]
    visualizations: dict[str, Visualizations] = {}
    for index, pair in enumerate(pairs):
        for seed in range(seeds):
            records.append(_confirmed(rng, f"confirm-{index}-{seed}", "tdmr", pair, seed, 0.93 + 0.005 * index))
            visualizations[records[-1].id] = _visualizations(rng, names)
            probe = Pair(foundation=pair.foundation, target="")
            records.append(_confirmed(rng, f"probe-{index}-{seed}", "linear_probe", probe, seed, 0.95))
            scratch = Pair(foundation="", target=pair.target)
            records.append(_confirmed(rng, f"scratch-{index}-{seed}", "scratch", scratch, seed, 0.91))
    failed = records[0].model_copy(update={"id": "failed", "state": "failed", "curve": [], "error": names[0]})
    return Search(
        title, [*records, failed], COSTS, visualizations, space=f"name: {title}\n# {names[1]}", environment="{}"
    )


def _searched(rng: np.random.Generator, number: int, pair: Pair) -> TrialRecord:
    config = TrialConfig().with_values(
        {
            "foundation.name": pair.foundation,
            "target.name": pair.target,
            "prompt.size_px": int(rng.integers(0, 5)) * 2,
            "mapping.kind": str(rng.choice(["linear", "bayesian", "frequency"])),
            "temperature.start": float(rng.uniform(1, 8)),
            "distill.num_stages": int(rng.integers(1, 5)),
        }
    )
    searched = ("prompt.size_px", "mapping.kind", "temperature.start", "distill.num_stages")
    values = {name: config.flat()[name] for name in searched}
    if config.distill.num_stages > 1:
        values["temperature.end"] = float(rng.uniform(1, 4))
    pruned = number % 3 == 2
    best = 0.95 - 0.02 * config.prompt.size_px / 8 - 0.1 * (config.mapping.kind != "linear")
    curve = [round(best * (1 - 0.8 * 0.8**epoch), 4) for epoch in range(1, 11 if pruned else 31)]
    return _record(f"search-{number}", "search", "tdmr", pair, config, 0, number).model_copy(
        update={
            "values": values,
            "state": "pruned" if pruned else "complete",
            "curve": curve,
            "metrics": {"epoch": len(curve), "val/top1": max(curve), "val/log_loss": 0.3},
        }
    )


def _confirmed(rng: np.random.Generator, name: str, role: str, pair: Pair, seed: int, mean: float) -> TrialRecord:
    config = TrialConfig().with_values(
        {"foundation.name": pair.foundation, "target.name": pair.target, "seed": seed, "distill.num_stages": 3}
    )
    val, test = rng.normal(mean, 0.008, 2)
    metrics = {
        "epoch": 30,
        "val/top1": float(val),
        "val/log_loss": 0.3,
        "test/top1": float(test),
        "test/log_loss": 0.3,
        "val/teacher_top1": 0.9,
    }
    confusion = rng.integers(0, 60, (6, 6)).tolist()
    update = {"metrics": metrics, "confusion": confusion, "steps": 1500, "recipe": f"{role} {pair.name}"}
    return _record(name, "confirm", role, pair, config, seed, 1000 + seed).model_copy(update=update)


def _record(name: str, phase: str, role: str, pair: Pair, config: TrialConfig, seed: int, minute: int) -> TrialRecord:
    return TrialRecord(
        id=name,
        phase=phase,  # type: ignore[arg-type]
        role=role,
        pair=pair,
        config=config.model_dump(mode="json"),
        state="complete",
        seed=seed,
        seconds=60.0,
        cpu_hours=1 / 60,
        ended=f"2026-11-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00+00:00",
        data="made",
    )


def _visualizations(rng: np.random.Generator, names: tuple[str, ...]) -> Visualizations:
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    disagreement: Disagreement = {
        "picture": picture,
        "label": names[2],
        "teacher": (names[3], 0.9),
        "target": (names[4], 0.8),
    }
    mapping = [[(f"source {index}", 0.9), (names[5], 0.1)] for index in range(len(names))]
    return {"class_names": list(names), "prompt": picture, "mapping": mapping, "disagreements": [disagreement] * 5}
