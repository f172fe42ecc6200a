"""The fit of the spectrum that is seen live, in words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.verdict import Verdict
from analysis.spectra.fit_curve import FitCurve, fit_curve
from analysis.spectra.spectrum_fit import FitModel, SpectrumFit, fit_spectrum
from gui.live.live_frames import LiveSpectrum

__all__ = ["LiveFit", "fit_live", "in_words"]


@dataclass(frozen=True, slots=True)
class LiveFit:
    """A fit and its curve; trouble: why there is none."""

    spectrum: LiveSpectrum
    fit: SpectrumFit | None = None
    curve: FitCurve | None = None
    trouble: str = ""


def fit_live(spectrum: LiveSpectrum, model: FitModel, noise: DetectorNoise) -> LiveFit:
    """Fit one spectrum; whatever is wrong with it is said, not raised."""
    axis = _whole_axis(spectrum)
    if axis is None:
        return LiveFit(spectrum, trouble="no energies: the axis is not known, or zero order")
    try:
        fit = fit_spectrum(axis, spectrum.counts, model=model, noise=noise)
        curve = fit_curve(
            axis,
            spectrum.counts,
            model=model,
            noise=noise,
            background=None,
            names=fit.names,
            values=fit.values,
        )
    except ValueError as error:
        return LiveFit(spectrum, trouble=str(error))
    return LiveFit(spectrum, fit, curve)


def in_words(live: LiveFit) -> str:
    """Return energies and width with their errors, and the verdict."""
    fit = live.fit
    if fit is None:
        return live.trouble
    if fit.verdict in (Verdict.NO_SIGNAL, Verdict.FAILED):
        return f"{fit.verdict.value}: {fit.reason}"
    energies = ", ".join(
        _with_error(fit[name], fit.error(name), "eV")
        for name in fit.names
        if name.startswith("energy")
    )
    width = _with_error(1000 * fit["width_eV"], 1000 * fit.error("width_eV"), "meV")
    return f"{energies}   FWHM {width}   {fit.verdict.value}"


def _whole_axis(spectrum: LiveSpectrum) -> NDArray[np.float64] | None:
    axis = spectrum.wavelength_nm
    return axis if axis.size and bool(np.isfinite(axis).all() and (axis > 0).all()) else None


def _with_error(value: float, error: float, unit: str) -> str:
    """Return the value with its error in the last two digits: 2.39214(15) eV."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.6g} {unit}"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{decimals}f}({round(error * 10**decimals)}) {unit}"
