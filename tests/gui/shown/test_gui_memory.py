"""What a long run took goes back to the system once it is left."""

import ctypes
import sys

import pytest

from gui.shown import run_model
from gui.threads.memory import give_memory_back

PIECES, PIECE_BYTES = 2000, 60_000

has_glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.skipif(not has_glibc, reason="this C library has no malloc_trim")
def test_what_is_free_below_something_in_use_is_handed_back():
    pieces = [bytearray(b"x" * PIECE_BYTES) for _ in range(PIECES)]
    last = pieces.pop()
    pieces.clear()
    before = resident_bytes()

    give_memory_back()

    assert before - resident_bytes() > 0.8 * PIECES * PIECE_BYTES
    assert len(last) == PIECE_BYTES


def test_it_is_handed_back_when_a_run_is_closed_or_another_one_opened(
    opened, model, whole_run, made_up, tmp_path, qtbot, monkeypatch
):
    given = []
    monkeypatch.setattr(run_model, "LEFT_ms", 1)
    monkeypatch.setattr(run_model, "give_memory_back", lambda: given.append(model.path))

    opened(whole_run)
    qtbot.wait(20)
    assert given == []  # there was none before
    other = made_up().write(tmp_path / "other", range(3))
    opened(other)
    qtbot.waitUntil(lambda: given == [other])
    model.close()

    assert given == [other, None]
