"""Voltage and field of both geometries, and the limit of a sample with the reason for it."""

from math import isclose, sqrt

import pytest

from acquisition.configuration.electrodes import Electrodes, electrodes_of, voltage_limit
from acquisition.configuration.station_file import BiasConfig
from acquisition.configuration.sweep_file import SampleConfig


def bias(**changes: object) -> BiasConfig:
    section: dict[str, object] = {
        "model": "keithley.2410",
        "address": "sim://bias",
        "max_voltage": "1000 V",
        "current_limit": "100 nA",
        "current_trip": "50 nA",
        "series": "10 Mohm",
    }
    return BiasConfig.model_validate({**section, **changes})


def sample(**changes: object) -> SampleConfig:
    section: dict[str, object] = {
        "name": "S",
        "material": "CsPbBr3",
        "electrodes": "parallel plate",
        "gap": "10 um",
        "max_field": "100 kV/cm",
        "gas": "vacuum",
    }
    return SampleConfig.model_validate({**section, **changes})


def test_parallel_plates_make_voltage_over_gap_everywhere() -> None:
    plates = Electrodes(coplanar=False, gap_um=10.0, position_um=3.0)

    assert plates.field_kV_per_cm(100.0) == pytest.approx(100.0, rel=1e-12)  # 10 V/um
    assert plates.highest_field_kV_per_cm(-100.0) == pytest.approx(100.0, rel=1e-12)


def test_acceptance_14_coplanar_electrodes_make_two_over_pi_of_it_in_mid_gap() -> None:
    # reference: 10 um, 100 V: 63.66 kV/cm in mid-gap, the plate model says 100 kV/cm
    plates = Electrodes(coplanar=False, gap_um=10.0)
    assert plates.field_kV_per_cm(100.0) == pytest.approx(100.0, rel=1e-3)
    coplanar = Electrodes(coplanar=True, gap_um=10.0, edge_radius_um=0.05)

    assert coplanar.field_kV_per_cm(100.0) == pytest.approx(63.66, abs=0.01)
    assert coplanar.voltage_V(100.0) == pytest.approx(157.08, abs=0.01)


def test_the_field_of_coplanar_electrodes_rises_towards_the_edge() -> None:
    # V / (pi sqrt(25 - 16)) with 100 V = 10.610 V/um = 106.1 kV/cm
    coplanar = Electrodes(coplanar=True, gap_um=10.0, position_um=-4.0, edge_radius_um=0.1)

    assert coplanar.field_kV_per_cm(100.0) == pytest.approx(106.10, abs=0.01)
    at_edge = 1000.0 / (3.141592653589793 * sqrt(25.0 - 4.9**2))
    assert coplanar.highest_field_kV_per_cm(100.0) == pytest.approx(at_edge, rel=1e-12)


@pytest.mark.parametrize("coplanar", [False, True])
@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("voltage_V", [-157.3, 0.0, 42.0])
def test_voltage_and_field_are_inverse_to_each_other(
    coplanar: bool, polarity: int, voltage_V: float
) -> None:
    electrodes = Electrodes(coplanar, 8.0, 1.5, 0.1, polarity)

    field = electrodes.field_kV_per_cm(voltage_V)

    assert isclose(electrodes.voltage_V(field), voltage_V, rel_tol=1e-12)
    assert field * voltage_V * polarity >= 0.0
    assert isclose(
        electrodes.voltage_at_highest_V(electrodes.highest_field_kV_per_cm(voltage_V)),
        abs(voltage_V),
        rel_tol=1e-12,
    )


def test_wiring_turns_the_sign_of_the_field() -> None:
    electrodes = electrodes_of(sample(), bias(polarity=-1))

    assert electrodes is not None
    assert electrodes.voltage_V(60.0) == pytest.approx(-60.0)
    assert electrodes.field_kV_per_cm(100.0) == pytest.approx(-100.0)


def test_a_sample_without_electrodes_has_no_field() -> None:
    assert electrodes_of(sample(electrodes="none"), bias()) is None


@pytest.mark.parametrize(
    ("card", "supply", "volts", "reason"),
    [
        ({}, {}, 100.0, "max_field, 100 kV/cm"),
        ({"max_field": "90 kV/cm"}, {}, 90.0, "max_field, 90 kV/cm"),
        ({"gap": "1 um"}, {}, 10.0, "max_field"),  # a gap ten times smaller: a tenth
        ({"max_field": "900 kV/cm"}, {}, 900.0, "max_field"),
        ({"max_field": "900 kV/cm", "gas": "helium"}, {}, 120.0, "gas around the electrodes: he"),
        ({"max_field": "900 kV/cm", "gas": "unknown"}, {}, 100.0, "electrodes: unknown"),
        ({"max_field": "900 kV/cm"}, {"max_voltage": "200 V"}, 200.0, "the supply's limit"),
        ({}, {"address": "visa://GPIB0::24"}, 20.0, "a real supply without a guardian"),
        ({}, {"address": "tcp://127.0.0.1:5025"}, 20.0, "a real supply without a guardian"),
        ({}, {"address": "tcp://127.0.0.1:5025", "simulated": True}, 100.0, "max_field"),
        ({"electrodes": "none"}, {}, 1000.0, "the supply's limit"),
    ],
)
def test_the_lowest_limit_decides_and_says_so(
    card: dict[str, object], supply: dict[str, object], volts: float, reason: str
) -> None:
    limit = voltage_limit(sample(**card), bias(**supply))

    assert limit.volts == pytest.approx(volts, rel=1e-12)
    assert reason in limit.reason


def test_helium_stays_below_its_paschen_minimum() -> None:
    limit = voltage_limit(sample(max_field="900 kV/cm", gas="helium"), bias())

    assert limit.volts < 156.0


def test_coplanar_electrodes_are_limited_at_their_edge_not_in_mid_gap() -> None:
    card = sample(electrodes="coplanar", edge_radius="0.1 um", max_field="500 kV/cm")

    limit = voltage_limit(card, bias())

    # 500 kV/cm = 50 V/um = V / (pi sqrt(25 - 4.9^2)): V = 156.3, while mid-gap alone allows 785
    assert limit.volts == pytest.approx(156.3, abs=0.1)
    assert "coplanar" in limit.reason
