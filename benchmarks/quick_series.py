"""A run of about 20 spectra per second: real drivers, simulators in a process of their own.

A series of the same nanocrystal, binned on the chip, nothing moved between the rows. With cryostat,
spectrograph and camera alone a row takes 20 ms of light, as when somebody watches an emitter blink;
with the whole laboratory 5 ms, since shutter, polarizer and bias have their say at every row.

Every row asks for the temperature, and the manual of a Lake Shore asks for 50 ms between messages:
with those no run comes to 20 rows per second. This one is asked every 10 ms.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulated_run import EXAMPLES

from acquisition.configuration.config import load
from acquisition.configuration.simulated_truth import truth_of
from acquisition.instruments.served_station import served_station
from simulators.elliptec_modules import ElliptecSettings
from simulators.icl_device import IclSettings
from simulators.lakeshore_command import LakeShoreSettings
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import truth_from_mapping

__all__ = ["quick_series"]

READOUT_MS = 5.0
SETTINGS = SimulatorSettings(
    cryostat=LakeShoreSettings(reply_s=0.002),
    elliptec=ElliptecSettings(
        speed_deg_per_s=2000.0, move_start_s=0.001, reply_s=0.001, shutter_move_s=0.004
    ),
    icl=IclSettings(reply_s=0.0005, readout_overhead_s=0.002, line_s=(0.002, 0.002, 0.001)),
)
NOT_NEEDED = ("polarizer", "shutter", "bias")
SWEEP = """
[sweep]
name = "blinking"
user = "benchmark"
station = "station.toml"

[sample]
name = "none"
material = "CsPbBr3"

[nanocrystal]
id = "none"

[optics]
laser_wavelength = "450 nm"
laser_power = "1 uW"
slit = "60 um"
objective = "none"
numerical_aperture = 0.7
spectrograph = {{ grating = 0, centre = "518.3 nm" }}

[[axis]]
quantity = "repeat"
points = {points}

[exposure]
time = "{exposure_ms:g} ms"

[background]
at_start = false
on_change = false
kinds = ["dark"]
{fit}"""
FIT = """
[fit.model]
lines = 3
shape = "gauss"
window = ["2.384 eV", "2.399 eV"]
"""


@contextmanager
def quick_series(
    folder: Path, points: int, *, is_fitted: bool = False, has_all: bool = False
) -> Iterator[tuple[Path, Path]]:
    """Serve the simulators while the block runs; yield the files of sweep and station.

    has_all: with every instrument of the laboratory.
    """
    station, sweep, served = (folder / f"{name}.toml" for name in ("station", "sweep", "served"))
    station.write_text(_station(has_all), encoding="utf-8")
    text = SWEEP.format(
        points=points, exposure_ms=5.0 if has_all else 20.0, fit=FIT if is_fitted else ""
    )
    sweep.write_text(text, encoding="utf-8")
    simulators = subprocess.Popen([sys.executable, __file__, sweep, station, served])
    try:
        _await(served)
        yield sweep, served
    finally:
        simulators.terminate()
        simulators.wait()


def _station(has_all: bool) -> str:
    """Return the simulated laboratory with a quick camera."""
    text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    text = text.replace('readout = "0.1 s"', f'readout = "{READOUT_MS:g} ms"')
    text = text.replace('ramp = "3 K/min"', 'ramp = "3 K/min"\npacing = "10 ms"')
    for section in () if has_all else NOT_NEEDED:
        text = re.sub(rf"^\[{section}\]\n(?:.+\n)+\n?", "", text, flags=re.MULTILINE)
    return text


def _await(path: Path) -> None:
    deadline = time.monotonic() + 30.0
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the simulators do not answer")
        time.sleep(0.05)


def _serve(sweep: Path, station: Path, served: Path) -> None:
    """Serve quick instruments until killed; write how to reach them."""
    truth = truth_from_mapping(truth_of(load(sweep, station).station))
    setup = SimulatedSetup(truth, seed=1, settings=SETTINGS)

    def ready(addresses: "dict[str, str]") -> None:
        text = served_station(station.read_text(encoding="utf-8"), dict(addresses), 1.0)
        unfinished = served.with_suffix(".tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(served)

    serve(setup, 1.0, transports={"elliptec": "tcp"}, ready=ready)  # type: ignore[arg-type]


if __name__ == "__main__":
    _serve(*map(Path, sys.argv[1:]))
