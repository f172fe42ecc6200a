"""Oxford Instruments MercuryiTC: temperature controller with heater and gas flow.

A continuous-flow cryostat holds 5.5 to 200 K only if the flow of helium fits the temperature: the
driver follows a table of it. Every message is answered and the answer repeats the address; one
that belongs to another question counts as garbled. Replies to sets that say INVALID or DENIED
raise.

Never tried on hardware. Unverified, from memory: serial line at 9600 baud 8N1 (set in the unit's
menu, some use 57600); the text of alarms; what a unit forgets when switched off.
On the unit itself: choose the SCPI command set and remote control, and associate heater and gas
flow board with the control sensor.
"""

import logging
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings, confirmed_settings
from drivers.errors import InstrumentError, LimitError, ReplyError, StateError
from drivers.line import Line, WhoAreYou
from drivers.link import Link, Terminated
from drivers.mercury_scpi import error_in, expected_reply, quantity, values_in
from drivers.registry import register
from drivers.roles import Identity, Reading, ReadingStatus, Setting, TemperatureController
from drivers.serial_format import SerialFormat
from drivers.status import Status

__all__ = ["MercuryConfig", "MercuryController"]

logger = logging.getLogger(__name__)

IDENTITY = re.compile(r"IDN:(OXFORD INSTRUMENTS):(MERCURY iTC):([^:]*):([^:]*)")
UID = re.compile(r"[A-Z0-9]+\.[A-Z0-9]+")

DIGIT_K = 0.001  # by which a setpoint may read back differently
DIGIT_PERCENT = 0.1
PROGRESS_INTERVAL_S = 0.5
SETPOINT_DEADLINE_S = 2.0
RAMP_MARGIN = 1.5  # times its computed duration, after which a ramp counts as stuck
RAMP_GRACE_S = 30.0
FLOW_STEP_PERCENT = 1.0  # the valve follows a ramp in steps of that


@dataclass(frozen=True, slots=True)
class MercuryConfig:
    """What the station says about the controller.

    control_sensor, sample_sensor, heater, flow: the UIDs that READ:SYS:CAT lists; flow "" where
    there is no gas flow board.
    flow_table: (temperature in K, gas flow in %), ascending, interpolated between; empty: the
    flow stays as it is. pid_zones: (highest setpoint in K, P in %/K, I and D in min), ascending,
    sent with each setpoint; empty: the unit's own table or values. ramp_K_per_min 0: no ramp.
    sensor_range_K: a reading outside it is none.
    heater_voltage_limit_V is written only by `apply_protection`.
    bus_address: of ISOBUS; None where the unit has its line for itself.
    """

    serial: str = ""  # refuse any other instrument; empty: take whichever answers
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    bus_address: int | None = None
    control_sensor: str = "MB1.T1"
    sample_sensor: str = "DB6.T1"
    heater: str = "MB0.H1"
    flow: str = "DB4.G1"
    max_temperature_K: float = 325.0
    ramp_K_per_min: float = 0.0
    flow_table: tuple[tuple[float, float], ...] = (
        (5.0, 70.0),
        (10.0, 50.0),
        (20.0, 40.0),
        (50.0, 25.0),
        (100.0, 15.0),
        (200.0, 10.0),
    )
    pid_zones: tuple[tuple[float, float, float, float], ...] = ()
    sensor_range_K: tuple[float, float] = (1.4, 420.0)
    heater_voltage_limit_V: float | None = None

    def __post_init__(self) -> None:
        for uid in (self.control_sensor, self.sample_sensor, self.heater, self.flow or "DB4.G1"):
            if not UID.fullmatch(uid):
                raise ValueError(f"UID {uid!r}: expected one of READ:SYS:CAT, such as MB1.T1")
        if self.bus_address is not None and self.bus_address not in range(1, 10):
            raise ValueError(f"bus address {self.bus_address}: expected 1 to 9")
        if not 0 <= self.ramp_K_per_min <= 1000:
            raise ValueError(f"ramp {self.ramp_K_per_min} K/min: expected 0 to 1000")
        _require_ascending("flow table", [row[0] for row in self.flow_table])
        _require_ascending("PID zones", [row[0] for row in self.pid_zones])
        if any(not 0 <= row[1] <= 100 for row in self.flow_table):
            raise ValueError(f"flow table {self.flow_table}: expected 0 to 100 %")
        volts = self.heater_voltage_limit_V
        if volts is not None and not 0 <= volts <= 40:
            raise ValueError(f"heater voltage limit {volts} V: expected 0 to 40 V")

    def flow_percent(self, temperature_K: float) -> float | None:
        """Return the gas flow for a temperature; None where it stays as it is."""
        if not self.flow_table or not self.flow:
            return None
        place = bisect_right([row[0] for row in self.flow_table], temperature_K)
        if place in (0, len(self.flow_table)):
            return self.flow_table[max(place - 1, 0)][1]
        (below_K, below), (above_K, above) = self.flow_table[place - 1 : place + 1]
        return below + (above - below) * (temperature_K - below_K) / (above_K - below_K)

    def pid(self, temperature_K: float) -> tuple[float, float, float] | None:
        """Return P, I, D for a setpoint; None where they stay as they are."""
        fitting = (zone[1:] for zone in self.pid_zones if temperature_K <= zone[0])
        return next(fitting, None)


