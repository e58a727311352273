"""Download the files that a report reads from remote storage, such as `s3://`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tdmr_ray.deploy.artifact import ARTIFACTS
from tdmr_ray.run_layout import CALIBRATION, ENVIRONMENT, RECORDS, SPACE, TARGETS, VISUALIZATIONS
from tdmr_ray.storage import StoragePath, is_remote

READ = {CALIBRATION, RECORDS, TARGETS, SPACE, ENVIRONMENT, VISUALIZATIONS, ARTIFACTS}
"""Names of the files that a report reads."""


@contextmanager
def fetched(location: str) -> Iterator[Path]:
    """Provide an output directory as a local directory; a remote one is downloaded and removed afterwards.

    Args:
        location: A path, or a URI that pyarrow supports.

    Raises:
        OSError: If the storage cannot be reached.
    """
    if not is_remote(location):
        yield Path(location)
        return
    remote = StoragePath(location)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / Path(remote.path).name
        folder.mkdir()
        remote.fetch(folder, READ.__contains__)
        yield folder
