"""Results that lie elsewhere, such as on `s3://`: what a report reads of them is copied here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tdmr_ray.run_layout import ENVIRONMENT, RECORDS, SPACE, TARGETS, VISUALIZATIONS
from tdmr_ray.storage import StoragePath, is_remote

READ = {RECORDS, TARGETS, SPACE, ENVIRONMENT, VISUALIZATIONS}


@contextmanager
def fetched(location: str) -> Iterator[Path]:
    """A folder of results by path, or by a URI that pyarrow knows, as a folder of this machine.

    Raises:
        OSError: If the place cannot be reached.
    """
    if not is_remote(location):
        yield Path(location)
        return
    place = StoragePath(location)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / Path(place.path).name
        folder.mkdir()
        place.fetch(folder, READ.__contains__)
        yield folder
