"""Keithley 2410: bias supply and meter up to 1100 V, on the circuit of the World.

Rules (2400 series manual; page numbers as in the reference of this project)
1. Lines end with CR or LF; replies with the terminator selected. ^C and ^X abort what goes on and
   throw pending output away (14-15).
2. Errors go into a queue that :SYST:ERR? empties; the command that caused one is silent.
3. :READ? with the output off is error +803 and never answered.
4. Off-state of this model is GUARD: 0 A, not 0 V, so a charged gap keeps its voltage (18-4).
5. Over-voltage protection knows the steps 20..500 V or none, and holds within 5 % (18-81).
6. The current limit is not below 0.1 % of the measuring range (18-68) and at most 21 mA in the
   1000 V range. A fixed measuring range limits the current as well: range compliance.
7. A change of source range with the output on sends a spike into the circuit: the world's.
8. While a measurement runs, later commands wait.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.keithley_settings import SETTINGS, Header
from simulators.keithley_source import SETTINGS_CONFLICT, SourceUnit
from simulators.scpi import ScpiCommand, ScpiError, parse_message, spelling_table
from simulators.scpi_settings import ILLEGAL, MISSING, NOT_ALLOWED, Real, Stored, real
from simulators.world import World

__all__ = ["Keithley2410", "KeithleySettings", "StatusBit"]

NOT_A_NUMBER: Final = 9.91e37
MAX_LINE: Final = 2048
MAX_ERRORS: Final = 10
MAX_WAITING: Final = 256
MAX_READINGS: Final = 2500
ABORT_BYTES: Final = b"\x03\x18"
ELEMENTS: Final = ("VOLT", "CURR", "RES", "TIME", "STAT")
LONG_ELEMENTS: Final = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT"}
FUNCTIONS: Final = ("VOLT", "CURR", "RES")

NO_ERROR = ScpiError(0, "No error")
UNDEFINED = ScpiError(-113, "Undefined header")
OVERRUN = ScpiError(-363, "Input buffer overrun")
QUEUE_OVERFLOW = ScpiError(-350, "Queue overflow")
BLOCKED = ScpiError(802, "OUTPUT blocked by output enable")
OUTPUT_IS_OFF = ScpiError(803, "Not permitted with OUTPUT off")

QUERY_EVENT, DEVICE_EVENT, EXECUTION_EVENT, COMMAND_EVENT, POWER_ON = 4, 8, 16, 32, 128


class StatusBit:
    """Bits of the element STAT of a reading."""

    OVERFLOW, FILTER, FRONT, COMPLIANCE, PROTECTION = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
    MEASURES_V, MEASURES_I, SOURCES_V, SOURCES_I = 1 << 11, 1 << 12, 1 << 14, 1 << 15
    RANGE_COMPLIANCE, FOUR_WIRE = 1 << 16, 1 << 22


class MeasurementEvent:
    """Bits of the measurement event register (15-14)."""

    READING, BUFFER_FULL, INTERLOCK, PROTECTION, COMPLIANCE = (
        1 << 6,
        1 << 9,
        1 << 11,
        1 << 13,
        1 << 14,
    )


@dataclass(frozen=True, slots=True)
class KeithleySettings:
    """What differs from unit to unit."""

    serial: str = "1402736"
    firmware: str = "C34 Sep 21 2016 15:30:00/A02  /J/K"
    terminator: bytes = b"\r"  # or LF, CR LF, LF CR
    reply_s: float = 0.005
    overhead_s: float = 0.002  # of one measurement beside its integration
    boot_s: float = 5.0


_QUERIES: Final = (
    "*IDN", "*OPT", "*TST", "*OPC", "*ESR", "*ESE", "*SRE", "*STB",
    ":SYSTem:ERRor[:NEXT]", ":SYSTem:ERRor:ALL", ":SYSTem:ERRor:COUNt",
    ":SYSTem:ERRor:CODE[:NEXT]", ":STATus:QUEue[:NEXT]", ":SYSTem:VERSion", ":SYSTem:TIME",
    ":SENSe[1]:CURRent[:DC]:PROTection:TRIPped", ":SENSe[1]:VOLTage[:DC]:PROTection:TRIPped",
    ":SOURce[1]:VOLTage:PROTection:TRIPped", ":OUTPut[1]:INTerlock:TRIPped",
    ":OUTPut[1]:ENABle:TRIPped", ":STATus:MEASurement[:EVENt]", ":STATus:MEASurement:CONDition",
    ":STATus:OPERation[:EVENt]", ":STATus:QUEStionable[:EVENt]", ":TRACe:POINts:ACTual",
    ":TRACe:DATA", ":CALCulate3:DATA", ":FETCh", ":READ", ":MEASure:CURRent[:DC]",
    ":MEASure:VOLTage[:DC]", ":MEASure:RESistance", ":MEASure",
    ":SOURce[1]:VOLTage:PROTection[:LEVel]", ":SENSe[1]:FUNCtion[:ON]",
    ":SENSe[1]:FUNCtion:OFF", ":FORMat:ELEMents[:SENSe[1]]",
)  # fmt: skip
_COMMANDS: Final = (
    "*RST", "*CLS", "*OPC", "*TRG", "*WAI", "*SAV", "*RCL", "*ESE", "*SRE",
    ":SYSTem:PRESet", ":SYSTem:CLEar", ":SYSTem:TIME:RESet", ":SYSTem:LOCal", ":SYSTem:REMote",
    ":SYSTem:RWLock", ":SYSTem:BEEPer[:IMMediate]", ":STATus:PRESet", ":STATus:QUEue:CLEar",
    ":INITiate[:IMMediate]", ":ABORt", ":TRIGger:CLEar", ":TRACe:CLEar",
    ":SOURce[1]:VOLTage:PROTection[:LEVel]", ":SENSe[1]:FUNCtion[:ON]", ":SENSe[1]:FUNCtion:OFF",
    ":SENSe[1]:FUNCtion[:ON]:ALL", ":SENSe[1]:FUNCtion:OFF:ALL", ":FORMat:ELEMents[:SENSe[1]]",
    ":CONFigure:VOLTage[:DC]", ":CONFigure:CURRent[:DC]", ":CONFigure:RESistance",
    ":SOURce[1]:CLEar[:IMMediate]",
)  # fmt: skip
SPELLINGS: Final = spelling_table(dict.fromkeys((*SETTINGS, *_QUERIES, *_COMMANDS)))

_Command = Callable[[tuple[str, ...]], None]
_Query = Callable[[tuple[str, ...]], str | None]


class Keithley2410(InstrumentCore):
    """A Model 2410 on one World. The interlock line starts closed (low), as when it is wired."""

    def __init__(self, world: World, settings: KeithleySettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or KeithleySettings()
        self.serial = self.settings.serial
        self._interlock_is_closed = True
        self._lines = LineBuffer(b"\r\n", MAX_LINE)
        self._parsed: dict[bytes, list[ScpiCommand]] = {}
        self._values: dict[str, Stored] = {}
        self._source = SourceUnit(world, self._values)
        self._checks: dict[str, Callable[[Stored], Stored]] = {
            Header.LEVEL: self._source.check_level,
            Header.SOURCE_RANGE: self._source.check_range,
            Header.CURRENT_LIMIT: self._source.check_limit,
            Header.CURRENT_RANGE: self._source.check_measuring_range,
            Header.OUTPUT: self._check_output,
            Header.TRIGGER_COUNT: lambda count: self._check_count(count, Header.ARM_COUNT),
            Header.ARM_COUNT: lambda count: self._check_count(count, Header.TRIGGER_COUNT),
        }
        self._queries = self._query_table()
        self._commands = self._command_table()
        self._power_up()

    def _power_up(self) -> None:
        self._errors: deque[ScpiError] = deque()
        self._event_status, self._event_enable, self._service_enable = POWER_ON, 0, 0
        self._measurement_events = 0
        self._started_s = self.world.now
        self._boot_until = float("-inf")
        self._waiting: deque[ScpiCommand | None] = deque()  # None ends a line
        self._replies: list[str] = []
        self._busy_until: float | None = None
        self._readings: list[dict[str, float]] = []
        self._buffer: list[dict[str, float]] = []
        self._reset(())

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        for code in ABORT_BYTES:
            if code in fragment:
                self._abort_everything()
                fragment = fragment[fragment.rindex(code) + 1 :]
        overruns = self._lines.overruns
        lines = self._lines.feed(fragment)
        if self._lines.overruns > overruns:
            self._raise(OVERRUN)
        return lines

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        if len(self._waiting) > MAX_WAITING:
            self._raise(OVERRUN)
            return False
        posted = self.outbox.posted
        self._waiting.extend(self._parse(request))
        self._waiting.append(None)
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
            f"{_short(command.header)}{'?' * command.is_query}"
            for command in self._parse(request)
            if command.header
        ]

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._power_up()
        self._boot_until = now + self.settings.boot_s

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "9999999"

    def set_interlock(self, is_closed: bool, now: float) -> None:
        """Close or open the interlock line; it acts only where the instrument heeds it."""
        self.world.advance(now)
        self._interlock_is_closed = is_closed
        if not self._output_is_allowed:
            self._measurement_events |= MeasurementEvent.INTERLOCK
            self._values[Header.OUTPUT] = False
            self._source.apply()

    def _parse(self, request: bytes) -> list[ScpiCommand]:
        parsed = self._parsed.get(request)
        if parsed is None:
            if len(self._parsed) > 1000:
                self._parsed.clear()
            parsed = parse_message(request.decode("latin-1"), SPELLINGS)
            self._parsed[request] = parsed
        return parsed

    def _work(self) -> None:
        """Carry out what waits, up to a measurement that takes time."""
        while self._waiting and self._busy_until is None:
            command = self._waiting.popleft()
            if command is None:
                self._send_replies()
            else:
                self._perform(command)

    def _send_replies(self) -> None:
        if self._replies:
            text = ";".join(self._replies).encode("latin-1")
            self._replies = []
            self.outbox.post(
                self.world.now + self.settings.reply_s, text + self.settings.terminator
            )

    def _perform(self, command: ScpiCommand) -> None:
        try:
            if command.is_query:
                reply = self._query(command)
                if reply is not None:
                    self._replies.append(reply)
            else:
                self._command(command)
        except ScpiError as error:
            self._raise(error)

    def _query(self, command: ScpiCommand) -> str | None:
        header = command.header
        if header in self._queries:
            return self._queries[header](command.arguments)
        if header not in SETTINGS:
            raise UNDEFINED
        setting = SETTINGS[header]
        if command.arguments and isinstance(setting, Real):
            return setting.show(setting.parse(command.arguments[0]))
        return setting.show(self._shown(header))

    def _command(self, command: ScpiCommand) -> None:
        header, arguments = command.header, command.arguments
        if header in self._commands:
            self._commands[header](arguments)
        elif header in SETTINGS:
            self._set(header, arguments)
        else:
            raise UNDEFINED

    def _set(self, header: str, arguments: tuple[str, ...]) -> None:
        if not arguments:
            raise MISSING
        if len(arguments) > 1:
            raise NOT_ALLOWED
        if header == Header.AUTO_ZERO and arguments[0].upper() == "ONCE":
            return
        value = SETTINGS[header].parse(arguments[0])
        check = self._checks.get(header)
        self._values[header] = check(value) if check else value
        self._follow_up(header)
        self._source.apply()

    def _follow_up(self, header: str) -> None:
        """Do what else a setting changes."""
        values = self._values
        if header == Header.SOURCE_RANGE:
            values[Header.SOURCE_AUTO] = False
        elif header == Header.SOURCE_AUTO and not values[header]:
            values[Header.SOURCE_RANGE] = self.world.bias.range_V
        elif header == Header.CURRENT_RANGE:
            values[Header.CURRENT_AUTO] = False
        elif header == Header.VOLTAGE_RANGE:
            values[Header.VOLTAGE_AUTO] = False
        elif header == Header.TERMINALS:
            values[Header.OUTPUT] = False
        elif header in (Header.INTERLOCK, Header.ENABLE):
            values[Header.INTERLOCK] = values[header]
            if not self._output_is_allowed:
                values[Header.OUTPUT] = False
        elif header in _NPLC:
            values |= dict.fromkeys(_NPLC, values[header])  # one integration time for all

    def _shown(self, header: str) -> Stored:
        if header == Header.SOURCE_RANGE:
            return self._source.range_V
        if header == Header.CURRENT_RANGE:
            return self._source.measuring_range_A or self._values[header]
        return self._values[header]

    # -- errors and status --------------------------------------------------------------------

    def _raise(self, error: ScpiError) -> None:
        self._event_status |= _event_of(error.number)
        if len(self._errors) < MAX_ERRORS:
            self._errors.append(error)
        else:
            self._errors[-1] = QUEUE_OVERFLOW

    def _next_error(self, _: tuple[str, ...]) -> str:
        return str(self._errors.popleft() if self._errors else NO_ERROR)

    def _all_errors(self, _: tuple[str, ...]) -> str:
        errors = ",".join(map(str, self._errors)) or str(NO_ERROR)
        self._errors.clear()
        return errors

    def _next_error_code(self, _: tuple[str, ...]) -> str:
        return str(self._errors.popleft().number if self._errors else 0)

    def _read_event_status(self, _: tuple[str, ...]) -> str:
        status, self._event_status = self._event_status, 0
        return str(status)

    def _status_byte(self) -> int:
        enable = int(self._values[Header.MEASUREMENT_ENABLE])
        byte = 1 if self._measurement_events & enable else 0
        byte |= 4 if self._errors else 0
        byte |= 16 if self._replies or self.outbox.next_due() is not None else 0
        byte |= 32 if self._event_status & self._event_enable else 0
        return byte | (64 if byte & self._service_enable else 0)

    def _measurement_condition(self) -> int:
        condition = 0 if self._output_is_allowed else MeasurementEvent.INTERLOCK
        condition |= MeasurementEvent.PROTECTION if self._source.is_protecting else 0
        if self._output_is_on and self.world.bias.in_compliance():
            condition |= MeasurementEvent.COMPLIANCE
        return condition

    def _read_measurement_events(self, _: tuple[str, ...]) -> str:
        events = self._measurement_events | self._measurement_condition()
        self._measurement_events = 0
        return str(events)

    def _clear_status(self, _: tuple[str, ...]) -> None:
        self._errors.clear()
        self._event_status = self._measurement_events = 0

    def _set_event_enable(self, arguments: tuple[str, ...]) -> None:
        self._event_enable = _mask(arguments)

    def _set_service_enable(self, arguments: tuple[str, ...]) -> None:
        self._service_enable = _mask(arguments)

    def _preset_status(self, _: tuple[str, ...]) -> None:
        self._values[Header.MEASUREMENT_ENABLE] = 0

    # -- source -----------------------------------------------------------------------------------

    @property
    def _output_is_on(self) -> bool:
        return bool(self._values[Header.OUTPUT])

    @property
    def _output_is_allowed(self) -> bool:
        return self._interlock_is_closed or not self._values[Header.INTERLOCK]

    def _check_output(self, on: Stored) -> Stored:
        if on and not self._output_is_allowed:
            raise BLOCKED
        return on

    def _check_count(self, count: Stored, other: str) -> Stored:
        """The product of both counts is at most what the buffer holds."""
        if int(count) * int(self._values[other]) > MAX_READINGS:
            raise SETTINGS_CONFLICT
        return count

    def _reset(self, _: tuple[str, ...]) -> None:
        """Set everything to *RST; status and error queue stay."""
        self._values.update({header: setting.default for header, setting in SETTINGS.items()})
        self._values[Header.SOURCE_RANGE] = 20.0
        self._source.protection_V = None
        self._functions = {"VOLT", "CURR"}
        self._elements = set(ELEMENTS)
        self._abort(())
        self._source.apply()

    def _set_protection(self, arguments: tuple[str, ...]) -> None:
        if not arguments:
            raise MISSING
        if arguments[0].upper() in ("NONE", "DEF", "MAX"):
            self._source.protection_V = None
        else:
            self._source.set_protection(Real(1e3, -1e4, 1e4).parse(arguments[0]))
        self._source.apply()

    def _protection(self, _: tuple[str, ...]) -> str:
        return "NONE" if self._source.protection_V is None else real(self._source.protection_V)

    def _clear_source(self, _: tuple[str, ...]) -> None:
        self._values[Header.OUTPUT] = False
        self._source.apply()

    # -- measuring ----------------------------------------------------------------------------

    def _start_measurement(self, _: tuple[str, ...]) -> str | None:
        """Begin :READ? or :INIT; the readings are there when it ends."""
        if not self._output_is_on:
            if not self._values[Header.CLEAR_AUTO]:
                raise OUTPUT_IS_OFF
            self._set(Header.OUTPUT, ("1",))
        done_s = self.world.now + self._count * self._duration_s
        self._busy_until = done_s
        return None

    def _read(self, arguments: tuple[str, ...]) -> None:
        self._start_measurement(arguments)
        self._end_at(lambda: self._replies.append(self._show(self._readings)))

    def _initiate(self, arguments: tuple[str, ...]) -> None:
        self._start_measurement(arguments)
        self._end_at(lambda: None)

    def _end_at(self, answer: Callable[[], None]) -> None:
        done_s = self._busy_until
        assert done_s is not None  # noqa: S101 - set by _start_measurement

        def end() -> None:
            if self._busy_until == done_s:
                self._busy_until = None
                self._take_readings()
                answer()
                self._work()

        self.world.at(done_s, end)

    def _take_readings(self) -> None:
        self._readings = [self._measure() for _ in range(self._count)]
        self._measurement_events |= MeasurementEvent.READING | self._measurement_condition()
        if self._values[Header.BUFFER_CONTROL] == "NEXT":
            self._fill_buffer()
        if self._values[Header.CLEAR_AUTO]:
            self._clear_source(())

    def _fill_buffer(self) -> None:
        points = int(self._values[Header.BUFFER_POINTS])
        self._buffer = (self._buffer + self._readings)[:points]
        if len(self._buffer) == points:
            self._values[Header.BUFFER_CONTROL] = "NEV"
            self._measurement_events |= MeasurementEvent.BUFFER_FULL

    def _measure(self) -> dict[str, float]:
        bias = self.world.bias
        voltage_V = bias.measured_voltage_V() if "VOLT" in self._functions else self._source.level_V
        current_A = bias.measured_current_A() if "CURR" in self._functions else NOT_A_NUMBER
        measures_ohm = "RES" in self._functions and current_A != 0.0
        return {
            "VOLT": voltage_V,
            "CURR": current_A,
            "RES": voltage_V / current_A if measures_ohm else NOT_A_NUMBER,
            "TIME": self.world.now - self._started_s,
            "STAT": float(self._status_word()),
        }

    def _status_word(self) -> int:
        values = self._values
        word = StatusBit.FILTER if values[Header.FILTER] else 0
        word |= StatusBit.FRONT if values[Header.TERMINALS] == "FRON" else 0
        if self.world.bias.in_compliance():
            limited = self._source.is_range_limited
            word |= StatusBit.RANGE_COMPLIANCE if limited else StatusBit.COMPLIANCE
        word |= StatusBit.PROTECTION if self._source.is_protecting else 0
        word |= StatusBit.MEASURES_V if "VOLT" in self._functions else 0
        word |= StatusBit.MEASURES_I if "CURR" in self._functions else 0
        sources_V = values[Header.SOURCE] != "CURR"
        word |= StatusBit.SOURCES_V if sources_V else StatusBit.SOURCES_I
        return word | (StatusBit.FOUR_WIRE if values[Header.REMOTE_SENSE] else 0)

    @property
    def _count(self) -> int:
        return int(self._values[Header.TRIGGER_COUNT]) * int(self._values[Header.ARM_COUNT])

    @property
    def _duration_s(self) -> float:
        """One reading: each function integrates, twice with auto-zero, after the source delay."""
        values = self._values
        period_s = float(values[Header.CURRENT_NPLC]) / float(values[Header.LINE_FREQUENCY])
        repeats = int(values[Header.FILTER_COUNT]) if values[Header.FILTER] else 1
        phases = 2 if values[Header.AUTO_ZERO] else 1
        delay_s = 0.001 if values[Header.DELAY_AUTO] else float(values[Header.DELAY])
        functions = max(len(self._functions & {"VOLT", "CURR"}), 1)
        return delay_s + self.settings.overhead_s + repeats * functions * phases * period_s

    def _show(self, readings: list[dict[str, float]]) -> str:
        return ",".join(
            real(reading[element])
            for reading in readings
            for element in ELEMENTS
            if element in self._elements
        )

    def _measure_only(self, function: str) -> _Query:
        def measure(_: tuple[str, ...]) -> None:
            self._functions.add(function)
            self._read(())

        return measure

    def _statistics(self, _: tuple[str, ...]) -> str:
        """Return the statistic of each element in the buffer: VOLT, CURR, RES."""
        of = _STATISTICS[str(self._values[Header.STATISTIC])]
        shown = [element for element in ELEMENTS[:3] if element in self._elements]
        columns = [[reading[element] for reading in self._buffer] for element in shown]
        return ",".join(real(of(column)) if column else real(NOT_A_NUMBER) for column in columns)

    def _set_functions(self, arguments: tuple[str, ...], *, on: bool = True) -> None:
        wanted = {_function(argument) for argument in arguments}
        if not wanted:
            raise MISSING
        self._functions = self._functions | wanted if on else self._functions - wanted

    def _show_functions(self, functions: set[str]) -> str:
        names = [f'"{name}:DC"' if name != "RES" else '"RES"' for name in FUNCTIONS]
        shown = [name for name, short in zip(names, FUNCTIONS, strict=True) if short in functions]
        return ",".join(shown) or '""'

    def _set_elements(self, arguments: tuple[str, ...]) -> None:
        wanted = {LONG_ELEMENTS.get(each.upper(), each.upper()) for each in arguments}
        if not wanted:
            raise MISSING
        if wanted - set(ELEMENTS):
            raise ILLEGAL
        self._elements = wanted

    def _abort(self, _: tuple[str, ...]) -> None:
        self._busy_until = None
        self._readings = []

    def _abort_everything(self) -> None:
        """Do what ^C does."""
        self._waiting.clear()
        self._replies = []
        self._lines.clear()
        self.outbox.clear()
        self._busy_until = None

    # -- tables -----------------------------------------------------------------------------------

    def _query_table(self) -> dict[str, _Query]:
        bias = self.world.bias
        table: dict[str, _Query] = {
            "*IDN": lambda _: (
                f"KEITHLEY INSTRUMENTS INC.,MODEL 2410,{self.serial},{self.settings.firmware}"
            ),
            "*OPT": lambda _: "0",
            "*TST": lambda _: "0",
            "*OPC": lambda _: "1",
            "*ESR": self._read_event_status,
            "*ESE": lambda _: str(self._event_enable),
            "*SRE": lambda _: str(self._service_enable),
            "*STB": lambda _: str(self._status_byte()),
            ":SYSTem:ERRor[:NEXT]": self._next_error,
            ":SYSTem:ERRor:ALL": self._all_errors,
            ":SYSTem:ERRor:COUNt": lambda _: str(len(self._errors)),
            ":SYSTem:ERRor:CODE[:NEXT]": self._next_error_code,
            ":STATus:QUEue[:NEXT]": self._next_error,
            ":SYSTem:VERSion": lambda _: "1996.0",
            ":SYSTem:TIME": lambda _: f"{self.world.now - self._started_s:.2f}",
            ":SENSe[1]:CURRent[:DC]:PROTection:TRIPped": lambda _: (
                f"{self._output_is_on and bias.in_compliance():d}"
            ),
            ":SENSe[1]:VOLTage[:DC]:PROTection:TRIPped": lambda _: "0",
            ":SOURce[1]:VOLTage:PROTection:TRIPped": lambda _: f"{self._source.is_protecting:d}",
            ":OUTPut[1]:INTerlock:TRIPped": lambda _: f"{self._output_is_allowed:d}",
            ":OUTPut[1]:ENABle:TRIPped": lambda _: f"{self._output_is_allowed:d}",
            ":STATus:MEASurement[:EVENt]": self._read_measurement_events,
            ":STATus:MEASurement:CONDition": lambda _: str(self._measurement_condition()),
            ":STATus:OPERation[:EVENt]": lambda _: "0",
            ":STATus:QUEStionable[:EVENt]": lambda _: "0",
            ":TRACe:POINts:ACTual": lambda _: str(len(self._buffer)),
            ":TRACe:DATA": lambda _: self._show(self._buffer),
            ":CALCulate3:DATA": self._statistics,
            ":FETCh": lambda _: self._show(self._readings) if self._readings else None,
            ":READ": self._read,
            ":MEASure": self._read,
            ":MEASure:CURRent[:DC]": self._measure_only("CURR"),
            ":MEASure:VOLTage[:DC]": self._measure_only("VOLT"),
            ":MEASure:RESistance": self._measure_only("RES"),
            ":SOURce[1]:VOLTage:PROTection[:LEVel]": self._protection,
            ":SENSe[1]:FUNCtion[:ON]": lambda _: self._show_functions(self._functions),
            ":SENSe[1]:FUNCtion:OFF": lambda _: self._show_functions(
                set(FUNCTIONS) - self._functions
            ),
            ":FORMat:ELEMents[:SENSe[1]]": lambda _: ",".join(
                element for element in ELEMENTS if element in self._elements
            ),
        }
        return table

    def _command_table(self) -> dict[str, _Command]:
        def ignore(_: tuple[str, ...]) -> None:
            pass

        table: dict[str, _Command] = dict.fromkeys(_COMMANDS, ignore)
        table |= {
            "*RST": self._reset,
            ":SYSTem:PRESet": self._reset,
            "*CLS": self._clear_status,
            "*OPC": self._operation_complete,
            "*ESE": self._set_event_enable,
            "*SRE": self._set_service_enable,
            ":SYSTem:CLEar": lambda _: self._errors.clear(),
            ":STATus:QUEue:CLEar": lambda _: self._errors.clear(),
            ":SYSTem:TIME:RESet": self._restart_time,
            ":STATus:PRESet": self._preset_status,
            ":INITiate[:IMMediate]": self._initiate,
            ":ABORt": self._abort,
            ":TRACe:CLEar": lambda _: self._buffer.clear(),
            ":SOURce[1]:VOLTage:PROTection[:LEVel]": self._set_protection,
            ":SOURce[1]:CLEar[:IMMediate]": self._clear_source,
            ":SENSe[1]:FUNCtion[:ON]": self._set_functions,
            ":SENSe[1]:FUNCtion:OFF": lambda names: self._set_functions(names, on=False),
            ":SENSe[1]:FUNCtion[:ON]:ALL": lambda _: self._functions.update(FUNCTIONS),
            ":SENSe[1]:FUNCtion:OFF:ALL": lambda _: self._functions.clear(),
            ":FORMat:ELEMents[:SENSe[1]]": self._set_elements,
            ":CONFigure:VOLTage[:DC]": lambda _: self._functions.add("VOLT"),
            ":CONFigure:CURRent[:DC]": lambda _: self._functions.add("CURR"),
            ":CONFigure:RESistance": lambda _: self._functions.add("RES"),
        }
        return table

    def _operation_complete(self, _: tuple[str, ...]) -> None:
        self._event_status |= 1

    def _restart_time(self, _: tuple[str, ...]) -> None:
        self._started_s = self.world.now


_NPLC: Final = (Header.CURRENT_NPLC, Header.VOLTAGE_NPLC, Header.RESISTANCE_NPLC)


def _spread(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


_STATISTICS: Final[dict[str, Callable[[list[float]], float]]] = {
    "MEAN": fmean,
    "SDEV": _spread,
    "MAX": max,
    "MIN": min,
    "PKPK": lambda values: max(values) - min(values),
}


def _event_of(number: int) -> int:
    """Return the bit of the standard event register that an error sets."""
    if number > 0:
        return DEVICE_EVENT
    return {1: COMMAND_EVENT, 2: EXECUTION_EVENT, 3: DEVICE_EVENT, 4: QUERY_EVENT}.get(
        -number // 100, 0
    )


def _mask(arguments: tuple[str, ...]) -> int:
    if not arguments:
        raise MISSING
    return round(Real(0.0, 0.0, 65535.0).parse(arguments[0]))


def _function(argument: str) -> str:
    """Return VOLT, CURR or RES for a quoted function name such as 'VOLTage:DC'."""
    name = argument.strip("\"'").upper().partition(":")[0]
    short = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES"}.get(name, name)
    if short not in FUNCTIONS:
        raise ILLEGAL
    return short


def _short(declaration: str) -> str:
    """Return a declared header by its capitals and without its optional nodes."""
    kept = declaration
    while "[" in kept:
        start = kept.rindex("[")
        kept = kept[:start] + kept[kept.index("]", start) + 1 :]
    return "".join(letter for letter in kept if not letter.islower()).lstrip(":")
