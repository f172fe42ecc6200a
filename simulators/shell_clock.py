"""Time of the shells that serve real clients: real time multiplied."""

import time

__all__ = ["ShellClock"]


class ShellClock:
    """From `start` on, `scale` seconds pass in the simulated world in one real second.

    Raises ValueError if the scale is not positive.
    """

    def __init__(self, scale: float = 1.0, start: float = 0.0) -> None:
        if not scale > 0:
            raise ValueError(f"time scale {scale} must be positive")
        self.scale = scale
        self._origin = time.monotonic() - start / scale

    def now(self) -> float:
        """Return the simulated time in s."""
        return (time.monotonic() - self._origin) * self.scale

    def real_s(self, simulated_s: float) -> float:
        """Return how long a simulated duration really takes; never negative."""
        return max(simulated_s, 0.0) / self.scale
