"""A recorder to be killed: the real journal, live view and final file, without instruments.

record DIR     start or resume the run in DIR, measure what is left, build the final file;
               prints "S <first point>", "A <point>" for each point that is safe, "E" at the end
measure DIR    the same without the final file
finalise DIR   build the final file
check DIR N    print as JSON what of the points up to N is lost, and whether every file is right
What each point holds follows from its number, so that every byte can be checked.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable
from acquisition.storage.final_file import build_final, final_files, verify_final
from acquisition.storage.journal import Journal, JournalReader
from acquisition.storage.live_view import LiveView
from acquisition.storage.record import Attempt, AttemptState, Event, Level, StreamBatch
from acquisition.storage.run_folder import JOURNAL
from acquisition.storage.run_meta import RunMeta

POINTS = 60
PIXELS = 64


def main() -> None:
    verb, folder, *rest = sys.argv[1:]
    if verb in ("record", "measure"):
        measure(Path(folder))
    if verb in ("record", "finalise"):
        build_final(Path(folder))
        print("E", flush=True)
    if verb == "check":
        print(json.dumps(check(Path(folder), int(rest[0]))))


def measure(folder: Path) -> None:
    with _open(folder) as journal:
        view = LiveView(journal)
        todo = journal.todo()
        print("S", todo[0].index if todo else POINTS, flush=True)
        segment = journal.begin_segment(journal.last_time_s(), 1.8e9) if todo else 0
        for point in todo:
            attempt = _attempt(point.index, segment)
            key = journal.put(attempt, accept=True, **_circumstances(point.index))
            print("A", point.index, flush=True)
            view.update(key, attempt)
        view.close()


def check(folder: Path, claimed: int) -> dict[str, int]:
    """Return counts of what is wrong; all are 0 in a run that kept its promises."""
    if not (folder / JOURNAL).exists():
        return {"lost": claimed + 1, "final": 0}
    with JournalReader(folder) as journal:
        accepted = journal.accepted()
        wrong = [key for point, key in accepted.items() if not _is_right(journal, point, key)]
        lost = sum(point not in accepted for point in range(claimed + 1)) + len(wrong)
        twice = journal.progress().attempts - len(accepted)
        finals = final_files(folder)
        for final in finals:
            verify_final(final, journal)
        missing = len(_circumstances_missing(journal))
        return {
            "lost": lost,
            "measured_twice": twice,
            "circumstances_missing": missing,
            "final": len(finals),
            **_check_view(folder),
        }


def _check_view(folder: Path) -> dict[str, int]:
    """Return whether live.h5 opens with a plain "r", and how many of its whole rows are wrong."""
    if not (folder / "live.h5").exists():
        return {"view_unreadable": 0, "view_wrong": 0}
    try:
        with h5py.File(folder / "live.h5", "r") as file:
            attempt, spectra = file["entry/data/attempt"][:], file["entry/data/spectra"][:]
    except OSError:
        return {"view_unreadable": 1, "view_wrong": 0}
    rows = np.flatnonzero(attempt)
    wrong = sum(not np.array_equal(spectra[row], _counts(int(row))) for row in rows)
    return {"view_unreadable": 0, "view_wrong": wrong}


def _open(folder: Path) -> Journal:
    if (folder / JOURNAL).exists():
        return Journal.open(folder)
    axis = AxisColumn("repeat", "", tuple(map(float, range(POINTS))))
    points = (Point(i, PointKind.SAMPLE, 0.1, 1, repeat=i, cell=(i,)) for i in range(POINTS))
    return Journal.create(folder, PointTable((axis,), tuple(points)), _meta())


def _meta() -> RunMeta:
    return RunMeta(
        title="kill test",
        sample="none",
        run_uuid="0" * 32,
        created_utc=1.8e9,
        pixels=PIXELS,
        counts_dtype="i4",
        readings={"temperature_K": "K", "angle_deg": "deg"},
        sweep_toml="",
        station_toml="",
        app_version="0",
    )


def _counts(point: int) -> NDArray[np.int32]:
    return ((point + 1) * 7919 + np.arange(PIXELS) * 31).astype(np.int32)


def _attempt(point: int, segment: int) -> Attempt:
    return Attempt(
        point=point,
        state=AttemptState.OK,
        segment=segment,
        start_s=float(point),
        end_s=point + 0.5,
        exposure_s=0.1,
        counts=_counts(point)[np.newaxis],
        frame_start_s=np.array([point + 0.1]),
        readings={"temperature_K": 5.5 + point, "angle_deg": 2.0 * point},
    )


def _circumstances(point: int) -> dict[str, tuple[Event, ...] | tuple[StreamBatch, ...]]:
    """Return the event and the monitor batch that belong to a point's transaction."""
    event = Event(float(point), 1.8e9, Level.INFO, "point", str(point))
    batch = StreamBatch("temperature_K", "K", np.array([float(point)]), np.array([5.5]))
    return {"events": (event,), "streams": (batch,)}


def _circumstances_missing(journal: JournalReader) -> set[int]:
    """Return the accepted points whose event or monitor batch is not there."""
    events = {int(event.text) for _, event in journal.events()}
    batches = {int(batch.time_s[0]) for _, batch in journal.streams()}
    return set(journal.accepted()) - (events & batches)


def _is_right(journal: JournalReader, point: int, key: int) -> bool:
    stored = journal.attempt(key).attempt
    expected = _attempt(point, stored.segment)
    return (
        stored.point == point
        and np.array_equal(stored.counts, expected.counts)
        and np.array_equal(stored.frame_start_s, expected.frame_start_s)
        and stored.readings == expected.readings
    )


if __name__ == "__main__":
    main()
