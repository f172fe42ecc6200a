"""Every registered instrument model, standing on the simulated setup.

A model stands at the port where simulators.setup.MODELS has it; PARTS says for each role what there
is to do and what the world must show for it. Nothing has to be told here about a new model.

The mark `transports` says over which lines a test runs; in process where there is none. Over a
socket, pseudo-terminal or websocket, links and shells are those that users have and only time is
virtual, so that the same test is as repeatable there as in process.
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isclose, nan
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from drivers.addresses import open_link
from drivers.clock import RealClock, VirtualClock
from drivers.link import Framing, Link
from drivers.registry import known_models, model
from drivers.roles import (
    BiasSettings,
    BiasSupply,
    Camera,
    ExposureSettings,
    PowerMeter,
    PressureGauge,
    RotationStage,
    Selector,
    Shutter,
    Spectrograph,
    Switch,
    TemperatureController,
)
from drivers.roles import Positioner as PositionerRole
from drivers.serial_format import EIGHT_N_ONE
from drivers.websocket_link import WebsocketLink
from simulators.core import RESOLUTION_S
from simulators.faults import Faults
from simulators.faults import Line as SimulatedLine
from simulators.pty import PtyShell
from simulators.setup import MODELS, SimulatedSetup, SimulatorSettings
from simulators.tcp import TcpShell
from simulators.truth import CameraTruth, Truth, VacuumTruth
from simulators.websocket import WebsocketShell

STAND_IN = Path(__file__).parents[1] / "drivers" / "sdk_stand_in"
ROOT = Path(__file__).parents[2]
PATIENCE = 4000  # polls
POLL_S = 0.05


class WrongValueError(AssertionError):
    """A value that was returned as good is not what is there."""


@dataclass(frozen=True)
class Stand:
    """Where a model stands: a port of SimulatedSetup, or a camera SDK's stand-in process."""

    port: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    sdk: str = ""


QUICK = {"command_timeout_s": 0.6, "open_timeout_s": 5.0, "timeout_s": 0.3}
OPTIONS: Mapping[str, Mapping[str, Any]] = {  # where the defaults don't fit the simulated world
    "acton.spectrapro": {"max_wavelength_nm": 900.0},
    "attocube.anc300": {"drive_V": 33.0},
}
STANDS: Mapping[str, Stand] = {
    "andor.sdk2": Stand(sdk="andor", options=QUICK),
    "princeton.picam": Stand(sdk="picam", options=QUICK),
    "elliptec.ell14": Stand("elliptec"),
    "elliptec.ell6": Stand("elliptec"),
    "horiba.ccd": Stand("icl"),
    "horiba.monochromator": Stand("icl"),
    **{
        name: Stand(port, OPTIONS.get(name, {}))
        for port, models in MODELS.items()
        for name in models
    },
}
SIMULATED = sorted(name for name, stand in STANDS.items() if stand.port)
IN_PROCESS = "in process"
REAL = RealClock()
ARRIVAL_S = 20.0  # of real time at most, for bytes that are on their way already
LOOK_S = 0.0005  # between two looks: the kernel that carries the bytes needs the processor too
LOST_S = 2.0  # after that, what a broken line had given is believed lost


def transports_of(name: str) -> tuple[str, ...]:
    """Return the transports on which a model can stand."""
    match STANDS[name].port if name in STANDS else "":
        case "":
            return (IN_PROCESS,)
        case "icl":
            return (IN_PROCESS, "websocket")
        case _:
            return (IN_PROCESS, "tcp", "pty")


class Tapped:
    """A line of the setup, and how many bytes it took and gave to somebody."""

    def __init__(self, line: SimulatedLine) -> None:
        self.taken, self.given = 0, 0
        self.is_heard: Callable[[], bool] = lambda: False
        self._line = line

    def receive(self, message: bytes, now: float) -> None:
        self._line.receive(message, now)
        self.taken += len(message)

    def transmit(self, now: float) -> list[bytes]:
        replies = self._line.transmit(now)
        if self.is_heard():
            self.given += sum(map(len, replies))
        return replies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


