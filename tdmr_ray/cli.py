"""The installed command `tdmr`, and what every command line shares: exit codes, and errors without a traceback."""

import errno
import importlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from tdmr_ray import __version__
from tdmr_ray.errors import InputError, SearchStopped

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

COMMANDS: Mapping[str, str] = {
    "init": "tdmr_ray.init",
    "search": "tdmr_ray.search",
    "train": "tdmr_ray.train",
    "leaderboard": "tdmr_ray.leaderboard",
    "repair": "tdmr_ray.repair",
    "data": "tdmr_ray.data_summary",
    "predict": "tdmr_ray.predict",
    "export": "tdmr_ray.export",
    "push": "tdmr_ray.push",
}
"""Module of each sub-command; it holds a function with the command's name and is imported when it is needed."""


class LazyCommands(TyperGroup):
    """The sub-commands of `COMMANDS`, each imported when it is run or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order in which the help lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a sub-command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        function = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return typer.main.get_command(_app_of(function, name=cmd_name))


app = typer.Typer(
    name="tdmr",
    cls=LazyCommands,
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reprogram a vision foundation model with your images, distil it into a small network, and search for how.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tdmr_ray {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `tdmr`."""
    with _exit_codes():
        app()


def run_command(command: Callable[..., Any]) -> None:
    """Run one command, for `python -m tdmr_ray.NAME`."""
    with _exit_codes():
        _app_of(command)()


def _app_of(command: Callable[..., Any], name: str | None = None) -> typer.Typer:
    own = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    own.command(name)(_interruptible(command))
    return own


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say how to go on after a signal; click would take the exception and its text."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as stop:  # also SIGTERM and SIGHUP, see `runner/interrupt.py`
            if str(stop):
                typer.echo(str(stop), err=True)
            _leave(INTERRUPTED)

    return run


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads and for what libraries do at exit; a grace period may be over."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Exit with 2 and one message for the user's errors, 1 for others' faults, and 130 for Ctrl-C."""
    show_warnings()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    threading.excepthook = _fail_in_thread
    try:
        yield
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror}; finished trials are safe: make room, then continue with --resume", FAILED)
    except SearchStopped as error:
        _fail(str(error), FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stderr` is when a record comes."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.WARNING)

    @property
    def stream(self) -> Any:
        return sys.stderr


def show_warnings() -> None:
    """Show warnings of this package on stderr as plain lines."""
    logger = logging.getLogger("tdmr_ray")
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        logger.addHandler(_Stderr())


def _fail_in_thread(failure: threading.ExceptHookArgs) -> None:
    """Report a thread's exception as usual, except a full disk: the main thread reports that itself."""
    error = failure.exc_value
    if not (isinstance(error, OSError) and error.errno in DISK_FULL):
        threading.__excepthook__(failure)


if __name__ == "__main__":
    main()
