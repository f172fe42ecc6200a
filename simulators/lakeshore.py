"""Lake Shore Model 336: bytes in, bytes out.

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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from re import compile as regex
from typing import Final, Literal

from simulators.control_loop import ControlLoop, Mode
from simulators.core import InstrumentCore, LineBuffer
from simulators.world import World

__all__ = ["LakeShore336", "LakeShoreSettings", "ReadingFlag", "sensor_ohm", "sensor_temperature_K"]

INPUTS: Final = "ABCD"
RANGE_FRACTION: Final = (0.0, 0.01, 0.1, 1.0)  # off, low, medium, high of full power
MAX_CURRENT_A: Final = {1: 0.707, 2: 1.0, 3: 1.141, 4: 2.0}
COMPLIANCE_V: Final = 50.0
SHORT_OHM: Final = 5.0
OPEN_OHM: Final = 1000.0
ZERO_CELSIUS_K: Final = 273.15
MAX_LINE: Final = 1024
MAX_COMPILED: Final = 1024

OPERATION_COMPLETE, QUERY_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 16, 32, 128


class ReadingFlag:
    """Bits of RDGST?."""

    INVALID, UNDER_RANGE, OVER_RANGE, UNITS_ZERO, UNITS_OVER_RANGE = 1, 16, 32, 64, 128


@dataclass(frozen=True, slots=True)
class LakeShoreSettings:
    """What differs from unit to unit, and what is disputed about them.

    setpoint_query: whether SETP? during a ramp returns the target or the working setpoint.
    setpoint_update_s: for that long after SETP the old value is still returned.
    min_gap_s: a message that comes sooner than this after the last command or reply is lost
        (the manual asks for 50 ms); 0 loses none.
    """

    serial: str = "LSA24K7"
    option_serial: str = "2136045"
    firmware: str = "2.9"
    reply_s: float = 0.004
    boot_s: float = 8.0
    setpoint_query: Literal["target", "working"] = "target"
    setpoint_update_s: float = 0.0
    min_gap_s: float = 0.0
    setpoint_limit_K: float = 400.0
    sensor_range_K: tuple[float, float] = (1.4, 420.0)
    proportional: float = 10.0  # PID as its user tuned it to the simulated cryostat
    integral: float = 50.0
    derivative: float = 0.0
    max_current_code: int = 4  # 2 A: 100 W in 25 ohm


# Cernox-like: falls monotonically from about 50 kohm at 1.4 K to some 60 ohm at 300 K.
_SENSOR_OHM_AT_1_K: Final = 7.4e4
_SENSOR_POWER: Final = -1.25


def sensor_ohm(temperature_K: float) -> float:
    """Return the resistance of the simulated sensors."""
    return _SENSOR_OHM_AT_1_K * math.pow(max(temperature_K, 0.01), _SENSOR_POWER)


def sensor_temperature_K(resistance_ohm: float) -> float:
    """Return the temperature at which the simulated sensors have this resistance."""
    return math.pow(resistance_ohm / _SENSOR_OHM_AT_1_K, 1.0 / _SENSOR_POWER)


def _six_digits(value: float) -> str:
    """Return a sign, six digits and the point where the size of the value leaves it."""
    whole = len(str(int(abs(value))))
    return f"{value:+0{8}.{max(6 - max(whole, 1), 0)}f}"[:8]


def _number(text: str, low: float, high: float) -> float:
    """Return the number; ValueError when it is none, not finite or out of bounds."""
    value = float(text)
    if "_" in text or not low <= value <= high:
        raise ValueError(f"{text} is outside {low}..{high}")
    return value


def _integer(text: str, low: int, high: int) -> int:
    return int(_number(text, low, high))


# Settings without effect on the simulation, kept and given back as they were sent:
# mnemonic -> (letters or digits that index it, value at power-up)
REMEMBERED: Final[dict[str, tuple[str, str]]] = {
    "ALARM": (INPUTS, "0,+300.00,+0.0000,+0.0000,0,0,0"),
    "ANALOG": ("34", "0,1,+100.00,+0.0000,0"),
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
    "WARMUP": ("34", "1,+100.00"),
    "WEBLOG": ("", "user,pass"),
}
INITIAL_INTYPE: Final = {"A": "3,1,0,1,1", "B": "3,1,0,1,1", "C": "3,1,0,1,1", "D": "0,0,0,0,1"}
INITIAL_NAME: Final = {"A": "Cold finger", "B": "Sample", "C": "Cold stage", "D": "Input D"}

_COMMAND = regex(r"\s*:?\s*(\*?[A-Z]+\d?(?=\?)\??|\*?[A-Z]+\??)\s*(.*?)\s*")

_Handler = Callable[..., str | None]
_Compiled = tuple[tuple[_Handler, tuple[str, ...]], ...]


class LakeShore336(InstrumentCore):
    """A Model 336 on one World: inputs A cold finger, B sample, C cold stage, D not connected.

    Output 1 drives the heater of the cryostat; nothing is connected to the other outputs.
    """

    def __init__(self, world: World, settings: LakeShoreSettings | None = None) -> None:
        super().__init__(world)
        self.settings = settings = settings or LakeShoreSettings()
        self.serial = settings.serial
        self.forced_status = dict.fromkeys(INPUTS, 0)  # flags that a test adds to RDGST?
        self._sensors_K = (
            world.cryostat.control_sensor_K,
            world.cryostat.sample_sensor_K,
            world.cryostat.cold_stage_K,
        )
        self._lines = LineBuffer(b"\n", MAX_LINE)
        self._handlers = self._handler_table()
        self._compiled: dict[bytes, _Compiled] = {}
        self._now = world.now
        self._boot_until = float("-inf")
        self._quiet_until = float("-inf")
        self._default_settings()
        world.every_step(self._regulate)

    def _default_settings(self) -> None:
        settings = self.settings
        start_K = round(self._sensors_K[0](), 3)
        self._event_status, self._event_enable = POWER_ON, 0
        self._service_enable, self._operation_enable = 0, 0
        self._operation_events, self._operation_seen = 0, 0
        self._heater_error = [0, 0]
        self._heater_setup = [[1, settings.max_current_code, 0.0, 2], [1, 1, 0.0, 2]]
        self._temperature_limit_K = dict.fromkeys(INPUTS, 0.0)
        self._limited: list[tuple[str, float]] = []
        self._input_type = dict(INITIAL_INTYPE)
        self._input_name = dict(INITIAL_NAME)
        self._input_curve = dict.fromkeys(INPUTS, 21)
        self._remembered: dict[str, str] = {}
        self._zones: dict[tuple[int, int], str] = {}
        self._old_setpoint = {n: (float("-inf"), start_K) for n in range(1, 5)}
        self._loops = [
            ControlLoop(
                start_K, settings.proportional, settings.integral, settings.derivative,
                mode=Mode.CLOSED_LOOP if n == 1 else Mode.OFF, input=1 if n == 1 else 0,
            )
            for n in range(1, 5)
        ]  # fmt: skip

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        self._now = now
        overruns = self._lines.overruns
        lines = self._lines.feed(fragment)
        if self._lines.overruns > overruns:
            self._event_status |= COMMAND_ERROR
        return lines

    def execute(self, request: bytes, now: float) -> bool:
        self._now = now
        if now < self._boot_until or now < self._quiet_until:
            return False
        replies = [
            reply
            for handler, arguments in self._compiled.get(request) or self._compile(request)
            if (reply := self._perform(handler, arguments)) is not None
        ]
        gap_s = self.settings.min_gap_s
        if not replies:
            self._quiet_until = now + gap_s
            return False
        due = now + self.settings.reply_s
        self._quiet_until = due + gap_s if gap_s else self._quiet_until
        self.outbox.post(due, ";".join(replies).encode("latin-1") + b"\r\n")
        return True

    def verbs(self, request: bytes) -> Sequence[str]:
        commands = (
            _COMMAND.fullmatch(part.upper()) for part in request.decode("latin-1").split(";")
        )
        return [command[1] for command in commands if command]

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        self._lines.clear()
        self._now, self._boot_until = now, now + self.settings.boot_s
        self._event_status = POWER_ON
        self._heater_error = [0, 0]
        for loop in self._loops:
            loop.ramp_on, loop.is_moving = False, False
            if not loop.stays_on_at_power_up:
                loop.switch_off()
        self._drive_heater()

    def hang_up(self) -> None:
        super().hang_up()
        self._lines.clear()

    def impersonate(self) -> None:
        self.serial = "LSA99Z9"

    def _compile(self, request: bytes) -> _Compiled:
        """Look each command up once: sweeps send the same few hundred messages all night."""
        if len(self._compiled) >= MAX_COMPILED:
            self._compiled.clear()
        text = request.decode("latin-1").strip()
        compiled = tuple(self._find(part) for part in text.split(";") if part.strip())
        self._compiled[request] = compiled
        return compiled

    def _find(self, command: str) -> tuple[_Handler, tuple[str, ...]]:
        match = _COMMAND.fullmatch(command.upper())
        if not match:
            return self._unknown, ()
        rest = command.strip()[-len(match[2]) :] if match[2] else ""
        arguments = tuple(part.strip() for part in rest.split(",")) if rest else ()
        entry = self._handlers.get(match[1])
        if entry is None:
            return self._glued(match[1], arguments)
        handler, fewest, most = entry
        if not fewest <= len(arguments) <= most:
            return self._unknown, ()
        return handler, arguments

    def _glued(self, word: str, arguments: tuple[str, ...]) -> tuple[_Handler, tuple[str, ...]]:
        """Find a command whose parameter is a letter without a space before it: TLIMITA,300."""
        entry = self._handlers.get(word[:-1])
        if entry is None or word[-1] not in INPUTS:
            return self._unknown, ()
        handler, fewest, most = entry
        arguments = (word[-1], *arguments[1:]) if arguments and not arguments[0] else (word[-1],)
        return (handler, arguments) if fewest <= len(arguments) <= most else (self._unknown, ())

    def _perform(self, handler: _Handler, arguments: tuple[str, ...]) -> str | None:
        try:
            return handler(*arguments)
        except (ValueError, OverflowError):
            self._event_status |= EXECUTION_ERROR
            return None

    def _unknown(self) -> None:
        self._event_status |= COMMAND_ERROR

    # -- the table of commands ------------------------------------------------------------------

    def _handler_table(self) -> dict[str, tuple[_Handler, int, int]]:
        table: dict[str, tuple[_Handler, int, int]] = {
            "*IDN?": (self._identity, 0, 0),
            "*ESR?": (self._read_event_status, 0, 0),
            "*ESE": (self._set_event_enable, 1, 1),
            "*ESE?": (lambda: f"{self._event_enable:03d}", 0, 0),
            "*STB?": (lambda: f"{self._status_byte():03d}", 0, 0),
            "*SRE": (self._set_service_enable, 1, 1),
            "*SRE?": (lambda: f"{self._service_enable:03d}", 0, 0),
            "*CLS": (self._clear_status, 0, 0),
            "*RST": (self._reset, 0, 0),
            "*OPC": (self._operation_complete, 0, 0),
            "*OPC?": (lambda: "1", 0, 0),
            "*TST?": (lambda: "0", 0, 0),
            "*WAI": (lambda: None, 0, 0),
            "OPST?": (lambda: f"{self._operation_condition():03d}", 0, 0),
            "OPSTR?": (self._read_operation_events, 0, 0),
            "OPSTE": (self._set_operation_enable, 1, 1),
            "OPSTE?": (lambda: f"{self._operation_enable:03d}", 0, 0),
            "KRDG?": (self._kelvin, 1, 1),
            "CRDG?": (self._celsius, 1, 1),
            "SRDG?": (self._sensor_units, 1, 1),
            "TEMP?": (lambda: "+296.150", 0, 0),
            "RDGST?": (self._reading_status, 1, 1),
            "ALARMST?": (lambda channel: "0,0" if self._check_input(channel) else None, 1, 1),
            "ALMRST": (lambda: None, 0, 0),
            "MNMXRST": (lambda: None, 0, 0),
            "RELAYST?": (lambda relay: f"{_integer(relay, 1, 2) * 0}", 1, 1),
            "SETP": (self._set_setpoint, 2, 2),
            "SETP?": (self._setpoint, 1, 1),
            "RAMP": (self._set_ramp, 3, 3),
            "RAMP?": (self._ramp, 1, 1),
            "RAMPST?": (self._ramp_status, 1, 1),
            "RANGE": (self._set_range, 2, 2),
            "RANGE?": (lambda output: str(self._loop(output).heater_range), 1, 1),
            "HTR?": (self._heater_percent, 1, 1),
            "AOUT?": (self._analog_percent, 1, 1),
            "HTRST?": (self._read_heater_error, 1, 1),
            "HTRSET": (self._set_heater_setup, 5, 5),
            "HTRSET?": (self._read_heater_setup, 1, 1),
            "OUTMODE": (self._set_mode, 4, 4),
            "OUTMODE?": (self._mode, 1, 1),
            "PID": (self._set_pid, 4, 4),
            "PID?": (self._pid, 1, 1),
            "MOUT": (self._set_manual, 2, 2),
            "MOUT?": (lambda output: f"{self._loop(output).manual_percent:+07.2f}", 1, 1),
            "ATUNE": (lambda output, mode: None, 2, 2),
            "TUNEST?": (lambda: "0,0,0,0", 0, 0),
            "ZONE": (self._set_zone, 9, 9),
            "ZONE?": (self._zone, 2, 2),
            "TLIMIT": (self._set_limit, 2, 2),
            "TLIMIT?": (self._limit, 1, 1),
            "INTYPE": (self._set_input_type, 6, 6),
            "INTYPE?": (lambda channel: self._input_type[self._check_input(channel)], 1, 1),
            "INNAME": (self._set_input_name, 2, 2),
            "INNAME?": (
                lambda channel: f"{self._input_name[self._check_input(channel)]:<15}",
                1,
                1,
            ),
            "INCRV": (self._set_input_curve, 2, 2),
            "INCRV?": (
                lambda channel: f"{self._input_curve[self._check_input(channel)]:02d}",
                1,
                1,
            ),
            "CRVHDR?": (self._curve_header, 1, 1),
            "MDAT?": (lambda channel: ",".join([self._kelvin(channel)] * 2), 1, 1),
        }
        for mnemonic, (index, _) in REMEMBERED.items():
            most = 9 if mnemonic != "ALARM" else 10
            table[mnemonic] = (self._remember(mnemonic), 1, most)
            table[f"{mnemonic}?"] = (self._recall(mnemonic), 1 if index else 0, 1 if index else 0)
        return table

    def _remember(self, mnemonic: str) -> _Handler:
        index, _ = REMEMBERED[mnemonic]

        def remember(*arguments: str) -> None:
            key, values = (arguments[0].upper(), arguments[1:]) if index else ("", arguments)
            if (index and key not in tuple(index)) or not values:
                raise ValueError(f"{mnemonic} {arguments}")
            self._remembered[mnemonic + key] = ",".join(values)

        return remember

    def _recall(self, mnemonic: str) -> _Handler:
        index, initial = REMEMBERED[mnemonic]

        def recall(key: str = "") -> str:
            if index and key.upper() not in tuple(index):
                raise ValueError(f"{mnemonic}? {key}")
            return self._remembered.get(mnemonic + key.upper(), initial)

        return recall

    # -- common commands and status ---------------------------------------------------------------

    def _identity(self) -> str:
        unit = self.settings
        return f"LSCI,MODEL336,{self.serial}/{unit.option_serial},{unit.firmware}"

    def _read_event_status(self) -> str:
        status, self._event_status = self._event_status, 0
        return f"{status:03d}"

    def _set_event_enable(self, mask: str) -> None:
        self._event_enable = _integer(mask, 0, 255)

    def _set_service_enable(self, mask: str) -> None:
        self._service_enable = _integer(mask, 0, 255)

    def _set_operation_enable(self, mask: str) -> None:
        self._operation_enable = _integer(mask, 0, 255)

    def _status_byte(self) -> int:
        self._operation_condition()
        byte = 16 if self.outbox.next_due() is not None else 0
        byte |= 32 if self._event_status & self._event_enable else 0
        byte |= 128 if self._operation_events & self._operation_enable else 0
        return byte | (64 if byte & self._service_enable else 0)

    def _operation_condition(self) -> int:
        """Return OPST? and latch what is new in it: 2 overload, 4 and 8 ramps done, 16 reading."""
        condition = 16
        if any(self._read(channel)[1] & ~ReadingFlag.INVALID for channel in "ABC"):
            condition |= 2
        for loop, bit in ((self._loops[1], 4), (self._loops[0], 8)):
            if loop.ramp_on and not loop.is_ramping(self._now):
                condition |= bit
        self._operation_events |= condition & ~self._operation_seen
        self._operation_seen = condition
        return condition

    def _read_operation_events(self) -> str:
        self._operation_condition()
        events, self._operation_events = self._operation_events, 0
        return f"{events:03d}"

    def _operation_complete(self) -> None:
        self._event_status |= OPERATION_COMPLETE

    def _clear_status(self) -> None:
        self._event_status = self._operation_events = 0

    def _reset(self) -> None:
        for loop in self._loops:
            loop.switch_off()
        self._drive_heater()

    # -- inputs ---------------------------------------------------------------------------------

    def _check_input(self, channel: str) -> str:
        channel = channel.upper()
        if channel not in tuple(INPUTS):
            raise ValueError(f"input {channel}")
        return channel

    def _read(self, channel: str) -> tuple[float, int]:
        """Return temperature in K and reading status."""
        status = self.forced_status[channel]
        if channel == "D" or self._input_type[channel][0] == "0":
            return 0.0, status | ReadingFlag.INVALID
        if channel == "A" and self.world.cryostat.sensor_open:
            return 0.0, status | ReadingFlag.UNITS_OVER_RANGE
        temperature_K = self._sensors_K[ord(channel) - ord("A")]()
        low_K, high_K = self.settings.sensor_range_K
        if temperature_K > high_K:
            status |= ReadingFlag.OVER_RANGE
        elif temperature_K < low_K:
            status |= ReadingFlag.UNDER_RANGE
        return (0.0 if status else temperature_K), status

    def _kelvin(self, channel: str) -> str:
        if channel == "0":
            return ",".join(f"{self._read(each)[0]:+08.3f}" for each in INPUTS)
        return f"{self._read(self._check_input(channel))[0]:+08.3f}"

    def _celsius(self, channel: str) -> str:
        channels = INPUTS if channel == "0" else self._check_input(channel)
        return ",".join(f"{self._to_celsius(*self._read(each)):+08.3f}" for each in channels)

    def _sensor_units(self, channel: str) -> str:
        channels = INPUTS if channel == "0" else self._check_input(channel)
        return ",".join(_six_digits(self._to_ohm(*self._read(each))) for each in channels)

    def _to_celsius(self, temperature_K: float, status: int) -> float:
        return 0.0 if status else temperature_K - ZERO_CELSIUS_K

    def _to_ohm(self, temperature_K: float, status: int) -> float:
        return 0.0 if status else sensor_ohm(temperature_K)

    def _reading_status(self, channel: str) -> str:
        return f"{self._read(self._check_input(channel))[1]:03d}"

    def _set_input_type(self, channel: str, *values: str) -> None:
        sensor, autorange, span, compensation, units = (int(value) for value in values)
        valid = 0 <= sensor <= 4 and 0 <= span <= 9 and 1 <= units <= 3
        if not valid or {autorange, compensation} - {0, 1}:
            raise ValueError(f"INTYPE {values}")
        self._input_type[self._check_input(channel)] = ",".join(values)

    def _set_input_name(self, channel: str, name: str) -> None:
        self._input_name[self._check_input(channel)] = name.strip('"')[:15]

    def _set_input_curve(self, channel: str, curve: str) -> None:
        self._input_curve[self._check_input(channel)] = _integer(curve, 0, 59)

    def _curve_header(self, curve: str) -> str:
        _integer(curve, 1, 59)
        return "CX-1050-SD     ,X123456   ,4,+325.000,1"

    def _set_limit(self, channel: str, limit: str) -> None:
        self._temperature_limit_K[self._check_input(channel)] = _number(limit, 0.0, 9999.0)
        self._limited = [
            (c, limit_K) for c, limit_K in self._temperature_limit_K.items() if limit_K
        ]

    def _limit(self, channel: str) -> str:
        return f"{self._temperature_limit_K[self._check_input(channel)]:+05.0f}"

    # -- outputs --------------------------------------------------------------------------------

    def _loop(self, output: str) -> ControlLoop:
        return self._loops[_integer(output, 1, 4) - 1]

    def _units(self, loop: ControlLoop) -> str:
        """Return the preferred units of the control input: 1 K, 2 C, 3 sensor."""
        return self._input_type[INPUTS[loop.input - 1]][-1] if loop.input else "1"

    def _from_units(self, value: float, units: str) -> float:
        if units == "2":
            return value + ZERO_CELSIUS_K
        return sensor_temperature_K(value) if units == "3" and value > 0 else value

    def _in_units(self, temperature_K: float, units: str) -> str:
        if units == "2":
            return f"{temperature_K - ZERO_CELSIUS_K:+08.3f}"
        return _six_digits(sensor_ohm(temperature_K)) if units == "3" else f"{temperature_K:+08.3f}"

    def _set_setpoint(self, output: str, value: str) -> None:
        loop = self._loop(output)
        number = _number(value, -1e6, 1e6)
        target_K = self._from_units(number, self._units(loop))
        if not 0.0 <= target_K <= self.settings.setpoint_limit_K:
            raise ValueError(f"setpoint {target_K} K")
        self._old_setpoint[int(output)] = (self._now, loop.target_K)
        loop.set_target(target_K, self._now)

    def _setpoint(self, output: str) -> str:
        loop = self._loop(output)
        changed_s, old_K = self._old_setpoint[int(output)]
        if self._now < changed_s + self.settings.setpoint_update_s:
            return self._in_units(old_K, self._units(loop))
        if self.settings.setpoint_query == "working":
            return self._in_units(loop.setpoint_K(self._now), self._units(loop))
        return self._in_units(loop.target_K, self._units(loop))

    def _set_ramp(self, output: str, on: str, rate: str) -> None:
        loop = self._loop(output)
        rate_K_per_min = _number(rate, 0.0, 100.0)
        if 0.0 < rate_K_per_min < 0.1:
            raise ValueError(f"ramp {rate} K/min")
        loop.set_ramp(bool(_integer(on, 0, 1)), rate_K_per_min, self._now)

    def _ramp(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.ramp_on:d},{loop.ramp_rate_K_per_min:+06.1f}"

    def _ramp_status(self, output: str) -> str:
        return f"{self._loop(output).is_ramping(self._now):d}"

    def _set_range(self, output: str, heater_range: str) -> None:
        number = _integer(output, 1, 4)
        level = _integer(heater_range, 0, 3 if number <= 2 else 1)
        loop = self._loops[number - 1]
        if level == 0:
            loop.switch_off()
        else:
            loop.heater_range = level
        self._drive_heater()

    def _heater_percent(self, output: str) -> str:
        return f"{self._loops[_integer(output, 1, 2) - 1].percent:+06.1f}"

    def _analog_percent(self, output: str) -> str:
        return f"{self._loops[_integer(output, 3, 4) - 1].percent:+06.1f}"

    def _read_heater_error(self, output: str) -> str:
        index = _integer(output, 1, 2) - 1
        error, self._heater_error[index] = self._heater_error[index], 0
        return str(error)

    def _set_heater_setup(self, output: str, ohm: str, current: str, user: str, show: str) -> None:
        self._heater_setup[_integer(output, 1, 2) - 1] = [
            _integer(ohm, 1, 2),
            _integer(current, 0, 4),
            _number(user, 0.0, 2.0),
            _integer(show, 1, 2),
        ]
        self._drive_heater()

    def _read_heater_setup(self, output: str) -> str:
        ohm, current, user, show = self._heater_setup[_integer(output, 1, 2) - 1]
        return f"{ohm},{current},{user:+.3f},{show}"

    def _set_mode(self, output: str, mode: str, channel: str, powerup: str) -> None:
        number, code = _integer(output, 1, 4), Mode(int(mode))
        if code in (Mode.MONITOR_OUT, Mode.WARMUP) and number <= 2:
            raise ValueError(f"mode {mode} at output {output}")
        loop = self._loops[number - 1]
        loop.input = _integer(channel, 0, 4)
        loop.stays_on_at_power_up = bool(_integer(powerup, 0, 1))
        loop.mode = code
        self._drive_heater()

    def _mode(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.mode:d},{loop.input},{loop.stays_on_at_power_up:d}"

    def _set_pid(self, output: str, p: str, i: str, d: str) -> None:
        loop = self._loop(output)
        gains = _number(p, 0.1, 1000.0), _number(i, 0.1, 1000.0), _number(d, 0.0, 200.0)
        loop.proportional, loop.integral, loop.derivative = gains

    def _pid(self, output: str) -> str:
        loop = self._loop(output)
        return f"{loop.proportional:+07.1f},{loop.integral:+07.1f},{loop.derivative:+05.0f}"

    def _set_manual(self, output: str, percent: str) -> None:
        self._loop(output).manual_percent = _number(percent, 0.0, 100.0)
        self._drive_heater()

    def _set_zone(self, output: str, zone: str, *values: str) -> None:
        key = (_integer(output, 1, 2), _integer(zone, 1, 10))
        self._zones[key] = ",".join(f"{float(value):g}" for value in values)

    def _zone(self, output: str, zone: str) -> str:
        key = (_integer(output, 1, 2), _integer(zone, 1, 10))
        return self._zones.get(key, "+0.00000,+0050.0,+0020.0,+000.0,+000.00,0,1,+000.1")

    # -- firmware -------------------------------------------------------------------------------

    def _regulate(self, now: float, dt: float) -> None:
        """Run the loops once: over-temperature, sensor and heater faults, then the output."""
        if self._limited and any(self._read(c)[0] > limit_K for c, limit_K in self._limited):
            self._reset()
            return
        loop = self._loops[0]
        if not loop.heater_range:
            return
        if loop.mode in (Mode.CLOSED_LOOP, Mode.ZONE) and loop.input:
            temperature_K, status = self._read(INPUTS[loop.input - 1])
            if status:  # no valid reading, no heat: the firmware switches its output off
                loop.switch_off()
            else:
                loop.regulate(temperature_K, now, dt)
        self._drive_heater()

    def _drive_heater(self) -> None:
        """Put the output of loop 1 on the heater of the cryostat."""
        loop = self._loops[0]
        load_ohm = self.world.cryostat.heater_resistance_ohm
        if loop.heater_range and not SHORT_OHM <= load_ohm <= OPEN_OHM:
            self._heater_error[0] = 1 if load_ohm > OPEN_OHM else 2
            loop.switch_off()
        if loop.mode is Mode.OPEN_LOOP and loop.heater_range:
            loop.open_loop()
        elif loop.mode is Mode.OFF:
            loop.percent = 0.0
        watts = self._full_scale_W(load_ohm) * loop.percent / 100.0 if loop.percent else 0.0
        self.world.cryostat.heater_W = watts

    def _full_scale_W(self, load_ohm: float) -> float:
        _, code, user_A, _ = self._heater_setup[0]
        current_A = min(MAX_CURRENT_A.get(int(code), user_A), COMPLIANCE_V / load_ohm)
        return current_A**2 * load_ohm * RANGE_FRACTION[self._loops[0].heater_range]
