"""Description of an exception in a record, and the file for its traceback."""

import traceback
from pathlib import Path

import tdmr_ray
from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.storage import StoragePath

PACKAGE = Path(tdmr_ray.__file__).parent


def describe_failure(error: Exception, file: StoragePath) -> str:
    """Describe an exception in one line, and write its traceback to a file.

    Errors of our own speak for themselves; all others get the innermost frame of this package and the file's name.
    """
    if isinstance(error, NonFiniteLoss | InputError):
        return str(error)
    text = " ".join(str(error).split())
    written = write_traceback("".join(traceback.format_exception(error)), file)
    return f"{type(error).__name__}: {text} ({innermost_frame(error)}{written})"


def innermost_frame(error: BaseException) -> str:
    """Return file, line and function of the innermost frame that lies in this package, or else of the innermost."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    frame = (own or frames)[-1]
    path = Path(frame.filename)
    name = path.relative_to(PACKAGE.parent).as_posix() if own else path.name
    return f"{name}:{frame.lineno}, in {frame.name}"


def write_traceback(text: str, file: StoragePath) -> str:
    """Write a traceback; return a phrase that names the file, or '' if it cannot be written."""
    try:
        file.write_bytes(text.encode(errors="backslashreplace"))
    except OSError:
        return ""
    path = Path(file.path)
    return f"; traceback in {path.parent.name}/{path.name}"
