"""Acton SpectraPro (Princeton Instruments; 2150i to 2750i, HRS, IsoPlane): spectrograph.

Its camera is an instrument of its own. Never tried on hardware. From memory and not verified: that
the CR of a command is not echoed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

from drivers.clock import Clock
from drivers.confirmed import confirmed_number
from drivers.errors import InstrumentError, LimitError, LinkTimeout, StateError
from drivers.line import Line, WhoAreYou
from drivers.link import Link
from drivers.registry import register
from drivers.roles import Identity, Reading, Setting, Spectrograph
from drivers.status import Status

__all__ = ["ActonFraming", "SpectraPro", "SpectraProConfig"]

END = re.compile(rb"(?: ok|\?) *\r\n")
NOT_UNDERSTOOD = re.compile(r".*\?", re.DOTALL)


def _reply(command: str, data: str = "") -> re.Pattern[str]:
    """Return the reply to a command that gives this data, echoed or not."""
    return re.compile(rf"(?:{re.escape(command)}\s*)?{data}\s*ok", re.IGNORECASE)


WAVELENGTH = r"([+-]?\d+(?:\.\d+)?)(?:\s*nm)?"
WHO = WhoAreYou(
    "model",
    re.compile(r"(?:model\s*)?(\S+)\s+ok", re.IGNORECASE),
    lambda match: Identity("Acton Research", match[1], "", ""),
)


class ActonFraming:
    """Replies that end with " ok" or "?" and CR LF; those within a reply belong to it."""

    def split(self, buffer: bytearray) -> bytes | None:
        end = END.search(buffer)
        if end is None:
            return None
        reply = bytes(buffer[: end.end() - 2])
        del buffer[: end.end()]
        return reply


@dataclass(frozen=True, slots=True)
class SpectraProConfig:
    """What the station says about the spectrograph.

    upper_case: as the manual writes the commands; one 2150i understood only lower case.
    """

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    min_wavelength_nm: float = 0.0
    max_wavelength_nm: float = 1400.0
    gratings: tuple[int, ...] = (1, 2, 3)  # places of the turret that hold one
    tolerance_nm: float = 0.05
    move_timeout_s: float = 40.0  # of one move or turn; up to 20 s are usual
    upper_case: bool = False


def _line(name: str, link: Link, clock: Clock, config: SpectraProConfig) -> Line:
    # The serial number is a question of its own, which the driver asks
    return Line(
        name,
        link,
        clock,
        pacing_s=config.pacing_s,
        timeout_s=config.timeout_s,
        terminator=b"\r",
        who=WHO,
    )


@register(
    "acton.spectrapro",
    Spectrograph,
    config=SpectraProConfig,
    framing=ActonFraming(),
    line=_line,
)
class SpectraPro:
    """A SpectraPro as spectrograph (roles.Spectrograph).

    A move is answered when it is completed, and nothing may be sent before.
    """

    def __init__(self, name: str, line: Line, clock: Clock, config: SpectraProConfig) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        self._config = config
        self._move: _Moves | None = None

    def identify(self) -> Identity:
        """Ask for model and serial number. Raises StateError if it is not the one expected."""
        self._require_rest()
        model = self._line.identify()
        serial = self._ask("serial", r"(\S+)")
        if self._config.serial not in ("", serial):
            raise StateError(self.name, f"serial number {serial}, not {self._config.serial}")
        return Identity(model.manufacturer, model.model, serial, "")

    def set(self, wavelength_nm: float, grating: int) -> Status:
        """Turn the turret if needed and then go to the centre wavelength; verified when done.

        The instrument itself clamps a wavelength silently, and says ok to a grating it hasn't got.
        Raises LimitError, StateError while still moving.
        """
        config = self._config
        low_nm, high_nm = config.min_wavelength_nm, config.max_wavelength_nm
        if not (isfinite(wavelength_nm) and low_nm <= wavelength_nm <= high_nm):
            raise LimitError(
                self.name, f"wavelength {wavelength_nm} nm: allowed {low_nm} to {high_nm} nm"
            )
        if grating not in config.gratings:
            raise LimitError(self.name, f"grating {grating}: allowed {config.gratings}")
        self._require_rest()
        commands = [f"{wavelength_nm:.3f} goto"]
        if self.read_grating() != grating:
            commands.insert(0, f"{grating} grating")
        self._move = _Moves(
            self._line,
            self._clock,
            [self._spelled(command) for command in commands],
            config.move_timeout_s,
            lambda: self._verify(wavelength_nm, grating),
        )
        return Status(f"{self.name} to {wavelength_nm} nm, grating {grating}", self._move)

    def stop(self) -> None:
        """Do nothing: nothing may be sent before a move has ended, which it does by itself."""

    def read_wavelength_nm(self) -> float:
        """Read the centre wavelength."""
        return confirmed_number(self.name, lambda: float(self._ask("?nm", WAVELENGTH)))

    def read_grating(self) -> int:
        """Read the place of the turret that is in the light."""
        return confirmed_number(self.name, lambda: int(self._ask("?grating", r"(\d)")))

    def read(self) -> Mapping[str, Reading]:
        """Read centre wavelength and grating; nothing while moving."""
        if self._is_moving:
            return {}
        wavelength_nm, grating = self.read_wavelength_nm(), self.read_grating()
        now = self._clock.now()
        return {
            "wavelength_nm": Reading(wavelength_nm, "nm", now),
            "grating": Reading(float(grating), "", now),
        }

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes."""
        self._require_rest()
        return {
            "wavelength_nm": self.read_wavelength_nm(),
            "grating": self.read_grating(),
            "turret": confirmed_number(self.name, lambda: int(self._ask("?turret", r"(\d)"))),
        }

    def close(self) -> None:
        """Let go of the line; nothing moves."""
        self._line.close()

    @property
    def _is_moving(self) -> bool:
        return self._move is not None and not self._move.is_done

    def _require_rest(self) -> None:
        if self._is_moving:
            raise StateError(self.name, "still moving")

    def _spelled(self, command: str) -> str:
        return command.upper() if self._config.upper_case else command

    def _ask(self, command: str, data: str) -> str:
        command = self._spelled(command)
        pattern = _reply(command, data)
        match = pattern.fullmatch(self._line.ask(command, pattern))
        assert match is not None  # noqa: S101 - only matching replies come here
        return match[1]

    def _verify(self, wavelength_nm: float, grating: int) -> None:
        found_nm, found = self.read_wavelength_nm(), self.read_grating()
        if found != grating or abs(found_nm - wavelength_nm) > self._config.tolerance_nm:
            raise InstrumentError(
                self.name,
                f"stands at {found_nm} nm on grating {found}, "
                f"not at {wavelength_nm} nm on grating {grating}",
            )


