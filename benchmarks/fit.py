"""How fast spectra are fitted: our engine and others, on the same spectra to the same optimum.

    python fit.py                    everything, in about two minutes
    python fit.py rivals --spectra 20 --peaks 50 1000 20000
    python fit.py batch | automatic | first

The model has two exciton lines with three replicas each, a trion and a mirrored biexciton: 14
parameters, 11 lines, 1024 pixels. Every fit starts at the truth with errors of 0.08 meV in
energies, 15 % in widths and 20 % in areas. Least squares gets the weights of our optimum, where its
normal equations are those of maximum likelihood, so that all have the same optimum; only the
re-weighted one has to find its weights by itself. Times are CPU times of one core.
"""

import argparse
import gc
import importlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit, least_squares
from scipy.special import ndtr

from analysis.estimation import kernels
from analysis.estimation.fisher_scoring import Box, Counts, StepCap, maximise_likelihood
from analysis.estimation.line_table import Line, LineTable, Shape
from analysis.estimation.table_fit import Job, fit_batch, fit_jobs, fit_table, slopes_of
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_fit import DetectorNoise, fit_spectrum
from analysis.wavelength.axis import energy_edges_eV

Array = NDArray[np.float64]

READ_NOISE_E = 4.0
BACKGROUND = {50: 3.0, 1000: 10.0, 20000: 100.0}
REPLICAS_EV = (3.6e-3, 6.8e-3, 18.8e-3)
EDGES = energy_edges_eV(np.linspace(517.8, 531.2, 1024))
MIDDLE_EV = 0.5 * (EDGES[1:] + EDGES[:-1])
PIXEL_EV = float(np.abs(np.diff(EDGES)).mean())
PIXEL_PER_EV = float((np.abs(np.diff(EDGES)) / MIDDLE_EV**2).mean())  # a pixel is this times E^2
GOALS = {
    "lmfit, composite of 12 models": 5000.0,
    "lmfit, composite, GaussianModel": 5000.0,
    "lmfit, one function": 150.0,
    "curve_fit": 100.0,
    "least_squares, analytic J": 35.0,
    "least_squares, re-weighted": 60.0,
    "iminuit, our compiled cost": 20.0,
}
FWHM_PER_SIGMA = 2.3548200450309493
AGREEMENT_SIGMA = 0.05
AGREEMENT_OF_MIDDLES_SIGMA = 0.1  # who takes the middle of a pixel for the pixel
CHUNK = 250


def full_model(shape: Shape) -> LineTable:
    """Two lines, their replicas, trion and mirrored biexciton; a Voigt line's Gaussian is known."""
    wide, trion = ("wl", "wlT") if shape is Shape.VOIGT else ("", "")
    rows = []
    for k in (1, 2):
        own = (("E1", 1.0),) if k == 1 else (("E1", 1.0), ("d", 1.0))
        mirrored = tuple((name, 1.0 if name == "E1" else -1.0) for name, _ in own)
        rows.append(Line(own, "w", (f"a{k}",), shape, lorentz_width=wide))
        for j, phonon in enumerate(REPLICAS_EV, start=1):
            rows.append(Line(own, "w", (f"a{k}", f"S{j}"), shape, -phonon, lorentz_width=wide))
        rows.append(Line((*mirrored, ("B", -1.0)), "w", ("aX",), shape, lorentz_width=wide))
    rows.append(Line((("ET", 1.0),), "wT", ("aT",), shape, lorentz_width=trion))
    return LineTable(rows, background_order=0)


def true_parameters(table: LineTable, peak: int, rng: np.random.Generator) -> Array:
    width = rng.uniform(0.3e-3, 0.5e-3)
    area = peak * width * 1.0645 / PIXEL_EV
    e1 = 2.390 + rng.uniform(-1e-3, 1e-3)
    true = {
        "E1": e1,
        "d": rng.uniform(0.7e-3, 1.5e-3),
        "w": width,
        "a1": area,
        "a2": area * rng.uniform(0.4, 1.0),
        "ET": e1 - rng.uniform(11e-3, 13e-3),
        "wT": rng.uniform(0.4e-3, 0.6e-3),
        "aT": area * rng.uniform(0.3, 0.7),
        "B": rng.uniform(27e-3, 29e-3),
        "aX": area * rng.uniform(0.25, 0.5),
        "background_0": BACKGROUND[peak],
    } | {f"S{j}": rng.uniform(0.06, 0.2) for j in (1, 2, 3)}
    if "wl" in table.names:
        true |= {"w": 0.2e-3, "wT": 0.2e-3, "wl": 0.7 * width, "wlT": 0.3e-3}
    return np.array([true[name] for name in table.names])


