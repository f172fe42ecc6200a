"""A map of light over the sample: go to each place in turn, expose, and come back."""

from collections.abc import Iterator
from dataclasses import dataclass

from acquisition.alignment.hand_move import HandMove, Refused
from acquisition.channel.messages import FrameSource, LiveExposure, MoveState, RasterProgress

__all__ = ["Raster", "RasterPlan", "serpentine"]

MOST_PLACES = 250_000


@dataclass(frozen=True, slots=True)
class RasterPlan:
    """Places about the present position. Raises Refused for what is no map."""

    columns: int
    rows: int
    step_um: float
    exposure: LiveExposure

    def __post_init__(self) -> None:
        if not (self.columns >= 1 and self.rows >= 1):
            raise Refused(f"a map of {self.columns} x {self.rows} places: allowed 1 x 1 and more")
        if self.columns * self.rows > MOST_PLACES:
            raise Refused(
                f"a map of {self.columns} x {self.rows} places: allowed {MOST_PLACES} in all"
            )
        if not 0 < self.step_um <= 1000:
            raise Refused(f"a map in steps of {self.step_um} um: allowed above 0 to 1000 um")


def serpentine(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield (column, row) of each place, from below; every other row backwards."""
    for row in range(rows):
        there = range(columns)
        yield from ((column, row) for column in (there if row % 2 == 0 else reversed(there)))


class Raster:
    """The map under way; advanced by whoever polls the moves and takes the frames.

    A stepper counts steps of a length that is only known on the average: so do these places.
    """

    def __init__(self, plan: RasterPlan, x: HandMove, y: HandMove) -> None:
        self.plan = plan
        self._axes = (x, y)
        self._centre_um = (_place(x), _place(y))
        self._corner_um = (
            self._centre_um[0] - plan.step_um * (plan.columns - 1) / 2,
            self._centre_um[1] - plan.step_um * (plan.rows - 1) / 2,
        )
        self._places = list(serpentine(plan.columns, plan.rows))
        self._legs: list[tuple[HandMove, float]] = []
        self._latest: HandMove | None = None  # that was sent on its way
        self._measured = 0
        self.wants_frame = False
        self._aim()

    @property
    def is_done(self) -> bool:
        """Return whether every place is measured and the way back made."""
        return self._measured == len(self._places) and not self._legs and not self._is_moving

    @property
    def index(self) -> int:
        """Return the place in the map, row by row from below, that is measured next."""
        column, row = self._places[self._measured]
        return row * self.plan.columns + column

    @property
    def position_um(self) -> tuple[float, float]:
        x, y = self._axes
        return _place(x), _place(y)

    def progress(self) -> RasterProgress:
        plan = self.plan
        return RasterProgress(
            self._measured,
            len(self._places),
            plan.columns,
            plan.rows,
            self._corner_um[0],
            self._corner_um[1],
            plan.step_um,
        )

    def advance(self) -> None:
        """Start the next leg, or ask for a frame. Raises Refused where an axis does not follow."""
        if self._latest is not None:
            report = self._latest.report()
            if report.state in (MoveState.FAILED, MoveState.STOPPED):
                raise Refused(f"the map ends: {self._latest.movable.label}: {report.text}")
        if self._is_moving:
            return
        if self._legs:
            axis, target_um = self._legs.pop(0)
            self._latest = axis
            axis.go(target_um)
        elif not self.is_done:
            self.wants_frame = True

    def measured(self) -> None:
        """Go on to the next place, or back after the last."""
        self.wants_frame = False
        self._measured += 1
        self._aim()

    @property
    def _is_moving(self) -> bool:
        return any(axis.is_moving for axis in self._axes)

    def _aim(self) -> None:
        if self._measured == len(self._places):
            target = self._centre_um
        else:
            column, row = self._places[self._measured]
            step_um = self.plan.step_um
            target = (self._corner_um[0] + column * step_um, self._corner_um[1] + row * step_um)
        self._legs = list(zip(self._axes, target, strict=True))


def raster_exposure(exposure_s: float, rows: tuple[int, int]) -> LiveExposure:
    """Return the exposure of each place; rows: (first, number) that are summed."""
    return LiveExposure(exposure_s, FrameSource.RASTER, rows[0], rows[0] + rows[1] - 1)


def _place(axis: HandMove) -> float:
    place = axis.report().readback
    if place is None:
        raise Refused(f"{axis.movable.label}: where it stands is not known")
    return place
