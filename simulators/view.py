"""What the detector sees of the nanocrystal: through which optics, and what surrounded it then."""

from dataclasses import dataclass
from functools import cached_property
from math import erf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.truth import ProfileTruth

__all__ = ["Stretch", "Surroundings", "View", "Window"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Window:
    """What the spectrograph shows: pixel edges in eV, falling, and what blurs and ripples them."""

    edges_eV: Floats
    profile: ProfileTruth
    pixel_um: float
    ripple: float
    ripple_period_meV: float

    @cached_property
    def pixel_meV(self) -> float:
        """The energy width of the middle pixel."""
        middle = self.edges_eV.size // 2
        return 1e3 * float(self.edges_eV[middle - 1] - self.edges_eV[middle])

    @property
    def span_meV(self) -> float:
        """The energy from the first pixel to the last."""
        return 1e3 * float(self.edges_eV[0] - self.edges_eV[-1])

    @cached_property
    def core_fwhm_meV(self) -> float:
        """The width of the slit's image in energy."""
        return self.pixel_meV * self.profile.core_fwhm_um / self.pixel_um

    @cached_property
    def zero_order_px(self) -> float | None:
        """The pixel edge where the grating mirrors all light; None: beyond the detector."""
        orders = 1.0 / self.edges_eV  # as wavelengths, rising through 0
        if not orders[0] < 0.0 < orders[-1]:
            return None
        return float(np.interp(0.0, orders, np.arange(orders.size)))

    def mirrored(self, electrons: float) -> Floats:
        """Return what each pixel receives of light in zero order: the core of the slit's image."""
        assert self.zero_order_px is not None  # noqa: S101
        core_px = self.profile.core_fwhm_um / self.pixel_um
        places = (np.arange(self.edges_eV.size) - self.zero_order_px) * 2.0 * sqrt(log(2.0))
        return electrons * 0.5 * np.diff([erf(place) for place in places / core_px])

    @cached_property
    def response(self) -> Floats:
        """What each pixel makes of its light: 1, but for interference in the detector window."""
        centres_meV = 500.0 * (self.edges_eV[1:] + self.edges_eV[:-1])
        phase = 2.0 * np.pi * centres_meV / self.ripple_period_meV
        return np.asarray(1.0 + self.ripple * np.cos(phase))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How the nanocrystal is excited and looked at while nobody touches the optics.

    excitation: power, 1 = standard; transmission: of the optics for light along the analyser.
    """

    window: Window
    analyser_deg: float
    excitation: float
    transmission: float


class Stretch(NamedTuple):
    """While nothing outside the nanocrystal changed: its dose in s, and what surrounded it.

    new_phase: the share of the high-temperature phase.
    """

    dose_start_s: float
    dose_end_s: float
    temperature_K: float
    field_kV_per_cm: float
    new_phase: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What surrounded the nanocrystal in n stretches, (n,) each."""

    temperature_K: Floats
    field_kV_per_cm: Floats
    new_phase: Floats
