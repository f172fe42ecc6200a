"""The table of `cryoscan show`: an error beside a poor fit is not left to stand alone."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from acquisition.fits.summary import RunRow, RunSummary, print_summary

ROW = RunRow(
    point=7,
    kind="sample",
    temperature_K=5.5,
    field_kV_per_cm=None,
    voltage_V=None,
    angle_deg=None,
    exposure_s=2.0,
    frames=3,
    measured_temperature_K=5.501,
    measured_voltage_V=float("nan"),
    measured_angle_deg=float("nan"),
    peak_counts=1234,
    flags=("saturated",),
    energy_eV=2.391234,
    energy_error_eV=2e-6,
    width_eV=4e-4,
    chi2_per_dof=12.34,
    verdict="poor fit",
)
RUN = RunSummary(
    "run", "title", "S1", 1, 1, 1, 1, 60.0, 1, "complete", "safe", None, (), (), (ROW,)
)


def shown(row: RunRow) -> str:
    text = io.StringIO()
    print_summary(replace(RUN, rows=(row,)), Console(file=text, width=200), with_table=True)
    return text.getvalue()


def test_a_poor_fit_shows_by_how_much_the_model_misses() -> None:
    assert "2.391234 +- 0.000002" in shown(ROW)
    assert "poor fit: chi2/dof 12.3" in shown(ROW)


@pytest.mark.parametrize(("verdict", "chi2"), [("converged", 12.34), ("poor fit", None)])
def test_other_verdicts_stand_alone(verdict: str, chi2: float | None) -> None:
    assert "chi2" not in shown(replace(ROW, verdict=verdict, chi2_per_dof=chi2))


def test_a_point_without_a_line_has_no_energy() -> None:
    text = shown(replace(ROW, energy_eV=None, energy_error_eV=None, verdict="no signal"))

    assert "no signal" in text
    assert "+-" not in text
