"""Work beside the window: the newest question is answered, the others are not."""

import threading

import pytest
from PyQt6.QtCore import QObject
from pytestqt.qtbot import QtBot

from gui.threads.latest_wins import LatestWins


def test_of_those_that_wait_only_the_newest_is_done(qtbot: QtBot, qapp: object) -> None:
    parent = QObject()
    worker, may_go, began, results = LatestWins("test", parent), threading.Event(), [], []
    worker.done.connect(results.append)

    def slow(name: str) -> str:
        began.append(name)
        assert may_go.wait(10)
        return name

    for name in ("first", "second", "third"):
        worker.ask(lambda name=name: slow(name))
    may_go.set()
    qtbot.waitUntil(lambda: results == ["third"])

    assert began == ["first", "third"]
    assert not worker.is_busy


def test_where_it_can_not_keep_pace_it_tells_what_it_has(qtbot: QtBot, qapp: object) -> None:
    parent = QObject()
    worker, may_go, results = (
        LatestWins("test", parent, tells_overtaken=True),
        threading.Event(),
        [],
    )
    worker.done.connect(results.append)
    for name in ("first", "second", "third"):
        worker.ask(lambda name=name: may_go.wait(10) and name)
    may_go.set()

    qtbot.waitUntil(lambda: results == ["first", "third"])


def test_what_is_forgotten_is_not_told(qtbot: QtBot, qapp: object) -> None:
    parent = QObject()
    worker, results = LatestWins("test", parent), []
    worker.done.connect(results.append)
    worker.ask(lambda: "forgotten")
    worker.forget()
    qtbot.waitUntil(lambda: not worker.is_busy)
    worker.ask(lambda: "wanted")
    qtbot.waitUntil(lambda: results == ["wanted"])


def test_what_the_work_raises_is_raised_on_the_windows_thread(qtbot: QtBot, qapp: object) -> None:
    parent = QObject()
    worker = LatestWins("test", parent)
    with qtbot.captureExceptions() as raised:
        worker.ask(lambda: 1 / 0)
        qtbot.waitUntil(lambda: len(raised) == 1)

    assert raised[0][0] is ZeroDivisionError
    assert not worker.is_busy


@pytest.mark.parametrize("_", range(20))
def test_the_window_may_go_while_it_works(qtbot: QtBot, qapp: object, _: int) -> None:
    parent = QObject()
    worker, may_go = LatestWins("test", parent), threading.Event()
    worker.ask(lambda: may_go.wait(10))
    parent.deleteLater()
    may_go.set()
    del worker, parent
    qtbot.wait(1)
