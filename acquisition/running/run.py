"""One run from the first point to the last; starting and resuming are the same thing.

What is left to do follows from the journal: `resume` is `start` with a journal that is not empty.
Everything here happens in one thread, which alone talks to the instruments.
"""

import logging
import platform
import socket
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from acquisition.channel.commands import CommandQueue
from acquisition.channel.engine_status import EngineStatus
from acquisition.channel.inbox import Inbox
from acquisition.channel.voice import Publish
from acquisition.configuration.config import Configuration
from acquisition.configuration.config_model import at_temperature
from acquisition.configuration.lamp_profiles import lamp_profiles
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.instruments.grating_axis import grating_axis
from acquisition.instruments.monitors import Monitors
from acquisition.instruments.open_station import open_station
from acquisition.instruments.station import Station
from acquisition.planning.point_table import Point, PointTable
from acquisition.planning.price import Tariff
from acquisition.running.assembly import (
    detector_setup,
    interlocks_of,
    monitors_of,
    movers_of,
    to_field,
    to_polarization,
    tolerances_of,
)
from acquisition.running.engine import Engine, EnginePolicy, Follower, Outcome
from acquisition.running.exposure_choice import ExposureChoice
from acquisition.running.preparation import Preparation, release_broken_blocks
from acquisition.running.recovery import Recovery
from acquisition.running.run_broadcast import RunBroadcast
from acquisition.running.run_log import RunLog
from acquisition.running.segment import Segment
from acquisition.running.verification import Verifier, reading_units
from acquisition.running.wavelength_calibration import WavelengthCalibrations
from acquisition.safety.vigil import Vigil
from acquisition.storage.journal import Journal
from acquisition.storage.live_view import LiveView
from acquisition.storage.record import FITS, Attempt, Event, FitRow, Level
from acquisition.storage.run_folder import create_run_folder
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.storage_errors import StorageError
from drivers.clock import Clock, RealClock, ScaledClock
from drivers.connections import Connections
from drivers.roles import Reading

if TYPE_CHECKING:
    from acquisition.fits.fit_worker import FitWorker

__all__ = ["Run", "RunOptions", "create_run"]

logger = logging.getLogger(__name__)

ROLES = (
    "cryostat",
    "spectrograph",
    "camera",
    "polarizer",
    "shutter",
    "bias",
    "gauge",
    "power_meter",
)
LONGEST_REAL_TICK_S = 0.25
PACKAGES = ("numpy", "scipy", "h5py", "pymeasure")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a door decides about one execution.

    live_fit: fit while the run goes on. accept_changed: resume although the reference differs.
    fit_wait_s: longest wait for outstanding fits at the end.
    """

    live_fit: bool = True
    accept_changed: bool = False
    fit_wait_s: float = 10.0


def create_run(configuration: Configuration, table: PointTable, created_utc: float) -> Path:
    """Create the run's folder and its journal with the frozen plan; return the folder."""
    meta = _meta(configuration, created_utc)
    folder = create_run_folder(configuration.station.station.runs, meta)
    Journal.create(folder, table, meta).close()
    return folder


