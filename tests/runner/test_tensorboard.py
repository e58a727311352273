"""Event files of trials that have ended."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tdmr_ray.records import Note, Pair, TrialRecord
from tdmr_ray.runner.tensorboard import TensorBoardLog, trial_folder
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig


def test_a_later_note_is_added_to_the_directory_of_its_trial(tmp_path: Path) -> None:
    config = TrialConfig(seed=3)
    record = TrialRecord(
        id="x",
        phase="confirm",
        pair=Pair(foundation="f", target="t"),
        config=config.model_dump(mode="json"),
        state="complete",
        seed=3,
        seconds=1.0,
        notes=(Note(kind="weak_teacher", text="the teacher reaches 0.800 on val"),),
    )
    TensorBoardLog(tmp_path / "tb", Store(tmp_path / "store"), "val/top1").noted(record)
    folder = tmp_path / "tb" / trial_folder(record, config)
    assert folder.parent.name == "f-t"
    events = EventAccumulator(str(folder))
    events.Reload()
    (written,) = events.Tensors("notes/text_summary")
    assert b"the teacher reaches 0.800 on val" in written.tensor_proto.string_val[0]
