"""Signals, commands and mistakes from outside, on a real run with simulators elsewhere."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from acquisition.storage.journal import JournalReader
from acquisition.storage.record import AttemptState

SLEW_V_PER_S = 5.0
SCALE = 50

AXES = """
[[axis]]
quantity = "bias"
unit = "V"
points = [-2, 2]
settle = {{ tolerance = "0.1 V", inside = "0.5 s" }}

[[axis]]
quantity = "polarization"
unit = "deg"
points = [0, 90]
repeat_first = false

[exposure]
time = "{exposure_s} s"

[background]
kinds = []
"""

FIT = """
[fit.model]
lines = 3
shape = "gauss"
window = ["2.384 eV", "2.399 eV"]
"""


@pytest.fixture
def setup(serve):
    return serve(SCALE)


@pytest.fixture
def start(setup, cryoscan):
    """Start a run of 4 rows; returns the running command and the run's folder."""

    def start(exposure_s: float):
        sweep = setup.write_sweep(AXES.format(exposure_s=exposure_s))
        engine = cryoscan.start("run", sweep, "--station", setup.station, "--no-fit", "--json")
        return engine, engine.run_folder()

    return start


@pytest.fixture
def resume(setup, cryoscan):
    def resume(folder, *options):
        station = ("--station", setup.station)
        return cryoscan("resume", folder, *station, "--no-fit", "--json", *options)

    return resume


def accepted(folder) -> int:
    with JournalReader(folder) as journal:
        return journal.progress().accepted


def events(folder, code: str):
    with JournalReader(folder) as journal:
        return [event for _, event in journal.events() if event.code == code]


def attempts(folder):
    with JournalReader(folder) as journal:
        return list(journal.attempts())


# --- signals


def test_ctrl_c_finishes_the_point_and_leaves_a_run_that_can_be_resumed(
    start, resume, setup, wait_until, check_supply
):
    engine, folder = start(exposure_s=15)
    wait_until(lambda: accepted(folder) >= 1)
    before = accepted(folder)

    engine.send(signal.SIGINT)

    assert engine.wait() == 3
    assert engine.report["finish"] == "stopped"
    assert "Ctrl-C" in engine.report["text"]
    assert "bias 0 V and off" in engine.report["safe"]
    assert before <= accepted(folder) <= before + 1  # the point under way, if there was one
    assert all(stored.attempt.state is AttemptState.OK for stored in attempts(folder))
    check_supply(setup.supply_log, SLEW_V_PER_S)

    assert resume(folder).wait() == 0
    assert accepted(folder) == 4
    check_supply(setup.supply_log, SLEW_V_PER_S)


@pytest.mark.parametrize(
    "signals",
    [
        [(signal.SIGINT, "finishing this point"), (signal.SIGINT, "stopping now")],
        [(signal.SIGTERM, "stopping now")],
    ],
    ids=["ctrl-c twice", "sigterm"],
)
def test_the_second_ctrl_c_and_sigterm_abort_the_exposure(
    start, setup, wait_until, check_supply, signals
):
    engine, folder = start(exposure_s=1500)  # half a minute of life
    wait_until(lambda: '"level"' in setup.last_supply_entry() and settled_at(setup, -2.0))
    time.sleep(0.5)  # into the exposure

    sent_s = time.monotonic()
    for number, answer in signals:
        engine.send(number)
        engine.await_text(answer)

    assert engine.wait() == 3
    assert time.monotonic() - sent_s < 10.0
    assert engine.report["finish"] == "stopped"
    assert accepted(folder) == 0
    assert all(s.attempt.state is not AttemptState.OK for s in attempts(folder))
    check_supply(setup.supply_log, SLEW_V_PER_S)


def settled_at(setup, voltage_V: float) -> bool:
    found = re.search(r'"programmed_V": ([-\d.]+)', setup.last_supply_entry())
    return found is not None and float(found[1]) == voltage_V


# --- commands from another process


def test_note_pause_continue_and_stop_from_another_process_land_with_their_time(
    start, cryoscan, setup, wait_until, check_supply
):
    begin_utc = time.time()
    engine, folder = start(exposure_s=40)
    wait_until(lambda: accepted(folder) >= 1)

    assert cryoscan("note", folder, "helium refilled, 7 µl").wait() == 0
    assert cryoscan("pause", folder).wait() == 0
    wait_until(lambda: events(folder, "paused"))
    paused_with = accepted(folder)
    time.sleep(1.2)  # longer than a point
    assert accepted(folder) == paused_with < 4
    assert cryoscan("continue", folder).wait() == 0
    assert cryoscan("stop", folder).wait() == 0

    assert engine.wait() == 3
    (note,) = events(folder, "note")
    assert note.text == "helium refilled, 7 µl"
    assert note.details["sender"] == "command line"
    commands = [*events(folder, "command"), note]
    assert {event.details["verb"] for event in commands} == {
        *("note", "pause", "resume", "stop after point")
    }
    for event in commands:
        assert begin_utc <= event.utc <= time.time()
        assert event.time_s > 0
    (stopped,) = events(folder, "finished")
    assert "stopped from the command line" in stopped.text
    check_supply(setup.supply_log, SLEW_V_PER_S)


