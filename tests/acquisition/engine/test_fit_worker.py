"""A fit that raises, hangs, dies or prints nonsense costs nothing but that fit."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from acquisition.configuration.config import load
from acquisition.fits import fit_worker
from acquisition.fits.fit_worker import FitWorker
from acquisition.fits.point_fitter import PointFitter
from acquisition.planning.expand import expand
from acquisition.planning.point_table import PointKind
from acquisition.running.run import create_run
from acquisition.storage.journal import Calibration, Journal, JournalReader
from acquisition.storage.record import Attempt, AttemptState, FitRow
from drivers.clock import RealClock

EXAMPLES = Path(__file__).parents[3] / "examples"


class Fitter:
    """Stands for what knows the journal: only the record of a failure is asked of it here."""

    def failed(self, key: int, reason: str) -> FitRow:
        return _row(key, "failed", reason)


def _row(key: int, verdict: str = "converged", reason: str = "") -> FitRow:
    none = np.empty(0)
    return FitRow(key, key, "m", "1", verdict, reason, (), none, none, np.empty((0, 0)), 1.0)


LINE = json.dumps(
    {
        "point": 4,
        "attempt": 4,
        "model": "m",
        "version": "1",
        "verdict": "converged",
        "reason": "",
        "names": [],
        "values": [],
        "errors": [],
        "covariance": [],
        "chi2_per_dof": None,
    }
)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """Return a worker whose process runs a script; `say` prints a line at once."""
    workers = []

    def start(script: str, **options: float) -> FitWorker:
        path = tmp_path / "worker.py"
        head = "import sys, time\nsay = lambda line: print(line, flush=True)\n"
        path.write_text(head + textwrap.dedent(script))
        monkeypatch.setattr(
            fit_worker,
            "_command",
            lambda folder, failed: [sys.executable, "-I", "-S", str(path), *map(str, failed)],
        )
        workers.append(FitWorker(tmp_path, Fitter(), **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def collect(worker: FitWorker, count: int, longest_s: float = 10.0) -> list[FitRow]:
    clock, rows = RealClock(), []
    end_s = clock.now() + longest_s
    while len(rows) < count and clock.now() < end_s:
        rows.extend(worker.results())
        clock.wait(0.01)
    return rows


def test_garbage_between_the_lines_is_left_out(scripted):
    worker = scripted(
        f"""
        for line in ("", "nonsense", "[1]", "3", '{{"begin": "x"}}', '{{"attempt": 9}}', "\\x00"):
            say(line)
        say('{{"begin": 4}}')
        say("a print left in the code")
        say({LINE!r})
        say('{{"idle": 4}}')
        sys.stdin.read()
        """
    )

    (row,) = collect(worker, 1)

    assert (row.attempt, row.verdict) == (4, "converged")


def test_a_worker_that_takes_over_goes_on_with_the_kernels_of_the_first(
    scripted, caplog, monkeypatch
):
    monkeypatch.delenv("CRYOSCAN_KERNELS")
    caplog.set_level("INFO")
    worker = scripted(
        f"""
        import os
        if "4" not in sys.argv:
            say('{{"kernels": "compiled"}}')
            say('{{"begin": 4}}')
            sys.exit(1)
        say('{{"begin": 4}}' if os.environ.get("CRYOSCAN_KERNELS") == "compiled" else "none")
        say({LINE!r})
        sys.stdin.read()
        """
    )

    died, after = collect(worker, 2)

    assert died.verdict == "failed"
    assert after.verdict == "converged"
    assert "live fits by compiled" in caplog.text


def test_a_fit_that_was_not_begun_is_not_believed(scripted):
    worker = scripted(f"""
        say({LINE!r})
        say('{{"idle": 0}}')
        sys.stdin.read()
    """)

    assert worker.finish(5.0) == []


def test_a_fit_that_hangs_is_recorded_and_not_tried_again(scripted):
    worker = scripted(
        f"""
        if "7" in sys.argv:
            say('{{"begin": 4}}')
            say({LINE!r})
        else:
            say('{{"begin": 7}}')
        sys.stdin.read()
        """,
        longest_fit_s=0.2,
    )

    first, second = collect(worker, 2)

    assert (first.attempt, first.verdict, first.reason) == (7, "failed", "hung for 0.2 s")
    assert (second.attempt, second.verdict) == (4, "converged")


def test_a_fit_that_kills_the_process_is_recorded_and_not_tried_again(scripted):
    worker = scripted(f"""
        import os
        if "7" in sys.argv:
            say('{{"begin": 4}}')
            say({LINE!r})
            sys.stdin.read()
        say('{{"begin": 7}}')
        os._exit(139)
    """)

    first, second = collect(worker, 2)

    assert (first.attempt, first.reason) == (7, "the fit process died")
    assert second.attempt == 4


def test_a_row_that_was_printed_before_the_death_counts(scripted):
    worker = scripted(f"""
        say('{{"begin": 4}}')
        say({LINE!r})
    """)

    (row,) = collect(worker, 1)

    assert row.verdict == "converged"


def test_a_process_that_dies_again_and_again_is_given_up(scripted, caplog):
    worker = scripted("sys.exit(1)")

    clock = RealClock()
    end_s = clock.now() + 10.0
    while worker._process is not None and clock.now() < end_s:
        assert worker.results() == []
        clock.wait(0.01)

    assert worker._process is None
    assert "no more live fits" in caplog.text
    assert worker.results() == []
    assert worker.finish(5.0) == []


def test_the_end_waits_for_what_is_outstanding_and_no_longer(scripted):
    worker = scripted(f"""
        say('{{"begin": 4}}')
        time.sleep(0.3)
        say({LINE!r})
        say('{{"idle": 4}}')
        sys.stdin.read()
    """)
    worker.on_point(4, None, None, accepted=True)
    clock = RealClock()
    start_s = clock.now()

    rows = worker.finish(10.0)

    assert [row.attempt for row in rows] == [4]
    assert clock.now() - start_s < 3.0


def test_the_end_does_not_wait_for_ever(scripted):
    worker = scripted("sys.stdin.read()")
    worker.on_point(4, None, None, accepted=True)
    clock = RealClock()
    start_s = clock.now()

    assert worker.finish(0.3) == []
    assert clock.now() - start_s < 2.0


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run of the polarization example with two measured rows, one of them without a line."""
    root = tmp_path_factory.mktemp("runs")
    configuration = load(EXAMPLES / "polarization.toml", EXAMPLES / "station_simulated.toml")
    station = configuration.station
    head = station.station.model_copy(update={"runs": root})
    object.__setattr__(configuration, "station", station.model_copy(update={"station": head}))
    table = expand(configuration.sweep, configuration.station)
    folder = create_run(configuration, table, 1_800_000_000.0)
    journal = Journal.open(folder)
    axis = Calibration("wavelength", 0.0, np.linspace(515.0, 522.0, 1024), {"medium": "vacuum"})
    calibration = journal.calibrate(axis)
    rng = np.random.default_rng(5)
    rows = [point for point in table.points if point.kind is PointKind.SAMPLE][:2]
    for point, area in zip(rows, (40_000.0, 0.0), strict=True):
        pixels = np.arange(1024)
        line = np.exp(-0.5 * ((pixels - 440) / 12.0) ** 2)
        light = rng.poisson(area * line / line.sum(), size=(point.frames, 1024))
        counts = 1000 + light + np.rint(4 * rng.standard_normal(light.shape))
        attempt = Attempt(
            point=point.index,
            state=AttemptState.OK,
            segment=1,
            start_s=0.0,
            end_s=1.0,
            exposure_s=point.exposure_s,
            counts=counts.astype(np.int32),
            frame_start_s=np.arange(float(point.frames)),
            readings={},
            calibration=calibration,
        )
        journal.put(attempt, accept=True)
    journal.close()
    return folder