class Spectra:
    """Random spectra of one shape and peak, with starts and bounds."""

    def __init__(self, shape: Shape, peak: int, number: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.table = full_model(shape)
        names = self.table.names
        self.true = np.array([true_parameters(self.table, peak, rng) for _ in range(number)])
        expected, _ = self.table.evaluate(self.true, EDGES)
        self.electrons = rng.poisson(expected) + rng.normal(0.0, READ_NOISE_E, expected.shape)
        energies = np.array([name in ("E1", "d", "ET", "B") for name in names])
        widths = np.array([name.startswith("w") for name in names])
        known = np.array([shape is Shape.VOIGT and name in ("w", "wT") for name in names])
        blur = np.where(energies | known, 0.0, np.where(widths, 0.15, 0.2))
        self.start = self.true * np.exp(blur * rng.normal(size=self.true.shape))
        self.start += np.where(energies, 0.08e-3, 0.0) * rng.normal(size=self.true.shape)
        share = np.diag(np.where(widths, 0.4, 0.0))
        share[energies, names.index("wl" if "wl" in names else "w")] = 0.7
        lower = np.where(known, self.true[:1], np.where(widths, 0.2 * PIXEL_EV, -np.inf))
        upper = np.where(known, self.true[:1], np.inf)
        self.box = Box(lower, upper, StepCap(share))

    def counts(self, rows: slice = slice(None)) -> Counts:
        electrons = self.electrons[rows]
        return Counts(electrons, np.full((1, 1024), READ_NOISE_E**2), np.ones((1, 1024)))


class Problem:
    """One spectrum as others are given it: scaled parameters, weights, model and derivatives."""

    def __init__(self, spectra: Spectra, row: int, optimum: Array) -> None:
        self.names = spectra.table.names
        self.table = spectra.table
        self.electrons = spectra.electrons[row]
        energies = np.array([n in ("E1", "d", "ET", "B", "w", "wT") for n in self.names])
        self.unit = np.where(energies, 1e-3, np.where(optimum > 5.0, optimum, 1.0))
        self.start = spectra.start[row] / self.unit
        expected, _ = self.table.evaluate(optimum[None], EDGES)
        self.sigma = np.sqrt(expected[0] + READ_NOISE_E**2)

    def plain(self, *scaled: float) -> Array:
        """The model as one writes it: the cumulated Gaussian at the edges, line by line."""
        p = dict(zip(self.names, np.array(scaled) * self.unit, strict=True))
        counts = np.full(1024, p["background_0"])
        for a, split in ((p["a1"], 0.0), (p["a2"], p["d"])):
            centre = p["E1"] + split
            counts += a * pixel_gauss(None, centre, p["w"], 1.0)
            for j, phonon in enumerate(REPLICAS_EV, start=1):
                counts += pixel_gauss(None, centre - phonon, p["w"], a * p[f"S{j}"])
            counts += pixel_gauss(None, p["E1"] - p["B"] - split, p["w"], p["aX"])
        counts += pixel_gauss(None, p["ET"], p["wT"], p["aT"])
        return counts

    def both(self, scaled: Array) -> tuple[Array, Array]:
        counts, jacobian = self.table.evaluate((scaled * self.unit)[None], EDGES)
        return counts[0], jacobian[0].T * self.unit


def pixel_gauss(x: object, centre: float, width: float, area: float) -> Array:
    """The part of a Gaussian in each pixel; x is what lmfit wants and the edges stand for."""
    part: Array = area * np.abs(np.diff(ndtr((EDGES - centre) * (FWHM_PER_SIGMA / width))))
    return part


def lmfit_composite(problem: Problem) -> Array:
    """A sum of models of one function each, with the names of our model and nothing else."""
    lmfit: Any = importlib.import_module("lmfit")

    def row(prefix: str, centre: str, width: str, area: str) -> tuple[Any, dict[str, str]]:
        parts = {"centre": centre, "width": width, "area": area}
        return lmfit.Model(pixel_gauss, prefix=prefix), parts

    return _composite(problem, row)


def lmfit_gaussian_models(problem: Problem) -> Array:
    """A sum of lmfit's own GaussianModel: what its manual shows, height and FWHM included.

    It takes the middle of a pixel for the pixel; a pixel's own width, added in quadrature, makes
    that good to some hundredths of a standard error.
    """
    lmfit: Any = importlib.import_module("lmfit")

    def row(prefix: str, centre: str, width: str, area: str) -> tuple[Any, dict[str, str]]:
        pixel_eV = f"({PIXEL_PER_EV} * ({centre})**2)"  # of even steps in wavelength
        sigma = f"sqrt(({width} / {FWHM_PER_SIGMA})**2 + {pixel_eV}**2 / 12)"
        parts = {"center": centre, "sigma": sigma, "amplitude": f"({area}) * {pixel_eV}"}
        return lmfit.models.GaussianModel(prefix=prefix), parts

    return _composite(problem, row)


def _composite(
    problem: Problem, row: Callable[[str, str, str, str], tuple[Any, dict[str, str]]]
) -> Array:
    lmfit: Any = importlib.import_module("lmfit")
    model = lmfit.models.ConstantModel(prefix="bg_")
    p = dict(zip(problem.names, problem.start * problem.unit, strict=True))
    parameters = lmfit.Parameters()
    for name in ("E1", "d", "w", "a1", "a2", "S1", "S2", "S3", "ET", "wT", "aT", "B", "aX"):
        parameters.add(name, value=p[name])
    parameters.add("bg_c", value=p["background_0"])
    rows = [("t_", "ET", "wT", "aT")]
    for k, own in ((1, "E1"), (2, "E1 + d")):
        rows.append((f"x{k}_", own, "w", f"a{k}"))
        rows += [
            (f"r{k}{j}_", f"{own} - {phonon}", "w", f"a{k} * S{j}")
            for j, phonon in enumerate(REPLICAS_EV, start=1)
        ]
        rows.append((f"b{k}_", f"{own.replace('+', '-')} - B", "w", "aX"))
    for prefix, centre, width, area in rows:
        part, expressions = row(prefix, centre, width, area)
        model += part
        parameters.update(part.make_params())
        for what, expression in expressions.items():
            parameters.add(prefix + what, expr=expression)
    found = model.fit(problem.electrons, parameters, x=MIDDLE_EV, weights=1.0 / problem.sigma)
    values = found.best_values | {"background_0": found.params["bg_c"].value}
    return np.array([found.params[n].value if n in found.params else values[n]
                     for n in problem.names])  # fmt: skip


def lmfit_function(problem: Problem) -> Array:
    lmfit: Any = importlib.import_module("lmfit")

    # lmfit reads the parameters' names off the function, and wants a column for x.
    scope: dict[str, Any] = {"plain": problem.plain}
    called = ", ".join(problem.names)
    exec(f"def model(x, {called}): return plain({called})", scope)  # noqa: S102 - our own names
    fit = lmfit.Model(scope["model"])
    start = dict(zip(problem.names, problem.start, strict=True))
    found = fit.fit(
        problem.electrons, fit.make_params(**start), x=MIDDLE_EV, weights=1.0 / problem.sigma
    )
    values = np.array([found.params[name].value for name in problem.names])
    return np.asarray(values * problem.unit)


def scipy_curve_fit(problem: Problem) -> Array:
    found, _ = curve_fit(
        lambda _, *scaled: problem.plain(*scaled),
        EDGES,
        problem.electrons,
        p0=problem.start,
        sigma=problem.sigma,
        absolute_sigma=True,
    )
    return np.asarray(found * problem.unit)


def scipy_least_squares(problem: Problem) -> Array:
    return _least_squares(problem, problem.start, problem.sigma) * problem.unit


def scipy_reweighted(problem: Problem) -> Array:
    at = problem.start
    sigma = np.sqrt(np.maximum(problem.electrons, 1.0) + READ_NOISE_E**2)
    for _ in range(4):
        at = _least_squares(problem, at, sigma)
        sigma = np.sqrt(np.maximum(problem.both(at)[0], 0.0) + READ_NOISE_E**2)
    return np.asarray(at * problem.unit)


def _least_squares(problem: Problem, start: Array, sigma: Array) -> Array:
    kept: dict[bytes, tuple[Array, Array]] = {}

    def both(at: Array) -> tuple[Array, Array]:
        key = at.tobytes()
        if key not in kept:
            kept.clear()
            kept[key] = problem.both(at)
        return kept[key]

    found = least_squares(
        lambda at: (both(at)[0] - problem.electrons) / sigma,
        start,
        jac=lambda at: both(at)[1] / sigma[:, None],
        method="lm",
    )
    information = found.jac.T @ found.jac
    np.linalg.inv(information)  # others report errors too
    return np.asarray(found.x)


def iminuit_compiled(problem: Problem) -> Array:
    iminuit: Any = importlib.import_module("iminuit")
    counts = Counts(
        problem.electrons[None], np.full((1, 1024), READ_NOISE_E**2), np.ones((1, 1024))
    )
    slopes = slopes_of(problem.table, EDGES, counts)
    kept: dict[bytes, tuple[float, Array]] = {}

    def both(at: Array) -> tuple[float, Array]:
        key = at.tobytes()
        if key not in kept:
            kept.clear()
            slope, _ = slopes((at * problem.unit)[None])
            kept[key] = float(slope.deviance[0]), -2.0 * slope.score[0] * problem.unit
        return kept[key]

    minuit = iminuit.Minuit(lambda at: both(at)[0], problem.start, grad=lambda at: both(at)[1])
    minuit.errordef = 1.0
    minuit.migrad()
    minuit.hesse()
    return np.asarray(np.array(minuit.values) * problem.unit)


RIVALS: dict[str, Callable[[Problem], Array]] = {
    "lmfit, composite of 12 models": lmfit_composite,
    "lmfit, composite, GaussianModel": lmfit_gaussian_models,
    "lmfit, one function": lmfit_function,
    "curve_fit": scipy_curve_fit,
    "least_squares, analytic J": scipy_least_squares,
    "least_squares, re-weighted": scipy_reweighted,
    "iminuit, our compiled cost": iminuit_compiled,
}
MOST_OF_THE_SLOW = 8  # spectra for what takes a third of a second each


def rivals(number: int, peaks: list[int]) -> bool:
    """Print times and ratios; return whether all reached our optimum."""
    everybody = True
    for peak in peaks:
        spectra = Spectra(Shape.GAUSS, peak, max(number, 500))
        single_ms, batch_ms = _our_times(spectra)
        fit = _fit_all(spectra)
        print(f"\npeak {peak}: 14 parameters, 11 lines, 1024 pixels, CPU ms per fit with errors")
        print(f"  {'ours, one call':32}{single_ms:9.3f}")
        print(f"  {'ours, while kernels compile':32}{_numpy_ms(spectra):9.3f}")
        print(f"  {'ours, in a batch':32}{batch_ms:9.3f}   ratio  (one call)   goal  same optimum")
        for name, rival in RIVALS.items():
            everybody &= _compared(name, rival, spectra, fit, number, single_ms, batch_ms)
    return everybody


def _compared(
    name: str,
    rival: Callable[[Problem], Array],
    spectra: Spectra,
    fit: Any,
    number: int,
    single_ms: float,
    batch_ms: float,
) -> bool:
    times, misses = [], []
    for row in range(min(number, MOST_OF_THE_SLOW) if "composite" in name else number):
        problem = Problem(spectra, row, fit.parameters[row])
        begun = time.process_time()
        try:
            found = rival(problem)
        except ImportError as error:
            print(f"  {name:32} not here: {error}")
            return True
        except RuntimeError:  # curve_fit gives up
            found = np.full(len(problem.names), np.nan)
        times.append(1e3 * (time.process_time() - begun))
        misses.append(np.abs(found - fit.parameters[row]) / fit.errors[row])
    worst = np.array(misses).max(axis=1)
    allowed = AGREEMENT_OF_MIDDLES_SIGMA if "GaussianModel" in name else AGREEMENT_SIGMA
    same = np.nan_to_num(worst, nan=np.inf) <= allowed
    median = float(np.median(times))
    ratios = f"{median / batch_ms:8.0f}x{median / single_ms:10.0f}x{GOALS[name]:8.0f}x"
    agreement = f"{same.sum()} of {same.size}"
    if same.any():
        agreement += f", to {np.max(worst[same]):.3f} sigma"
    print(f"  {name:32}{median:9.2f}{ratios}  {agreement}")
    return bool(same.mean() >= 0.8)


def _fit_all(spectra: Spectra, *, threads: int = 1) -> Any:
    return fit_batch(
        spectra.table,
        EDGES,
        spectra.counts(),
        start=spectra.start,
        box=spectra.box,
        threads=threads,
    )


def _our_times(spectra: Spectra) -> tuple[float, float]:
    _fit_all(spectra)
    batch = min(_cpu_s(lambda: _fit_all(spectra)) for _ in range(5)) / len(spectra.start)
    single = []
    for row in range(100):
        counts = spectra.counts(slice(row, row + 1))
        begun = time.process_time()
        optimum = fit_table(
            spectra.table, EDGES, counts, start=spectra.start[[row]], box=spectra.box
        )
        np.linalg.inv(optimum.information)
        single.append(time.process_time() - begun)
    return 1e3 * float(np.median(single)), 1e3 * batch


def _numpy_ms(spectra: Spectra, number: int = 30) -> float:
    times = []
    for row in range(number):
        counts, start = spectra.counts(slice(row, row + 1)), spectra.start[[row]]
        begun = time.process_time()
        maximise_likelihood(
            lambda at: spectra.table.evaluate(at, EDGES), counts, start=start, box=spectra.box
        )
        times.append(time.process_time() - begun)
    return 1e3 * float(np.median(times))


def _cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def batch() -> None:
    """Print fits per second, what a second thread brings, and how time and memory grow."""
    print("\nbatches, fits per second of one core (goal 8000 Gauss, 1500 Lorentz and Voigt)")
    for shape in (Shape.GAUSS, Shape.LORENTZ, Shape.VOIGT):
        for peak in BACKGROUND:
            spectra = Spectra(shape, peak, 500)
            fit = _fit_all(spectra)
            best = min(_cpu_s(partial(_fit_all, spectra)) for _ in range(4))
            print(
                f"  {shape.value:8} peak {peak:6}: {500 / best:8.0f}/s, "
                f"{fit.evaluations.mean():.1f} evaluations, {fit.converged.mean():.1%} converged"
            )
    _two_threads()
    _many()


def _two_threads() -> None:
    spectra = Spectra(Shape.GAUSS, 1000, 4000)
    wall, cpu = {}, {}
    for threads in (1, 2):
        tries = []
        for _ in range(4):
            began = time.perf_counter(), time.process_time()
            _fit_all(spectra, threads=threads)
            tries.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        wall[threads], cpu[threads] = (min(column) for column in zip(*tries, strict=True))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"two threads, 4000 Gaussian spectra: wall {wall[1] / wall[2]:.2f}x faster (goal 1.6 with "
        f"both cores free; load is {load:.1f}), CPU {cpu[2] / cpu[1]:.2f}x"
    )


