"""Running a Run in a thread of its own while this one watches it and takes signals."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from types import FrameType

from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.channel.engine_status import EngineStatus
from acquisition.running.engine import Outcome
from acquisition.running.run import Run

__all__ = ["execute", "interruptible"]

logger = logging.getLogger(__name__)

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
        show = _show(run, show)
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def _show(run: Run, show: Callable[[EngineStatus], None]) -> Callable[[EngineStatus], None]:
    """Show the status; who can't show it any more, on a closed terminal, is left alone."""
    try:
        if (status := run.status()) is not None:
            show(status)
    except Exception:  # watching never ends a run
        logger.exception("the run goes on unseen")
        return lambda _: None
    return show


@contextmanager
def interruptible(commands: CommandQueue, say: Callable[[str], None]) -> Iterator[None]:
    """First Ctrl-C: finish the point and go safe; second: abort the exposure. SIGTERM: as second.

    The engine turns both into the safe state and a run that can be resumed. A terminal that hangs
    up ends nothing: the night goes on.
    """
    pressed = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if number == signal.SIGTERM or pressed > 1:
            commands.put(Command(Verb.STOP_NOW, f"stopped by {signal.Signals(number).name}"))
            text = "stopping now: the exposure is aborted, then the safe state"
        else:
            commands.put(Command(Verb.STOP_AFTER_POINT, "stopped by Ctrl-C after the point"))
            text = "finishing this point, then the safe state; once more aborts the exposure"
        with suppress(Exception):  # a terminal that is gone, or in the midst of printing
            say(text)

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]]
    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda _, __: None
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
