"""The full spectrum model against the Cramer-Rao bound: cold start, every parameter.

Short here, with bounds as wide as so few spectra need; the campaign has thousands. What is asked is
asked of the method, so the bounds of a short run are the goal widened by its own sampling error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.line_table import Shape
from analysis.estimation.verdict import Verdict
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.model_fit import ModelFitter
from analysis.spectra.spectrum_model import SpectrumModel

if TYPE_CHECKING:
    from conftest import MakeRng, Nanocrystals, TrueSpectrum

Array = NDArray[np.float64]

pytestmark = pytest.mark.usefixtures("compiled_if_ready")

CHANCE = 1e-6  # that a check of one parameter fails though the goal is met
FEW_COUNTS = 50
SPECTRA = {50: 50_000, 200: 50_000, 1000: 5000, 20000: 5000}  # of a campaign
OF_EACH = 5  # spectra of one nanocrystal in a row


def fitter_for(
    nanocrystals: Nanocrystals, *, shape: str = "gauss", lines: int = 2, if_seen: bool = False
) -> ModelFitter:
    looked_for = Presence.IF_SEEN if if_seen else Presence.ALWAYS
    emitter = Emitter(
        components={
            "replicas": Presence.ALWAYS,
            "trion": looked_for,
            "biexciton": looked_for,
        },
        phonons=tuple(Phonon(energy) for energy in nanocrystals.phonons_eV),
        shape=Shape(shape),
        windows_eV=nanocrystals.windows_eV,
    )
    known = nanocrystals.known_gauss_eV
    fixed = {"width_eV": known, "trion_width_eV": known} if shape == "voigt" else {}
    return ModelFitter(
        SpectrumModel((emitter,), lines=lines, fixed=fixed),
        DetectorNoise(read_noise_e=nanocrystals.read_noise_e),
    )


Make = Callable[[np.random.Generator], "TrueSpectrum"]


@dataclass(frozen=True)
class Outcome:
    """miss: in units of the bound; pull: in units of the fit's own error; both by parameter.

    lost: which spectra, by their number, miss a parameter by 8 sigma of the bound or lack one.
    """

    miss: dict[str, Array]
    pull: dict[str, Array]
    converged: int
    lost: list[int]
    spectra: int


def outcome_of(
    nanocrystals: Nanocrystals,
    fitter: ModelFitter,
    make: Make,
    rngs: Iterable[np.random.Generator],
    *,
    of_each: int = 1,
) -> Outcome:
    """Fit one spectrum with each generator, so many of each nanocrystal in a row."""
    miss: dict[str, list[float]] = {}
    pull: dict[str, list[float]] = {}
    converged, lost, number = 0, [], -1
    for number, rng in enumerate(rngs):
        if number % of_each == 0:
            truth = make(rng)
            expected, bound = truth.expected_and_bound(nanocrystals.edges_eV)
        fit = fitter.fit(nanocrystals.wavelength_nm, nanocrystals.measured(expected, rng))
        converged += fit.fit.verdict is Verdict.CONVERGED
        off = {n: fit[n] - truth.parameters[n] for n in bound if n in fit.fit.names}
        if len(off) < len(bound) or not all(abs(off[n]) <= 8.0 * bound[n] for n in bound):
            lost.append(number)
            continue
        for name, sigma in bound.items():
            miss.setdefault(name, []).append(off[name] / sigma)
            pull.setdefault(name, []).append(off[name] / fit.error(name))
    return Outcome(
        {name: np.array(values) for name, values in miss.items()},
        {name: np.array(values) for name, values in pull.items()},
        converged,
        lost,
        number + 1,
    )


def check(outcome: Outcome, peak: int) -> None:
    """Assert the goals for every parameter, widened by the sampling error of so many spectra."""
    sigmas = stats.norm.isf(CHANCE)
    few = peak <= FEW_COUNTS
    for name, miss in outcome.miss.items():
        n = miss.size
        spread = stats.chi2.isf([CHANCE, 1.0 - CHANCE], n - 1) / (n - 1)
        highest, lowest = (1.15 if few else 1.07) * spread[0], 0.93 * spread[1]
        assert lowest < miss.var(ddof=1) < highest, f"{name}: variance {miss.var(ddof=1):.3f}"
        bias = (0.12 if few else 0.05) + sigmas / np.sqrt(n)
        assert abs(miss.mean()) < bias, f"{name}: bias {miss.mean():.3f} sigma"
        coverage = ((1.0, 0.683, 0.02), (1.96, 0.95, 0.01))
        if few:
            coverage = ((1.0, 0.68, 0.02), (1.96, 0.95, 0.025))
        for width, wanted, within in coverage:
            covered = int((np.abs(outcome.pull[name]) < width).sum())
            least = stats.binom.ppf(CHANCE, n, wanted - within)
            most = stats.binom.ppf(1.0 - CHANCE, n, min(wanted + within, 1.0))
            assert least <= covered <= most, f"{name}: {covered} of {n} within {width} sigma"
    allowed = 1e-3 if few else 1e-4
    assert len(outcome.lost) <= stats.binom.ppf(1.0 - CHANCE, outcome.spectra, allowed)


def report(what: str, outcome: Outcome) -> str:
    """Return one line of figures, for the record of a campaign."""
    worst = max(outcome.miss, key=lambda name: abs(outcome.miss[name].mean()))
    variances = [miss.var(ddof=1) for miss in outcome.miss.values()]
    within = [
        [(np.abs(pull) < width).mean() for pull in outcome.pull.values()] for width in (1.0, 1.96)
    ]
    return (
        f"{what}: {outcome.spectra} spectra, lost {outcome.lost}, converged {outcome.converged}, "
        f"var/CRB {min(variances):.3f}-{max(variances):.3f}, worst bias "
        f"{outcome.miss[worst].mean():+.3f} ({worst}), cover "
        f"{min(within[0]):.3f}-{max(within[0]):.3f} and {min(within[1]):.3f}-{max(within[1]):.3f}"
    )


SHORT = [("gauss", 50), ("gauss", 1000), ("lorentz", 200), ("voigt", 1000)]
LONG = [(shape, peak) for shape in ("gauss", "lorentz", "voigt") for peak in (50, 200, 1000, 20000)]


@pytest.mark.parametrize(("shape", "peak"), SHORT)
def test_every_parameter_is_unbiased_and_at_the_bound_from_a_cold_start(
    shape: str, peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    fitter = fitter_for(nanocrystals, shape=shape)
    rngs = [make_rng("cold", shape, peak)] * (40 if shape == "voigt" else 80)

    outcome = outcome_of(
        nanocrystals, fitter, lambda rng: nanocrystals.one(peak, rng, shape=shape), rngs
    )

    check(outcome, peak)


def test_two_close_lines_are_not_taken_for_one_and_noise_for_the_other(
    nanocrystals: Nanocrystals,
) -> None:
    """A spectrum that was lost so, by 40 in deviance, at a chi2/dof of 1.05."""
    truth = nanocrystals.one(50, np.random.default_rng((1, 300, 50, 7)), shape="lorentz")
    expected, bound = truth.expected_and_bound(nanocrystals.edges_eV)
    counts = nanocrystals.measured(expected, np.random.default_rng((1, 304, 50, 7)))

    fit = fitter_for(nanocrystals, shape="lorentz").fit(nanocrystals.wavelength_nm, counts)

    assert fit.fit.verdict is Verdict.CONVERGED
    for name in ("energy_1_eV", "energy_2_eV", "width_eV"):
        assert abs(fit[name] - truth.parameters[name]) < 5.0 * bound[name]


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("shape", "peak"), LONG)
def test_campaign_every_parameter_is_at_the_bound_and_hardly_any_spectrum_is_lost(
    shape: str, peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    fitter = fitter_for(nanocrystals, shape=shape)
    # Each with a generator of its own, so that one that is lost can be looked at alone.
    rngs = (make_rng("cold", shape, peak, number) for number in range(SPECTRA[peak]))

    outcome = outcome_of(
        nanocrystals,
        fitter,
        lambda rng: nanocrystals.one(peak, rng, shape=shape),
        rngs,
        of_each=OF_EACH,
    )

    print(report(f"{shape} {peak}", outcome))
    check(outcome, peak)


ABSENCES = [("trion",), ("trion", "biexciton"), ("biexciton",)]


def check_absent(outcome: Outcome, peak: int) -> None:
    failures = outcome.spectra - outcome.converged
    assert failures <= stats.binom.ppf(1.0 - CHANCE, outcome.spectra, 5e-3)
    check(outcome, peak)


@pytest.mark.parametrize(("absent", "peak"), [(ABSENCES[0], 1000), (ABSENCES[1], 200)])
def test_what_is_absent_is_left_out_and_the_rest_stays_calibrated(
    absent: tuple[str, ...], peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    fitter = fitter_for(nanocrystals, if_seen=True)
    rngs = [make_rng("absent", *absent, peak)] * 80

    outcome = outcome_of(
        nanocrystals, fitter, lambda rng: nanocrystals.one(peak, rng, absent=absent), rngs
    )

    check_absent(outcome, peak)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("absent", ABSENCES)
@pytest.mark.parametrize("peak", [50, 200, 1000, 20000])
def test_campaign_what_is_absent_is_left_out_and_the_rest_stays_calibrated(
    absent: tuple[str, ...], peak: int, nanocrystals: Nanocrystals, make_rng: MakeRng
) -> None:
    fitter = fitter_for(nanocrystals, if_seen=True)
    rngs = (make_rng("absent", *absent, peak, number) for number in range(5000))

    outcome = outcome_of(
        nanocrystals,
        fitter,
        lambda rng: nanocrystals.one(peak, rng, absent=absent),
        rngs,
        of_each=OF_EACH,
    )

    print(report(f"without {' and '.join(absent)}, {peak}", outcome))
    check_absent(outcome, peak)
