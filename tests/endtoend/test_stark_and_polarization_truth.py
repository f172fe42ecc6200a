"""Frames of the simulated nanocrystal, analysed without knowing it, give back its truth.

Diffusion, jumps, blinking, trions, replicas, cosmic rays and the skewed line profile are all on.
The checker alone looks at the world's truth. Seeds follow from the commit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.estimation.cramer_rao import fisher_matrix
from analysis.estimation.verdict import Verdict
from analysis.laws.polarization import harmonics
from analysis.series.polarization_series import PolarizationSeries, fit_polarization_series
from analysis.series.series_fit import SeriesFit
from analysis.series.stark_series import StarkSeries, fit_stark_series
from analysis.spectra.spectrum_fit import DetectorNoise, FitModel
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import vacuum_from_air_nm
from simulators.truth import Truth
from simulators.world import World

Array = NDArray[np.float64]

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=1000.0)
EXCITON = FitModel(lines=3, window_eV=(2.384, 2.399))
EXPOSURE_S, READOUT_S, ROWS = 2.0, 0.1, (118, 20)
FEW, MANY = 2, 40
FIRST_eV = 2.391  # where the checker puts the lowest line, to within a pixel
FLOOR_E = 0.8 * EXPOSURE_S  # stray light and laser, per pixel and frame
SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))


def laboratory(seed: int) -> World:
    """Return a world at rest and cold; the laser does not warm it, for want of a controller."""
    truth = Truth()
    world = World(replace(truth, cryostat=replace(truth.cryostat, laser_heat_W=0.0)), seed)
    world.camera.cooling_to_C = -70.0
    world.advance(60.0)
    return world


def wavelength_nm(world: World) -> Array:
    return vacuum_from_air_nm(world.optics.nominal_wavelengths_nm())


def expose(world: World, frames: int) -> Array:
    world.camera.start(EXPOSURE_S, frames, rows=ROWS, readout_s=READOUT_S)
    world.optics.shutter_open = True
    world.advance(world.now + frames * (EXPOSURE_S + READOUT_S) + 1e-6)
    world.optics.shutter_open = False
    return np.array([counts for _, counts in world.camera.frames()], dtype=np.float64)


@dataclass(frozen=True)
class Pull:
    """A result against the truth, and its photon error against the smallest possible."""

    name: str
    sigmas: float
    photon_error_over_bound: float


def polarization_pulls(seed: int) -> list[Pull]:
    world = laboratory(seed)
    angles = np.append(np.random.default_rng(seed).permutation(np.arange(0.0, 180.0, 10.0)), 0.0)
    frames = []
    for angle in angles:
        world.optics.polarizer_mechanical_deg = float(angle)
        world.advance(world.now + 1.0)
        frames.append(expose(world, 10))
    fit = fit_polarization_series(
        wavelength_nm(world),
        np.concatenate(frames),
        np.repeat(angles, 10),
        model=EXCITON,
        noise=CCD,
        point=np.repeat(np.arange(angles.size), 10),
    )
    assert fit.verdict is Verdict.CONVERGED, fit.reason
    bound = polarization_bound(world, fit, np.repeat(angles, 10)[fit.series.used])
    true = world.true_lines()[:3]
    axes = [
        Pull(
            f"axis of {line.name}",
            ((law.axis_deg - line.axis_deg + 90.0) % 180.0 - 90.0) / law.axis_error_deg,
            fit.photon_axis_errors_deg[k] / bound[f"axis_{k + 1}"],
        )
        for k, (law, line) in enumerate(zip(fit.lines, true, strict=True))
    ]
    splittings = [
        Pull(
            f"splitting of {true[k].name}",
            (fit.splitting_eV[k - 1] - (true[k].energy_eV - true[0].energy_eV))
            / fit.splitting_errors_eV[k - 1],
            fit.photon_splitting_errors_eV[k - 1] / bound[f"splitting_{k + 1}"],
        )
        for k in (1, 2)
    ]
    return axes + splittings


def stark_pulls(seed: int) -> list[Pull]:
    """Return the pull of a sweep of 21 fields, three times."""
    return pulls_of_fields(seed, np.arange(10.0, 101.0, 10.0), repeats=3)


def short_stark_pulls(seed: int) -> list[Pull]:
    """Return the pull of a sweep of 11 fields, once."""
    return pulls_of_fields(seed, np.arange(20.0, 101.0, 20.0), repeats=1)


def pulls_of_fields(seed: int, fields_up: Array, *, repeats: int) -> list[Pull]:
    world = laboratory(seed)
    world.optics.polarizer_mechanical_deg = 60.0  # all three lines are bright enough
    there_and_back = [x for field in fields_up for x in (field, 0.0, -field, 0.0)]
    fields, frames = [], []
    for volt in [0.0, *there_and_back] * repeats:
        world.bias.set_source(float(volt), True, 1e-6, 1000.0)  # 10 um gap: V = kV/cm
        world.advance(world.now + 1.0)
        fields.append(world.field_kV_per_cm())
        frames.append(expose(world, 5))
    point = np.repeat(np.arange(len(fields)), 5)
    fit = fit_stark_series(
        wavelength_nm(world),
        np.concatenate(frames),
        np.repeat(fields, 5),
        model=EXCITON,
        noise=CCD,
        point=point,
        light_time_s=EXPOSURE_S * (np.arange(point.size) + 0.5),
        light_duration_s=5 * EXPOSURE_S,
    )
    assert fit.verdict is Verdict.CONVERGED or fit.stark.verdict is Verdict.ILL_DETERMINED
    assert fit.stark.extrapolated
    truth = -world.truth.nanocrystal.stark.vertex_kV_per_cm
    error = (fit.stark.internal_field_kV_per_cm - truth) / fit.stark.internal_field_error
    return [Pull("internal field", error, energy_error_over_bound(world, fit))]


def seeds(commit_seed: int, number: int) -> list[int]:
    children = np.random.SeedSequence(commit_seed).generate_state(number)
    return [int(child) for child in children]


@dataclass(frozen=True)
class Seen:
    """The lines as the checker has them: true distances, the profile and the width seen."""

    above_first_eV: Array
    width_eV: float
    series: SeriesFit

    @classmethod
    def of(cls, world: World, series: SeriesFit) -> "Seen":
        energies = np.array([line.energy_eV for line in world.true_lines()[:3]])
        return cls(energies - energies[0], float(np.median(series.width_eV)), series)

    def edges_eV(self, world: World) -> Array:
        edges = energy_edges_eV(wavelength_nm(world))[::-1]
        reach = 7.0 * self.width_eV
        return edges[(edges > FIRST_eV - reach) & (edges < FIRST_eV + 1.5e-3 + reach)]

    def electrons(
        self, edges: Array, centre_eV: Array, area_e: Array, width_eV: float, floor: Array
    ) -> Array:
        """Return lines with core, tail and wings on a linear floor."""
        s = self.series
        from_centre = edges - np.asarray(centre_eV)[:, None]
        below = ndtr(SIGMAS_PER_FWHM * from_centre / width_eV)
        below += s["tail"] * ndtr(
            SIGMAS_PER_FWHM * (from_centre - s["tail_offset_eV"]) / s["tail_width_eV"]
        )
        below += s["wing"] * (0.5 + np.arctan(2.0 * from_centre / (1.5 * self.width_eV)) / np.pi)
        place = np.linspace(-1.0, 1.0, edges.size - 1)
        return np.asarray(area_e @ np.diff(below) + floor[0] + floor[1] * place)


def energy_error_over_bound(world: World, fit: StarkSeries) -> float:
    """Return the median photon error of a frame's energy over the bound for median counts."""
    series = fit.series
    seen = Seen.of(world, series)
    edges = seen.edges_eV(world)
    rates = np.array([line.rate_e_per_s for line in world.true_lines()[:3]])
    area = float(np.median(series.brightness_e)) * rates / rates[0]

    def expected(at: Array) -> Array:
        centre = FIRST_eV + seen.above_first_eV + at[0]
        return seen.electrons(edges, centre, area * at[2], at[1], at[3:])

    start = np.array([0.0, seen.width_eV, 1.0, FLOOR_E, 0.0])
    step = np.array([1e-7, 1e-7, 1e-3, 1e-2, 1e-2])
    information = fisher_matrix(expected, start, step=step, read_noise_e=CCD.read_noise_e)
    bound = float(np.sqrt(np.linalg.inv(information)[0, 0]))
    return float(np.median(series.energy_error_eV)) / bound