class Served:
    """A line behind its real shell, in a thread that does nothing unless it is asked to.

    It is the shell's clock as well: the time is the bench's, and no alarm rings by itself.
    """

    def __init__(self, line: SimulatedLine, clock: Any, transport: str, names: Path) -> None:
        self.line: Any = Tapped(line)
        self.now = clock.now
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"{line.device} over {transport}")
        self._thread.start()
        self._shell: Any
        match transport:
            case "tcp":
                self._shell, hearer = TcpShell(self.line, self), "_latest"
            case "pty":
                self._shell, hearer = PtyShell(self.line, self, names / line.device), "_ends"
            case _:
                self._shell, hearer = WebsocketShell(self.line, self), "_outgoing"
        self.line.is_heard = lambda: getattr(self._shell, hearer) is not None
        self.address: str = self.do(self._shell.start())

    def real_s(self, simulated_s: float) -> float:
        return 3600.0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    def catch_up(self) -> None:
        """Let the shell deliver what is due, and finish what it began."""

        async def tick() -> None:
            self._shell.tick()

        self.do(tick())

    def wait_for_taken(self, goal: int) -> None:
        patience_s = REAL.now() + ARRIVAL_S
        while self.line.taken < goal and self.line.is_open(self.now()):
            assert REAL.now() < patience_s, "what was sent never arrives"
            REAL.wait(LOOK_S)
            self.catch_up()

    def wait_for_farewell(self) -> None:
        """Let the shell notice that its client is gone; a pseudo-terminal notices nothing."""
        patience_s = REAL.now() + ARRIVAL_S
        while getattr(self._shell, "_clients", ()):
            assert REAL.now() < patience_s, "the shell never notices that its client is gone"
            REAL.wait(LOOK_S)
            self.catch_up()

    def stop(self) -> None:
        self.do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        await asyncio.sleep(0)  # a client that came and went at once is let in first
        await self._shell.stop()
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*talks)


class Counted:
    """A framing that knows how many bytes it has seen."""

    def __init__(self, framing: Framing) -> None:
        self.seen = 0
        self._framing = framing
        self._left = 0

    def split(self, buffer: bytearray) -> bytes | None:
        self.seen += len(buffer) - self._left
        reply = self._framing.split(buffer)
        self._left = len(buffer)
        return reply

    def start_at(self, seen: int) -> None:
        self.seen, self._left = seen, 0


class LockStepLink:
    """A real link to a served line, on which virtual time passes only while nothing is under way.

    A pseudo-terminal carries 8N1 only; the factory's format of a model is not tried on it.
    As in process, polling lets the clock pass up to the due time of the next reply.
    """

    def __init__(self, served: Served, kind: Any, clock: Any) -> None:
        self._served = served
        self._clock = clock
        self._counted = Counted(kind.framing)
        self._counted.start_at(served.line.given)
        self._link = open_link(served.address, self._counted, EIGHT_N_ONE)

    def send(self, message: bytes) -> None:
        goal = self._served.line.taken + len(message)
        self._link.send(message)
        self._served.wait_for_taken(goal)
        self._served.catch_up()

    def poll(self, timeout_s: float) -> bytes | None:
        deadline_s = self._clock.now() + timeout_s
        while True:
            self._served.catch_up()
            reply = self._take_what_arrived()
            now = self._clock.now()
            if reply is not None or now >= deadline_s - RESOLUTION_S:
                return reply
            due = self._served.line.next_due()
            self._clock.wait((deadline_s if due is None else min(due, deadline_s)) - now)

    def reset(self) -> None:
        while self._take_what_arrived() is not None:
            pass
        self._link.reset()
        self._counted.start_at(self._served.line.given)

    def close(self) -> None:
        self._link.close()
        self._served.wait_for_farewell()

    def _take_what_arrived(self) -> bytes | None:
        reply = self._link.poll(0.0)
        given, until_s = self._served.line.given, REAL.now() + LOST_S
        while reply is None and self._counted.seen < given and REAL.now() < until_s:
            reply = self._link.poll(0.002)
        if reply is not None and isinstance(self._link, WebsocketLink):
            self._counted.seen += len(reply)
        return reply


