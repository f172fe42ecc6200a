"""The drivers of the other models over real sockets and pseudo-terminals."""

import threading
from collections.abc import Iterator, Mapping

import pytest

from drivers.clock import ScaledClock
from drivers.connections import Connections
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

SCALE = 20.0
MODELS = {
    "bias": "keithley.2470",
    "spectrograph": "acton.spectrapro",
    "rotator": "thorlabs.k10cr1",
    "flip": "thorlabs.mff101",
    "relay": "numato.relay",
    "positioner": "attocube.anc300",
}


@pytest.fixture
def addresses() -> Iterator[Mapping[str, str]]:
    setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(models=MODELS))
    found: dict[str, str] = {}
    ready, stopped = threading.Event(), threading.Event()

    def tell(served: Mapping[str, str]) -> None:
        found.update(served)
        ready.set()

    server = threading.Thread(
        target=serve, args=(setup, SCALE), kwargs={"ready": tell, "stop": stopped.is_set}
    )
    server.start()
    try:
        assert ready.wait(10.0)
        yield found
    finally:
        stopped.set()
        server.join()


def wait_for(clock, status):
    for _ in range(2000):
        if status.poll():
            break
        clock.wait(0.1)
    status.check()


def test_each_answers_moves_and_can_be_connected_again(addresses):
    clock = ScaledClock(SCALE)
    serials = {}
    for _ in range(2):
        connections = Connections(clock)
        devices = {
            port: connections.connect(port, name, addresses[port]) for port, name in MODELS.items()
        }
        serials.update({port: device.identify().serial for port, device in devices.items()})
        wait_for(clock, devices["flip"].set("calibration"))
        wait_for(clock, devices["relay"].set(True))
        wait_for(clock, devices["spectrograph"].set(530.0, 1))
        wait_for(clock, devices["rotator"].home())
        wait_for(clock, devices["rotator"].set(20.0))
        wait_for(clock, devices["positioner"].move_by("x", 50))
        assert devices["spectrograph"].read()["wavelength_nm"].value == 530.0
        assert not devices["bias"].is_output_on()
        connections.close()

    assert serials == {
        "bias": "04387201",
        "spectrograph": "27510347",
        "rotator": "55000123",
        "flip": "37000456",
        "relay": "RELAY001",
        "positioner": "ANC300B-C-4711",
    }