class _Moves:
    """Commands one after the other, each answered when it is completed; verified at the end."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        commands: list[str],
        timeout_s: float,
        verify: Callable[[], None],
    ) -> None:
        self.is_done = False
        self._line = line
        self._clock = clock
        self._commands = commands
        self._timeout_s = timeout_s
        self._verify = verify
        self._start_next()

    def __call__(self) -> bool:
        try:
            self.is_done = self._advance()
        except BaseException:
            self.is_done = True
            raise
        return self.is_done

    def _advance(self) -> bool:
        reply = self._line.poll(0.0)
        if reply is not None:
            self._check(reply)
        elif self._clock.now() < self._deadline_s:
            return False
        else:
            self._find_out()
        if self._commands:
            self._start_next()
            return False
        self._verify()
        return True

    def _start_next(self) -> None:
        self._command = self._commands.pop(0)
        self._line.start(self._command)
        self._deadline_s = self._clock.now() + self._clock.patience_s(self._timeout_s)

    def _check(self, reply: str) -> None:
        if NOT_UNDERSTOOD.fullmatch(reply):
            raise InstrumentError(self._line.name, f"{self._command!r} was answered {reply!r}")
        if _reply(self._command).fullmatch(reply) is None:
            self._find_out()  # damaged on the way; whether it moved is seen when it is verified

    def _find_out(self) -> None:
        try:
            self._line.resync()
        except LinkTimeout as error:
            raise LinkTimeout(
                self._line.name, f"{self._command!r} not answered in {self._timeout_s} s: {error}"
            ) from error