def _require_ascending(what: str, temperatures: list[float]) -> None:
    if temperatures != sorted(set(temperatures)):
        raise ValueError(f"{what}: {temperatures} K, expected ascending temperatures")


def mercury_line(name: str, link: Link, clock: Clock, config: MercuryConfig) -> Line:
    """Return a line that knows how a Mercury tells its name, on a bus or alone."""
    who = WhoAreYou(
        _prefix(config) + "*IDN?",
        IDENTITY,
        lambda match: Identity(*(field.strip() for field in match.groups())),
    )
    return Line.configured(name, link, clock, config, who=who)


def _prefix(config: MercuryConfig) -> str:
    return "" if config.bus_address is None else f"@{config.bus_address}"


@register(
    "oxford.mercuryitc",
    TemperatureController,
    config=MercuryConfig,
    framing=Terminated(b"\n"),
    line=mercury_line,
    serial=SerialFormat(9600, 8, "N", 1),
)
class MercuryController:
    """A MercuryiTC as the cryostat's temperature controller (roles.TemperatureController).

    Beyond the role's channels it reads flow_percent, how far the valve is open.
    """

    def __init__(self, name: str, line: Line, clock: Clock, config: MercuryConfig) -> None:
        # pymeasure takes 0.2 s to import, and who only checks a station shall not wait for it
        from drivers.adapter import LineAdapter  # noqa: PLC0415
        from drivers.pymeasure_mercury import MercuryiTC  # noqa: PLC0415

        self.name = name
        self._line = line
        self._clock = clock
        self._config = config
        adapter = LineAdapter(line, is_question=lambda _: True)
        self._instrument: Any = MercuryiTC(adapter, name, config.bus_address)
        for uid in {config.control_sensor, config.sample_sensor} - set(self._instrument.TS):
            self._instrument.add_temperature_sensor(uid)
        if config.heater not in self._instrument.HTR:
            self._instrument.add_heater(config.heater)
        if config.flow:
            self._instrument.add_flow(config.flow)
        self._control = self._instrument.TS[config.control_sensor]
        self._sample = self._instrument.TS[config.sample_sensor]
        self._heater = self._instrument.HTR[config.heater]
        self._approach: _Approach | None = None
        self._flow_sent = inf

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def read_temperature(self) -> Reading:
        """Read the control sensor."""
        return self._read_sensor(self._control)

    def read_sample_temperature(self) -> Reading:
        """Read the sample sensor."""
        return self._read_sensor(self._sample)

    def read(self) -> Mapping[str, Reading]:
        """Read both sensors, heater, valve and alarms, one message each; all of them twice."""
        return confirmed_readings(self.name, self._look)

    def set(self, temperature_K: float) -> Status:
        """Send setpoint, ramp, PID and gas flow; done when the working setpoint has arrived.

        The flow follows the table as the setpoint moves. Raises LimitError, InstrumentError if
        the unit refuses or reports an alarm on heater or control sensor.
        """
        config = self._config
        if not (isfinite(temperature_K) and 0 < temperature_K <= config.max_temperature_K):
            raise LimitError(
                self.name, f"setpoint {temperature_K} K: allowed 0 to {config.max_temperature_K} K"
            )
        target_K = round(temperature_K, 3)
        self._refuse_alarms()
        begin_K = self._begin_where_it_is()
        self._supersede()
        self._send_pid(target_K)
        if config.ramp_K_per_min > 0:
            rate = config.ramp_K_per_min
            self._tell(f"RSET:{rate:.4f}:RENA:ON:TSET:{target_K:.3f}")
            takes_s = 60.0 * abs(target_K - begin_K) / rate
        else:
            self._tell(f"RENA:OFF:TSET:{target_K:.3f}")
            takes_s, begin_K = 0.0, target_K
        self._flow_sent = inf
        self.follow_flow(begin_K, exactly=True)
        self._approach = _Approach(self, self._clock, target_K, takes_s)
        return Status(f"{self.name} to {target_K} K", self._approach)

    def hold(self) -> None:
        """Regulate at the present temperature, with the gas flow as it is."""
        reading = self.read_temperature()
        if not reading.is_good:
            raise InstrumentError(self.name, f"cannot hold: {reading.note or reading.value}")
        self._supersede()
        self._regulate_at(round(reading.value, 3))

    def heater_off(self) -> None:
        """Switch the loop off and the heater to 0 and verify it; the gas flow stays as it is."""
        self._tell("ENAB:OFF")
        self._tell("HSET:0")
        enabled, percent = self._ask("ENAB", "HSET")
        if enabled != "OFF" or self._quantity(percent) != 0.0:
            raise InstrumentError(
                self.name, f"heater not off: loop {enabled}, heater at {percent} %"
            )
        self._supersede()

    def apply_protection(self) -> None:
        """Write the heater's voltage limit of the station and read it back."""
        limit_V = self._config.heater_voltage_limit_V
        if limit_V is not None:
            self._heater.voltage_limit = limit_V
            if abs(self._number(self._heater, "voltage_limit") - limit_V) > 0.05:
                raise InstrumentError(self.name, f"heater voltage limit is not {limit_V} V")

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes."""
        return confirmed_settings(self.name, self._look_at_settings)

    def close(self) -> None:
        """Let go of the line; heater, setpoint and gas flow stay as they are."""
        self._line.close()

    def progress(self) -> tuple[bool, float]:
        """Return whether the loop regulates, and the working setpoint in K."""
        enabled, setpoint = self._ask("ENAB", "TSET")
        return enabled == "ON", self._quantity(setpoint, "K")

    def follow_flow(self, temperature_K: float, *, exactly: bool) -> None:
        """Set the gas flow for a temperature; small steps only where it is to be exact."""
        percent = self._config.flow_percent(temperature_K)
        if percent is None or percent == self._flow_sent:
            return
        if exactly or abs(percent - self._flow_sent) >= FLOW_STEP_PERCENT:
            self._tell(f"FAUT:OFF:FSET:{percent:.2f}")
            self._flow_sent = percent

    def _look(self) -> Mapping[str, Reading]:
        alarms = self._instrument.alarms
        found = {
            "temperature_K": self._reading(self._control, alarms),
            "sample_temperature_K": self._reading(self._sample, alarms),
            "heater_percent": self._percent(
                self._number(self._control, "control_loop_heater_percent"),
                self._config.heater,
                alarms,
            ),
        }
        if self._config.flow:
            valve = self._number(self._instrument.FLOW[self._config.flow], "valve_percent")
            found["flow_percent"] = self._percent(valve, self._config.flow, alarms)
        return found

    def _look_at_settings(self) -> Mapping[str, Setting]:
        leaves = ("ENAB", "TSET", "RSET", "RENA", "P", "I", "D", "PIDT", "FAUT", "FSET")
        found = dict(zip(leaves, self._ask(*leaves), strict=True))
        number = self._quantity
        return {
            "loop_enabled": found["ENAB"] == "ON",
            "setpoint_K": number(found["TSET"], "K"),
            "ramp_on": found["RENA"] == "ON",
            "ramp_K_per_min": number(found["RSET"], "K/m"),
            "pid_p": number(found["P"]),
            "pid_i": number(found["I"]),
            "pid_d": number(found["D"]),
            "pid_from_table": found["PIDT"] == "ON",
            "flow_automatic": found["FAUT"] == "ON",
            "flow_setpoint_percent": number(found["FSET"]),
            "heater_voltage_limit_V": self._number(self._heater, "voltage_limit"),
        }

    def _ask(self, *leaves: str) -> list[str]:
        """Read leaves of the control loop in one message."""
        reply = self._exchange(f"READ:{self._loop}:{':'.join(leaves)}")
        try:
            return values_in(reply, *leaves)
        except LookupError as error:
            raise ReplyError(self.name, f"{leaves} were answered {reply!r}") from error

    def _tell(self, leaves: str) -> None:
        """Set leaves of the control loop. Every set is absolute, so it may be sent again."""
        self._exchange(f"SET:{self._loop}:{leaves}")

    @property
    def _loop(self) -> str:
        return f"DEV:{self._config.control_sensor}:TEMP:LOOP"

    def _exchange(self, message: str) -> str:
        reply = self._line.ask(_prefix(self._config) + message, expected_reply(message))
        error = error_in(reply)
        if error:
            raise InstrumentError(self.name, f"{message!r}: {error} ({reply})")
        return reply

    def _quantity(self, text: str, unit: str = "") -> float:
        try:
            return quantity(text, unit)
        except (TypeError, ValueError) as error:  # several values come as a list
            raise ReplyError(self.name, str(error)) from error

    def _number(self, board: Any, quantity_name: str) -> float:
        """Read a number of a board. Raises ReplyError for anything else."""
        try:
            return float(getattr(board, quantity_name))
        except (TypeError, ValueError) as error:  # several values come as a list
            raise ReplyError(self.name, f"{board.id} {quantity_name}: {error}") from error

    def _read_sensor(self, sensor: Any) -> Reading:
        found = confirmed_readings(self.name, lambda: {sensor.id: self._reading(sensor, "")})
        return found[sensor.id]

    def _reading(self, sensor: Any, alarms: str) -> Reading:
        now = self._clock.now()
        try:
            kelvin = self._number(sensor, "temperature")
        except InstrumentError as error:
            if "N/A" in str(error):
                return Reading(nan, "K", now, ReadingStatus.FAULT, "no reading (N/A)")
            raise
        if sensor.id in alarms:
            return Reading(nan, "K", now, ReadingStatus.FAULT, f"alarm: {alarms.strip()}")
        low_K, high_K = self._config.sensor_range_K
        if not low_K <= kelvin <= high_K:
            note = f"{kelvin} K is outside the sensor's range"
            return Reading(nan, "K", now, ReadingStatus.OUT_OF_RANGE, note)
        return Reading(kelvin, "K", now)

    def _percent(self, percent: float, uid: str, alarms: str) -> Reading:
        now = self._clock.now()
        if uid in alarms:
            note = f"alarm: {alarms.strip()}"
            return Reading(percent, "%", now, ReadingStatus.FAULT, note)
        return Reading(percent, "%", now)

    def _refuse_alarms(self) -> None:
        alarms = self._instrument.alarms
        if self._config.heater in alarms or self._config.control_sensor in alarms:
            raise InstrumentError(self.name, f"alarm: {alarms.strip()}")

    def _begin_where_it_is(self) -> float:
        """Return the setpoint from which a ramp begins; a loop that was off begins at the sensor.

        The old setpoint of a loop that was off may be far away, and a ramp starts from there.
        """
        is_on, setpoint_K = self.progress()
        if is_on:
            return setpoint_K
        reading = self.read_temperature()
        if not reading.is_good:
            raise InstrumentError(self.name, f"cannot regulate: {reading.note or reading.value}")
        begin_K = round(reading.value, 3)
        self._regulate_at(begin_K)
        self._tell("ENAB:ON")
        return begin_K

    def _regulate_at(self, temperature_K: float) -> None:
        # A ramp is ended by setting the setpoint to where it is now; only then is it switched off,
        # since nothing says that a unit does not jump to the target then
        _, present_K = self.progress()
        self._tell(f"TSET:{present_K:.4f}")
        self._tell("RENA:OFF")
        self._tell(f"TSET:{temperature_K:.3f}")
        _, setpoint_K = self.progress()
        if abs(setpoint_K - temperature_K) > DIGIT_K:
            raise InstrumentError(
                self.name, f"setpoint reads back {setpoint_K} K, not {temperature_K} K"
            )

    def _send_pid(self, target_K: float) -> None:
        pid = self._config.pid(target_K)
        if pid is not None:
            p, i_min, d_min = pid
            self._tell(f"PIDT:OFF:P:{p:.4f}:I:{i_min:.4f}:D:{d_min:.4f}")

    def _supersede(self) -> None:
        if self._approach is not None:
            self._approach.is_superseded = True


class _Approach:
    """Whether the working setpoint has arrived; on its way the gas flow follows it."""

    def __init__(
        self, controller: MercuryController, clock: Clock, target_K: float, takes_s: float
    ) -> None:
        self.is_superseded = False
        self._controller = controller
        self._clock = clock
        self._target_K = target_K
        self._next_s = clock.now() + (PROGRESS_INTERVAL_S if takes_s else 0.0)
        patience_s = RAMP_MARGIN * takes_s + clock.patience_s(
            RAMP_GRACE_S if takes_s else SETPOINT_DEADLINE_S
        )
        self._deadline_s = clock.now() + patience_s

    def __call__(self) -> bool:
        controller, name = self._controller, self._controller.name
        if self.is_superseded:
            raise StateError(name, f"setpoint {self._target_K} K was superseded")
        now = self._clock.now()
        if now < self._next_s:
            return False
        self._next_s = now + PROGRESS_INTERVAL_S
        is_on, setpoint_K = controller.progress()
        if not is_on:
            raise InstrumentError(
                name, "the control loop is off: switched off, or the unit restarted"
            )
        has_arrived = abs(setpoint_K - self._target_K) <= DIGIT_K
        controller.follow_flow(setpoint_K, exactly=has_arrived)
        if not has_arrived and now > self._deadline_s:
            raise InstrumentError(name, f"setpoint is at {setpoint_K} K, not {self._target_K} K")
        return has_arrived
