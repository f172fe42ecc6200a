"""From a spectrum to labels with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.fit_labels import Observed, label_fit, rules_of
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals


def fitter_for(nanocrystals: Nanocrystals, lines: int) -> ModelFitter:
    emitter = Emitter(
        {
            "replicas": Presence.ALWAYS,
            "trion": Presence.IF_SEEN,
            "biexciton": Presence.IF_SEEN,
        },
        tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        windows_eV=nanocrystals.windows_eV,
    )
    model = SpectrumModel((emitter,), lines=lines, widest_splitting_eV=3e-3)
    return ModelFitter(model, DetectorNoise(read_noise_e=4.0))


def test_a_whole_spectrum_gets_its_labels_and_a_stranger_none(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("labels")
    truth = nanocrystals.one(1000, rng, lines=3)
    p = truth.parameters
    stranger_eV = p["energy_3_eV"] + 6e-3
    sigmas = (nanocrystals.edges_eV - stranger_eV) * np.sqrt(8.0 * np.log(2.0)) / p["width_eV"]
    light = truth.expected(nanocrystals.edges_eV) + 800.0 * np.abs(np.diff(ndtr(sigmas)))
    fitter = fitter_for(nanocrystals, 3)
    axes = np.array([10.0, 60.0, 100.0])
    observed = {
        "exciton": Observed(axes_deg=axes),
        "biexciton": Observed(axes_deg=axes[::-1], power_exponent=(1.9, 0.1)),
        **{f"replica {j}": Observed(axes_deg=axes) for j in (1, 2, 3)},
    }

    fit = fitter.fit(nanocrystals.wavelength_nm, nanocrystals.measured(light, rng))
    labels = {one.fitted_as: one.label for one in label_fit(fit, fitter.model, observed)}

    assert labels["exciton"].name == "X"
    assert labels["trion"].name == "T"
    assert labels["biexciton"].name == "Bx"
    assert labels["replica 1"].name == "LO1"
    assert labels["replica 3"].name == "LO3"
    assert labels["left over"].name == "unassigned"
    assert "meV above X, where no rule has a place" in labels["left over"].reason
    assert all(label.reason for label in labels.values())


def test_a_single_exciton_and_a_single_line_where_a_replica_could_be_stay_undecided(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("undecided")
    emitter = Emitter(
        {"trion": Presence.IF_SEEN}, (Phonon(12e-3),), windows_eV={"trion": (9e-3, 17e-3)}
    )
    model = SpectrumModel((emitter,), lines=1)
    place = nanocrystals.edges_eV
    light = np.full(nanocrystals.pixels, 5.0)
    for energy, area in ((2.372, 2e4), (2.360, 4e3)):
        sigmas = (place - energy) * np.sqrt(8.0 * np.log(2.0)) / 0.4e-3
        light += area * np.abs(np.diff(ndtr(sigmas)))

    fit = ModelFitter(model, DetectorNoise(read_noise_e=4.0)).fit(
        nanocrystals.wavelength_nm, nanocrystals.measured(light, rng)
    )
    _, trion = label_fit(fit, model)

    assert trion.fitted_as == "trion"
    assert trion.label.name == "unassigned"
    assert set(trion.label.rivals) == {"T", "LO1"}


@pytest.mark.parametrize(
    ("area", "copies", "labels"),
    [(200.0, False, {"unassigned"}), (4e3, False, {"T"}), (4e3, True, {"unassigned", "LO1"})],
)
def test_a_single_line_at_a_phonon_is_a_trion_only_where_its_shape_is_told(
    nanocrystals: Nanocrystals, make_rng: MakeRng, area: float, *, copies: bool, labels: set[str]
) -> None:
    rng = make_rng("told", area, copies)
    emitter = Emitter(
        {"trion": Presence.IF_SEEN}, (Phonon(12e-3),), windows_eV={"trion": (9e-3, 17e-3)}
    )
    model = SpectrumModel((emitter,), lines=2)
    doublet = np.array([-0.5e-3, 0.5e-3])
    light = np.full(nanocrystals.pixels, 5.0)
    lines = [(2.372 + off, 1e4) for off in doublet]
    lines += [(2.360 + off, area / 2.0) for off in (doublet if copies else (0.0, 0.0))]
    for energy, electrons in lines:
        sigmas = (nanocrystals.edges_eV - energy) * np.sqrt(8.0 * np.log(2.0)) / 0.4e-3
        light += electrons * np.abs(np.diff(ndtr(sigmas)))

    fit = ModelFitter(model, DetectorNoise(read_noise_e=4.0)).fit(
        nanocrystals.wavelength_nm, nanocrystals.measured(light, rng)
    )
    found = {one.fitted_as: one.label for one in label_fit(fit, model)}

    assert found["trion"].name in labels, found["trion"].reason
    if found["trion"].name == "unassigned":
        assert set(found["trion"].rivals) == {"T", "LO1"}
        assert "T and LO1 fit alike" in found["trion"].reason


def test_windows_and_phonons_of_the_model_are_the_rules(nanocrystals: Nanocrystals) -> None:
    rules = rules_of(fitter_for(nanocrystals, 1).model)

    assert rules.trion_eV == (9e-3, 17e-3)
    assert rules.phonons_eV == nanocrystals.phonons_eV


@pytest.mark.parametrize("counts", [np.zeros(1024), np.full(1024, np.nan)])
def test_no_fit_gets_no_labels(nanocrystals: Nanocrystals, counts: np.ndarray) -> None:
    fitter = fitter_for(nanocrystals, 1)

    assert label_fit(fitter.fit(nanocrystals.wavelength_nm, counts), fitter.model) == ()
