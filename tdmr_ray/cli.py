"""What every command line does alike: exit codes, and errors without a traceback."""

import errno
import sys
import threading
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from tdmr_ray.errors import InputError, SearchStopped

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_command(command: Callable[..., Any]) -> None:
    """Run a typer command: exit 2 with one message for the user's errors, 1 for others' faults, 130 for Ctrl-C."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    threading.excepthook = _fail_in_thread
    try:
        app()
    except InputError as error:
        Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror}; what is finished is safe: make room, then go on with --resume"
        Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAILED)
    except SearchStopped as error:
        Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail_in_thread(failure: threading.ExceptHookArgs) -> None:
    """As usual, but silent about a full disk: TensorBoard's threads hand that to the main one, which says it."""
    error = failure.exc_value
    if not (isinstance(error, OSError) and error.errno in DISK_FULL):
        threading.__excepthook__(failure)
