"""The form of a sweep file: every section with its fields, axes and zones as rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.configuration.axis_config import AXIS_KINDS
from gui.look.theme import Tone, text_scale
from gui.panels.sweep_field import SweepField
from gui.panels.sweep_rows import AxisRow, ZoneRow
from gui.sweep_text.sweep_fields import SECTIONS, Field, Section
from gui.sweep_text.toml_text import Place, value_at
from gui.widgets.note import Note

__all__ = ["SweepForm"]

WIDE_px = 620  # from where on two fields go beside each other
FIELD_px = 115  # what a field of a row needs
LABEL_px = 110
FIRST = ("sweep", "axis", "exposure", "fit")  # what changes from sweep to sweep


class SweepForm(QWidget):
    """Shows a document and says what somebody wants changed; it changes nothing itself.

    typed: place, value or None. finished: the field was left. added: the place of a list and the
    new entry. removed: a place. moved: the place of a list, from where, to where.
    went_to: the field that has got the focus.
    """

    typed = pyqtSignal(tuple, object)
    finished = pyqtSignal()
    added = pyqtSignal(tuple, object)
    removed = pyqtSignal(tuple)
    moved = pyqtSignal(tuple, int, int)
    went_to = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields: dict[Place, SweepField] = {}
        self.headings: dict[Place, Note] = {}
        self.axes: dict[Place, AxisRow] = {}
        self._shape: object = None
        self._columns = 2
        self._per_line = 8  # fields of a row
        self._document: Mapping[str, Any] = {}
        self._page: QWidget | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def show_document(self, document: Mapping[str, Any]) -> None:
        """Show what the file says; the focus stays at its place."""
        self._document = document
        shape = (self._columns, self._per_line, _shape(document))
        if shape != self._shape:
            focus, unfolded = (
                self._focused(),
                [p for p, a in self.axes.items() if a.more.isChecked()],
            )
            self._shape = shape
            self._build(document)
            self._restore(focus, unfolded)
        for place, field in self.fields.items():
            field.show_value(value_at(document, place))

    def set_width(self, width_px: int) -> None:
        """Put as many fields beside each other as go into that width."""
        width = width_px / text_scale(self)
        places = (2 if width >= WIDE_px else 1, max(2, int(width / FIELD_px)))
        if places != (self._columns, self._per_line):
            self._columns, self._per_line = places
            if self._shape is not None:
                self.show_document(self._document)

    def changeEvent(self, event: QEvent | None) -> None:
        """Rows are as high as the text was when they were made: make them anew."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange and self._shape is not None:
            self._shape = None
            self.show_document(self._document)

    def show_troubles(self, troubles: Mapping[Place, Sequence[str]]) -> None:
        """Show each trouble at its field or heading."""
        for place, field in self.fields.items():
            field.show_troubles(troubles.get(place, ()))
        for place, note in self.headings.items():
            note.say("\n".join(troubles.get(place, ())), Tone.BAD)

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show how many values each axis has, by its quantity."""
        for place in self.axes:
            count = counts.get(self.fields[(*place, "quantity")].text)
            label = "points" if count is None else f"points: {count}"
            self.fields[(*place, "points")].label.setText(label)

    def places(self) -> list[Place]:
        """Return every place at which a finding can be shown."""
        return [*self.fields, *self.headings]

    def go_to(self, place: Place) -> None:
        """Give the focus to the field there, or to the first below."""
        field = next((f for p, f in self.fields.items() if p[: len(place)] == place), None)
        if field is None:
            return
        for row in self.axes.values():
            row.unfold(field)
        field.editor.setFocus(Qt.FocusReason.OtherFocusReason)
        self.went_to.emit(field)

    # --- inside

    def _focused(self) -> Place | None:
        return next((p for p, f in self.fields.items() if f.editor.hasFocus()), None)

    def _restore(self, focus: Place | None, unfolded: Sequence[Place]) -> None:
        for place in unfolded:
            if place in self.axes:
                self.axes[place].more.setChecked(True)
        if focus is not None:
            self.go_to(focus)

    def _build(self, document: Mapping[str, Any]) -> None:
        if self._page is not None:
            self._page.setParent(None)
            self._page.deleteLater()
        self.fields, self.headings, self.axes = {}, {}, {}
        self._page = QWidget()
        column = QVBoxLayout(self._page)
        column.setContentsMargins(4, 0, 8, 4)
        column.setSpacing(4)
        self._column.addWidget(self._page)
        for section in sorted(SECTIONS, key=lambda s: s.key not in FIRST):
            self._add_section(column, section, document, ())
        column.addStretch(1)
        self._page.show()

    def _add_section(
        self, column: QVBoxLayout, section: Section, document: Mapping[str, Any], above: Place
    ) -> None:
        place = (*above, section.key)
        present = value_at(document, place)
        column.addLayout(self._heading(section, place, present))
        if section.is_rows:
            rows = _rows(section, place, present)
            for row in rows:
                column.addWidget(self._row(section, row, len(rows)))
            return
        column.addLayout(self._grid(section.fields, place))
        for inner in section.sections:
            self._add_section(column, inner, document, place)

    def _heading(self, section: Section, place: Place, present: object) -> QHBoxLayout:
        words = " ".join(map(str, place)).replace("_", " ").capitalize()
        title = QLabel("Axes" if section.key == "axis" else words)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        self.headings[place] = Note()
        line = QHBoxLayout()
        line.setContentsMargins(0, 6, 0, 0)
        line.addWidget(title)
        line.addWidget(self.headings[place], 1)
        line.addStretch(0)
        for button in self._heading_buttons(section, place, present):
            line.addWidget(button)
        return line

    def _heading_buttons(
        self, section: Section, place: Place, present: object
    ) -> list[QPushButton]:
        if section.of_zones:
            button = _button("Add a row", f"add a row to {section.key}, for other temperatures")
            button.clicked.connect(lambda _c: self.added.emit(place, _last_row(present)))
            return [button]
        if section.is_rows:
            return [self._add_axis_button(place)]
        if not section.is_required and present is not None:
            button = _button("Leave out", f"leave out {section.key}")
            button.clicked.connect(lambda _c: self.removed.emit(place))
            return [button]
        return []

    def _add_axis_button(self, place: Place) -> QPushButton:
        button = _button("&Add an axis", "add an axis")
        menu = QMenu(button)
        for quantity, kind in AXIS_KINDS.items():
            entry = {"quantity": quantity.value} | ({"unit": kind.unit} if kind.unit else {})
            action = menu.addAction(quantity.value)
            assert action is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
            action.triggered.connect(lambda _c, entry=entry: self.added.emit(place, entry))
        button.setMenu(menu)
        return button

    def _row(self, section: Section, place: Place, count: int) -> QWidget:
        if section.of_zones:
            zone = ZoneRow(section, place, count, self._field, self._per_line)
            zone.removed.connect(lambda: self.removed.emit(place))
            return zone
        axis = AxisRow(section, place, count, self._field, 2 if self._columns == 1 else 4)
        list_place, number = place[:-1], int(place[-1])
        axis.moved.connect(lambda to: self.moved.emit(list_place, number, to))
        axis.dragged.connect(lambda y: self.moved.emit(list_place, number, self._axis_at(y)))
        axis.removed.connect(lambda: self.removed.emit(place))
        self.axes[place] = axis
        self.headings[place] = axis.note
        return axis

    def _axis_at(self, screen_y: int) -> int:
        """Return the position of the axis at that height, the nearest if there is none."""
        middles = [a.mapToGlobal(a.rect().center()).y() for a in self.axes.values()]
        return min(range(len(middles)), key=lambda index: abs(middles[index] - screen_y))

    def _grid(self, fields: Sequence[Field], place: Place) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(3)
        for index, field in enumerate(fields):
            entry = self._field(place, field)
            row, column = divmod(index, self._columns)
            grid.addWidget(entry.label, row, 2 * column)
            grid.addWidget(entry, row, 2 * column + 1)
        for column in range(self._columns):
            grid.setColumnStretch(2 * column + 1, 1)
            grid.setColumnMinimumWidth(2 * column, LABEL_px)
        return grid

    def _field(self, above: Place, field: Field) -> SweepField:
        place = (*above, field.key)
        entry = SweepField(place, field)
        entry.typed.connect(self.typed)
        entry.finished.connect(self.finished)
        self.fields[place] = entry
        return entry


def _rows(section: Section, place: Place, present: object) -> list[Place]:
    """Return the place of each row; a table that is not there has one row to begin with."""
    if isinstance(present, list):
        return [(*place, number) for number in range(len(present))]
    return [place] if section.of_zones else []


def _last_row(present: object) -> dict[str, Any]:
    row = present[-1] if isinstance(present, list) and present else present
    return dict(row) if isinstance(row, Mapping) else {}


def _shape(document: Mapping[str, Any], sections: Sequence[Section] = SECTIONS) -> object:
    """Return what decides which widgets there are: the rows, and which sections are left out."""
    shape: list[object] = []
    for section in sections:
        present = document.get(section.key)
        is_list = isinstance(present, list)
        shape.append(len(present) if isinstance(present, list) else present is not None)
        shape.append(is_list)
        shape.append(_shape(present if isinstance(present, Mapping) else {}, section.sections))
    return shape


def _button(text: str, hint: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    button.setAccessibleName(hint)
    button.setAutoDefault(False)
    return button
