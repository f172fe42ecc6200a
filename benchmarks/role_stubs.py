"""Instruments that answer at once: what is left is the cost of the engine itself."""

from collections.abc import Mapping
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.commands import CommandQueue
from acquisition.configuration.settle import SettleCriterion
from acquisition.instruments.monitors import Monitor, Monitors
from acquisition.instruments.movers import AngleMover, SpectrographMover, TemperatureMover
from acquisition.instruments.station import Station
from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.running.engine import Engine, EnginePolicy
from acquisition.running.exposure import DetectorSetup
from acquisition.running.exposure_choice import ExposureChoice
from acquisition.running.run import LiveViewFollower
from acquisition.running.run_log import RunLog
from acquisition.running.segment import Segment
from acquisition.running.verification import READING_UNITS, Tolerances, Verifier
from acquisition.safety.interlocks import Interlock
from acquisition.safety.vigil import Vigil
from acquisition.storage.journal import Journal
from acquisition.storage.live_view import LiveView
from acquisition.storage.run_meta import RunMeta
from drivers.clock import VirtualClock
from drivers.roles import ExposureSettings, Frame, Identity, Reading, Setting
from drivers.status import Status

__all__ = ["PIXELS", "StubRun", "polarization_rows"]

PIXELS = 1024
EXPOSURE_S = 0.01