class Wire:
    """A link that counts what is sent, and can change, hold back or lose what comes."""

    def __init__(self, link: Link, clock: Any, hang_up: Callable[[], None]) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.arrive: Callable[[bytes], tuple[float, bytes | None]] = lambda reply: (0.0, reply)
        self._link = link
        self._clock = clock
        self._hang_up: Callable[[], None] | None = hang_up
        self._held: list[tuple[float, bytes]] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        self._link.send(message)

    def poll(self, timeout_s: float) -> bytes | None:
        deadline_s = self._clock.now() + timeout_s
        while True:
            now = self._clock.now()
            if self._held and self._held[0][0] <= now + 1e-9:
                reply = self._held.pop(0)[1]
                self.received.append(reply)
                return reply
            until_s = min([deadline_s, *(due for due, _ in self._held)])
            found = self._link.poll(max(0.0, until_s - now))
            if found is not None:
                delay_s, changed = self.arrive(found)
                if changed is not None:
                    self._held.append((self._clock.now() + delay_s, changed))
                    self._held.sort(key=lambda held: held[0])
            elif self._clock.now() >= deadline_s - 1e-9 and not (
                self._held and self._held[0][0] <= self._clock.now() + 1e-9
            ):
                return None

    def reset(self) -> None:
        now = self._clock.now()
        self._held = [held for held in self._held if held[0] > now]
        self._link.reset()

    def close(self) -> None:
        """Close; the instrument hears of it once, as over a socket."""
        self._link.close()
        hang_up, self._hang_up = self._hang_up, None
        if hang_up is not None:
            hang_up()


