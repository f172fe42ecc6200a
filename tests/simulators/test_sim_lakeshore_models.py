"""Where the simulated Models 335 and 350 differ from the 336, which test_sim_lakeshore.py tests."""

from itertools import pairwise

import pytest

from simulators.lakeshore import LakeShore335, LakeShore350
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth
from simulators.world import World


class Bench:
    def __init__(self, core) -> None:
        self.world = World(Truth(), seed=1)
        self.core = core(self.world)
        self.now = 0.0
        self.ask("*ESR?")

    def ask(self, message: str) -> str | None:
        self.core.receive(message.encode() + b"\n", self.now)
        self.now += 0.1
        return b"".join(self.core.transmit(self.now)).decode().removesuffix("\r\n") or None


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "LSCI,MODEL335,LSA24K7/2136045,2.9"),
        ("HTRSET? 2", "0,1,1,+0.000,2"),
        ("HTRSET 1,0,1,0,1.5,2;HTRSET? 1", "0,1,0,+1.500,2"),
        ("HTRSET 2,1,1,1,0,1;HTRSET? 2", "1,1,1,+0.000,1"),
        ("RANGE 2,3;RANGE? 2", "3"),
        ("HTRSET 2,1,1,1,0,1;OUTMODE 2,4,1,0;OUTMODE? 2", "4,1,0"),  # a voltage: monitor out
        ("RAMP 1,1,0.1;RAMP? 1", "1,+000.1"),
        ("AOUT? 2", "+000.0"),
        ("EMUL 0,0;*OPC?", "1"),
        ("POLARITY 2,1;POLARITY?", "1"),
    ],
)
def test_a_335_answers_in_its_own_forms(message, reply):
    bench = Bench(LakeShore335)

    assert bench.ask(message) == reply
    assert bench.ask("*ESR?") == "000"


@pytest.mark.parametrize(
    ("message", "bit"),
    [
        ("KRDG? C", "016"), ("KRDG? 0", "016"), ("SETP 3,10", "016"), ("RANGE? 3", "016"),
        ("HTRSET 1,1,2,0,1", "032"), ("HTRSET 1,1,1,1,0,1", "016"), ("RANGE 1,4", "016"),
        ("OUTMODE 1,4,1,0", "016"), ("OUTMODE 1,1,3,0", "016"), ("TLIMIT D,300", "016"),
        ("HTRSET 2,1,1,1,0,1;RANGE 2,2", "016"),  # a voltage output is on or off
    ],
)  # fmt: skip
def test_a_335_has_two_inputs_and_two_outputs_and_no_more(message, bit):
    bench = Bench(LakeShore335)

    assert bench.ask(message) is None
    assert bench.ask("*ESR?") == bit


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "LSCI,MODEL350,LSA24K7/2136045,2.9"),
        ("RANGE 1,5;RANGE? 1", "5"),
        ("RAMP 1,1,0.001;RAMP? 1", "1,+000.001"),
        ("HTRSET? 1", "1,4,+0.000,2"),
        ("RANGE 4,1;RANGE? 4", "1"),
        ("KRDG? D", "+000.000"),
    ],
)
def test_a_350_has_five_ranges_and_slow_ramps(message, reply):
    bench = Bench(LakeShore350)

    assert bench.ask(message) == reply
    assert bench.ask("*ESR?") == "000"


@pytest.mark.parametrize("message", ["RANGE 1,6", "RAMP 1,1,0.0005", "RANGE 3,2", "KRDG? E"])
def test_a_350_refuses_what_it_has_not(message):
    bench = Bench(LakeShore350)

    assert bench.ask(message) is None
    assert bench.ask("*ESR?") == "016"


def test_each_range_of_a_350_is_a_decade_of_power():
    bench = Bench(LakeShore350)
    bench.ask("OUTMODE 1,3,0,0;MOUT 1,100")
    watts = []

    for number in range(1, 6):
        bench.ask(f"RANGE 1,{number}")
        watts.append(bench.world.cryostat.heater_W)

    assert watts[-1] == pytest.approx(1.732**2 * 25.0)
    assert [b / a for a, b in pairwise(watts)] == pytest.approx([10.0] * 4)


def test_the_settings_say_which_model_stands_at_a_port():
    settings = SimulatorSettings(models={"cryostat": "lakeshore.350"})

    assert isinstance(SimulatedSetup(Truth(), 1, settings=settings).cryostat, LakeShore350)
    with pytest.raises(ValueError, match=r"no simulated 'lakeshore.999' at port 'cryostat'"):
        SimulatedSetup(Truth(), 1, settings=SimulatorSettings(models={"cryostat": "lakeshore.999"}))
