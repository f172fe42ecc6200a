"""The simulated MercuryiTC against the manual's examples and what clients rely on."""

import pytest

from simulators.mercury import MercuryITC, MercurySettings
from simulators.mercury_board import parse_number, scaled
from simulators.truth import CryostatTruth, FlowTruth, Truth
from simulators.world import World

LOOP = "DEV:MB1.T1:TEMP:LOOP"


class Bench:
    def __init__(self, settings: MercurySettings | None = None, **flow: float) -> None:
        cryostat = CryostatTruth(
            cooling="helium_flow",
            sensor_noise_K=0.0,
            sensor_noise_K_per_K=0.0,
            flow=FlowTruth(**flow),
        )
        self.world = World(Truth(cryostat=cryostat), seed=1)
        self.core = MercuryITC(self.world, settings)
        self.now = 0.0

    def ask(self, message: str) -> str | None:
        self.core.receive(message.encode() + b"\n", self.now)
        self.now += 0.05
        replies = b"".join(self.core.transmit(self.now)).decode()
        assert replies == "" or replies.endswith("\n")
        return replies.removesuffix("\n") if replies else None

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.world.advance(self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("*IDN?", "IDN:OXFORD INSTRUMENTS:MERCURY iTC:131450095:2.4.07.000"),
        (
            "READ:SYS:CAT",
            "STAT:SYS:CAT:DEV:MB0.H1:HTR:DEV:MB1.T1:TEMP:DEV:DB4.G1:AUX:DEV:DB6.T1:TEMP",
        ),
        ("READ:DEV:MB1.T1:TEMP:SIG:TEMP", "STAT:DEV:MB1.T1:TEMP:SIG:TEMP:4.8272K"),
        (f"SET:{LOOP}:TSET:10.5", f"STAT:SET:{LOOP}:TSET:10.5000K:VALID"),
        (f"SET:{LOOP}:TSET:10.5K", f"STAT:SET:{LOOP}:TSET:10.5000K:VALID"),
        (f"SET:{LOOP}:TSET:10500mK", f"STAT:SET:{LOOP}:TSET:10.5000K:VALID"),
        (f"SET:{LOOP}:RSET:2.5K/m", f"STAT:SET:{LOOP}:RSET:2.5000K/m:VALID"),
        (f"READ:{LOOP}:P:I:D", f"STAT:{LOOP}:P:1.0:I:0.2:D:0.0"),
        (
            f"SET:{LOOP}:P:2:I:0.5:D:0.1",
            f"STAT:SET:{LOOP}:P:2.0:VALID:I:0.5:VALID:D:0.1:VALID",
        ),
        (f"SET:{LOOP}:FAUT:ON", f"STAT:SET:{LOOP}:FAUT:ON:VALID"),
        ("READ:DEV:DB4.G1:AUX:SIG:PERC", "STAT:DEV:DB4.G1:AUX:SIG:PERC:70.0%"),
        (
            "READ:DEV:MB0.H1:HTR:SIG",
            "STAT:DEV:MB0.H1:HTR:SIG:VOLT:0.0000V:CURR:0.0000A:POWR:0.0000W",
        ),
        ("SET:DEV:MB0.H1:HTR:VLIM:20", "STAT:SET:DEV:MB0.H1:HTR:VLIM:20.0:VALID"),
        ("READ:SYS:MAN:SERL", "STAT:SYS:MAN:SERL:131450095"),
        ("READ:SYS:ALRM", "STAT:SYS:ALRM:"),
        ("@1READ:SYS:FLSH", "STAT:SYS:FLSH:15168"),
        ("READ:SYS:FLSH\r", "STAT:SYS:FLSH:15168"),
    ],
)
def test_good_messages_are_answered_with_address_value_and_unit(bench, message, reply):
    assert bench.ask(message) == reply


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("FOO", "FOO:INVALID"),
        ("*RST", "*RST:INVALID"),
        ("read:sys:cat", "read:INVALID"),  # case matters
        ("READ:FOO:BAR", "READ:FOO:INVALID"),
        ("READ", "READ:INVALID"),
        ("READ:DEV:MB9.T1:TEMP:SIG:TEMP", "STAT:DEV:MB9.T1:TEMP:SIG:TEMP:NOT_FOUND"),
        ("READ:DEV:MB1.T1:HTR:SIG:VOLT", "STAT:DEV:MB1.T1:HTR:SIG:VOLT:NOT_FOUND"),
        ("READ:DEV:MB1.T1:TEMP:SIG:FOO", "STAT:DEV:MB1.T1:TEMP:SIG:FOO:INVALID"),
        (f"SET:{LOOP}:TSET:2000.1", f"STAT:SET:{LOOP}:TSET:2000.1:INVALID"),
        (f"SET:{LOOP}:TSET:nan", f"STAT:SET:{LOOP}:TSET:nan:INVALID"),
        (f"SET:{LOOP}:HSET:101", f"STAT:SET:{LOOP}:HSET:101:INVALID"),
        (f"SET:{LOOP}:ENAB:on", f"STAT:SET:{LOOP}:ENAB:on:INVALID"),
        (f"SET:{LOOP}:TSET", f"STAT:SET:{LOOP}:TSET:INVALID"),
        ("SET:DEV:MB1.T1:TEMP:SIG:TEMP:4", "STAT:SET:DEV:MB1.T1:TEMP:SIG:TEMP:4:DENIED"),
        (f"SET:{LOOP}:P:2:I:x", f"STAT:SET:{LOOP}:P:2.0:VALID:I:x:INVALID"),
    ],
)
def test_what_is_wrong_is_appended(bench, message, reply):
    assert bench.ask(message) == reply


