"""Series fitted at once: shared parameters at their photon errors, and the joint climb itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Counts
from analysis.estimation.joint_fit import Sharing, maximise_jointly
from analysis.estimation.line_table import Line, LineTable
from analysis.estimation.table_fit import slopes_of
from analysis.estimation.verdict import Verdict
from analysis.series.polarization_series import PolarizationSeries, fit_polarization_series
from analysis.series.stark_series import fit_stark_series
from analysis.spectra.fit_model import FitModel
from analysis.wavelength.axis import energy_edges_eV
from analysis.wavelength.units import wavelength_from_energy_nm

if TYPE_CHECKING:
    from conftest import MakeRng

Array = NDArray[np.float64]

CCD = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)
WAVELENGTH = wavelength_from_energy_nm(2.392 + 6e-5 * (np.arange(220) - 110))[::-1]
EDGES = energy_edges_eV(WAVELENGTH)
ABOVE = np.array([0.0, 0.9e-3, 1.5e-3])
AXES = np.array([32.0, 118.0, 20.0])
THREE = FitModel(lines=3, window_eV=(2.386, 2.398))


def lines(first_eV: Array, area: Array, above_eV: Array = ABOVE) -> Array:
    """Return expected electrons of Gaussians 0.25 meV wide; area: shape (frames, 3)."""
    sigmas = (EDGES - (first_eV[:, None] + above_eV)[..., None]) * np.sqrt(8.0 * np.log(2.0))
    return np.asarray(3.0 + np.einsum("fl,flp->fp", area, -np.diff(ndtr(sigmas / 0.25e-3))))


def measured(expected: Array, rng: np.random.Generator) -> Array:
    return np.rint(rng.poisson(expected) + rng.normal(600.0, 4.0, expected.shape))


def polarized(rng: np.random.Generator, frames_per_angle: int = 5) -> tuple[Array, Array]:
    """Return frames and angles of three lines that diffuse together and blink."""
    angle = np.repeat(np.arange(0.0, 180.0, 15.0), frames_per_angle)
    first = 2.3912 + 0.15e-3 * rng.normal(size=angle.size)
    bright = rng.uniform(0.4, 1.0, angle.size)
    law = 0.1 + 0.9 * np.cos(np.deg2rad(angle[:, None] - AXES)) ** 2
    return measured(lines(first, bright[:, None] * law * [2500.0, 1500.0, 900.0]), rng), angle


def fit_polarized(rng: np.random.Generator) -> PolarizationSeries:
    frames, angle = polarized(rng)
    return fit_polarization_series(WAVELENGTH, frames, angle, model=THREE, noise=CCD)


def test_axes_and_splittings_of_a_blinking_series_are_pulled_as_their_photon_errors_say(
    make_rng: MakeRng,
) -> None:
    rng, pulls, open_ones = make_rng("blinking series"), [], 0
    for _ in range(12):
        fit = fit_polarized(rng)
        # Of axes 12 deg apart the angles do not tell the lines in 1 of 200 such series.
        open_ones += "the angles do not tell the lines apart" in fit.reason
        assert fit.verdict in (Verdict.CONVERGED, Verdict.ILL_DETERMINED), fit.reason
        pulls += list((fit.splitting_eV - ABOVE[1:]) / fit.photon_splitting_errors_eV)
        miss = [
            (law.axis_deg - axis + 90.0) % 180.0 - 90.0
            for law, axis in zip(fit.lines, AXES, strict=True)
        ]
        pulls += list(miss / fit.photon_axis_errors_deg)

    assert open_ones <= 3
    assert np.abs(pulls).max() < 5.5
    assert np.std(pulls) == pytest.approx(1.0, abs=0.46)  # 5 standard deviations of 60 pulls


def test_visibility_and_axes_need_not_be_orthogonal_and_are_confirmed_by_the_angles(
    make_rng: MakeRng,
) -> None:
    fit = fit_polarized(make_rng("axes"))

    apart = abs(fit.lines[0].axis_deg - fit.lines[2].axis_deg)
    assert apart == pytest.approx(12.0, abs=5.5 * fit.lines[2].axis_error_deg)
    for law in fit.lines:
        assert law.visibility == pytest.approx(0.9 / 1.1, abs=5.5 * law.visibility_error)
    undecided = "the angles do not tell the lines apart" in fit.reason  # 1 of 200
    assert undecided or "confirmed by polarization" in fit.reason


def test_a_series_gives_the_same_bits_twice() -> None:
    first, second = (fit_polarized(np.random.default_rng(7)) for _ in range(2))

    np.testing.assert_array_equal(first.splitting_eV, second.splitting_eV)
    np.testing.assert_array_equal(first.series.covariance, second.series.covariance)


def test_frames_that_jump_during_the_exposure_are_left_out() -> None:
    rng = np.random.default_rng(3)
    frames, angle = polarized(rng)
    half = np.array([1200.0, 700.0, 500.0])
    jumped = lines(np.array([2.3908]), half[None]) + lines(np.array([2.3913]), half[None])
    frames[[11, 40]] = measured(np.repeat(jumped, 2, axis=0), rng)

    fit = fit_polarization_series(WAVELENGTH, frames, angle, model=THREE, noise=CCD)

    of_their_points = {11, *range(40, 45)}
    assert {11, 40} <= fit.series.excluded.keys() <= of_their_points
    assert np.abs((fit.splitting_eV - ABOVE[1:]) / fit.splitting_errors_eV).max() < 4.0


def test_stark_energies_follow_the_mean_of_lines_whose_splitting_changes(
    make_rng: MakeRng,
) -> None:
    rng = make_rng("splitting that changes")
    field = np.repeat(np.linspace(-100.0, 100.0, 11), 4)
    energy = 2.392 - 0.05e-6 * ((field - 230.0) ** 2 - 230.0**2)
    spread = 1.0 + 0.03 * field / 100.0
    from_mean = (ABOVE - ABOVE.mean()) * spread[:, None]
    still = lines(
        energy + from_mean[:, 0], np.tile([2500.0, 1500.0, 900.0], (field.size, 1)),
        from_mean - from_mean[:, :1],
    )  # fmt: skip

    fit = fit_stark_series(
        WAVELENGTH,
        measured(still, rng),
        field,
        model=THREE,
        noise=CCD,
        point=np.repeat(np.arange(11), 4),
    )

    assert fit.verdict is Verdict.CONVERGED, fit.reason
    miss = fit.stark.internal_field_kV_per_cm + 230.0
    assert abs(miss) < 5.5 * fit.stark.internal_field_error
    assert fit.stark.internal_field_error < 2.0
    assert fit.photon_internal_field_error == pytest.approx(fit.stark.internal_field_error, rel=0.7)


@pytest.mark.parametrize(
    ("angle", "model", "message"),
    [
        (np.zeros(60), THREE, "1 different angles, needed are 4"),
        (np.arange(60.0), FitModel(lines="auto"), "not with auto"),
    ],
)
def test_a_series_that_determines_no_law_is_refused(
    angle: Array, model: FitModel, message: str
) -> None:
    frames, _ = polarized(np.random.default_rng(1))

    with pytest.raises(ValueError, match=message):
        fit_polarization_series(WAVELENGTH, frames, angle, model=model, noise=CCD)


def test_a_series_without_light_is_refused() -> None:
    with pytest.raises(ValueError, match="none of 24 frames shows a line"):
        fit_polarization_series(
            WAVELENGTH, np.full((24, 220), 600.0), np.arange(24.0), model=THREE, noise=CCD
        )


def test_the_joint_optimum_and_its_covariance_are_those_of_scipy() -> None:
    rng = np.random.default_rng(5)
    table = LineTable([Line((("energy", 1.0),), "width", ("area",))], background_order=0)
    true = np.array(
        [[2.3918, 4e-4, 800.0, 5.0], [2.3922, 4e-4, 500.0, 5.0], [2.392, 4e-4, 900.0, 5.0]]
    )
    expected, _ = table.evaluate(true, EDGES)
    electrons = rng.poisson(expected) + rng.normal(0.0, 4.0, expected.shape)
    counts = Counts(electrons, np.full(expected.shape, 16.0), np.ones(expected.shape))
    sharing = Sharing.of(
        table.names,
        {"width": np.ones(3), "background_0": np.ones(3)},
        own=["energy", "area"],
        spectra=3,
    )
    start = np.array(true)
    start[:, [1, 3]] = 0.0  # these come from the shared parameters

    optimum = maximise_jointly(
        slopes_of(table, EDGES, counts),
        sharing,
        shared=np.array([5e-4, 8.0]),
        start=start,
        largest_step=lambda at: np.broadcast_to([2e-4, 2e-4, np.inf, np.inf], at.shape),
    )

    def spread(flat: Array) -> Array:
        energy, area = flat[2:5], flat[5:]
        return np.column_stack([energy, np.full(3, flat[0]), area, np.full(3, flat[1])])

    at = np.concatenate([[4e-4, 5.0], true[:, 0], true[:, 2]])
    scale = np.concatenate([[1e-5, 0.1], np.full(3, 1e-5), np.full(3, 30.0)])
    for _ in range(8):
        sigma = np.sqrt(np.maximum(table.evaluate(spread(at), EDGES)[0], 0.0) + 16.0)

        def residual(u: Array, sigma: Array = sigma) -> Array:
            return np.ravel((table.evaluate(spread(u * scale), EDGES)[0] - electrons) / sigma)

        found = least_squares(residual, at / scale, method="lm", xtol=1e-14, ftol=1e-14)
        at = found.x * scale
    covariance = np.linalg.inv(found.jac.T @ found.jac) * np.outer(scale, scale)

    assert optimum.converged
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(optimum.shared - at[:2]) / errors[:2], 0.03)
    np.testing.assert_array_less(np.abs(optimum.parameters[:, 0] - at[2:5]) / errors[2:5], 0.15)
    np.testing.assert_allclose(optimum.shared_covariance, covariance[:2, :2], rtol=5e-3)
    own = np.sqrt(np.einsum("fpp->fp", optimum.own_covariance))
    np.testing.assert_allclose(own[:, 0], errors[2:5], rtol=5e-3)
    np.testing.assert_allclose(own[:, 1], errors[5:], rtol=5e-3)
