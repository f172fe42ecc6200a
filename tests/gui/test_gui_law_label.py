"""What a law says can be read to its end where it has room for two lines only."""

from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from gui.views.law_label import LawLabel

LONG = "internal field -216 ± 23 kV/cm, extrapolated; " * 4 + "the last words"


def test_a_long_text_is_scrolled_by_the_keyboard_and_asks_for_no_more_height(qtbot: QtBot) -> None:
    page, label = QWidget(), LawLabel()
    QVBoxLayout(page).addWidget(label)
    qtbot.addWidget(page)
    before = label.sizeHint()
    label.setText(LONG)
    page.resize(260, 60)
    page.show()
    qtbot.waitExposed(page)

    assert label.sizeHint() == before
    label.setFocus()
    bar = label.verticalScrollBar()
    assert bar.maximum() > 0
    QTest.keyClick(label, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    assert bar.value() == bar.maximum()

    label.setText(LONG)  # said again while it is read
    assert bar.value() == bar.maximum()
    assert label.text() == LONG
