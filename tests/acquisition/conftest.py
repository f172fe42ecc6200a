"""A run of made-up spectra, as the engine would record it, for the tests of storage."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.storage.journal import Calibration, Journal
from acquisition.storage.live_view import LiveView
from acquisition.storage.record import Attempt, AttemptState, Event, FitRow, Level, StreamBatch
from acquisition.storage.run_folder import create_run_folder
from acquisition.storage.run_meta import RunMeta

READINGS = {"temperature_K": "K", "gap_voltage_V": "V", "angle_deg": "deg"}
CREATED_UTC = 1_795_385_730.0  # 2026-11-22 22:15:30 UTC


@dataclass(frozen=True)
class MadeUpRun:
    """A recipe: temperatures x repeats, a dark and a blocked spectrum before them."""

    temperatures: int = 3
    repeats: int = 2
    frames: int = 1
    pixels: int = 48
    dtype: str = "i4"
    seed: int = 1
    settings: int = 1  # of the spectrograph, in turn over the temperatures
    wavelength_falls: bool = False
    uuid: str = "0a1b2c3d" * 4

    def meta(self) -> RunMeta:
        return RunMeta(
            title="Overnight (5.5-200 K)",
            sample="NC #7",
            run_uuid=self.uuid,
            created_utc=CREATED_UTC,
            pixels=self.pixels,
            counts_dtype=self.dtype,
            readings=READINGS,
            sweep_toml='[sweep]\nname = "overnight"\n',
            station_toml='[station]\nname = "simulated"\n',
            app_version="0.1.0",
            python="3.11",
            packages={"numpy": "2.4"},
            sample_card={"gas": "vacuum", "gap": "10 um"},
            instruments={"cryostat": "LSCI MODEL336"},
            laser_nm=405.0,
            operator="A. Person",
        )

    def table(self) -> PointTable:
        temperature = AxisColumn(
            "temperature_K", "K", tuple(5.5 + 10.0 * i for i in range(self.temperatures))
        )
        repeat = AxisColumn("repeat", "", tuple(map(float, range(self.repeats))))
        points = [
            Point(0, PointKind.DARK, 1.0, self.frames),
            Point(1, PointKind.BLOCKED, 1.0, self.frames),
        ]
        for i, value in enumerate(temperature.values):
            for j in range(self.repeats):
                points.append(
                    Point(
                        index=len(points),
                        kind=PointKind.SAMPLE,
                        exposure_s=1.0,
                        frames=self.frames,
                        temperature_K=value,
                        repeat=j,
                        grating=i % self.settings,
                        cell=(i, j),
                        block=i + 1,
                        repeats_block=True,
                    )
                )
        return PointTable((temperature, repeat), tuple(points))

    def create(self, root: Path) -> Journal:
        meta = self.meta()
        return Journal.create(create_run_folder(root, meta), self.table(), meta)

    def attempt(self, point: int, *, attempt: int = 0, calibration: int = 0) -> Attempt:
        """Return what is measured at a point; `attempt` tells repeats of one point apart."""
        rng = np.random.default_rng((self.seed, point, attempt))
        start_s = 3.0 * point + attempt
        counts = rng.poisson(400.0, (self.frames, self.pixels)).astype(self.dtype)
        return Attempt(
            point=point,
            state=AttemptState.OK,
            segment=1,
            start_s=start_s,
            end_s=start_s + 1.5,
            exposure_s=1.0,
            counts=counts,
            frame_start_s=start_s + 0.1 * np.arange(self.frames),
            readings={name: float(rng.normal()) for name in READINGS},
            calibration=calibration,
        )

    def wavelength_nm(self, setting: int) -> np.ndarray:
        axis = np.linspace(500.0, 520.0, self.pixels) + 5.0 * setting
        return axis[::-1] if self.wavelength_falls else axis

    def record(self, root: Path, *, points: int | None = None, view: bool = True) -> Path:
        """Measure the first `points` points, one of them twice and one with a flag."""
        with self.create(root) as journal:
            journal.begin_segment(0.0, CREATED_UTC)
            calibrations = [
                journal.calibrate(
                    Calibration("wavelength", 0.0, self.wavelength_nm(i), {"medium": "air"})
                )
                for i in range(self.settings)
            ]
            live = LiveView(journal) if view else None
            for point in journal.table().points[:points]:
                self._measure(journal, live, point, calibrations[point.grating])
            if live is not None:
                live.close()
            return journal.folder

    def _measure(
        self, journal: Journal, live: LiveView | None, point: Point, calibration: int
    ) -> None:
        if point.index == 3:
            first = self.attempt(3, attempt=1, calibration=calibration)
            journal.put(replace(first, state=AttemptState.REJECTED, note="drifted"), accept=False)
        attempt = self.attempt(point.index, calibration=calibration)
        if point.index == 4:
            attempt = replace(attempt, flags=("saturated",))
        event = Event(attempt.end_s, CREATED_UTC, Level.INFO, "point", f"point {point.index}, 5 µm")
        batch = StreamBatch("temperature_K", "K", attempt.start_s + np.arange(3.0), np.full(3, 5.5))
        key = journal.put(attempt, accept=True, events=(event,), streams=(batch,))
        if live is not None:
            live.update(key, attempt)
        if point.kind is PointKind.SAMPLE:
            journal.note(fits=[made_up_fit(point.index, key)])


def made_up_fit(point: int, attempt: int, version: str = "1") -> FitRow:
    return FitRow(
        point=point,
        attempt=attempt,
        model="one line",
        version=version,
        verdict="one line",
        reason="",
        names=("line1.centre_eV", "line1.area"),
        values=np.array([2.4 + 1e-3 * point, 100.0]),
        errors=np.array([1e-4, 3.0]),
        covariance=np.diag([1e-8, 9.0]),
        chi2_per_dof=1.1,
    )


@pytest.fixture
def made_up_run() -> Callable[..., MadeUpRun]:
    return MadeUpRun


@pytest.fixture
def journal(tmp_path: Path):
    """An open journal of a run of 8 points, nothing measured yet."""
    with MadeUpRun().create(tmp_path) as opened:
        yield opened
