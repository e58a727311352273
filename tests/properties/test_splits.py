"""Any labels and groups are divided as promised, or refused with a message."""

import numpy as np
from helpers.refusals import result_of
from hypothesis import given
from hypothesis import strategies as st

from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.splits import split_dataset


@given(
    labels=st.lists(st.integers(UNLABELED, 3), min_size=1, max_size=80),
    groups=st.none() | st.integers(1, 30),
    shots=st.none() | st.integers(1, 4),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 5)),
    join=st.sampled_from(["none", "val", "all"]),
)
def test_splits_are_disjoint_and_groups_stay_whole(
    labels: list[int], groups: int | None, shots: int | None, seeds: tuple[int, int, int], join: str
) -> None:
    given_labels = np.array(labels)
    of_group = None if groups is None else np.arange(len(labels)) % groups
    split_seed, shots_seed, draw = seeds
    chosen = {"split_seed": split_seed, "shots_seed": shots_seed, "draw": draw, "groups": of_group, "join": join}
    found = result_of(lambda: split_dataset(given_labels, shots=shots, **chosen))
    if found is None:
        return
    parts = [found.labeled, found.hidden, found.unlabeled, found.val, found.test]
    rows = np.concatenate(parts)
    assert len(set(rows.tolist())) == len(rows) <= len(labels)
    classes = set(labels) - {UNLABELED}
    for part, is_empty in ((found.labeled, False), (found.val, join != "none"), (found.test, join == "all")):
        assert set(given_labels[part].tolist()) == (set() if is_empty else classes)
    assert set(given_labels[found.unlabeled].tolist()) <= {UNLABELED}
    if of_group is not None:
        learned, held_out = np.concatenate(parts[:3]), np.concatenate(parts[3:])
        assert not set(of_group[learned].tolist()) & set(of_group[held_out].tolist())
        assert not set(of_group[found.val].tolist()) & set(of_group[found.test].tolist())
