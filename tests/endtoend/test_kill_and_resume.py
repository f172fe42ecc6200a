"""kill -9 of the engine at any moment, with simulators in another process, and then `resume`."""

import sqlite3
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np
import pytest

from acquisition.planning.point_table import PointKind
from acquisition.storage.final_file import verify_final
from acquisition.storage.journal import JournalReader
from acquisition.storage.record import AttemptState
from acquisition.storage.run_folder import JOURNAL, LIVE

SLEW_V_PER_S = 5.0
SCALE = 50
MOST_KILLS = 4  # of one run

AXES = """
[[axis]]
quantity = "bias"
unit = "V"
points = [-4, 4]
settle = { tolerance = "0.1 V", inside = "0.5 s" }

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 60, 120]

[exposure]
time = "2 s"

[background]
frames = 1
"""


@dataclass
class Tally:
    """What happened to engines."""

    kills: int = 0
    completed: int = 0
    before_the_journal: int = 0
    with_voltage_on: int = 0
    life_s: float = 0.0  # of the engine that was left alone last, on this machine as busy as it is
    segments: list[int] = field(default_factory=list)


def opened(folder: Path) -> closing[sqlite3.Connection]:
    """Open the journal as any other program would."""
    return closing(sqlite3.connect(f"file:{folder / JOURNAL}?mode=ro", uri=True))


def checksums(folder: Path) -> dict[int, int]:
    """Return attempt -> checksum of what the journal holds, each compared with its contents."""
    found = {}
    with opened(folder) as journal:
        rows = journal.execute("SELECT id, crc32, counts, frame_start, readings FROM attempt")
        for key, stored, counts, frame_start, readings in rows:
            assert crc32(readings, crc32(frame_start, crc32(counts))) == stored
            found[key] = stored
    return found


def assert_every_file_opens(folder: Path) -> None:
    with opened(folder) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if (folder / LIVE).exists():
        with h5py.File(folder / LIVE, "r") as view:
            assert view["entry/data/spectra"].shape[-1] == 1024


def assert_each_point_was_accepted_once(folder: Path) -> None:
    with JournalReader(folder) as journal:
        points = journal.table().points
        accepted = journal.accepted()
        attempts = {stored.id: stored.attempt for stored in journal.attempts()}
    assert sorted(accepted) == [point.index for point in points]
    assert len(set(accepted.values())) == len(points)
    segments_of_block = defaultdict(set)
    for point in points:
        attempt = attempts[accepted[point.index]]
        assert attempt.point == point.index
        assert attempt.state is AttemptState.OK
        if point.repeats_block:
            segments_of_block[point.block].add(attempt.segment)
    assert len(segments_of_block) >= 2
    assert all(len(segments) == 1 for segments in segments_of_block.values())


def assert_segments_grow_and_begin_with_a_reference(folder: Path) -> int:
    with JournalReader(folder) as journal:
        segments = [segment.number for segment in journal.segments()]
        attempts = [stored.attempt for stored in journal.attempts()]
    assert segments == list(range(1, len(segments) + 1))
    assert [a.segment for a in attempts] == sorted(a.segment for a in attempts)
    for segment in segments[1:]:
        mine = [a for a in attempts if a.segment == segment]
        is_reference = [a.state is AttemptState.REFERENCE for a in mine]
        assert is_reference == sorted(is_reference, reverse=True)  # before everything else
        assert sum(is_reference) <= 1
        if mine and has_complete_block_before(folder, segment):
            assert sum(is_reference) == 1
    return len(segments)


def has_complete_block_before(folder: Path, segment: int) -> bool:
    """Return whether there was something to compare a reference with; kept, it stays accepted."""
    with JournalReader(folder) as journal:
        accepted = journal.accepted()
        blocks = defaultdict(list)
        for point in journal.table().points:
            if point.kind is PointKind.SAMPLE:
                blocks[point.block].append(journal.attempt(accepted[point.index]).attempt.segment)
    return any(all(s < segment for s in segments) for segments in blocks.values())


def run_with_kills(serve, cryoscan, check_supply, random, kills: int) -> Tally:
    """Kill engines at random moments until so many are dead, and let each run end well."""
    setup, tally = serve(SCALE), Tally()
    sweep = setup.write_sweep(AXES)
    end_the_run(cryoscan, None, sweep, ("--station", setup.station, "--no-fit", "--json"), tally)
    while tally.kills < kills:
        measure_one_run(cryoscan, setup, sweep, tally, random, min(MOST_KILLS, kills - tally.kills))
        check_supply(setup.supply_log, SLEW_V_PER_S)
    return tally


def measure_one_run(cryoscan, setup, sweep, tally, random, kills: int) -> None:
    station = ("--station", setup.station, "--no-fit", "--json")
    known: dict[int, int] = {}
    folder: Path | None = None
    for _ in range(kills):
        arguments = ("run", sweep) if folder is None else ("resume", folder)
        engine = cryoscan.start(*arguments, *station)
        engine.process.join(float(random.uniform(0.0, tally.life_s)))
        if folder is None and "run folder: " in engine.err:
            folder = engine.run_folder()
        if folder is not None:
            known |= checksums(folder)
        engine.process.kill()
        if engine.wait() != -9:  # it was faster
            break
        tally.kills += 1
        if folder is None:
            tally.before_the_journal += 1
        else:
            tally.with_voltage_on += '"output off"' not in setup.last_supply_entry()
            assert_every_file_opens(folder)
            assert known.items() <= checksums(folder).items()
    end_the_run(cryoscan, folder, sweep, station, tally)
    if folder is not None:
        assert known.items() <= checksums(folder).items()


def end_the_run(cryoscan, folder, sweep, station, tally) -> None:
    arguments = ("run", sweep) if folder is None else ("resume", folder)
    begin_s = time.monotonic()
    engine = cryoscan(*arguments, *station)
    tally.life_s = time.monotonic() - begin_s
    assert engine.wait() == 0, engine.err + engine.out
    assert engine.report["finish"] == "completed", engine.out
    folder = Path(engine.report["folder"])
    assert_every_file_opens(folder)
    assert_each_point_was_accepted_once(folder)
    tally.segments.append(assert_segments_grow_and_begin_with_a_reference(folder))
    with JournalReader(folder) as journal:
        verify_final(Path(engine.report["final"]), journal)
    tally.completed += 1


def test_an_engine_killed_at_any_moment_loses_nothing_and_resume_completes_the_run(
    serve, cryoscan, check_supply, commit_seed
):
    random = np.random.default_rng([commit_seed, 1])

    tally = run_with_kills(serve, cryoscan, check_supply, random, kills=6)

    assert tally.completed >= 2


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_campaign_of_a_hundred_kills(serve, cryoscan, check_supply, commit_seed):
    random = np.random.default_rng([commit_seed, 2])

    tally = run_with_kills(serve, cryoscan, check_supply, random, kills=100)

    print(tally)
    assert tally.with_voltage_on >= 20
    assert max(tally.segments) >= 4
