"""Where the drivers of the Models 335 and 350 differ from that of the 336."""

from math import inf

import pytest

from drivers.errors import InstrumentError, LimitError
from drivers.lakeshore import (
    LakeShore335Config,
    LakeShore335Controller,
    LakeShore350Config,
    LakeShore350Controller,
)
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import model
from drivers.serial_format import SerialFormat
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

READY = ("OUTMODE? 1;INTYPE? A;RANGE? 1;" * 2)[:-1], "1,1,0;3,1,0,1,1;2;1,1,0;3,1,0,1,1;2"
HEATER_GOOD = ("HTRST? 1", "0")
MODELS = [
    ("lakeshore.335", LakeShore335Controller, LakeShore335Config),
    ("lakeshore.350", LakeShore350Controller, LakeShore350Config),
]


def scripted_controller(link, clock, driver, config):
    line = Line.configured("cryostat", link, clock, config)
    return driver("cryostat", line, clock, config)


@pytest.mark.parametrize(("name", "driver", "config"), MODELS)
def test_they_are_found_by_name_with_the_factory_s_serial_line(name, driver, config):
    found = model(name)

    assert (found.driver, found.config) == (driver, config)
    assert found.serial == SerialFormat(57600, 7, "O", 1)


def test_a_350_gets_the_range_of_its_own_numbering(scripted, clock):
    command = "RAMP 1,1,0.005;SETP 1,25.500;RANGE 1,4"
    link = scripted(READY, HEATER_GOOD, (f"*ESR?;{command};*ESR?", "000;000"))
    config = LakeShore350Config(pacing_s=0.0, ramp_K_per_min=0.005)

    scripted_controller(link, clock, LakeShore350Controller, config).set(25.5)


def test_the_two_outputs_of_a_335_go_off_and_are_read_back(scripted, clock):
    link = scripted(
        ("*ESR?;RANGE 1,0;RANGE 2,0;*ESR?", "000;000"),
        ("RANGE? 1;RANGE? 2;RANGE? 1;RANGE? 2", "0;0;0;0"),
        ("*ESR?;RANGE 1,0;RANGE 2,0;*ESR?", "000;000"),
        ("RANGE? 1;RANGE? 2;RANGE? 1;RANGE? 2", "0;1;0;1"),
    )
    device = scripted_controller(
        link, clock, LakeShore335Controller, LakeShore335Config(pacing_s=0.0)
    )

    device.heater_off()
    with pytest.raises(InstrumentError, match="heaters not off: ranges 0;1"):
        device.heater_off()


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        (LakeShore335Config, {"control_input": "C"}, "expected A to B"),
        (LakeShore335Config, {"heater_ranges": ((inf, 4),)}, "expected 1 to 3 or low"),
        (LakeShore335Config, {"ramp_K_per_min": 0.01}, "expected 0 or 0.1 to 100"),
        (LakeShore350Config, {"ramp_K_per_min": 0.0005}, "expected 0 or 0.001 to 100"),
        (LakeShore350Config, {"heater_ranges": ((inf, 6),)}, "expected 1 to 5 or low"),
        (LakeShore350Config, {"heater_ranges": ((inf, "full"),)}, "expected 1 to 5 or low"),
    ],
)
def test_what_a_model_has_not_is_refused(config, options, expected):
    with pytest.raises(ValueError, match=expected):
        config(**options)


@pytest.mark.parametrize(("name", "driver", "config"), MODELS)
def test_the_simulated_model_is_driven_to_a_temperature_and_off(clock, name, driver, config):
    settings = SimulatorSettings(models={"cryostat": name})
    setup = SimulatedSetup(Truth(), 1, settings=settings)
    device = scripted_controller(
        setup.link("cryostat", clock, Terminated(b"\r\n")),
        clock,
        driver,
        config(ramp_K_per_min=6.0),
    )

    status = device.set(20.0)
    while not status.poll():
        clock.wait(0.5)
    status.check()
    clock.wait(120.0)

    assert device.identify().model == name.upper().replace("LAKESHORE.", "MODEL")
    assert device.read_temperature().value == pytest.approx(20.0, abs=0.05)
    assert device.settings()["heater_range"] == config().heater_range(20.0)
    with pytest.raises(LimitError):
        device.set(400.0)
    device.heater_off()
    assert setup.world.cryostat.heater_W == 0.0
