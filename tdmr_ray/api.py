"""The Python API: load images, reprogram, distil, search, read results, run a model.

Nothing here prints or exits. Wrong input raises `InputError` with all its problems.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import ArrowException
from pydantic import ValidationError
from rich.console import Console

from tdmr_ray.data.decoded import save_task, saved_task_config
from tdmr_ray.data.task import DataConfig, Task
from tdmr_ray.data.task import load_task as load_configured_task
from tdmr_ray.deploy.small_model import SmallModel, load_model
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.output_dir import fetch_earlier, locked_output_dir, open_storage, prepare_output_dir
from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.report.fetch import fetched
from tdmr_ray.report.folder import Comparison, Search, compare, read_search
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RECORDS, RunLayout
from tdmr_ray.runner.decoding_progress import open_images
from tdmr_ray.runner.launch import LaunchOptions, launch_search, open_tasks
from tdmr_ray.runner.weights import check_weights
from tdmr_ray.space import Space
from tdmr_ray.space.messages import rule_of
from tdmr_ray.space.reading import read_space, space_from_dict
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.parameters import all_parameters
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher
from tdmr_ray.training.workers import Metrics
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec

__all__ = [
    "ReprogrammedTeacher",
    "SearchResult",
    "SmallModel",
    "TrialProgress",
    "distill",
    "load_model",
    "load_task",
    "merge_results",
    "read_results",
    "reprogram",
    "run_search",
]

DEFAULT_OUT = Path("runs")
DEFAULT_STORE_GB = 20.0


def load_task(source: str | Path, **options: Any) -> Task:
    """Load, split and decode images.

    Args:
        source: A folder, `csv:FILE`, a built-in name, or any other source of `data.name` in a space file.
        options: Other keys of the `data` section, such as `shots=5` or `image_px=96`.

    Raises:
        InputError: If the source or an option is wrong, or an image is unreadable.
    """
    try:
        config = DataConfig(name=str(source), **options)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {rule_of(each)}" for each in error.errors()]
        raise InputError("load_task", problems) from error
    return load_configured_task(config)


@dataclass(frozen=True)
class ReprogrammedTeacher:
    """A foundation reprogrammed for a task, with its outputs for the training views.

    Attributes:
        config: The trial that made it.
        artifact: Weights, outputs and history.
        fingerprint: Fingerprint of the task.
    """

    config: TrialConfig
    artifact: TeacherArtifact
    fingerprint: str

    @property
    def val_top1(self) -> float:
        """Accuracy on val."""
        return self.artifact.val_top1


def reprogram(
    foundation: str, task: Task, *, mapping: str = "linear", settings: Mapping[str, Any] | None = None
) -> ReprogrammedTeacher:
    """Reprogram a frozen foundation with the labelled images of a task, and store its outputs for the training views.

    Args:
        foundation: Built in (`glyph_vit`), a timm name with weights, `hf-hub:OWNER/MODEL` or `local-dir:FOLDER`.
        task: The images.
        mapping: A key of `tdmr_ray.method.mappings.MAPPINGS`.
        settings: Other parameters by the dotted names of a space file, such as `{"prompt.size_px": 4}`.

    Raises:
        InputError: If a name or a value is wrong, or weights are unavailable.
        NonFiniteLoss: If training diverges.
    """
    values = {"foundation.name": foundation, "mapping.kind": mapping, **(settings or {})}
    config = _configure(TrialConfig(), values, "reprogram")
    try:
        artifact = make_teacher(config, task)
    except InputError:
        raise
    except ValueError as error:
        raise InputError("reprogram", str(error)) from error
    return ReprogrammedTeacher(config, artifact, task.fingerprint)


def distill(
    teacher: ReprogrammedTeacher,
    target: str,
    task: Task,
    *,
    settings: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Metrics], object] = lambda metrics: None,
) -> SmallModel:
    """Distil a teacher into a small network.

    Args:
        teacher: Made by `reprogram` from the same task.
        target: A timm name.
        task: The images.
        settings: Parameters by the dotted names of a space file, such as `{"distill.epochs": 60}`.
        on_epoch: Receives the metrics of every epoch.

    Raises:
        InputError: If a name or a value is wrong, or the teacher was made from other images or settings.
        NonFiniteLoss: If training diverges.
    """
    if teacher.fingerprint != task.fingerprint:
        raise InputError("distill", "the teacher was made from other images; reprogram with this task")
    chosen = dict(settings or {})
    fixed = [name for name in chosen if name.partition(".")[0] in TrialConfig.teacher_sections()]
    if fixed:
        raise InputError("distill", [f"{name}: belongs to the teacher; pass it to reprogram" for name in fixed])
    config = _configure(teacher.config, {"target.name": target, **chosen}, "distill")
    outcome = fit(config, task, on_epoch, provider=lambda config, task: teacher.artifact)
    assert outcome.target is not None, "a distillation has a target"
    image_px = config.target.input_px or task.image_px
    return SmallModel(outcome.target.cpu().eval(), task.class_names, image_px, config, outcome.metrics)


def _configure(config: TrialConfig, values: Mapping[str, Any], where: str) -> TrialConfig:
    """Return a configuration with some values changed.

    Raises:
        InputError: With all unknown names, or the first illegal value.
    """
    known = all_parameters()
    unknown = [f"{name}: unknown parameter{near_match(name, known)}" for name in values if name not in known]
    if unknown:
        raise InputError(where, unknown)
    try:
        return config.with_values(values)
    except ValidationError as error:
        details = error.errors()[0]
        raise InputError(where, f"{'.'.join(map(str, details['loc']))}: {rule_of(details)}") from error


@dataclass(frozen=True)
class TrialProgress:
    """Progress of a search: a trial has completed an epoch.

    Attributes:
        trial: Id of its record.
        phase: `search` or `confirm`.
        pair: Name of its pair.
        epoch: Epochs that it has completed.
        num_epochs: Epochs that it may run.
        metrics: Metrics of the epoch.
    """

    trial: str
    phase: str
    pair: str
    epoch: int
    num_epochs: int
    metrics: Metrics


class _ProgressListener(Listener):
    def __init__(self, on_progress: Callable[[TrialProgress], object]) -> None:
        self.on_progress = on_progress

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        epoch, last = int(metrics["epoch"]), spec.config.num_epochs
        self.on_progress(TrialProgress(spec.id, spec.phase, spec.pair.name, epoch, last, metrics))


@dataclass(frozen=True)
class SearchResult:
    """Results of a search, finished or not.

    Attributes:
        out: Its output directory.
        records: Every trial.
        leaderboard: Rows, best first, and the recommendation.
        interrupted: Whether it ended early; `run_search(..., resume=True)` continues it.
    """

    out: Path
    records: Sequence[TrialRecord]
    leaderboard: Leaderboard
    interrupted: bool = False

    @property
    def models(self) -> dict[str, Path]:
        """Folders of the shipped models, by the name of their pair."""
        best = RunLayout(self.out).best
        return {path.name: path for path in sorted(best.iterdir())} if best.exists() else {}

    @property
    def best(self) -> Path:
        """Folder of the recommended model.

        Raises:
            InputError: If nothing is confirmed, so that nothing is recommended.
        """
        row = self.leaderboard.recommended
        name = Pair(foundation=row.foundation, target=row.target).name if row else ""
        if name not in self.models:
            raise InputError(str(self.out), "recommends no model; confirm at least one finalist (confirm.top: 1)")
        return self.models[name]


def run_search(
    space: str | Path | Mapping[str, Any] | Space,
    *,
    out: str | Path | None = None,
    task: Task | None = None,
    resume: bool = False,
    overrides: Mapping[str, Any] | None = None,
    warm_start: Sequence[str | Path] = (),
    address: str | None = None,
    store: str | Path | None = None,
    store_gb: float = DEFAULT_STORE_GB,
    storage: str | None = None,
    verbose: bool = False,
    on_message: Callable[[str], object] = lambda text: None,
    on_progress: Callable[[TrialProgress], object] | None = None,
    console: Console | None = None,
) -> SearchResult:
    """Search every pair of a space, confirm the best, and write the report.

    Args:
        space: A space file, its content, or a checked space.
        out: Output directory; `runs/NAME-TIME` by default.
        task: Images that replace the space's `data` section, such as `Task.from_arrays(...)`.
        resume: Whether to continue in `out`; finished trials are not run again.
        overrides: Dotted keys and values that replace what a space file says.
        warm_start: Output directories of other searches, whose best configurations are tried first.
        address: Address of a running Ray; None starts one on this machine.
        store: Folder of teachers and decoded images; by default in the user's cache.
        store_gb: Size beyond which the least recently used ones are removed.
        storage: Location that all machines reach, such as `s3://bucket/prefix`.
        verbose: Whether to show Ray's own log.
        on_message: Receives notes and warnings, one line each.
        on_progress: Receives the progress of every trial.
        console: Shows a live table; None shows nothing.

    Raises:
        InputError: If anything that was given is wrong; nothing is started then.
        SearchStopped: If the search cannot continue for an outside reason.
    """
    open_store = partial(_open_store, Path(store) if store else default_store(), store_gb)
    data = _saved_task(task, open_store(None)) if task else None
    plan = _checked_space(space, overrides or {}, data)
    others = [record for earlier in warm_start for record in _records_of(Path(earlier))]
    check_weights(plan)
    shared = open_storage(storage) if storage else None
    root = Path(out) if out else DEFAULT_OUT / f"{plan.name}-{datetime.now():%Y%m%d-%H%M%S}"
    results = shared / root.name if shared else None
    if results:
        fetch_earlier(results, root, resume=resume)
    prepare_output_dir(root, resume=resume)
    teachers = open_store(shared)
    with locked_output_dir(root):
        layout, tasks = RunLayout(root.resolve(), results), open_tasks(teachers)
        for note in open_images(plan, tasks, console).notes:
            on_message(note)
        listeners = (_ProgressListener(on_progress),) if on_progress else ()
        end = launch_search(
            plan,
            layout,
            teachers,
            tasks=tasks,
            on_message=on_message,
            write_reports=partial(_write_reports, layout.root),
            options=LaunchOptions(address, verbose, others, listeners, console),
        )
    return _result(read_search(layout.root), layout.root, interrupted=end.interrupted)


def read_results(out: str | Path) -> SearchResult:
    """Read the output directory of a search.

    Raises:
        InputError: If it holds no records.
    """
    found = read_search(Path(out))
    if not found.records:
        raise InputError(str(out), "holds no records.jsonl of a search; give its output directory")
    return _result(found, Path(out), interrupted=False)


def _result(found: Search, root: Path, *, interrupted: bool) -> SearchResult:
    return SearchResult(root, found.records, compare([found])[0].board, interrupted)


def merge_results(locations: Sequence[str | Path], out: str | Path) -> tuple[list[Comparison], Mapping[str, Path]]:
    """Write one report over several searches.

    Args:
        locations: Output directories of searches, or URIs such as `s3://bucket/prefix/NAME`.
        out: Folder for the report; made if missing.

    Returns:
        A comparison for each set of images, and the report's files by their endings.

    Raises:
        InputError: If a location is unreachable or holds no search.
    """
    searches = [_fetch(str(location)) for location in locations]
    empty = [location for location, found in zip(locations, searches, strict=True) if not found.records]
    if empty:
        rule = f"holds no {RECORDS}; give the output directory of a search"
        raise InputError("leaderboard", [f"{location} {rule}" for location in empty])
    comparisons, target = compare(searches), Path(out)
    target.mkdir(parents=True, exist_ok=True)
    return comparisons, write_reports(comparisons, target)


def _fetch(location: str) -> Search:
    try:
        with fetched(location) as folder:
            return read_search(folder)
    except (OSError, ArrowException) as error:
        reason = str(error).splitlines()[0]
        rule = f"{location} cannot be read: {reason}; check the address and your rights"
        raise InputError("leaderboard", rule) from error


def default_store() -> Path:
    """Return the folder of teachers in the user's cache; they outlive a search."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tdmr_ray" / "teachers"