class Bench:
    """One model on its stand, and what can be done with it there."""

    def __init__(
        self,
        name: str,
        seed: int = 1,
        faults: Faults | None = None,
        *,
        transport: str = IN_PROCESS,
        names: Path = Path(),
    ) -> None:
        if name not in STANDS:
            pytest.fail(missing_row(name))
        self.name, self.stand, self.kind = name, STANDS[name], model(name)
        self.part = PARTS[self.kind.role]
        self.config = self.kind.config(**self.stand.options)
        self.setup: Any = None
        self.clock: Any = RealClock()
        if self.stand.port:
            port = self.stand.port
            models = {port: name} if port in MODELS else {}
            truth = Truth(
                camera=CameraTruth(pixels=64, rows=16, spot_row=7.5),
                vacuum=VacuumTruth(start_mbar=2.5e-5),
            )
            settings = SimulatorSettings(models=models)
            self.setup = SimulatedSetup(truth, seed, settings=settings, faults=faults)
            self.clock = VirtualClock()
            self.clock.on_advance.append(self.setup.world.advance)
            self.core = self.setup.cores[port]
        self.served: Served | None = None
        if transport != IN_PROCESS:
            self.served = Served(self.setup.line(port), self.clock, transport, names)
        self.wires: list[Wire] = []
        self.steps: dict[str, int] = {}
        self.good = 0  # values that were returned as good and compared with the world
        self._watch_steps()

    @property
    def world(self) -> Any:
        return self.setup.world

    @property
    def wire(self) -> Wire:
        return self.wires[-1]

    def connect(self) -> Any:
        """Return a driver over a connection of its own."""
        link: Any
        hang_up = _nobody
        if self.served is not None:
            link = LockStepLink(self.served, self.kind, self.clock)
        elif self.stand.port:
            link = self.setup.link(self.stand.port, self.clock, self.kind.framing)
            hang_up = self.setup.line(self.stand.port).hang_up
        else:
            link = open_link(f"process://{self.stand.sdk}", self.kind.framing)
        self.wires.append(Wire(link, self.clock, hang_up))
        line = self.kind.line(self.name, self.wire, self.clock, self.config)
        return self.kind.driver(self.name, line, self.clock, self.config)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        if self.served is not None:
            self.served.stop()
            self.served = None

    def framed(self, message: bytes) -> bytes | None:
        """Return what the framing makes of a message with its end, None if that is no reply."""
        for end in (b"", b"\r\n", b"\r", b">", b"\r\nOK\r\n", b" ok\r\n"):
            reply = self.kind.framing.split(bytearray(message + end))
            if reply is not None:
                return reply
        return None

    def finish(self, status: Any) -> None:
        """Wait until the action is done, and raise what went wrong with it."""
        for _ in range(PATIENCE):
            if status.poll():
                break
            self.clock.wait(POLL_S)
        assert status.done, f"{status.action} never ends"
        status.check()

    def check(self, what: str, found: float, true: float, tolerance: float) -> None:
        """Raise WrongValueError unless a value that was returned as good is true."""
        self.good += 1
        if not isclose(found, true, rel_tol=0.0, abs_tol=tolerance):
            raise WrongValueError(f"{what}: {found} was returned as good, true is {true}")

    def check_reading(self, reading: Any, true: float, tolerance: float) -> None:
        if reading.is_good:
            self.check(f"reading in {reading.unit!r}", reading.value, true, tolerance)

    def check_while(self, reading: Any, before: float, after: float, slack: float = 0.5) -> None:
        """Check a reading of what changed while it was read, for as long as that took."""
        self.check_reading(reading, (before + after) / 2, abs(after - before) / 2 + slack)

    def _watch_steps(self) -> None:
        if self.kind.role is not PositionerRole:
            return
        for number in ("1", "2", "3"):
            stage, make = self.core.stage(number), self.core.stage(number).step
            self.steps[number] = 0

            def counted(steps: int, *rest: Any, number: str = number, make: Any = make) -> None:
                self.steps[number] += steps
                make(steps, *rest)

            stage.step = counted


def _nobody() -> None:
    """A process hears by itself that its pipes are closed."""


def missing_row(name: str) -> str:
    return (
        f"the registered model {name!r} stands nowhere: add a row {name!r} with its core to "
        "simulators.setup.MODELS, at the port of its role, so that it is proven like the others"
    )


def refuses_temperatures(device: Any) -> list[Callable[[], object]]:
    return [lambda v=v: device.set(v) for v in (nan, inf, -inf, 0.0, -1.0, 400.0)]


def sweep_temperature(bench: Bench, device: Any, chance: random.Random) -> None:
    for _ in range(2):
        target_K = round(chance.uniform(5.0, 12.0), 2)
        bench.finish(device.set(target_K))
        core = bench.core
        loop = core.outputs.loops[0] if hasattr(core, "outputs") else core.control.loop
        bench.check("setpoint", target_K, loop.target_K, 0.0015)
        bench.clock.wait(2.0)
        cryostat = bench.world.cryostat
        for _ in range(2):
            stage_K, sample_K = cryostat.true_stage_K, cryostat.true_sample_K
            found = {**device.read(), "again": device.read_temperature()}
            bench.check_while(found["temperature_K"], stage_K, cryostat.true_stage_K)
            bench.check_while(found["sample_temperature_K"], sample_K, cryostat.true_sample_K)
            bench.check_while(found["again"], stage_K, cryostat.true_stage_K)


def heater_is_off(bench: Bench, device: Any) -> None:
    device.heater_off()
    bench.clock.wait(1.0)
    assert bench.world.cryostat.heater_W == 0.0


def refuses_wavelengths(device: Any) -> list[Callable[[], object]]:
    bad = [(nan, 1), (inf, 1), (-1.0, 1), (2000.0, 1), (500.0, 9), (500.0, -1)]
    return [lambda v=v: device.set(*v) for v in bad]