class Run:
    """One execution of the run in `folder`: its first segment or a resumed one.

    publish: hears of every row, fit and event for whoever watches.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        *,
        clock: Clock,
        connections: Connections,
        commands: CommandQueue,
        options: RunOptions,
        publish: Publish | None = None,
    ) -> None:
        self.folder = folder
        self._configuration = configuration
        self._clock = clock
        self._connections = connections
        self._commands = commands
        self._options = options
        self._publish = publish
        self._engine: Engine | None = None

    def status(self) -> EngineStatus | None:
        """Return a snapshot from any thread; None until the instruments are open."""
        return None if self._engine is None else self._engine.status()

    def latest_readings(self) -> dict[str, Reading]:
        """Return what every channel read last, from any thread."""
        return {} if self._engine is None else self._engine.latest_readings()

    def execute(self) -> Outcome:
        """Measure what the journal lacks and return how that ended. Call once, in any one thread.

        Raises DeviceError or StorageError only before anything was moved.
        """
        journal = Journal.open(self.folder)
        try:
            station = open_station(
                self._configuration.station,
                self._configuration.sweep.sample,
                self._connections,
                self._clock,
                largest_voltage_V=_largest_voltage_V(journal.table()),
            )
            try:
                return self._measure(journal, station)
            finally:
                station.close()
        finally:
            journal.close()

    def _measure(self, journal: Journal, station: Station) -> Outcome:
        segment = Segment(journal, self._clock)
        release_broken_blocks(journal, (segment.run_time.now(), self._clock.utc()))
        live_view = LiveView(journal)
        worker = self._fit_worker(journal)
        broadcast = self._broadcast(journal)
        followers: list[Follower] = [LiveViewFollower(live_view)]
        if broadcast is not None:
            followers.insert(0, broadcast)
        if worker is not None:
            followers.append(worker if broadcast is None else broadcast.overhearing(worker))
        try:
            outcome = self._run_engine(journal, station, segment, followers, broadcast, worker)
            if worker is not None:
                self._take_last_fits(journal, segment, worker, broadcast)
        finally:
            if worker is not None:
                worker.close()
            live_view.close()
        return outcome

    def _take_last_fits(
        self,
        journal: Journal,
        segment: Segment,
        worker: "FitWorker",
        broadcast: RunBroadcast | None,
    ) -> None:
        at, said = (segment.run_time.now(), self._clock.utc()), list[Event]()
        worker.report = lambda text: said.append(_of_fits(at, text))
        rows = worker.finish(self._options.fit_wait_s)
        _store_last_fits(journal, rows, said)
        if broadcast is not None:
            broadcast.on_fits(rows)
            for event in said:
                broadcast.on_event(event)

    def _broadcast(self, journal: Journal) -> RunBroadcast | None:
        if self._publish is None:
            return None
        return RunBroadcast(self._publish, self._clock, journal)

    def _fit_worker(self, journal: Journal) -> "FitWorker | None":
        sweep, camera = self._configuration.sweep, self._configuration.station.camera
        if not self._options.live_fit or sweep.fit is None:
            return None
        # scipy takes 0.3 s to import, and a run without fits shall not wait for it
        from acquisition.fits.fit_worker import FitWorker  # noqa: PLC0415
        from acquisition.fits.point_fitter import PointFitter  # noqa: PLC0415

        try:
            return FitWorker(self.folder, PointFitter(journal, sweep, camera))
        except OSError:
            logger.exception("no live fits in this run")
            return None

    def _run_engine(
        self,
        journal: Journal,
        station: Station,
        segment: Segment,
        followers: Sequence[Follower],
        broadcast: RunBroadcast | None,
        worker: "FitWorker | None",
    ) -> Outcome:
        config = self._configuration.station
        monitors = Monitors(monitors_of(station, config))
        inbox = self._inbox(segment)
        table = journal.table()
        vigil = self._vigil(station, monitors, table)
        log = self._log(journal, monitors, segment, broadcast)
        monitors.report = partial(log.event, Level.WARNING, "monitor")
        if worker is not None:
            worker.report = partial(log.event, Level.INFO, FITS)
        recovery = Recovery(station, vigil, log)
        engine = self._assembled(journal, station, segment, vigil, log, recovery, followers)
        vigil.attend(note=engine.take_note, every_tick=(inbox.look, engine.collect_results))
        self._engine = engine
        points = journal.todo()
        preparation = Preparation(
            journal,
            station,
            segment,
            engine,
            vigil,
            log,
            recovery,
            electrons_per_count=config.camera.electrons_per_count,
            accept_changed=self._options.accept_changed,
        )
        prices_s = self._prices_s(replace(table, points=points))
        done = len(table.points) - len(points)
        return engine.run(points, done=done, prices_s=prices_s, prepare=preparation)

    def _inbox(self, segment: Segment) -> Inbox:
        """Return the inbox; what was asked of an earlier segment is not heard."""
        inbox = Inbox(self.folder, self._commands, RealClock())
        if segment.is_resumed:
            inbox.drop_old()
        return inbox

    def _vigil(self, station: Station, monitors: Monitors, table: PointTable) -> Vigil:
        config = self._configuration.station
        longest_series_s = _longest_series_s(table, config)
        return Vigil(
            self._clock,
            monitors,
            interlocks_of(station, config, self._clock, longest_series_s=longest_series_s),
            self._commands,
            bias=station.bias,
            longest_tick_s=_longest_tick_s(self._clock),
        )

    def _log(
        self,
        journal: Journal,
        monitors: Monitors,
        segment: Segment,
        broadcast: RunBroadcast | None,
    ) -> RunLog:
        hear = [] if broadcast is None else [broadcast.on_event]
        return RunLog(journal, monitors, segment.run_time, self._clock.utc, *hear)

    def _assembled(
        self,
        journal: Journal,
        station: Station,
        segment: Segment,
        vigil: Vigil,
        log: RunLog,
        recovery: Recovery,
        followers: Sequence[Follower],
    ) -> Engine:
        config, sweep = self._configuration.station, self._configuration.sweep
        return Engine(
            run=self.folder.name,
            station=station,
            movers=movers_of(station, config, sweep, vigil.monitors, self._clock),
            vigil=vigil,
            verifier=self._verifier(journal, station, vigil.monitors),
            detector=detector_setup(config, sweep),
            choice=ExposureChoice(partial(_shortest_s, sweep, config)),
            log=log,
            run_time=segment.run_time,
            segment=segment.number,
            calibration_of=self._calibrations(journal, station, segment).of,
            policy=_policy(self._configuration, journal.table()),
            followers=followers,
            recover=recovery,
        )

    def _verifier(self, journal: Journal, station: Station, monitors: Monitors) -> Verifier:
        config, sweep = self._configuration.station, self._configuration.sweep
        return Verifier(
            station,
            monitors,
            tolerances_of(config, sweep),
            to_field_kV_per_cm=to_field(config, sweep),
            to_angle_deg=to_polarization(config),
            channels=journal.meta.readings,
        )

    def _calibrations(
        self, journal: Journal, station: Station, segment: Segment
    ) -> WavelengthCalibrations:
        return WavelengthCalibrations(
            journal,
            station.camera,
            segment.run_time,
            delivered_in=_medium(self._configuration),
            computed=grating_axis(self._configuration.station),
        )

    def _prices_s(self, table: PointTable) -> list[float]:
        tariff = Tariff(self._configuration.sweep, self._configuration.station)
        return [price.total_s for price in tariff.rows(table)]


class LiveViewFollower:
    """Shows accepted attempts in live.h5."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        if accepted:
            self._view.update(key, attempt)

    def results(self) -> Sequence[FitRow]:
        return ()


