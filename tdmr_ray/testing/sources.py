"""The contract of data sources."""

from collections.abc import Callable

import numpy as np
import pytest

from tdmr_ray.data.listing import Listing
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL


class SourceContract:
    """Contract of a data source; override the fixture `list_again`."""

    @pytest.fixture
    def list_again(self) -> Callable[[], Listing]:
        """Return a function that lists the same small data set on each call."""
        raise NotImplementedError("override the fixture list_again")

    def test_there_is_a_label_a_split_and_a_name_for_each_image(self, list_again: Callable[[], Listing]) -> None:
        listing = list_again()
        assert len(listing.names) == len(listing.labels) == len(listing.splits) > 0
        assert len(set(listing.names)) == len(listing.names)
        assert len(listing.groups) in (0, len(listing.names))

    def test_labels_are_classes_or_none(self, list_again: Callable[[], Listing]) -> None:
        listing = list_again()
        assert len(set(listing.class_names)) == len(listing.class_names) >= 2
        assert listing.labels.dtype == np.int64
        assert set(listing.labels.tolist()) <= {UNLABELED, *range(len(listing.class_names))}

    def test_splits_are_known(self, list_again: Callable[[], Listing]) -> None:
        assert set(list_again().splits.tolist()) <= {ANY, TRAIN, VAL, TEST}

    def test_every_image_opens(self, list_again: Callable[[], Listing]) -> None:
        listing = list_again()
        for row in range(len(listing.names)):
            assert read_image(listing.open(row), InputFormat(16)).shape == (3, 16, 16)

    def test_the_same_images_have_the_same_order_and_key(self, list_again: Callable[[], Listing]) -> None:
        one, other = list_again(), list_again()
        assert list(one.names) == list(other.names)
        assert one.labels.tolist() == other.labels.tolist()
        assert one.key == other.key != ""
