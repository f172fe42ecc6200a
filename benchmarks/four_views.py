"""The window as it watches a run: offscreen, 1920 x 1080, four views in sight."""

from pathlib import Path

from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from gui.app import open_window
from gui.threads.garbage import GarbageHere
from gui.window.main_window import MainWindow
from gui.window.panel_docks import Perspective

__all__ = ["VIEWS", "four_views"]

VIEWS = ("spectrum", "map", "parameters", "strips")


def four_views(app: QApplication, settings: Path) -> MainWindow:
    """Show the window; it looks for its engine, and starts none."""
    GarbageHere(app)
    stored = QSettings(str(settings), QSettings.Format.IniFormat)
    window = open_window(app, stored, starts_engine=False)
    window.resize(1920, 1080)
    window.show_perspective(Perspective.SWEEP)
    for key in VIEWS:
        window.docks.reveal(key)
    return window
