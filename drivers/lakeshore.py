"""Lake Shore 335, 336 and 350: temperature controllers.

All three speak the same commands. What differs: the 335 has inputs A, B and outputs 1, 2 and only
USB or GPIB; the 350 has five heater ranges and ramps from 0.001 K/min on.
Never tried on hardware. Unverified, from memory: that the 350's three highest ranges are the
decades that the others call low, medium and high.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan
from types import MappingProxyType
from typing import Any, ClassVar

from drivers.clock import Clock
from drivers.confirmed import confirmed_readings
from drivers.errors import InstrumentError, LimitError, StateError
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import register
from drivers.roles import Identity, Reading, ReadingStatus, Setting, TemperatureController
from drivers.serial_format import SerialFormat
from drivers.status import Status

__all__ = [
    "LakeShore335Config",
    "LakeShore335Controller",
    "LakeShore336Config",
    "LakeShore336Controller",
    "LakeShore350Config",
    "LakeShore350Controller",
]

logger = logging.getLogger(__name__)

INPUTS = "ABCD"
CLOSED_LOOP = 1
KELVIN = "1"  # last field of INTYPE?

READING_FAULTS = {
    1: (ReadingStatus.FAULT, "invalid reading"),
    16: (ReadingStatus.OUT_OF_RANGE, "temperature under range"),
    32: (ReadingStatus.OUT_OF_RANGE, "temperature over range"),
    64: (ReadingStatus.OUT_OF_RANGE, "sensor units zero"),
    128: (ReadingStatus.OUT_OF_RANGE, "sensor units over range"),
}
HEATER_FAULTS = {0: "", 1: "heater open", 2: "heater short"}

NUMBER = r"[+-]?\d+\.?\d*"
SENSOR = re.compile(rf"({NUMBER});(\d{{1,3}})")
OVERVIEW = re.compile(rf"({NUMBER});(\d{{1,3}});({NUMBER});(\d{{1,3}});({NUMBER});([012])")
LOOP = re.compile(r"(\d),(\d),([01]);(\d+),([01]),(\d+),([01]),([123]);(\d)")
HEATER = re.compile("[012]")
SETTINGS = re.compile(
    rf"({NUMBER});([01]),({NUMBER});(\d);(\d),(\d),([01]);"
    rf"({NUMBER}),({NUMBER}),({NUMBER});({NUMBER})"
)

# An early SETP? may still return the old value (qcodes waits this long after SETP)
SETPOINT_DELAY_S = 0.5
SETPOINT_DEADLINE_S = 2.0
SETPOINT_DIGIT_K = 0.001
PROGRESS_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class LakeShore336Config:
    """What the station says about the controller.

    heater_ranges: (highest setpoint in K, heater range as a number or as "low", "medium", "high"),
    ascending; the last one reaches as far as the limit.
    pid_zones: (highest setpoint in K, P, I, D), ascending, sent with each setpoint; empty: PID
    stays as it is. ramp_K_per_min 0 sends setpoints without a ramp.
    temperature_limit_K and heater_on_after_power_up are written only by `apply_protection`.
    """

    INPUTS: ClassVar[str] = INPUTS
    OUTPUTS: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    NAMED_RANGES: ClassVar[Mapping[str, int]] = MappingProxyType({"low": 1, "medium": 2, "high": 3})
    HIGHEST_RANGE: ClassVar[int] = 3
    SLOWEST_RAMP_K_PER_MIN: ClassVar[float] = 0.1

    serial: str = ""  # refuse any other instrument; empty: take whichever answers
    pacing_s: float = 0.05  # Lake Shore asks for 50 ms between messages
    timeout_s: float = 0.5
    control_input: str = "A"
    sample_input: str = "B"
    output: int = 1
    max_temperature_K: float = 325.0
    ramp_K_per_min: float = 0.0  # 0.1 to 100; the 350 from 0.001 on
    heater_ranges: tuple[tuple[float, int | str], ...] = (
        (10.0, "low"),
        (40.0, "medium"),
        (inf, "high"),
    )
    pid_zones: tuple[tuple[float, float, float, float], ...] = ()
    temperature_limit_K: float | None = None
    heater_on_after_power_up: bool | None = None

    def __post_init__(self) -> None:
        if {self.control_input, self.sample_input} - set(self.INPUTS):
            raise ValueError(
                f"inputs {self.control_input}, {self.sample_input}: expected A to {self.INPUTS[-1]}"
            )
        if self.output not in (1, 2):
            raise ValueError(f"output {self.output}: only 1 and 2 regulate with a heater range")
        slowest = self.SLOWEST_RAMP_K_PER_MIN
        if self.ramp_K_per_min and not slowest <= self.ramp_K_per_min <= 100:
            raise ValueError(f"ramp {self.ramp_K_per_min} K/min: expected 0 or {slowest} to 100")
        highest_K = [upto_K for upto_K, _ in self.heater_ranges]
        if not highest_K or highest_K != sorted(highest_K):
            raise ValueError(f"heater ranges {self.heater_ranges}: expected ascending temperatures")
        if [zone[0] for zone in self.pid_zones] != sorted(zone[0] for zone in self.pid_zones):
            raise ValueError(f"PID zones {self.pid_zones}: expected ascending temperatures")
        allowed = {*self.NAMED_RANGES, *range(1, self.HIGHEST_RANGE + 1)}
        if any(chosen not in allowed for _, chosen in self.heater_ranges):
            raise ValueError(
                f"heater ranges {self.heater_ranges}: expected 1 to {self.HIGHEST_RANGE} "
                f"or {', '.join(self.NAMED_RANGES)}"
            )

    def heater_range(self, temperature_K: float) -> int:
        """Return the heater range for a setpoint."""
        fitting = (chosen for upto_K, chosen in self.heater_ranges if temperature_K <= upto_K)
        chosen = next(fitting, self.heater_ranges[-1][1])
        return self.NAMED_RANGES[chosen] if isinstance(chosen, str) else chosen

    def pid(self, temperature_K: float) -> tuple[float, float, float] | None:
        """Return P, I, D for a setpoint; None where they stay as they are."""
        fitting = (zone[1:] for zone in self.pid_zones if temperature_K <= zone[0])
        return next(fitting, None)


@register(
    "lakeshore.336",
    TemperatureController,
    config=LakeShore336Config,
    framing=Terminated(b"\r\n"),
    line=Line.configured,
    serial=SerialFormat(57600, 7, "O", 1),
)
class LakeShore336Controller:
    """A Lake Shore 336 as the cryostat's temperature controller (roles.TemperatureController)."""

    vocabulary: ClassVar[str] = "LakeShore336"  # class in pymeasure_lakeshore

    def __init__(self, name: str, line: Line, clock: Clock, config: LakeShore336Config) -> None:
        # pymeasure takes 0.2 s to import, and who only checks a station shall not wait for it
        from drivers import pymeasure_lakeshore  # noqa: PLC0415
        from drivers.adapter import LineAdapter  # noqa: PLC0415

        self.name = name
        self._line = line
        self._clock = clock
        self._config = config
        instrument_class = getattr(pymeasure_lakeshore, self.vocabulary)
        self._instrument: Any = instrument_class(LineAdapter(line), name)
        self._control = self._instrument.channels[config.control_input]
        self._output = self._instrument.channels[config.output]
        self._heater_fault = ""
        self._approach: _Approach | None = None

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def read_temperature(self) -> Reading:
        """Read the control sensor and, in the same message, whether the reading is good."""
        return self._read_sensor(self._config.control_input)

    def read_sample_temperature(self) -> Reading:
        """Read the sample sensor and, in the same message, whether the reading is good."""
        return self._read_sensor(self._config.sample_input)

    def read(self) -> Mapping[str, Reading]:
        """Read both sensors and the heater in one message."""
        a, b, n = self._config.control_input, self._config.sample_input, self._config.output
        question = f"KRDG? {a};RDGST? {a};KRDG? {b};RDGST? {b};HTR? {n};HTRST? {n}"
        looks = map(self._overview, self._looks(question, OVERVIEW))
        return confirmed_readings(self.name, looks.__next__)

    def set(self, temperature_K: float) -> Status:
        """Send setpoint, ramp and heater range; done when the ramp, if any, has ended.

        Raises LimitError, StateError if the output is not a closed loop in kelvin on the control
        input, InstrumentError if the heater is faulty or a command was refused.
        """
        config = self._config
        if not (isfinite(temperature_K) and 0 < temperature_K <= config.max_temperature_K):
            raise LimitError(
                self.name, f"setpoint {temperature_K} K: allowed 0 to {config.max_temperature_K} K"
            )
        target_K = round(temperature_K, 3)
        if self._check_loop() == 0:
            self._start_ramp_from_measured()
        n, ramp = config.output, config.ramp_K_per_min
        self._instrument.write(
            f"{self._pid_command(target_K)}RAMP {n},{int(ramp > 0)},{ramp:.3f};"
            f"SETP {n},{target_K:.3f};"
            f"RANGE {n},{config.heater_range(target_K)}"
        )
        self._supersede()
        self._approach = _Approach(self.name, self._output, self._clock, target_K, ramp > 0)
        return Status(f"{self.name} to {target_K} K", self._approach)

    def hold(self) -> None:
        """Regulate at the present temperature; the heater range stays as it is."""
        reading = self.read_temperature()
        if not reading.is_good:
            raise InstrumentError(self.name, f"cannot hold: {reading.note or reading.value}")
        self._supersede()
        self._regulate_at(round(reading.value, 3))

    def heater_off(self) -> None:
        """Switch every output off and verify it by reading back."""
        outputs = self._config.OUTPUTS
        self._instrument.write(";".join(f"RANGE {n},0" for n in outputs))
        form = re.compile(";".join(r"\d" for _ in outputs))
        ranges = self._ask(";".join(f"RANGE? {n}" for n in outputs), form)[0]
        if set(ranges) - set("0;"):
            raise InstrumentError(self.name, f"heaters not off: ranges {ranges}")
        self._supersede()

    def apply_protection(self) -> None:
        """Write the temperature limit and the power-up flag of the station and read them back."""
        limit_K, stays_on = self._config.temperature_limit_K, self._config.heater_on_after_power_up
        if limit_K is not None:
            self._control.limit_K = limit_K
            if self._control.limit_K != round(limit_K):
                raise InstrumentError(self.name, f"temperature limit is not {limit_K:.0f} K")
        if stays_on is not None:
            mode, control_input, _ = self._output.mode
            self._output.mode = (mode, control_input, int(stays_on))
            if self._output.mode != [mode, control_input, int(stays_on)]:
                raise InstrumentError(self.name, f"power-up flag is not {int(stays_on)}")

    def settings(self) -> Mapping[str, Setting]:
        """Read back what a power cycle or a knob changes."""
        n, a = self._config.output, self._config.control_input
        found = self._ask(
            f"SETP? {n};RAMP? {n};RANGE? {n};OUTMODE? {n};PID? {n};TLIMIT? {a}", SETTINGS
        )
        return {
            "setpoint_K": float(found[1]),
            "ramp_on": found[2] == "1",
            "ramp_K_per_min": float(found[3]),
            "heater_range": int(found[4]),
            "output_mode": int(found[5]),
            "output_input": int(found[6]),
            "heater_on_after_power_up": found[7] == "1",
            "pid_p": float(found[8]),
            "pid_i": float(found[9]),
            "pid_d": float(found[10]),
            "temperature_limit_K": float(found[11]),
        }

    def close(self) -> None:
        """Let go of the line; heater and setpoint stay as they are."""
        self._line.close()

    def _pid_command(self, target_K: float) -> str:
        pid = self._config.pid(target_K)
        if pid is None:
            return ""
        p, i, d = pid
        return f"PID {self._config.output},{p:.1f},{i:.1f},{d:.0f};"

    def _supersede(self) -> None:
        if self._approach is not None:
            self._approach.is_superseded = True

    def _ask(self, question: str, pattern: re.Pattern[str]) -> re.Match[str]:
        """Ask for what does not change by itself: it has to be answered alike twice."""
        match = pattern.fullmatch(self._line.ask_twice(question, pattern))
        assert match is not None  # noqa: S101 - the line lets nothing else through
        return match

    def _looks(self, question: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Look again and again, twice with each message."""
        while True:
            for reply in self._line.ask_both(question, pattern):
                match = pattern.fullmatch(reply)
                assert match is not None  # noqa: S101 - the line lets nothing else through
                yield match

    def _read_sensor(self, letter: str) -> Reading:
        looks = (
            {letter: self._reading(float(found[1]), int(found[2]))}
            for found in self._looks(f"KRDG? {letter};RDGST? {letter}", SENSOR)
        )
        return confirmed_readings(self.name, looks.__next__)[letter]

    def _overview(self, found: re.Match[str]) -> Mapping[str, Reading]:
        self._note_heater(int(found[6]))
        return {
            "temperature_K": self._reading(float(found[1]), int(found[2])),
            "sample_temperature_K": self._reading(float(found[3]), int(found[4])),
            "heater_percent": self._heater_reading(float(found[5])),
        }

    def _reading(self, kelvin: float, bits: float) -> Reading:
        faults = [fault for bit, fault in READING_FAULTS.items() if int(bits) & bit]
        now = self._clock.now()
        if not faults:
            return Reading(kelvin, "K", now)
        # An overrange reads 0.000 K: no number at all is safer than that one
        return Reading(nan, "K", now, faults[-1][0], ", ".join(text for _, text in faults))

    def _heater_reading(self, percent: float) -> Reading:
        status = ReadingStatus.FAULT if self._heater_fault else ReadingStatus.OK
        return Reading(percent, "%", self._clock.now(), status, self._heater_fault)

    def _note_heater(self, code: int) -> None:
        # Reading HTRST? clears it in the instrument, so that we keep it until a set() finds none
        if code:
            self._heater_fault = HEATER_FAULTS[code]
            logger.warning("%s: %s", self.name, self._heater_fault)

    def _check_loop(self) -> int:
        """Return the heater range in force if the output can regulate what we ask for."""
        n, letter = self._config.output, self._config.control_input
        found = self._ask(f"OUTMODE? {n};INTYPE? {letter};RANGE? {n}", LOOP)
        if int(found[1]) != CLOSED_LOOP or int(found[2]) != 1 + INPUTS.index(letter):
            raise StateError(
                self.name,
                f"output {n} is in mode {found[1]} on input {found[2]}, "
                f"expected mode 1 (closed loop) on input {letter}",
            )
        if found[8] != KELVIN:
            raise StateError(self.name, f"input {letter} does not control in kelvin (INTYPE)")
        self._heater_fault = ""
        self._note_heater(int(self._line.ask(f"HTRST? {n}", HEATER)))
        if self._heater_fault:
            raise InstrumentError(self.name, self._heater_fault)
        return int(found[9])

    def _start_ramp_from_measured(self) -> None:
        # After the heater was off the old setpoint may be far away, and a ramp starts from there
        reading = self.read_temperature()
        if not reading.is_good:
            raise InstrumentError(self.name, f"cannot regulate: {reading.note or reading.value}")
        self._regulate_at(round(reading.value, 3))

    def _regulate_at(self, temperature_K: float) -> None:
        n, rate = self._config.output, self._config.ramp_K_per_min
        self._instrument.write(f"RAMP {n},0,{rate:.3f};SETP {n},{temperature_K:.3f}")
        for _ in range(2):
            setpoint_K = self._output.setpoint
            if abs(setpoint_K - temperature_K) <= SETPOINT_DIGIT_K:
                return
            self._clock.wait(SETPOINT_DELAY_S)
        raise InstrumentError(
            self.name, f"setpoint reads back {setpoint_K} K, not {temperature_K} K"
        )


class _Approach:
    """Whether a setpoint is accepted and its ramp has ended.

    What SETP? returns during a ramp is disputed: target or working setpoint. So the end of the
    ramp comes from RAMPST?, the target from ourselves, and SETP? must agree in the end.
    """

    def __init__(self, name: str, output: Any, clock: Clock, target_K: float, ramps: bool) -> None:
        self.is_superseded = False
        self._name = name
        self._output = output
        self._clock = clock
        self._target_K = target_K
        self._sent_s = clock.now()
        self._next_s = self._sent_s + (SETPOINT_DELAY_S if ramps else 0.0)

    def __call__(self) -> bool:
        if self.is_superseded:
            raise StateError(self._name, f"setpoint {self._target_K} K was superseded")
        now = self._clock.now()
        if now < self._next_s:
            return False
        self._next_s = now + PROGRESS_INTERVAL_S
        ramping, setpoint_K = self._output.ramping_and_setpoint
        if ramping:
            return False
        if abs(setpoint_K - self._target_K) <= SETPOINT_DIGIT_K:
            return True
        if now > self._sent_s + self._clock.patience_s(SETPOINT_DEADLINE_S):
            raise InstrumentError(
                self._name, f"setpoint reads back {setpoint_K} K, not {self._target_K} K"
            )
        return False


@dataclass(frozen=True, slots=True)
class LakeShore335Config(LakeShore336Config):
    """As for a 336, with inputs A and B and outputs 1 and 2."""

    INPUTS: ClassVar[str] = "AB"
    OUTPUTS: ClassVar[tuple[int, ...]] = (1, 2)


@register(
    "lakeshore.335",
    TemperatureController,
    config=LakeShore335Config,
    framing=Terminated(b"\r\n"),
    line=Line.configured,
    serial=SerialFormat(57600, 7, "O", 1),
)
class LakeShore335Controller(LakeShore336Controller):
    """A Lake Shore 335 as the cryostat's temperature controller, over USB or GPIB."""

    vocabulary = "LakeShore335"


@dataclass(frozen=True, slots=True)
class LakeShore350Config(LakeShore336Config):
    """As for a 336, with heater ranges 1 to 5 and ramps from 0.001 K/min on."""

    NAMED_RANGES: ClassVar[Mapping[str, int]] = MappingProxyType({"low": 3, "medium": 4, "high": 5})
    HIGHEST_RANGE: ClassVar[int] = 5
    SLOWEST_RAMP_K_PER_MIN: ClassVar[float] = 0.001


@register(
    "lakeshore.350",
    TemperatureController,
    config=LakeShore350Config,
    framing=Terminated(b"\r\n"),
    line=Line.configured,
    serial=SerialFormat(57600, 7, "O", 1),
)
class LakeShore350Controller(LakeShore336Controller):
    """A Lake Shore 350 as the cryostat's temperature controller."""

    vocabulary = "LakeShore350"
