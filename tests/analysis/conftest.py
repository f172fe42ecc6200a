"""Spectra of a nanocrystal written apart from the analysis, and the bound that they allow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import ndtr, voigt_profile

from analysis.estimation import kernels

Array = NDArray[np.float64]

PIXELS = 1024
READ_NOISE_E = 4.0
PHONONS_EV = (3.6e-3, 6.8e-3, 18.8e-3)
TRION_EV, BIEXCITON_EV = (9e-3, 17e-3), (23e-3, 34e-3)
BACKGROUND = {20: 3.0, 50: 3.0, 200: 5.0, 1000: 10.0, 20000: 100.0}
KNOWN_GAUSS_EV = 0.2e-3  # of the Voigt profiles: what the instrument has
_HC_EV_NM = 1239.841984


_LAST_LINES: dict[tuple[object, ...], Array] = {}


@dataclass(frozen=True)
class TrueSpectrum:
    """What is sent out: parameters by the names of the analysis, in electrons."""

    parameters: dict[str, float]
    lines: int
    shape: str

    def expected(self, edges_eV: Array, changed: Mapping[str, float] | None = None) -> Array:
        """Return the electrons expected in each pixel, or with some parameters changed."""
        p = {**self.parameters, **(changed or {})}
        total = np.full(edges_eV.size - 1, p["background_0"])
        energies = [p[f"energy_{k}_eV"] for k in range(1, self.lines + 1)]
        centre = sum(energies) / self.lines
        wide = p.get("lorentz_width_eV", 0.0)
        for k, energy in enumerate(energies, start=1):
            area = p[f"area_{k}_counts"]
            total += area * self._line(edges_eV, energy, p["width_eV"], wide)
            for j, phonon in enumerate(PHONONS_EV, start=1):
                copy = self._line(edges_eV, energy - phonon, p["width_eV"], wide)
                total += area * p[f"coupling_{j}"] * copy
            if "biexciton_binding_eV" in p:
                mirrored = 2.0 * centre - energy - p["biexciton_binding_eV"]
                line = self._line(edges_eV, mirrored, p["width_eV"], wide)
                total += p[f"biexciton_area_{k}_counts"] * line
        if "trion_binding_eV" in p:
            line = self._line(
                edges_eV,
                centre - p["trion_binding_eV"],
                p["trion_width_eV"],
                p.get("lorentz_trion_width_eV", 0.0),
            )
            total += p["trion_area_counts"] * line
        return total

    def _line(self, edges: Array, centre: float, width: float, lorentz: float) -> Array:
        """Return a line of unit area; one that was asked for last time is not computed anew."""
        key = (id(edges), self.shape, centre, width, lorentz)
        if key not in _LAST_LINES:
            if len(_LAST_LINES) > 64:
                _LAST_LINES.clear()
            _LAST_LINES[key] = self._computed(edges, centre, width, lorentz)
        return _LAST_LINES[key]

    def _computed(self, edges: Array, centre: float, width: float, lorentz: float) -> Array:
        if self.shape == "lorentz":
            return np.abs(np.diff(np.arctan(2.0 * (edges - centre) / width))) / np.pi
        if self.shape == "gauss":
            return np.abs(np.diff(ndtr((edges - centre) * np.sqrt(8.0 * np.log(2.0)) / width)))
        node, weight = leggauss(2)  # a pixel is a fifth of a width: good to 1e-6
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.abs(np.diff(edges))
        place = middle + half * node[:, None] - centre
        height = voigt_profile(place, width / np.sqrt(8.0 * np.log(2.0)), 0.5 * lorentz)
        return half * (weight @ height)

    def bound(self, edges_eV: Array) -> dict[str, float]:
        """Return the Cramer-Rao bound of every free parameter, derivatives by differences."""
        free = [n for n in self.parameters if not (self.shape == "voigt" and _is_known(n))]
        gradient = []
        for name in free:
            step = 1e-4 * (1e-3 if name.endswith("eV") else self.parameters["area_1_counts"])
            if name.startswith("coupling"):
                step = 1e-4
            up = self.expected(edges_eV, {name: self.parameters[name] + step})
            down = self.expected(edges_eV, {name: self.parameters[name] - step})
            gradient.append((up - down) / (2.0 * step))
        jacobian = np.array(gradient)
        information = (jacobian / (self.expected(edges_eV) + READ_NOISE_E**2)) @ jacobian.T
        scale = np.sqrt(np.diag(information))
        covariance = np.linalg.inv(information / scale / scale[:, None])
        return dict(zip(free, np.sqrt(np.diag(covariance)) / scale, strict=True))


def _is_known(name: str) -> bool:
    return name in ("width_eV", "trion_width_eV")


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
        p = {"background_0": BACKGROUND[peak], "width_eV": gauss}
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
