"""The tutorial of the window leads where it says, and its words are those of the window."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QAbstractButton, QTabWidget
from pytestqt.qtbot import QtBot

from gui.link.engine_link import EngineLink
from gui.link.engine_search import EngineSearch
from gui.window.actions import ACTIONS
from gui.window.main_window import PANELS, MainWindow
from gui.window.panel_docks import Perspective
from gui.window.window_memory import WindowMemory

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "tutorial" / "the-window.md").read_text(encoding="utf-8")


@pytest.fixture
def walk_page() -> ModuleType:
    """The script that takes the pictures."""
    spec = importlib.util.spec_from_file_location("walk", ROOT / "docs" / "figures" / "walk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["walk"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def window(tmp_path: Path, qtbot: QtBot) -> MainWindow:
    settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    link = EngineLink("walker")
    window = MainWindow(link, EngineSearch(link), WindowMemory(settings))
    qtbot.addWidget(window, before_close_func=lambda one: one.close_for_good())
    window.resize(1366, 768)
    window.show()
    return window


def words_of(window: MainWindow) -> set[str]:
    """Return the text of every button, tab, action and panel."""
    panels = [window.docks.need(panel.key) for panel in PANELS]
    buttons = [b.text() for p in (window, *panels) for b in p.findChildren(QAbstractButton)]
    tabs = [t.tabText(i) for t in window.findChildren(QTabWidget) for i in range(t.count())]
    actions = [action.text for action in ACTIONS]
    texts = (*buttons, *tabs, *actions, *(panel.title for panel in PANELS))
    plain = {text.replace("&", "") for text in texts}
    return plain | {re.sub(r"\s+(F\d+|Shift\+Esc)$", "", text) for text in plain}


def test_every_word_in_bold_is_one_of_the_window(window: MainWindow) -> None:
    bold = set(re.findall(r"\*\*(.+?)\*\*", PAGE))

    assert len(bold) > 20
    assert bold - words_of(window) == set()


def test_every_picture_of_the_page_is_taken_and_there(walk_page: ModuleType) -> None:
    shown = set(re.findall(r"\.\./images/walk/(\w+)\.png", PAGE))
    script = Path(str(walk_page.__file__)).read_text(encoding="utf-8")

    assert shown == set(re.findall(r'walk\.picture\("(\w+)"', script))
    assert shown == {path.stem for path in (ROOT / "docs" / "images" / "walk").glob("*.png")}


def test_every_key_of_the_page_does_what_it_says() -> None:
    keys = {key for action in ACTIONS for key in action.keys}

    assert set(re.findall(r"\b(F\d+|Ctrl\+\w|Shift\+Esc)\b", PAGE)) <= keys


def test_a_sweep_file_opens_in_its_editor(window: MainWindow) -> None:
    window.open(ROOT / "examples" / "stark.toml")

    assert window.docks.need("sweep").draft.path == ROOT / "examples" / "stark.toml"
    assert window.perspective is Perspective.SWEEP


@pytest.mark.parametrize(
    ("key", "remembered"),
    [
        (
            "live",
            {"exposure_s": 2.5, "unit": "nm", "lines": "2 lines", "shape": "lorentz", "fit": True},
        ),
        ("count_rate", {"window_eV": [2.3, 2.4]}),
        ("raster", {"columns": 7.0, "rows": 5.0, "step_um": 0.25, "exposure_s": 0.5}),
        ("sweep", {"path": str(ROOT / "examples" / "stark.toml")}),
    ],
)
def test_a_panel_is_as_it_was_left(
    window: MainWindow, key: str, remembered: dict[str, object]
) -> None:
    panel = window.docks.need(key)
    panel.recall(remembered)

    assert json.loads(json.dumps(panel.memory())) == remembered


@pytest.mark.parametrize("key", ["live", "count_rate", "raster", "sweep"])
def test_what_is_remembered_may_be_nonsense(window: MainWindow, key: str) -> None:
    panel = window.docks.need(key)
    before = panel.memory()
    panel.recall(dict.fromkeys(before, "nonsense"))
    panel.recall({})

    assert set(panel.memory()) == set(before)


@pytest.mark.campaign
def test_the_walk_leads_where_the_page_says(
    walk_page: ModuleType, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYOSCAN_RUNTIME", str(tmp_path / "runtime"))
    station = walk_page.laboratory(tmp_path)
    process = walk_page.engine_for(station)
    try:
        window.link.follow(lambda: walk_page.address_of(process))
        walk_page.walk_through(walk_page.Walk(window, tmp_path, None))
    finally:
        process.terminate()
        process.wait(60)
