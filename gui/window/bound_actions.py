"""The table of actions as Qt's, bound to what they do and kept in step with the situation."""

from collections.abc import Callable, Iterator, Mapping

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMenu, QMenuBar, QWidget

from gui.link.situation import Situation
from gui.window.actions import ACTIONS, Action, Group
from gui.window.command_palette import Command

__all__ = ["BoundActions"]


class BoundActions:
    """One QAction for each line of the table. Raises KeyError where nothing is bound to one."""

    def __init__(self, window: QWidget, does: Mapping[str, Callable[[], None]]) -> None:
        self.by_name = {one.name: _bind(one, window, does[one.name]) for one in ACTIONS}
        self._why_not = {one.name: "" for one in ACTIONS}

    def follow(self, situation: Situation) -> None:
        """Offer what the situation allows."""
        for one in ACTIONS:
            reason = one.why_not(situation)
            if reason != self._why_not[one.name]:
                self._why_not[one.name] = reason
                bound = self.by_name[one.name]
                bound.setToolTip(_hint(one, reason))
                bound.setEnabled(not reason)

    def fill(self, bar: QMenuBar) -> dict[Group, QMenu]:
        """Make a menu of each group."""
        menus = {}
        for group in Group:
            menu = bar.addMenu(group.value)
            assert menu is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
            menu.setToolTipsVisible(True)
            for one in ACTIONS:
                if one.group is group:
                    menu.addAction(self.by_name[one.name])
            menus[group] = menu
        return menus

    def commands(self) -> Iterator[Command]:
        """Yield them for the palette."""
        for one in ACTIONS:
            keys = self.by_name[one.name].shortcut().toString()
            yield Command(
                text=one.plain_text,
                run=self.by_name[one.name].trigger,
                group=one.group.value.replace("&", ""),
                keys=keys,
                why_not=self._why_not[one.name],
            )

    def sheet(self) -> dict[str, list[tuple[str, str]]]:
        """Return the shortcuts by group, for the sheet."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for one in ACTIONS:
            if one.keys:
                keys = " or ".join(one.keys[:1])
                groups.setdefault(one.group.value.replace("&", ""), []).append(
                    (keys, one.plain_text.rstrip("…"))
                )
        return groups


def _bind(one: Action, window: QWidget, act: Callable[[], None]) -> QAction:
    bound = QAction(one.text, window)
    bound.setObjectName(one.name)
    bound.setShortcuts([QKeySequence(keys) for keys in one.keys])
    # works whatever has the keyboard, also in a floating panel
    bound.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)
    bound.setToolTip(_hint(one, ""))
    bound.triggered.connect(lambda _checked: act())
    window.addAction(bound)
    return bound


def _hint(one: Action, reason: str) -> str:
    keys = f" ({one.keys[0]})" if one.keys else ""
    what = f"{one.plain_text.rstrip('…')}{keys}"
    if reason:
        return f"{what}: {reason}"
    return f"{what}: {one.hint}" if one.hint else what
