"""A console on the line of one instrument: what is typed goes out as it is, the wire is shown."""

from collections.abc import Callable, Iterable, Mapping

from acquisition.configuration.station_file import InstrumentConfig
from drivers.addresses import OPENERS, Opener, open_link
from drivers.clock import Clock
from drivers.errors import StateError
from drivers.link import Link, Whole
from drivers.registry import model

__all__ = ["Console", "open_console"]

PATIENCE_S = 0.5  # for the first bytes of a reply
SILENCE_S = 0.1  # after which a reply is thought to be complete


class Console:
    """Nothing is checked and no limit holds: the instrument does what it is told."""

    def __init__(
        self, link: Link, terminator: bytes, clock: Clock, show: Callable[[str], None]
    ) -> None:
        self._link = link
        self._terminator = terminator
        self._clock = clock
        self._show = show

    def talk(self, typed: Iterable[str]) -> None:
        """Send line by line, and show every byte both ways. Raises LinkClosed."""
        for text in typed:
            self._listen(0.0)
            message = text.encode("latin-1", "replace") + self._terminator
            self._show(f"> {_bytes(message)}")
            self._link.send(message)
            self._listen(PATIENCE_S)

    def _listen(self, patience_s: float) -> None:
        start_s = self._clock.now()
        arrived = self._link.poll(patience_s)
        if arrived is None and patience_s:
            self._show("  nothing came")
        while arrived is not None:
            late_ms = 1000 * (self._clock.now() - start_s)
            self._show(f"< {_bytes(arrived)}  {late_ms:.1f} ms")
            arrived = self._link.poll(SILENCE_S if patience_s else 0.0)


def open_console(
    name: str,
    config: InstrumentConfig,
    clock: Clock,
    show: Callable[[str], None],
    openers: Mapping[str, Opener] = OPENERS,
) -> tuple[Console, Link]:
    """Open the line of an instrument for a console; close the link afterwards.

    Raises LinkClosed if another program holds it, StateError if it carries no text.
    """
    kind = model(config.model)
    if config.address.startswith("process://"):
        raise StateError(name, f"{config.address} is a camera's SDK: there is no wire to show")
    link = open_link(config.address, Whole(), kind.serial, openers)
    terminator = getattr(kind.line(name, link, clock, kind.config()), "terminator", None)
    if terminator is None:
        link.close()
        raise StateError(name, f"{config.model} speaks no text: nothing to be typed")
    return Console(link, terminator, clock, show), link


def _bytes(message: bytes) -> str:
    return repr(message)[1:]
