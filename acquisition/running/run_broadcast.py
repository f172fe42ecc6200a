"""A run as its watchers see it: each committed row, each fit, each event, at once."""

from collections.abc import Callable, Sequence

import numpy as np

from acquisition.channel.event_words import said_of
from acquisition.channel.messages import (
    Axis,
    Committed,
    Fitted,
    FrameArrived,
    FrameSource,
)
from acquisition.channel.voice import Publish
from acquisition.planning.point_table import Point
from acquisition.running.engine import Follower
from acquisition.storage.journal import Journal
from acquisition.storage.record import Attempt, Event, FitRow
from drivers.clock import Clock, ScaledClock

__all__ = ["RunBroadcast"]


class RunBroadcast:
    """A follower of the engine that passes everything on; what it costs is a few microseconds.

    publish: takes a message and the counts or wavelengths behind it, and never waits.
    """

    def __init__(self, publish: Publish, clock: Clock, journal: Journal) -> None:
        self._publish = publish
        self._clock = clock
        self._factor = clock.factor if isinstance(clock, ScaledClock) else 1.0
        self._journal = journal
        progress = journal.progress()
        self._done, self._total = progress.accepted, progress.planned
        self._axis = 0
        self._frames = 0

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        """Publish the row's counts and that it is in the journal."""
        if attempt.calibration != self._axis:
            self._publish_axis(attempt.calibration)
        self._frames += 1
        self._done += accepted
        self._publish(Committed(key, point.index, accepted, self._done, self._total), None)
        utc = self._clock.utc()
        begun_s = float(attempt.frame_start_s[0]) if attempt.frame_start_s.size else attempt.start_s
        self._publish(
            FrameArrived(
                source=FrameSource.POINT,
                number=self._frames,
                exposure_s=attempt.exposure_s,
                start_utc=utc - (attempt.end_s - begun_s) / self._factor,
                utc=utc,
                shape=attempt.counts.shape,
                dtype=attempt.counts.dtype.newbyteorder("<").str,
                axis=attempt.calibration,
                key=key,
                point=point.index,
                is_accepted=accepted,
            ),
            attempt.counts,
        )

    def results(self) -> Sequence[FitRow]:
        return ()

    def on_event(self, event: Event) -> None:
        """Pass an event of the run on; its details stay in the journal."""
        self._publish(said_of(event), None)

    def on_fits(self, rows: Sequence[FitRow]) -> None:
        """Pass finished fits on."""
        for row in rows:
            self._publish(_fitted(row), None)

    def overhearing(self, fitter: Follower) -> Follower:
        """Return the fitter as it is, but for its results, which are published too."""
        return _Overheard(fitter, self.on_fits)

    def _publish_axis(self, calibration: int) -> None:
        self._axis = calibration
        found = self._journal.calibrations().get(calibration)
        if found is not None:
            medium = str(found.details.get("medium", "vacuum"))
            wavelength_nm = np.asarray(found.value, dtype="<f8")
            self._publish(Axis(calibration, wavelength_nm.shape, medium=medium), wavelength_nm)


class _Overheard:
    """A follower whose results somebody else hears of."""

    def __init__(self, follower: Follower, hear: Callable[[Sequence[FitRow]], None]) -> None:
        self._follower = follower
        self._hear = hear

    def on_point(self, key: int, point: Point, attempt: Attempt, *, accepted: bool) -> None:
        self._follower.on_point(key, point, attempt, accepted=accepted)

    def results(self) -> Sequence[FitRow]:
        rows = self._follower.results()
        self._hear(rows)
        return rows


def _fitted(row: FitRow) -> Fitted:
    return Fitted(
        key=row.attempt,
        point=row.point,
        model=row.model,
        verdict=row.verdict,
        reason=row.reason,
        values=dict(zip(row.names, map(float, row.values), strict=True)),
        errors=dict(zip(row.names, map(float, row.errors), strict=True)),
        chi2_per_dof=float(row.chi2_per_dof),
    )
