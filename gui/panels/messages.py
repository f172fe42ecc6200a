"""The log: what was said, with its level; what repeats is counted."""

from datetime import datetime

from PyQt6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QRectF,
    QSortFilterProxyModel,
    Qt,
)
from PyQt6.QtGui import QAction, QColor, QGuiApplication, QIcon, QKeySequence, QPainter, QPixmap
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from acquisition.storage.record import Level
from gui.look.theme import Theme, Tone, theme_of
from gui.panels.message_log import Entry, MessageLog
from gui.widgets.status_pill import Shape, draw_shape

__all__ = ["MessagePanel"]

_LOOKS = {
    Level.DEBUG: (Shape.RING, Tone.NEUTRAL),
    Level.INFO: (Shape.DISC, Tone.BUSY),
    Level.WARNING: (Shape.WARNING, Tone.CAUTION),
    Level.ERROR: (Shape.CROSS, Tone.BAD),
}
_ORDER = list(_LOOKS)
_TITLES = ("", "Time", "Device", "What", "Done about it", "What to do", "Times")
_WHAT = 3


class MessagePanel(QWidget):
    """Lists a MessageLog; filtered by level and by words, copied with Ctrl+C."""

    title = "Log"

    def __init__(self, log: MessageLog, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Table(log, self)
        self._filter = _Filter(self)
        self._filter.setSourceModel(self._model)
        self.table = QTableView()
        self.table.setModel(self._filter)
        self.table.setAccessibleName("Messages")
        self._set_up_table()
        self.level = QComboBox()
        self.level.addItems(["everything", "from info", "from warning", "errors only"])
        self.level.setCurrentIndex(1)
        self.level.currentIndexChanged.connect(self._on_level)
        self.words = QLineEdit()
        self.level.setAccessibleName("least level that is listed")
        self.words.setAccessibleName("words to find")
        self.words.setPlaceholderText("find in messages")
        self.words.setClearButtonEnabled(True)
        self.words.textChanged.connect(self._filter.set_words)
        self._lay_out()
        self._size()
        self._model.rowsInserted.connect(self._keep_at_the_end)
        self._on_level(1)

    def _set_up_table(self) -> None:
        table = self.table
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        vertical, header = table.verticalHeader(), table.horizontalHeader()
        assert vertical is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        assert header is not None  # noqa: S101
        vertical.hide()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionResizeMode(_WHAT, QHeaderView.ResizeMode.Stretch)
        copy = QAction("&Copy", table)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self._copy)
        table.addAction(copy)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._size()

    def _size(self) -> None:
        """Give rows and columns the size of the text."""
        metrics, vertical = self.table.fontMetrics(), self.table.verticalHeader()
        if vertical is not None:
            vertical.setDefaultSectionSize(metrics.height() + 6)
        for column, letters in enumerate((3, 10, 12, 60, 28, 34, 7)):
            self.table.setColumnWidth(column, letters * metrics.averageCharWidth())

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        label = QLabel("Sho&w")
        label.setBuddy(self.level)
        line.addWidget(label)
        line.addWidget(self.level)
        line.addWidget(self.words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self.table, 1)

    def _on_level(self, index: int) -> None:
        self._filter.set_level(_ORDER[index])

    def _keep_at_the_end(self) -> None:
        bar = self.table.verticalScrollBar()
        if bar is None or bar.value() >= bar.maximum() - 1:
            self.table.scrollToBottom()

    def _copy(self) -> None:
        selection = self.table.selectionModel()
        clipboard = QGuiApplication.clipboard()
        if selection is None or clipboard is None:
            return
        places = [self._filter.mapToSource(row).row() for row in selection.selectedRows()]
        texts = [self._model.entry(place).as_text() for place in sorted(places)]
        clipboard.setText("\n\n".join(texts))


class _Table(QAbstractTableModel):
    def __init__(self, log: MessageLog, parent: QObject) -> None:
        super().__init__(parent)
        self._log = log
        self._shown = len(log.entries)
        self._icons: dict[tuple[Level, str], QIcon] = {}
        log.added.connect(self._on_added)
        log.repeated.connect(self._on_repeated)
        log.cleared.connect(self._on_cleared)

    def entry(self, place: int) -> Entry:
        return self._log.entries[place]

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else self._shown

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(_TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _TITLES[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        entry = self._log.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _cells(entry)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.as_text()
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._icon(entry.said.level)
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column() == 0:
            return entry.said.level.value
        if role == LEVEL:
            return _ORDER.index(entry.said.level)
        return None

    def _icon(self, level: Level) -> QIcon:
        owner = self.parent()
        assert isinstance(owner, QWidget)  # noqa: S101
        theme = theme_of(owner)
        return self._icons.setdefault((level, theme.name), _icon(level, theme))

    def _on_added(self, place: int) -> None:
        self.beginInsertRows(QModelIndex(), place, place)
        self._shown = place + 1
        self.endInsertRows()

    def _on_repeated(self, place: int) -> None:
        self.dataChanged.emit(self.index(place, 0), self.index(place, len(_TITLES) - 1))

    def _on_cleared(self) -> None:
        self.beginResetModel()
        self._shown = len(self._log.entries)
        self.endResetModel()


class _Filter(QSortFilterProxyModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._lowest = 0
        self._words: list[str] = []

    def set_level(self, level: Level) -> None:
        self._lowest = _ORDER.index(level)
        self.invalidate()

    def set_words(self, words: str) -> None:
        self._words = words.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        model = self.sourceModel()
        assert isinstance(model, _Table)  # noqa: S101
        entry = model.entry(row)
        if _ORDER.index(entry.said.level) < self._lowest:
            return False
        text = entry.as_text().lower()
        return all(word in text for word in self._words)


LEVEL = Qt.ItemDataRole.UserRole


def _cells(entry: Entry) -> tuple[str, ...]:
    said = entry.said
    time = datetime.fromtimestamp(said.utc).strftime("%H:%M:%S")
    times = f"×{entry.count}" if entry.count > 1 else ""
    return "", time, said.device, said.text, said.done, said.advice, times


def _icon(level: Level, theme: Theme) -> QIcon:
    shape, tone = _LOOKS[level]
    pixmap = QPixmap(32, 32)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    draw_shape(painter, shape, QRectF(5, 5, 22, 22), QColor(theme.tone(tone)))
    painter.end()
    return QIcon(pixmap)
