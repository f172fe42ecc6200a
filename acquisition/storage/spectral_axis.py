"""The last axis of a run's spectra: wavelength where all share one, else the pixel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.journal_rows import Calibration
from acquisition.storage.nexus_tree import Field
from analysis.wavelength.units import energy_from_wavelength_eV, vacuum_from_air_nm

__all__ = ["SpectralAxis"]

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SpectralAxis:
    """How the columns of the spectra are ordered and labelled.

    order: the pixel of each column, backwards where that makes the wavelength ascend.
    settings: the different wavelength calibrations in use; setting_of: the one of each row,
    -1 for rows that were not measured.
    """

    order: NDArray[np.intp]
    settings: tuple[Calibration, ...]
    setting_of: NDArray[np.int64]

    @classmethod
    def of(
        cls, pixels: int, shape: tuple[int, ...], calibrations: Mapping[int, Calibration | None]
    ) -> "SpectralAxis":
        """Return the axis for an array of `shape`; calibrations: row (C order) -> its own."""
        unknown = Calibration("wavelength", 0.0, np.full(pixels, np.nan), {"medium": _UNKNOWN})
        settings: list[Calibration] = []
        setting_of = np.full(shape, -1)
        for row, calibration in calibrations.items():
            setting_of.flat[row] = _find_or_add(settings, calibration or unknown)
        order = np.arange(pixels)
        falls = bool(settings) and settings[0].value[0] > settings[0].value[-1]
        return cls(order[::-1] if falls else order, tuple(settings), setting_of)

    @property
    def name(self) -> str:
        """The field that labels the last axis."""
        is_known = len(self.settings) == 1 and bool(np.isfinite(self.settings[0].value).all())
        return "wavelength" if is_known else "pixel"

    def fields(self, dims: tuple[str, ...]) -> dict[str, Field]:
        """Return the fields that label the axis; dims: the names of the other axes."""
        pixel = Field(self.order, {"long_name": "pixel of the detector"})
        if self.name == "wavelength":
            setting = self.settings[0]
            return {
                "wavelength": _wavelength(setting.value[self.order], setting),
                "energy": replace(_energy(self._energy(0)), dims=("wavelength",)),
                "pixel": replace(pixel, dims=("wavelength",)),
            }
        if not self.settings:
            return {"pixel": pixel}
        value = np.array([setting.value[self.order] for setting in self.settings])
        energy = np.array([self._energy(i) for i in range(len(self.settings))])
        by_setting = ("setting", "pixel")
        return {
            "pixel": pixel,
            "setting": Field(np.arange(len(self.settings))),
            "wavelength_by_setting": replace(_wavelength(value, self.settings[0]), dims=by_setting),
            "energy_by_setting": replace(_energy(energy), dims=by_setting),
            "spectrograph_setting": Field(self.setting_of, {"missing": -1}, dims),
        }

    def _energy(self, setting: int) -> NDArray[np.float64]:
        """Return the photon energy of each column; NaN for what is no wavelength."""
        wavelength_nm = self.settings[setting].value[self.order]
        energy = np.full(wavelength_nm.shape, np.nan)
        good = np.isfinite(wavelength_nm) & (wavelength_nm > 0)
        if good.any():
            vacuum_nm = wavelength_nm[good]
            if _medium(self.settings[setting]) == "air":
                vacuum_nm = vacuum_from_air_nm(vacuum_nm)
            energy[good] = energy_from_wavelength_eV(vacuum_nm)
        return energy


def _find_or_add(settings: list[Calibration], calibration: Calibration) -> int:
    """Return the place of an equal calibration; a resumed run calibrates the same again."""
    for place, known in enumerate(settings):
        same = np.array_equal(known.value, calibration.value, equal_nan=True)
        if same and _medium(known) == _medium(calibration):
            return place
    settings.append(calibration)
    return len(settings) - 1


def _medium(calibration: Calibration) -> str:
    return str(calibration.details.get("medium", _UNKNOWN))


def _wavelength(value: NDArray[Any], setting: Calibration) -> Field:
    return Field(value, {"units": "nm", "medium": _medium(setting)})


def _energy(value: NDArray[Any]) -> Field:
    return Field(value, {"units": "eV", "long_name": "photon energy, from the vacuum wavelength"})
