"""What the window remembers from one start to the next, in one file of the user's."""

import json
from pathlib import Path

import platformdirs
from PyQt6.QtCore import QByteArray, QSettings

__all__ = ["WindowMemory", "user_settings"]

VERSION = 2  # of the layouts; another one is forgotten


def user_settings() -> QSettings:
    """Return the settings of this user."""
    folder = platformdirs.user_config_path("cryoscan", ensure_exists=True)
    return QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)


class WindowMemory:
    """Typed access; what can't be read counts as never written."""

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings
        if self._settings.value("version") != str(VERSION):
            self._settings.remove("layout")
            self._settings.remove("geometry")
            self._settings.setValue("version", str(VERSION))

    def text(self, key: str, default: str = "") -> str:
        value = self._settings.value(key)
        return value if isinstance(value, str) else default

    def number(self, key: str, default: float) -> float:
        try:
            return float(self.text(key))
        except ValueError:
            return default

    def layout(self, name: str) -> QByteArray | None:
        value = self._settings.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def geometry(self) -> QByteArray | None:
        value = self._settings.value("geometry")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def panel(self, key: str) -> dict[str, object]:
        """Return what a panel remembers of itself."""
        try:
            stored = json.loads(self.text(f"panel/{key}", "{}"))
        except ValueError:
            return {}
        return stored if isinstance(stored, dict) else {}

    def keep(self, key: str, value: str | float | QByteArray) -> None:
        self._settings.setValue(key, value if isinstance(value, QByteArray) else str(value))

    def keep_layout(self, name: str, layout: QByteArray) -> None:
        self._settings.setValue(f"layout/{name}", layout)

    def keep_panel(self, key: str, remembered: dict[str, object]) -> None:
        self._settings.setValue(f"panel/{key}", json.dumps(remembered))

    def forget_layout(self, name: str) -> None:
        self._settings.remove(f"layout/{name}")

    def stations(self) -> list[Path]:
        """Return the station files used before, the last one first, as far as they exist."""
        paths = [Path(line) for line in self.text("stations").splitlines() if line]
        return [path for path in paths if path.is_file()]

    def keep_station(self, station: Path) -> None:
        others = [path for path in self.stations() if path != station]
        self.keep("stations", "\n".join(str(path) for path in [station, *others][:8]))
