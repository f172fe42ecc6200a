"""What the check says of a sweep: points, time and disk, or every finding."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QFormLayout,
    QFrame,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from acquisition.configuration.config_error import Problem
from gui.look.theme import Tone
from gui.sweep_text.sweep_findings import Verdict
from gui.widgets.note import Note
from gui.widgets.status_pill import Look, Shape, StatusPill

__all__ = ["SweepVerdict"]

CHECKING = Look("checking", Shape.DIAMOND, Tone.BUSY)
READY = Look("can be run", Shape.TICK, Tone.GOOD)


class SweepVerdict(QScrollArea):
    """chosen: somebody wants to go where this finding points."""

    chosen = pyqtSignal(object)  # Problem

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pill = StatusPill(CHECKING)
        self.warning = Note()
        self.findings = QListWidget()
        self.findings.setWordWrap(True)
        self.findings.setAlternatingRowColors(True)
        self.findings.setSpacing(2)
        self.findings.setAccessibleName("findings")
        self.findings.setToolTip("Enter or a double click goes to the field")
        self.findings.itemActivated.connect(self._choose)
        self.lines: dict[str, QLabel] = {}
        self._table = QFormLayout()
        self._table.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        self._table.setVerticalSpacing(3)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(8, 4, 4, 4)
        column.addWidget(self.pill)
        column.addWidget(self.warning)
        column.addWidget(self.findings, 1)
        column.addLayout(self._table)
        column.addStretch(0)
        self.findings.hide()
        self.setWidget(page)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def show_checking(self) -> None:
        """Say that what is shown is about to change."""
        self.pill.show_look(CHECKING)

    def show_verdict(self, verdict: Verdict) -> None:
        """Show the price, or the findings."""
        count = len(verdict.problems)
        finding = "1 finding" if count == 1 else f"{count} findings"
        self.pill.show_look(Look(finding, Shape.CROSS, Tone.BAD) if count else READY)
        self._show_problems(verdict.problems)
        self._show_lines(verdict.result.lines() if verdict.result else [])
        short = verdict.result is not None and not verdict.result.disk_suffices
        self.warning.say("There is not enough free disk for this sweep" if short else "", Tone.BAD)

    def _show_problems(self, problems: tuple[Problem, ...]) -> None:
        self.findings.clear()
        self.findings.setVisible(bool(problems))
        for problem in problems:
            text = f"{problem.key}: found {problem.found}; allowed: {problem.allowed}"
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, problem)
            self.findings.addItem(item)

    def _show_lines(self, lines: list[tuple[str, str]]) -> None:
        shown = dict(lines)
        if list(shown) != list(self.lines):
            while self._table.rowCount():
                self._table.removeRow(0)
            self.lines = {label: self._line(label) for label in shown}
        for label, text in shown.items():
            self.lines[label].setText(text)

    def _line(self, label: str) -> QLabel:
        text = QLabel()
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        text.setAccessibleName(label)
        self._table.addRow(label, text)
        return text

    def _choose(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))
