"""Thorlabs PM100D: optical power meter, over USB (any VISA library) or behind a socket.

Reading it changes nothing: the wavelength for which the meter corrects is compared with the
station's, and a reading corrected for another one is flagged; `apply_wavelength` sets it.
Never tried on hardware. Unverified, from memory: what an over-range reads (9.91E37).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings, confirmed_settings
from drivers.errors import InstrumentError, LimitError
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import register
from drivers.roles import Identity, PowerMeter, Reading, ReadingStatus, Setting

__all__ = ["PM100DConfig", "PM100DMeter"]

NUMBER = re.compile(r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")
UNIT = re.compile(r"(W|DBM)")
SWITCH = re.compile(r"[01]")
SENSOR = re.compile(r"no sensor|[^,]*(?:,[^,]*){4},\d+")
ERROR = re.compile(r"([+-]?\d+),\"?([^\"]*)\"?")
OVER_RANGE = 9e37
SAME_NM = 0.5
MAX_ERRORS = 32


@dataclass(frozen=True, slots=True)
class PM100DConfig:
    """What the station says about the meter.

    wavelength_nm: of the laser; None: whatever the meter corrects for. factor: power at the
    sample per power at the meter, as a beam splitter or a filter before one of them makes it.
    """

    serial: str = ""  # refuse any other instrument; empty: take whichever answers
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    wavelength_nm: float | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        wavelength_nm = self.wavelength_nm
        if wavelength_nm is not None and not 150 <= wavelength_nm <= 20_000:
            raise ValueError(f"wavelength {wavelength_nm} nm: expected 150 to 20000 nm")
        if not (isfinite(self.factor) and self.factor > 0):
            raise ValueError(f"factor {self.factor}: expected above 0")


@register(
    "thorlabs.pm100d",
    PowerMeter,
    config=PM100DConfig,
    framing=Terminated(b"\n"),
    line=Line.configured,
)
class PM100DMeter:
    """A PM100D in the laser's beam (roles.PowerMeter)."""

    def __init__(self, name: str, line: Line, clock: Clock, config: PM100DConfig) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        self._config = config

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def read_power(self) -> Reading:
        """Read the power at the sample in W; flagged where the meter can't be trusted."""
        return confirmed_readings(self.name, self._look)["laser_power_W"]

    def read(self) -> Mapping[str, Reading]:
        """Read the power."""
        return {"laser_power_W": self.read_power()}

    def apply_wavelength(self) -> None:
        """Set the wavelength of the station and read it back.

        Raises LimitError where the sensor has no such wavelength, InstrumentError if refused.
        """
        wavelength_nm = self._config.wavelength_nm
        if wavelength_nm is None:
            return
        low_nm, high_nm = self._number("SENS:CORR:WAV? MIN"), self._number("SENS:CORR:WAV? MAX")
        if not low_nm <= wavelength_nm <= high_nm:
            raise LimitError(
                self.name, f"wavelength {wavelength_nm} nm: allowed {low_nm:g} to {high_nm:g} nm"
            )
        self._clear_errors()
        self._line.tell(f"SENS:CORR:WAV {wavelength_nm:.3f}")
        error = self._next_error()
        if error:
            raise InstrumentError(self.name, f"wavelength {wavelength_nm} nm: {error}")
        corrected_nm = self._number("SENS:CORR:WAV?")
        if abs(corrected_nm - wavelength_nm) > SAME_NM:
            raise InstrumentError(
                self.name, f"wavelength reads back {corrected_nm} nm, not {wavelength_nm} nm"
            )

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes."""
        return confirmed_settings(self.name, self._look_at_settings)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _look(self) -> Mapping[str, Reading]:
        return {"laser_power_W": self._measure()}

    def _measure(self) -> Reading:
        if self._line.ask("SYST:SENS:IDN?", SENSOR) == "no sensor":
            return self._flagged("no sensor")
        corrected_nm = self._number("SENS:CORR:WAV?")
        wanted_nm = self._config.wavelength_nm
        if wanted_nm is not None and abs(corrected_nm - wanted_nm) > SAME_NM:
            return self._flagged(f"corrected for {corrected_nm:g} nm, not {wanted_nm:g} nm")
        unit = self._line.ask("SENS:POW:UNIT?", UNIT)
        value = self._number("MEAS:POW?")
        if value > OVER_RANGE:
            return self._flagged("power over range", ReadingStatus.OUT_OF_RANGE)
        power_W = 1e-3 * 10.0 ** (value / 10.0) if unit == "DBM" else value
        return Reading(power_W * self._config.factor, "W", self._clock.now())

    def _look_at_settings(self) -> Mapping[str, Setting]:
        return {
            "sensor": self._line.ask("SYST:SENS:IDN?", SENSOR),
            "wavelength_nm": self._number("SENS:CORR:WAV?"),
            "range_automatic": self._line.ask("SENS:POW:RANG:AUTO?", SWITCH) == "1",
            "unit": self._line.ask("SENS:POW:UNIT?", UNIT),
            "averages": self._number("SENS:AVER:COUN?"),
        }

    def _number(self, question: str) -> float:
        return float(self._line.ask(question, NUMBER))

    def _flagged(self, note: str, status: ReadingStatus = ReadingStatus.FAULT) -> Reading:
        return Reading(nan, "W", self._clock.now(), status, note)

    def _clear_errors(self) -> None:
        """What is in the queue before a command is not its fault."""
        for _ in range(MAX_ERRORS):
            if not self._next_error():
                return
        raise InstrumentError(self.name, f"more than {MAX_ERRORS} errors in its queue")

    def _next_error(self) -> str:
        match = ERROR.fullmatch(self._line.ask("SYST:ERR?", ERROR))
        assert match is not None  # noqa: S101 - the line lets nothing else through
        return "" if int(match[1]) == 0 else f"{match[2]} ({match[1]})"
