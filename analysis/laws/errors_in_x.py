"""The errors of what was swept, as every law takes them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["errors_in_x"]


def errors_in_x(sigma: ArrayLike | None, x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the error of each x, of the shape of x; 0 for None.

    Raises ValueError, which calls them by name, for what is not finite or negative.
    """
    if sigma is None:
        return np.zeros_like(x)
    error = np.broadcast_to(np.asarray(sigma, dtype=np.float64), x.shape)
    if not (np.isfinite(error) & (error >= 0)).all():
        raise ValueError(f"{name} must be finite and not negative")
    return error
