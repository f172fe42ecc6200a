"""From a run's files to what the fit needs: model, detector noise, background, by row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.camera_noise import detector_noise
from acquisition.configuration.lamp_profiles import profile_at
from acquisition.configuration.station_file import CameraConfig
from acquisition.configuration.sweep_file import FitConfig, FitZone, SweepConfig
from acquisition.fits.zone_fit import fit_as_scheduled, fit_model
from acquisition.planning.point_table import PointKind
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import FitRow
from acquisition.storage.run_configuration import configuration_of
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.series.frame_series import PointFit

__all__ = ["FIT_VERSION", "PointFitter", "detector_noise", "fit_model", "model_name", "open_fitter"]

FIT_VERSION = "4"  # of the code that turns counts into parameters; raise it when results change


def model_name(config: FitConfig, *, knows_profile: bool = False) -> str:
    """Return the name under which the fits of this configuration are stored.

    knows_profile: of the instrument, through which the lines are then seen.
    """
    zones = [
        _zone_name(zone) + (f" up to {zone.up_to_K:g} K" if zone.up_to_K < 1e9 else "")
        for zone in config.model
    ]
    through = ", through the lamp's profile" if knows_profile else ""
    return "exciton: " + ", ".join(zones) + through


def _zone_name(zone: FitZone) -> str:
    parts = [f"{zone.lines} {zone.shape}", *zone.components]
    if zone.components and zone.phonons_eV:
        parts.append("/".join(f"{1e3 * energy:g}" for energy in zone.phonons_eV) + " meV")
    return " + ".join(parts) + (" beside voigt" if zone.voigt_beside else "")


@dataclass(frozen=True, slots=True)
class _Match:
    """What makes a background belong to a spectrum."""

    exposure_s: float
    grating: int
    centre_nm: float


@dataclass(frozen=True, slots=True)
class _Background:
    """The median of the frames of one background row."""

    key: int
    kind: PointKind
    match: _Match
    counts: NDArray[np.float64]

    def fits(self, kind: PointKind, match: _Match) -> bool:
        """Return whether kind and optics are the same, at whatever exposure."""
        return self.kind is kind and replace(self.match, exposure_s=match.exposure_s) == match


class PointFitter:
    """Fits accepted attempts of one journal, each with its matching background."""

    def __init__(self, reader: JournalReader, sweep: SweepConfig, camera: CameraConfig) -> None:
        if sweep.fit is None:
            raise ValueError("the sweep file has no [fit]")
        self._lamp_profiles = reader.meta.lamp_profiles
        self.model = model_name(sweep.fit, knows_profile=bool(self._lamp_profiles))
        self._config = sweep.fit
        self._noise = detector_noise(camera)
        self._reader = reader
        self._planned = 0  # how many points were looked through for backgrounds
        self._background_points: tuple[int, ...] = ()
        self._axes = {k: c.value for k, c in reader.calibrations().items()}
        self._backgrounds: list[_Background] = []

    def backlog(self) -> tuple[int, ...]:
        """Return the accepted attempts without this fit, newest first."""
        return self._reader.fit_backlog(self.model, FIT_VERSION)

    def latest_attempt(self) -> int:
        """Return the id of the attempt that was stored last, 0 if there is none."""
        return self._reader.progress().last_attempt

    def fit(self, key: int) -> FitRow:
        """Fit one attempt. Raises ValueError for an axis that is none."""
        return self.prepared(key)()

    def prepared(self, key: int) -> Callable[[], FitRow]:
        """Read one attempt and return what fits it, in any thread."""
        stored = self._reader.attempt(key)
        point = self._reader.point(stored.attempt.point)
        axis, background = self.wavelength_nm(stored), self.background(stored)
        profile = self.profile(stored)

        def fit() -> FitRow:
            found = fit_as_scheduled(
                self._config,
                point.temperature_K,
                axis,
                stored.attempt.counts,
                noise=self._noise,
                background=background,
                profile=profile,
            )
            return fit_row(key, point.index, self.model, found)

        return fit

    def failed(self, key: int, reason: str) -> FitRow:
        """Return the row that records a fit that died, so that it is not tried for ever."""
        point = self._reader.attempt(key).attempt.point
        return FitRow(
            point=point,
            attempt=key,
            model=self.model,
            version=FIT_VERSION,
            verdict="failed",
            reason=reason,
            names=(),
            values=np.empty(0),
            errors=np.empty(0),
            covariance=np.empty((0, 0)),
            chi2_per_dof=float("nan"),
        )

    def wavelength_nm(self, stored: StoredAttempt) -> NDArray[np.float64]:
        """Return the axis in force when this attempt was measured."""
        calibration = stored.attempt.calibration
        if calibration not in self._axes:
            self._axes = {k: c.value for k, c in self._reader.calibrations().items()}
        return self._axes[calibration]

    def profile(self, stored: StoredAttempt) -> InstrumentProfile | None:
        """Return what a lamp said of the instrument at the setting of this attempt."""
        point = self._reader.point(stored.attempt.point)
        return profile_at(self._lamp_profiles, point.grating, point.centre_nm)

    def background(self, stored: StoredAttempt) -> NDArray[np.float64] | None:
        """Return the last matching background measured before this attempt.

        Laser-blocked frames go before dark ones. What comes later never changes a fit. Offset and
        dark counts at an exposure that was chosen later follow from two others.
        """
        self._learn_backgrounds()
        point = self._reader.point(stored.attempt.point)
        match = _Match(stored.attempt.exposure_s, point.grating, point.centre_nm)
        for kind in (PointKind.BLOCKED, PointKind.DARK):
            earlier = [b for b in self._backgrounds if b.fits(kind, match) and b.key < stored.id]
            earlier.sort(key=lambda background: background.key)
            last = {background.match.exposure_s: background.counts for background in earlier}
            if match.exposure_s in last:
                return last[match.exposure_s]
            if len(last) > 1:
                return _on_the_line(last, match.exposure_s)
        return None

    def _learn_backgrounds(self) -> None:
        planned, _ = self._reader.extent()
        if planned > self._planned:
            self._background_points += self._reader.background_points(self._planned)
            self._planned = planned
        known = {background.key for background in self._backgrounds}
        for index, key in self._reader.accepted_among(self._background_points).items():
            if key not in known:
                point = self._reader.point(index)
                attempt = self._reader.attempt(key).attempt
                match = _Match(attempt.exposure_s, point.grating, point.centre_nm)
                counts = np.median(attempt.counts, axis=0)
                self._backgrounds.append(_Background(key, point.kind, match, counts))


def _on_the_line(
    measured: Mapping[float, NDArray[np.float64]], exposure_s: float
) -> NDArray[np.float64]:
    short_s, long_s = min(measured), max(measured)
    share = (exposure_s - short_s) / (long_s - short_s)
    return (1.0 - share) * measured[short_s] + share * measured[long_s]


def fit_row(key: int, point: int, model: str, fit: PointFit) -> FitRow:
    """Return the fit of one attempt as the journal stores it."""
    excluded = f"; {len(fit.excluded)} frames left out" if fit.excluded else ""
    return FitRow(
        point=point,
        attempt=key,
        model=model,
        version=FIT_VERSION,
        verdict=fit.verdict.value,
        reason=fit.reason + excluded,
        names=fit.names,
        values=fit.values,
        errors=fit.errors,
        covariance=fit.covariance,
        chi2_per_dof=fit.chi2_per_dof,
    )


def open_fitter(folder: Path) -> PointFitter:
    """Open the journal of a run for reading and return what fits its points."""
    reader = JournalReader(folder)
    configuration = configuration_of(reader.meta)
    return PointFitter(reader, configuration.sweep, configuration.station.camera)