def sweep_wavelength(bench: Bench, device: Any, chance: random.Random) -> None:
    shift = bench.config.gratings[0]  # numbers of the first place
    for _ in range(2):
        wanted_nm, grating = round(chance.uniform(450, 700), 2), chance.choice((0, 1)) + shift
        bench.finish(device.set(wanted_nm, grating))
        optics = bench.world.optics
        bench.check("wavelength", wanted_nm, optics.centre_nm, 0.06)
        bench.check("grating", grating, optics.grating + shift, 0.0)
        found = device.read()
        bench.check_reading(found["wavelength_nm"], optics.centre_nm, 0.06)
        bench.check_reading(found["grating"], optics.grating + shift, 0.0)


SPECTRUM = ExposureSettings(0.02, frames=2, rows=(4, 8))


def refuses_exposures(device: Any) -> list[Callable[[], object]]:
    bad = [
        ExposureSettings(nan), ExposureSettings(inf), ExposureSettings(0.0), ExposureSettings(-1.0),
        ExposureSettings(0.1, frames=0), ExposureSettings(0.1, rows=(0, 5000)),
        ExposureSettings(0.1, rows=(-1, 5)),
    ]  # fmt: skip
    return [lambda v=v: device.arm(v) for v in bad]


def expose(bench: Bench, device: Any, chance: random.Random) -> None:
    for settings in (SPECTRUM, ExposureSettings(0.02, rows=(2, 3))):
        device.arm(settings)
        bench.finish(device.trigger())
        frames = device.collect()
        bench.check("frames", len(frames), settings.frames, 0)
        if bench.setup is None:
            continue
        for frame, (_, counts) in zip(frames, bench.world.camera.frames(), strict=True):
            bench.good += 1
            if not np.array_equal(frame.counts, counts):
                raise WrongValueError("counts differ from those of the camera")
        reading = device.read().get("detector_temperature_C")
        if reading is not None:
            bench.check_reading(reading, bench.world.camera.detector_temperature_C, 0.5)


def refuses_angles(device: Any) -> list[Callable[[], object]]:
    return [lambda v=v: device.set(v) for v in (nan, inf, -inf, 1e9)]


def rotate(bench: Bench, device: Any, chance: random.Random) -> None:
    bench.finish(device.home())
    for _ in range(3):
        target_deg = round(chance.uniform(-200.0, 200.0), 1)
        bench.finish(device.set(target_deg))
        reading = device.read()["angle_deg"]
        true_deg = bench.world.optics.polarizer_mechanical_deg
        for found_deg in (target_deg, reading.value)[: 1 + reading.is_good]:
            off_deg = (found_deg - true_deg + 180.0) % 360.0 - 180.0
            bench.check("angle", off_deg, 0.0, 0.15)


def refuses_voltages(device: Any) -> list[Callable[[], object]]:
    levels = [lambda v=v: device.set_level(v) for v in (nan, inf, -inf, 5000.0, -5000.0)]
    bad = [
        BiasSettings(nan, 1e-5, None), BiasSettings(0.0, 1e-5, None), BiasSettings(2e3, 1e-5, None),
        BiasSettings(10.0, nan, None), BiasSettings(10.0, -1.0, None),
        BiasSettings(10.0, 5.0, None), BiasSettings(10.0, 1e-5, nan),
    ]  # fmt: skip
    return [*levels, *(lambda v=v: device.configure(v) for v in bad)]


def ramp(bench: Bench, device: Any, chance: random.Random) -> None:
    device.configure(BiasSettings(15.0, 1e-5, 20.0))
    device.switch_output(True)
    for _ in range(3):
        level_V = round(chance.uniform(-8.0, 8.0), 3)
        device.set_level(level_V)
        bias = bench.world.bias
        bench.check("level", level_V, bias.programmed_V, 0.01)
        bench.clock.wait(1.0)
        measured = device.measure()
        bench.check("voltage", measured.voltage_V, bias.terminal_voltage_V(), 0.05)
        bench.check("current", measured.current_A, bias.current_A(), 1e-7)
        bench.check("read level", device.read_level(), bias.programmed_V, 0.01)
    device.set_level(0.0)
    device.switch_output(False)
    bench.check("output", 0.0, float(bench.world.bias.output_on), 0.0)


