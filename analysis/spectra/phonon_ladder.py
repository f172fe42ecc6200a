"""A line with everything that phonons make of it: the ladder of replicas as a profile of its own.

Each mode sends Poisson numbers of phonons of mean S (n + 1) and takes up numbers of mean S n, with
n its thermal occupation. A warm line is wider than its replicas are apart, so that they are not
seen one by one, yet widen it and move its peak. A line seen through the ladder is a sum of lines at
fixed offsets, each a little wider where the modes have a width: what InstrumentProfile describes.
Source: K. Huang and A. Rhys, Proc. R. Soc. A 204, 406 (1950).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, factorial

import numpy as np

from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["Mode", "phonon_ladder"]

_LEAST_SHARE = 1e-3  # of the light: what is left out moves nothing that is fitted
_MOST_PHONONS = 14  # of one mode, sent or taken up
_NO_WIDTH_EV = 1e-9  # a profile's component has to have some


@dataclass(frozen=True, slots=True)
class Mode:
    """coupling: the Huang-Rhys factor; width_eV: Lorentzian (FWHM), added by each phonon."""

    energy_eV: float
    coupling: float
    width_eV: float


@dataclass(frozen=True, slots=True)
class _Step:
    """A replica: its share of the light, where it is, and what it is wider by."""

    share: float
    offset_eV: float
    width_eV: float


def phonon_ladder(modes: Sequence[Mode], temperature_K: float) -> InstrumentProfile:
    """Return the ladder about a line of area 1, replicas below a thousandth of it left out."""
    steps = [_Step(1.0, 0.0, 0.0)]
    for mode in modes:
        own = _steps_of(mode, temperature_K)
        steps = [
            _Step(
                one.share * other.share,
                one.offset_eV + other.offset_eV,
                one.width_eV + other.width_eV,
            )
            for one in steps
            for other in own
            if abs(one.share * other.share) > _LEAST_SHARE
        ]
    share = np.array([[step.share for step in steps]])
    return InstrumentProfile(
        np.array([0.0]),
        share / share.sum(),
        np.array([[step.offset_eV for step in steps]]),
        np.zeros_like(share),
        np.array([[step.width_eV + _NO_WIDTH_EV for step in steps]]),
    )


def _steps_of(mode: Mode, temperature_K: float) -> list[_Step]:
    occupied = float(thermal_occupation(mode.energy_eV, temperature_K))
    sent = _poisson(mode.coupling * (occupied + 1.0))
    taken = _poisson(mode.coupling * occupied)
    return [
        _Step(
            sent[a] * taken[b],
            (b - a) * mode.energy_eV,
            (a + b) * mode.width_eV,
        )
        for a in range(_MOST_PHONONS)
        for b in range(_MOST_PHONONS)
        if abs(sent[a] * taken[b]) > 0.03 * _LEAST_SHARE
    ]


def _poisson(mean: float) -> list[float]:
    return [exp(-mean) * mean**k / factorial(k) for k in range(_MOST_PHONONS)]
