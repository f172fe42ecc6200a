"""What every test of the window gets: no screen, our colours, own settings, a leak check."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6 import sip
from PyQt6.QtCore import QCoreApplication, QEvent, QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from gui.look import theme


@pytest.fixture(scope="session", autouse=True)
def _dressed(qapp: QApplication) -> None:
    """Our palette and text, as the window's start file puts them on."""
    theme.apply(qapp, theme.LIGHT)
    theme.set_text_scale(qapp, 1.0)


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    """Settings of a user who has never started the window."""
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture(autouse=True)
def _leaves_no_widgets_and_timers(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a window or a running timer behind; threads are checked for all."""
    windows = {id(widget) for widget in qapp.topLevelWidgets()}
    gc.disable()  # a thread that collects takes apart what Qt paints with; see gui.threads.garbage

    yield

    gc.enable()

    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        qapp.processEvents()
    left = [widget for widget in qapp.topLevelWidgets() if id(widget) not in windows]
    if left:  # what only waits for the collector is no leak
        gc.collect()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        left = [widget for widget in qapp.topLevelWidgets() if id(widget) not in windows]
    assert not left, f"windows are still there: {left}"
    running = [timer for timer in _timers() if timer.isActive()]
    assert not running, f"timers still run: {running}"


def _timers() -> list[QTimer]:
    return [t for t in gc.get_objects() if type(t) is QTimer and not sip.isdeleted(t)]
