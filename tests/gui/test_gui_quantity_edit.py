"""The field for quantities: units, bounds, what is pending, and what never changes it."""

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from gui.widgets.quantity_edit import QuantityEdit


@pytest.fixture
def field(qtbot):
    edit = QuantityEdit(
        "V", -10.0, 10.0, value=1.5, limits_from="station.toml, bias.max_voltage", step=0.1
    )
    qtbot.addWidget(edit)
    edit.show()
    edit.setFocus()
    return edit


@pytest.fixture
def applied(field):
    values = []
    field.applied.connect(values.append)
    return values


def _type(qtbot, field, text):
    field.selectAll()
    qtbot.keyClicks(field, text)


@pytest.mark.parametrize(
    ("typed", "value"),
    [("10 mV", 0.01), ("2", 2.0), ("-3.5 V", -3.5), ("0.002 kV", 2.0), ("1e-3", 0.001)],
)
def test_a_quantity_is_typed_with_its_unit_or_in_the_shown_one(qtbot, field, applied, typed, value):
    _type(qtbot, field, typed)
    qtbot.keyClick(field, Qt.Key.Key_Return)

    assert applied == [pytest.approx(value)]
    assert field.value == pytest.approx(value)
    assert not field.is_pending


def test_nothing_is_applied_before_enter_and_what_is_typed_looks_pending(qtbot, field, applied):
    resting = field.palette().color(field.backgroundRole()).name()

    _type(qtbot, field, "2 V")

    assert applied == []
    assert field.is_pending
    assert field.value == 1.5
    assert field.palette().color(field.backgroundRole()).name() != resting


def test_escape_takes_back_what_was_typed(qtbot, field, applied):
    _type(qtbot, field, "2 V")

    qtbot.keyClick(field, Qt.Key.Key_Escape)

    assert field.text() == "1.5 V"
    assert not field.is_pending
    assert applied == []


def test_what_is_out_of_bounds_is_refused_in_place_with_the_range_and_its_source(
    qtbot, field, applied
):
    _type(qtbot, field, "20 V")
    with qtbot.waitSignal(field.refused) as refused:
        qtbot.keyClick(field, Qt.Key.Key_Return)

    expected = "20 V is outside -10 to 10 V (station.toml, bias.max_voltage)"
    assert refused.args == [expected]
    assert field.toolTip() == expected
    assert field.text() == "20 V"
    assert field.value == 1.5
    assert applied == []


@pytest.mark.parametrize("nonsense", ["", "abc", "3 K", "nan V", "inf V", "1 2 V", "nan", "--3"])
def test_nonsense_is_refused_with_an_example(qtbot, field, applied, nonsense):
    _type(qtbot, field, nonsense or "x")
    if not nonsense:
        field.clear()
    qtbot.keyClick(field, Qt.Key.Key_Return)

    assert applied == []
    assert '"1.5 V"' in field.trouble or "outside" in field.trouble


def test_a_bare_infinity_is_no_number(qtbot, applied):
    edit = QuantityEdit("K", 0.0)
    qtbot.addWidget(edit)
    edit.setText("1e999")
    edit.apply()

    assert edit.value is None
    assert "0 K or more" in edit.trouble


def test_the_wheel_never_changes_it_with_or_without_focus(field, applied):
    for focused in (True, False):
        field.setFocus() if focused else field.clearFocus()
        place = QPointF(5, 5)
        event = QWheelEvent(
            place,
            field.mapToGlobal(place),
            QPoint(0, 120),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(field, event)
        assert not event.isAccepted()

    assert field.text() == "1.5 V"
    assert applied == []


def test_up_and_down_step_what_is_pending_and_stop_at_the_bounds(qtbot, field, applied):
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert field.text() == "1.6 V"

    for _ in range(20):
        qtbot.keyClick(field, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)

    assert field.text() == "10 V"
    assert applied == []
    assert field.is_pending


def test_a_value_that_arrives_does_not_overwrite_what_is_being_typed(qtbot, field):
    _type(qtbot, field, "2 V")
    field.set_value(7.0)
    assert field.text() == "2 V"

    qtbot.keyClick(field, Qt.Key.Key_Escape)

    assert field.text() == "7 V"


def test_limits_that_change_judge_what_is_typed_again(qtbot, field):
    _type(qtbot, field, "9 V")
    assert field.trouble == ""

    field.set_limits(-5.0, 5.0, "sample card")

    assert field.trouble == "9 V is outside -5 to 5 V (sample card)"
