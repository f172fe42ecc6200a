"""`cryoscan devices`: names are asked for and nothing else; a look changes nothing."""

import re
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acquisition.cli import app
from acquisition.configuration.config import load_station
from acquisition.configuration.sweep_file import SampleConfig
from acquisition.instruments.devices_health import Latency, examine
from acquisition.instruments.devices_list import who_answers
from acquisition.instruments.devices_talk import Console, open_console
from acquisition.instruments.laboratory import open_laboratory
from acquisition.instruments.open_station import open_instrument, open_station
from acquisition.simulated_laboratory import in_process
from drivers.clock import RealClock, VirtualClock
from drivers.connections import Connections
from drivers.errors import LinkClosed, StateError
from drivers.link import Framing, Link
from drivers.roles import Device
from drivers.serial_format import SerialFormat
from simulators.setup import MODELS, SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

EXAMPLE = Path(__file__).parents[2] / "examples" / "station_simulated.toml"
EVERYWHERE = [(port, name) for port, names in MODELS.items() for name in names]
NAME_QUESTIONS = re.compile(
    # IEEE 488.2, Elliptec, Acton, Pfeiffer (reset of the interface, question, ENQ), attocube (with
    # its password), Numato, Thorlabs APT (no updates, information), ICL
    rb"\*IDN\?\s+|[01]in|model\r|serial\r|\x03|AYT\r\n|\x05|123456\r\n|(?:ver|getcser)\r\n"
    rb"|id get\r|\x12\x00\x00\x00\x50\x01|\x05\x00\x00\x00\x50\x01"
    rb'|\{"id": \d+, "command": "(?:icl_info|icl_binMode|\w+_discover|\w+_list|\w+_open|\w+_isOpen'
    rb'|ccd_getConfig|mono_isInitialized|mono_getConfig)".*\}',
    re.DOTALL,
)
MORE = """
[gauge]
model = "pfeiffer.tpg361"
address = "sim://gauge"
max_pressure = "1e-3 mbar"

[power_meter]
model = "thorlabs.pm100d"
address = "sim://power_meter"

[selector]
model = "thorlabs.mff101"
address = "sim://flip"

[switch]
model = "numato.relay"
address = "sim://relay"
relay = 2

[positioner]
model = "attocube.anc300"
address = "sim://positioner"
options = { axes = [["x", 1]] }
"""
SECTIONS = [
    "cryostat", "spectrograph", "camera", "polarizer", "shutter", "bias",
    "gauge", "power_meter", "selector", "switch", "positioner",
]  # fmt: skip


class Overheard:
    """A link that keeps what was sent."""

    def __init__(self, link: Link, sent: list[bytes]) -> None:
        self._link = link
        self._sent = sent
        self.poll, self.reset, self.close = link.poll, link.reset, link.close

    def send(self, message: bytes) -> None:
        self._sent.append(message)
        self._link.send(message)


def ask(port: str, models: dict[str, str]) -> tuple[list[str], list[bytes]]:
    """Return the models that were recognised at a simulated port, and what went over the wire."""
    clock = VirtualClock()
    setup = SimulatedSetup(Truth(), 1, settings=SimulatorSettings(models=models))
    sent: list[bytes] = []

    def open_sim(address: str, framing: Framing, _: SerialFormat) -> Link:
        link = setup.link(address.removeprefix("sim://"), clock, framing)
        return Overheard(link, sent)

    answers = who_answers(f"sim://{port}", clock, {"sim": open_sim})
    return [answer.model for answer in answers], sent


@pytest.fixture(scope="module")
def station_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("station") / "station.toml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    return path


@pytest.fixture
def command(station_file: Path) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str, typed: str | None = None) -> tuple[int, str]:
        words = [str(station_file) if word == "FILE" else word for word in arguments]
        result = CliRunner().invoke(app, ["devices", *words], input=typed)
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize(("port", "name"), EVERYWHERE)
def test_every_model_is_recognised_by_the_name_it_gives(port: str, name: str) -> None:
    found, _ = ask(port, {port: name})
    assert found == [name]


def test_the_modules_of_a_bus_are_all_recognised() -> None:
    assert ask("elliptec", {})[0] == ["elliptec.ell14", "elliptec.ell6"]
    assert ask("icl", {})[0] == ["horiba.ccd", "horiba.monochromator"]


@pytest.mark.parametrize("port", [*MODELS, "elliptec", "icl"])
def test_nothing_is_sent_but_questions_for_a_name(port: str) -> None:
    models = {port: list(MODELS[port])[-1]} if port in MODELS else {}
    _, sent = ask(port, models)
    assert sent
    assert [message for message in sent if not NAME_QUESTIONS.fullmatch(message)] == []


def test_the_entry_to_write_is_one_that_can_be_read() -> None:
    setup = SimulatedSetup(Truth(), 1)
    clock = VirtualClock()
    openers = {"sim": lambda at, framing, _: setup.link(at[6:], clock, framing)}
    (answer,) = who_answers("sim://cryostat", clock, openers)
    assert answer.entry == (
        '[cryostat]\nmodel = "lakeshore.336"\naddress = "sim://cryostat"\nserial = "LSA24K7"'
    )


