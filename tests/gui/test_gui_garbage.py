"""Where garbage is collected while the window is open."""

import gc
import threading
import weakref

import pytest

from gui.threads.garbage import GarbageHere

LONGEST_ms = 10_000


@pytest.fixture
def collector(qapp):
    collector = GarbageHere(qapp)
    yield collector
    collector.end()
    gc.unfreeze()
    collector.setParent(None)


class Loop:
    """Garbage that only the collector finds."""

    def __init__(self, collected):
        self.self = self
        weakref.finalize(self, lambda: collected.append(threading.current_thread()))


def _make_garbage(collected, objects):
    for _ in range(objects):
        Loop(collected)


def test_what_a_thread_leaves_is_collected_on_the_windows_own(collector, qtbot):
    collected = []
    thread = threading.Thread(target=_make_garbage, args=(collected, 5000))
    thread.start()
    thread.join()
    assert collected == []  # Python itself would have collected by now, in that thread

    qtbot.waitUntil(lambda: len(collected) == 5000, timeout=LONGEST_ms)

    assert set(collected) == {threading.main_thread()}


def test_the_first_thorough_collection_settles_what_is_there(collector):
    before = gc.get_freeze_count()
    for _ in range(200):
        _make_garbage([], 1000)
        collector.look()

    assert gc.get_freeze_count() > before
    once = gc.get_freeze_count()
    for _ in range(200):
        _make_garbage([], 1000)
        collector.look()
    assert gc.get_freeze_count() <= once


def test_python_collects_itself_again_afterwards(qapp):
    collector = GarbageHere(qapp)
    assert not gc.isenabled()
    collector.end()
    assert gc.isenabled()
    collector.setParent(None)
    gc.disable()  # as for every test of the window
