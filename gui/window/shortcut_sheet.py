"""F1: every shortcut on one sheet."""

from collections.abc import Iterable, Mapping

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.widgets.overlay import Overlay

__all__ = ["ShortcutSheet"]

COLUMNS = 3


class ShortcutSheet(Overlay):
    """groups: title -> (keys, what they do)."""

    def __init__(self, over: QWidget, groups: Mapping[str, Iterable[tuple[str, str]]]) -> None:
        super().__init__(over, width=1080)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        sheet = QHBoxLayout()
        sheet.setSpacing(28)
        columns = [QVBoxLayout() for _ in range(COLUMNS)]
        lengths = [0] * COLUMNS
        for title, lines in ((title, list(lines)) for title, lines in groups.items()):
            if lines:
                shortest = lengths.index(min(lengths))
                columns[shortest].addWidget(_block(title, lines))
                lengths[shortest] += len(lines) + 2
        for column in columns:
            column.setSpacing(14)
            column.addStretch(1)
            sheet.addLayout(column, 1)
        self.content.addLayout(sheet)
        hint = QLabel("Esc closes. Every button also answers to Alt and its underlined letter.")
        hint.setForegroundRole(hint.palette().ColorRole.PlaceholderText)
        self.content.addWidget(hint)


def _block(title: str, lines: list[tuple[str, str]]) -> QWidget:
    block = QWidget()
    grid = QGridLayout(block)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setVerticalSpacing(3)
    grid.addWidget(QLabel(f"<b>{title}</b>"), 0, 0, 1, 2)
    for row, (keys, what) in enumerate(lines, start=1):
        key = QLabel(keys)
        key.setForegroundRole(key.palette().ColorRole.Link)
        grid.addWidget(key, row, 0)
        grid.addWidget(QLabel(what), row, 1)
    grid.setColumnStretch(1, 1)
    return block
