"""What the components of a spectrum model put where: against closed forms and scipy's Bessel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import iv, ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.line_table import Line, Shape
from analysis.estimation.verdict import Verdict
from analysis.spectra.components import COMPONENTS, Component, rows_of
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.spectrum_model import Contents, SpectrumModel
from analysis.spectra.start_values import exciton_values
from analysis.spectra.structured_guess import ExcitonGuess

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals

Array = NDArray[np.float64]

K_MEV = 0.0861733  # Boltzmann's constant in meV/K
EDGES = 2.33 + 0.05e-3 * np.arange(1001)
ALWAYS, IF_SEEN = Presence.ALWAYS, Presence.IF_SEEN


def expected(model: SpectrumModel, values: dict[str, float]) -> Array:
    """Return electrons per pixel for every component present."""
    table = model.table(model.complete())
    assert set(values) == set(table.names)
    place = np.array([[values[name] for name in table.names]])
    return table.evaluate(place, EDGES)[0][0]


def light_near(spectrum: Array, energy_eV: float, reach_eV: float = 0.6e-3) -> float:
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    return float(spectrum[np.abs(middle - energy_eV) < reach_eV].sum())


def test_acceptance_11_the_biexciton_is_mirrored_at_the_centre_whatever_the_populations() -> None:
    model = SpectrumModel((Emitter({"biexciton": ALWAYS}),), lines=3)
    delta = np.array([-0.8e-3, 0.1e-3, 0.7e-3])
    for populations in ((1.0, 1.0, 1.0), (0.7, 0.2, 0.1)):
        values = {"width_eV": 0.1e-3, "biexciton_binding_eV": 30e-3, "background_0": 0.0}
        for k in range(3):
            values[f"energy_{k + 1}_eV"] = 2.37 + delta[k]
            values[f"area_{k + 1}_counts"] = 1e4 * populations[k]
            values[f"biexciton_area_{k + 1}_counts"] = 100.0 * (k + 1)

        spectrum = expected(model, values)

        for k, below in enumerate((29.2e-3, 30.1e-3, 30.7e-3)):
            assert light_near(spectrum, 2.37 - below, 0.25e-3) == pytest.approx(
                100.0 * (k + 1), rel=1e-3
            )


def replica_weights(order: int, coupling: float, phonon_meV: float, temperature_K: float) -> float:
    """Return the light of an order against that of all without a phonon, both of Huang and Rhys."""
    n = 1.0 / np.expm1(phonon_meV / (K_MEV * temperature_K)) if temperature_K else 0.0
    if n == 0.0:
        return coupling**order / {0: 1, 1: 1, 2: 2}[order] if order >= 0 else 0.0
    x = 2.0 * coupling * np.sqrt(n * (n + 1.0))
    return ((n + 1.0) / n) ** (0.5 * order) * float(iv(order, x))


@pytest.mark.parametrize("temperature_K", [0.0, 5.5, 50.0])
def test_replicas_weigh_as_huang_and_rhys_say_warm_and_cold(temperature_K: float) -> None:
    emitter = Emitter({"replicas": ALWAYS}, (Phonon(6e-3),), 2, temperature_K)
    model = SpectrumModel((emitter,), lines=1)
    values = {"energy_1_eV": 2.355, "width_eV": 0.1e-3, "area_1_counts": 1e5}
    values |= {"coupling_1": 0.05, "background_0": 0.0}

    spectrum = expected(model, values)

    for order in (-2, -1, 0, 1, 2):
        wanted = 1e5 * replica_weights(order, 0.05, 6.0, temperature_K)
        # The third order, which the table leaves out, weighs S^2 / 2 of what is there.
        tolerance = 2e-3 * wanted + 2e-2
        assert light_near(spectrum, 2.355 - 6e-3 * order) == pytest.approx(wanted, abs=tolerance)


def test_two_modes_have_a_combination_line_without_the_factor_of_a_second_order() -> None:
    emitter = Emitter({"replicas": ALWAYS}, (Phonon(4e-3), Phonon(9e-3)), 2)
    model = SpectrumModel((emitter,), lines=1)
    values = {"energy_1_eV": 2.375, "width_eV": 0.1e-3, "area_1_counts": 1e5}
    values |= {"coupling_1": 0.1, "coupling_2": 0.2, "background_0": 0.0}

    spectrum = expected(model, values)

    for below, share in ((4e-3, 0.1), (9e-3, 0.2), (8e-3, 0.005), (18e-3, 0.02), (13e-3, 0.02)):
        assert light_near(spectrum, 2.375 - below, 0.4e-3) == pytest.approx(1e5 * share, rel=1e-4)


def test_replicas_of_a_broad_mode_keep_their_light_and_get_a_width(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("broad")
    model = SpectrumModel((Emitter({"replicas": ALWAYS}, (Phonon(5e-3, is_broad=True),)),), lines=1)
    values = {"energy_1_eV": 2.375, "width_eV": 0.4e-3, "area_1_counts": 3e4, "coupling_1": 0.2}
    lines = [(2.375, 0.4e-3, 3e4), (2.370, 1.1e-3, 6e3)]
    light = np.full(nanocrystals.pixels, 5.0)
    for centre, fwhm, area in lines:
        place = (nanocrystals.edges_eV - centre) * np.sqrt(8.0 * np.log(2.0)) / fwhm
        light += area * np.abs(np.diff(ndtr(place)))

    fit = ModelFitter(model, DetectorNoise(read_noise_e=4.0)).fit(
        nanocrystals.wavelength_nm, nanocrystals.measured(light, rng)
    )

    for name, value in {**values, "replica_1_width_eV": 1.1e-3}.items():
        assert abs(fit[name] - value) < 5.0 * fit.error(name), name


def test_the_trion_is_single_and_its_replicas_have_couplings_of_their_own() -> None:
    emitter = Emitter({"trion": ALWAYS, "trion replicas": ALWAYS}, (Phonon(4e-3),))
    model = SpectrumModel((emitter,), lines=2)
    values = {"energy_1_eV": 2.3745, "energy_2_eV": 2.3755, "width_eV": 0.1e-3}
    values |= {"area_1_counts": 1e4, "area_2_counts": 1e4, "background_0": 0.0}
    values |= {"trion_binding_eV": 15e-3, "trion_width_eV": 0.2e-3, "trion_area_counts": 5e3}
    values |= {"trion_coupling_1": 0.3}

    spectrum = expected(model, values)

    assert light_near(spectrum, 2.360) == pytest.approx(5e3, rel=1e-4)
    assert light_near(spectrum, 2.356) == pytest.approx(1.5e3, rel=1e-4)


def test_several_emitters_share_nothing_but_the_background_unless_tied() -> None:
    model = SpectrumModel(
        (Emitter(), Emitter()), lines=1, ties={"emitter_2_width_eV": (("width_eV", 1.0),)}
    )

    names = model.table(model.complete()).names

    assert names == (
        *("energy_1_eV", "width_eV", "area_1_counts"),
        *("emitter_2_energy_1_eV", "emitter_2_area_1_counts", "background_0"),
    )


def test_ties_replace_a_centre_by_a_sum_and_an_area_by_a_product() -> None:
    model = SpectrumModel(
        (Emitter({"biexciton": ALWAYS}),),
        lines=2,
        ties={
            "energy_2_eV": (("energy_1_eV", 1.0), ("splitting_2_eV", 1.0)),
            "area_2_counts": (("area_1_counts", 0.5),),
        },
    )
    values = {"energy_1_eV": 2.37, "splitting_2_eV": 2e-3, "width_eV": 0.2e-3}
    values |= {"area_1_counts": 1e4, "biexciton_binding_eV": 30e-3, "background_0": 0.0}
    values |= {"biexciton_area_1_counts": 100.0, "biexciton_area_2_counts": 300.0}

    spectrum = expected(model, values)

    assert light_near(spectrum, 2.372) == pytest.approx(5e3, rel=1e-4)
    assert light_near(spectrum, 2.342) == pytest.approx(100.0, rel=1e-3)
    assert light_near(spectrum, 2.340) == pytest.approx(300.0, rel=1e-3)


def test_a_new_component_is_rows_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def dark_exciton(emitter: Emitter, lines: int) -> list[Line]:
        centre = (("energy_1_eV", 1.0), ("dark_binding_eV", -1.0))
        return [Line(centre, "width_eV", ("dark_area_counts",), emitter.shape)]

    monkeypatch.setitem(COMPONENTS, "dark", Component(dark_exciton, needs="exciton"))
    model = SpectrumModel((Emitter({"dark": ALWAYS}),), lines=1)

    names = model.table(model.complete()).names

    assert {"dark_binding_eV", "dark_area_counts"} < set(names)


def test_every_registered_component_makes_a_table() -> None:
    everything = {name: ALWAYS for name in COMPONENTS if name != "exciton"}
    phonons = (Phonon(3.5e-3), Phonon(6.5e-3, is_free=True), Phonon(16e-3), Phonon(19.5e-3))
    emitter = Emitter(everything, phonons, 2, 50.0, Shape.VOIGT)

    names = SpectrumModel((emitter,), lines=3).table([Contents(3, tuple(everything))]).names

    assert {"phonon_2_eV", "lorentz_width_eV", "trion_coupling_4", "coupling_4"} < set(names)
    assert len(rows_of(emitter, 1, ())) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectrumModel((Emitter({"polaron": ALWAYS}),)), "'polaron' is none of trion"),
        (lambda: SpectrumModel((Emitter({"replicas": ALWAYS}),)), "need the energy of a phonon"),
        (
            lambda: SpectrumModel((Emitter({"trion replicas": ALWAYS}, (Phonon(4e-3),)),)),
            "trion replicas need the trion",
        ),
        (lambda: SpectrumModel(()), "without an emitter"),
        (lambda: SpectrumModel(lines=4), "lines 4 must be 1, 2 or 3"),
        (lambda: SpectrumModel(bounds={"width_eV": (2.0, 1.0)}), "lower bound 2.0 is above"),
        (lambda: Phonon(-1e-3), "phonon energy -0.001 eV must be positive"),
        (lambda: Emitter(orders=3), "orders 3 of replicas must be 1 or 2"),
        (lambda: Emitter(phonons=(Phonon(4e-3),) * 5), "5 phonon modes: at most 4"),
        (lambda: Emitter(windows_eV={"trion": (0.02, 0.01)}), "window of the trion 0.02 to 0.01"),
        (
            lambda: SpectrumModel(ties={"width_eV": (("a", 2.0),)}).table([Contents(1, ())]),
            "width_eV can only be tied to one other width",
        ),
    ],
)
def test_an_impossible_model_is_refused_in_words(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_absent_components_are_named_with_what_was_seen_of_them(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("absent in words")
    truth = nanocrystals.one(1000, rng, absent=("trion",))
    emitter = Emitter(
        {"replicas": ALWAYS, "trion": IF_SEEN, "biexciton": IF_SEEN},
        tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        windows_eV=nanocrystals.windows_eV,
    )
    fitter = ModelFitter(SpectrumModel((emitter,), lines=2), DetectorNoise(read_noise_e=4.0))
    counts = nanocrystals.measured(truth.expected(nanocrystals.edges_eV), rng)

    fit = fitter.fit(nanocrystals.wavelength_nm, counts)

    assert fit.fit.verdict is Verdict.CONVERGED
    assert fit.contents == (Contents(2, ("replicas", "biexciton")),)
    assert "no trion (" in fit.fit.reason
    assert fit.seen["biexciton"] > 4.5 > fit.seen["trion"]
    with pytest.raises(ValueError, match="not in tuple"):
        fit["trion_binding_eV"]


def test_two_emitters_are_told_apart(nanocrystals: Nanocrystals, make_rng: MakeRng) -> None:
    rng = make_rng("two emitters")
    model = SpectrumModel((Emitter(), Emitter()), lines=1)
    values = {"energy_1_eV": 2.372, "width_eV": 0.4e-3, "area_1_counts": 2e4}
    values |= {"emitter_2_energy_1_eV": 2.381, "emitter_2_width_eV": 0.6e-3}
    values |= {"emitter_2_area_1_counts": 8e3, "background_0": 20.0}
    table = model.table(model.complete())
    place = np.array([[values[name] for name in table.names]])
    light = table.evaluate(place, nanocrystals.edges_eV)[0][0]

    fit = ModelFitter(model, DetectorNoise(read_noise_e=4.0)).fit(
        nanocrystals.wavelength_nm, nanocrystals.measured(light, rng)
    )

    for name, value in values.items():
        assert abs(fit[name] - value) < 5.0 * fit.error(name), name


BAD = [
    pytest.param(np.zeros(1024), id="all zero"),
    pytest.param(np.full(1024, np.nan), id="all NaN"),
    pytest.param(np.full(1024, -1e4), id="negative"),
    pytest.param(np.full(1024, np.inf), id="infinite"),
    pytest.param(np.full(1024, 1e18), id="absurdly bright"),
    pytest.param(np.arange(1024.0) * 1e3, id="a ramp"),
    pytest.param(np.where(np.arange(1024) == 500, 1e9, 0.0), id="one pixel"),
    pytest.param(np.where(np.arange(1024) % 2, 6e4, 0.0), id="every other pixel"),
    pytest.param(np.where(np.arange(1024) < 512, 6e4, 0.0), id="a step"),
]


@pytest.mark.parametrize("counts", BAD)
@pytest.mark.parametrize("lines", [1, 3])
def test_counts_that_show_no_nanocrystal_get_a_verdict(
    counts: Array, lines: int, nanocrystals: Nanocrystals
) -> None:
    emitter = Emitter(
        {"replicas": ALWAYS, "trion": IF_SEEN, "biexciton": ALWAYS}, (Phonon(3.6e-3),)
    )
    fitter = ModelFitter(SpectrumModel((emitter,), lines=lines), DetectorNoise(read_noise_e=4.0))

    fit = fitter.fit(nanocrystals.wavelength_nm, counts)

    assert fit.fit.verdict is not Verdict.CONVERGED
    assert fit.fit.reason


def test_a_replica_of_what_is_not_seen_starts_from_the_least_coupling() -> None:
    model = SpectrumModel((Emitter({"replicas": ALWAYS}, (Phonon(5e-3),)),))
    guess = ExcitonGuess(np.array([2.37]), np.array([1e15]), 0.5e-3, 9.0)
    middle_eV = np.linspace(2.36, 2.38, 200)
    below = np.where(middle_eV < 2.367, 1e200, 0.0)

    values = exciton_values(model, 0, guess, middle_eV, below)

    assert values["coupling_1"] == pytest.approx(0.02)


def test_a_window_off_the_axis_is_said_in_words(nanocrystals: Nanocrystals) -> None:
    model = SpectrumModel(window_eV=(1.0, 1.1))

    fit = ModelFitter(model, DetectorNoise()).fit(nanocrystals.wavelength_nm, np.ones(1024))

    assert fit.fit.verdict is Verdict.NO_SIGNAL
    assert "holds fewer than 11 good pixels" in fit.fit.reason


def test_counts_and_axes_may_come_in_other_units_and_directions(
    nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    rng = make_rng("units")
    truth = nanocrystals.one(1000, rng, absent=("trion", "biexciton"))
    counts = nanocrystals.measured(truth.expected(nanocrystals.edges_eV), rng)
    emitter = Emitter(
        {"replicas": ALWAYS}, tuple(Phonon(energy) for energy in nanocrystals.phonons_eV)
    )
    model = SpectrumModel((emitter,), lines=2)

    plain = ModelFitter(model, DetectorNoise(read_noise_e=4.0)).fit(
        nanocrystals.wavelength_nm, counts
    )
    other = ModelFitter(model, DetectorNoise(2.0, 4.0, 600.0)).fit(
        nanocrystals.wavelength_nm[::-1], 600.0 + 0.5 * counts[::-1]
    )

    assert other["energy_1_eV"] == pytest.approx(plain["energy_1_eV"], abs=1e-9)
    assert other["area_2_counts"] == pytest.approx(0.5 * plain["area_2_counts"], rel=1e-5)
    assert other.error("background_0") == pytest.approx(0.5 * plain.error("background_0"), rel=1e-5)


def test_the_components_of_a_spectrum_of_very_many_pixels_are_found(make_rng: MakeRng) -> None:
    """A line of thousands of pixels needs filters as long; done pixel by pixel, minutes of them."""
    rng = make_rng("many pixels")
    wavelength = np.linspace(515.0, 535.0, 200_001)
    energy = 1239.841984 / wavelength
    light = sum(
        area * np.exp(-4.0 * np.log(2.0) * ((energy - place) / 0.4e-3) ** 2)
        for area, place in ((400.0, 2.3720), (200.0, 2.3600), (40.0, 2.3682))
    )
    emitter = Emitter({"replicas": ALWAYS, "trion": IF_SEEN}, (Phonon(3.8e-3),))
    fitter = ModelFitter(SpectrumModel((emitter,)), DetectorNoise(read_noise_e=4.0))

    found = fitter.fit(wavelength, rng.poisson(3.0 + light) + rng.normal(0.0, 4.0, light.size))

    assert found.fit.verdict is Verdict.CONVERGED
    truth = {"energy_1_eV": 2.372, "trion_binding_eV": 12e-3, "coupling_1": 0.1}
    for name, value in truth.items():
        assert abs(found[name] - value) < 5.5 * found.error(name)
