"""Numato Lab relay module (USB, a serial line): one relay as a switch, for a lamp.

Chosen because its console is documented and simple, and because each reply repeats its question.
Never tried on hardware. From memory and not verified: what an unknown relay is answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.clock import Clock
from drivers.errors import InstrumentError
from drivers.line import Line, WhoAreYou
from drivers.link import Link, Terminated
from drivers.registry import register
from drivers.roles import Identity, Reading, Setting, Switch
from drivers.serial_format import SerialFormat
from drivers.status import Status

__all__ = ["NumatoConfig", "NumatoRelay"]

WHO = WhoAreYou(
    "id get",
    re.compile(r"id get\s+(\S{8})"),
    lambda match: Identity("Numato", "relay module", match[1], ""),
)


@dataclass(frozen=True, slots=True)
class NumatoConfig:
    """What the station says about the relay; serial is the module's id."""

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    relay: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.relay <= 35:
            raise ValueError(f"relay {self.relay}: allowed 0 to 35")


def _line(name: str, link: Link, clock: Clock, config: NumatoConfig) -> Line:
    return Line.configured(name, link, clock, config, terminator=b"\r", who=WHO)


@register(
    "numato.relay",
    Switch,
    config=NumatoConfig,
    framing=Terminated(b">"),
    line=_line,
    shared=True,
    serial=SerialFormat(19200),
)
class NumatoRelay:
    """One relay of a Numato module as switch (roles.Switch); all are off at power-up."""

    def __init__(self, name: str, line: Line, clock: Clock, config: NumatoConfig) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        # Relays beyond 9 are letters, which don't end at F
        self._relay = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[config.relay]

    def identify(self) -> Identity:
        """Ask the module for its id."""
        return self._line.identify()

    def set(self, on: bool) -> Status:
        """Switch, and read back. Raises InstrumentError if the relay did not follow."""
        command = f"relay {'on' if on else 'off'} {self._relay}"
        self._line.ask(command, re.compile(re.escape(command)))
        if self.is_on() is not on:
            raise InstrumentError(self.name, f"relay {self._relay} is not {'on' if on else 'off'}")
        return Status.finished(f"{self.name} {'on' if on else 'off'}")

    def is_on(self) -> bool:
        """Ask whether the relay is on."""
        question = f"relay read {self._relay}"
        reply = self._line.ask(question, re.compile(rf"{question}\s+(?:on|off)"))
        return reply.endswith("on")

    def read(self) -> Mapping[str, Reading]:
        """Read whether the relay is on, 1 or 0."""
        return {"is_on": Reading(float(self.is_on()), "", self._clock.now())}

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle changes."""
        return {"is_on": self.is_on()}

    def close(self) -> None:
        """Let go of the line; the relay stays as it is."""
        self._line.close()
