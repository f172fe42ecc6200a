"""One round of another package, run by dead_time.py in the environment where it is installed.

    python peers.py --list
    python peers.py NAME FOLDER POINTS

Prints JSON: the names that can be imported, or wall and CPU time in s of all points. Everything is
written as the package's own documentation does it, with a spectrum of 1024 pixels per point.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PIXELS = 1024


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def pymeasure(folder: Path, points: int) -> tuple[float, float]:
    """Worker and Results, the CSV of the package, one row per point with 1024 columns."""
    experiment: Any = importlib.import_module("pymeasure.experiment")
    columns = [f"p{k}" for k in range(PIXELS)]
    row = dict.fromkeys(columns, 1)

    class Sweep(experiment.Procedure):  # type: ignore[misc]
        DATA_COLUMNS = columns

        def execute(self) -> None:
            for _ in range(points):
                self.emit("results", row)

    results = experiment.Results(Sweep(), str(folder / "pymeasure.csv"))
    worker = experiment.Worker(results)
    wall, cpu = clocks()
    worker.start()
    worker.join(600)
    return time.perf_counter() - wall, time.process_time() - cpu


def qcodes_dond(folder: Path, points: int) -> tuple[float, float]:
    """dond over one parameter with the spectrum as an array parameter, default write period."""
    import numpy as np

    qcodes: Any = importlib.import_module("qcodes")
    dataset: Any = importlib.import_module("qcodes.dataset")
    parameters: Any = importlib.import_module("qcodes.parameters")
    validators: Any = importlib.import_module("qcodes.validators")
    qcodes.config.core.db_location = str(folder / "qcodes.db")
    dataset.initialise_or_create_database_at(str(folder / "qcodes.db"))
    dataset.load_or_create_experiment("dead time", "none")
    angle = parameters.ManualParameter("angle", initial_value=0.0)
    counts = np.arange(PIXELS, dtype=np.int32)
    pixel = parameters.Parameter(
        "pixel", get_cmd=lambda: np.arange(PIXELS), vals=validators.Arrays(shape=(PIXELS,))
    )
    spectrum = parameters.ParameterWithSetpoints(
        "spectrum",
        setpoints=(pixel,),
        get_cmd=lambda: counts,
        vals=validators.Arrays(shape=(PIXELS,)),
    )
    sweep = dataset.LinSweep(angle, 0, 360, points)
    wall, cpu = clocks()
    dataset.dond(sweep, spectrum, show_progress=False, do_plot=False)
    return time.perf_counter() - wall, time.process_time() - cpu


def bluesky_h5py(folder: Path, points: int) -> tuple[float, float]:
    """RunEngine and scan, with a callback that appends to an HDF5 file and flushes it."""
    import h5py
    import numpy as np

    bluesky: Any = importlib.import_module("bluesky")
    plans: Any = importlib.import_module("bluesky.plans")
    sim: Any = importlib.import_module("ophyd.sim")
    counts = np.arange(PIXELS, dtype=np.int32)
    motor = sim.SynAxis(name="angle")
    camera = sim.SynSignal(func=lambda: counts, name="spectrum")
    with h5py.File(folder / "bluesky.h5", "w") as file:
        spectra = file.create_dataset(
            "spectra", (0, PIXELS), "<i4", maxshape=(None, PIXELS), chunks=(1, PIXELS)
        )

        def write(name: str, document: dict[str, Any]) -> None:
            if name == "event":
                spectra.resize(len(spectra) + 1, axis=0)
                spectra[-1] = document["data"]["spectrum"]
                file.flush()

        engine = bluesky.RunEngine({})
        engine.subscribe(write)
        wall, cpu = clocks()
        engine(plans.scan([camera], motor, 0, 360, points))
        found = time.perf_counter() - wall, time.process_time() - cpu
    return found


PEERS: dict[str, tuple[str, Callable[[Path, int], tuple[float, float]]]] = {
    "PyMeasure: Worker + Results (CSV, not synced)": ("pymeasure", pymeasure),
    "QCoDeS: dond (SQLite, written every 5 s)": ("qcodes", qcodes_dond),
    "Bluesky: RunEngine + h5py callback (not synced)": ("ophyd", bluesky_h5py),
}


def main() -> None:
    """Answer one question of dead_time.py."""
    if sys.argv[1] == "--list":
        print(json.dumps([name for name, (package, _) in PEERS.items() if _is_there(package)]))
        return
    name, folder, points = sys.argv[1:]
    print(json.dumps(PEERS[name][1](Path(folder), int(points))))


def _is_there(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
