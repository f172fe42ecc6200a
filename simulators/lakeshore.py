"""Lake Shore Models 335, 336 and 350: bytes in, bytes out.

Rules of the wire (Model 336 manual chapter 6; where the manual is silent, what drivers that talk
to real units rely on)
1. A message ends with LF; CR before it is tolerated. It holds one or more commands separated by
   ";" or ";:". The space between mnemonic and parameter is optional.
2. Replies end with CR LF. The replies to the queries of one message are joined with ";".
3. An unknown command is silent and sets 32 in the standard event register, a bad value 16. The
   register keeps its bits until it is read, whoever reads it.
4. After power-up bit 128 is set and every heater is off whose output is not set to stay on.
5. A sensor out of range reads 0; only RDGST? tells why.
"""

from collections.abc import Sequence
from re import compile as regex
from typing import Final

from simulators.core import InstrumentCore, LineBuffer
from simulators.lakeshore_command import Entry, Handler, LakeShoreSettings, integer
from simulators.lakeshore_inputs import INPUTS, SensorInputs
from simulators.lakeshore_outputs import HeaterOutputs
from simulators.lakeshore_unit import MODEL_335, MODEL_336, MODEL_350, LakeShoreUnit
from simulators.world import World

__all__ = ["LakeShore335", "LakeShore336", "LakeShore350", "LakeShoreSettings"]

MAX_LINE: Final = 1024
MAX_COMPILED: Final = 1024

VOLTAGE_OUTPUTS: Final = "voltage outputs"

# Settings without effect on the simulation, kept and given back as they were sent:
# mnemonic -> (letters or digits that index it, value at power-up)
REMEMBERED: Final[dict[str, tuple[str, str]]] = {
    "ALARM": (INPUTS, "0,+300.00,+0.0000,+0.0000,0,0,0"),
    "ANALOG": (VOLTAGE_OUTPUTS, "0,1,+100.00,+0.0000,0"),
    "BRIGT": ("", "25"),
    "DIOCUR": (INPUTS, "0"),
    "DISPFLD": ("12345678", "0,1"),
    "DISPLAY": ("", "0,1,1"),
    "FILTER": (INPUTS, "0,08,02"),
    "IEEE": ("", "12"),
    "INTSEL": ("", "1"),
    "LEDS": ("", "1"),
    "LOCK": ("", "0,123"),
    "MODE": ("", "1"),
    "RELAY": ("12", "0,A,0"),
    "WARMUP": (VOLTAGE_OUTPUTS, "1,+100.00"),
    "WEBLOG": ("", "user,pass"),
}


class EventStatus:
    """Bits of the standard event register."""

    OPERATION_COMPLETE, QUERY_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 16, 32, 128


class OperationStatus:
    """Bits of OPST? that are simulated."""

    OVERLOAD, RAMP_2_DONE, RAMP_1_DONE, NEW_READING = 2, 4, 8, 16


_COMMAND = regex(r"\s*:?\s*(\*?[A-Z]+\??)\s*(.*?)\s*")
_Compiled = tuple[tuple[Handler, tuple[str, ...]], ...]