def supply_is_off(bench: Bench, device: Any) -> None:
    device.set_level(0.0)
    device.switch_output(False)
    assert device.read_level() == 0.0
    assert not device.is_output_on()
    assert not bench.world.bias.output_on
    bench.clock.wait(5.0)
    assert abs(bench.world.bias.gap_voltage_V()) < 0.05


def open_and_close(bench: Bench, device: Any, chance: random.Random) -> None:
    for is_open in (True, False, True):
        bench.finish(device.set(is_open))
        bench.check("shutter", is_open, bench.world.optics.shutter_open, 0.0)
        for reading in device.read().values():
            bench.check_reading(reading, float(bench.world.optics.shutter_open), 0.0)


def shutter_is_closed(bench: Bench, device: Any) -> None:
    bench.finish(device.set(False))
    assert device.read()["is_open"].value == 0.0
    assert not bench.world.optics.shutter_open


def refuses_positions(device: Any) -> list[Callable[[], object]]:
    return [lambda v=v: device.set(v) for v in ("", "nowhere", "SAMPLE")]


def select(bench: Bench, device: Any, chance: random.Random) -> None:
    for position in ("calibration", "sample", "calibration"):
        bench.finish(device.set(position))
        there = bench.world.optics.calibration_port
        bench.check(position, position == "calibration", there, 0.0)
        bench.check_reading(device.read()["position"], float(there), 0.0)


def switch(bench: Bench, device: Any, chance: random.Random) -> None:
    for on in (True, False, True):
        bench.finish(device.set(on))
        bench.check("lamp", on, bench.world.optics.line_lamp_on, 0.0)
        bench.check_reading(device.read()["is_on"], bench.world.optics.line_lamp_on, 0.0)


def lamp_is_off(bench: Bench, device: Any) -> None:
    bench.finish(device.set(False))
    assert device.read()["is_on"].value == 0.0
    assert not bench.world.optics.line_lamp_on


def read_power(bench: Bench, device: Any, chance: random.Random) -> None:
    for _ in range(3):
        bench.world.optics.laser_power = chance.uniform(0.5, 2.0)
        bench.clock.wait(1.0)
        true_W = bench.world.laser_W()
        bench.check_reading(device.read_power(), true_W, 0.05 * true_W)


def read_pressure(bench: Bench, device: Any, chance: random.Random) -> None:
    for _ in range(3):
        bench.clock.wait(chance.uniform(0.5, 2.0))
        before_mbar, reading = bench.world.vacuum.pressure_mbar, device.read_pressure()
        after_mbar = bench.world.vacuum.pressure_mbar
        bench.check_while(reading, before_mbar, after_mbar, 0.05 * after_mbar)


def refuses_steps(device: Any) -> list[Callable[[], object]]:
    bad = [("w", 1), ("x", nan), ("x", inf), ("x", 1.5), ("x", 10**6), ("x", -(10**6))]
    return [lambda v=v: device.move_by(*v) for v in bad]


def step(bench: Bench, device: Any, chance: random.Random) -> None:
    numbers = dict(bench.config.axes)
    for _ in range(3):
        axis, steps = chance.choice(device.axes), chance.choice((-60, -7, 12, 90))
        bench.finish(device.move_by(axis, steps))
        for each, number in numbers.items():
            reading = device.read()[f"steps_{each}"]
            bench.check_reading(reading, bench.steps[str(number)], 0.0)


def nothing(device: Any) -> list[Callable[[], object]]:
    return []


def stays(bench: Bench, device: Any) -> None:
    for _ in range(2):
        device.stop()