def _many() -> None:
    pool = Spectra(Shape.GAUSS, 1000, 1000)
    print("many Gaussian spectra by fit_jobs, one thread")
    for number in (1_000, 10_000, 100_000):
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.process_time()
        done = sum(len(fit.parameters) for fit in fit_jobs(pool.table, _jobs(pool, number)))
        spent = time.process_time() - begun
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"  {done:7}: {1e6 * spent / done:6.1f} us each, {grown:.1f} MB more memory")


def _jobs(pool: Spectra, number: int) -> Iterator[Job]:
    for first in range(0, number, CHUNK):
        rows = slice(first % len(pool.start), first % len(pool.start) + CHUNK)
        yield Job(EDGES, pool.counts(rows), pool.start[rows], pool.box)


def automatic(number: int = 150) -> None:
    """Print times of whole automatic spectra: window, guess, 1 to 3 lines, selection, verdict."""
    print("\nautomatic spectra, CPU ms: median (99th percentile); goal 2 Gauss, 5 Voigt")
    noise = DetectorNoise(read_noise_e=READ_NOISE_E, offset_counts=600.0)
    wavelength_nm = np.linspace(517.8, 531.2, 1024)
    whole = (float(EDGES.min()), float(EDGES.max()))
    for shape in ("gauss", "voigt"):
        for window, said in ((None, "window of its own"), (whole, "all 1024 pixels")):
            for lines in ("auto", 1):
                model = FitModel(lines=lines, shape=shape, window_eV=window)
                times, found = [], 0
                for counts in _doublets(shape, number):
                    begun = time.process_time()
                    fit = fit_spectrum(wavelength_nm, counts, model=model, noise=noise)
                    times.append(1e3 * (time.process_time() - begun))
                    found += fit.lines == 2
                kind = "1 line, too few" if lines == 1 else f"1 to 3 lines, 2 in {found}"
                median, late = np.percentile(times[5:], [50, 99])
                print(f"  {shape:8}{said:20}{kind:24}{median:7.2f} ({late:.2f})")


