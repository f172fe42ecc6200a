"""The simulated Keithley 2470 against its manual and pymeasure's own class."""

import pytest
from pymeasure.adapters import Adapter
from pymeasure.instruments.keithley import Keithley2400, Keithley2450

from simulators.bias_circuit import OffState
from simulators.core import InstrumentCore
from simulators.keithley import Keithley2410
from simulators.keithley_2470 import Keithley2470, Keithley2470Settings
from simulators.truth import BiasTruth, Truth
from simulators.world import World

LATER_S = 0.2
NO_ERROR = '0,"No error;0,0,0"'
READ = ':READ? "defbuffer1",SOUR,READ'


class Bench:
    """One supply on a quiet world, asked over and over, a little later each time."""

    def __init__(self, settings: Keithley2470Settings | None = None) -> None:
        quiet = BiasTruth(voltage_noise_V=0.0, current_noise_A=0.0)
        self.world = World(Truth(bias=quiet), seed=1)
        self.core = Keithley2470(self.world, settings)
        self.now = 0.0

    def ask(self, message: str, wait_s: float = LATER_S) -> str | None:
        self.core.receive(message.encode() + b"\n", self.now)
        self.now += wait_s
        replies = b"".join(self.core.transmit(self.now))
        assert replies == b"" or replies.endswith(b"\n")
        return replies.decode().removesuffix("\n") if replies else None

    def error(self) -> str:
        return self.ask(":SYST:ERR?") or ""

    def reading(self) -> list[float]:
        return [float(item) for item in (self.ask(READ) or "").split(",")]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL 2470,04387201,1.7.12b"),
        ("*LANG?", "SCPI"),
        (":SOUR:FUNC?", "VOLT"),
        (":SOURce1:VOLTage:LEVel:IMMediate:AMPLitude 5;:SOUR:VOLT?", "5.000000E+00"),
        (":SOUR:VOLT:RANG 150;:SOUR:VOLT:RANG?;RANG:AUTO?", "2.000000E+02;0"),
        (":SOUR:VOLT:ILIM 1e-6;ILIM?;ILIM:TRIP?", "1.000000E-06;0"),
        (":SOUR:VOLT:PROT?", "NONE"),
        (":SOUR:VOLT:PROT PROT40;PROT?;PROT:TRIP?", "PROT40;0"),
        (":SOUR:VOLT:READ:BACK?", "1"),
        (":OUTP:SMOD?;:OUTP:VOLT:SMOD?", "NORM;NORM"),
        (":OUTP:SMOD HIMP;:OUTP:CURR:SMOD?;:OUTP:VOLT:SMOD?", "HIMP;HIMP"),
        (":OUTP:INT:TRIP?", "1"),
        (":SENS:FUNC?", '"CURR:DC"'),
        (":SENS:FUNC 'VOLT:DC';:SENS:FUNC?", '"VOLT:DC"'),
        (":SENS:CURR:NPLC 0.1;NPLC?", "1.000000E-01"),
        (":OUTP?", "0"),
        (":SYST:ERR?", NO_ERROR),
        (":SYST:VERS?;:SYST:LFR?", "1999.0;50"),
        ("*OPC?;*TST?", "1;0"),
        ("*ESR?;*ESR?", "128;0"),
    ],
)  # fmt: skip
def test_it_answers_as_the_manual_says(bench: Bench, message: str, reply: str) -> None:
    assert bench.ask(message) == reply
    assert bench.error() == NO_ERROR


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (":FOO", -113, "Undefined header"),
        (":FOO?", -113, "Undefined header"),
        (":SOUR:VOLT 1101", -222, "Parameter data out of range"),
        (":SOUR:VOLT NAN", -104, "Data type error"),
        (":SOUR:VOLT:RANG 20;:SOUR:VOLT 22", -222, "Parameter data out of range"),
        (":SOUR:VOLT:RANG 1000;ILIM 0.1", -222, "Parameter data out of range"),
        (":SOUR:VOLT:ILIM 0.5;:SOUR:VOLT 300", -221, "Settings conflict"),
        (":SOUR:VOLT", -109, "Missing parameter"),
        (":SOUR:VOLT:PROT 33", -224, "Illegal parameter value"),
        (':READ? "defbuffer1",NONSENSE', -224, "Illegal parameter value"),
    ],
)
def test_errors_carry_severity_and_time_and_are_silent(
    bench: Bench, message: str, code: int, text: str
) -> None:
    assert bench.ask(message) is None
    assert bench.error() == f'{code},"{text};1;2026/01/01 00:00:00.000"'
    assert bench.error() == NO_ERROR