@pytest.mark.parametrize("name", SECTIONS)
def test_every_instrument_of_a_station_can_be_looked_at(
    name: str, command: Callable[..., tuple[int, str]]
) -> None:
    status, said = command("test", name, "--station", "FILE", "--queries", "3")
    assert re.search(r"serial \S*", said)
    assert re.search(r"latency  name: .* ms shortest, .* median, .* longest of 3", said)
    bad = re.findall(r"channel .*  (?:out of range|fault)", said)
    assert (status == 1) == bool(bad), said


def test_a_look_changes_nothing(station_file: Path) -> None:
    config = load_station(station_file)
    laboratory = open_laboratory(config, in_process)
    with closing(laboratory.connections):
        for name in SECTIONS:
            device: Device = open_instrument(config, name, laboratory.connections)
            first = examine(device, laboratory.clock, 2)
            assert dict(device.settings()) == dict(first.settings), name


def test_selector_switch_and_positioner_are_part_of_the_station(station_file: Path) -> None:
    config = load_station(station_file)
    laboratory = open_laboratory(config, in_process)
    sample = SampleConfig.model_validate({"name": "S", "material": "CsPbBr3"})
    with closing(
        open_station(
            config, sample, laboratory.connections, laboratory.clock, largest_voltage_V=None
        )
    ) as station:
        assert station.selector is not None
        assert station.switch is not None
        assert station.positioner is not None
        assert station.selector.positions == ("sample", "calibration")
        assert station.positioner.axes == ("x",)
        station.switch.set(True)
        assert station.switch.read()["is_on"].value == 1


def test_all_instruments_of_a_station_are_asked_who_they_are(
    command: Callable[..., tuple[int, str]],
) -> None:
    status, said = command("list", "--station", "FILE")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == SECTIONS
    assert "cryostat  lakeshore.336  sim://cryostat  LSCI MODEL336, serial LSA24K7" in said
    assert "Error" not in said


def test_ports_are_listed_and_none_is_opened(
    command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert command() == (0, "no serial ports\n")
    assert command("list") == (0, "no serial ports\n")


def test_an_address_where_nobody_listens_is_said(command: Callable[..., tuple[int, str]]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    status, said = command("list", "--address", f"tcp://127.0.0.1:{port}")
    assert status == 1
    assert "cannot connect" in said


def test_an_instrument_where_nobody_listens_is_said_with_its_address_once(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    text = EXAMPLE.read_text(encoding="utf-8")
    path = tmp_path / "station.toml"
    path.write_text(text.replace('"sim://cryostat"', f'"{address}"'), encoding="utf-8")
    config = load_station(path)
    with (
        closing(Connections(RealClock())) as connections,
        pytest.raises(LinkClosed, match=r"^cryostat: at tcp:.*: cannot connect: ") as caught,
    ):
        open_instrument(config, "cryostat", connections)
    assert str(caught.value).count(address) == 1


def test_an_instrument_that_is_not_in_the_file_is_named(
    command: Callable[..., tuple[int, str]],
) -> None:
    status, said = command("test", "magnet", "--station", "FILE")
    assert status == 1
    assert "no instrument 'magnet': cryostat, spectrograph" in said


def test_the_console_shows_every_byte(command: Callable[..., tuple[int, str]]) -> None:
    status, said = command("talk", "cryostat", "--station", "FILE", typed="*IDN?\nnonsense\n")
    assert status == 0
    wire = [line.partition("  ")[0] for line in said.splitlines() if line[0] in "<>"]
    assert wire == [
        r"> '*IDN?\n'",
        r"< 'LSCI,MODEL336,LSA24K7/2136045,2.9\r\n'",
        r"> 'nonsense\n'",
    ]
    assert "nothing came" in said


def test_a_binary_line_has_no_console(command: Callable[..., tuple[int, str]]) -> None:
    status, said = command("talk", "selector", "--station", "FILE", typed="")
    assert status == 1
    assert "speaks no text" in said


def test_the_console_is_refused_while_another_program_holds_the_line(station_file: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        section = load_station(station_file).cryostat
        assert section is not None
        section = section.model_copy(update={"address": address})
        clock, shown = VirtualClock(), list[str]()
        console, link = open_console("cryostat", section, clock, shown.append)
        assert isinstance(console, Console)
        with closing(link), pytest.raises(LinkClosed, match=r"in use by .*\(process \d+\)"):
            open_console("cryostat", section, clock, shown.append)


def test_a_camera_sdk_has_no_wire(station_file: Path) -> None:
    camera = load_station(station_file).camera.model_copy(update={"address": "process://andor"})
    with pytest.raises(StateError, match="no wire"):
        open_console("camera", camera, VirtualClock(), print)


def test_latency_is_told_in_ms() -> None:
    told = str(Latency("name", (0.003, 0.001, 0.002)))
    assert told == "name: 1 ms shortest, 2 median, 3 longest of 3"