def _doublets(shape: str, number: int) -> Iterator[Array]:
    rng = np.random.default_rng(2)
    table = FitModel(lines=2, shape=shape, background_order=0).table(2)  # type: ignore[arg-type]
    for _ in range(number):
        width = rng.uniform(0.3e-3, 0.5e-3)
        at = {"energy_1_eV": 2.37 + rng.uniform(-1e-3, 1e-3), "background_0": 10.0}
        at["energy_2_eV"] = at["energy_1_eV"] + rng.uniform(0.7e-3, 1.5e-3)
        at |= {"width_eV": width, "lorentz_width_eV": 0.5 * width, "area_1_counts": 7e3}
        at["area_2_counts"] = 7e3 * rng.uniform(0.4, 1.0)
        expected, _ = table.evaluate(np.array([[at[name] for name in table.names]]), EDGES)
        yield rng.poisson(expected[0]) + rng.normal(600.0, READ_NOISE_E, 1024)


FIRST_FIT = """
import time
import numpy as np
from analysis.estimation import kernels
from analysis.spectra.spectrum_fit import DetectorNoise, FitModel, fit_spectrum
code = kernels.settle(longest_s=60.0)
x = np.linspace(517.8, 531.2, 1024)
counts = 600.0 + 10.0 + 900.0 * np.exp(-((x - 523.0) / 0.1) ** 2)
noise = DetectorNoise(read_noise_e=4.0, offset_counts=600.0)
fit = fit_spectrum(x, counts, model=FitModel(), noise=noise)
print(code.value, fit.verdict.value, time.process_time())
"""