def test_it_reads_with_the_output_off(bench: Bench) -> None:
    voltage_V, current_A = bench.reading()

    assert voltage_V == pytest.approx(0.0, abs=1e-9)
    assert current_A == pytest.approx(0.0, abs=1e-15)
    assert bench.error() == NO_ERROR


def test_a_voltage_comes_out_and_is_read_back(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:RANG 20;:SOUR:VOLT:ILIM 1e-6;:SOUR:VOLT 8;:OUTP ON")
    bench.now += 5.0

    voltage_V, current_A = bench.reading()

    assert voltage_V == pytest.approx(8.0, rel=1e-6)
    assert 0.0 < current_A < 1e-9  # the cold gap's leakage
    bench.ask(":SOUR:VOLT:READ:BACK OFF;:SOUR:VOLT 9")
    assert bench.reading()[0] == 9.0


def test_the_off_state_discharges_the_gap_unless_a_relay_opens(bench: Bench) -> None:
    for off_state, left_V in (("NORM", 0.0), ("HIMP", 8.0)):
        bench.ask(f":OUTP:SMOD {off_state};:SOUR:VOLT 8;:OUTP ON")
        bench.now += 5.0
        bench.ask(":OUTP OFF")
        bench.now += 1.0
        bench.world.advance(bench.now)

        assert bench.world.bias.gap_voltage_V() == pytest.approx(left_V, abs=0.1)
    assert bench.world.bias.off_state is OffState.HIGH_IMPEDANCE


def test_an_open_interlock_holds_the_voltage_below_42_V_and_says_so(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:RANG 200;:SOUR:VOLT 100")
    bench.core.set_interlock(is_closed=False, now=bench.now)

    bench.ask(":OUTP ON")
    bench.now += 5.0

    assert bench.ask(":OUTP:INT:TRIP?") == "0"
    assert bench.reading()[0] == pytest.approx(42.0)
    assert bench.error().startswith('5074,"Output voltage limited by interlock;2;')


def test_low_voltages_come_out_with_the_interlock_open(bench: Bench) -> None:
    bench.core.set_interlock(is_closed=False, now=0.0)
    bench.ask(":SOUR:VOLT:RANG 20;:SOUR:VOLT 15;:OUTP ON")
    bench.now += 5.0

    assert bench.reading()[0] == pytest.approx(15.0)
    assert bench.error() == NO_ERROR


def test_protection_and_current_limit_say_when_they_act(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:RANG 200;PROT PROT20;:SOUR:VOLT 100;:OUTP ON")
    bench.now += 5.0
    assert bench.ask(":SOUR:VOLT:PROT:TRIP?;:SOUR:VOLT:ILIM:TRIP?") == "1;0"
    assert bench.reading()[0] <= 20.0 * 1.05

    bench.world.bias.fail_insulation(1e3)
    bench.ask(":SOUR:VOLT 0;:SOUR:VOLT:PROT NONE;ILIM 1e-6;:SOUR:VOLT 100")
    bench.now += 5.0
    assert bench.ask(":SOUR:VOLT:PROT:TRIP?;:SOUR:VOLT:ILIM:TRIP?") == "0;1"


def test_a_measurement_takes_its_time_and_later_lines_wait(bench: Bench) -> None:
    bench.core.receive(b":SENS:CURR:NPLC 1;:READ?\n:SOUR:VOLT 5\n:SOUR:VOLT?\n", 0.0)

    assert bench.core.transmit(0.041) == []
    assert bench.world.bias.programmed_V == 0.0
    assert len(bench.core.transmit(0.1)) == 2
    assert bench.world.bias.programmed_V == 5.0


def test_another_command_set_needs_a_reboot_and_then_understands_no_scpi(bench: Bench) -> None:
    bench.ask("*LANG TSP")
    assert bench.ask("*LANG?;:OUTP?") == "SCPI;0"

    bench.core.power_cycle(bench.now)
    assert bench.ask("*LANG?") is None  # it boots
    bench.now += 20.0

    assert bench.ask("*LANG?;:OUTP?") == "TSP"


def test_a_reboot_forgets_settings_and_switches_off(bench: Bench) -> None:
    bench.ask(":SOUR:VOLT:ILIM 1e-6;:SOUR:VOLT 8;:OUTP ON")
    bench.core.power_cycle(bench.now)
    bench.now += 21.0

    assert bench.ask(":SOUR:VOLT:ILIM?;:SOUR:VOLT?;:OUTP?") == "1.050000E-04;0.000000E+00;0"
    assert not bench.world.bias.output_on


class CoreAdapter(Adapter):
    """A third party's view: text out, text in, straight into a core."""

    def __init__(self, core: InstrumentCore, terminator: bytes) -> None:
        super().__init__()
        self.core, self.terminator, self.now, self.arrived = core, terminator, 0.0, b""

    def _write(self, command: str, **_: object) -> None:
        self.core.receive(command.encode() + self.terminator, self.now)
        self.now += 0.01

    def _read(self, **_: object) -> str:
        for _ in range(100):
            self.now += 0.01
            self.arrived += b"".join(self.core.transmit(self.now))
            line, end, rest = self.arrived.partition(self.terminator)
            if end:
                self.arrived = rest
                return line.decode()
        raise TimeoutError(f"no reply until {self.now} s")

    def flush_read_buffer(self) -> None:
        self.arrived = b""


def test_pymeasures_own_2450_sources_ramps_and_measures() -> None:
    world = World(Truth(), seed=1)
    supply = Keithley2450(CoreAdapter(Keithley2470(world), b"\n"))

    assert supply.id == "KEITHLEY INSTRUMENTS,MODEL 2470,04387201,1.7.12b"
    supply.reset()
    supply.apply_voltage(voltage_range=20, compliance_current=1e-5)
    supply.measure_current(nplc=0.1, current=1e-5, auto_range=False)
    supply.voltage_output_off_state = "NORM"
    supply.enable_source()
    supply.ramp_to_voltage(6.0, steps=4, pause=0.0)

    assert supply.source_enabled
    assert (supply.source_voltage, supply.source_voltage_range) == (6.0, 20.0)
    assert (supply.compliance_current, supply.current_range) == (1e-5, 1e-5)
    assert abs(supply.current) < 1e-6
    assert world.bias.terminal_voltage_V() == pytest.approx(6.0, abs=0.1)
    assert supply.next_error[0] == 0
    supply.source_voltage = 0.0
    supply.disable_source()
    assert not world.bias.output_on


def test_pymeasures_own_2400_sources_and_measures_on_the_2410() -> None:
    world = World(Truth(), seed=1)
    supply = Keithley2400(CoreAdapter(Keithley2410(world), b"\r"))

    supply.source_mode = "voltage"
    supply.source_voltage_range = 20
    supply.compliance_current = 1e-5
    supply.output_off_state = "normal"
    supply.source_enabled = True
    supply.source_voltage = 6.0

    assert abs(supply.current) < 1e-5
    assert world.bias.programmed_V == 6.0
    assert supply.next_error[0] == 0
    supply.source_voltage = 0.0
    supply.source_enabled = False
    assert not world.bias.output_on
