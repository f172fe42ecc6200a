"""The simulated PM100D against the manual's commands, and pymeasure's own client on TCP."""

import threading

import pytest
from pymeasure.adapters import VISAAdapter
from pymeasure.instruments.thorlabs import ThorlabsPM100USB

from simulators.pm100d import PowerMeterSettings, ThorlabsPM100D, responsivity_A_per_W
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import OpticsTruth, Truth
from simulators.world import World


class Bench:
    def __init__(self) -> None:
        self.world = World(Truth(optics=OpticsTruth(laser_uW=2.0, laser_nm=405.0)), seed=1)
        self.core = ThorlabsPM100D(self.world, PowerMeterSettings(noise=0.0, wavelength_nm=635.0))
        self.now = 0.0

    def ask(self, message: str) -> str | None:
        self.core.receive(message.encode() + b"\n", self.now)
        self.now += 1.0
        replies = b"".join(self.core.transmit(self.now)).decode()
        return replies.removesuffix("\n") or None


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "Thorlabs,PM100D,P0012345,2.4.0"),
        ("SYST:SENS:IDN?", "S130C,1234567,20-Mar-2024,1,18,289"),
        ("SENS:CORR:WAV?", "6.35000000E+02"),
        ("SENSE:CORRECTION:WAVELENGTH 405;:CORR:WAV?", "4.05000000E+02"),
        ("SENS:CORR:WAV? MIN", "4.00000000E+02"),
        ("SENS:CORR:WAV MAX;WAV?", "1.10000000E+03"),
        ("SENS:POW:RANG 3e-6;RANG?", "5.00000000E-06"),
        ("SENS:POW:RANG 3e-6;RANG:AUTO?", "0"),
        ("SENS:POW:RANG:AUTO ON;AUTO?", "1"),
        ("SENS:POW:UNIT DBM;UNIT?", "DBM"),
        ("SENS:AVER:COUN 10;COUN?", "1.00000000E+01"),
        ("SYST:ERR?", '+0,"No error"'),
        ("CONF?", "POW"),
        ("*OPC?", "1"),
    ],
)
def test_commands_answer_in_short_and_long_form(bench, message, reply):
    assert bench.ask(message) == reply
    assert bench.ask("SYST:ERR?") == '+0,"No error"'


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("FOO?", '-113,"Undefined header"'),
        ("SENS:CORR:WAV 200", '-222,"Parameter data out of range"'),
        ("SENS:CORR:WAV nan", '-104,"Data type error"'),
        ("SENS:CORR:WAV", '-109,"Missing parameter"'),
        ("SENS:POW:UNIT KW", '-224,"Illegal parameter value"'),
        ("SENS:POW:RANG:AUTO MAYBE", '-224,"Illegal parameter value"'),
        ("*IDN", '-113,"Undefined header"'),
    ],
)
def test_what_is_wrong_is_silent_and_in_the_queue(bench, message, error):
    assert bench.ask(message) is None
    assert bench.ask("SYST:ERR?") == error
    assert bench.ask("SYST:ERR?") == '+0,"No error"'


def test_only_at_the_laser_s_wavelength_the_power_is_true(bench):
    wrong_W = float(bench.ask("MEAS:POW?") or "")
    right_W = float(bench.ask("SENS:CORR:WAV 405;:MEAS:POW?") or "")

    assert right_W == pytest.approx(2e-6)
    ratio = responsivity_A_per_W(405.0) / responsivity_A_per_W(635.0)
    assert wrong_W == pytest.approx(2e-6 * ratio)


def test_power_in_dbm_over_range_and_with_another_laser_power(bench):
    bench.ask("SENS:CORR:WAV 405")
    assert float(bench.ask("SENS:POW:UNIT DBM;:READ?") or "") == pytest.approx(-26.9897, abs=1e-4)
    bench.ask("SENS:POW:UNIT W")
    bench.world.optics.laser_power = 0.5
    assert float(bench.ask("READ?") or "") == pytest.approx(1e-6)

    assert float(bench.ask("SENS:POW:RANG 5e-8;:READ?") or "") > 9e37


def test_without_a_head_there_is_no_power(bench):
    bench.core.sensor_missing = True

    assert bench.ask("SYST:SENS:IDN?") == "no sensor"
    assert bench.ask("MEAS:POW?") is None
    assert bench.ask("SYST:ERR?") == '-241,"Hardware missing"'


@pytest.mark.filterwarnings("ignore:It is not known whether this device support SCPI")
def test_pymeasure_s_own_client_reads_the_power_over_tcp():
    settings = SimulatorSettings(models={"power_meter": "thorlabs.pm100d"})
    addresses: dict[str, str] = {}
    up, over = threading.Event(), threading.Event()

    def ready(found) -> None:
        addresses.update(found)
        up.set()

    options = {"ready": ready, "stop": over.is_set}
    setup = SimulatedSetup(Truth(), 1, settings=settings)
    thread = threading.Thread(target=serve, args=(setup, 20.0), kwargs=options)
    thread.start()
    try:
        assert up.wait(10.0)
        host, port = addresses["power_meter"].removeprefix("tcp://").split(":")
        adapter = VISAAdapter(
            f"TCPIP::{host}::{port}::SOCKET", visa_library="@py", timeout=2000,
            read_termination="\n", write_termination="\n",
        )  # fmt: skip
        try:
            client = ThorlabsPM100USB(adapter)
            assert client.sensor_name == "S130C"
            assert client.is_power_sensor
            client.wavelength = 405
            assert client.wavelength == 405
            assert client.power == pytest.approx(1e-6, rel=0.02)
        finally:
            adapter.connection.close()
            adapter.manager.close()
    finally:
        over.set()
        thread.join(10.0)
