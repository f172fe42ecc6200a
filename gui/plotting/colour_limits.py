"""The ends of a map's colours, typed: what is dragged at its bar, by keyboard and to the digit."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from gui.look.theme import Tone
from gui.plotting.plot_image import Image
from gui.widgets.compact_button import CompactButton
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.text_width import TextWidth

__all__ = ["ColourLimits"]


class ColourLimits(QWidget):
    """A line above the map, hidden until it is asked for; Enter applies, Esc closes it."""

    def __init__(self, image: Image, parent: QWidget) -> None:
        super().__init__(parent)
        self._image = image
        self.low, self.high = QuantityEdit("", digits=5), QuantityEdit("", digits=5)
        self.auto = CompactButton("A&uto", "let the colours follow what is shown")
        self.note = Note()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        for word, edit, name in (
            ("colours from", self.low, "lower end of the colours"),
            ("to", self.high, "upper end of the colours"),
        ):
            edit.setAccessibleName(name)
            TextWidth(edit, least="1000.5", most="-100000")
            edit.applied.connect(lambda _value: self._apply())
            edit.refused.connect(lambda why: self.note.say(why, Tone.BAD))
            line.addWidget(QLabel(word))
            line.addWidget(edit)
        line.addWidget(self.auto)
        line.addWidget(self.note, 1)
        self.auto.clicked.connect(lambda _checked: self._follow())
        image.bar.sigLevelsChanged.connect(lambda _bar: self._show_levels())
        self.hide()

    def ask(self) -> None:
        """Show the line, and begin with the lower end."""
        self._show_levels()
        self.show()
        self.low.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.low.selectAll()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
            self.parentWidget().setFocus()  # type: ignore[union-attr]
        else:
            super().keyPressEvent(event)

    def _show_levels(self) -> None:
        low, high = self._image.levels
        self.low.set_value(low)
        self.high.set_value(high)
        self.note.say("")

    def _apply(self) -> None:
        low, high = self.low.value, self.high.value
        if low is None or high is None:
            return
        if not low < high:
            self.note.say(f"{low:g} is not below {high:g}", Tone.BAD)
            return
        self._image.set_levels(low, high)
        self.note.say("")

    def _follow(self) -> None:
        self._image.follow_values()
        self._show_levels()
