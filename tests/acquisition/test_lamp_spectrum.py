"""The lamp: laser shut, mirror flipped, lamp lit, exposed, and all put back whatever happens."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from acquisition.cli import app
from acquisition.configuration.config import load_station
from acquisition.instruments.lamp_spectrum import LampSpectrum, measure_lamp, open_lamp_bench
from acquisition.simulated_laboratory import simulated_setup
from analysis.lamp.lamp_axis import calibrate_axis
from analysis.lamp.lamp_lines import LineList
from analysis.readers.read_any import read_any
from drivers.clock import VirtualClock
from drivers.connections import Connections
from drivers.errors import DeviceError, LimitError
from drivers.roles import ExposureSettings
from simulators.faults import Fault, FaultKind

EXAMPLE = Path(__file__).parents[2] / "examples" / "station_simulated.toml"
LAMP = """
[selector]
model = "thorlabs.mff101"
address = "sim://flip"

[switch]
model = "numato.relay"
address = "sim://relay"
"""
SETTING = (540.0, 2)
# NIST Atomic Spectra Database: neon in air, in nm, between 500 and 590 nm
NEON_NM = (
    503.1348, 503.7751, 508.0383, 514.4938, 518.8612, 520.3896, 529.8190, 533.0778, 534.1094,
    540.0562, 543.3651, 556.2766, 565.6659, 571.9225, 574.8298, 576.4419, 580.4450, 582.0156,
    585.2488, 588.1895,
)  # fmt: skip
STRENGTHS = (
    0.3, 0.6, 0.4, 0.6, 0.5, 0.5, 0.5, 1.2, 1.5, 4.0, 0.5, 0.5, 0.7, 0.6, 1.0, 1.5, 0.7, 0.9,
    10.0, 7.0,
)  # fmt: skip


class Bench:
    def __init__(self, folder: Path) -> None:
        path = folder / "station.toml"
        path.write_text(EXAMPLE.read_text(encoding="utf-8") + LAMP, encoding="utf-8")
        self.config = load_station(path)
        self.clock, self.setup = VirtualClock(), simulated_setup(self.config)
        self.clock.on_advance.append(self.setup.world.advance)
        sim = {"sim": lambda address, framing, _: self.setup.link(address[6:], self.clock, framing)}
        self.connections = Connections(self.clock, sim)
        self.lamp = open_lamp_bench(self.config, self.connections)

    def measure(self, position: str = "calibration") -> LampSpectrum:
        return measure_lamp(
            self.lamp,
            self.clock,
            ExposureSettings(1.0, rows=(118, 20)),
            position=position,
            setting=SETTING,
            warm_up_s=5.0,
            medium="air",
        )

    def state(self) -> tuple[bool, bool, bool]:
        optics = self.setup.world.optics
        return optics.calibration_port, optics.line_lamp_on, optics.shutter_open


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    with closing(made.connections):
        yield made


def test_the_lamp_is_seen_and_then_everything_is_as_it_was(bench: Bench) -> None:
    bench.setup.world.optics.shutter_open = True

    found = bench.measure()

    assert found.counts.max() > 5 * np.median(found.counts)
    assert bench.state() == (False, False, False)  # sample, dark, laser shut
    assert bench.setup.world.optics.centre_nm == pytest.approx(540.0, abs=0.1)


def test_the_file_calibrates_the_axis(bench: Bench, tmp_path: Path) -> None:
    bench.measure().write(tmp_path / "lamp.txt")

    lamp = read_any(tmp_path / "lamp.txt")
    axis = calibrate_axis(lamp, LineList(np.array(NEON_NM), np.array(STRENGTHS), "air"))

    assert lamp.medium == "air"
    assert axis.calibration.pixel.size >= 7
    assert axis.calibration.rms_nm < 0.01


@pytest.mark.parametrize("verb", ["ccd_acquisitionStart", "mono_moveToPosition"])
def test_whatever_fails_the_lamp_goes_off_and_the_mirror_back(bench: Bench, verb: str) -> None:
    bench.setup.faults.script("icl", verb, 1, Fault(FaultKind.DISCONNECT, duration_s=60.0))

    with pytest.raises(DeviceError):
        bench.measure()

    assert bench.setup.faults.not_fired() == []
    assert bench.state() == (False, False, False)


def test_a_lamp_that_was_on_stays_on(bench: Bench) -> None:
    bench.lamp.switch.set(True)

    bench.measure()

    assert bench.state() == (False, True, False)


def test_a_position_that_is_not_there_moves_nothing(bench: Bench) -> None:
    before = bench.clock.now()

    with pytest.raises(LimitError, match="position 'nowhere': allowed"):
        bench.measure("nowhere")

    assert bench.clock.now() == before


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(*options: str, station: str = LAMP) -> tuple[int, str]:
        path = tmp_path / "station.toml"
        path.write_text(EXAMPLE.read_text(encoding="utf-8") + station, encoding="utf-8")
        arguments = ["devices", "lamp", str(tmp_path / "lamp.txt"), "--station", str(path)]
        result = CliRunner().invoke(
            app, [*arguments, "--centre", "540", "--grating", "2", *options]
        )
        return result.exit_code, result.output

    return run


def test_the_command_writes_the_file_and_says_what_is_in_it(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    status, said = command("--exposure", "0.2")

    assert status == 0, said
    assert "1024 pixels, up to" in said.replace("\n", " ")
    assert (tmp_path / "lamp.txt").read_text().startswith("wavelength in air (nm)\tcounts\n")


def test_a_station_without_a_selector_is_told(command: Callable[..., tuple[int, str]]) -> None:
    status, said = command(station="")

    assert status == 1
    assert "no instrument 'selector'" in said.replace("\n", " ")