def _meta(configuration: Configuration, created_utc: float) -> RunMeta:
    sweep, station = configuration.sweep, configuration.station
    return RunMeta(
        title=sweep.sweep.name,
        sample=sweep.sample.name,
        run_uuid=uuid.uuid4().hex,
        created_utc=created_utc,
        pixels=station.camera.pixels,
        counts_dtype="i4",
        readings=reading_units(station),
        sweep_toml=configuration.sweep_text,
        station_toml=configuration.station_text,
        app_version=version("cryoscan"),
        sweep_folder=str(configuration.folder.resolve()),
        station_folder=str(configuration.station_folder.resolve()),
        python=sys.version.split()[0],
        host=f"{socket.gethostname()} ({platform.platform()})",
        operator=sweep.sweep.user,
        packages={name: version(name) for name in PACKAGES},
        sample_card=_sample_card(configuration),
        instruments={role: s.model for role in ROLES if (s := getattr(station, role)) is not None},
        lamp_profiles=[one.as_plain() for one in lamp_profiles(sweep.optics, station.camera)],
        laser_nm=sweep.optics.laser_wavelength_nm,
        laser_power_W=sweep.optics.laser_power_W,
    )


def _sample_card(configuration: Configuration) -> dict[str, str]:
    sections = (configuration.sweep.sample, configuration.sweep.nanocrystal)
    return {
        key: str(value)
        for section in sections
        for key, value in section.model_dump().items()
        if value not in (None, "")
    }


def _medium(configuration: Configuration) -> str:
    spectrograph = configuration.station.spectrograph
    return "vacuum" if spectrograph is None else spectrograph.wavelengths


def _of_fits(at: tuple[float, float], text: str) -> Event:
    return Event(*at, Level.INFO, FITS, text)


def _store_last_fits(journal: Journal, rows: Sequence[FitRow], said: Sequence[Event]) -> None:
    """Store what was fitted last; what is lost here `cryoscan fit` makes again."""
    try:
        if rows or said:
            journal.note(fits=rows, events=said)
    except StorageError:
        logger.exception("%d fits are not stored", len(rows))


def _longest_tick_s(clock: Clock) -> float:
    """Return how long the engine may be deaf to commands: a quarter of a second of life."""
    return LONGEST_REAL_TICK_S * clock.factor if isinstance(clock, ScaledClock) else inf


def _longest_series_s(table: PointTable, config: StationConfig) -> float:
    """Return the longest time a camera is busy with one row."""
    readout_s = config.camera.readout_s
    return max((p.frames * (p.exposure_s + readout_s) for p in table.points), default=0.0)


def _shortest_s(sweep: SweepConfig, config: StationConfig, point: Point) -> float:
    zone = at_temperature(sweep.exposure, point.temperature_K)
    return max(zone.least_s, config.camera.min_exposure_s)


def _largest_voltage_V(table: PointTable) -> float | None:
    voltages = [abs(point.voltage_V) for point in table.points if point.voltage_V is not None]
    return max(voltages) if voltages else None


def _policy(configuration: Configuration, table: PointTable) -> EnginePolicy:
    end = configuration.sweep.end.cryostat
    temperatures = [p.temperature_K for p in table.points if p.temperature_K is not None]
    base_K = min(temperatures) if temperatures and end == "cool to base" else None
    return EnginePolicy(
        retries=configuration.sweep.limits.retries,
        end_temperature_K=base_K,
        heater_off_at_end=end == "heater off",
    )
