"""The same drivers over real sockets, a pseudo-terminal and a websocket, in scaled time."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from drivers.clock import ScaledClock
from drivers.connections import Connections
from drivers.lakeshore import LakeShore336Config
from drivers.roles import BiasSettings, ExposureSettings
from simulators.serve import serve
from simulators.setup import SimulatedSetup
from simulators.truth import Truth

SCALE = 10.0


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[SimulatedSetup, dict[str, str]]]:
    """A simulated setup that is served, and its addresses."""
    setup = SimulatedSetup(Truth(), 1)
    addresses: dict[str, str] = {}
    is_ready, is_over = threading.Event(), threading.Event()

    def ready(found) -> None:
        addresses.update(found)
        is_ready.set()

    thread = threading.Thread(
        target=serve, args=(setup, SCALE), kwargs={"ready": ready, "stop": is_over.is_set}
    )
    thread.start()
    assert is_ready.wait(10.0)
    yield setup, addresses
    is_over.set()
    thread.join(10.0)


@pytest.fixture
def laboratory(served) -> Iterator[SimpleNamespace]:
    """The served setup and a clock that keeps time with it."""
    setup, addresses = served
    clock = ScaledClock(SCALE)
    connections = Connections(clock)
    yield SimpleNamespace(setup=setup, at=addresses, clock=clock, connect=connections.connect)
    connections.close()


def finish(status, clock):
    while not status.poll():
        clock.wait(0.02)
    status.check()


def test_the_temperature_comes_over_tcp(laboratory):
    config = LakeShore336Config(ramp_K_per_min=60.0)
    cryostat = laboratory.connect("cryostat", "lakeshore.336", laboratory.at["cryostat"], config)
    assert laboratory.at["cryostat"].startswith("tcp://")

    finish(cryostat.set(7.0), laboratory.clock)

    assert cryostat.settings()["setpoint_K"] == 7.0
    assert cryostat.read_temperature().is_good
    cryostat.heater_off()


def test_the_bias_comes_over_tcp(laboratory):
    bias = laboratory.connect("bias", "keithley.2410", laboratory.at["bias"])
    assert laboratory.at["bias"].startswith("tcp://")

    bias.configure(BiasSettings(8.0, 1e-5, 20.0))
    bias.switch_output(True)
    bias.set_level(2.0)
    laboratory.clock.wait(1.0)

    assert bias.measure().voltage_V == pytest.approx(2.0, abs=0.01)
    bias.set_level(0.0)
    bias.switch_output(False)
    assert laboratory.setup.world.bias.terminal_voltage_V() == pytest.approx(0.0, abs=0.01)


def test_stage_and_shutter_come_over_one_serial_line(laboratory):
    address = laboratory.at["elliptec"]
    stage = laboratory.connect("polarizer", "elliptec.ell14", address)
    shutter = laboratory.connect("shutter", "elliptec.ell6", address)
    assert address.startswith("serial://")

    finish(stage.home(), laboratory.clock)
    turning, opening = stage.set(-45.0), shutter.set(True)
    finish(turning, laboratory.clock)
    finish(opening, laboratory.clock)

    assert stage.read()["angle_deg"].value == pytest.approx(-45.0, abs=0.1)
    assert shutter.read()["is_open"].value == 1.0
    finish(shutter.set(False), laboratory.clock)


def test_spectrograph_and_camera_come_over_one_websocket(laboratory):
    address = laboratory.at["icl"]
    mono = laboratory.connect("mono", "horiba.monochromator", address)
    camera = laboratory.connect("ccd", "horiba.ccd", address)
    assert address.startswith("ws://")

    finish(mono.set(521.0, 0), laboratory.clock)
    camera.arm(ExposureSettings(0.3, frames=3, rows=(100, 20)))
    finish(camera.trigger(), laboratory.clock)
    frames = camera.collect()

    true = laboratory.setup.world.camera.frames()
    assert len(frames) == 3
    for frame, (_, counts) in zip(frames, true, strict=True):
        assert np.array_equal(frame.counts, counts)
    assert camera.wavelengths_nm().min() < 521.0 < camera.wavelengths_nm().max()
