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
from functools import cache
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.keithley_meter import FUNCTIONS, Meter
from simulators.keithley_settings import SETTINGS, Header
from simulators.keithley_source import SETTINGS_CONFLICT, SourceUnit
from simulators.keithley_status import MeasurementEvent, StatusSystem
from simulators.scpi import ScpiCommand, ScpiError, parse_message, short_form, spelling_table
from simulators.scpi_settings import MISSING, NOT_ALLOWED, Real, Stored, real
from simulators.world import World

__all__ = ["Keithley2410", "KeithleySettings"]

MAX_LINE: Final = 2048
MAX_WAITING: Final = 256
MAX_PARSED: Final = 1000
MAX_READINGS: Final = 2500
ABORT_BYTES: Final = b"\x03\x18"
NPLC: Final = (Header.CURRENT_NPLC, Header.VOLTAGE_NPLC, Header.RESISTANCE_NPLC)

UNDEFINED = ScpiError(-113, "Undefined header")
OVERRUN = ScpiError(-363, "Input buffer overrun")
BLOCKED = ScpiError(802, "OUTPUT blocked by output enable")
OUTPUT_IS_OFF = ScpiError(803, "Not permitted with OUTPUT off")

# Accepted and without effect here
IGNORED: Final = (
    "*TRG", "*WAI", "*SAV", "*RCL", ":SYSTem:LOCal", ":SYSTem:REMote", ":SYSTem:RWLock",
    ":SYSTem:BEEPer[:IMMediate]", ":TRIGger:CLEar",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeithleySettings:
    """What differs from unit to unit."""

    serial: str = "1402736"
    firmware: str = "C34 Sep 21 2016 15:30:00/A02  /J/K"
    terminator: bytes = b"\r"  # or LF, CR LF, LF CR
    reply_s: float = 0.005
    overhead_s: float = 0.002  # of one measurement beside its integration
    boot_s: float = 5.0


Arguments = tuple[str, ...]
Command = Callable[[Arguments], None]
Query = Callable[[Arguments], str | None]
EndOfLine = int  # with the number of the client who sent it


class Keithley2410(InstrumentCore):
    """A Model 2410 on one World. The interlock line starts closed (low), as when it is wired."""

    def __init__(self, world: World, settings: KeithleySettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or KeithleySettings()
        self.serial = self.settings.serial
        self._interlock_is_closed = True
        self._boot_until = float("-inf")
        self._client = 0
        self._lines = LineBuffer(b"\r\n", MAX_LINE)
        self._parsed: dict[bytes, list[ScpiCommand]] = {}
        self._values: dict[str, Stored] = {}
        self._source = SourceUnit(world, self._values)
        self._meter = Meter(world, self._values, self._source, self.settings.overhead_s)
        self._status = StatusSystem()
        self._checks = self._check_table()
        self._queries = self._query_table()
        self._commands = self._command_table()
        self._spellings = _spellings((*SETTINGS, *self._queries, *self._commands))
        self._waiting: deque[ScpiCommand | EndOfLine] = deque()
        self._replies: list[str] = []
        self._busy_until: float | None = None
        self._reset()

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
            self._status.report(OVERRUN)
        return lines

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        if len(self._waiting) > MAX_WAITING:
            self._status.report(OVERRUN)
            return False
        posted = self.outbox.posted
        self._waiting.extend(self._parse(request))
        self._waiting.append(self._client)
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
        self._abort_everything()
        self._status.power_up()
        self._meter.power_up()
        self._reset()
        self._boot_until = now + self.settings.boot_s

    def hang_up(self) -> None:
        """Commands that wait are still carried out; their replies go nowhere."""
        super().hang_up()
        self._lines.clear()
        self._client += 1

    def impersonate(self) -> None:
        self.serial = "9999999"

    def set_interlock(self, is_closed: bool, now: float) -> None:
        """Close or open the interlock line; it acts only where the instrument heeds it."""
        self.world.advance(now)
        self._interlock_is_closed = is_closed
        if not self._output_is_allowed:
            self._status.measurement_events |= MeasurementEvent.INTERLOCK
            self._switch_off()

    def _parse(self, request: bytes) -> list[ScpiCommand]:
        parsed = self._parsed.get(request)
        if parsed is None:
            if len(self._parsed) >= MAX_PARSED:
                self._parsed.clear()
            parsed = parse_message(request.decode("latin-1"), self._spellings)
            self._parsed[request] = parsed
        return parsed

    def _work(self) -> None:
        """Carry out what waits, up to a measurement that takes time."""
        while self._waiting and self._busy_until is None:
            command = self._waiting.popleft()
            if isinstance(command, ScpiCommand):
                self._perform(command)
            else:
                self._end_line(client=command)

    def _end_line(self, client: int) -> None:
        replies, self._replies = self._replies, []
        if replies and client == self._client:
            text = ";".join(replies).encode("latin-1") + self.settings.terminator
            self.outbox.post(self.world.now + self.settings.reply_s, text)

    def _perform(self, command: ScpiCommand) -> None:
        try:
            if not command.is_query:
                self._command(command)
            elif (reply := self._query(command)) is not None:
                self._replies.append(reply)
        except ScpiError as error:
            # One instance serves for good, and would keep the frames of every raise
            self._status.report(error.with_traceback(None))

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

    def _abort(self) -> None:
        self._busy_until = None
        self._meter.readings = []

    def _abort_everything(self) -> None:
        """Do what ^C does."""
        self._abort()
        self._waiting.clear()
        self._replies = []
        self._lines.clear()
        self.outbox.clear()

    # -- settings -----------------------------------------------------------------------------

    def _set(self, header: str, arguments: Arguments) -> None:
        if len(arguments) != 1:
            raise NOT_ALLOWED if arguments else MISSING
        if header == Header.AUTO_ZERO and arguments[0].upper() == "ONCE":
            return
        value = SETTINGS[header].parse(arguments[0])
        check = self._checks.get(header)
        self._values[header] = check(value) if check else value
        self._follow_up(header)
        self._source.apply()

    def _check_table(self) -> dict[str, Callable[[Stored], Stored]]:
        return {
            Header.LEVEL: self._source.check_level,
            Header.SOURCE_RANGE: self._source.check_range,
            Header.CURRENT_LIMIT: self._source.check_limit,
            Header.CURRENT_RANGE: self._source.check_measuring_range,
            Header.OUTPUT: self._check_output,
            Header.TRIGGER_COUNT: lambda count: self._check_count(count, Header.ARM_COUNT),
            Header.ARM_COUNT: lambda count: self._check_count(count, Header.TRIGGER_COUNT),
        }

    def _check_output(self, on: Stored) -> Stored:
        if on and not self._output_is_allowed:
            raise BLOCKED
        return on

    def _check_count(self, count: Stored, other: str) -> Stored:
        """The product of both counts is at most what the buffer holds."""
        if int(count) * int(self._values[other]) > MAX_READINGS:
            raise SETTINGS_CONFLICT
        return count

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
            values[Header.OUTPUT] = self._output_is_on and self._output_is_allowed
        elif header in NPLC:
            values |= dict.fromkeys(NPLC, values[header])  # one integration time for all

    def _shown(self, header: str) -> Stored:
        if header == Header.SOURCE_RANGE:
            return self._source.range_V
        if header == Header.CURRENT_RANGE:
            return self._source.measuring_range_A or self._values[header]
        return self._values[header]

    def _reset(self) -> None:
        """Set everything to *RST; status and error queue stay."""
        self._values |= {header: setting.default for header, setting in SETTINGS.items()}
        self._source.protection_V = None
        self._abort()
        self._meter.reset()
        self._source.apply()

    # -- output ---------------------------------------------------------------------------------

    @property
    def _output_is_on(self) -> bool:
        return bool(self._values[Header.OUTPUT])

    @property
    def _output_is_allowed(self) -> bool:
        return self._interlock_is_closed or not self._values[Header.INTERLOCK]

    def _switch_off(self) -> None:
        self._values[Header.OUTPUT] = False
        self._source.apply()

    def _set_protection(self, arguments: Arguments) -> None:
        if not arguments:
            raise MISSING
        if arguments[0].upper() in ("NONE", "DEF", "MAX"):
            self._source.protection_V = None
        else:
            self._source.set_protection(Real(1e3, -1e4, 1e4).parse(arguments[0]))
        self._source.apply()

    def _protection(self) -> str:
        volts = self._source.protection_V
        return "NONE" if volts is None else real(volts)

    def _measurement_condition(self) -> int:
        condition = 0 if self._output_is_allowed else MeasurementEvent.INTERLOCK
        condition |= MeasurementEvent.PROTECTION if self._source.is_protecting else 0
        return condition | (MeasurementEvent.COMPLIANCE if self._is_in_compliance else 0)

    @property
    def _is_in_compliance(self) -> bool:
        return self._output_is_on and self.world.bias.in_compliance()

    def _measurement_events(self) -> int:
        return self._status.read_measurement_events() | self._measurement_condition()

    # -- measuring ----------------------------------------------------------------------------

    def _read(self) -> None:
        self._measure(lambda: self._replies.append(self._meter.show(self._meter.readings)))

    def _measure_only(self, function: str) -> None:
        self._meter.functions.add(function)
        self._read()

    def _measure(self, then: Callable[[], None]) -> None:
        """Begin :READ? or :INIT; the readings are there when it ends."""
        if not self._output_is_on:
            if not self._values[Header.CLEAR_AUTO]:
                raise OUTPUT_IS_OFF
            self._set(Header.OUTPUT, ("1",))
        done_s = self.world.now + self._meter.count * self._meter.duration_s
        self._busy_until = done_s

        def end() -> None:
            if self._busy_until == done_s:  # or it was aborted
                self._finish_measurement()
                then()
                self._work()

        self.world.at(done_s, end)

    def _finish_measurement(self) -> None:
        self._busy_until = None
        has_filled = self._meter.take_readings()
        events = MeasurementEvent.READING | self._measurement_condition()
        events |= MeasurementEvent.BUFFER_FULL if has_filled else 0
        self._status.measurement_events |= events
        if self._values[Header.CLEAR_AUTO]:
            self._switch_off()

    # -- tables -----------------------------------------------------------------------------------

    def _query_table(self) -> dict[str, Query]:
        status, meter, source = self._status, self._meter, self._source
        return {
            "*IDN": lambda _: self._identity(),
            "*OPT": lambda _: "0",
            "*TST": lambda _: "0",
            "*OPC": lambda _: "1",
            "*ESR": lambda _: str(status.read_events()),
            "*ESE": lambda _: str(status.event_enable),
            "*SRE": lambda _: str(status.service_enable),
            "*STB": lambda _: str(self._status_byte()),
            ":SYSTem:ERRor[:NEXT]": lambda _: str(status.next_error()),
            ":SYSTem:ERRor:ALL": lambda _: status.all_errors(),
            ":SYSTem:ERRor:COUNt": lambda _: str(status.number_of_errors),
            ":SYSTem:ERRor:CODE[:NEXT]": lambda _: str(status.next_error().number),
            ":STATus:QUEue[:NEXT]": lambda _: str(status.next_error()),
            ":SYSTem:VERSion": lambda _: "1996.0",
            ":SYSTem:TIME": lambda _: f"{meter.time_s:.2f}",
            ":SENSe[1]:CURRent[:DC]:PROTection:TRIPped": lambda _: f"{self._is_in_compliance:d}",
            ":SENSe[1]:VOLTage[:DC]:PROTection:TRIPped": lambda _: "0",
            ":SOURce[1]:VOLTage:PROTection[:LEVel]": lambda _: self._protection(),
            ":SOURce[1]:VOLTage:PROTection:TRIPped": lambda _: f"{source.is_protecting:d}",
            ":OUTPut[1]:INTerlock:TRIPped": lambda _: f"{self._output_is_allowed:d}",
            ":OUTPut[1]:ENABle:TRIPped": lambda _: f"{self._output_is_allowed:d}",
            ":STATus:MEASurement[:EVENt]": lambda _: str(self._measurement_events()),
            ":STATus:MEASurement:CONDition": lambda _: str(self._measurement_condition()),
            ":STATus:OPERation[:EVENt]": lambda _: "0",
            ":STATus:QUEStionable[:EVENt]": lambda _: "0",
            ":TRACe:POINts:ACTual": lambda _: str(len(meter.buffer)),
            ":TRACe:DATA": lambda _: meter.show(meter.buffer),
            ":CALCulate3:DATA": lambda _: meter.show_statistics(),
            ":FETCh": lambda _: meter.show(meter.readings) if meter.readings else None,
            ":READ": lambda _: self._read(),
            ":MEASure": lambda _: self._read(),
            ":MEASure:CURRent[:DC]": lambda _: self._measure_only("CURR"),
            ":MEASure:VOLTage[:DC]": lambda _: self._measure_only("VOLT"),
            ":MEASure:RESistance": lambda _: self._measure_only("RES"),
            ":SENSe[1]:FUNCtion[:ON]": lambda _: meter.show_functions(on=True),
            ":SENSe[1]:FUNCtion:OFF": lambda _: meter.show_functions(on=False),
            ":FORMat:ELEMents[:SENSe[1]]": lambda _: meter.show_elements(),
        }

    def _command_table(self) -> dict[str, Command]:
        status, meter = self._status, self._meter
        return dict.fromkeys(IGNORED, _ignore) | {
            "*RST": lambda _: self._reset(),
            ":SYSTem:PRESet": lambda _: self._reset(),
            "*CLS": lambda _: status.clear(),
            "*OPC": lambda _: status.complete_operation(),
            "*ESE": self._set_event_enable,
            "*SRE": self._set_service_enable,
            ":SYSTem:CLEar": lambda _: status.clear_errors(),
            ":STATus:QUEue:CLEar": lambda _: status.clear_errors(),
            ":STATus:PRESet": lambda _: self._preset_status(),
            ":SYSTem:TIME:RESet": lambda _: meter.restart_time(),
            ":INITiate[:IMMediate]": lambda _: self._measure(_nothing),
            ":ABORt": lambda _: self._abort(),
            ":TRACe:CLEar": lambda _: meter.buffer.clear(),
            ":SOURce[1]:VOLTage:PROTection[:LEVel]": self._set_protection,
            ":SOURce[1]:CLEar[:IMMediate]": lambda _: self._switch_off(),
            ":SENSe[1]:FUNCtion[:ON]": lambda names: meter.set_functions(names, on=True),
            ":SENSe[1]:FUNCtion:OFF": lambda names: meter.set_functions(names, on=False),
            ":SENSe[1]:FUNCtion[:ON]:ALL": lambda _: meter.functions.update(FUNCTIONS),
            ":SENSe[1]:FUNCtion:OFF:ALL": lambda _: meter.functions.clear(),
            ":FORMat:ELEMents[:SENSe[1]]": meter.set_elements,
            ":CONFigure:VOLTage[:DC]": lambda _: meter.functions.add("VOLT"),
            ":CONFigure:CURRent[:DC]": lambda _: meter.functions.add("CURR"),
            ":CONFigure:RESistance": lambda _: meter.functions.add("RES"),
        }

    def _identity(self) -> str:
        return f"KEITHLEY INSTRUMENTS INC.,MODEL 2410,{self.serial},{self.settings.firmware}"

    def _status_byte(self) -> int:
        return self._status.byte(
            measurement_enable=int(self._values[Header.MEASUREMENT_ENABLE]),
            has_output=bool(self._replies) or self.outbox.next_due() is not None,
        )

    def _set_event_enable(self, arguments: Arguments) -> None:
        self._status.event_enable = _mask(arguments)

    def _set_service_enable(self, arguments: Arguments) -> None:
        self._status.service_enable = _mask(arguments)

    def _preset_status(self) -> None:
        self._values[Header.MEASUREMENT_ENABLE] = 0


def _ignore(_: Arguments) -> None:
    pass


def _nothing() -> None:
    pass


def _mask(arguments: Arguments) -> int:
    if not arguments:
        raise MISSING
    return round(Real(0.0, 0.0, 65535.0).parse(arguments[0]))


@cache
def _spellings(declarations: tuple[str, ...]) -> dict[str, str]:
    """Return the dictionary of all spellings, which takes a moment to write."""
    return spelling_table(dict.fromkeys(declarations))
