"""Runs to be shown: one really measured by simulated instruments, others made up to the number."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from acquisition import start_run
from acquisition.fits.fit_run import fit_run
from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.storage.final_file import build_final
from acquisition.storage.journal import Calibration, Journal
from acquisition.storage.record import Attempt, AttemptState, Event, FitRow, Level, StreamBatch
from acquisition.storage.run_meta import RunMeta
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel

EXAMPLES = Path(__file__).parents[3] / "examples"
SHARED = Path(__file__).parents[4] / "shared" / "data"
CREATED_UTC = 1_795_385_730.0  # 2026-11-22 22:15:30 UTC
LONGEST_ms = 20_000

# the parabola E = E_0 - mu F - (alpha/2) F^2 that made-up fits lie on
E0_eV, SLOPE, CURVATURE = 2.39, 2.0e-5, -4.0e-8


def energy_eV(field):
    return E0_eV + SLOPE * field + CURVATURE * field**2


def area(angle_deg):
    """Return 1000 counts at 40 deg and 200 across."""
    return 200.0 + 800.0 * np.cos(np.deg2rad(angle_deg - 40.0)) ** 2


@dataclass(frozen=True)
class MadeUp:
    """A run along one axis: a Gaussian line whose counts, fits and readings follow formulas."""

    points: int = 21
    pixels: int = 64
    quantity: str = "field_kV_per_cm"
    frames: int = 1

    @property
    def unit(self):
        return {"field_kV_per_cm": "kV/cm", "angle_deg": "deg"}[self.quantity]

    @property
    def values(self):
        low, high = (-100.0, 100.0) if self.quantity == "field_kV_per_cm" else (0.0, 170.0)
        return np.linspace(low, high, self.points)

    @property
    def wavelength_nm(self):
        return np.linspace(516.0, 521.0, self.pixels)

    def table(self):
        values = tuple(self.values.tolist())
        points = tuple(
            Point(
                i,
                PointKind.SAMPLE,
                1.0,
                self.frames,
                temperature_K=5.5,
                cell=(i,),
                **{self.quantity: value},
            )
            for i, value in enumerate(values)
        )
        return PointTable((AxisColumn(self.quantity, self.unit, values),), points)

    def meta(self):
        return RunMeta(
            title="made up",
            sample="NC 7",
            run_uuid="0a1b2c3d" * 4,
            created_utc=CREATED_UTC,
            pixels=self.pixels,
            counts_dtype="i4",
            readings={"temperature_K": "K", self.quantity: self.unit},
            sweep_toml="",
            station_toml="",
            app_version="0",
        )

    def counts(self, i):
        """Return whole numbers that differ from row to row and pixel to pixel."""
        centre = 518.0 + 0.01 * i
        line = 400.0 * np.exp(-(((self.wavelength_nm - centre) / 0.3) ** 2))
        one = np.round(100.0 + line + np.arange(self.pixels) % 3).astype("<i4")
        return np.tile(one, (self.frames, 1)) + np.arange(self.frames, dtype="<i4")[:, None]

    def attempt(self, i, state=AttemptState.OK, **changes):
        counts = self.counts(i)
        made = Attempt(
            point=i,
            state=state,
            segment=1,
            start_s=10.0 * i,
            end_s=10.0 * i + 1.0,
            exposure_s=1.0,
            counts=counts,
            frame_start_s=10.0 * i + np.arange(float(self.frames)),
            readings={"temperature_K": 5.5, self.quantity: float(self.values[i])},
            calibration=1,
        )
        return replace(made, **changes)

    def fit(self, i, key, verdict="converged"):
        value = float(self.values[i])
        is_field = self.quantity == "field_kV_per_cm"
        centre = energy_eV(value) if is_field else E0_eV
        light = 500.0 if is_field else area(value)
        # errors of the size of the scatter that is put on, some a little up, some down
        values = np.array([centre + 1e-6 * (-1) ** i, 1e-3, light * (1 + 1e-3 * (-1) ** i), 3.0])
        errors = np.array([1e-6, 1e-5, 1e-3 * light, 0.1])
        return FitRow(
            point=i,
            attempt=key,
            model="m",
            version="1",
            verdict=verdict,
            reason=f"reason {i}",
            names=("energy_1_eV", "width_eV", "area_1_counts", "background_0"),
            values=values,
            errors=errors,
            covariance=np.diag(errors**2),
            chi2_per_dof=1.0,
        )

    def stream(self, i):
        value = np.array([5.5 + 0.001 * i, np.nan if i % 5 == 4 else 5.5])
        return StreamBatch("temperature_K", "K", 10.0 * i + np.array([0.0, 5.0]), value)

    def begin(self, folder):
        """Write the run's journal without a point and return it, still open."""
        folder.mkdir(parents=True)
        journal = Journal.create(folder, self.table(), self.meta())
        journal._db.execute("PRAGMA synchronous=0")  # nobody pulls the plug of a test
        journal.begin_segment(0.0, CREATED_UTC)
        journal.note([event(0.0, "segment", "segment 1 begins")])
        journal.calibrate(Calibration("wavelength", 0.0, self.wavelength_nm, {"medium": "vacuum"}))
        return journal

    def measure(self, journal, rows, **changes):
        """Accept these rows, each with its fit and a piece of a stream."""
        for i in rows:
            key = journal.put(self.attempt(i, **changes), accept=True, streams=[self.stream(i)])
            journal.note(fits=[self.fit(i, key)])

    def end(self, journal):
        """Say that the run is over, and let go of it."""
        journal.note([event(1e4, "finished", "completed"), event(1e4, "safe state", "confirmed")])
        journal.close()

    def write(self, folder, rows=None):
        """Write a whole run, or a part of its rows and its end."""
        journal = self.begin(folder)
        self.measure(journal, range(self.points) if rows is None else rows)
        self.end(journal)
        return folder


