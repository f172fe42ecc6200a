"""An engine that is stopped by the system must not look like one that is quiet."""

import os
import signal
import sys

import pytest
from pytestqt.qtbot import QtBot

from gui.panels.count_rate import CountRatePanel
from gui.panels.instruments import InstrumentsPanel


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_frozen_engine_is_shown_as_silent_and_its_readings_as_old(
    watching, engine, qtbot: QtBot
) -> None:
    panel, rate = InstrumentsPanel(watching.link), CountRatePanel(watching.link)
    for widget in (panel, rate):
        qtbot.addWidget(widget)
        widget.show()
    watching.until(lambda: "detector_temperature_C" in panel.readings)
    row = panel.readings["detector_temperature_C"]
    watching.until(lambda: row.pill.text() == "ok")

    os.kill(engine.process.pid, signal.SIGSTOP)
    try:
        watching.until(lambda: "has said nothing for" in panel.note.said)
        assert row.pill.text() == "old"
        watching.until(lambda: "has said nothing for" in rate.note.said)
        assert rate.number.text() == "–"
    finally:
        os.kill(engine.process.pid, signal.SIGCONT)
    watching.until(lambda: row.pill.text() == "ok")
    watching.until(lambda: panel.note.said == "")
