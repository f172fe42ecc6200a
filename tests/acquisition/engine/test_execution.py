"""Watching a run from the thread that takes the signals."""

import os
import signal
import sys
from threading import Event, current_thread, main_thread

import pytest

from acquisition.channel.commands import CommandQueue, Verb
from acquisition.running.execution import execute, interruptible


class Run:
    """Stands for a run that lasts until it is told to end."""

    def __init__(self, result: object = "outcome") -> None:
        self.result = result
        self.end = Event()
        self.threads: list[object] = []
        self.statuses = 0

    def execute(self) -> object:
        self.threads.append(current_thread())
        assert self.end.wait(20.0)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def status(self) -> str | None:
        self.statuses += 1
        if self.statuses >= 3:
            self.end.set()
        return None if self.statuses == 1 else f"status {self.statuses}"


def test_the_run_has_a_thread_of_its_own_and_is_shown_meanwhile():
    run, shown = Run(), []

    assert execute(run, shown.append) == "outcome"
    assert run.threads != [main_thread()]
    assert shown[:2] == ["status 2", "status 3"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_what_the_run_raises_is_raised(error):
    with pytest.raises(type(error)):
        execute(Run(error), lambda _: None)


def test_a_terminal_that_is_gone_does_not_end_the_run():
    run, calls = Run(), []

    def show(status: object) -> None:
        calls.append(status)
        run.end.set()
        raise BrokenPipeError

    assert execute(run, show) == "outcome"
    assert len(calls) == 1


@pytest.fixture
def commands():
    return CommandQueue()


def verbs(commands) -> list[Verb]:
    return [command.verb for command in iter(commands.take, None)]


def test_ctrl_c_twice(commands):
    said: list[str] = []
    with interruptible(commands, said.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    assert verbs(commands) == [Verb.STOP_AFTER_POINT, Verb.STOP_NOW]
    assert "once more" in said[0]


def test_sigterm_stops_now(commands):
    with interruptible(commands, lambda _: None):
        signal.raise_signal(signal.SIGTERM)

    (command,) = iter(commands.take, None)
    assert command.verb is Verb.STOP_NOW
    assert "SIGTERM" in command.text


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP")
def test_a_terminal_that_hangs_up_does_not_end_the_night(commands):
    with interruptible(commands, lambda _: None):
        os.kill(os.getpid(), signal.SIGHUP)

    assert verbs(commands) == []


def test_a_terminal_that_cannot_print_does_not_keep_the_command(commands):
    def say(_: str) -> None:
        raise RuntimeError("reentrant call")

    with interruptible(commands, say):
        signal.raise_signal(signal.SIGINT)

    assert verbs(commands) == [Verb.STOP_AFTER_POINT]


def test_handlers_are_given_back(commands):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with interruptible(commands, lambda _: None):
        assert signal.getsignal(signal.SIGINT) != before[0]

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
