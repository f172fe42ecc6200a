"""The laws of a sweep from all frames in its journal: what the sweep file asks for, in words."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.station_file import CameraConfig
from acquisition.configuration.sweep_file import FitConfig
from acquisition.fits.point_fitter import PointFitter, detector_noise, fit_model
from acquisition.fits.point_laws import coupling_texts, point_law_texts
from acquisition.fits.setting_errors import angle_error_deg, field_error_kV_per_cm
from acquisition.fits.warming_laws import OF_WARMING, WarmingLaws, phonons_of
from acquisition.fits.zone_fit import fit_exciton
from acquisition.planning.point_table import Point, PointKind
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import Attempt
from acquisition.storage.run_configuration import configuration_of
from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.estimation.verdict import Verdict
from analysis.laws.dipoles import Aperture, angles_between, tilted_dipole
from analysis.laws.laws import LAWS
from analysis.laws.polarization import PolarizationFit
from analysis.laws.spectral_diffusion import fit_spectral_diffusion
from analysis.series.polarization_series import PolarizationSeries, fit_polarization_series
from analysis.series.stark_series import StarkSeries, fit_stark_series
from analysis.spectra.fit_model import FitModel

__all__ = ["OF_FRAMES", "Series", "law_texts", "polarization_of", "series_of", "stark_of"]


@dataclass(frozen=True, slots=True)
class Series:
    """The frames of the accepted points that differ in one setpoint only.

    frames: (frames, pixels), raw; the other arrays: (frames,), NaN where there is no reading.
    light_s: exposure that the nanocrystal had seen before the middle of each frame. profile: of the
    instrument, as a lamp showed it. *_error: of the fields and angles, each.
    """

    where: str
    config: FitConfig
    temperature_K: float | None
    model: FitModel
    noise: DetectorNoise
    wavelength_nm: NDArray[np.float64]
    background: NDArray[np.float64] | None
    frames: NDArray[np.float64]
    point: NDArray[np.int64]
    light_s: NDArray[np.float64]
    point_light_s: float
    field_kV_per_cm: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    profile: InstrumentProfile | None = None
    field_error_kV_per_cm: float = 0.0
    angle_error_deg: float = 0.0
    numerical_aperture: float = float("nan")

    @property
    def through(self) -> str:
        """What the lines are seen through, in words."""
        return "" if self.profile is None else ", through the lamp's profile"


@dataclass(frozen=True, slots=True)
class OfFrames:
    """How a law is fitted to all frames of a series. same: setpoints that make a series."""

    texts: Callable[[Series], Iterator[str]]
    same: tuple[str, ...]


def law_texts(reader: JournalReader) -> tuple[str, ...]:
    """Return a sentence per law and series; nothing where the sweep asks for none."""
    fit = configuration_of(reader.meta).sweep.fit
    warming = WarmingLaws(reader)
    laws = () if fit is None else fit.laws
    return tuple(text for law in laws for text in _texts(law, reader, warming))


def _texts(law: str, reader: JournalReader, warming: WarmingLaws) -> Iterator[str]:
    configuration = configuration_of(reader.meta)
    fit = configuration.sweep.fit
    assert fit is not None  # noqa: S101 - it asked for the law
    if law == "huang_rhys":
        yield from coupling_texts(reader, configuration.station.camera.response_error)
        return
    if law in OF_WARMING and phonons_of(fit):
        yield from warming.texts(law)
        return
    if law not in OF_FRAMES:
        yield from point_law_texts(reader, law, shapes={zone.shape for zone in fit.model})
        return
    camera = configuration.station.camera
    fitter = PointFitter(reader, configuration.sweep, camera)
    of_frames = OF_FRAMES[law]
    for group in series_of(reader, fitter, fit, camera, same=of_frames.same):
        aperture = configuration.sweep.optics.numerical_aperture
        yield from of_frames.texts(replace(group, numerical_aperture=aperture))


def series_of(
    reader: JournalReader,
    fitter: PointFitter,
    fit: FitConfig,
    camera: CameraConfig,
    *,
    same: tuple[str, ...],
) -> Iterator[Series]:
    """Yield the accepted sample points, grouped by equal setpoints `same` and wavelength axis."""
    points = reader.table().points
    groups: defaultdict[tuple[object, ...], list[tuple[Point, StoredAttempt]]] = defaultdict(list)
    for key in sorted(reader.accepted().values()):
        stored = reader.attempt(key)
        point = points[stored.attempt.point]
        if point.kind is PointKind.SAMPLE:
            axis = fitter.wavelength_nm(stored).tobytes()
            groups[(*(getattr(point, name) for name in same), axis)].append((point, stored))
    configuration = configuration_of(reader.meta)
    field_error = field_error_kV_per_cm(configuration.station, configuration.sweep)
    for group in groups.values():
        yield replace(
            _series(group, fitter, fit, camera, same),
            field_error_kV_per_cm=field_error,
            angle_error_deg=angle_error_deg(configuration.station),
        )


def stark_of(series: Series) -> StarkSeries:
    """Fit all frames and the parabola through their points. Raises ValueError for too few."""
    _insist_on_readings("field_kV_per_cm", series.field_kV_per_cm)
    return fit_stark_series(
        series.wavelength_nm,
        series.frames,
        series.field_kV_per_cm,
        model=series.model,
        noise=series.noise,
        point=series.point,
        light_time_s=series.light_s,
        light_duration_s=series.point_light_s,
        background=series.background,
        instrument=series.profile,
        sigma_field_kV_per_cm=series.field_error_kV_per_cm,
    )


def polarization_of(series: Series) -> PolarizationSeries:
    """Fit all frames with one law of the angle per line. Raises ValueError for too few angles."""
    _insist_on_readings("angle_deg", series.angle_deg)
    return fit_polarization_series(
        series.wavelength_nm,
        series.frames,
        series.angle_deg,
        model=series.model,
        noise=series.noise,
        point=series.point,
        background=series.background,
        instrument=series.profile,
        sigma_angle_deg=series.angle_error_deg,
    )


def _series(
    group: list[tuple[Point, StoredAttempt]],
    fitter: PointFitter,
    fit: FitConfig,
    camera: CameraConfig,
    same: tuple[str, ...],
) -> Series:
    first_point, first = group[0]
    attempts = [stored.attempt for _, stored in group]
    numbers = [len(attempt.counts) for attempt in attempts]
    exposure_s = np.repeat([attempt.exposure_s for attempt in attempts], numbers)
    one_exposure = np.unique(exposure_s).size == 1
    return Series(
        where=_where(first_point, same),
        config=fit,
        temperature_K=first_point.temperature_K,
        model=fit_model(fit, first_point.temperature_K),
        noise=detector_noise(camera),
        wavelength_nm=fitter.wavelength_nm(first),
        background=fitter.background(first) if one_exposure else None,
        frames=np.concatenate([attempt.counts for attempt in attempts]).astype(np.float64),
        point=np.repeat([attempt.point for attempt in attempts], numbers),
        light_s=np.cumsum(exposure_s) - exposure_s / 2.0,
        point_light_s=float(np.median([len(a.counts) * a.exposure_s for a in attempts])),
        field_kV_per_cm=_of_frames(attempts, numbers, "field_kV_per_cm"),
        angle_deg=_of_frames(attempts, numbers, "angle_deg"),
        profile=fitter.profile(first),
    )


def _of_frames(attempts: list[Attempt], numbers: list[int], channel: str) -> NDArray[np.float64]:
    values = [attempt.readings.get(channel, np.nan) for attempt in attempts]
    return np.repeat(np.array(values, dtype=np.float64), numbers)


def _insist_on_readings(channel: str, values: NDArray[np.float64]) -> None:
    """Raise ValueError where what the law goes by was not recorded."""
    missing = int(np.isnan(values).sum())
    if missing:
        raise ValueError(f"{missing} of {values.size} frames have no reading of {channel}")


def _where(point: Point, same: tuple[str, ...]) -> str:
    named = [
        f"{name.split('_')[0]} {value:g}"
        for name in same
        if (value := getattr(point, name)) is not None
    ]
    return f" at {', '.join(named)}" if named else ""


def _parabola_texts(series: Series) -> Iterator[str]:
    def text() -> Iterator[str]:
        law = stark_of(series).stark
        low, high = law.internal_field_interval_kV_per_cm
        yield (
            f"internal field {law.internal_field_kV_per_cm:.1f} +- "
            f"{law.internal_field_error:.1f} kV/cm (68 %: {low:.0f} to {high:.0f}), alpha/2 "
            f"{law.half_polarizability * 1e6:.3f} +- {law.half_polarizability_error * 1e6:.3f} "
            f"ueV/(kV/cm)^2, dipole {law.dipole_e_nm:.3f} e nm; {law.verdict.value}: {law.reason}"
        )

    return _said(f"Stark parabola{series.where}{series.through}", text)


def _cos2_texts(series: Series) -> Iterator[str]:
    def text() -> Iterator[str]:
        fit = polarization_of(series)
        splittings = ", ".join(
            f"{1e3 * value:.3f} +- {1e3 * error:.3f}"
            for value, error in zip(fit.splitting_eV, fit.splitting_errors_eV, strict=True)
        )
        if splittings:
            yield f"lines above the lowest by {splittings} meV; {fit.verdict.value}: {fit.reason}"
        for number, law in enumerate(fit.lines, start=1):
            yield (
                f"line {number}: axis {law.axis_deg:.2f} +- {law.axis_error_deg:.2f} deg, "
                f"visibility {law.visibility:.2f} +- {law.visibility_error:.2f}; "
                f"{law.verdict.value}: {law.reason}"
            )
        yield from dipole_texts(fit.lines, series.numerical_aperture)

    return _said(f"cos^2{series.where}{series.through}", text)


def dipole_texts(lines: Sequence[PolarizationFit], numerical_aperture: float) -> Iterator[str]:
    """Yield how the dipoles of the lines lie, going by their visibility through this aperture.

    Nothing for an immersion objective, to which the closed form does not apply.
    """
    if not 0.0 < numerical_aperture < 1.0:
        return
    aperture = Aperture(numerical_aperture)
    seen = {
        number: tilted_dipole(law, aperture)
        for number, law in enumerate(lines, start=1)
        if law.verdict is Verdict.CONVERGED
    }
    for number, dipole in seen.items():
        yield (
            f"dipole {number}: {dipole.tilt_deg:.1f} +- {dipole.tilt_error_deg:.1f} deg from the "
            f"optical axis, if nothing but the aperture {numerical_aperture:g} depolarises"
        )
    if len(seen) > 1:
        numbers = list(seen)
        for pair in angles_between(list(seen.values())):
            one, other = numbers[pair.first], numbers[pair.second]
            yield (
                f"dipoles {one} and {other}: {pair.angle_deg:.1f} +- {pair.error_deg:.1f} deg "
                f"apart, {pair.sigmas_from_90:.1f} sigma from a right angle"
            )


def _diffusion_texts(series: Series) -> Iterator[str]:
    def text() -> Iterator[str]:
        point = fit_exciton(
            series.config,
            series.temperature_K,
            series.wavelength_nm,
            series.frames,
            noise=series.noise,
            background=series.background,
            profile=series.profile,
        )
        used = [i for i in range(len(series.frames)) if i not in point.excluded]
        if len(used) != point.frame_energy_eV.size:
            raise ValueError(f"frames too weak to be fitted one by one: {point.reason}")
        photon_eV = float(point.photon_errors[point.names.index("energy_1_eV")]) * len(used) ** 0.5
        found = fit_spectral_diffusion(
            series.light_s[used], point.frame_energy_eV, np.full(len(used), photon_eV)
        )
        yield (
            f"wanders by {1e3 * found.scatter_eV:.3f} meV rms with a memory of "
            f"{found.memory_s:.3g} s of exposure; mean {found.mean_eV:.6f} +- "
            f"{found.error_eV:.6f} eV, of photons alone +- {found.photon_error_eV:.6f}; "
            f"{len(used)} frames, {len(point.excluded)} left out; "
            f"{found.verdict.value}: {found.reason}"
        )

    return _said(f"{LAWS['diffusion'].title}{series.where}{series.through}", text)


OF_FRAMES: Mapping[str, OfFrames] = {
    "parabola": OfFrames(_parabola_texts, ("temperature_K", "angle_deg")),
    "cos2": OfFrames(_cos2_texts, ("temperature_K", "field_kV_per_cm")),
    "diffusion": OfFrames(_diffusion_texts, ("temperature_K", "field_kV_per_cm", "angle_deg")),
}


def _said(what: str, texts: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Prefix each text; a law that can't be fitted is said, not raised."""
    try:
        yield from [f"{what}: {text}" for text in texts()]
    except ValueError as error:
        yield f"{what}: not fitted: {error}"
