"""Compiled fits: equal to the numpy path, which other tests hold against independent code."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import voigt_profile

from analysis.estimation import fit_kernel, kernels
from analysis.estimation.fisher_scoring import Box, Counts, StepCap, maximise_likelihood
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.kernels import FitCode
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.estimation.table_fit import BatchFit, Job, fit_batch, fit_jobs, fit_table, slopes_of
from analysis.estimation.verdict import Verdict
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_fit import DetectorNoise, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV

Array = NDArray[np.float64]

WAVELENGTH_NM = np.linspace(516.0, 520.0, 301)
EDGES = energy_edges_eV(WAVELENGTH_NM)
MIDDLE_EV = float(EDGES.mean())
PIXEL_EV = float(np.abs(np.diff(EDGES)).mean())
PROFILE = InstrumentProfile(
    energy_eV=MIDDLE_EV + np.array([-6e-3, 0.0, 5e-3]),
    share=np.array([[0.8, 0.15, 0.05], [0.7, 0.2, 0.1], [0.75, 0.2, 0.05]]),
    offset_eV=np.array([[0.0, -2e-4, 0.0], [0.0, -3e-4, 1e-5], [1e-5, -2e-4, 0.0]]),
    gauss_fwhm_eV=np.array([[2e-4, 4e-4, 0.0], [2.2e-4, 5e-4, 0.0], [2e-4, 5e-4, 0.0]]),
    lorentz_fwhm_eV=np.array([[0.0, 0.0, 3e-4], [0.0, 0.0, 4e-4], [0.0, 0.0, 4e-4]]),
)


@pytest.fixture(autouse=True)
def _code_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_KERNELS", kernels._Kernels())


@pytest.fixture
def compiled(_code_as_it_was: None) -> None:
    fit_kernel.warm_up()
    kernels._KERNELS.code = FitCode.COMPILED


def by(code: FitCode) -> None:
    kernels._KERNELS.code = code


def random_table(shape: Shape, rng: np.random.Generator) -> tuple[LineTable, dict[str, float]]:
    """Return a few emitters with replicas, mirrored lines and products, and true parameters."""
    extra = "l" if shape is Shape.VOIGT or (shape is Shape.PROFILE and rng.random() < 0.5) else ""
    lines = int(rng.integers(1, 4))
    true = {"w": rng.uniform(2.5, 7.0) * PIXEL_EV, "l": rng.uniform(1.0, 4.0) * PIXEL_EV}
    true |= {"s": rng.uniform(0.1, 0.3), "B": 7.5e-3, "t": -2.5e-3, "wt": 8.0 * PIXEL_EV}
    rows = []
    for k in range(1, lines + 1):
        centre: tuple[tuple[str, float], ...] = (("e", 1.0),)
        if k > 1:
            centre = (*centre, (f"d{k}", 1.0))
            true[f"d{k}"] = (k - 1) * rng.uniform(1.5, 2.0) * (true["w"] + true["l"])
        true[f"a{k}"] = rng.uniform(2e4, 6e4)
        mirrored = tuple((name, -factor if name != "e" else 1.0) for name, factor in centre)
        rows += [
            Line(centre, "w", (f"a{k}",), shape, lorentz_width=extra),
            Line(centre, "w", (f"a{k}", "s"), shape, offset_eV=-5e-3, lorentz_width=extra),
            Line(centre, "w", (f"a{k}", "s", "s"), shape, -9.5e-3, 0.5, extra),
            Line((*mirrored, ("B", -1.0)), "w", ("x",), shape, lorentz_width=extra),
        ]
    rows.append(Line((("e", 1.0), ("t", 1.0)), "wt", ("y",), Shape.GAUSS))
    table = LineTable(rows, background_order=int(rng.integers(0, 3)), profile=PROFILE)
    true |= {"e": MIDDLE_EV + rng.uniform(3e-3, 4e-3), "x": 3e3, "y": 5e3}
    true |= {"background_0": 10.0, "background_1": 2.0, "background_2": 1.0}
    return table, true


def box_of(table: LineTable) -> Box:
    names = table.names
    widths = np.array([name in ("w", "l", "wt") for name in names])
    energies = np.array([name[0] in "eBtd" for name in names])
    share = np.where(energies, 0.7, np.where(widths, 0.4, 0.0))[:, None]
    share = share * np.array([name == "w" for name in names])
    lower = np.where(widths, 0.3 * PIXEL_EV, -np.inf)[None]
    return Box(lower, np.full((1, len(names)), np.inf), StepCap(share))


def measured(
    table: LineTable, true: dict[str, float], rng: np.random.Generator, *, spectra: int
) -> tuple[Counts, Array]:
    """Return counts and starts beside the truth."""
    at = np.array([true[name] for name in table.names])
    expected, _ = table.evaluate(at[None], EDGES)
    shape = (spectra, EDGES.size - 1)
    electrons = rng.poisson(np.broadcast_to(expected, shape)) + rng.normal(0.0, 4.0, shape)
    good = np.ones(shape)
    good[rng.random(shape) < 0.02] = 0.0
    energies = np.array([name[0] in "eBtd" for name in table.names])
    moved = np.where(energies, 0.08 * true["w"] * rng.normal(size=(spectra, at.size)), 0.0)
    start = at * np.where(energies, 1.0, rng.uniform(0.9, 1.1, (spectra, at.size))) + moved
    return Counts(electrons, np.full(shape, 16.0), good), start


@pytest.mark.parametrize("bend", [1.6, 2.0, 2.4, 4.0])
def test_noise_that_bends_the_likelihood_more_than_expected_does_not_make_the_climb_swing(
    bend: float,
) -> None:
    # The second pixel, 2.5 sigma too bright, adds bend / 2 to the curvature of 1 that is expected.
    def evaluate(place: Array) -> tuple[Array, Array]:
        expected = np.concatenate([100.0 + 10.0 * place, 100.0 - bend * place**2], axis=1)
        slope = np.concatenate([np.full_like(place, 10.0), -2.0 * bend * place], axis=1)
        return expected, slope[:, None]

    counts = Counts(np.array([[100.0, 125.0]]), np.full((1, 2), 1e-9), np.ones((1, 2)))
    free = np.full((1, 1), np.inf)

    optimum = maximise_likelihood(
        evaluate, counts, start=np.ones((1, 1)), box=Box(-free, free, lambda place: free)
    )

    assert optimum.converged.all()
    assert abs(optimum.parameters[0, 0]) < 0.02  # sigma
    assert optimum.evaluations <= 15


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("falling", [False, True])
def test_compiled_fits_are_those_of_numpy_to_a_millionth_of_their_error(
    shape: Shape, falling: bool, commit_seed: int, compiled: None
) -> None:
    rng = np.random.default_rng([commit_seed, list(Shape).index(shape)])
    for _ in range(3):
        table, true = random_table(shape, rng)
        counts, start = measured(table, true, rng, spectra=3)
        edges = EDGES
        if not falling:
            edges = EDGES[::-1].copy()
            turned = (counts.electrons, counts.shift, counts.good)
            counts = Counts(*(of[:, ::-1].copy() for of in turned))

        fits: list[BatchFit] = []
        for code in (FitCode.NUMPY, FitCode.COMPILED):
            by(code)
            fits.append(fit_batch(table, edges, counts, start=start, box=box_of(table)))

        slow, fast = fits
        np.testing.assert_array_equal(fast.converged, slow.converged)
        known = slow.converged & is_determined(slow)
        assert known.any()
        free = slow.errors[known] > 0
        miss = np.abs(fast.parameters - slow.parameters)[known][free] / slow.errors[known][free]
        assert miss.max(initial=0.0) < 1e-6
        np.testing.assert_allclose(fast.errors[known], slow.errors[known], rtol=1e-6)
        np.testing.assert_allclose(fast.chi2[known], slow.chi2[known], rtol=1e-7)


def is_determined(fit: BatchFit) -> NDArray[np.bool_]:
    """Return where no combination of parameters is a thousand times worse known than others."""
    determined = np.zeros(len(fit.parameters), dtype=np.bool_)
    for i, (covariance, errors) in enumerate(zip(fit.covariance, fit.errors, strict=True)):
        free = errors > 0
        if np.isfinite(errors).all():
            scaled = covariance[np.ix_(free, free)] / errors[free] / errors[free][:, None]
            determined[i] = np.linalg.eigvalsh(scaled)[0] > 1e-3
    return determined


@pytest.mark.parametrize("ratio", [0.0, 1e-3, 0.05, 0.5, 2.0, 30.0])
def test_a_compiled_voigt_line_is_the_integral_of_the_profile_over_each_pixel(
    ratio: float, compiled: None
) -> None:
    gauss = 3.0 * PIXEL_EV
    table = LineTable(
        [Line((("e", 1.0),), "g", ("a",), Shape.VOIGT, lorentz_width="l")], background_order=0
    )
    at = np.array([[{"e": MIDDLE_EV + 0.3 * PIXEL_EV, "g": gauss, "l": ratio * gauss, "a": 1.0,
                     "background_0": 0.0}[name] for name in table.names]])  # fmt: skip
    one = Counts(*(np.ones((1, EDGES.size - 1)),) * 3)

    _, expected = slopes_of(table, EDGES, one)(at)

    sigma, gamma = gauss / np.sqrt(8.0 * np.log(2.0)), 0.5 * ratio * gauss
    peak = float(voigt_profile(0.0, sigma, gamma)) * PIXEL_EV
    for i in (3, 60, 110, 135, 146, 149, 150, 151, 158, 190, 297):
        low, high = sorted((EDGES[i] - at[0, 0], EDGES[i + 1] - at[0, 0]))
        part, _ = quad(voigt_profile, low, high, args=(sigma, gamma), epsabs=0.0, epsrel=1e-12)
        # Where a Gaussian has nothing left, what is left is rounding.
        assert expected[0, i] == pytest.approx(part, rel=1e-6, abs=1e-10 * peak)


@pytest.mark.parametrize("shape", list(Shape))
def test_scores_of_compiled_lines_agree_with_differences_of_their_likelihood(
    shape: Shape, compiled: None
) -> None:
    rng = np.random.default_rng(11)
    table, true = random_table(shape, rng)
    counts, _ = measured(table, true, rng, spectra=1)
    at = np.array([true[name] for name in table.names])
    slope, _ = slopes_of(table, EDGES, counts)(at[None])
    sigma = 1.0 / np.sqrt(np.diag(slope.information[0]))

    for i, name in enumerate(table.names):
        step = np.zeros(at.size)
        step[i] = 1e-2 * sigma[i]
        above, _ = slopes_of(table, EDGES, counts)((at + step)[None])
        below, _ = slopes_of(table, EDGES, counts)((at - step)[None])
        # The deviance falls by twice the score.
        difference = -(above.deviance[0] - below.deviance[0]) / (4.0 * step[i])
        assert slope.score[0, i] * sigma[i] == pytest.approx(
            difference * sigma[i], rel=1e-3, abs=1e-3
        ), name


def single(shape: Shape = Shape.GAUSS) -> tuple[LineTable, Array]:
    table = LineTable([Line((("e", 1.0),), "w", ("a",), shape)], background_order=0)
    return table, np.array([MIDDLE_EV, 5.0 * PIXEL_EV, 0.0, 20.0])


def test_areas_of_lines_that_are_not_there_scatter_evenly_about_zero(
    commit_seed: int, compiled: None
) -> None:
    rng, table = np.random.default_rng(commit_seed), single()[0]
    at = single()[1]
    spectra = 3000
    electrons = rng.poisson(20.0, (spectra, EDGES.size - 1)) + rng.normal(
        0.0, 4.0, (spectra, EDGES.size - 1)
    )
    counts = Counts(electrons, np.full((1, 301), 16.0), np.ones((1, 301)))
    held = np.array([True, True, False, False])
    box = Box(
        np.where(held, at, -np.inf)[None],
        np.where(held, at, np.inf)[None],
        StepCap(np.zeros((4, 4))),
    )

    fit = fit_batch(table, EDGES, counts, start=np.tile(at, (spectra, 1)), box=box, threads=2)

    pull = fit.parameters[:, 2] / fit.errors[:, 2]
    assert fit.converged.all()
    assert (fit.errors[:, :2] == 0.0).all()
    assert abs(pull.mean()) < 4.5 / np.sqrt(spectra)
    assert pull.std() == pytest.approx(1.0, abs=0.06)


def test_a_bound_is_kept_and_said_and_gives_the_others_the_errors_of_a_fixed_parameter(
    compiled: None,
) -> None:
    rng, (table, at) = np.random.default_rng(3), single()
    counts, start = measured(
        table, dict(zip(table.names, [at[0], at[1], 2e4, 20.0], strict=True)), rng, spectra=4
    )
    narrow = Box(
        np.full((1, 4), -np.inf),
        np.array([[np.inf, 0.8 * at[1], np.inf, np.inf]]),
        StepCap(np.zeros((4, 4))),
    )
    fixed = Box(
        np.array([[-np.inf, 0.8 * at[1], -np.inf, -np.inf]]), narrow.upper, narrow.largest_step
    )

    bound = fit_batch(table, EDGES, counts, start=start, box=narrow)
    held = fit_batch(table, EDGES, counts, start=start, box=fixed)

    assert bound.at_bound.tolist() == [[False, True, False, False]] * 4
    assert not held.at_bound.any()
    np.testing.assert_allclose(bound.parameters, held.parameters, rtol=1e-3)
    np.testing.assert_allclose(bound.errors, held.errors, rtol=1e-2)


def test_a_batch_gives_what_each_spectrum_gives_alone_however_many_threads(
    compiled: None,
) -> None:
    rng = np.random.default_rng(5)
    table, true = random_table(Shape.VOIGT, rng)
    counts, start = measured(table, true, rng, spectra=521)  # two chunks and a rest

    one = fit_batch(table, EDGES, counts, start=start, box=box_of(table))
    two = fit_batch(table, EDGES, counts, start=start, box=box_of(table), threads=2)

    np.testing.assert_array_equal(one.parameters, two.parameters)
    np.testing.assert_array_equal(one.covariance, two.covariance)
    for i in (0, 249, 250, 520):
        alone = Counts(counts.electrons[[i]], counts.shift[[i]], counts.good[[i]])
        optimum = fit_table(table, EDGES, alone, start=start[[i]], box=box_of(table))
        np.testing.assert_array_equal(optimum.parameters[0], one.parameters[i])
        assert optimum.deviance[0] == one.deviance[i]


@pytest.mark.parametrize("code", list(FitCode))
def test_several_starts_of_one_spectrum_share_its_counts(code: FitCode, compiled: None) -> None:
    by(code)
    rng, (table, _) = np.random.default_rng(13), single()
    true = dict(zip(table.names, [MIDDLE_EV, 5.0 * PIXEL_EV, 2e4, 20.0], strict=True))
    counts, starts = measured(table, true, rng, spectra=3)

    together = fit_table(table, EDGES, _row(counts, 1), start=starts, box=box_of(table))

    for i in range(3):
        alone = fit_table(table, EDGES, _row(counts, 1), start=starts[[i]], box=box_of(table))
        np.testing.assert_allclose(together.parameters[i], alone.parameters[0], rtol=1e-9)
        assert together.converged[i]


def test_spectra_with_windows_of_their_own_are_fitted_each_in_its_own(compiled: None) -> None:
    rng = np.random.default_rng(6)
    table, true = random_table(Shape.GAUSS, rng)
    counts, start = measured(table, true, rng, spectra=2)
    moved = np.array(start)
    moved[1, table.names.index("e")] += 1e-3

    both = fit_batch(table, np.stack([EDGES, EDGES + 1e-3]), counts, start=moved, box=box_of(table))

    alone = fit_batch(table, EDGES + 1e-3, _row(counts, 1), start=moved[[1]], box=box_of(table))
    np.testing.assert_array_equal(both.parameters[1], alone.parameters[0])


def _row(counts: Counts, i: int) -> Counts:
    return Counts(counts.electrons[[i]], counts.shift[[i]], counts.good[[i]])


def test_jobs_are_taken_only_when_a_thread_is_about_to_be_free(compiled: None) -> None:
    rng, (table, _) = np.random.default_rng(7), single()
    true = dict(zip(table.names, [MIDDLE_EV, 5.0 * PIXEL_EV, 2e4, 20.0], strict=True))
    taken = 0

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for _ in range(30):
            taken += 1
            counts, start = measured(table, true, rng, spectra=2)
            yield Job(EDGES, counts, start, box_of(table))

    ahead = [taken - done for done, _ in enumerate(fit_jobs(table, jobs(), threads=2), start=1)]

    assert len(ahead) == 30
    assert max(ahead) <= 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("code", list(FitCode))
def test_counts_that_are_none_spoil_no_other_spectrum_and_raise_nothing(
    code: FitCode, compiled: None
) -> None:
    by(code)
    rng, (table, _) = np.random.default_rng(8), single(Shape.LORENTZ)
    true = dict(zip(table.names, [MIDDLE_EV, 5.0 * PIXEL_EV, 2e4, 20.0], strict=True))
    counts, start = measured(table, true, rng, spectra=8)
    bad = np.array(counts.electrons)
    bad[1] = np.nan
    bad[2] = -1e9
    bad[3] = 0.0
    bad[4, 150] = np.nan
    bad[5, 150] = np.inf
    good = np.array(counts.good)
    good[6] = 0.0
    start[7] = np.nan

    fit = fit_batch(table, EDGES, Counts(bad, counts.shift, good), start=start, box=box_of(table))

    fine = fit_batch(table, EDGES, _row(counts, 0), start=start[:1], box=box_of(table))
    np.testing.assert_allclose(fit.parameters[0], fine.parameters[0], rtol=1e-9)
    assert fit.converged[[0, 4, 5]].all()
    assert not fit.converged[7]
    for i in (4, 5):
        assert abs(fit.parameters[i, 0] - MIDDLE_EV) < 6.0 * fit.errors[i, 0]


def test_another_thread_gets_the_interpreter_while_the_kernel_runs(compiled: None) -> None:
    rng = np.random.default_rng(9)
    table, true = random_table(Shape.VOIGT, rng)
    arguments = _kernel_arguments(table, *measured(table, true, rng, spectra=50))
    begun, ran = threading.Event(), []

    def run() -> None:
        begun.wait()
        ran.append(True)

    other = threading.Thread(target=run)
    interval_s = sys.getswitchinterval()
    other.start()
    try:
        # Nobody is made to give the interpreter up, so the other runs only if the kernel does so.
        sys.setswitchinterval(1000.0)
        begun.set()
        for _ in range(40):
            fit_kernel.climb(*arguments)
            if ran:
                break
        has_run = bool(ran)
    finally:
        sys.setswitchinterval(interval_s)
        other.join()

    assert has_run


def _kernel_arguments(table: LineTable, counts: Counts, start: Array) -> tuple[Any, ...]:
    spectra, parameters = start.shape
    out = fit_kernel.Climbed.of(spectra, parameters, EDGES.size - 1, expected=False)
    out.parameters[:] = start
    box = box_of(table)
    assert isinstance(box.largest_step, StepCap)
    orders = len(table.names) - table.first_background
    return (
        fit_kernel.line_arrays(table),
        fit_kernel.plain(EDGES[None]),
        np.linspace(-1.0, 1.0, EDGES.size - 1) ** np.arange(orders)[:, None],
        counts.electrons,
        counts.shift,
        counts.good,
        box.lower,
        box.upper,
        box.largest_step.share,
        60,
        out,
    )


NOISE = DetectorNoise(gain_e_per_count=1.0, read_noise_e=4.0, offset_counts=600.0)


@pytest.mark.parametrize("lines", [1, 2, "auto"])
@pytest.mark.parametrize("shape", ["gauss", "lorentz", "voigt"])
def test_automatic_spectra_come_out_the_same_by_either_code(
    lines: int, shape: str, compiled: None
) -> None:
    rng = np.random.default_rng(10)
    model = FitModel(lines=lines, shape=shape)  # type: ignore[arg-type]
    table = FitModel(lines=2, shape="lorentz").table(2)
    named = {"energy_1_eV": MIDDLE_EV, "energy_2_eV": MIDDLE_EV + 9 * PIXEL_EV, "width_eV":
             4 * PIXEL_EV, "area_1_counts": 4e4, "area_2_counts": 2e4, "background_0": 20.0,
             "background_1": 1.0}  # fmt: skip
    expected, _ = table.evaluate(np.array([[named[name] for name in table.names]]), EDGES)
    counts = rng.poisson(expected[0]) + rng.normal(600.0, 4.0, 301)

    fits = []
    for code in (FitCode.NUMPY, FitCode.COMPILED):
        by(code)
        fits.append(fit_spectrum(WAVELENGTH_NM, counts, model=model, noise=NOISE))

    slow, fast = fits
    assert (fast.verdict, fast.lines, fast.names) == (slow.verdict, slow.lines, slow.names)
    miss = np.abs(fast.values - slow.values) / slow.errors
    assert miss.max() < 1e-5  # a start decided otherwise would be off by far more


@pytest.mark.parametrize("lorentz_px", [0.0, 3.0, 12.0])
def test_a_voigt_model_finds_both_widths_or_says_which_is_not_there(
    lorentz_px: float, compiled: None
) -> None:
    rng = np.random.default_rng(12)
    table = FitModel(shape="voigt").table(1)
    gauss = (4.0 if lorentz_px < 12.0 else 0.06) * PIXEL_EV
    named = {"energy_1_eV": MIDDLE_EV, "width_eV": gauss, "lorentz_width_eV": lorentz_px * PIXEL_EV,
             "area_1_counts": 4e5, "background_0": 20.0, "background_1": 1.0}  # fmt: skip
    expected, _ = table.evaluate(np.array([[named[name] for name in table.names]]), EDGES)
    counts = rng.poisson(expected[0]) + rng.normal(600.0, 4.0, 301)
    model = FitModel(shape="voigt", window_eV=(float(EDGES.min()), float(EDGES.max())))

    fit = fit_spectrum(WAVELENGTH_NM, counts, model=model, noise=NOISE)

    assert fit.verdict is Verdict.CONVERGED
    pull = (fit["lorentz_width_eV"] - named["lorentz_width_eV"]) / fit.error("lorentz_width_eV")
    assert abs(pull) < 4.0
    assert abs(fit["energy_1_eV"] - MIDDLE_EV) < 4.0 * fit.error("energy_1_eV")
    if lorentz_px == 3.0:
        assert abs(fit["width_eV"] - gauss) < 4.0 * fit.error("width_eV")