class LakeShore336(InstrumentCore):
    """A Model 336 on one World; which sensor is where, lakeshore_inputs.py says."""

    unit: LakeShoreUnit = MODEL_336

    def __init__(self, world: World, settings: LakeShoreSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings or LakeShoreSettings()
        self.serial = self.settings.serial
        self.inputs = SensorInputs(world, self.settings, self.unit)
        self.outputs = HeaterOutputs(world, self.inputs, self.settings, self.unit)
        self._lines = LineBuffer(b"\n", MAX_LINE)
        self._event_status, self._event_enable = EventStatus.POWER_ON, 0
        self._service_enable, self._operation_enable = 0, 0
        self._operation_events, self._operation_seen = 0, 0
        self._remembered: dict[str, str] = {}
        self._boot_until = self._quiet_until = float("-inf")
        self._table = self._own_commands() | self._remembered_commands()
        self._table |= self.inputs.commands() | self.outputs.commands()
        self._compiled: dict[bytes, _Compiled] = {}
        world.every_step(self.outputs.regulate)

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        overruns = self._lines.overruns
        lines = self._lines.feed(fragment)
        if self._lines.overruns > overruns:
            self._event_status |= EventStatus.COMMAND_ERROR
        return lines

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until or now < self._quiet_until:
            return False
        replies = [
            reply
            for handler, arguments in self._compiled.get(request) or self._compile(request)
            if (reply := self._perform(handler, arguments)) is not None
        ]
        if not replies:
            self._quiet_until = now + self.settings.min_gap_s
            return False
        due = now + self.settings.reply_s
        if self.settings.min_gap_s:
            self._quiet_until = due + self.settings.min_gap_s
        self.outbox.post(due, ";".join(replies).encode("latin-1") + b"\r\n")
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        parts = request.decode("latin-1").upper().split(";")
        return [command[1] for part in parts if (command := _COMMAND.fullmatch(part))]

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._boot_until = now + self.settings.boot_s
        self._event_status = EventStatus.POWER_ON
        self.outputs.power_cycle()

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "LSA99Z9"

    def _compile(self, request: bytes) -> _Compiled:
        """Look each command up once: sweeps send the same few hundred messages all night."""
        if len(self._compiled) >= MAX_COMPILED:
            self._compiled.clear()
        parts = request.decode("latin-1").split(";")
        compiled = tuple(self._find(part) for part in parts if part.strip())
        self._compiled[request] = compiled
        return compiled

    def _find(self, command: str) -> tuple[Handler, tuple[str, ...]]:
        match = _COMMAND.fullmatch(command.upper())
        if not match:
            return self._unknown, ()
        rest = command.strip()[-len(match[2]) :] if match[2] else ""
        arguments = tuple(part.strip() for part in rest.split(",")) if rest else ()
        entry = self._table.get(match[1])
        if entry is None:
            return self._glued(match[1], arguments)
        handler, fewest, most = entry
        return (handler, arguments) if fewest <= len(arguments) <= most else (self._unknown, ())

    def _glued(self, word: str, arguments: tuple[str, ...]) -> tuple[Handler, tuple[str, ...]]:
        """Find a command whose parameter is a letter without a space before it: TLIMITA,300."""
        entry = self._table.get(word[:-1])
        if entry is None or word[-1] not in INPUTS:
            return self._unknown, ()
        handler, fewest, most = entry
        arguments = (word[-1], *arguments[1:]) if arguments and not arguments[0] else (word[-1],)
        return (handler, arguments) if fewest <= len(arguments) <= most else (self._unknown, ())

    def _perform(self, handler: Handler, arguments: tuple[str, ...]) -> str | None:
        try:
            return handler(*arguments)
        except (ValueError, OverflowError):
            self._event_status |= EventStatus.EXECUTION_ERROR
            return None

    def _unknown(self) -> None:
        self._event_status |= EventStatus.COMMAND_ERROR

    # -- commands that are neither about an input nor an output ---------------------------------

    def _own_commands(self) -> dict[str, Entry]:
        return {
            "*IDN?": (self._identity, 0, 0),
            "*ESR?": (self._read_event_status, 0, 0),
            "*ESE": (self._set_event_enable, 1, 1),
            "*ESE?": (lambda: f"{self._event_enable:03d}", 0, 0),
            "*STB?": (lambda: f"{self._status_byte():03d}", 0, 0),
            "*SRE": (self._set_service_enable, 1, 1),
            "*SRE?": (lambda: f"{self._service_enable:03d}", 0, 0),
            "*CLS": (self._clear_status, 0, 0),
            "*RST": (self.outputs.switch_off, 0, 0),
            "*OPC": (self._complete_operation, 0, 0),
            "*OPC?": (lambda: "1", 0, 0),
            "*TST?": (lambda: "0", 0, 0),
            "*WAI": (lambda: None, 0, 0),
            "OPST?": (lambda: f"{self._operation_condition():03d}", 0, 0),
            "OPSTR?": (self._read_operation_events, 0, 0),
            "OPSTE": (self._set_operation_enable, 1, 1),
            "OPSTE?": (lambda: f"{self._operation_enable:03d}", 0, 0),
            "RELAYST?": (lambda relay: "0" if integer(relay, 1, 2) else None, 1, 1),
        }

    def _remembered_commands(self) -> dict[str, Entry]:
        table: dict[str, Entry] = {}
        for mnemonic in REMEMBERED:
            index, _ = self._remembered_at(mnemonic)
            keys = 1 if index else 0
            table[mnemonic] = (self._remember(mnemonic), 1 + keys, 10)
            table[f"{mnemonic}?"] = (self._recall(mnemonic), keys, keys)
        return table

    def _remembered_at(self, mnemonic: str) -> tuple[str, str]:
        """Return what indexes a remembered setting on this unit, and its value at power-up."""
        index, initial = REMEMBERED[mnemonic]
        if index == VOLTAGE_OUTPUTS:
            index = "".join(map(str, self.unit.voltage_outputs))
        return (self.unit.inputs if index == INPUTS else index), initial

    def _remember(self, mnemonic: str) -> Handler:
        index, _ = self._remembered_at(mnemonic)

        def remember(*arguments: str) -> None:
            key, values = (arguments[0].upper(), arguments[1:]) if index else ("", arguments)
            if index and key not in tuple(index):
                raise ValueError(f"{mnemonic} {arguments}")
            self._remembered[mnemonic + key] = ",".join(values)

        return remember

    def _recall(self, mnemonic: str) -> Handler:
        index, initial = self._remembered_at(mnemonic)

        def recall(key: str = "") -> str:
            if index and key.upper() not in tuple(index):
                raise ValueError(f"{mnemonic}? {key}")
            return self._remembered.get(mnemonic + key.upper(), initial)

        return recall

    def _identity(self) -> str:
        unit = self.settings
        return f"LSCI,{self.unit.name},{self.serial}/{unit.option_serial},{unit.firmware}"

    # -- status ---------------------------------------------------------------------------------

    def _read_event_status(self) -> str:
        status, self._event_status = self._event_status, 0
        return f"{status:03d}"

    def _set_event_enable(self, mask: str) -> None:
        self._event_enable = integer(mask, 0, 255)

    def _set_service_enable(self, mask: str) -> None:
        self._service_enable = integer(mask, 0, 255)

    def _set_operation_enable(self, mask: str) -> None:
        self._operation_enable = integer(mask, 0, 255)

    def _complete_operation(self) -> None:
        self._event_status |= EventStatus.OPERATION_COMPLETE

    def _clear_status(self) -> None:
        self._event_status = self._operation_events = 0

    def _status_byte(self) -> int:
        self._operation_condition()
        byte = 16 if self.outbox.next_due() is not None else 0
        byte |= 32 if self._event_status & self._event_enable else 0
        byte |= 128 if self._operation_events & self._operation_enable else 0
        return byte | (64 if byte & self._service_enable else 0)

    def _operation_condition(self) -> int:
        """Return OPST?, and latch what is new in it."""
        condition = OperationStatus.NEW_READING
        condition |= OperationStatus.OVERLOAD if self.inputs.is_overloaded() else 0
        condition |= OperationStatus.RAMP_1_DONE if self.outputs.has_ramped(0) else 0
        condition |= OperationStatus.RAMP_2_DONE if self.outputs.has_ramped(1) else 0
        self._operation_events |= condition & ~self._operation_seen
        self._operation_seen = condition
        return condition

    def _read_operation_events(self) -> str:
        self._operation_condition()
        events, self._operation_events = self._operation_events, 0
        return f"{events:03d}"


class LakeShore335(LakeShore336):
    """A Model 335: two inputs, two outputs, the second of which may be a voltage; no Ethernet.

    EMUL, by which it plays an older model, changes nothing here.
    """

    unit = MODEL_335

    def _own_commands(self) -> dict[str, Entry]:
        return super()._own_commands() | {
            "EMUL": (lambda model, decimals: None, 2, 2),
            "EMUL?": (lambda: "0,0", 0, 0),
            "POLARITY": (self._set_polarity, 2, 2),
            "POLARITY?": (lambda *output: self._remembered.get("POLARITY", "0"), 0, 1),
        }

    def _set_polarity(self, output: str, polarity: str) -> None:
        integer(output, 2, 2)
        self._remembered["POLARITY"] = str(integer(polarity, 0, 1))


class LakeShore350(LakeShore336):
    """A Model 350: five heater ranges, a decade of power each, and slower ramps."""

    unit = MODEL_350
