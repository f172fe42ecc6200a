"""What a zone of [fit] asks for is what is fitted: exciton alone, whole spectrum, Voigt beside."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.special import ndtr

from acquisition.configuration.sweep_file import FitConfig
from acquisition.fits.point_fitter import model_name
from acquisition.fits.zone_fit import fit_as_scheduled
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.verdict import Verdict
from analysis.series.frame_series import PointFit

Array = NDArray[np.float64]

WINDOW = ["2.334 eV", "2.378 eV"]
WAVELENGTH_NM = np.linspace(1239.841984 / 2.379, 1239.841984 / 2.333, 900)
WHOLE = {
    "lines": 2,
    "window": WINDOW,
    "components": ["replicas", "trion", "biexciton"],
    "phonons": ["3.6 meV", "6.8 meV"],
}
CCD = DetectorNoise(read_noise_e=4.0, offset_counts=600.0)


def light(lines: list[tuple[float, float, float]]) -> Array:
    """Return electrons per pixel of Gaussians: energy, FWHM, area."""
    step = WAVELENGTH_NM[1] - WAVELENGTH_NM[0]
    edges = 1239.841984 / np.append(WAVELENGTH_NM - 0.5 * step, WAVELENGTH_NM[-1] + 0.5 * step)
    total = np.full(WAVELENGTH_NM.size, 5.0)
    for energy, fwhm, area in lines:
        total += area * np.abs(np.diff(ndtr((edges - energy) * np.sqrt(8.0 * np.log(2.0)) / fwhm)))
    return total


def nanocrystal(at_eV: float, *, trion: float) -> Array:
    """Return two lines 1 meV apart, their replicas, a trion and a mirrored biexciton."""
    pair = [(at_eV, 8e3), (at_eV + 1e-3, 5e3)]
    lines = [(energy, 0.4e-3, area) for energy, area in pair]
    lines += [
        (energy - phonon, 0.4e-3, s * area)
        for energy, area in pair
        for phonon, s in ((3.6e-3, 0.15), (6.8e-3, 0.08))
    ]
    centre = at_eV + 0.5e-3
    lines.append((centre - 15e-3, 0.5e-3, trion))
    lines += [(2 * centre - energy - 30e-3, 0.4e-3, 2e3) for energy, _ in pair]
    return light(lines)


def frames(rng: np.random.Generator, *, trion: float = 3e3, number: int = 5) -> Array:
    wandering = 2.371 + 0.03e-3 * np.arange(number)
    expected = np.array([nanocrystal(at, trion=trion) for at in wandering])
    return rng.poisson(expected) + np.rint(rng.normal(600.0, 4.0, expected.shape))


def fitted(model: Any, counts: Array, temperature_K: float | None = 5.5) -> PointFit:
    config = FitConfig.model_validate({"model": model})
    return fit_as_scheduled(
        config, temperature_K, WAVELENGTH_NM, counts, noise=CCD, background=None
    )


def test_a_whole_spectrum_is_fitted_to_the_frames_of_a_point() -> None:
    counts = frames(np.random.default_rng(1))

    fit = fitted(WHOLE, counts)

    wanted = {
        "energy_1_eV": 2.371 + 0.06e-3,
        "energy_2_eV": 2.372 + 0.06e-3,
        "trion_binding_eV": 15e-3,
        "biexciton_binding_eV": 30e-3,
        "coupling_1": 0.15,
        "coupling_2": 0.08,
        "area_1_counts": 8e3,
        "trion_area_counts": 3e3,
    }
    assert fit.verdict is Verdict.CONVERGED
    for name, value in wanted.items():
        assert abs(fit[name] - value) < 5.0 * fit.error(name), name
    # The frames wander by 47 ueV rms, which no photon error says.
    energy = fit.names.index("energy_1_eV")
    assert fit.errors[energy] > 15e-6 > fit.photon_errors[energy]
    assert fit.frame_energy_eV.size == 5


def test_what_is_not_seen_is_left_out_and_said() -> None:
    fit = fitted(WHOLE, frames(np.random.default_rng(2), trion=0.0))

    assert "trion_binding_eV" not in fit.names
    assert "no trion (" in fit.reason
    assert "biexciton_binding_eV" in fit.names


def test_dark_frames_are_left_out_by_name() -> None:
    rng = np.random.default_rng(3)
    counts = frames(rng)
    counts[2] = np.rint(rng.normal(605.0, 4.5, counts.shape[1]))

    fit = fitted(WHOLE, counts)

    assert list(fit.excluded) == [2]
    assert fit.frame_energy_eV.size == 4


def test_a_voigt_series_stands_beside_the_scheduled_shape() -> None:
    schedule = [
        {"up_to": "40 K", "lines": 2, "window": ["2.369 eV", "2.375 eV"], "voigt_beside": True},
        {"lines": 2, "shape": "lorentz", "window": ["2.369 eV", "2.375 eV"], "voigt_beside": True},
    ]
    counts = frames(np.random.default_rng(4))

    cold, warm = fitted(schedule, counts, 5.5), fitted(schedule, counts, 100.0)

    for fit in (cold, warm):
        assert {"width_eV", "voigt_width_eV", "voigt_lorentz_width_eV"} < set(fit.names)
        assert fit.covariance.shape == (len(fit.names),) * 2
    # The Voigt series takes no notice of the step from Gauss to Lorentz.
    assert warm["voigt_width_eV"] == cold["voigt_width_eV"]
    assert abs(warm["width_eV"] - cold["width_eV"]) > 5.0 * cold.error("width_eV")


def test_without_components_the_exciton_alone_is_fitted() -> None:
    fit = fitted({"lines": 2, "window": ["2.369 eV", "2.375 eV"]}, frames(np.random.default_rng(5)))

    assert [name for name in fit.names if "binding" in name or "coupling" in name] == []
    assert fit["energy_2_eV"] - fit["energy_1_eV"] == pytest.approx(1e-3, abs=0.05e-3)


def test_no_light_gets_a_verdict() -> None:
    dark = np.full((3, WAVELENGTH_NM.size), 604.0)

    fit = fitted(WHOLE, dark)

    assert fit.verdict is Verdict.NO_SIGNAL
    assert np.isnan(fit.values).all()


def test_fits_of_other_models_have_other_names() -> None:
    config = FitConfig.model_validate({"model": {**WHOLE, "voigt_beside": True}})
    plain = FitConfig.model_validate({"model": {"lines": 2, "window": WINDOW}})

    assert model_name(plain) == "exciton: 2 gauss"
    assert (
        model_name(config)
        == "exciton: 2 gauss + replicas + trion + biexciton + 3.6/6.8 meV beside voigt"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"phonons": []}, "energies of the phonons, where replicas are among the components"),
        ({"components": ["trion replicas"]}, 'where "trion replicas" are'),
        ({"components": ["polaron"]}, "polaron"),
    ],
)
def test_components_that_lack_something_are_refused(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        FitConfig.model_validate({"model": {**WHOLE, **changed}})
