"""How far below the exciton a trion or biexciton lies: from the middle of the lines, unweighted.

The lines of the biexciton mirror those of the exciton, E_X - Delta - delta_i, but shine by
branching ratios, not by the exciton's populations: a centroid weighted by light would be displaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from analysis.estimation.verdict import Verdict
from analysis.spectra.spectrum_fit import SpectrumFit

__all__ = ["BindingEnergy", "biexciton_binding", "trion_binding"]

_UNLIKELY = 1e-3
_WORTH_SOMETHING = (Verdict.CONVERGED, Verdict.POOR_FIT)


@dataclass(frozen=True, slots=True)
class BindingEnergy:
    """binding_eV: positive where the complex lies below the exciton; error with misfit.

    mirror_probability: of splittings that differ as much from mirrored ones by chance; NaN where
    there is no splitting to compare.
    """

    binding_eV: float
    error_eV: float
    mirror_probability: float
    verdict: Verdict
    reason: str


def biexciton_binding(exciton: SpectrumFit, biexciton: SpectrumFit) -> BindingEnergy:
    """Compare the middle of both multiplets, and whether one mirrors the other.

    Both fits must hold the same number of lines: a line lost in one moves its middle.
    """
    if exciton.lines != biexciton.lines:
        return _nothing(
            f"{exciton.lines} lines of the exciton and {biexciton.lines} of the biexciton have no "
            "common middle"
        )
    return _compared(exciton, biexciton, is_mirror=True)


def trion_binding(exciton: SpectrumFit, trion: SpectrumFit) -> BindingEnergy:
    """Compare the middle of the exciton's lines with the single line of the trion."""
    if trion.lines != 1:
        return _nothing(f"{trion.lines} lines: a trion has one, since its holes are paired")
    return _compared(exciton, trion, is_mirror=False)


def _compared(exciton: SpectrumFit, other: SpectrumFit, *, is_mirror: bool) -> BindingEnergy:
    for name, fit in (("exciton", exciton), ("other line", other)):
        if fit.verdict not in _WORTH_SOMETHING:
            return _nothing(f"the fit of the {name}: {fit.verdict.value}, {fit.reason}")
    compare = is_mirror and exciton.lines > 1
    mirror = _mirror_probability(exciton, other) if compare else float("nan")
    (high, high_error), (low, low_error) = _middle(exciton), _middle(other)
    mirrored = "" if np.isnan(mirror) else f"; mirrored splittings with probability {mirror:.2g}"
    poor = mirror < _UNLIKELY
    return BindingEnergy(
        binding_eV=high - low,
        error_eV=float(np.hypot(high_error, low_error)),
        mirror_probability=mirror,
        verdict=Verdict.POOR_FIT if poor else Verdict.CONVERGED,
        reason=f"unweighted middle of {exciton.lines} and {other.lines} lines{mirrored}"
        + (": the lower lines are no mirror of the upper ones" if poor else ""),
    )


def _energies(fit: SpectrumFit) -> list[int]:
    return [fit.names.index(f"energy_{k}_eV") for k in range(1, fit.lines + 1)]


def _middle(fit: SpectrumFit) -> tuple[float, float]:
    at = _energies(fit)
    variance = fit.covariance[np.ix_(at, at)].sum() / fit.lines**2
    return float(fit.values[at].mean()), float(np.sqrt(variance)) * fit.misfit_factor


def _mirror_probability(exciton: SpectrumFit, biexciton: SpectrumFit) -> float:
    steps = np.diff(np.eye(exciton.lines), axis=0)
    one, other = _energies(exciton), _energies(biexciton)
    upper = steps @ exciton.values[one]
    lower = (steps @ biexciton.values[other])[::-1]
    covariance = (
        steps @ (exciton.covariance[np.ix_(one, one)] * exciton.misfit_factor**2) @ steps.T
        + (
            steps
            @ (biexciton.covariance[np.ix_(other, other)] * biexciton.misfit_factor**2)
            @ steps.T
        )[::-1, ::-1]
    )
    difference = upper - lower
    chi2 = float(difference @ np.linalg.pinv(covariance) @ difference)
    return float(chi2_distribution.sf(chi2, difference.size))


def _nothing(reason: str) -> BindingEnergy:
    nan = float("nan")
    return BindingEnergy(nan, nan, nan, Verdict.ILL_DETERMINED, reason)
