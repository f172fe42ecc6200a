"""Thorlabs PM100D: optical power meter with a photodiode head, in the laser's beam.

Rules (PM100D manual, section 6; [mem]: from memory, not verified)
1. SCPI with short and long headers; lines end with LF, and so do replies.
2. SYST:SENS:IDN? -> name, serial number, calibration message, type, subtype, flags; the flags are
   a sum: 1 power sensor, 2 energy sensor, 16 response, 32 wavelength, 64 tau settable, 256 has a
   temperature sensor. "no sensor" where none is connected.
3. The reading is the photocurrent divided by the responsivity at the wavelength that is set: a
   wrong wavelength gives a wrong power.
4. In W or dBm as chosen. Above the range, unless it is chosen automatically: +9.91E+37 [mem].
5. What is wrong goes into the error queue and is not answered.
The meter sits before the shutter.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

import numpy as np

from simulators.core import InstrumentCore, LineBuffer
from simulators.noise import normals
from simulators.scpi import ScpiCommand, ScpiError, parse_message, short_form, spelling_table
from simulators.scpi_settings import MISSING, NOT_ALLOWED, OUT_OF_RANGE
from simulators.world import World

__all__ = ["PowerMeterSettings", "ThorlabsPM100D"]

MAX_LINE: Final = 1024
MAX_ERRORS: Final = 16
SHORTEST_NM, LONGEST_NM = 400.0, 1100.0
RANGES_W: Final = tuple(5.0 * 10.0**exponent for exponent in range(-8, -1))
OVER_RANGE: Final = 9.91e37
SAMPLE_S: Final = 1.0 / 3000.0
UNDEFINED = ScpiError(-113, "Undefined header")
DATA_TYPE = ScpiError(-104, "Data type error")
ILLEGAL = ScpiError(-224, "Illegal parameter value")

# header -> (lowest, highest, value after *RST)
NUMBERS: Final = {
    "[SENSe]:CORRection:WAVelength": (SHORTEST_NM, LONGEST_NM, 635.0),
    "[SENSe]:CORRection[:LOSS[:INPut[:MAGNitude]]]": (-60.0, 60.0, 0.0),
    "[SENSe]:CORRection:BEAMdiameter": (0.1, 100.0, 9.5),
    "[SENSe]:AVERage[:COUNt]": (1.0, 1e5, 1.0),
    "[SENSe]:POWer[:DC]:RANGe[:UPPer]": (RANGES_W[0], RANGES_W[-1], RANGES_W[-1]),
    "[SENSe]:POWer[:DC]:REFerence": (1e-12, 1.0, 1e-3),
    "SYSTem:LFRequency": (50.0, 60.0, 50.0),
    "DISPlay:BRIGhtness": (0.0, 1.0, 1.0),
}
SWITCHES: Final = {
    "[SENSe]:POWer[:DC]:RANGe:AUTO": True,
    "[SENSe]:POWer[:DC]:REFerence:STATe": False,
    "INPut[:PDIode]:FILTer[:LPASs][:STATe]": True,
}
UNIT: Final = "[SENSe]:POWer[:DC]:UNIT"
WAVELENGTH: Final = "[SENSe]:CORRection:WAVelength"
RANGE: Final = "[SENSe]:POWer[:DC]:RANGe[:UPPer]"
AUTO: Final = "[SENSe]:POWer[:DC]:RANGe:AUTO"
LOSS: Final = "[SENSe]:CORRection[:LOSS[:INPut[:MAGNitude]]]"
AVERAGE: Final = "[SENSe]:AVERage[:COUNt]"
OTHERS: Final = (
    "*IDN", "*RST", "*CLS", "*ESR", "*ESE", "*OPC", "*STB", "*TST", "*WAI",
    "SYSTem:SENSor:IDN", "SYSTem:ERRor[:NEXT]", "SYSTem:VERSion", "CALibration:STRing",
    "MEASure[:SCALar][:POWer]", "READ", "FETCh", "INITiate", "CONFigure[:SCALar][:POWer]",
    "ABORt", UNIT,
)  # fmt: skip
TABLE: Final = spelling_table([*NUMBERS, *SWITCHES, *OTHERS])


def responsivity_A_per_W(wavelength_nm: float) -> float:
    """Return that of the simulated head, which resembles silicon behind a filter."""
    return 0.02 + 0.05 * (wavelength_nm - SHORTEST_NM) / 550.0


@dataclass(frozen=True, slots=True)
class PowerMeterSettings:
    """What differs from unit to unit."""

    serial: str = "P0012345"
    firmware: str = "2.4.0"
    wavelength_nm: float = 405.0  # as its user set it
    sensor: str = "S130C,1234567,20-Mar-2024,1,18,289"
    noise: float = 2e-3  # of the reading
    seed: int = 1
    reply_s: float = 0.02
    boot_s: float = 3.0


class ThorlabsPM100D(InstrumentCore):
    """One meter. sensor_missing: the head was unplugged."""

    def __init__(self, world: World, settings: PowerMeterSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or PowerMeterSettings()
        self.serial = self.settings.serial
        self.sensor_missing = False
        self._lines = LineBuffer(b"\n", MAX_LINE)
        self._errors: deque[ScpiError] = deque(maxlen=MAX_ERRORS)
        self._noise = normals(np.random.SeedSequence(self.settings.seed))
        self._boot_until = float("-inf")
        self._event_enable = 0
        self._reset()
        self.numbers[WAVELENGTH] = self.settings.wavelength_nm

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        return self._lines.feed(fragment)

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        message = request.decode("latin-1").strip()
        told = [
            reply
            for command in parse_message(message, TABLE)
            if (reply := self._perform(command)) is not None
        ]
        if not told:
            return False
        takes_s = self.settings.reply_s + SAMPLE_S * self.numbers[AVERAGE]
        self.outbox.post(now + takes_s, ";".join(told).encode("latin-1", "replace") + b"\n")
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        commands = parse_message(request.decode("latin-1").strip(), TABLE)
        return [
            (short_form(each.header) if each.header else each.spelled) + "?" * each.is_query
            for each in commands
        ]

    def power_cycle(self, now: float) -> None:
        """Settings are kept over a power cycle [mem]."""
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._errors.clear()
        self._boot_until = now + self.settings.boot_s

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "P9999999"

    def _reset(self) -> None:
        self.numbers = {header: default for header, (_, _, default) in NUMBERS.items()}
        self.switches = dict(SWITCHES)
        self.unit = "W"

    def _perform(self, command: ScpiCommand) -> str | None:
        try:
            return self._carry_out(command)
        except ScpiError as error:
            # One instance serves for good, and would keep the frames of every raise
            self._errors.append(error.with_traceback(None))
            return None

    def _carry_out(self, command: ScpiCommand) -> str | None:
        header, arguments = command.header, command.arguments
        if header in NUMBERS:
            return self._number(header, arguments, command.is_query)
        if header in SWITCHES:
            return self._switch(header, arguments, command.is_query)
        if header == UNIT:
            return self._power_unit(arguments, command.is_query)
        if header is None:
            raise UNDEFINED
        handlers = self._queries() if command.is_query else self._commands()
        if header not in handlers:
            raise UNDEFINED
        takes_mask = header == "*ESE" and not command.is_query
        return handlers[header](*arguments[:1]) if takes_mask else handlers[header]()

    def _queries(self) -> dict[str, Callable[..., str]]:
        return {
            "*IDN": lambda: f"Thorlabs,PM100D,{self.serial},{self.settings.firmware}",
            "*ESR": lambda: "0",
            "*ESE": lambda: str(self._event_enable),
            "*OPC": lambda: "1",
            "*STB": lambda: "0",
            "*TST": lambda: "0",
            "SYSTem:SENSor:IDN": self._sensor,
            "SYSTem:ERRor[:NEXT]": self._next_error,
            "SYSTem:VERSion": lambda: "1999.0",
            "CALibration:STRing": lambda: '"20-Mar-2024"',
            "MEASure[:SCALar][:POWer]": self._measure,
            "READ": self._measure,
            "FETCh": self._measure,
            "CONFigure[:SCALar][:POWer]": lambda: "POW",
        }

    def _commands(self) -> dict[str, Callable[..., None]]:
        return {
            "*RST": self._reset,
            "*CLS": self._errors.clear,
            "*OPC": lambda: None,
            "*WAI": lambda: None,
            "*ESE": self._enable_events,
            "INITiate": lambda: None,
            "ABORt": lambda: None,
            "CONFigure[:SCALar][:POWer]": lambda: None,
        }

    def _enable_events(self, mask: str = "") -> None:
        if not mask.isdigit() or int(mask) > 255:
            raise ILLEGAL
        self._event_enable = int(mask)

    def _sensor(self) -> str:
        return "no sensor" if self.sensor_missing else self.settings.sensor

    def _next_error(self) -> str:
        return str(self._errors.popleft()) if self._errors else '+0,"No error"'

    def _number(self, header: str, arguments: tuple[str, ...], is_query: bool) -> str | None:
        low, high, default = NUMBERS[header]
        named = {"MIN": low, "MAX": high, "DEF": default}
        word = arguments[0].upper()[:3] if arguments else ""
        if is_query:
            if arguments and word not in named:
                raise ILLEGAL
            return f"{named.get(word, self.numbers[header]):.8E}"
        if not arguments:
            raise MISSING
        if len(arguments) > 1:
            raise NOT_ALLOWED
        value = named[word] if word in named else _real(arguments[0])
        if not low <= value <= high:
            raise OUT_OF_RANGE
        if header == RANGE:
            value = next(each for each in RANGES_W if value <= each * (1 + 1e-9))
            self.switches[AUTO] = False
        self.numbers[header] = value
        return None

    def _switch(self, header: str, arguments: tuple[str, ...], is_query: bool) -> str | None:
        if is_query:
            return f"{self.switches[header]:d}"
        if not arguments:
            raise MISSING
        words = {"ON": True, "1": True, "OFF": False, "0": False}
        if arguments[0].upper() not in words:
            raise ILLEGAL
        self.switches[header] = words[arguments[0].upper()]
        return None

    def _power_unit(self, arguments: tuple[str, ...], is_query: bool) -> str | None:
        if is_query:
            return self.unit
        if not arguments or arguments[0].upper() not in ("W", "DBM"):
            raise ILLEGAL
        self.unit = arguments[0].upper()
        return None

    def _measure(self) -> str:
        if self.sensor_missing:
            raise ScpiError(-241, "Hardware missing")
        truth_nm = self.world.truth.optics.laser_nm
        ratio = responsivity_A_per_W(truth_nm) / responsivity_A_per_W(self.numbers[WAVELENGTH])
        noise = 1.0 + self.settings.noise * next(self._noise) / self.numbers[AVERAGE] ** 0.5
        power_W = self.world.laser_W() * ratio * noise * 10.0 ** (self.numbers[LOSS] / 10.0)
        if not self.switches[AUTO] and power_W > 1.05 * self.numbers[RANGE]:
            return f"{OVER_RANGE:.8E}"
        value = 10.0 * log10(max(power_W, 1e-15) / 1e-3) if self.unit == "DBM" else power_W
        return f"{value:.8E}"


def _real(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DATA_TYPE from None
    if "_" in text or value != value:  # noqa: PLR0124 - a NaN
        raise DATA_TYPE
    return value
