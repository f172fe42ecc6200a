"""attocube ANC300: piezo controller with a text console on TCP 7230, moving the sample.

Rules (pymeasure and pylablib drivers; [mem]: from memory, not verified)
1. The console asks for a password; the right one is answered "Authorization success". Before that
   nothing else is understood.
2. Lines end with CR LF. Each is echoed until "echo off"; the answer's lines follow, the last of
   them is OK, or ERROR after a line that says why.
3. Axes 1 to 7 as far as modules are plugged in. Modes gnd, inp, cap, stp, off, stp+, stp-; steps
   need a mode of stepping. "cap" measures for about a second and ends in gnd.
4. stepu and stepd return at once; "c" or nothing goes on until stop; stepw answers when the axis
   has stopped, capw when the capacitance is measured.
5. The voltage is 0 to 150 V, the frequency 1 to 10000 Hz. After power-up all axes are grounded.
6. There is no encoder: nobody is told where the sample is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulators.core import InstrumentCore, LineBuffer
from simulators.positioner_stage import PositionerStage, StageProperties
from simulators.world import World

__all__ = ["ANC300", "ANC300Settings"]

MAX_LINE: Final = 4096
MAX_WAITING: Final = 64
MODES: Final = ("gnd", "inp", "cap", "stp", "off", "stp+", "stp-")
STEPPING: Final = ("stp", "stp+", "stp-")
MOST_V, LEAST_HZ, MOST_HZ = 150.0, 1, 10_000
MOST_STEPS: Final = 10_000_000
CHUNK_S: Final = 0.05  # how finely the sample follows
CAPACITANCE_S: Final = 1.0
SAMPLE_AXES: Final = 3
GREETING: Final = b"\xff\xfb\x01\xff\xfb\x03attocube ANC300\r\nAuthorization required\r\n"


@dataclass(frozen=True, slots=True)
class ANC300Settings:
    """What differs from rack to rack. heat_per_step_uJ_per_nF_V2: half of C V^2, once per step."""

    password: str = "123456"  # noqa: S105 - the factory's, printed in the manual
    version: str = "attocube controller version 1.1.0-1304 2013-10-17 08:16"
    serial: str = "ANC300B-C-4711"
    axes: int = 3
    reply_s: float = 0.004
    boot_s: float = 10.0
    seed: int = 1
    stage: StageProperties = field(default_factory=StageProperties)


class _ConsoleError(Exception):
    """Carries what the console says."""


@dataclass(slots=True)
class _Axis:
    """One module and what hangs on it; `left` steps are still to make, None: until stopped."""

    stage: PositionerStage
    place: int  # x, y, z of the sample, then what else hangs there
    mode: str = "gnd"
    voltage_V: float = 30.0
    frequency_Hz: int = 200
    offset_V: float = 0.0
    capacitance_nF: float = 0.0
    left: int | None = 0
    direction: int = 1
    fraction: float = 0.0
    run: int = 0  # counts the movements

    @property
    def is_moving(self) -> bool:
        return self.left != 0


class ANC300(InstrumentCore):
    """The rack. Its truth is in `stage(axis).position_um(now)`, and heat in the world."""

    def __init__(self, world: World, settings: ANC300Settings | None = None) -> None:
        super().__init__(world)
        self.settings = settings = settings or ANC300Settings()
        self.serial = settings.serial
        random = np.random.default_rng(settings.seed)
        stages = [PositionerStage(settings.stage, random) for _ in range(settings.axes)]
        self._axes = {str(n): _Axis(stage, n - 1) for n, stage in enumerate(stages, 1)}
        self._lines = LineBuffer(b"\r\n", MAX_LINE)
        self._boot_until = float("-inf")
        self._heat_J = 0.0
        self._commands = self._command_table()
        self._is_authorized = False
        self._echoes = True
        self._waiters: list[tuple[str, ...]] = []
        self._hello()
        world.every_step(self._warm)

    def stage(self, axis: str) -> PositionerStage:
        """Return what hangs on an axis, for checkers."""
        return self._axes[axis].stage

    # -- the stream ---------------------------------------------------------------------------

    def unpack(self, fragment: bytes, now: float) -> list[bytes]:
        self.world.advance(now)
        return self._lines.feed(fragment)

    def execute(self, request: bytes, now: float) -> bool:
        if now < self._boot_until:
            return False
        line = request.decode("latin-1")
        if not self._is_authorized:
            self._is_authorized = line == self.settings.password
            word = "success" if self._is_authorized else "failed"
            self._say("*" * len(line), f"Authorization {word}")
            return True
        echo = [line] if self._echoes else []
        try:
            answer = self._perform(line.split())
        except _ConsoleError as error:
            self._say(*echo, str(error), "ERROR")
            return True
        if answer is None:
            if len(self._waiters) < MAX_WAITING:
                self._waiters.append(tuple(echo))
            return True
        self._say(*echo, *answer, "OK")
        return True

    def next_due(self) -> float | None:
        times = [self.outbox.next_due()]
        if self._waiters:  # somebody waits for an axis: look again soon
            times.append(self.world.now + CHUNK_S)
        return min((time for time in times if time is not None), default=None)

    def verbs(self, request: bytes) -> Sequence[str]:
        """Return the command without axis and value."""
        return tuple(request.decode("latin-1").split()[:1])

    def power_cycle(self, now: float) -> None:
        self.world.advance(now)
        self.outbox.clear()
        for axis in self._axes.values():
            self._halt(axis)
            axis.mode, axis.voltage_V, axis.frequency_Hz, axis.offset_V = "gnd", 30.0, 200, 0.0
        self._boot_until = now + self.settings.boot_s
        self._hello()

    def hang_up(self) -> None:
        """The next client has to give the password again; what moves goes on."""
        super().hang_up()
        self._hello()

    def impersonate(self) -> None:
        self.serial = "ANC300B-C-9999"

    def _hello(self) -> None:
        self._lines.clear()
        self._is_authorized = False
        self._echoes = True
        self._waiters = []
        self.outbox.post(max(self.world.now, self._boot_until), GREETING)

    def _say(self, *lines: str) -> None:
        text = "".join(f"{line}\r\n" for line in lines)
        self.outbox.post(self.world.now + self.settings.reply_s, text.encode("latin-1"))

    def _perform(self, words: list[str]) -> list[str] | None:
        """Return the lines of the answer, None if it comes when an axis has stopped."""
        if not words:
            return []
        command = self._commands.get(words[0])
        if command is None:
            raise _ConsoleError(f"Unknown command: {words[0]}")
        return command(words[1:])

    # -- commands -----------------------------------------------------------------------------

    def _command_table(self) -> dict[str, Callable[[list[str]], list[str] | None]]:
        return {
            "ver": lambda _: [self.settings.version],
            "getcser": lambda _: [self.serial],
            "getser": lambda words: [f"ANM150-{self._axis(words)[0]:>04}"],
            "help": lambda _: ["setm getm setv getv setf getf stepu stepd stepw stop getc"],
            "echo": self._set_echo,
            "getm": lambda words: [f"mode = {self._axis(words)[1].mode}"],
            "setm": self._set_mode,
            "getv": lambda words: [f"voltage = {self._axis(words)[1].voltage_V:.6f} V"],
            "setv": self._set_voltage,
            "geta": lambda words: [f"voltage = {self._axis(words)[1].offset_V:.6f} V"],
            "seta": self._set_offset,
            "getf": lambda words: [f"frequency = {self._axis(words)[1].frequency_Hz} Hz"],
            "setf": self._set_frequency,
            "geto": self._output,
            "getc": lambda words: [f"capacitance = {self._axis(words)[1].capacitance_nF:.6f} nF"],
            "capw": lambda words: self._wait(self._axis(words)[1]),
            "stepu": lambda words: self._step(words, 1),
            "stepd": lambda words: self._step(words, -1),
            "stepw": lambda words: self._wait(self._axis(words)[1]),
            "stop": lambda words: self._stop(self._axis(words)[1]),
        }

    def _axis(self, words: list[str]) -> tuple[str, _Axis]:
        if not words or words[0] not in self._axes:
            raise _ConsoleError("Wrong axis type" if words else "Missing axis")
        return words[0], self._axes[words[0]]

    def _set_echo(self, words: list[str]) -> list[str]:
        if words not in (["on"], ["off"]):
            raise _ConsoleError("Usage: echo on|off")
        self._echoes = words == ["on"]
        return []

    def _set_mode(self, words: list[str]) -> list[str]:
        _, axis = self._axis(words)
        if len(words) != 2 or words[1] not in MODES:
            raise _ConsoleError("Unknown mode")
        self._halt(axis)
        axis.mode = words[1]
        if axis.mode == "cap":
            self._measure(axis)
        return []

    def _measure(self, axis: _Axis) -> None:
        axis.run += 1
        run = axis.run

        def measured() -> None:
            if axis.run == run and axis.mode == "cap":
                axis.capacitance_nF = axis.stage.capacitance_nF(self._temperature_K)
                axis.mode = "gnd"
                self._answer_waiters()

        self.world.at(self.world.now + CAPACITANCE_S, measured)

    def _set_voltage(self, words: list[str]) -> list[str]:
        self._axis(words)[1].voltage_V = _number(words, 0.0, MOST_V)
        return []

    def _set_offset(self, words: list[str]) -> list[str]:
        self._axis(words)[1].offset_V = _number(words, 0.0, MOST_V)
        return []

    def _set_frequency(self, words: list[str]) -> list[str]:
        self._axis(words)[1].frequency_Hz = int(_number(words, LEAST_HZ, MOST_HZ))
        return []

    def _output(self, words: list[str]) -> list[str]:
        axis = self._axis(words)[1]
        return [f"voltage = {axis.voltage_V if axis.is_moving else 0.0:.6f} V"]

    def _stop(self, axis: _Axis) -> list[str]:
        self._halt(axis)
        return []

    def _wait(self, axis: _Axis) -> list[str] | None:
        return None if axis.is_moving or axis.mode == "cap" else []

    def _step(self, words: list[str], direction: int) -> list[str]:
        _, axis = self._axis(words)
        if axis.mode not in STEPPING:
            raise _ConsoleError("Axis in wrong mode")
        number: int | None = None
        if len(words) > 1 and words[1] != "c":
            number = int(_number(words, 1, MOST_STEPS))
        self._halt(axis)
        axis.left, axis.direction, axis.fraction = number, direction, 0.0
        self._go_on(axis, axis.run)
        return []

    # -- movement -----------------------------------------------------------------------------

    @property
    def _temperature_K(self) -> float:
        return self.world.cryostat.true_sample_K

    def _go_on(self, axis: _Axis, run: int) -> None:
        whole_s = CHUNK_S if axis.left is None else axis.left / axis.frequency_Hz
        chunk_s = min(CHUNK_S, whole_s)

        def chunk() -> None:
            if axis.run == run and axis.is_moving:
                self._make_steps(axis, chunk_s)
                self._go_on_if_moving(axis, run)

        self.world.at(self.world.now + chunk_s, chunk)

    def _go_on_if_moving(self, axis: _Axis, run: int) -> None:
        if axis.is_moving:
            self._go_on(axis, run)
        else:
            self._answer_waiters()

    def _make_steps(self, axis: _Axis, duration_s: float) -> None:
        due = axis.fraction + duration_s * axis.frequency_Hz
        steps = int(due + 1e-6)
        axis.fraction = max(due - steps, 0.0)
        if axis.left is not None:
            steps = min(steps, axis.left)
            axis.left -= steps
        now = self.world.now
        axis.stage.step(axis.direction * steps, axis.voltage_V, self._temperature_K, now)
        if axis.place < SAMPLE_AXES:
            self.world.optics.move_sample(axis.place, axis.stage.position_um(now))
        capacitance_F = 1e-9 * axis.stage.capacitance_nF(self._temperature_K)
        self._heat_J += 0.5 * steps * capacitance_F * axis.voltage_V**2

    def _halt(self, axis: _Axis) -> None:
        axis.run += 1
        axis.left = 0
        self._answer_waiters()

    def _answer_waiters(self) -> None:
        is_busy = any(axis.is_moving or axis.mode == "cap" for axis in self._axes.values())
        if not is_busy:
            waiters, self._waiters = self._waiters, []
            for echo in waiters:
                self._say(*echo, "OK")

    def _warm(self, _: float, dt: float) -> None:
        """Bring the heat of the last steps to the sample stage."""
        self.world.cryostat.positioner_W, self._heat_J = self._heat_J / dt, 0.0


def _number(words: list[str], low: float, high: float) -> float:
    """Return the value after the axis. Raises _ConsoleError."""
    try:
        value = float(words[1])
    except (IndexError, ValueError):
        raise _ConsoleError("Wrong parameter") from None
    if not low <= value <= high:  # and not-a-number
        raise _ConsoleError("Parameter out of range")
    return value
