"""Fit the frames of a point as the sweep file schedules it for the point's temperature."""

from dataclasses import replace

from numpy.typing import ArrayLike

from acquisition.configuration.config_model import at_temperature
from acquisition.configuration.sweep_file import FitConfig, FitZone
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.line_table import Shape
from analysis.estimation.verdict import Verdict
from analysis.series.frame_series import PointFit, fit_frames
from analysis.series.point_model import beside, fit_frames_of_model
from analysis.spectra.components import COMPONENTS
from analysis.spectra.emitter import Emitter, Phonon, Presence
from analysis.spectra.fit_model import FitModel
from analysis.spectra.spectrum_model import SpectrumModel

__all__ = ["fit_as_scheduled", "fit_exciton", "fit_model", "spectrum_model", "whole_model"]

_NOTHING = (Verdict.NO_SIGNAL, Verdict.FAILED)
_WIDTHS_AROUND = 7.0


def fit_as_scheduled(
    config: FitConfig,
    temperature_K: float | None,
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    noise: DetectorNoise,
    background: ArrayLike | None,
    profile: InstrumentProfile | None = None,
) -> PointFit:
    """Fit the model of this temperature, and a Voigt series beside it where that is asked for.

    Arguments and errors as of fit_frames. Voigt's parameters are called voigt_width_eV, ....
    profile: of the instrument, as a lamp showed it; widths are then those of the lines alone.
    """
    zone = at_temperature(config.model, temperature_K)

    def fitted(zone: FitZone) -> PointFit:
        model = spectrum_model(zone, temperature_K, profile)
        only_eV = None
        if not zone.components:
            simple = _simple(zone)
            if model is not None and zone.lines == "auto":
                simple = replace(simple, lines=1)  # to see where the exciton is
            seen = fit_frames(
                wavelength_nm, frames, model=simple, noise=noise, background=background
            )
            if model is None or seen.verdict in _NOTHING:
                return seen
            only_eV = _around(seen)
        assert model is not None  # noqa: S101 - a zone with components has one
        return fit_frames_of_model(
            wavelength_nm,
            frames,
            model=model,
            lines=zone.lines,
            noise=noise,
            background=background,
            only_eV=only_eV,
        )

    fit = fitted(zone)
    if not zone.voigt_beside or zone.shape == "voigt":
        return fit
    voigt = zone.model_copy(update={"lines": fit.lines, "shape": "voigt"})
    return beside(fit, fitted(voigt), "voigt_")


def fit_exciton(
    config: FitConfig,
    temperature_K: float | None,
    wavelength_nm: ArrayLike,
    frames: ArrayLike,
    *,
    noise: DetectorNoise,
    background: ArrayLike | None,
    profile: InstrumentProfile | None = None,
) -> PointFit:
    """Fit the exciton's lines of this temperature alone, whatever else is scheduled."""
    alone = [
        zone.model_copy(update={"components": (), "voigt_beside": False}) for zone in config.model
    ]
    return fit_as_scheduled(
        config.model_copy(update={"model": tuple(alone)}),
        temperature_K,
        wavelength_nm,
        frames,
        noise=noise,
        background=background,
        profile=profile,
    )


def _around(fit: PointFit) -> tuple[float, float]:
    """Return the energies that the exciton's lines need: beyond, other things begin."""
    energies = [fit[f"energy_{k}_eV"] for k in range(1, fit.lines + 1)]
    reach = _WIDTHS_AROUND * sum(fit[n] for n in fit.names if n.endswith("width_eV"))
    return min(energies) - reach, max(energies) + reach


def fit_model(config: FitConfig, temperature_K: float | None) -> FitModel:
    """Return the exciton's lines that the sweep file schedules for this temperature."""
    return _simple(at_temperature(config.model, temperature_K))


def whole_model(
    config: FitConfig, temperature_K: float | None, profile: InstrumentProfile | None
) -> SpectrumModel | None:
    """Return the whole spectrum scheduled for this temperature, None for exciton lines alone."""
    return spectrum_model(at_temperature(config.model, temperature_K), temperature_K, profile)


def spectrum_model(
    zone: FitZone, temperature_K: float | None, profile: InstrumentProfile | None = None
) -> SpectrumModel | None:
    """Return the whole spectrum of a zone.

    None where only the exciton's lines are asked for and no profile of the instrument is known.
    """
    if not zone.components and profile is None:
        return None
    components: dict[str, Presence] = {
        name: Presence.ALWAYS if COMPONENTS[name].window_eV is None else Presence.IF_SEEN
        for name in zone.components
    }
    emitter = Emitter(
        components,
        tuple(Phonon(energy, is_broad=zone.broad_replicas) for energy in zone.phonons_eV),
        temperature_K=temperature_K or 0.0,
        shape=Shape(zone.shape) if profile is None else Shape.PROFILE,
        behind=Shape(zone.shape),
    )
    return SpectrumModel((emitter,), window_eV=zone.window_eV, background_order=1, profile=profile)


def _simple(zone: FitZone) -> FitModel:
    return FitModel(lines=zone.lines, shape=zone.shape, window_eV=zone.window_eV)
