"""The shells under real clients: sockets, pseudo-terminals, websockets."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from pymeasure.adapters import SerialAdapter, VISAAdapter
from pymeasure.instruments.keithley import Keithley2400
from pymeasure.instruments.lakeshore.lakeshore3xx import LakeShore3xx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from simulators.faults import Fault, FaultKind
from simulators.icl_device import IclSettings
from simulators.keithley import KeithleySettings
from simulators.serve import serve
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.shell_clock import ShellClock
from simulators.tcp import LOOPBACK
from simulators.truth import Truth

SCALE = 20.0
FAST = SimulatorSettings(bias=KeithleySettings(terminator=b"\n", boot_s=1.0))


class Served:
    """A setup that is being served, and where."""

    def __init__(self, setup: SimulatedSetup, addresses: Mapping[str, str]) -> None:
        self.setup = setup
        self.addresses = addresses

    def host_port(self, name: str) -> tuple[str, int]:
        host, port = self.addresses[name].rpartition("/")[2].split(":")
        return host, int(port)

    def socket(self, name: str) -> socket.socket:
        client = socket.create_connection(self.host_port(name), timeout=5.0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def resource(self, name: str) -> str:
        return "TCPIP::{}::{}::SOCKET".format(*self.host_port(name))

    def device(self, name: str) -> str:
        return self.addresses[name].removeprefix("serial://")


@contextmanager
def served(setup: SimulatedSetup | None = None, **options: Any) -> Iterator[Served]:
    setup = setup or SimulatedSetup(Truth(), 1, settings=FAST)
    addresses: dict[str, str] = {}
    up, over = threading.Event(), threading.Event()

    def ready(found: Mapping[str, str]) -> None:
        addresses.update(found)
        up.set()

    def run() -> None:
        serve(setup, SCALE, ready=ready, stop=over.is_set, **options)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(10.0)
        yield Served(setup, addresses)
    finally:
        over.set()
        thread.join(10.0)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def bench() -> Iterator[Served]:
    with served() as bench:
        yield bench


def ask(client: socket.socket, message: bytes) -> bytes:
    client.sendall(message)
    return client.recv(4096)


def test_every_port_has_an_address_on_loopback(bench: Served) -> None:
    assert {name: address.partition("://")[0] for name, address in bench.addresses.items()} == {
        "cryostat": "tcp",
        "bias": "tcp",
        "elliptec": "serial",
        "icl": "ws",
    }
    for name in ("cryostat", "bias", "icl"):
        assert bench.host_port(name)[0] == LOOPBACK


def listening_addresses() -> set[str]:
    """Return the local addresses, as the kernel writes them, on which this process listens."""
    owned = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink().name
        except OSError:
            continue
        if target.startswith("socket:["):
            owned.add(target[8:-1])
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in owned}


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux' /proc")
def test_nothing_listens_beyond_loopback(bench: Served) -> None:
    assert bench.addresses
    assert listening_addresses() == {"0100007F"}  # 127.0.0.1, IPv4 only


def test_a_socket_carries_the_bytes_of_the_instrument(bench: Served) -> None:
    with bench.socket("cryostat") as client:
        assert ask(client, b"*IDN?\r\n") == b"LSCI,MODEL336,LSA24K7/2136045,2.9\r\n"


def test_a_message_may_come_in_pieces(bench: Served) -> None:
    with bench.socket("cryostat") as client:
        for piece in (b"*ID", b"N", b"?"):
            client.sendall(piece)

        assert ask(client, b"\n").startswith(b"LSCI")


def test_clients_come_and_go_and_the_world_lives_on(bench: Served) -> None:
    with bench.socket("cryostat") as client:
        assert ask(client, b"SETP 1,33;SETP? 1\n") == b"+033.000\r\n"
        client.sendall(b"KRDG? A\nSETP 1,")  # and dies in the middle of a message

    with bench.socket("cryostat") as client:
        assert ask(client, b"SETP? 1\n") == b"+033.000\r\n"
        with bench.socket("cryostat") as other:
            assert ask(other, b"SETP? 1\n") == b"+033.000\r\n"
        assert ask(client, b"SETP? 1\n") == b"+033.000\r\n"


def test_time_runs_at_its_scale(bench: Served) -> None:
    with bench.socket("bias") as client:
        before = float(ask(client, b":SYST:TIME?\n"))
        select.select([], [], [], 0.1)
        after = float(ask(client, b":SYST:TIME?\n"))

    assert after - before > 0.1 * SCALE


def test_pymeasure_reads_and_sets_the_controller_over_tcp(bench: Served) -> None:
    adapter = VISAAdapter(
        bench.resource("cryostat"), visa_library="@py", timeout=5000, read_termination="\r\n"
    )
    controller = LakeShore3xx(adapter)
    try:
        assert controller.id.startswith("LSCI,MODEL336")
        controller.output_1.setpoint = 12.5
        controller.output_1.range = "medium"

        assert controller.output_1.setpoint == 12.5
        assert controller.output_1.range == "medium"
        assert 1.0 < controller.input_A.kelvin < 30.0
        assert controller.input_B.sensor > 10.0
        assert controller.input_A.celsius < -240.0
        controller.output_1.range = "off"
        assert controller.output_1.output == 0.0
    finally:
        adapter.connection.close()
        adapter.manager.close()


def exercise(supply: Keithley2400) -> None:
    supply.reset()
    assert supply.id.startswith("KEITHLEY INSTRUMENTS INC.,MODEL 2410")
    supply.output_off_state = "normal"
    supply.source_mode = "voltage"
    supply.source_voltage = 5.0
    supply.compliance_current = 1e-5
    supply.source_enabled = True
    assert supply.source_enabled
    assert supply.voltage == pytest.approx(5.0, abs=0.05)
    assert abs(supply.current) < 1e-5
    supply.ramp_to_voltage(8.0, steps=3, pause=0.001)
    assert supply.source_voltage == 8.0
    assert supply.check_errors() == []
    supply.source_enabled = False
    assert not supply.source_enabled


def test_pymeasure_drives_the_supply_over_tcp(bench: Served) -> None:
    adapter = VISAAdapter(
        bench.resource("bias"), visa_library="@py", timeout=5000,
        read_termination="\n", write_termination="\n",
    )  # fmt: skip
    try:
        exercise(Keithley2400(adapter))
    finally:
        adapter.connection.close()
        adapter.manager.close()


def test_pymeasure_drives_the_supply_over_a_pseudo_terminal() -> None:
    with served(transports={"bias": "serial", "elliptec": "tcp"}) as bench:
        port = serial.Serial(bench.device("bias"), 9600, timeout=5.0, exclusive=True)
        try:
            exercise(
                Keithley2400(SerialAdapter(port, write_termination="\n", read_termination="\n"))
            )
        finally:
            port.close()
        with bench.socket("elliptec") as client:
            assert ask(client, b"0gs") == b"0GS00\r\n"


def test_the_terminal_is_raw_and_stays_when_a_client_leaves(bench: Served) -> None:
    for _ in range(2):
        with serial.Serial(bench.device("elliptec"), 9600, timeout=5.0) as port:
            port.write(b"1fw")
            assert port.read_until(b"\r\n") == b"1PO0000001F\r\n"
            port.write(b"1bw")
            assert port.read_until(b"\r\n") == b"1PO00000000\r\n"


def test_a_websocket_carries_text_and_binary_messages(bench: Served) -> None:
    with connect(bench.addresses["icl"]) as client:
        client.send('{"id":5,"command":"icl_binMode","parameters":{"mode":"all"}}')
        assert json.loads(client.recv(5.0))["id"] == 5
        client.send('{"id":6,"command":"icl_info"}')

        assert isinstance(client.recv(5.0), bytes)
        assert json.loads(client.recv(5.0))["id"] == 6
        client.send('{"id":7,"command":"icl_binMode","parameters":{"mode":"none"}}')
    with connect(bench.addresses["icl"]) as client:
        client.send('{"id":8,"command":"icl_info"}')
        assert json.loads(client.recv(5.0))["id"] == 8


def test_a_kinetic_series_comes_as_one_message(bench: Served) -> None:
    def call(command: str, **parameters: object) -> dict[str, Any]:
        message = {"id": 1, "command": command, "parameters": {"index": 0} | parameters}
        client.send(json.dumps(message))
        answer: dict[str, Any] = json.loads(client.recv(5.0))
        return answer

    with connect(bench.addresses["icl"], max_size=None) as client:
        call("ccd_discover")
        call("ccd_open")
        call("ccd_setExposureTime", time=1)
        call("ccd_setAcqCount", count=20)
        call("ccd_setAcqFormat", format=1, numberOfRois=1)
        call(
            "ccd_setRoi", roiIndex=1, xOrigin=0, yOrigin=100, xSize=1024, ySize=40, xBin=1, yBin=40
        )
        call("ccd_acquisitionStart", openShutter=True)
        while call("ccd_getAcquisitionBusy")["results"]["isBusy"]:
            select.select([], [], [], 0.01)

        acquisitions = call("ccd_getAcquisitionData")["results"]["acquisition"]

    assert len(acquisitions) == 20


def test_a_broken_line_hangs_up_on_clients_and_comes_back() -> None:
    setup = SimulatedSetup(Truth(), 1, settings=FAST)
    for port, verb in (("cryostat", "HTR?"), ("elliptec", "gv"), ("icl", "icl_info")):
        setup.faults.script(port, verb, 1, Fault(FaultKind.DISCONNECT, duration_s=0.2 * SCALE))

    with served(setup) as bench:
        with bench.socket("cryostat") as client:
            client.sendall(b"HTR? 1\n")
            with pytest.raises(ConnectionError):
                raise_on_end(client.recv(100))
        with connect(bench.addresses["icl"]) as websocket:
            websocket.send('{"id":1,"command":"icl_info"}')
            with pytest.raises(ConnectionClosed):
                websocket.recv(5.0)
        with serial.Serial(bench.device("elliptec"), 9600, timeout=5.0) as port:
            port.write(b"0gv")
            with pytest.raises((serial.SerialException, ConnectionError)):
                raise_on_end(port.read(1))

        select.select([], [], [], 0.4)
        with bench.socket("cryostat") as client:
            assert ask(client, b"HTR? 1\n") == b"+000.0\r\n"
        with serial.Serial(bench.device("elliptec"), 9600, timeout=5.0) as port:
            port.write(b"0gv")
            assert port.read_until(b"\r\n") == b"0GV64\r\n"
        with connect(bench.addresses["icl"]) as websocket:
            websocket.send('{"id":2,"command":"icl_info"}')
            assert json.loads(websocket.recv(5.0))["id"] == 2
        assert setup.faults.count(FaultKind.DISCONNECT) == 3


def raise_on_end(received: bytes) -> None:
    """A closed socket reads as nothing."""
    if not received:
        raise ConnectionResetError("closed")


def test_a_transport_that_a_port_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'ws' at port 'cryostat'; there is cryostat: tcp"):
        serve(SimulatedSetup(Truth(), 1), transports={"cryostat": "ws"})
    with pytest.raises(ValueError, match="port 'laser'"):
        serve(SimulatedSetup(Truth(), 1), transports={"laser": "tcp"})


def test_a_port_in_use_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            serve(SimulatedSetup(Truth(), 1), ports={"cryostat": taken.getsockname()[1]})


def test_a_time_scale_has_to_be_positive() -> None:
    with pytest.raises(ValueError, match="time scale 0"):
        ShellClock(0)


def test_serving_continues_where_the_world_is() -> None:
    setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(icl=IclSettings()))
    setup.world.advance(1000.0)

    with served(setup) as bench, bench.socket("cryostat") as client:
        assert ask(client, b"*IDN?\n").startswith(b"LSCI")

    assert setup.world.now > 1000.0


SERVER = """
import json, sys
from pathlib import Path
from simulators.serve import serve
from simulators.setup import SimulatedSetup
from simulators.truth import Truth
serve(SimulatedSetup(Truth(), 1), 5.0, supply_log=Path(sys.argv[1]), directory=Path(sys.argv[2]),
      ready=lambda addresses: print(json.dumps(dict(addresses)), flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_of_its_own_logs_the_supply_live_and_stops_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "supply.jsonl"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(log), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert server.stdout is not None
        addresses = json.loads(server.stdout.readline())
        host, port = addresses["bias"].removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), timeout=5.0) as client:
            client.sendall(b":OUTP:SMOD NORM;:SOUR:VOLT:RANG 20;:OUTP ON;:SOUR:VOLT 7.5;:OUTP?\r")
            assert client.recv(100) == b"1\r"
            entries = [json.loads(line) for line in log.read_text().splitlines()]

        assert set(entries[-1]) == {"time_s", "programmed_V", "terminal_V", "event"}
        assert entries[-1]["programmed_V"] == 7.5
        assert any("output on" in entry["event"] for entry in entries)
        assert os.path.lexists(tmp_path / "elliptec")
        server.send_signal(number)
        output, errors = server.communicate(timeout=10.0)
    finally:
        server.kill()
        server.wait()
    assert (server.returncode, output, errors) == (0, "", "")
    assert not os.path.lexists(tmp_path / "elliptec")
