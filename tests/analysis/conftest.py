"""Spectra of a nanocrystal written apart from the analysis, and the bound that they allow."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import ndtr, wofz

from analysis.estimation import kernels

Array = NDArray[np.float64]

PIXELS = 1024
READ_NOISE_E = 4.0
PHONONS_EV = (3.6e-3, 6.8e-3, 18.8e-3)
TRION_EV, BIEXCITON_EV = (9e-3, 17e-3), (23e-3, 34e-3)
BACKGROUND = {200: 5.0, 1000: 10.0, 20000: 100.0}  # of a peak; 3 below
KNOWN_GAUSS_EV = 0.2e-3  # of the Voigt profiles: what the instrument has
_HC_EV_NM = 1239.841984


@dataclass(frozen=True)
class _Line:
    """A line: how its centre and its area go with the parameters, and which widths are its own."""

    centre_eV: float
    moved_by: Mapping[str, float]
    area: float
    lit_by: Mapping[str, float]
    of: str = ""  # what the names of its widths begin with


@dataclass(frozen=True)
class TrueSpectrum:
    """What is sent out: parameters by the names of the analysis, in electrons."""

    parameters: dict[str, float]
    lines: int
    shape: str

    def expected(self, edges_eV: Array, changed: Mapping[str, float] | None = None) -> Array:
        """Return the electrons expected in each pixel, or with some parameters changed."""
        return self._seen(edges_eV, {**self.parameters, **(changed or {})})[0]

    def expected_and_bound(
        self, edges_eV: Array, *, known: Collection[str] | None = None
    ) -> tuple[Array, dict[str, float]]:
        """Return the electrons in each pixel and the Cramer-Rao bound of every free parameter.

        known: parameters that are not free; those of the instrument if none are named.
        """
        expected, gradient = self._seen(edges_eV, self.parameters)
        if known is None:
            known = ("width_eV", "trion_width_eV") if self.shape == "voigt" else ()
        free = [name for name in gradient if name not in known]
        jacobian = np.array([gradient[name] for name in free])
        information = (jacobian / (expected + READ_NOISE_E**2)) @ jacobian.T
        scale = np.sqrt(np.diag(information))
        covariance = np.linalg.inv(information / scale / scale[:, None])
        bound = np.sqrt(np.diag(covariance)) / scale
        return expected, dict(zip(free, bound.tolist(), strict=True))

    def bound(self, edges_eV: Array) -> dict[str, float]:
        """Return the Cramer-Rao bound of every free parameter."""
        return self.expected_and_bound(edges_eV)[1]

    def _seen(self, edges: Array, p: Mapping[str, float]) -> tuple[Array, dict[str, Array]]:
        """Return the electrons in each pixel and their derivatives."""
        gradient = {name: np.zeros(edges.size - 1) for name in p}
        gradient["background_0"] += 1.0
        expected = np.full(edges.size - 1, p["background_0"])
        for line in self._lines(p):
            part, by_centre, by_width, by_lorentz = self._profile(edges, line, p)
            expected += line.area * part
            for name, factor in line.moved_by.items():
                gradient[name] += line.area * factor * by_centre
            for name, factor in line.lit_by.items():
                gradient[name] += factor * part
            gradient[f"{line.of}width_eV"] += line.area * by_width
            if self.shape == "voigt":
                gradient[f"lorentz_{line.of}width_eV"] += line.area * by_lorentz
        return expected, gradient

    def _lines(self, p: Mapping[str, float]) -> list[_Line]:
        names = [f"energy_{k}_eV" for k in range(1, self.lines + 1)]
        middle = sum(p[name] for name in names) / self.lines
        moving = dict.fromkeys(names, 1.0 / self.lines)
        found = []
        for k, name in enumerate(names, start=1):
            area = f"area_{k}_counts"
            found.append(_Line(p[name], {name: 1.0}, p[area], {area: 1.0}))
            for j, phonon in enumerate(PHONONS_EV, start=1):
                coupling = f"coupling_{j}"
                lit_by = {area: p[coupling], coupling: p[area]}
                copy = _Line(p[name] - phonon, {name: 1.0}, p[area] * p[coupling], lit_by)
                found.append(copy)
            if "biexciton_binding_eV" in p:
                area = f"biexciton_area_{k}_counts"
                mirrored = {other: 2.0 * part - (other == name) for other, part in moving.items()}
                mirrored["biexciton_binding_eV"] = -1.0
                centre = 2.0 * middle - p[name] - p["biexciton_binding_eV"]
                found.append(_Line(centre, mirrored, p[area], {area: 1.0}))
        if "trion_binding_eV" in p:
            centre, moved_by = middle - p["trion_binding_eV"], moving | {"trion_binding_eV": -1.0}
            area = "trion_area_counts"
            found.append(_Line(centre, moved_by, p[area], {area: 1.0}, of="trion_"))
        return found

    def _profile(self, edges: Array, line: _Line, p: Mapping[str, float]) -> Array:
        """Return the line at unit area, and its derivatives by centre and by both widths."""
        width, lorentz = p[f"{line.of}width_eV"], p.get(f"lorentz_{line.of}width_eV", 0.0)
        if self.shape == "voigt":
            return _voigt(edges, line.centre_eV, width, lorentz)
        place = (edges - line.centre_eV) / width
        if self.shape == "lorentz":
            height = 2.0 / np.pi / (1.0 + 4.0 * place**2)
            below = np.arctan(2.0 * place) / np.pi
        else:
            sigmas = np.sqrt(8.0 * np.log(2.0)) * place
            height = np.sqrt(4.0 * np.log(2.0) / np.pi) * np.exp(-0.5 * sigmas**2)
            below = ndtr(sigmas)
        at_edges = np.stack([below, -height / width, -height * place / width, 0.0 * place])
        return np.asarray(np.diff(at_edges, axis=1) * np.sign(edges[-1] - edges[0]))


def _voigt(edges: Array, centre: float, width: float, lorentz: float) -> Array:
    """Return what TrueSpectrum._profile does.

    w' = -2 z w + 2i / sqrt(pi) (Abramowitz and Stegun 7.1.20) gives all derivatives. Two nodes a
    pixel, which is a fifth of a width: good to 1e-6.
    """
    node, weight = leggauss(2)
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.abs(np.diff(edges))
    sigma, gamma = width / np.sqrt(8.0 * np.log(2.0)), 0.5 * lorentz
    z = (middle + half * node[:, None] - centre + 1j * gamma) / (np.sqrt(2.0) * sigma)
    w = wofz(z)
    slope = -2.0 * z * w + 2j / np.sqrt(np.pi)
    by_width = -(w + z * slope).real * (np.sqrt(2.0) * sigma / width)
    at_nodes = np.stack([w.real * np.sqrt(2.0) * sigma, -slope.real, by_width, -0.5 * slope.imag])
    return np.asarray(
        half * np.einsum("n,knp->kp", weight, at_nodes) / (2.0 * np.sqrt(np.pi) * sigma**2)
    )


class Nanocrystals:
    """Random nanocrystals as on a spectrometer whose axis is uniform in wavelength."""

    pixels = PIXELS
    read_noise_e = READ_NOISE_E
    phonons_eV = PHONONS_EV
    known_gauss_eV = KNOWN_GAUSS_EV

    def __init__(self) -> None:
        self.windows_eV = {"trion": TRION_EV, "biexciton": BIEXCITON_EV}
        middle = _HC_EV_NM / (2.364 + np.array([0.0305, -0.0305]))
        self.wavelength_nm = np.linspace(*middle, PIXELS)
        step = self.wavelength_nm[1] - self.wavelength_nm[0]
        self.edges_eV = _HC_EV_NM / (self.wavelength_nm[0] + step * (np.arange(PIXELS + 1) - 0.5))
        self.pixel_eV = float(np.abs(np.diff(self.edges_eV)).mean())

    def one(
        self,
        peak: int,
        rng: np.random.Generator,
        *,
        lines: int = 2,
        shape: str = "gauss",
        absent: tuple[str, ...] = (),
    ) -> TrueSpectrum:
        """Return a nanocrystal whose strongest line is so many counts high."""
        width = rng.uniform(0.3e-3, 0.5e-3)
        gauss = KNOWN_GAUSS_EV if shape == "voigt" else width
        per_height = width / self.pixel_eV * (1.064 if shape == "gauss" else 1.571)
        full = peak * (per_height if shape != "voigt" else 0.85 * per_height)
        splittings = np.concatenate([[0.0], rng.uniform(0.7e-3, 1.5e-3, lines - 1)]).cumsum()
        energy = 2.372 + rng.uniform(-2e-3, 2e-3) + splittings
        area = rng.permutation(np.concatenate([[1.0], rng.uniform(0.4, 1.0, lines - 1)]))
        p = {"background_0": BACKGROUND.get(peak, 3.0), "width_eV": gauss}
        for k in range(lines):
            p[f"energy_{k + 1}_eV"], p[f"area_{k + 1}_counts"] = energy[k], full * area[k]
        for j, coupling in enumerate(rng.uniform(0.06, 0.2, 3), start=1):
            p[f"coupling_{j}"] = coupling
        wide = width * rng.uniform(0.9, 1.3)
        if "trion" not in absent:
            p["trion_binding_eV"] = rng.uniform(9.5e-3, 16.5e-3)
            p["trion_width_eV"] = gauss if shape == "voigt" else wide
            p["trion_area_counts"] = full * rng.uniform(0.3, 0.7) * wide / width
        if "biexciton" not in absent:
            p["biexciton_binding_eV"] = rng.uniform(24e-3, 33e-3)
            for k in range(lines):
                p[f"biexciton_area_{k + 1}_counts"] = full * rng.uniform(0.25, 0.5)
        if shape == "voigt":
            p["lorentz_width_eV"] = width - 0.5 * gauss
            if "trion" not in absent:
                p["lorentz_trion_width_eV"] = wide - 0.5 * gauss
        return TrueSpectrum({n: float(v) for n, v in p.items()}, lines, shape)

    def measured(self, expected: Array, rng: np.random.Generator) -> Array:
        """Return counts: Poisson light and read noise."""
        return rng.poisson(expected) + rng.normal(0.0, READ_NOISE_E, expected.shape)


@pytest.fixture(scope="session")
def nanocrystals() -> Nanocrystals:
    return Nanocrystals()


@pytest.fixture
def compiled_if_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let long campaigns run on the compiled kernels, compiled first if need be."""
    monkeypatch.setattr(kernels, "_KERNELS", kernels._Kernels())
    monkeypatch.setenv(kernels.VARIABLE, kernels.FitCode.COMPILED.value)
    kernels.settle(longest_s=300.0)


MakeRng = Callable[..., np.random.Generator]


@pytest.fixture
def make_rng(commit_seed: int) -> MakeRng:
    """Return generators whose seed changes with the commit, one for each choice of words."""

    def rng(*words: object) -> np.random.Generator:
        entropy = [commit_seed, *"".join(map(str, words)).encode()]
        return np.random.default_rng(np.random.SeedSequence(entropy))

    return rng