def first_fit() -> None:
    """Print what a fresh process needs to its first fit, kernels being cached."""
    tries = []
    for _ in range(5):
        begun = time.perf_counter()
        said = subprocess.run(
            [sys.executable, "-c", FIRST_FIT], check=True, capture_output=True, text=True
        ).stdout.split()
        tries.append((time.perf_counter() - begun, float(said[-1]), said[0]))
    wall, cpu, code = min(tries)
    print(f"\nfirst fit of a fresh process: {wall:.2f} s, {cpu:.2f} s CPU, {code} (goal 2 s)")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parts = ("all", "rivals", "batch", "automatic", "first")
    parser.add_argument("part", nargs="?", choices=parts, default="all")
    parser.add_argument("--spectra", type=int, default=10, help="per rival")
    parser.add_argument("--peaks", type=int, nargs="+", default=[1000], choices=BACKGROUND)
    options = parser.parse_args()
    os.environ[kernels.VARIABLE] = kernels.FitCode.COMPILED.value
    code = kernels.settle(longest_s=300.0)
    print(f"{kernels.status()}; numpy {np.__version__}, Python {sys.version.split()[0]}")
    if code is not kernels.FitCode.COMPILED:
        return 1
    agreed = True
    if options.part in ("all", "rivals"):
        agreed = rivals(options.spectra, options.peaks)
        print(f"same optimum within {AGREEMENT_SIGMA} sigma: {'yes' if agreed else 'NO'}")
    if options.part in ("all", "batch"):
        batch()
    if options.part in ("all", "automatic"):
        automatic()
    if options.part in ("all", "first"):
        first_fit()
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
