"""The instrument profile as measured: what a line without width of its own looks like.

A sum of components, each a Voigt profile, given at a few places along the detector. A line seen
through it is the same sum with the line's own widths added, so that folding needs no integral:
Gaussian widths add in squares, Lorentzian widths directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from analysis.estimation.lineshapes import gauss_in_pixels

__all__ = ["InstrumentProfile"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InstrumentProfile:
    """Components of the profile along the detector.

    energy_eV: places where it is known, rising, shape (places,); between them everything is
    interpolated linearly, beyond the ends it stays. share, offset_eV, gauss_fwhm_eV and
    lorentz_fwhm_eV: shape (places, components); shares of a place add up to 1, offsets are from
    where a line is said to be. Raises ValueError for anything else.
    """

    energy_eV: Array
    share: Array
    offset_eV: Array
    gauss_fwhm_eV: Array
    lorentz_fwhm_eV: Array

    def __post_init__(self) -> None:
        shape = self.share.shape
        if len(shape) != 2 or shape[0] != self.energy_eV.size or 0 in shape:
            raise ValueError(f"shares of shape {shape} for {self.energy_eV.size} places")
        if not (np.diff(self.energy_eV) > 0).all():
            raise ValueError(f"places {self.energy_eV} eV of the profile must rise")
        for name in ("offset_eV", "gauss_fwhm_eV", "lorentz_fwhm_eV"):
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite numbers of shape {shape}")
        widths = self.gauss_fwhm_eV + self.lorentz_fwhm_eV
        if min(self.gauss_fwhm_eV.min(), self.lorentz_fwhm_eV.min()) < 0 or widths.min() == 0:
            raise ValueError("every component needs a width, and none may be negative")
        if not np.allclose(self.share.sum(axis=1), 1.0):
            raise ValueError(f"shares add up to {self.share.sum(axis=1)}, must be 1")

    @classmethod
    def from_counts(
        cls, energy_eV: ArrayLike, edges_eV: ArrayLike, counts: ArrayLike
    ) -> InstrumentProfile:
        """Return the profile of narrow lamp lines, one for each place.

        energy_eV: where the lines are, rising, (places,). edges_eV: pixel edges about each line,
        0 at the line, (places, pixels + 1). counts: background removed, (places, pixels).
        Each is described by Gaussians a pixel apart whose shares are not negative, integrated over
        the pixels: what the pixels did is not taken for the instrument's.
        """
        places = np.atleast_1d(np.asarray(energy_eV, dtype=np.float64))
        edges = np.atleast_2d(np.asarray(edges_eV, dtype=np.float64))
        seen = np.atleast_2d(np.asarray(counts, dtype=np.float64))
        offset = 0.5 * (edges[:, 1:] + edges[:, :-1])
        fwhm = _PIXELS_PER_FWHM * np.abs(np.diff(edges, axis=1))
        share = np.array([_shares(*one) for one in zip(edges, offset, fwhm, seen, strict=True)])
        used = share.max(axis=0) > 0
        return cls(
            places, share[:, used], offset[:, used], fwhm[:, used], np.zeros_like(fwhm[:, used])
        )


_PIXELS_PER_FWHM = 1.7  # narrower leaves gaps between the Gaussians, wider blurs them


def _shares(edges: Array, offset: Array, fwhm: Array, counts: Array) -> Array:
    design = [
        gauss_in_pixels(edges, centre=x, fwhm=w).part for x, w in zip(offset, fwhm, strict=True)
    ]
    share: Array = nnls(np.array(design).T, counts)[0]
    if not share.sum() > 0:
        raise ValueError("a lamp line without light says nothing of the profile")
    normalised: Array = share / share.sum()
    return normalised
