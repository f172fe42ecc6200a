"""Conversions against tabulated lamp lines and closed numbers."""

import numpy as np
import pytest

from analysis.wavelength.units import (
    HC_EV_NM,
    air_from_vacuum_nm,
    energy_from_wavelength_eV,
    vacuum_from_air_nm,
    wavelength_from_energy_nm,
)


def test_acceptance_1_mercury_green_line_in_air_vacuum_and_energy() -> None:
    vacuum_nm = vacuum_from_air_nm(546.0750)

    assert vacuum_nm == pytest.approx(546.22676, abs=1e-3)
    assert energy_from_wavelength_eV(vacuum_nm) == pytest.approx(2.269830, abs=5e-6)
    assert air_from_vacuum_nm(550.0) == pytest.approx(549.84723, abs=1e-4)


@pytest.mark.parametrize(
    ("air_nm", "vacuum_nm"), [(696.54307, 696.7352), (585.24878, 585.4110), (632.825005, 633.0)]
)
def test_acceptance_2_lamp_lines_of_argon_and_neon(air_nm: float, vacuum_nm: float) -> None:
    assert vacuum_from_air_nm(air_nm) == pytest.approx(vacuum_nm, abs=5e-4)


def test_there_and_back_changes_nothing() -> None:
    wavelength_nm = np.linspace(350.0, 900.0, 23)

    np.testing.assert_allclose(
        air_from_vacuum_nm(vacuum_from_air_nm(wavelength_nm)), wavelength_nm, rtol=1e-13
    )
    np.testing.assert_allclose(
        wavelength_from_energy_nm(energy_from_wavelength_eV(wavelength_nm)),
        wavelength_nm,
        rtol=1e-14,
    )


def test_the_conversion_factor_is_that_of_the_si() -> None:
    assert pytest.approx(1239.8419843320026, rel=1e-15) == HC_EV_NM


@pytest.mark.parametrize("wrong", [0.0, -500.0, np.nan, np.inf])
def test_a_wavelength_that_is_none_is_refused_with_its_value(wrong: float) -> None:
    with pytest.raises(ValueError, match=f"{wrong} is not a finite positive number"):
        energy_from_wavelength_eV([500.0, wrong])