class Stub:
    """What every stub can do."""

    def __init__(self, name: str, clock: VirtualClock) -> None:
        self.name = name
        self.clock = clock

    def identify(self) -> Identity:
        return Identity("stub", self.name, "0", "0")

    def settings(self) -> Mapping[str, Setting]:
        return {}

    def read(self) -> Mapping[str, Reading]:
        return {}

    def close(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def reading(self, value: float, unit: str) -> Reading:
        return Reading(value, unit, self.clock.now())


class StubCamera(Stub):
    pixels = PIXELS
    rows = 1

    def __init__(self, name: str, clock: VirtualClock) -> None:
        super().__init__(name, clock)
        self._counts = np.arange(PIXELS, dtype=np.int32)
        self._start_s = 0.0

    def arm(self, settings: ExposureSettings) -> None:
        pass

    def trigger(self) -> Status:
        self._start_s = self.clock.now()
        return Status("expose", lambda: True)

    def is_exposed(self) -> bool:
        return True

    def collect(self) -> tuple[Frame, ...]:
        return (Frame(self._counts, self._start_s, EXPOSURE_S),)

    def wavelengths_nm(self) -> NDArray[np.float64]:
        return np.linspace(500.0, 520.0, PIXELS)

    def read(self) -> Mapping[str, Reading]:
        return {"detector_temperature_C": self.reading(-70.0, "degC")}

    def abort(self) -> None:
        pass


class StubCryostat(Stub):
    def set(self, temperature_K: float) -> Status:
        return Status.finished("set")

    def read_temperature(self) -> Reading:
        return self.reading(5.5, "K")

    def read_sample_temperature(self) -> Reading:
        return self.reading(5.5, "K")

    def read(self) -> Mapping[str, Reading]:
        reading = self.reading(5.5, "K")
        return {"temperature_K": reading, "sample_temperature_K": reading}

    def hold(self) -> None:
        pass

    def heater_off(self) -> None:
        pass


class StubStage(Stub):
    is_homed = True
    angle_deg = 0.0

    def home(self) -> Status:
        return Status.finished("home")

    def set(self, angle_deg: float) -> Status:
        self.angle_deg = angle_deg
        return Status.finished("turn")

    def read(self) -> Mapping[str, Reading]:
        return {"angle_deg": self.reading(self.angle_deg, "deg")}


class StubShutter(Stub):
    is_open = False

    def set(self, is_open: bool) -> Status:
        self.is_open = is_open
        return Status.finished("shutter")

    def read(self) -> Mapping[str, Reading]:
        return {"is_open": self.reading(float(self.is_open), "")}


class StubSpectrograph(Stub):
    place = (0.0, 0)

    def set(self, wavelength_nm: float, grating: int) -> Status:
        self.place = (wavelength_nm, grating)
        return Status.finished("spectrograph")

    def read(self) -> Mapping[str, Reading]:
        wavelength_nm, grating = self.place
        return {
            "wavelength_nm": self.reading(wavelength_nm, "nm"),
            "grating": self.reading(float(grating), ""),
        }


def polarization_rows(count: int) -> tuple[Point, ...]:
    """Return rows that turn the polarizer by 1 deg each."""
    return tuple(
        Point(
            index=k,
            kind=PointKind.SAMPLE,
            exposure_s=EXPOSURE_S,
            frames=1,
            temperature_K=5.5,
            angle_deg=float(k % 360),
            centre_nm=510.0,
            cell=(k,),
        )
        for k in range(count)
    )


class StubRun:
    """An engine on stubs, a synced journal and the live view, ready to run its rows."""

    def __init__(self, folder: Path, count: int) -> None:
        clock = VirtualClock()
        cryostat, stage = StubCryostat("cryostat", clock), StubStage("polarizer", clock)
        spectrograph = StubSpectrograph("spectrograph", clock)
        station = Station(
            camera=StubCamera("camera", clock),
            cryostat=cryostat,
            spectrograph=spectrograph,
            polarizer=stage,
            shutter=StubShutter("shutter", clock),
        )
        points = polarization_rows(count)
        axis = AxisColumn("index", "", tuple(map(float, range(count))))
        self.journal = Journal.create(folder, PointTable((axis,), points), _meta())
        self.view = LiveView(self.journal)
        segment = Segment(self.journal, clock)
        monitors = Monitors(
            [Monitor("camera", 10.0, station.camera.read), Monitor("cryostat", 2.0, cryostat.read)]
        )
        interlocks = [
            Interlock("temperature_K", high=320.0, max_age_s=60.0),
            Interlock("detector_temperature_C", high=-60.0, max_age_s=60.0),
        ]
        vigil = Vigil(clock, monitors, interlocks, CommandQueue())
        self.points = points
        self.engine = Engine(
            run="dead time",
            station=station,
            movers=(
                TemperatureMover(cryostat, SettleCriterion(0.1), monitors, clock),
                SpectrographMover(spectrograph),
                AngleMover(stage, lambda angle_deg: angle_deg, overshoot_deg=2.0),
            ),
            vigil=vigil,
            verifier=Verifier(
                station,
                monitors,
                Tolerances(0.1, inf, 0.4),
                to_field_kV_per_cm=lambda volts: volts,
                to_angle_deg=lambda mechanical_deg: mechanical_deg,
            ),
            detector=DetectorSetup((0, 1), 0, 0, 0.0, 60_000, 100.0),
            choice=ExposureChoice(lambda point: 0.001),
            log=RunLog(self.journal, monitors, segment.run_time, clock.utc),
            run_time=segment.run_time,
            segment=segment.number,
            calibration_of=lambda point: 0,
            policy=EnginePolicy(),
            followers=[LiveViewFollower(self.view)],
        )
        vigil.attend(note=self.engine.take_note, every_tick=(self.engine.collect_results,))

    def run(self) -> None:
        """Run every row; raise RuntimeError if one was not accepted at once."""
        outcome = self.engine.run(self.points)
        if outcome.reason.value != "completed":
            raise RuntimeError(f"{outcome.reason.value}: {outcome.text}")

    def close(self) -> None:
        self.view.close()
        self.journal.close()


def _meta() -> RunMeta:
    return RunMeta(
        title="dead time",
        sample="none",
        run_uuid="0a1b2c3d" * 4,
        created_utc=1_800_000_000.0,
        pixels=PIXELS,
        counts_dtype="i4",
        readings=READING_UNITS,
        sweep_toml="",
        station_toml="",
        app_version="0",
    )