def event(time_s, code, text, level=Level.INFO):
    return Event(time_s, CREATED_UTC + time_s, level, code, text)


@pytest.fixture(scope="session", autouse=True)
def _laws_are_here():
    """Load the laws once; a test of its own lets them come later."""
    importlib.import_module("gui.views.point_law")


@pytest.fixture
def made_up():
    return MadeUp


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """A made-up field sweep of 21 points, all of them measured and fitted."""
    return MadeUp().write(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A polarization series of 7 angles, measured and fitted by the program with simulators."""
    folder = tmp_path_factory.mktemp("measured") / "examples"
    copytree(EXAMPLES, folder, ignore=lambda *_: {"runs"})
    sweep = folder / "polarization.toml"
    text = sweep.read_text().replace('"0..180 step 10"', '"0..150 step 30"')
    sweep.write_text(text.replace("frames = 10", "frames = 3"))
    ended = start_run(sweep, live_fit=False, final=False)
    fit_run(ended.folder)
    return replace(ended, final=build_final(ended.folder))


@pytest.fixture
def cursor(qapp):
    cursor = Cursor()
    yield cursor
    cursor.deleteLater()


@pytest.fixture
def model(qapp) -> Iterator[RunModel]:
    model = RunModel()
    yield model
    model.close()
    model.deleteLater()


@pytest.fixture
def opened(model, qtbot):
    """Open a run or file and wait until all of it is shown."""

    def open_and_wait(path):
        with qtbot.waitSignal(model.loaded, timeout=LONGEST_ms):
            model.open(path)
        return model

    return open_and_wait


@pytest.fixture
def shown(qtbot):
    """Show a widget and wait until it was drawn once."""

    def show(widget, width=700, height=420):
        qtbot.addWidget(widget)
        widget.resize(width, height)
        with qtbot.waitExposed(widget):
            widget.show()
        return widget

    return show


@pytest.fixture
def shared():
    """The folder of measured files; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not there")
    return SHARED
