"""attocube ANC300: the sample's positioners, open-loop.

Nobody measures where the sample is: a step is longer when it is warm, longer one way than the
other, and never twice the same; what is counted are steps. A drive that is right at 4 K destroys a
warm piezo: the limits are a table over temperature, looked up before every move.

Never tried on hardware. From memory and not verified: the greeting of the console, what it says
besides ERROR, that geto shows 0 V when the steps are made.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, inf, isfinite

from drivers.clock import Clock
from drivers.confirmed import confirmed_number, confirmed_settings
from drivers.errors import InstrumentError, LimitError, LinkTimeout, StateError
from drivers.line import Line, WhoAreYou
from drivers.link import Link
from drivers.registry import register
from drivers.roles import Identity, Positioner, Reading, ReadingStatus, Setting
from drivers.serial_format import SerialFormat
from drivers.status import Status

__all__ = ["ANC300Config", "ANC300Positioner", "ConsoleFraming"]

END = re.compile(rb"(?:^|\r\n)(?:OK|ERROR|Authorization \w+)\r\n")
WHO = WhoAreYou(
    "getcser",
    re.compile(r"(?:getcser\r\n)?(\S[^\r\n]*)\r\nOK"),
    lambda match: Identity("attocube", "ANC300", match[1], ""),
)
GREETED, LET_IN, REFUSED = (
    b"Authorization required",
    b"Authorization success",
    b"Authorization failed",
)
NOT_ASKED = b"ERROR"  # who is inside already, as on a serial line, has said an unknown command
NUMBER = r"\w+ = ([+-]?\d+(?:\.\d+)?)(?: \w+)?"
WORD = r"\w+ = (\S+)"
MAX_V, MAX_HZ = 150.0, 10_000.0  # of the controller
MAX_STEPS = 10_000_000
ASK_INTERVAL_S = 0.1
MOVE_MARGIN_S = 5.0
STOPPED = "stopped on the way once: counted by time"

DriveLimit = Sequence[float]  # up to K, V, Hz, steps in one move
Thermometer = Callable[[], Reading]


class ConsoleFraming:
    """Replies of several lines, the last of which is OK, ERROR, or about the password."""

    def split(self, buffer: bytearray) -> bytes | None:
        end = END.search(buffer)
        if end is None:
            return None
        reply = bytes(buffer[: end.end() - 2])
        del buffer[: end.end()]
        return reply


@dataclass(frozen=True, slots=True)
class ANC300Config:
    """What the station says about the positioners.

    password: of the console on TCP; empty on USB, which asks for none.
    axes: name and number of the module. drive_V and frequency_Hz are used for every move.
    limits: rows of (up to this temperature in K, most V, most Hz, most steps in one move), rising;
    above the last one nothing moves, and where the temperature is not known the strictest of all
    rows holds.
    """

    serial: str = ""
    pacing_s: float = 0.0
    timeout_s: float = 0.5
    password: str = "123456"  # noqa: S105 - the factory's, printed in the manual
    axes: Sequence[tuple[str, int]] = (("x", 1), ("y", 2), ("z", 3))
    drive_V: float = 30.0
    frequency_Hz: float = 200.0
    limits: Sequence[DriveLimit] = ((30.0, 60.0, 1000.0, 5000), (310.0, 35.0, 1000.0, 2000))
    ground_afterwards: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.drive_V <= MAX_V and 1 <= self.frequency_Hz <= MAX_HZ):
            raise ValueError(
                f"drive {self.drive_V} V at {self.frequency_Hz} Hz: allowed up to {MAX_V} V and "
                f"1 to {MAX_HZ} Hz"
            )
        if not self.limits or any(len(row) != 4 for row in self.limits):
            raise ValueError(f"limits {self.limits}: rows of K, V, Hz and steps are needed")
        if any(not all(isfinite(value) and value > 0 for value in row) for row in self.limits):
            raise ValueError(f"limits {self.limits}: every value must be finite and above 0")
        if any(low[0] >= high[0] for low, high in pairwise(self.limits)):
            raise ValueError(f"limits {self.limits}: temperatures must rise")
        if len({name for name, _ in self.axes}) != len(self.axes) or not self.axes:
            raise ValueError(f"axes {self.axes}: names must differ")


class _Console:
    """The line to the console, which wants its password first. A Link itself."""

    def __init__(self, name: str, link: Link, password: str, timeout_s: float) -> None:
        self._name = name
        self._link = link
        self._password = password
        self._timeout_s = timeout_s
        self._is_inside = not password

    def send(self, message: bytes) -> None:
        if not self._is_inside:
            self._log_in()
        self._link.send(message)

    def poll(self, timeout_s: float) -> bytes | None:
        reply = self._link.poll(timeout_s)
        if reply is None or not self._password:
            return reply
        if reply.endswith(GREETED):  # the connection is another one
            self._is_inside = False
            return None
        if reply.endswith(REFUSED):
            self._is_inside = False
        return reply

    def reset(self) -> None:
        self._link.reset()

    def close(self) -> None:
        self._link.close()

    def _log_in(self) -> None:
        while self._link.poll(self._timeout_s) is not None:  # the greeting
            pass
        self._link.send(self._password.encode("latin-1") + b"\r\n")
        reply = self._link.poll(self._timeout_s)
        if reply is None:
            raise LinkTimeout(self._name, f"password not answered in {self._timeout_s} s")
        if not reply.endswith((LET_IN, NOT_ASKED)):
            raise StateError(self._name, f"the password was answered {reply!r}")
        self._is_inside = True


def _line(name: str, link: Link, clock: Clock, config: ANC300Config) -> Line:
    console = _Console(name, link, config.password, config.timeout_s)
    return Line.configured(name, console, clock, config, terminator=b"\r\n", who=WHO)


@register(
    "attocube.anc300",
    Positioner,
    config=ANC300Config,
    framing=ConsoleFraming(),
    line=_line,
    serial=SerialFormat(38400),
)
class ANC300Positioner:
    """An ANC300 as positioner (roles.Positioner).

    thermometer: where the piezos' temperature is read before every move; set it once the cryostat
    is there.
    """

    def __init__(self, name: str, line: Line, clock: Clock, config: ANC300Config) -> None:
        self.name = name
        self.thermometer: Thermometer | None = None
        self._line = line
        self._clock = clock
        self._config = config
        self._numbers = dict(config.axes)
        self._counted = dict.fromkeys(self._numbers, 0)
        self._is_certain = dict.fromkeys(self._numbers, True)
        self._notes = dict.fromkeys(self._numbers, "")
        self._movement: _Movement | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the names of the axes."""
        return tuple(self._numbers)

    def identify(self) -> Identity:
        """Ask who answers."""
        return self._line.identify()

    def move_by(self, axis: str, steps: int) -> Status:
        """Step forward, or backward if negative; done when the drive is at rest again.

        Raises LimitError for what the table doesn't allow at the present temperature, StateError
        while still moving.
        """
        number = self._number(axis)
        self._check_drive(steps)
        self._require_rest()
        if steps == 0:
            return Status.finished(f"{self.name} {axis} by 0")
        self._prepare(number)
        self._is_certain[axis] = False
        self._tell(f"step{'u' if steps > 0 else 'd'} {number} {abs(steps)}")
        begun_s = self._clock.now()
        self._movement = _Movement(
            self, self._clock, number, abs(steps) / self._config.frequency_Hz,
            arrived=lambda: self._arrived(axis, steps),
            stopped=lambda at_s: self._stopped(axis, steps, at_s - begun_s),
        )  # fmt: skip
        return Status(f"{self.name} {axis} by {steps} steps", self._movement)

    def limit_drive(self, temperature_K: float) -> None:
        """Bring voltage and frequency of every axis below what is allowed from here to there.

        What is below already stays as it is. Raises StateError while still moving, InstrumentError
        if an axis reads back more.
        """
        self._require_rest()
        most_V, most_Hz = self._limits_on_the_way(temperature_K)
        for number in self._numbers.values():
            self._lower(number, "v", most_V)
            self._lower(number, "f", most_Hz)

    def stop(self) -> None:
        """Stop every axis; harmless when nothing moves.

        The steps made until then are counted by the time they took: nothing else tells them.
        """
        for number in self._numbers.values():
            asked_s = self._clock.now()
            self._tell(f"stop {number}")
            if self._movement is not None and self._movement.number == number:
                self._movement.stop(asked_s)

    def ground(self) -> None:
        """Ground every axis, which also discharges the piezos."""
        self._require_rest()
        for number in self._numbers.values():
            self._tell(f"setm {number} gnd")

    def measure_capacitance(self, axis: str) -> Status:
        """Measure the capacitance, which shows a broken lead; read it when done.

        The axis is grounded afterwards."""
        number = self._number(axis)
        self._require_rest()
        self._tell(f"setm {number} cap")
        self._movement = _Movement(self, self._clock, number, 1.0)
        return Status(f"{self.name} {axis} capacitance", self._movement)

    def read_capacitance_nF(self, axis: str) -> float:
        """Return the capacitance measured last."""
        question = f"getc {self._number(axis)}"
        return confirmed_number(self.name, lambda: float(self._ask(question, NUMBER)))

    def is_at_rest(self, number: int) -> bool:
        """Ask whether an axis neither steps nor measures."""
        if self._ask(f"getm {number}", WORD) == "cap":
            return False
        # One zero may be garbled
        return all(float(self._ask(f"geto {number}", NUMBER)) == 0.0 for _ in range(2))

    def read(self) -> Mapping[str, Reading]:
        """Return the steps counted since this connection was made; no position is known."""
        now = self._clock.now()
        return {
            f"steps_{axis}": (
                Reading(float(count), "", now, note=self._notes[axis])
                if self._is_certain[axis]
                else Reading(
                    float(count), "", now, ReadingStatus.FAULT, "moving, or lost on the way"
                )
            )
            for axis, count in self._counted.items()
        }

    def settings(self) -> Mapping[str, Setting]:
        """Read back mode, drive and frequency of every axis."""
        return confirmed_settings(self.name, self._look_at_settings)

    def close(self) -> None:
        """Let go of the line; the axes stay as they are."""
        self._line.close()

    def _look_at_settings(self) -> Mapping[str, Setting]:
        found: dict[str, Setting] = {}
        for axis, number in self._numbers.items():
            found[f"mode_{axis}"] = self._ask(f"getm {number}", WORD)
            found[f"drive_{axis}_V"] = float(self._ask(f"getv {number}", NUMBER))
            found[f"frequency_{axis}_Hz"] = float(self._ask(f"getf {number}", NUMBER))
        return found

    def _number(self, axis: str) -> int:
        if axis not in self._numbers:
            raise LimitError(self.name, f"axis {axis!r}: allowed {self.axes}")
        return self._numbers[axis]

    def _check_drive(self, steps: int) -> None:
        """Raise LimitError for what may not be done at this temperature."""
        where, most_V, most_Hz, most_steps = self._limits_now()
        config = self._config
        if config.drive_V > most_V or config.frequency_Hz > most_Hz:
            raise LimitError(
                self.name,
                f"drive {config.drive_V} V at {config.frequency_Hz} Hz: allowed "
                f"{most_V} V and {most_Hz} Hz {where}",
            )
        if not (isinstance(steps, int) and abs(steps) <= min(most_steps, MAX_STEPS)):
            raise LimitError(self.name, f"{steps} steps: allowed {most_steps:.0f} {where}")

    def _limits_now(self) -> tuple[str, float, float, float]:
        limits = self._config.limits
        reading = None if self.thermometer is None else self.thermometer()
        if reading is None or not reading.is_good:
            _, *columns = zip(*limits, strict=True)
            most_V, most_Hz, most_steps = (min(column) for column in columns)
            return "while the temperature is not known", most_V, most_Hz, most_steps
        for up_to_K, most_V, most_Hz, most_steps in limits:
            if reading.value <= up_to_K:
                return f"at {reading.value:.1f} K", most_V, most_Hz, most_steps
        raise LimitError(
            self.name, f"no move at {reading.value:.1f} K: allowed up to {limits[-1][0]} K"
        )

    def _limits_on_the_way(self, temperature_K: float) -> tuple[float, float]:
        """Return the least voltage and frequency of the rows that the way leads through.

        Of all rows, where it is not known from where it leads.
        """
        limits = self._config.limits
        reading = None if self.thermometer is None else self.thermometer()
        ends_K = (temperature_K, reading.value) if reading is not None and reading.is_good else ()
        low_K, high_K = min(ends_K, default=0.0), max(ends_K, default=inf)
        begins_K = (0.0, *(up_to_K for up_to_K, *_ in limits[:-1]))
        rows = [
            row
            for begin_K, row in zip(begins_K, limits, strict=True)
            if begin_K < high_K and row[0] >= low_K
        ] or [limits[-1]]
        return min(row[1] for row in rows), min(row[2] for row in rows)

    def _lower(self, number: int, quantity: str, most: float) -> None:
        question = f"get{quantity} {number}"
        if confirmed_number(self.name, lambda: float(self._ask(question, NUMBER))) <= most:
            return
        self._tell(f"set{quantity} {number} {floor(1000 * most) / 1000:g}")
        found = confirmed_number(self.name, lambda: float(self._ask(question, NUMBER)))
        if found > most:
            raise InstrumentError(self.name, f"{question} is {found}, allowed up to {most}")

    def _prepare(self, number: int) -> None:
        """Set the drive and read it back before anything steps."""
        config = self._config
        self._tell(f"setv {number} {config.drive_V:.3f}")
        self._tell(f"setf {number} {config.frequency_Hz:.0f}")
        found_V = float(self._ask(f"getv {number}", NUMBER))
        found_Hz = float(self._ask(f"getf {number}", NUMBER))
        if abs(found_V - config.drive_V) > 0.01 or abs(found_Hz - config.frequency_Hz) > 1.0:
            raise InstrumentError(
                self.name,
                f"axis {number} reads back {found_V} V at {found_Hz} Hz, "
                f"not {config.drive_V} V at {config.frequency_Hz} Hz",
            )
        self._tell(f"setm {number} stp")

    def _arrived(self, axis: str, steps: int) -> None:
        self._counted[axis] += steps
        self._is_certain[axis] = True
        if self._config.ground_afterwards:
            self._tell(f"setm {self._numbers[axis]} gnd")

    def _stopped(self, axis: str, steps: int, passed_s: float) -> None:
        made = min(round(passed_s * self._config.frequency_Hz), abs(steps))
        self._notes[axis] = STOPPED
        self._arrived(axis, made if steps > 0 else -made)

    def _require_rest(self) -> None:
        if self._movement is not None and not self._movement.is_done:
            raise StateError(self.name, "still moving")

    def _tell(self, command: str) -> None:
        """Send a command and take its OK. It may not be sent twice."""
        self._exchange(command, "", retries=0)

    def _ask(self, question: str, body: str) -> str:
        return self._exchange(question, body + "\r\n", retries=3)

    def _exchange(self, message: str, body: str, retries: int) -> str:
        pattern = re.compile(
            rf"(?:{re.escape(message)}\r\n)?(?:{body}OK|(?P<error>[^\r\n]*(?:\r\n)?)ERROR)"
        )
        reply = self._line.ask(message, pattern, retries)
        match = pattern.fullmatch(reply)
        assert match is not None  # noqa: S101 - only matching replies come here
        if match["error"] is not None:
            raise InstrumentError(self.name, f"{message!r}: {match['error'].strip()}")
        return match[1] or ""


