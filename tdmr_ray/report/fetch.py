"""Results that lie elsewhere, such as on `s3://`: what a report reads of them is copied here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow import fs

from tdmr_ray.report.folder import ENVIRONMENT, RECORDS, SPACE, TARGETS
from tdmr_ray.training.exhibits import EXHIBITS

READ = {RECORDS, TARGETS, SPACE, ENVIRONMENT, EXHIBITS}


@contextmanager
def fetched(location: str) -> Iterator[Path]:
    """A folder of results by path, or by a URI that pyarrow knows, as a folder of this machine.

    Raises:
        OSError: If the place cannot be reached.
    """
    if "://" not in location:
        yield Path(location)
        return
    system, root = fs.FileSystem.from_uri(location)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / Path(root).name
        folder.mkdir()
        for found in system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True)):
            if found.type == fs.FileType.File and found.base_name in READ:
                target = folder / Path(found.path).relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                fs.copy_files(found.path, str(target), system, fs.LocalFileSystem())
        yield folder