def aborted(bench: Bench, device: Any) -> None:
    device.arm(ExposureSettings(5.0, rows=(4, 8)))
    device.trigger()
    for _ in range(3):
        device.abort()
    assert device.is_exposed()
    if bench.setup is not None:
        assert not bench.world.camera.is_exposing()


@dataclass(frozen=True)
class Part:
    """What a role is tried with.

    refuses: what must raise LimitError, with nothing sent. operate: a small sweep, every value of
    which is compared with the world. safe: reaches the safe state, twice, and asserts it.
    """

    channels: tuple[str, ...]
    limits: tuple[str, ...]
    refuses: Callable[[Any], list[Callable[[], object]]]
    operate: Callable[[Bench, Any, random.Random], None]
    safe: Callable[[Bench, Any], None] | None = None


PARTS: Mapping[type, Part] = {
    TemperatureController: Part(
        ("temperature_K", "sample_temperature_K", "heater_percent"),
        ("max_temperature_K",), refuses_temperatures, sweep_temperature, heater_is_off,
    ),
    Spectrograph: Part(
        ("wavelength_nm", "grating"), ("min_wavelength_nm", "max_wavelength_nm", "gratings"),
        refuses_wavelengths, sweep_wavelength, stays,
    ),
    Camera: Part(("detector_temperature_C",), (), refuses_exposures, expose, aborted),
    RotationStage: Part(("angle_deg",), ("tolerance_deg",), refuses_angles, rotate, stays),
    BiasSupply: Part((), ("max_voltage_V",), refuses_voltages, ramp, supply_is_off),
    Shutter: Part(("is_open",), (), nothing, open_and_close, shutter_is_closed),
    Selector: Part(("position",), ("positions",), refuses_positions, select, stays),
    Switch: Part(("is_on",), (), nothing, switch, lamp_is_off),
    PowerMeter: Part(("laser_power_W",), (), nothing, read_power),
    PressureGauge: Part(("pressure_mbar",), (), nothing, read_pressure),
    PositionerRole: Part(
        ("steps_x", "steps_y", "steps_z"), ("limits", "drive_V", "frequency_Hz"),
        refuses_steps, step, stays,
    ),
}  # fmt: skip


MODEL_NAMES: Mapping[str, Callable[[str], bool]] = {
    "model_name": lambda name: True,
    "simulated_model": lambda name: name not in STANDS or name in SIMULATED,
    "bias_model": lambda name: model(name).role is BiasSupply,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "transports(*names): over which lines models are tried")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run over every registered model, found by itself, on each transport of the test."""
    mark = metafunc.definition.get_closest_marker("transports")
    wanted = (IN_PROCESS,) if mark is None else mark.args
    for argument, is_meant in MODEL_NAMES.items():
        if argument in metafunc.fixturenames:
            stands = [
                pytest.param(name, transport, id=f"{name} {transport}")
                for name in known_models()
                for transport in transports_of(name)
                if is_meant(name) and transport in wanted
            ]
            metafunc.parametrize((argument, "transport"), stands)


@pytest.fixture
def transport() -> str:
    """Over what the bench's instrument is reached."""
    return IN_PROCESS


@pytest.fixture
def stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> Iterator[Callable[..., Bench]]:
    """Make benches, and close them."""
    benches: list[Bench] = []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(STAND_IN), str(ROOT))))
    monkeypatch.setenv("CAMERA_LOG", str(tmp_path / "calls.txt"))

    def make(name: str, seed: int = 1, faults: Faults | None = None) -> Bench:
        names = tmp_path / str(len(benches))
        names.mkdir()
        benches.append(Bench(name, seed, faults, transport=transport, names=names))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def stands() -> Mapping[str, Stand]:
    return STANDS


@pytest.fixture
def wrong_value() -> type[WrongValueError]:
    return WrongValueError


@pytest.fixture
def why_missing() -> Callable[[str], str]:
    return missing_row
