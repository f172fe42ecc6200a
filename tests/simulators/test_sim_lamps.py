"""Which light reaches the spectrometer: the sample's or, through the flip mirror, a lamp's."""

import numpy as np
import pytest

from simulators.lamps import LINES_NM
from simulators.numato import NumatoRelays, NumatoSettings
from simulators.optics import HC_EV_NM, air_to_vacuum_nm
from simulators.truth import CameraTruth, OpticsTruth, Truth
from simulators.world import World


def world_at(centre_nm: float) -> World:
    optics = OpticsTruth(start_centre_nm=centre_nm, wavelength_error_nm=0.0)
    return World(Truth(optics=optics, camera=CameraTruth(cosmic_per_min_cm2=0.0)), seed=1)


def exposed(world: World, seconds: float = 1.0) -> np.ndarray:
    start_s = world.now
    world.camera.start(seconds, rows=(0, 256), readout_s=0.0)
    world.advance(start_s + seconds + 1.0)
    ((_, counts),) = world.camera.frames()
    stray_e = 256 * world.truth.optics.stray_e_per_px_s * seconds
    return np.asarray(counts, float) - 1000.0 - stray_e


def test_lines_of_neon_stand_at_their_wavelengths() -> None:
    world = world_at(540.0)
    world.optics.calibration_port = True
    world.optics.line_lamp_on = True

    counts = exposed(world)

    strongest = int(counts.argmax())
    edges_nm = HC_EV_NM / world.optics.edges_eV()[strongest : strongest + 2]
    line_nm = float(air_to_vacuum_nm(np.array([540.0562]))[0])
    assert edges_nm[0] - 0.02 < line_nm < edges_nm[1] + 0.02
    assert counts.sum() == pytest.approx(2e4 * _intensity_within(world), rel=0.02)


def _intensity_within(world: World) -> float:
    edges_nm = HC_EV_NM / world.optics.edges_eV()
    lines = [(float(air_to_vacuum_nm(np.array([nm]))[0]), share) for nm, share in LINES_NM]
    return sum(share for nm, share in lines if edges_nm[0] < nm < edges_nm[-1])


def test_the_white_lamp_has_no_lines() -> None:
    world = world_at(540.0)
    world.optics.calibration_port = True
    world.optics.white_lamp_on = True

    counts = exposed(world)

    assert counts.min() > 200.0
    assert np.abs(np.diff(counts.reshape(-1, 64).mean(axis=1))).max() < 20.0


def test_the_mirror_decides_between_sample_and_lamp() -> None:
    world = world_at(518.3)
    world.optics.shutter_open = True
    world.optics.line_lamp_on = True
    sample = exposed(world)
    world.optics.calibration_port = True
    lamp = exposed(world)
    world.optics.line_lamp_on = False
    dark = exposed(world)

    assert sample.sum() > 1000.0
    assert lamp.max() > 1000.0
    assert int(lamp.argmax()) != int(sample.argmax())
    assert abs(dark.sum()) < 2000.0
    assert world.dose_s > 3.0  # behind the mirror the laser still ages the sample


# The relay module that switches the lamps


class Console:
    def __init__(self) -> None:
        self.world = world_at(540.0)
        self.core = NumatoRelays(self.world, NumatoSettings())
        self.now = 0.0

    def ask(self, line: str) -> bytes:
        self.core.receive(line.encode() + b"\r", self.now)
        self.now += 0.01
        return b"".join(self.core.transmit(self.now))


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("ver", b"ver\n\r00000009\n\r>"),
        ("id get", b"id get\n\rRELAY001\n\r>"),
        ("relay read 0", b"relay read 0\n\roff\n\r>"),
        ("relay on 0", b"relay on 0\n\r>"),
        ("relay readall", b"relay readall\n\r00\n\r>"),
        ("relay read 9", b"relay read 9\n\r>"),
        ("foo", b"foo\n\r>"),
    ],
)
def test_the_console_repeats_answers_and_prompts(line: str, reply: bytes) -> None:
    assert Console().ask(line) == reply


def test_relays_switch_the_lamps_until_power_goes() -> None:
    console = Console()
    optics = console.world.optics
    console.ask("relay on 0")
    console.ask("relay on 1")
    assert console.ask("relay readall") == b"relay readall\n\r03\n\r>"
    assert optics.line_lamp_on
    assert optics.white_lamp_on

    console.ask("relay writeall 02")
    assert (optics.line_lamp_on, optics.white_lamp_on) == (False, True)
    console.core.power_cycle(console.now)
    assert not optics.white_lamp_on
    assert console.ask("relay read 1") == b""  # it boots
