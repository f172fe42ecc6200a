"""A station of scripted stand-ins on a virtual clock, and an engine on a real journal."""

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
import pytest

from acquisition.bias.bias_core import BiasRules
from acquisition.bias.bias_port import LocalBiasPort
from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.configuration.settle import SettleCriterion
from acquisition.instruments.monitors import Monitor, Monitors
from acquisition.instruments.movers import (
    AngleMover,
    BiasMover,
    SpectrographMover,
    TemperatureMover,
)
from acquisition.instruments.station import Station
from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.running.engine import Engine, EnginePolicy
from acquisition.running.exposure import DetectorSetup
from acquisition.running.exposure_choice import ExposureChoice
from acquisition.running.recovery import Recovery
from acquisition.running.run_log import RunLog
from acquisition.running.segment import Segment
from acquisition.running.verification import READING_UNITS, Tolerances, Verifier
from acquisition.safety.interlocks import Interlock
from acquisition.safety.vigil import Vigil
from acquisition.storage.journal import Journal
from acquisition.storage.record import Level
from acquisition.storage.run_meta import RunMeta
from drivers.clock import VirtualClock
from drivers.errors import StateError
from drivers.roles import (
    BiasMeasurement,
    Frame,
    Identity,
    Reading,
    ReadingStatus,
)
from drivers.status import Status

PIXELS = 16


class StandIn:
    """Notes what it is asked, and fails where a test says so."""

    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        self.name = name
        self.clock = clock
        self.log = log
        self._failures: defaultdict[str, deque] = defaultdict(deque)
        self._dead: Exception | None = None
        self.own_settings: dict = {"knob": 1}

    def fail(self, verb: str, *errors: Exception) -> None:
        """Raise these, one per call of the verb."""
        self._failures[verb].extend(errors)

    def die(self, error: Exception | None) -> None:
        """Raise this at every call; None: live again."""
        self._dead = error

    def note(self, verb: str, *values: object) -> None:
        self.log.append((self.clock.now(), self.name, verb, *values))
        if self._failures[verb]:
            raise self._failures[verb].popleft()
        if self._dead is not None:
            raise self._dead.with_traceback(None)

    def identify(self) -> Identity:
        self.note("identify")
        return Identity("ACME", self.name, "1", "1.0")

    def settings(self) -> dict:
        self.note("settings")
        return dict(self.own_settings)

    def close(self) -> None:
        self.log.append((self.clock.now(), self.name, "close"))

    def timed(self, action: str, seconds: float, arrive: Callable[[], None]) -> Status:
        """Return a status that is done after that long."""
        end_s = self.clock.now() + seconds

        def is_done() -> bool:
            if self.clock.now() < end_s - 1e-9:
                return False
            arrive()
            return True

        return Status(action, is_done)


