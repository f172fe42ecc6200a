"""Keithley 2470: bias supply and meter up to 1100 V in the SCPI dialect of the 2450 family.

Rules (2470-901-01; page numbers of section 12 there; [mem]: from memory, not verified)
1. Lines end with LF, and so do replies; answers to the queries of one line are joined with ";".
2. Errors carry their severity and time: -113,"Undefined header;1;2026/01/01 00:00:05.123".
3. *LANG? names the command set; another one is chosen for the next power-up, and any but SCPI
   leaves everything else not understood (the TSP and SCPI2400 sets are not simulated).
4. :READ? answers with the output off, too [mem], unlike a 2410.
5. The interlock is always heeded: open, the 200 V and 1000 V ranges give less than 42 V, and
   switching on at more than 21 V logs event 5074 (12-39).
6. The off-state is normal at power-up, so that a gap discharges.
7. Over-voltage protection knows the steps 20..500 V [mem] or none.
8. One function is measured at a time; the source is read back beside it.
9. While a measurement runs, later lines wait.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from simulators.bias_circuit import OffState
from simulators.core import InstrumentCore, LineBuffer
from simulators.keithley_2470_settings import (
    CURRENT_RANGES_A,
    SETTINGS,
    VOLTAGE_RANGES_V,
    Header,
    number,
)
from simulators.scpi import ScpiCommand, ScpiError, parse_message, short_form, spelling_table
from simulators.scpi_settings import MISSING, NOT_ALLOWED, OUT_OF_RANGE, Stored
from simulators.world import World

__all__ = ["Keithley2470", "Keithley2470Settings"]

MAX_LINE: Final = 4096
MAX_WAITING: Final = 256
MAX_ERRORS: Final = 1000
MAX_BUFFER: Final = 1000  # readings that are kept, whatever :TRAC:POIN says
LANGUAGES: Final = ("SCPI", "TSP", "SCPI2400")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)

OVER_RANGE: Final = 1.05
TOP_V: Final = 1100.0
TOP_A: Final = {1000.0: 0.021, 200.0: 0.105}  # of a source range; 1.05 A in the others
LEAST_LIMIT: Final = 1e-3  # of the measuring range, as in the 2400 series [mem]
PROTECTION_TOLERANCE: Final = 0.05
INTERLOCK_V, INTERLOCK_ON_V = 42.0, 21.0
NOT_A_NUMBER: Final = 9.91e37
OVERHEAD_S: Final = 0.002
MAINS_HZ: Final = 50.0

UNDEFINED = ScpiError(-113, "Undefined header")
SETTINGS_CONFLICT = ScpiError(-221, "Settings conflict")
ILLEGAL = ScpiError(-224, "Illegal parameter value")
OVERRUN = ScpiError(-363, "Input buffer overrun")
LIMITED_BY_INTERLOCK = ScpiError(5074, "Output voltage limited by interlock")
OFF_STATES: Final = {
    "NORM": OffState.NORMAL,
    "ZERO": OffState.NORMAL,
    "HIMP": OffState.HIGH_IMPEDANCE,
    "GUAR": OffState.NORMAL,  # a voltage source stays one in guard (4-18)
}
ELEMENTS: Final = {
    "READING": "READ", "SOURCE": "SOUR", "RELATIVE": "REL", "STATUS": "STAT",
    "SOURSTATUS": "SOURSTAT", "TSTAMP": "TST", "SOURUNIT": "SOURUNIT", "UNIT": "UNIT",
    "FORMATTED": "FORM", "SECONDS": "SEC", "FRACTIONAL": "FRAC",
}  # fmt: skip
UNITS: Final = {"CURR": "Amp DC", "VOLT": "Volt DC", "RES": "Ohm"}

# Accepted and without effect here
IGNORED: Final = (
    "*TRG", "*WAI", "*SAV", "*RCL", ":SYSTem:BEEPer[:IMMediate]", ":ABORt",
    ":STATus:PRESet", ":STATus:CLEar", ":DISPlay:SCReen", ":TRACe:FILL:MODE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keithley2470Settings:
    """What differs from unit to unit."""

    serial: str = "04387201"
    firmware: str = "1.7.12b"
    language: str = "SCPI"
    reply_s: float = 0.001
    boot_s: float = 20.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """One entry of the reading buffer."""

    value: float
    source_V: float
    time_s: float
    unit: str


Arguments = tuple[str, ...]
Query = Callable[[Arguments], str | None]
Command = Callable[[Arguments], None]


class Keithley2470(InstrumentCore):
    """A Model 2470 on one World. The interlock starts closed, as when it is wired."""

    def __init__(self, world: World, settings: Keithley2470Settings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or Keithley2470Settings()
        self.serial = self.settings.serial
        self.language = self._next_language = self.settings.language
        self._interlock_is_closed = True
        self._boot_until = float("-inf")
        self._lines = LineBuffer(b"\n", MAX_LINE)
        self._values: dict[str, Stored] = {}
        self._errors: deque[str] = deque()
        self._waiting: deque[ScpiCommand | None] = deque()  # None ends a line
        self._replies: list[str] = []
        self._buffer: deque[_Reading] = deque(maxlen=MAX_BUFFER)
        self._busy_until: float | None = None
        self._queries = self._query_table()
        self._commands = self._command_table()
        self._spellings = _spellings((*SETTINGS, *self._queries, *self._commands))
        self._power_up()

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        overruns = self._lines.overruns
        lines = [line.strip(b"\r") for line in self._lines.feed(fragment)]
        if self._lines.overruns > overruns:
            self._report(OVERRUN)
        return [line for line in lines if line]

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        if len(self._waiting) > MAX_WAITING:
            self._report(OVERRUN)
            return False
        posted = self.outbox.posted
        self._waiting += [*self._parse(request), None]
        self._work()
        return self.outbox.posted > posted or self._busy_until is not None

    def next_due(self) -> float | None:
        due = self.outbox.next_due()
        if self._busy_until is None:
            return due
        done_s = self._busy_until + self.settings.reply_s
        return done_s if due is None else min(due, done_s)

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the headers in short form without optional nodes, as in SOUR:VOLT or READ?."""
        return [
            f"{short_form(command.header)}{'?' * command.is_query}"
            for command in self._parse(request)
            if command.header
        ]

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self.language = self._next_language
        self._power_up()
        self._boot_until = now + self.settings.boot_s

    def hang_up(self) -> None:
        """What waits is forgotten with its client, and so is a measurement under way."""
        super().hang_up()
        self._lines.clear()
        self._waiting.clear()
        self._replies = []
        self._busy_until = None

    def impersonate(self) -> None:
        self.serial = "04999999"

    def set_interlock(self, is_closed: bool, now: float) -> None:
        """Close or open the interlock line, which limits the output at once."""
        self.world.advance(now)
        self._interlock_is_closed = is_closed
        self._apply()

    def _power_up(self) -> None:
        self._errors.clear()
        self._events = 128
        self._event_enable = self._service_enable = 0
        self._waiting.clear()
        self._replies = []
        self._zero_s = self.world.now
        self._reset()

    def _parse(self, request: bytes) -> list[ScpiCommand]:
        return parse_message(request.decode("latin-1"), self._spellings)

    def _work(self) -> None:
        """Carry out what waits, up to a measurement that takes time."""
        while self._waiting and self._busy_until is None:
            command = self._waiting.popleft()
            if command is not None:
                self._perform(command)
            elif self._replies:
                text, self._replies = ";".join(self._replies) + "\n", []
                self.outbox.post(self.world.now + self.settings.reply_s, text.encode("latin-1"))

    def _perform(self, command: ScpiCommand) -> None:
        try:
            if command.header is None or not self._understands(command.header):
                raise UNDEFINED
            if command.is_query:
                reply = self._query(command.header, command.arguments)
                self._replies += [] if reply is None else [reply]
            elif command.header in self._commands:
                self._commands[command.header](command.arguments)
            else:
                self._set(command.header, command.arguments)
        except ScpiError as error:
            # One instance serves for good, and would keep the frames of every raise
            self._report(error.with_traceback(None))

    def _understands(self, header: str) -> bool:
        return self.language == "SCPI" or header in ("*LANG", "*IDN")

    def _query(self, header: str, arguments: Arguments) -> str | None:
        if header in self._queries:
            return self._queries[header](arguments)
        if header not in SETTINGS:
            raise UNDEFINED
        if arguments:
            raise NOT_ALLOWED
        return SETTINGS[header].show(self._shown(header))

    # -- settings -----------------------------------------------------------------------------

    def _set(self, header: str, arguments: Arguments) -> None:
        if header not in SETTINGS:
            raise UNDEFINED
        if len(arguments) != 1:
            raise NOT_ALLOWED if arguments else MISSING
        value = SETTINGS[header].parse(arguments[0])
        check = self._checks.get(header)
        self._values[header] = check(value) if check else value
        if header == Header.SOURCE_RANGE:
            self._values[Header.SOURCE_AUTO] = False
        elif header == Header.SOURCE_AUTO and not value:
            self._values[Header.SOURCE_RANGE] = self.world.bias.range_V
        elif header == Header.CURRENT_RANGE:
            self._values[Header.CURRENT_AUTO] = False
        elif header == Header.TERMINALS:
            self._values[Header.OUTPUT] = False
        elif header == Header.OUTPUT and value and self._is_held_by_interlock(INTERLOCK_ON_V):
            self._report(LIMITED_BY_INTERLOCK)
        self._apply()

    @property
    def _checks(self) -> dict[str, Callable[[Stored], Stored]]:
        return {
            Header.LEVEL: self._check_level,
            Header.SOURCE_RANGE: self._check_range,
            Header.CURRENT_LIMIT: self._check_limit,
            Header.CURRENT_RANGE: lambda value: _range_for(float(value), CURRENT_RANGES_A),
        }

    def _check_level(self, level_V: Stored) -> float:
        level_V = float(level_V)
        if not self._values[Header.SOURCE_AUTO] and abs(level_V) > _top_of(self._range_V):
            raise OUT_OF_RANGE
        self._check_power(_range_for(level_V, VOLTAGE_RANGES_V))
        return level_V

    def _check_range(self, wanted_V: Stored) -> float:
        range_V = _range_for(float(wanted_V), VOLTAGE_RANGES_V)
        if abs(self._number(Header.LEVEL)) > _top_of(range_V):
            raise SETTINGS_CONFLICT
        self._check_power(range_V)
        return range_V

    def _check_power(self, range_V: float) -> None:
        if self._number(Header.CURRENT_LIMIT) > TOP_A.get(range_V, 1.05):
            raise SETTINGS_CONFLICT

    def _check_limit(self, limit_A: Stored) -> float:
        limit_A = float(limit_A)
        is_small = limit_A < LEAST_LIMIT * (self._measuring_range_A or 0.0) * (1 - 1e-9)
        if is_small or limit_A > TOP_A.get(self._range_V, 1.05):
            raise OUT_OF_RANGE
        return limit_A

    def _set_off_state(self, arguments: Arguments) -> None:
        """Without a function, the off-state of all functions (6-32 of the 2450)."""
        self._set(Header.OFF_STATE_CURRENT, arguments)
        self._set(Header.OFF_STATE, arguments)

    def _shown(self, header: str) -> Stored:
        return self._range_V if header == Header.SOURCE_RANGE else self._values[header]

    def _number(self, header: str) -> float:
        return float(self._values[header])

    def _reset(self) -> None:
        """Set everything to *RST; the error queue stays."""
        self._values |= {header: setting.default for header, setting in SETTINGS.items()}
        self._buffer.clear()
        self._busy_until = None
        self._apply()

    # -- the circuit --------------------------------------------------------------------------

    @property
    def _range_V(self) -> float:
        if not self._values[Header.SOURCE_AUTO]:
            return self._number(Header.SOURCE_RANGE)
        return _range_for(self._number(Header.LEVEL), VOLTAGE_RANGES_V)

    @property
    def _measuring_range_A(self) -> float | None:
        """A fixed measuring range; it limits the current as well."""
        is_fixed = not self._values[Header.CURRENT_AUTO]
        return self._number(Header.CURRENT_RANGE) if is_fixed else None

    @property
    def _limit_A(self) -> float:
        limit_A, range_A = self._number(Header.CURRENT_LIMIT), self._measuring_range_A
        return limit_A if range_A is None else min(limit_A, OVER_RANGE * range_A)

    @property
    def _protected_V(self) -> float:
        """The level as the protection and the interlock let it through."""
        step = str(self._values[Header.PROTECTION]).removeprefix("PROT")
        most_V = TOP_V if step == "NONE" else float(step) * (1.0 + PROTECTION_TOLERANCE)
        if self._is_held_by_interlock(INTERLOCK_V):
            most_V = min(most_V, INTERLOCK_V)
        return min(max(self._number(Header.LEVEL), -most_V), most_V)

    def _is_held_by_interlock(self, voltage_V: float) -> bool:
        return not self._interlock_is_closed and abs(self._number(Header.LEVEL)) > voltage_V

    def _apply(self) -> None:
        voltage_V, limit_A = self._protected_V, self._limit_A
        if self._values[Header.SOURCE] == "CURR":  # a voltage source at its limit
            current_A = self._number(Header.CURRENT_LEVEL)
            voltage_V = abs(self._number(Header.VOLTAGE_LIMIT)) * (1.0 if current_A > 0 else -1.0)
            limit_A = abs(current_A)
        self.world.bias.set_source(
            voltage_V,
            bool(self._values[Header.OUTPUT]),
            limit_A,
            self._range_V,
            OFF_STATES[str(self._values[Header.OFF_STATE])],
        )

    def _is_limiting(self) -> bool:
        return bool(self._values[Header.OUTPUT]) and self.world.bias.in_compliance()

    def _is_protecting(self) -> bool:
        is_on = bool(self._values[Header.OUTPUT])
        return is_on and self._protected_V != self._number(Header.LEVEL)

    # -- measuring ----------------------------------------------------------------------------

    def _read(self, arguments: Arguments) -> None:
        """Begin a measurement; its last reading is shown when it ends."""
        elements = _elements(arguments)
        function = str(self._values[Header.FUNCTION])
        nplc = {"CURR": Header.CURRENT_NPLC, "VOLT": Header.VOLTAGE_NPLC}.get(
            function, Header.RESISTANCE_NPLC
        )
        count = int(self._number(Header.COUNT))
        each_s = OVERHEAD_S + 2.0 * self._number(nplc) / MAINS_HZ  # auto-zero measures twice
        done_s = self._busy_until = self.world.now + count * each_s

        def end() -> None:
            if self._busy_until == done_s:  # or it was reset
                self._busy_until = None
                self._buffer.extend(self._measure(function) for _ in range(min(count, MAX_BUFFER)))
                self._replies.append(self._show(self._buffer[-1], elements))
                self._work()

        self.world.at(done_s, end)

    def _measure_now(self, function: str, arguments: Arguments) -> None:
        self._set(Header.FUNCTION, (function,))
        self._read(arguments)

    def _measure(self, function: str) -> _Reading:
        bias = self.world.bias
        voltage_V, current_A = bias.measured_voltage_V(), bias.measured_current_A()
        ohm = voltage_V / current_A if current_A else NOT_A_NUMBER
        value = {"CURR": current_A, "VOLT": voltage_V, "RES": ohm}[function]
        is_read_back = bool(self._values[Header.READ_BACK])
        source_V = voltage_V if is_read_back else self._number(Header.LEVEL)
        return _Reading(value, source_V, self.world.now, UNITS[function])

    def _show(self, reading: _Reading, elements: Sequence[str]) -> str:
        shown = {
            "READ": number(reading.value),
            "SOUR": number(reading.source_V),
            "REL": number(reading.time_s - self._zero_s),
            "STAT": "8",
            "SOURSTAT": "16" if self._values[Header.READ_BACK] else "0",
            "TST": _stamp(reading.time_s),
            "SOURUNIT": "Volt DC",
            "UNIT": reading.unit,
            "FORM": f"{reading.value:+.5e} {reading.unit}",
            "SEC": f"{int(reading.time_s)}",
            "FRAC": number(reading.time_s % 1.0),
        }
        return ",".join(shown[element] for element in elements)

    def _fetch(self, arguments: Arguments) -> str | None:
        elements = _elements(arguments)
        return self._show(self._buffer[-1], elements) if self._buffer else None

    def _trace(self, arguments: Arguments) -> str:
        if len(arguments) < 2:
            raise MISSING
        try:
            first, last = int(arguments[0]), int(arguments[1])
        except ValueError:
            raise ILLEGAL from None
        wanted = list(self._buffer)[max(first - 1, 0) : max(last, 0)]
        elements = _elements(arguments[2:])
        return ",".join(self._show(reading, elements) for reading in wanted)

    # -- status -------------------------------------------------------------------------------

    def _report(self, error: ScpiError) -> None:
        severity = 2 if error is LIMITED_BY_INTERLOCK else 1
        code, text = error.number, error.text
        kinds = {1: 32, 2: 16, 3: 8, 4: 4}
        self._events |= kinds.get(-code // 100, 0) if code < 0 else 8
        if len(self._errors) < MAX_ERRORS:
            self._errors.append(f'{code},"{text};{severity};{_stamp(self.world.now)[:-6]}"')

    def _next_error(self) -> str:
        return self._errors.popleft() if self._errors else '0,"No error;0,0,0"'

    def _read_events(self) -> str:
        events, self._events = self._events, 0
        return str(events)

    def _status_byte(self) -> str:
        byte = 4 if self._errors else 0
        byte |= 16 if self._replies or self.outbox.next_due() is not None else 0
        byte |= 32 if self._events & self._event_enable else 0
        return str(byte | (64 if byte & self._service_enable else 0))

    def _clear(self, _: Arguments) -> None:
        self._errors.clear()
        self._events = 0

    def _complete(self, _: Arguments) -> None:
        self._events |= 1

    def _set_enable(self, arguments: Arguments, *, service: bool) -> None:
        mask = _mask(arguments)
        if service:
            self._service_enable = mask
        else:
            self._event_enable = mask

    def _choose_language(self, arguments: Arguments) -> None:
        if len(arguments) != 1 or arguments[0].upper() not in LANGUAGES:
            raise ILLEGAL
        self._next_language = arguments[0].upper()

    # -- tables -----------------------------------------------------------------------------------

    def _query_table(self) -> dict[str, Query]:
        return {
            "*IDN": lambda _: (
                f"KEITHLEY INSTRUMENTS,MODEL 2470,{self.serial},{self.settings.firmware}"
            ),
            "*LANG": lambda _: self.language,
            "*OPC": lambda _: "1",
            "*TST": lambda _: "0",
            "*ESR": lambda _: self._read_events(),
            "*ESE": lambda _: str(self._event_enable),
            "*SRE": lambda _: str(self._service_enable),
            "*STB": lambda _: self._status_byte(),
            ":SYSTem:ERRor[:NEXT]": lambda _: self._next_error(),
            ":SYSTem:ERRor:COUNt": lambda _: str(len(self._errors)),
            ":SYSTem:EVENtlog:NEXT": lambda _: self._next_error(),
            ":SYSTem:VERSion": lambda _: "1999.0",
            ":SYSTem:LFRequency": lambda _: f"{MAINS_HZ:.0f}",
            ":STATus:OPERation[:EVENt]": lambda _: "0",
            ":STATus:QUEStionable[:EVENt]": lambda _: "0",
            ":OUTPut[1]:INTerlock:TRIPped": lambda _: f"{self._interlock_is_closed:d}",
            f"{Header.CURRENT_LIMIT}:TRIPped": lambda _: f"{self._is_limiting():d}",
            f"{Header.VOLTAGE_LIMIT}:TRIPped": lambda _: "0",
            f"{Header.PROTECTION}:TRIPped": lambda _: f"{self._is_protecting():d}",
            Header.OFF_STATE_OF_ALL: lambda _: str(self._values[Header.OFF_STATE]),
            ":READ": self._read,
            ":FETCh": self._fetch,
            ":MEASure[:DC]": self._read,
            ":MEASure:CURRent[:DC]": lambda given: self._measure_now("CURR", given),
            ":MEASure:VOLTage[:DC]": lambda given: self._measure_now("VOLT", given),
            ":MEASure:RESistance": lambda given: self._measure_now("RES", given),
            ":TRACe:DATA": self._trace,
            ":TRACe:ACTual": lambda _: str(len(self._buffer)),
        }

    def _command_table(self) -> dict[str, Command]:
        return dict.fromkeys(IGNORED, _ignore) | {
            "*RST": lambda _: self._reset(),
            "*CLS": self._clear,
            "*OPC": self._complete,
            "*LANG": self._choose_language,
            "*ESE": lambda given: self._set_enable(given, service=False),
            "*SRE": lambda given: self._set_enable(given, service=True),
            ":SYSTem:CLEar": lambda _: self._errors.clear(),
            ":TRACe:CLEar": lambda _: self._buffer.clear(),
            Header.OFF_STATE_OF_ALL: self._set_off_state,
        }


def _ignore(_: Arguments) -> None:
    pass


def _range_for(value: float, ranges: Sequence[float]) -> float:
    """Return the smallest range that holds a value; ranges reach 5 % beyond their name."""
    return next((r for r in ranges if abs(value) <= OVER_RANGE * r * (1 + 1e-9)), ranges[-1])


def _top_of(range_V: float) -> float:
    return TOP_V if range_V == VOLTAGE_RANGES_V[-1] else OVER_RANGE * range_V


def _elements(arguments: Arguments) -> list[str]:
    """Return the elements asked for after the optional name of the buffer; the reading alone."""
    names = arguments[1:] if arguments and arguments[0][:1] in "\"'" else arguments
    known = {*ELEMENTS.values()}
    elements = [ELEMENTS.get(name.upper(), name.upper()) for name in names]
    if any(element not in known for element in elements):
        raise ILLEGAL
    return elements or ["READ"]


def _mask(arguments: Arguments) -> int:
    if len(arguments) != 1 or not arguments[0].isdecimal():
        raise ILLEGAL
    mask = int(arguments[0])
    if mask > 255:
        raise OUT_OF_RANGE
    return mask


def _stamp(time_s: float) -> str:
    """Return a time stamp with nanoseconds, as in 2026/01/01 00:00:05.123000000."""
    moment = START + timedelta(seconds=time_s)
    return f"{moment:%Y/%m/%d %H:%M:%S}.{moment.microsecond:06d}000"


@cache
def _spellings(declarations: tuple[str, ...]) -> dict[str, str]:
    """Return the dictionary of all spellings, which takes a moment to write."""
    return spelling_table(dict.fromkeys(declarations))
