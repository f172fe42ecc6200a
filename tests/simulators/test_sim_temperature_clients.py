"""Third-party client programs, unmodified, against the simulated temperature controllers on TCP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pymeasure.adapters import VISAAdapter
from pymeasure.instruments.lakeshore.lakeshore3xx import LakeShore3xx
from pymeasure.instruments.oxfordinstruments import MercuryiTC

from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import CryostatTruth, Truth

SCALE = 20.0


@contextmanager
def served(model: str) -> Iterator[tuple[SimulatedSetup, str, int]]:
    """Serve a setup with this controller; yield it, host and port."""
    cooling = "helium_flow" if model.startswith("oxford") else "closed_cycle"
    truth = Truth(cryostat=CryostatTruth(cooling=cooling))
    setup = SimulatedSetup(truth, 1, settings=SimulatorSettings(models={"cryostat": model}))
    addresses: dict[str, str] = {}
    up, over = threading.Event(), threading.Event()

    def ready(found) -> None:
        addresses.update(found)
        up.set()

    thread = threading.Thread(
        target=serve, args=(setup, SCALE), kwargs={"ready": ready, "stop": over.is_set}
    )
    thread.start()
    try:
        assert up.wait(10.0)
        host, port = addresses["cryostat"].removeprefix("tcp://").split(":")
        yield setup, host, int(port)
    finally:
        over.set()
        thread.join(10.0)


@contextmanager
def visa(host: str, port: int, read_termination: str) -> Iterator[VISAAdapter]:
    adapter = VISAAdapter(
        f"TCPIP::{host}::{port}::SOCKET",
        visa_library="@py",
        timeout=2000,
        read_termination=read_termination,
        write_termination="\n",
    )
    try:
        yield adapter
    finally:
        adapter.connection.close()
        adapter.manager.close()


@pytest.mark.parametrize("model", ["lakeshore.335", "lakeshore.336", "lakeshore.350"])
def test_pymeasure_s_lake_shore_reads_and_sets(model):
    with served(model) as (setup, host, port), visa(host, port, "\r\n") as adapter:
        client = LakeShore3xx(adapter)
        assert client.id.startswith(f"LSCI,MODEL{model[-3:]},")
        assert client.input_A.kelvin == pytest.approx(4.8, abs=0.2)
        assert client.input_B.celsius == pytest.approx(4.8 - 273.15, abs=0.2)
        client.output_1.setpoint = 12.5
        client.output_1.range = "medium"
        client.output_1.mout = 5.0
        assert client.output_1.setpoint == 12.5
        assert client.output_1.range == "medium"
        assert client.output_1.mout == 5.0
        assert 0 <= client.output_1.output <= 100
        assert setup.cryostat.outputs.loops[0].heater_range == 2


def test_pymeasure_s_mercury_reads_and_sets():
    with served("oxford.mercuryitc") as (setup, host, port), visa(host, port, "\n") as adapter:
        client = MercuryiTC(adapter)
        sensor, heater = client.TS_MB, client.HTR_MB
        assert "MERCURY iTC" in str(client.identity)
        assert sensor.temperature == pytest.approx(4.8, abs=0.2)
        assert sensor.voltage == pytest.approx(10.3e-3, rel=0.1)
        sensor.control_loop_temperature_setpoint = 12.5
        sensor.control_loop_ramp_rate = 5
        sensor.control_loop_ramp_enabled = True
        sensor.control_loop_PID_enabled = True
        sensor.control_loop_P, sensor.control_loop_I, sensor.control_loop_D = 2, 0.5, 0.1
        assert sensor.control_loop_temperature_setpoint == 12.5
        assert sensor.control_loop_ramp_rate == 5
        assert sensor.control_loop_ramp_enabled is True
        assert sensor.control_loop_PID_enabled is True
        heater.voltage_limit = 20
        assert heater.voltage_limit == 20
        assert heater.max_power == pytest.approx(20**2 / 25.0)
        assert heater.power == pytest.approx(heater.voltage * heater.current, abs=1.0)
        client.add_temperature_sensor("DB6.T1")
        assert client.TS["DB6.T1"].temperature == pytest.approx(4.8, abs=3.0)
        sensor.control_loop_PID_enabled = False
        sensor.control_loop_heater_percent = 0
        assert setup.cryostat.control.is_enabled is False


def test_lake_shore_s_own_package_drives_a_335():
    lakeshore = pytest.importorskip("lakeshore")
    with served("lakeshore.335") as (_, host, port):  # noqa: SIM117
        with lakeshore.Model335(57600, ip_address=host, tcp_port=port) as client:
            client.query("*ESR?", check_errors=False)  # the power-on bit is nobody's fault
            assert (client.model_number, client.serial_number) == ("MODEL335", "LSA24K7")
            assert client.get_all_kelvin_reading() == pytest.approx([4.8, 4.8], abs=0.2)
            resistance = client.HeaterResistance.HEATER_25_OHM
            client.set_heater_setup_one(resistance, 1.5, client.HeaterOutputDisplay.POWER)
            assert client.get_heater_setup(1)["max_current"] == 1.5
            client.set_control_setpoint(1, 10.0)
            client.set_setpoint_ramp_parameter(1, True, 2.5)
            client.set_heater_range(1, client.HeaterRange.MEDIUM)
            client.set_heater_pid(1, 20.0, 30.0, 10.0)
            assert client.get_control_setpoint(1) == 10.0
            assert client.get_setpoint_ramp_parameter(1) == {"ramp_enable": True, "rate_value": 2.5}
            assert client.get_heater_range(1) == client.HeaterRange.MEDIUM
            assert list(client.get_heater_pid(1).values()) == [20.0, 30.0, 10.0]
            assert not client.get_input_reading_status("A").invalid_reading
            client.all_heaters_off()
            assert client.get_heater_range(1) == client.HeaterRange.OFF
            with pytest.raises(lakeshore.InstrumentException, match="Execution Error"):
                client.set_control_setpoint(1, -5.0)
            with pytest.raises(lakeshore.InstrumentException, match="Invalid Command"):
                client.command("FOO 1")


def test_lake_shore_s_own_package_drives_a_336():
    lakeshore = pytest.importorskip("lakeshore")
    with served("lakeshore.336") as (_, host, port):  # noqa: SIM117
        with lakeshore.Model336(ip_address=host, tcp_port=port) as client:
            client.query("*ESR?", check_errors=False)
            assert len(client.get_all_kelvin_reading()) == 4
            client.set_control_setpoint(1, 10.0)
            client.set_heater_range(1, client.HeaterRange.HIGH)
            assert client.get_heater_range(1) == client.HeaterRange.HIGH
            assert client.get_heater_status(1) == client.HeaterError.NO_ERROR
            client.set_temperature_limit("A", 330.0)
            assert client.get_temperature_limit("A") == 330.0
            mode = client.get_heater_output_mode(1)
            assert mode["mode"] == client.HeaterOutputMode.CLOSED_LOOP
            client.all_heaters_off()
            assert client.get_heater_range(1) == client.HeaterRange.OFF


def test_lake_shore_s_own_package_drives_a_350():
    lakeshore = pytest.importorskip("lakeshore")
    with served("lakeshore.350") as (_, host, port):  # noqa: SIM117
        with lakeshore.Model350(ip_address=host, tcp_port=port) as client:
            assert client.query("*IDN?").startswith("LSCI,MODEL350,")
            assert float(client.query("KRDG? A")) == pytest.approx(4.8, abs=0.2)
            client.command("RANGE 1,5")
            client.command("RAMP 1,1,0.005")
            assert client.query("RANGE? 1") == "5"
            assert float(client.query("RAMP? 1").split(",")[1]) == 0.005
