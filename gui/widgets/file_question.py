"""Asking for a file beside the window: nothing is blocked, the stop key works meanwhile."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog, QWidget

__all__ = ["ask_folder", "ask_open", "ask_save"]

Then = Callable[[Path], None]


def ask_save(
    parent: QWidget, title: str, name: str, kinds: Sequence[str], then: Then
) -> QFileDialog:
    """Ask where to save; `then` gets the file. kinds: as "CSV (*.csv)", the first is the usual."""
    dialog = _dialog(parent, title, then)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters(list(kinds))
    dialog.setDefaultSuffix(Path(name).suffix.lstrip("."))
    dialog.filterSelected.connect(lambda kind: dialog.setDefaultSuffix(_ending(kind)))
    dialog.selectFile(name)
    dialog.show()
    return dialog


def ask_open(parent: QWidget, title: str, kinds: Sequence[str], then: Then) -> QFileDialog:
    """Ask for a file that exists."""
    dialog = _dialog(parent, title, then)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters([*kinds, "All files (*)"])
    dialog.show()
    return dialog


def ask_folder(parent: QWidget, title: str, start: Path, then: Then) -> QFileDialog:
    """Ask for a folder that exists."""
    dialog = _dialog(parent, title, then)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.setDirectory(str(start))
    dialog.show()
    return dialog


def _dialog(parent: QWidget, title: str, then: Then) -> QFileDialog:
    dialog = QFileDialog(parent, title)
    dialog.setWindowModality(Qt.WindowModality.NonModal)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda path: then(Path(path)))
    return dialog


def _ending(kind: str) -> str:
    return kind.rpartition("*.")[2].rstrip(")")
