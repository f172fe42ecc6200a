"""Which exposure a row gets: fixed, or the one that brings the peak to the target counts."""

from collections.abc import Callable
from dataclasses import dataclass

from acquisition.planning.point_table import Point

__all__ = ["ExposureChoice"]

FIRST_GUESS_OF_CAP = 0.05  # a first exposure without any knowledge, as a fraction of the cap
SATURATED_BACKOFF = 0.25


@dataclass(slots=True)
class ExposureChoice:
    """Remembers the count rate of the last row with a target; rows with a fixed time ignore it.

    shortest_s: the least time that a row may get.
    """

    shortest_s: Callable[[Point], float]
    rate_per_s: float | None = None
    saturated_s: float | None = None  # an exposure of this row that saturated

    def exposure_s(self, point: Point) -> float:
        """Return the time for this row; point.exposure_s is the cap where it has a target."""
        if point.target_counts is None:
            return point.exposure_s
        if self.saturated_s is not None:
            wanted_s = self.saturated_s * SATURATED_BACKOFF
        elif self.rate_per_s is None:
            wanted_s = point.exposure_s * FIRST_GUESS_OF_CAP
        elif self.rate_per_s > 0:
            wanted_s = point.target_counts / self.rate_per_s
        else:
            wanted_s = point.exposure_s
        return min(max(wanted_s, self.shortest_s(point)), point.exposure_s)

    def is_probe(self, point: Point) -> bool:
        """Return whether this row's first exposure only serves to learn the count rate."""
        return point.target_counts is not None and self.rate_per_s is None

    def learn(self, rate_per_s: float) -> None:
        """Take over the peak's count rate of a frame that was not saturated."""
        self.rate_per_s, self.saturated_s = rate_per_s, None

    def saturated(self, exposure_s: float) -> None:
        self.saturated_s = exposure_s