@pytest.mark.parametrize("message", ["@2READ:SYS:CAT", "READ:" + "A" * 1100])
def test_messages_for_another_unit_or_too_long_are_not_answered(bench, message):
    assert bench.ask(message) is None
    assert bench.ask("READ:SYS:FLSH") == "STAT:SYS:FLSH:15168"


def test_a_unit_under_its_front_panel_denies_every_set(bench):
    bench.core.is_locked = True

    assert bench.ask(f"SET:{LOOP}:TSET:10") == f"STAT:SET:{LOOP}:TSET:10:DENIED"
    assert bench.ask(f"READ:{LOOP}:TSET") == f"STAT:{LOOP}:TSET:4.8000K"


def test_while_the_ramp_is_on_the_setpoint_reads_its_working_value(bench):
    bench.ask(f"SET:{LOOP}:TSET:5:RSET:6:RENA:ON")
    bench.ask(f"SET:{LOOP}:TSET:11")

    bench.wait(30.0)
    halfway = float((bench.ask(f"READ:{LOOP}:TSET") or "").removesuffix("K").rpartition(":")[2])
    bench.ask(f"SET:{LOOP}:TSET:{halfway}")  # ends the ramp where it is
    bench.wait(60.0)

    assert halfway == pytest.approx(8.0, abs=0.02)
    assert bench.ask(f"READ:{LOOP}:TSET") == f"STAT:{LOOP}:TSET:{halfway:.4f}K"


def test_fitting_flow_holds_where_too_little_and_too_much_do_not():
    reached = {}
    for flow, setpoint_K in ((70, 5.5), (20, 5.5), (10, 200.0), (70, 200.0)):
        bench = Bench(start_valve_percent=float(flow), dewar_L=1000.0)
        bench.ask(f"SET:{LOOP}:TSET:{setpoint_K}:ENAB:ON")
        bench.wait(4000.0)
        reached[flow, setpoint_K] = bench.world.cryostat.control_sensor_K()

    assert reached[70, 5.5] == pytest.approx(5.5, abs=0.01)
    assert reached[20, 5.5] > 8.0  # too little cooling
    assert reached[10, 200.0] == pytest.approx(200.0, abs=0.05)
    assert reached[70, 200.0] < 150.0  # more cooling than the heater has power


def test_the_valve_takes_its_time_and_the_flow_more(bench):
    bench.ask(f"SET:{LOOP}:FSET:20")
    bench.wait(5.0)
    assert 40.0 < bench.world.cryostat.valve_percent < 50.0
    assert bench.world.cryostat.flow_L_per_h > 2.0

    bench.wait(200.0)

    assert bench.world.cryostat.valve_percent == 20.0
    assert bench.world.cryostat.flow_L_per_h == pytest.approx(0.8, abs=0.01)


def test_automatic_flow_gives_a_busy_heater_less_to_do(bench):
    bench.ask(f"SET:{LOOP}:FAUT:ON:TSET:100:ENAB:ON")
    bench.wait(6000.0)

    assert bench.world.cryostat.valve_percent < 50.0
    assert bench.world.cryostat.control_sensor_K() == pytest.approx(100.0, abs=0.1)


def test_manual_heater_power_is_a_part_of_that_at_the_voltage_limit(bench):
    bench.ask(f"SET:{LOOP}:HSET:50")

    assert bench.world.cryostat.heater_W == pytest.approx(28.0**2 / 25.0 / 2)
    power = bench.ask("READ:DEV:MB0.H1:HTR:SIG:POWR")
    assert power == f"STAT:DEV:MB0.H1:HTR:SIG:POWR:{28.0**2 / 50.0:.4f}W"


def test_an_open_sensor_reads_no_number_raises_an_alarm_and_gets_no_heat(bench):
    bench.ask(f"SET:{LOOP}:TSET:50:ENAB:ON")
    bench.wait(5.0)
    assert bench.world.cryostat.heater_W > 0

    bench.world.cryostat.sensor_open = True
    bench.wait(2.0)

    assert bench.ask("READ:DEV:MB1.T1:TEMP:SIG:TEMP") == "STAT:DEV:MB1.T1:TEMP:SIG:TEMP:infK"
    assert bench.ask("READ:SYS:ALRM") == "STAT:SYS:ALRM:MB1.T1\tOpen Circuit;"
    assert bench.world.cryostat.heater_W == 0.0


def test_after_a_power_cycle_nothing_heats_and_the_valve_is_closed(bench):
    bench.ask(f"SET:{LOOP}:TSET:50:ENAB:ON:RENA:ON")
    bench.wait(5.0)

    bench.core.power_cycle(bench.now)
    assert bench.ask("*IDN?") is None  # still booting
    bench.wait(30.0)

    assert bench.ask(f"READ:{LOOP}:ENAB:RENA:FSET") == f"STAT:{LOOP}:ENAB:OFF:RENA:OFF:FSET:0.0000"
    assert bench.world.cryostat.heater_W == 0.0
    assert bench.world.cryostat.valve_percent == 0.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.2031, "K", "4.2031K"), (0.0123, "W", "12.3000mW"), (1e-6, "A", "1.0000uA"),
        (10342.2, "O", "10.3422kO"), (0.0, "W", "0.0000W"), (-0.5, "V", "-500.0000mV"),
        (3e-9, "A", "3.0000nA"), (2.5e6, "O", "2.5000MO"), (1e-12, "A", "0.0010nA"),
    ],
)  # fmt: skip
def test_signals_carry_prefixes_of_three_digits(value, unit, text):
    assert scaled(value, unit) == text


@pytest.mark.parametrize("text", ["", "K", "m", "1e", "inf", "nan", "1k", "1 K", "0x10", "1KK"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"no number|outside|^$"):
        parse_number(text, "K", 0.0, 10.0)
