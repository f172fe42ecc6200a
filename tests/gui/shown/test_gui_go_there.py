"""Back to a point that was measured: offered, done on a second word, never while a run is on."""

import pytest
from PyQt6.QtCore import QObject, Qt, pyqtSignal

from acquisition.channel.messages import Answer, Hello, Mode, Movable, Snapshot
from gui.views.map import MapView
from gui.window.go_there import GoThere

UTC = 1.8e9


class _Link(QObject):
    """An engine that writes down what it is asked."""

    answered = pyqtSignal(object)
    lost = pyqtSignal(str)

    def __init__(self, most_kV_per_cm=120.0):
        super().__init__()
        self.asked = []
        self.is_commander = True
        self.latest = Snapshot(Mode.ALIGNING, UTC)
        field = Movable(
            "field_kV_per_cm", "field", "kV/cm", -most_kV_per_cm, most_kV_per_cm, "the sample"
        )
        self.hello = Hello(movables=(Movable("angle_deg", "angle", "deg", 0.0, 360.0), field))

    def ask(self, verb, text="", quantity="", **numbers):
        self.asked.append((verb.value, quantity, numbers))
        return len(self.asked)


@pytest.fixture
def offer(opened, whole_run, model, shown):
    """Make an offer over a made-up field sweep; returns link, offer, and what was refused."""

    def make(**limits):
        opened(whole_run)
        link, refused = _Link(**limits), []
        strip = shown(GoThere(link, model, refused.append))
        strip.hide()
        return link, strip, refused

    return make


def test_nothing_moves_before_the_second_word(offer, qtbot):
    link, strip, refused = offer()

    strip.offer_point(13)

    assert (link.asked, refused) == ([], [])
    assert strip.text() == "Go to point 14 by hand: field 30 kV/cm? Nothing has moved yet."
    qtbot.keyClick(strip.go_button, Qt.Key.Key_Return)
    assert link.asked == [("move", "field_kV_per_cm", {"value": 30.0})]
    assert strip.isHidden()


def test_escape_stays(offer, qtbot):
    link, strip, _ = offer()
    strip.offer_point(13)

    qtbot.keyClick(strip.go_button, Qt.Key.Key_Escape)

    assert strip.isHidden()
    assert link.asked == []


def test_a_setpoint_outside_the_limits_is_refused_with_them_and_nothing_moves(offer):
    link, strip, refused = offer(most_kV_per_cm=50.0)

    strip.offer_point(20)

    assert strip.isHidden()
    assert refused == ["not there: field 100 kV/cm: allowed -50 to 50 kV/cm (the sample)"]
    assert link.asked == []


def test_while_a_run_is_on_nothing_is_offered(offer):
    link, strip, refused = offer()
    link.latest = Snapshot(Mode.RUNNING, UTC)

    strip.offer_point(13)

    assert strip.isHidden()
    assert refused == []


def test_whoever_is_not_in_command_is_told_who_is(offer):
    link, strip, refused = offer()
    link.is_commander = False
    link.latest = Snapshot(Mode.ALIGNING, UTC, commander="lena")

    strip.offer_point(13)

    assert refused == ["not there: lena is in command"]


def test_a_move_that_the_engine_refuses_is_said(offer):
    link, strip, refused = offer()
    strip.offer_point(13)
    strip.go()

    link.answered.emit(Answer(1, ok=False, text="field: nobody has a sample card"))

    assert refused == ["field: nobody has a sample card"]


def test_what_cannot_be_moved_by_hand_is_said(offer):
    link, strip, refused = offer()
    link.hello = Hello()

    strip.offer_point(13)

    assert "can be moved by hand here" in refused[0]


def test_a_double_click_on_the_map_sets_the_cursor_and_asks(
    opened, whole_run, model, cursor, shown
):
    view = shown(MapView(model, cursor))
    opened(whole_run)
    view._redraw.now()
    asked = []
    cursor.go_asked.connect(asked.append)

    view.plot.double_clicked.emit(2.39, 4.2)

    assert asked == [4]
    assert cursor.point == 4