class _Movement:
    """Steps under way: the console says nothing at their end, so the drive is looked at."""

    def __init__(
        self,
        positioner: ANC300Positioner,
        clock: Clock,
        number: int,
        expected_s: float,
        arrived: Callable[[], None] = lambda: None,
        stopped: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.is_done = False
        self.number = number
        self._positioner = positioner
        self._clock = clock
        self._arrived = arrived
        self._stopped = stopped
        self._next_ask_s = clock.now() + expected_s
        self._deadline_s = self._next_ask_s + clock.patience_s(MOVE_MARGIN_S)

    def __call__(self) -> bool:
        if self.is_done:
            raise StateError(self._positioner.name, "the movement was stopped")
        try:
            self.is_done = self._advance()
        except BaseException:
            self.is_done = True
            raise
        return self.is_done

    def stop(self, at_s: float) -> None:
        """Be over: the axis was stopped at that time."""
        if not self.is_done:
            self.is_done = True
            self._stopped(at_s)

    def _advance(self) -> bool:
        now = self._clock.now()
        if now < self._next_ask_s:
            return False
        self._next_ask_s = now + ASK_INTERVAL_S
        if self._positioner.is_at_rest(self.number):
            self._arrived()
            return True
        if now > self._deadline_s:
            raise LinkTimeout(self._positioner.name, f"axis {self.number} is still moving")
        return False
