"""Protocol tests as pymeasure asks for them: its own adapter, messages from the manuals."""

import pytest
from pymeasure.test import expected_protocol

from drivers.errors import InstrumentError, LimitError
from drivers.pymeasure_keithley import Keithley2410, Keithley2470
from drivers.pymeasure_lakeshore import LakeShore335, LakeShore336, LakeShore350
from drivers.pymeasure_mercury import MercuryiTC

GOOD = (":SYST:ERR?", '0,"No error"')
LOOP = "DEV:MB1.T1:TEMP:LOOP"


@pytest.mark.parametrize("model", [LakeShore335, LakeShore336, LakeShore350])
def test_a_lake_shore_reads_with_status_and_looks_around_each_command(model):
    with expected_protocol(
        model,
        [
            ("KRDG? A;RDGST? A", "+077.350;032"),
            ("SETP? 1", "+025.500"),
            ("*ESR?;SETP 1,25.500;*ESR?", "000;000"),
            ("RAMPST? 1;SETP? 1", "1;+011.250"),
            ("RAMP? 2", "1,+010.0"),
            ("OUTMODE? 1", "1,1,0"),
            ("TLIMIT? B", "+0350"),
        ],
    ) as controller:
        assert controller.input_A.kelvin_and_status == [77.35, 32]
        assert controller.output_1.setpoint == 25.5
        controller.output_1.setpoint = 25.5
        assert controller.output_1.ramping_and_setpoint == [1, 11.25]
        assert controller.output_2.ramp == [1, 10.0]
        assert controller.output_1.mode == [1, 1, 0]
        assert controller.input_B.limit_K == 350.0


def test_what_a_lake_shore_does_not_take_is_raised():
    with (
        expected_protocol(
            LakeShore336, [("*ESR?;SETP 1,1000000.000;*ESR?", "000;016")]
        ) as controller,
        pytest.raises(InstrumentError, match="value not allowed"),
    ):
        controller.output_1.setpoint = 1e6


def test_a_2410_reaches_its_1100_V_with_all_digits_and_no_auto_range():
    with expected_protocol(
        Keithley2410,
        [
            (":SOUR:VOLT:LEV 1099.999600", None),
            GOOD,
            (":SOUR:VOLT:LEV?", "+1.099999E+03"),
            (":OUTP?", "0"),
            (":SENS:CURR:PROT?", "+1.050000E-04"),
            (":OUTP:INT:TRIP?", "1"),
        ],
    ) as supply:
        supply.source_voltage = 1099.9996
        assert supply.source_voltage == 1099.999
        assert supply.is_output_on == 0
        assert supply.compliance_current == 1.05e-4
        assert supply.is_output_allowed == 1
        with pytest.raises(LimitError):
            supply.auto_range_source()


def test_a_2470_names_its_command_set_and_raises_its_errors():
    error = '-222,"Parameter data out of range;1;2026/05/06 12:57:04.484"'
    with expected_protocol(
        Keithley2470,
        [
            ("*LANG?", "SCPI"),
            (":SOUR:VOLT:ILIM?", "1.000000E-05"),
            (":OUTP:INT:TRIP?", "0"),
            (":SOUR:VOLT:LEV 5.000000", None),
            (":SYST:ERR?", error),
            (":SYST:ERR?", '0,"No error;0;0,0"'),
        ],
    ) as supply:
        assert supply.command_set == "SCPI"
        assert supply.compliance_current == 1e-5
        assert supply.is_interlock_closed == 0
        with pytest.raises(InstrumentError, match="-222 Parameter data out of range"):
            supply.source_voltage = 5.0


def test_a_mercury_tells_values_with_their_units_and_refuses_aloud():
    with expected_protocol(
        MercuryiTC,
        [
            ("READ:DEV:MB1.T1:TEMP:SIG:TEMP", "STAT:DEV:MB1.T1:TEMP:SIG:TEMP:4.2031K"),
            ("READ:DEV:MB0.H1:HTR:SIG:POWR", "STAT:DEV:MB0.H1:HTR:SIG:POWR:12.5mW"),
            (f"SET:{LOOP}:TSET:10.5000", f"STAT:SET:{LOOP}:TSET:10.5000K:VALID"),
            (f"READ:{LOOP}:TSET", f"STAT:{LOOP}:TSET:10.5000K"),
            ("READ:SYS:ALRM", "STAT:SYS:ALRM:MB0.H1\tOpen Circuit;"),
            (f"SET:{LOOP}:TSET:11.0000", f"STAT:SET:{LOOP}:TSET:11.0000:DENIED"),
        ],
    ) as controller:
        sensor = controller.TS["MB1.T1"]
        assert sensor.temperature == 4.2031
        assert controller.HTR["MB0.H1"].power == pytest.approx(0.0125)
        sensor.control_loop_temperature_setpoint = 10.5
        assert sensor.control_loop_temperature_setpoint == 10.5
        assert controller.alarms == "MB0.H1\tOpen Circuit;"
        with pytest.raises(InstrumentError, match="DENIED"):
            sensor.control_loop_temperature_setpoint = 11.0
