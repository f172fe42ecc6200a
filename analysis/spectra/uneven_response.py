"""What a response that is not even adds to the errors of ratios of light at different places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ratio_variance", "response_covariance"]

Array = NDArray[np.float64]

_RATIO = "coupling_"  # a replica's area over its parent's; the parent's name comes before


def response_covariance(names: Sequence[str], values: ArrayLike, response_error: float) -> Array:
    """Return the covariance of a fit's parameters that comes from the response alone.

    names, values: as of SpectrumFit; response_error: as of DetectorNoise. The light of each line is
    read wrong by that share at most, which a line narrower than the ripple comes near to; replicas
    of one line have its own in common. It is the same in all spectra of lines in the same places,
    so that no mean over them reduces it. Areas by themselves stay as they are, since they are
    compared with those of the same line at another angle or power.
    """
    of = [name.rpartition(_RATIO)[0] if _RATIO in name else None for name in names]
    is_ratio = np.array([parent is not None for parent in of], dtype=np.bool_)
    wrong = response_error * np.where(is_ratio, np.asarray(values, dtype=np.float64), 0.0)
    shared = np.array([[one == other for other in of] for one in of], dtype=np.float64)
    own = np.eye(len(of))
    return np.asarray((shared + own) * np.outer(wrong, wrong))


def ratio_variance(ratio: ArrayLike, response_error: float) -> Array:
    """Return the variance of ratios of light that comes from the response alone."""
    return 2.0 * (response_error * np.asarray(ratio, dtype=np.float64)) ** 2