def test_a_command_to_a_folder_without_a_run_is_an_error(cryoscan, tmp_path):
    refused = cryoscan("note", tmp_path, "anyone?")

    assert refused.wait() == 1
    assert "holds no run" in refused.err


# --- resume at the wrong time


def test_a_second_resume_of_a_running_run_is_refused_and_names_the_holder(start, resume):
    engine, folder = start(exposure_s=15)

    second = resume(folder)

    assert second.wait() == 1
    assert f"pid {engine.pid} on " in second.err
    assert "being written by another process" in second.err
    assert "Traceback" not in second.err
    assert engine.wait() == 0


def test_resume_of_a_complete_run_changes_nothing(start, resume, setup, check_supply):
    engine, folder = start(exposure_s=2)
    assert engine.wait() == 0
    (final,) = folder.glob("*.nxs")
    with JournalReader(folder) as journal:
        before = journal.checksums(), journal.accepted()
    measured = final.read_bytes()

    again = [resume(folder)]

    assert [run.wait() for run in again] == [0], again[0].err
    assert [run.report["finish"] for run in again] == ["completed"]
    with JournalReader(folder) as journal:
        assert (journal.checksums(), journal.accepted()) == before
    assert final.read_bytes() == measured
    check_supply(setup.supply_log, SLEW_V_PER_S)


# --- another sample


def test_a_changed_nanocrystal_stops_the_resume_unless_it_is_accepted(
    start, serve, cryoscan, setup, resume, wait_until, check_supply
):
    engine, folder = start(exposure_s=2)
    wait_until(lambda: accepted(folder) >= 2)  # a whole block
    engine.send(signal.SIGINT)
    assert engine.wait() == 3
    setup.simulators.send(signal.SIGTERM)
    assert setup.simulators.wait() == 0
    setup.supply_log.unlink()
    serve(SCALE, nanocrystal="rate_e_per_s = 1500.0\n")

    refused, accepting = resume(folder), None
    if refused.wait() != 0:
        accepting = resume(folder, "--accept-changed")

    assert refused.wait() == 3
    assert "--accept-changed" in refused.report["text"]
    assert "counts per s" in refused.report["text"]
    assert accepting is not None
    assert accepting.wait() == 0
    references = [s for s in attempts(folder) if s.attempt.state is AttemptState.REFERENCE]
    assert [s.attempt.segment for s in references] == [2, 3]
    assert accepted(folder) == 4
    check_supply(setup.supply_log, SLEW_V_PER_S)


# --- fits


@pytest.mark.parametrize(
    "end_of_the_worker",
    [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.campaign)],
    ids=["dies", "hangs"],
)
def test_a_fit_process_that_ends_badly_costs_no_point(
    setup, cryoscan, wait_until, check_supply, end_of_the_worker
):
    sweep = setup.write_sweep(AXES.format(exposure_s=15) + FIT)
    engine = cryoscan.start("run", sweep, "--station", setup.station, "--json")
    folder = engine.run_folder()
    wait_until(lambda: accepted(folder) >= 1)
    wait_until(lambda: fit_workers_of(engine.pid))

    for worker in fit_workers_of(engine.pid):
        os.kill(worker, end_of_the_worker)

    assert engine.wait() == 0, engine.err
    assert engine.report["finish"] == "completed"
    assert accepted(folder) == 4
    assert all(stored.attempt.flags == () for stored in attempts(folder))
    check_supply(setup.supply_log, SLEW_V_PER_S)
    assert cryoscan("fit", folder).wait() == 0
    with JournalReader(folder) as journal:
        assert sorted(fit.point for fit in journal.fits()) == [0, 1, 2, 3]


def fit_workers_of(pid: int) -> list[int]:
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [
        int(child)
        for child in " ".join(lists).split()
        if b"fit_worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


# --- nobody, or somebody else, at the address


def test_an_address_that_nobody_serves_is_one_clear_line(setup, cryoscan):
    text = setup.station.read_text()
    cryostat = re.search(r"tcp://127.0.0.1:\d+", text)[0]
    nobody = setup.folder / "nobody.toml"
    nobody.write_text(text.replace(cryostat, "tcp://127.0.0.1:9"))
    sweep = setup.write_sweep(AXES.format(exposure_s=2))

    failed = cryoscan("run", sweep, "--station", nobody, "--no-fit")

    assert failed.wait() == 1
    (line,) = [line for line in failed.err.splitlines() if "run folder" not in line]
    assert "tcp://127.0.0.1:9" in line
    assert "refused" in line
    assert '"output on"' not in setup.supply_log.read_text()


def test_another_instrument_at_the_address_is_refused(setup, serve, cryoscan):
    text = setup.station.read_text()
    _, bias = re.findall(r"tcp://127.0.0.1:\d+", text)
    cryostat, _ = re.findall(r"tcp://127.0.0.1:\d+", serve(SCALE).station.read_text())
    wrong = setup.folder / "wrong.toml"
    wrong.write_text(text.replace(bias, cryostat))
    sweep = setup.write_sweep(AXES.format(exposure_s=2))

    refused = cryoscan("run", sweep, "--station", wrong, "--no-fit")

    assert refused.wait() == 1
    (line,) = [line for line in refused.err.splitlines() if "run folder" not in line]
    assert "bias" in line
    assert "MODEL336" in line
    assert '"output on"' not in setup.supply_log.read_text()
