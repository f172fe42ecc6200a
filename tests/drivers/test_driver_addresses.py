import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass

import pytest

from drivers.addresses import OPENERS, AddressError, open_link
from drivers.connections import Connections
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import known_models, model, register
from drivers.roles import TemperatureController
from drivers.serial_format import SerialFormat

LF = Terminated(b"\n")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "expected tcp://, serial://, visa://, ws://"),
        ("192.168.1.4:7777", "expected tcp://"),
        ("http://host:80", "expected tcp://"),
        ("tcp://host", "expected tcp://host:port"),
        ("tcp://:7777", "expected tcp://host:port"),
        ("tcp://host:70000", "Port out of range"),
        ("tcp://host:port", "port"),
        ("tcp://host:7777/path", "expected tcp://host:port"),
        ("ws://host", "expected ws://host:port"),
        ("serial://", "names no port"),
        ("serial:///dev/ttyUSB0?speed=9600", "unknown speed; allowed: baud, format"),
        ("serial:///dev/ttyUSB0?baud=fast", "fast"),
        ("serial:///dev/ttyUSB0?format=9Z1", "expected e.g. 9600 8N1"),
        ("serial:///dev/ttyUSB0?baud", "baud"),
        ("visa://?library=@py", "names no port"),
    ],
)
def test_a_malformed_address_says_what_is_expected(address, message):
    with pytest.raises(AddressError, match=message.replace("?", r"\?")) as caught:
        open_link(address, LF)
    assert repr(address) in str(caught.value)


def test_another_scheme_is_one_entry_in_the_table():
    link = object()

    opened = open_link(
        "sim://cryostat", LF, openers={**OPENERS, "sim": lambda address, framing, serial: link}
    )

    assert opened is link


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("serial:///dev/ttyUSB0", SerialFormat(57600, 7, "O", 1)),
        ("serial:///dev/ttyUSB0?format=8N1", SerialFormat(57600, 8, "N", 1)),
        ("serial://COM3?baud=9600&format=8E2", SerialFormat(9600, 8, "E", 2)),
    ],
)
def test_the_address_overrides_the_factory_setting_of_a_serial_port(address, expected, monkeypatch):
    opened = []
    monkeypatch.setattr("drivers.serial_link.SerialLink", lambda *how: opened.append(how))

    open_link(address, LF, SerialFormat(57600, 7, "O", 1))

    port = address.removeprefix("serial://").partition("?")[0]
    assert opened == [(port, LF, expected)]


def test_every_model_is_found_by_name_and_configured_without_arguments():
    assert {
        "elliptec.ell14",
        "elliptec.ell6",
        "horiba.ccd",
        "horiba.monochromator",
        "keithley.2410",
        "keithley.2470",
        "lakeshore.336",
    } <= set(known_models())
    for name in known_models():
        config = model(name).config()
        with pytest.raises(FrozenInstanceError):
            config.serial = "other"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lakeshore.338", "did you mean 'lakeshore.33"),
        ("keithly.2410", "did you mean 'keithley.2410'"),
        ("x", "known: .*elliptec.ell14, "),
    ],
)
def test_an_unknown_model_is_answered_with_what_was_probably_meant(name, hint):
    with pytest.raises(LookupError, match=hint):
        model(name)


def test_a_model_can_be_registered_from_elsewhere_and_only_once(scripted, clock):
    @dataclass(frozen=True, slots=True)
    class Config:
        serial: str = ""
        pacing_s: float = 0.0
        timeout_s: float = 0.1

    how = {"config": Config, "framing": LF, "line": Line.configured}

    @register("homemade.thermometer", TemperatureController, **how)
    class Thermometer:
        def __init__(self, name, line, clock, config):
            self.name, self.line = name, line

    with pytest.raises(ValueError, match="registered twice"):
        register("homemade.thermometer", TemperatureController, **how)(Thermometer)
    opener = {"sim": lambda *_: scripted(("T?", "4.2"))}
    device = Connections(clock, opener).connect("cryostat", "homemade.thermometer", "sim://x")
    assert device.line.ask("T?") == "4.2"
    from drivers import registry

    del registry._models["homemade.thermometer"]


def test_instruments_on_one_bus_share_its_line_and_others_may_not(scripted, clock):
    opened = []

    def opener(address, framing, serial):
        opened.append(scripted())
        return opened[-1]

    connections = Connections(clock, {"sim": opener})
    connections.connect("polarizer", "elliptec.ell14", "sim://elliptec")
    connections.connect("shutter", "elliptec.ell6", "sim://elliptec")
    connections.connect("cryostat", "lakeshore.336", "sim://cryostat")
    assert len(opened) == 2

    with pytest.raises(ValueError, match=r"already belongs to a elliptec\.ell14"):
        connections.connect("bias", "keithley.2410", "sim://elliptec")
    with pytest.raises(ValueError, match=r"already belongs to a lakeshore\.336"):
        connections.connect("other", "lakeshore.336", "sim://cryostat")
    connections.close()
    assert all(link.is_closed for link in opened)


def test_a_configuration_of_another_model_is_refused(scripted, clock):
    connections = Connections(clock, {"sim": lambda *_: scripted()})
    config = model("keithley.2410").config()

    with pytest.raises(TypeError, match="takes a LakeShore336Config"):
        connections.connect("cryostat", "lakeshore.336", "sim://cryostat", config)


def test_checking_a_station_imports_no_instrument_library():
    heavy = "{'pymeasure', 'pyvisa', 'serial', 'websockets', 'pandas'}"
    code = (
        "import sys; from drivers.registry import known_models, model; import drivers.connections;"
        "[model(name).config() for name in known_models()];"
        f"print(sorted({heavy} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
