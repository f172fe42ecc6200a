"""Running a Run in a thread of its own while this one watches it and takes signals."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from acquisition.commands import Command, CommandQueue, Verb
from acquisition.engine import Outcome
from acquisition.engine_status import EngineStatus
from acquisition.run import Run

__all__ = ["execute", "interruptible"]

LOOK_S = 0.1


def execute(run: Run, show: Callable[[EngineStatus], None]) -> Outcome:
    """Execute the run in its own thread, showing snapshots; raise what it raised."""
    results: list[Outcome | BaseException] = []

    def work() -> None:
        try:
            results.append(run.execute())
        except BaseException as error:  # handed over to the thread that waits
            results.append(error)

    thread = Thread(target=work, name="engine")
    thread.start()
    while thread.is_alive():
        thread.join(LOOK_S)
        status = run.status()
        if status is not None:
            show(status)
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


@contextmanager
def interruptible(commands: CommandQueue, say: Callable[[str], None]) -> Iterator[None]:
    """First Ctrl-C: finish the point and go safe; second: abort the exposure. SIGTERM: as second.

    The engine turns both into the safe state and a run that can be resumed.
    """
    pressed = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if number == signal.SIGTERM or pressed > 1:
            say("stopping now: the exposure is aborted, then the safe state")
            commands.put(Command(Verb.STOP_NOW, f"stopped by {signal.Signals(number).name}"))
        else:
            say("finishing this point, then the safe state; once more aborts the exposure")
            commands.put(Command(Verb.STOP_AFTER_POINT, "stopped by Ctrl-C after the point"))

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
