from math import inf, isnan, nan

import pytest

from drivers.errors import InstrumentError, LimitError
from drivers.line import Line
from drivers.link import Terminated
from drivers.registry import model
from drivers.roles import ReadingStatus
from drivers.thorlabs_pm100d import PM100DConfig, PM100DMeter
from simulators.pm100d import PowerMeterSettings
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

SENSOR = ("SYST:SENS:IDN?", "S130C,1234567,20-Mar-2024,1,18,289")
AT_405 = ("SENS:CORR:WAV?", "4.05000000E+02")
IN_WATTS = ("SENS:POW:UNIT?", "W")


@pytest.fixture
def meter(scripted, clock):
    def make(*script, **options):
        config = PM100DConfig(**options)
        line = Line.configured("power_meter", scripted(*script), clock, config)
        return PM100DMeter("power_meter", line, clock, config)

    return make


def test_it_is_found_by_name_and_connecting_sends_nothing(meter):
    assert model("thorlabs.pm100d").driver is PM100DMeter
    meter()


def test_power_at_the_sample_in_watts(meter):
    measured = ("MEAS:POW?", "1.25000000E-06")
    reading = meter(*2 * (SENSOR, AT_405, IN_WATTS, measured), factor=0.4).read()["laser_power_W"]

    assert (reading.unit, reading.is_good) == ("W", True)
    assert reading.value == pytest.approx(0.5e-6)


def test_dbm_is_taken_back_to_watts(meter):
    script = SENSOR, AT_405, ("SENS:POW:UNIT?", "DBM"), ("MEAS:POW?", "-3.00000000E+01")

    assert meter(*2 * script).read_power().value == pytest.approx(1e-6)


def test_a_power_corrected_for_another_wavelength_is_not_trusted(meter):
    device = meter(*2 * (SENSOR, ("SENS:CORR:WAV?", "6.35000000E+02")), wavelength_nm=405.0)

    reading = device.read_power()

    assert isnan(reading.value)
    assert reading.note == "corrected for 635 nm, not 405 nm"
    assert reading.status is ReadingStatus.FAULT


def test_without_sensor_or_over_range_there_is_no_power(meter):
    assert meter(*2 * [("SYST:SENS:IDN?", "no sensor")]).read_power().note == "no sensor"
    over = meter(*2 * (SENSOR, AT_405, IN_WATTS, ("MEAS:POW?", "9.91000000E+37"))).read_power()
    assert over.status is ReadingStatus.OUT_OF_RANGE


def limits(low="4.0E+02", high="1.1E+03"):
    return ("SENS:CORR:WAV? MIN", low), ("SENS:CORR:WAV? MAX", high)


def test_the_wavelength_is_set_and_read_back(meter):
    meter(
        *limits(),
        ("SYST:ERR?", '-113,"Undefined header"'),  # somebody else's
        ("SYST:ERR?", '+0,"No error"'),
        ("SENS:CORR:WAV 405.000", None),
        ("SYST:ERR?", '+0,"No error"'),
        AT_405,
        wavelength_nm=405.0,
    ).apply_wavelength()


def test_a_wavelength_that_the_sensor_has_not_is_refused_before_the_wire(meter):
    with pytest.raises(LimitError, match="allowed 700 to 1800 nm"):
        meter(*limits("7.0E+02", "1.8E+03"), wavelength_nm=405.0).apply_wavelength()


@pytest.mark.parametrize(
    ("error", "back", "message"),
    [
        ('-222,"Parameter data out of range"', None, "Parameter data out of range"),
        ('+0,"No error"', "6.35E+02", "reads back 635.0 nm, not 405.0 nm"),
    ],
)
def test_a_wavelength_that_is_not_taken_is_an_error(meter, error, back, message):
    script = [
        *limits(),
        ("SYST:ERR?", '+0,"No error"'),
        ("SENS:CORR:WAV 405.000", None),
        ("SYST:ERR?", error),
    ]
    script += [] if back is None else [("SENS:CORR:WAV?", back)]

    with pytest.raises(InstrumentError, match=message):
        meter(*script, wavelength_nm=405.0).apply_wavelength()


@pytest.mark.parametrize(
    "options",
    [{"wavelength_nm": 10.0}, {"wavelength_nm": nan}, {"factor": 0.0}, {"factor": inf}],
)
def test_a_configuration_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="expected"):
        PM100DConfig(**options)


def test_the_simulated_laser_is_read(clock):
    settings = SimulatorSettings(
        models={"power_meter": "thorlabs.pm100d"},
        others={"power_meter": PowerMeterSettings(wavelength_nm=635.0)},
    )
    setup = SimulatedSetup(Truth(), 1, settings=settings)
    link = setup.link("power_meter", clock, Terminated(b"\n"))
    config = PM100DConfig(wavelength_nm=405.0)
    line = Line.configured("power_meter", link, clock, config)
    device = PM100DMeter("power_meter", line, clock, config)
    assert not device.read_power().is_good  # still corrects for 635 nm

    device.apply_wavelength()

    assert device.identify().model == "PM100D"
    assert device.settings()["wavelength_nm"] == 405.0
    assert device.read_power().value == pytest.approx(1e-6, rel=0.01)
    setup.world.optics.laser_power = 3.0
    assert device.read_power().value == pytest.approx(3e-6, rel=0.01)
    assert line.anomalies == 0