def polarization_bound(world: World, fit: PolarizationSeries, angle_deg: Array) -> dict[str, float]:
    """Return the smallest errors for the counts taken, the frames of an angle laid together.

    Free: both splittings, the laws of all lines (the constant of the first is 1), and energy,
    width, brightness and background of each angle; the profile is known.
    """
    series = fit.series
    seen = Seen.of(world, series)
    edges = seen.edges_eV(world)
    laws = np.array([law.coefficients for law in fit.lines])
    angles, place = np.unique(angle_deg, return_inverse=True)
    number = np.bincount(place)
    light = np.bincount(place, series.brightness_e)
    columns = harmonics(angles)

    def expected(at: Array) -> Array:
        law = np.concatenate([[1.0], at[2:10]]).reshape(3, 3)
        area = columns @ law.T * light[:, None]
        centre = FIRST_eV + np.array([0.0, at[0], at[1]])
        own = at[10:].reshape(5, -1).T
        return np.concatenate(
            [
                seen.electrons(edges, centre + one[0], a * one[2], one[1], one[3:])
                for a, one in zip(area, own, strict=True)
            ]
        )

    each = np.ones(angles.size)
    start = np.concatenate(
        [seen.above_first_eV[1:], laws.ravel()[1:], 0.0 * each, seen.width_eV * each, each,
         FLOOR_E * number, 0.0 * each]
    )  # fmt: skip
    step = np.concatenate(
        [[1e-7, 1e-7], np.full(8, 1e-4), 1e-7 * each, 1e-7 * each, 1e-3 * each, 1e-2 * each,
         1e-2 * each]
    )  # fmt: skip
    read_noise_e = CCD.read_noise_e * float(np.sqrt(number.mean()))
    covariance = np.linalg.inv(fisher_matrix(expected, start, step=step, read_noise_e=read_noise_e))
    bound = {f"splitting_{k}": float(np.sqrt(covariance[k - 2, k - 2])) for k in (2, 3)}
    for k in range(3):
        cosine, sine = laws[k, 1], laws[k, 2]
        turn = np.zeros(start.size)
        turn[3 * k + 2 : 3 * k + 4] = np.array([-sine, cosine]) / (2.0 * (cosine**2 + sine**2))
        bound[f"axis_{k + 1}"] = float(np.rad2deg(np.sqrt(turn @ covariance @ turn)))
    return bound


PullsOf = Callable[[int], list[Pull]]


@pytest.mark.parametrize("pulls_of", [polarization_pulls, short_stark_pulls])
def test_a_few_nanocrystals_give_back_their_truth(pulls_of: PullsOf, commit_seed: int) -> None:
    for seed in seeds(commit_seed, FEW):
        for pull in pulls_of(seed):
            assert abs(pull.sigmas) < 4.0, (seed, pull)
            assert 0.8 < pull.photon_error_over_bound < 1.3, (seed, pull)


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pulls_of", [polarization_pulls, stark_pulls])
def test_forty_nanocrystals_give_back_their_truth(pulls_of: PullsOf, commit_seed: int) -> None:
    by_kind: dict[str, list[float]] = {}
    for seed in seeds(commit_seed, MANY):
        for pull in pulls_of(seed):
            assert abs(pull.sigmas) < 4.0, (seed, pull)
            assert 0.8 < pull.photon_error_over_bound < 1.3, (seed, pull)
            by_kind.setdefault(pull.name.split()[0], []).append(pull.sigmas)

    for kind, sigmas in by_kind.items():
        assert 0.75 < np.std(sigmas) < 1.3, kind
