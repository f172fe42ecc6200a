"""Record on a disk that is full again and again: fill it, fail, make a little room, repeat.

Prints as JSON how often it was full and what was lost in the end.
"""

import json
import sys
from pathlib import Path

import numpy as np

from acquisition.planning.point_table import Point, PointKind, PointTable
from acquisition.storage.journal import Journal
from acquisition.storage.live_view import LiveView
from acquisition.storage.record import Attempt, AttemptState
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.storage_errors import StorageFull

POINTS, PIXELS, SLICE = 120, 1024, 60_000


def main() -> None:
    disk = Path(sys.argv[1])
    meta = RunMeta("full", "s", "0" * 32, 0.0, PIXELS, "i4", {}, "", "", "0")
    table = PointTable((), tuple(Point(i, PointKind.SAMPLE, 1.0, 1) for i in range(POINTS)))
    (disk / "run").mkdir()
    with Journal.create(disk / "run", table, meta) as journal, LiveView(journal) as view:
        fill(disk / "ballast")
        full, message = 0, ""
        for point in range(POINTS):
            while True:
                try:
                    view.update(journal.put(attempt(point), accept=True), attempt(point))
                    break
                except StorageFull as error:
                    full, message = full + 1, str(error)
                    shrink(disk / "ballast")
        (disk / "ballast").unlink()
        view.reconcile()
        wrong = sum(
            not np.array_equal(journal.accepted_attempt(i).attempt.counts, attempt(i).counts)
            for i in range(POINTS)
        )
        integrity = journal._db.execute("PRAGMA integrity_check").fetchone()[0]
        lost = len(journal.todo())
    print(json.dumps({"full": full, "message": message, "lost": lost, "wrong": wrong,
                      "integrity": integrity}))  # fmt: skip


def attempt(point: int) -> Attempt:
    counts = np.full((1, PIXELS), point, np.int32)
    return Attempt(point, AttemptState.OK, 1, 0.0, 1.0, 1.0, counts, np.zeros(1), {})


def fill(ballast: Path) -> None:
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def shrink(ballast: Path) -> None:
    with open(ballast, "rb+") as file:
        file.truncate(max(0, ballast.stat().st_size - SLICE))


if __name__ == "__main__":
    main()