def test_the_real_process_fits_the_backlog_newest_first(run_folder):
    with JournalReader(run_folder) as reader:
        configuration = load(EXAMPLES / "polarization.toml", EXAMPLES / "station_simulated.toml")
        camera = configuration.station.camera
        fitter = PointFitter(reader, configuration.sweep, camera)
        worker = FitWorker(run_folder, fitter)
        worker.on_point(2, None, None, accepted=True)

        rows = worker.finish(30.0)

    assert [row.attempt for row in rows] == [2, 1]
    assert {row.model for row in rows} == {fitter.model}
    assert rows[1].verdict != "failed"
    value = dict(zip(rows[1].names, rows[1].values, strict=True))
    strongest = max((1, 2, 3), key=lambda k: value[f"area_{k}_counts"])  # of one true line
    energy_eV = value[f"energy_{strongest}_eV"]
    assert energy_eV == pytest.approx(1239.842 / (515.0 + 7.0 * 440 / 1023), abs=5e-3)


ORPHAN = """
import sys
from pathlib import Path
from acquisition.fits.fit_worker import FitWorker
worker = FitWorker(Path(sys.argv[1]), None)
print(worker._process._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_the_real_process_ends_when_the_engine_is_killed(run_folder):
    engine = subprocess.Popen(
        [sys.executable, "-P", "-c", ORPHAN, str(run_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker_pid = int(engine.stdout.readline())

    engine.kill()
    engine.wait()
    engine.stdin.close()
    engine.stdout.close()

    clock = RealClock()
    end_s = clock.now() + 10.0
    while _lives(worker_pid) and clock.now() < end_s:
        clock.wait(0.02)
    assert not _lives(worker_pid)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process group")
def test_the_real_process_does_not_hear_the_terminals_ctrl_c(scripted):
    worker = scripted("sys.stdin.read()")
    pid = worker._process._process.pid

    assert os.getpgid(pid) != os.getpgid(os.getpid())


def test_what_fits_is_reported_once_even_when_the_worker_was_replaced(scripted) -> None:
    worker = scripted(
        f"""
        say('{{"kernels": "compiled"}}')
        say('{{"begin": ' + str(4 + len(sys.argv[1:])) + '}}')
        if len(sys.argv) < 2:
            sys.exit(1)
        say({LINE!r}.replace('"attempt": 4', '"attempt": 5'))
        time.sleep(60)
        """
    )
    said: list[str] = []
    worker.report = said.append

    rows = collect(worker, 2)

    assert [row.verdict for row in rows] == ["failed", "converged"]
    assert said == ["live fits by compiled kernels"]