class StandInCamera(StandIn):
    pixels = PIXELS
    readout_s = 0.1

    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        super().__init__(name, clock, log)
        self.detector_C = -70.0
        self.rate = 1000.0  # counts per s in the brightest pixel
        self.armed = None
        self._start_s = -inf
        self._running = False
        self.hangs = False
        self.spectrum: Callable[[float], np.ndarray] = self._line

    def _line(self, exposure_s: float) -> np.ndarray:
        counts = np.full(PIXELS, 100, dtype=np.int32)
        counts[PIXELS // 2] += round(self.rate * exposure_s)
        return counts

    def arm(self, settings) -> None:
        self.note("arm", settings)
        self.armed = settings

    def trigger(self) -> Status:
        self.note("trigger")
        self._start_s, self._running = self.clock.now(), True
        return Status("expose", self._is_read_out)

    def is_exposed(self) -> bool:
        self.note("is_exposed")
        light_s = self._series_s() - self.readout_s
        return not self.hangs and self.clock.now() >= self._start_s + light_s - 1e-9

    def collect(self) -> tuple[Frame, ...]:
        self.note("collect")
        period_s = self.armed.exposure_s + self.readout_s
        self._running = False
        return tuple(
            Frame(
                self.spectrum(self.armed.exposure_s),
                self._start_s + k * period_s,
                self.armed.exposure_s,
            )
            for k in range(self.armed.frames)
        )

    def wavelengths_nm(self) -> np.ndarray:
        return np.linspace(500.0, 520.0, PIXELS)

    def read(self) -> dict:
        self.note("read")
        return {"detector_temperature_C": Reading(self.detector_C, "degC", self.clock.now())}

    def abort(self) -> None:
        self.note("abort")
        self._running = False

    def _series_s(self) -> float:
        return self.armed.frames * (self.armed.exposure_s + self.readout_s)

    def _is_read_out(self) -> bool:
        self.note("is_read_out")
        return not self.hangs and self.clock.now() >= self._start_s + self._series_s() - 1e-9


class StandInCryostat(StandIn):
    """Arrives at the setpoint within `arrival_s`, as far as `reaches` lets it."""

    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        super().__init__(name, clock, log)
        self.setpoint_K = 5.5
        self.arrival_s = 3.0
        self._set_s = -inf
        self._from_K = 5.5
        self.offset_K = 0.0
        self.status = ReadingStatus.OK
        self.reaches: Callable[[float], float] = lambda setpoint_K: setpoint_K

    @property
    def kelvin(self) -> float:
        share = min(1.0, (self.clock.now() - self._set_s) / self.arrival_s)
        goal_K = self.reaches(self.setpoint_K)
        return self._from_K + share * (goal_K - self._from_K) + self.offset_K

    def set(self, temperature_K: float) -> Status:
        self.note("set", temperature_K)
        self._from_K, self._set_s = self.kelvin - self.offset_K, self.clock.now()
        self.setpoint_K = temperature_K
        return Status.finished("set")

    def read_temperature(self) -> Reading:
        self.note("read_temperature")
        return self._reading()

    def read_sample_temperature(self) -> Reading:
        return self._reading()

    def read(self) -> dict:
        self.note("read")
        reading = self._reading()
        return {
            "temperature_K": reading,
            "sample_temperature_K": reading,
            "heater_percent": Reading(12.0, "%", self.clock.now()),
        }

    def hold(self) -> None:
        self.note("hold")

    def heater_off(self) -> None:
        self.note("heater_off")

    def _reading(self) -> Reading:
        return Reading(self.kelvin, "K", self.clock.now(), self.status)


class StandInStage(StandIn):
    speed_deg_per_s = 40.0

    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        super().__init__(name, clock, log)
        self.is_homed = True
        self.angle_deg = 0.0
        self.slips_deg = 0.0
        self._busy_until_s = -inf

    def home(self) -> Status:
        self.note("home")

        def arrive() -> None:
            self.is_homed, self.angle_deg = True, 0.0

        return self.timed("home", 1.0, arrive)

    def set(self, angle_deg: float) -> Status:
        self.note("set", angle_deg)
        if self.clock.now() < self._busy_until_s - 1e-9:
            raise StateError(self.name, "still moving")
        if not self.is_homed:
            raise StateError(self.name, "home it again")
        seconds = abs(angle_deg - self.angle_deg) / self.speed_deg_per_s
        self._busy_until_s = self.clock.now() + seconds

        def arrive() -> None:
            self.angle_deg = angle_deg

        return self.timed(f"to {angle_deg}", seconds, arrive)

    def read(self) -> dict:
        self.note("read")
        if self.clock.now() < self._busy_until_s - 1e-9:
            return {}
        return {"angle_deg": Reading(self.angle_deg + self.slips_deg, "deg", self.clock.now())}

    def stop(self) -> None:
        self.note("stop")
        self._busy_until_s = -inf


class StandInShutter(StandIn):
    move_s = 0.05

    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        super().__init__(name, clock, log)
        self.is_open = False
        self.opened_s = 0.0  # in all
        self._since_s = 0.0

    def set(self, is_open: bool) -> Status:
        self.note("set", is_open)

        def arrive() -> None:
            if is_open and not self.is_open:
                self._since_s = self.clock.now()
            if self.is_open and not is_open:
                self.opened_s += self.clock.now() - self._since_s
            self.is_open = is_open

        return self.timed("shutter", self.move_s, arrive)

    def read(self) -> dict:
        self.note("read")
        return {"is_open": Reading(float(self.is_open), "", self.clock.now())}


class StandInSpectrograph(StandIn):
    def __init__(self, name: str, clock: VirtualClock, log: list) -> None:
        super().__init__(name, clock, log)
        self.place = (0.0, 0)

    def set(self, wavelength_nm: float, grating: int) -> Status:
        self.note("set", wavelength_nm, grating)

        def arrive() -> None:
            self.place = (wavelength_nm, grating)

        return self.timed("mono", 1.0, arrive)

    def stop(self) -> None:
        self.note("stop")

    def read(self) -> dict:
        now = self.clock.now()
        wavelength_nm, grating = self.place
        return {
            "wavelength_nm": Reading(wavelength_nm, "nm", now),
            "grating": Reading(float(grating), "", now),
        }


class StandInSupply(StandIn):
    """A supply with a leaky, charging load; its own log is the judge of slews and steps."""

    latency_s = 0.005

    def __init__(self, clock: VirtualClock, log: list) -> None:
        super().__init__("bias", clock, log)
        self.level_V = 0.0
        self.is_on = False
        self.resistance_ohm = 1e12
        self.capacitance_F = 0.0
        self.current_limit_A = 1e-7
        self.is_broken = False
        self.configured = None
        self.levels: list[tuple[float, float]] = []  # time, terminal voltage
        self._charge = (0.0, 0.0)  # of the step before: time, volts

    def configure(self, settings) -> None:
        self.note("configure", settings)
        if self.is_on:
            raise StateError(self.name, "output on")
        self.configured = settings

    def set_level(self, voltage_V: float) -> None:
        self.clock.wait(self.latency_s)
        self.note("set_level", voltage_V)
        self._charge = (self.clock.now(), voltage_V - self.level_V)
        self.level_V = voltage_V
        self._log_terminal()

    def read_level(self) -> float:
        return self.level_V

    def switch_output(self, on: bool) -> None:
        self.clock.wait(self.latency_s)
        self.note("switch_output", on)
        self.is_on = on
        self._log_terminal()

    def is_output_on(self) -> bool:
        self.clock.wait(self.latency_s)
        self.note("is_output_on")
        return self.is_on

    def measure(self) -> BiasMeasurement:
        self.clock.wait(self.latency_s)
        self.note("measure")
        if not self.is_on:
            raise StateError(self.name, "nothing is measured while the output is off")
        now = self.clock.now()
        if self.is_broken:
            return BiasMeasurement(0.01 * self.level_V, self.current_limit_A, True, False, now)
        since_s = max(now - self._charge[0], 1e-3)
        charging_A = self.capacitance_F * self._charge[1] / since_s
        current_A = self.level_V / self.resistance_ohm + charging_A
        return BiasMeasurement(self.level_V, current_A, False, False, now)

    def read(self) -> dict:
        return {}

    @property
    def terminal_V(self) -> float:
        return self.level_V if self.is_on else 0.0

    def largest_step_V(self) -> float:
        volts = [0.0, *(v for _, v in self.levels)]
        return max(abs(b - a) for a, b in itertools.pairwise(volts))

    def _log_terminal(self) -> None:
        self.levels.append((self.clock.now(), self.terminal_V))


@dataclass
class Recorder:
    """A follower that remembers."""

    points: list = field(default_factory=list)
    fits: list = field(default_factory=list)

    def on_point(self, key, point, attempt, *, accepted: bool) -> None:
        self.points.append((point.index, accepted))

    def results(self) -> list:
        rows, self.fits = self.fits, []
        return rows


class Bench:
    """Everything around an engine. Change the stand-ins, then run rows."""

    rules = BiasRules(100.0, 5e-8, 5.0, 50.0)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.log: list = []
        self.camera = StandInCamera("camera", self.clock, self.log)
        self.cryostat = StandInCryostat("cryostat", self.clock, self.log)
        self.stage = StandInStage("polarizer", self.clock, self.log)
        self.shutter = StandInShutter("shutter", self.clock, self.log)
        self.spectrograph = StandInSpectrograph("spectrograph", self.clock, self.log)
        self.supply = StandInSupply(self.clock, self.log)
        self.recorder = Recorder()
        self.followers: list = [self.recorder]
        self.commands = CommandQueue()
        self.interlocks = [
            Interlock("temperature_K", high=320.0, max_age_s=60.0),
            Interlock("detector_temperature_C", high=-60.0, max_age_s=100.0),
        ]
        self.temperature = SettleCriterion(0.1, 2.0, inf, 30.0)
        self.policy = EnginePolicy()
        self.detector = DetectorSetup((0, 1), 0, 0, StandInCamera.readout_s, 60_000, 100.0)
        self.at: list[tuple[float, Callable[[], None]]] = []
        self.clock.on_advance.append(self._happen)
        self.station = None
        self.journal = None

    def happens(self, time_s: float, action: Callable[[], object]) -> None:
        """Do this when the clock has reached that time."""
        self.at.append((time_s, action))

    def command(self, time_s: float, verb: Verb, text: str = "") -> None:
        self.happens(time_s, lambda: self.commands.put(Command(verb, text, "test")))

    def _happen(self, now: float) -> None:
        due = [entry for entry in self.at if entry[0] <= now]
        self.at = [entry for entry in self.at if entry[0] > now]
        for _, action in due:
            action()

    def build(
        self,
        points: Sequence[Point],
        *,
        without: Sequence[str] = (),
        journal: Journal | None = None,
    ) -> Engine:
        port = LocalBiasPort(self.supply, self.clock, self.rules, None, series_ohm=1e7)
        roles = {
            "camera": self.camera,
            "cryostat": self.cryostat,
            "spectrograph": self.spectrograph,
            "polarizer": self.stage,
            "shutter": self.shutter,
            "bias": port,
        }
        self.station = Station(**{k: v for k, v in roles.items() if k not in without})
        self.port = self.station.bias
        self.points = tuple(points)
        self.journal = journal or Journal.create(self.folder, _table(points), _meta())
        self.segment = Segment(self.journal, self.clock)
        self.monitors = Monitors(self._monitors())
        interlocks = [
            lock
            for lock in self.interlocks
            if not ("cryostat" in without and lock.channel == "temperature_K")
        ]
        self.vigil = Vigil(
            self.clock, self.monitors, interlocks, self.commands, bias=self.station.bias
        )
        self.run_log = RunLog(self.journal, self.monitors, self.segment.run_time, self.clock.utc)
        self.monitors.report = lambda text: self.run_log.event(Level.WARNING, "monitor", text)
        self.recovery = Recovery(self.station, self.vigil, self.run_log)
        self.engine = Engine(
            run="test",
            station=self.station,
            movers=self._movers(),
            vigil=self.vigil,
            verifier=Verifier(
                self.station,
                self.monitors,
                Tolerances(0.1, 0.1, 0.4),
                to_field_kV_per_cm=lambda volts: volts,
                to_angle_deg=lambda mechanical_deg: mechanical_deg % 360.0,
            ),
            detector=self.detector,
            choice=ExposureChoice(lambda point: 0.001),
            log=self.run_log,
            run_time=self.segment.run_time,
            segment=self.segment.number,
            calibration_of=lambda point: 0,
            policy=self.policy,
            followers=self.followers,
            recover=self.recovery,
        )
        self.vigil.attend(note=self.engine.take_note, every_tick=(self.engine.collect_results,))
        return self.engine

    def run(self, points: Sequence[Point], *, arm: bool = True, **build):
        """Build if need be, prepare by arming the bias, and run the rows."""
        if self.station is None:
            self.build(points, **build)
        return self.engine.run(self.points, prepare=self.prepare if arm else lambda: None)

    def prepare(self) -> None:
        for device in self.station.devices():
            self.recovery.remember(device)
        if self.port is not None:
            self.port.take_over()
            self.port.arm()

    def events(self, code: str | None = None) -> list:
        return [e for _, e in self.journal.events() if code is None or e.code == code]

    def calls(self, device: str, verb: str) -> list:
        return [entry for entry in self.log if entry[1:3] == (device, verb)]

    def _monitors(self) -> list[Monitor]:
        monitors = [Monitor("camera", 10.0, self.camera.read)]
        if self.station.cryostat is not None:
            monitors.append(Monitor("cryostat", 1.0, self.cryostat.read))
        if self.station.bias is not None:
            monitors.append(Monitor("bias", 1.0, self.station.bias.read))
        return monitors

    def _movers(self) -> list:
        station = self.station
        movers: list = []
        if station.cryostat is not None:
            movers.append(
                TemperatureMover(station.cryostat, self.temperature, self.monitors, self.clock)
            )
        if station.spectrograph is not None:
            movers.append(SpectrographMover(station.spectrograph))
        if station.bias is not None:
            movers.append(BiasMover(station.bias, SettleCriterion(0.1, 0.5), self.clock))
        if station.polarizer is not None:
            movers.append(AngleMover(station.polarizer, lambda a: a % 360.0, overshoot_deg=2.0))
        return movers


def _table(points: Sequence[Point]) -> PointTable:
    return PointTable((AxisColumn("repeat", "", (0.0,)),), tuple(points))


def _meta() -> RunMeta:
    return RunMeta(
        title="engine",
        sample="NC",
        run_uuid="0a1b2c3d" * 4,
        created_utc=1_800_000_000.0,
        pixels=PIXELS,
        counts_dtype="i4",
        readings=READING_UNITS,
        sweep_toml="",
        station_toml="",
        app_version="0",
    )


def _rows(count: int = 3, **setpoints) -> list[Point]:
    """Return rows; a setpoint that is a sequence differs from row to row."""

    def of(value, index: int):
        return value[index] if isinstance(value, list | tuple) else value

    defaults = {"kind": PointKind.SAMPLE, "exposure_s": 1.0, "frames": 1, "centre_nm": 510.0}
    return [
        Point(index=k, **{key: of(v, k) for key, v in {**defaults, **setpoints}.items()})
        for k in range(count)
    ]


@pytest.fixture
def rows() -> Callable[..., list[Point]]:
    return _rows


@pytest.fixture
def bench(tmp_path: Path):
    made = Bench(tmp_path)
    yield made
    if made.journal is not None:
        made.journal.close()