def _write_reports(root: Path) -> None:
    write_reports(compare([read_search(root)]), root)


def _records_of(folder: Path) -> Sequence[TrialRecord]:
    records = read_search(folder).records
    if not records:
        raise InputError("--warm-start", f"there is no records.jsonl of a search in {folder}; give its --out")
    return records


def _open_store(folder: Path, store_gb: float, shared: StoragePath | None) -> Store:
    return Store(folder.expanduser().resolve(), shared / "teachers" if shared else None, int(store_gb * 1e9))


def _checked_space(
    space: str | Path | Mapping[str, Any] | Space, overrides: Mapping[str, Any], images: DataConfig | None
) -> Space:
    """Return the checked space, with other images in place of its `data` section if they are given."""
    data = {"data": images.model_dump(mode="json")} if images else {}
    if isinstance(space, str | Path):
        return read_space(Path(space), {**data, **overrides})
    tree = space.model_dump(mode="json", exclude_defaults=True) if isinstance(space, Space) else dict(space)
    if overrides:
        raise InputError("run_search", "overrides change a space file; change the dictionary or space itself instead")
    return space_from_dict({**tree, **data})


def _saved_task(task: Task, store: Store) -> DataConfig:
    """Save a task in the store, where every worker finds it."""
    folder = store.add(f"arrays-{task.fingerprint[:16]}", lambda draft: save_task(task, draft))
    return saved_task_config(folder)
