"""Answers to signals, without a search."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.waiting import PATIENCE_S

from tdmr_ray.runner.interrupt import SIGNALS, Interrupt, StopNow, interruptible
from tdmr_ray.runner.quiet_signals import children_in_own_group, kept_handlers


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Leave the handlers of this process as they were; SIGHUP may be ignored, as under `nohup`."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (*SIGNALS, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def advise() -> str:
    return "stopped; continue with --resume"


def run_trials(grace_s: float, *numbers: signal.Signals) -> None:
    """Get signals while trials run that do not end."""
    with interruptible(grace_s, advice=advise) as interrupt, interrupt.in_order():
        for number in numbers:
            signal.raise_signal(number)
        time.sleep(PATIENCE_S)


def init_that_is_stopped() -> None:
    """Replace the handler as `ray.init` does, and get a SIGTERM."""
    with kept_handlers():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_before_trials_a_signal_ends_at_once(number: signal.Signals) -> None:
    with pytest.raises(StopNow, match="continue with --resume"), interruptible(advice=advise):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_lets_trials_end_and_says_so(number: signal.Signals) -> None:
    said: list[str] = []
    with interruptible(25, said.append, advise) as interrupt:
        with interrupt.in_order():
            signal.raise_signal(number)
            assert interrupt.should_stop
            signal.raise_signal(signal.SIGTERM)  # as by `timeout`, which signals twice
            signal.raise_signal(signal.SIGHUP)
        for each in SIGNALS:
            signal.raise_signal(each)  # while the report is written
        interrupt.all_is_written()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    name = "" if number == signal.SIGINT else f"{number.name}: "
    assert said == [f"{name}ending, within 25 s; press Ctrl-C again to stop now"] + [
        "the report is being written; one moment"
    ] * len(SIGNALS)


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_ctrl_c_ends_at_once(first: signal.Signals) -> None:
    with pytest.raises(StopNow, match="--resume"):
        run_trials(25, first, signal.SIGINT)


@pytest.mark.parametrize("grace_s", [0, 0.05])
def test_the_grace_period_ends(grace_s: float) -> None:
    with pytest.raises(StopNow, match="--resume"):
        run_trials(grace_s, signal.SIGTERM)


def test_a_signal_during_the_report_alone_changes_nothing() -> None:
    with interruptible() as interrupt:
        with interrupt.in_order():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.should_stop


def test_an_interrupt_of_a_library_gets_the_advice() -> None:
    with pytest.raises(StopNow, match="--resume"), interruptible(advice=advise):
        raise KeyboardInterrupt


def test_under_nohup_a_lost_terminal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible() as interrupt:
        signal.raise_signal(signal.SIGHUP)
        assert not interrupt.should_stop
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_main_thread_that_does_not_answer_is_left() -> None:
    lines = [
        "import signal, time",
        "import tdmr_ray.runner.interrupt as module",
        "module.LEAVING_S = 0.1",
        "with module.interruptible(0.1, print, lambda: 'continue with --resume') as interrupt, interrupt.in_order():",
        "    signal.raise_signal(signal.SIGTERM)",
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # like a call that never comes back",
        f"    time.sleep({PATIENCE_S})",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (130, "continue with --resume\n")


def test_handlers_outlive_a_call_that_replaces_them() -> None:
    interrupt = Interrupt(advice=advise)
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    with kept_handlers():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
    assert {signal.getsignal(number) for number in SIGNALS} == {interrupt}
    with pytest.raises(StopNow, match="--resume"):
        init_that_is_stopped()
    assert {signal.getsignal(number) for number in SIGNALS} == {interrupt}
    with pytest.raises(SystemExit), kept_handlers():
        sys.exit(1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("own", [True, False])
def test_processes_of_ray_get_groups_of_their_own(own: bool) -> None:
    def start() -> int:
        command = [sys.executable, "-c", "import os; print(os.getpgrp())"]
        return int(subprocess.run(command, preexec_fn=int, capture_output=True, check=True, text=True).stdout)

    if own:
        with children_in_own_group():
            assert start() != os.getpgrp()
    else:
        assert start() == os.getpgrp()


def test_without_its_terminal_a_process_still_ends_in_order(tmp_path: Path) -> None:
    reader, writer = pty.openpty()
    lines = [
        "import os, sys, time",
        "from pathlib import Path",
        "from tdmr_ray.runner.interrupt import interruptible",
        f"terminal = os.open({os.ttyname(writer)!r}, os.O_RDWR)  # a session's first terminal becomes its own",
        "for output in (1, 2): os.dup2(terminal, output)",
        "with interruptible(25, print) as interrupt, interrupt.in_order():",
        "    print('ready', flush=True)",
        "    while not interrupt.should_stop: time.sleep(0.01)",
        "print('to nobody', flush=True)",
        f"Path({str(tmp_path / 'report')!r}).write_text('whole')",
    ]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], start_new_session=True)
    assert b"ready" in os.read(reader, 100)
    for end in (writer, reader):
        os.close(end)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert (tmp_path / "report").read_text() == "whole"
