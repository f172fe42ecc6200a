"""Make a picture of the window in each of its states, light and dark, small screen and 4K.

    python docs/figures/gallery.py [--only NAME] [docs/images/gallery]

The engine is the real one in its own process, with the simulated station of the examples at a
faster pace. Accidents happen really: a sample that leaks trips the interlock, and the process that
serves the instruments is killed in the middle of a run.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import cache
from pathlib import Path
from threading import Thread

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pyqtgraph as pg
from PIL import Image
from PyQt6.QtCore import QEventLoop, QSettings, Qt, QTimer
from PyQt6.QtGui import QColor, QImage, qGray
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from acquisition.channel.messages import Mode, Verb
from acquisition.channel.watcher_link import WatcherLink
from gui.app import open_window
from gui.look import theme
from gui.widgets.overlay import Overlay
from gui.window.main_window import MainWindow
from gui.window.panel_docks import Perspective
from gui.window.shortcut_sheet import ShortcutSheet

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL, LARGE = (1366, 768), (3840, 2160)
PACE, SERVED_PACE = 8.0, 8.0
ALSO_LARGE = ("align_live", "sweep_planned", "run_measuring", "browse")
PATIENCE_S = 240.0
LEAKS = """
[simulation.truth.bias]
leakage_cold_ohm = 1e9
"""
POSITIONER = """
[positioner]
model = "attocube.anc300"
address = "sim://positioner"
step = "0.1 um"
options = { drive_V = 50.0 }
"""


class Gallery:
    """The window of the pictures, and where they go."""

    def __init__(self, app: QApplication, folder: Path, lab: Path, only: str) -> None:
        self.app = app
        self.folder = folder
        self.lab = lab
        self._only = only
        settings = QSettings(str(lab / "window.ini"), QSettings.Format.IniFormat)
        station = lab / "station_simulated.toml"
        self.window: MainWindow = open_window(app, settings, station=station, starts_engine=False)
        self.complete: Path | None = None  # the run that was measured to its end
        self.front: tuple[str, ...] = ()  # panels that shall lie before the others of their place
        self.window.resize(*SMALL)

    def spin(self, seconds: float) -> None:
        """Let the window live for a while."""
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something. Raises TimeoutError saying for what."""
        for _ in range(round(PATIENCE_S / 0.1)):
            if is_so():
                return
            self.spin(0.1)
        raise TimeoutError(f"{what} did not come")

    def picture(self, name: str, state: str = "") -> None:
        """Take the pictures of this state; each as soon as the run's state is in the bar."""
        if self._only not in name:
            return
        for look in (theme.LIGHT, theme.DARK):
            self._take(f"{name}_{look.name}", look, SMALL, 1.0, state)
        if name in ALSO_LARGE:
            self._take(f"{name}_4k", theme.LIGHT, LARGE, 2.0, state)
            self._dress(theme.LIGHT, SMALL, 1.0)

    def _take(
        self, name: str, look: theme.Theme, size: tuple[int, int], scale: float, state: str
    ) -> None:
        self._dress(look, size, scale)
        self.spin(0.4)
        if state:
            self.until(lambda: self.state == state, state)
        self._save(self.window.grab().toImage(), self.folder / f"{name}.png")
        print(name, flush=True)

    def _save(self, picture: QImage, file: Path) -> None:
        """Write few colours and no dither: a quarter of the size, and nobody sees it."""
        picture = picture.convertToFormat(QImage.Format.Format_RGB888)
        bits = picture.constBits()
        assert bits is not None  # noqa: S101
        size = (picture.width(), picture.height())
        whole = Image.frombuffer(
            "RGB", size, bits.asstring(picture.sizeInBytes()), "raw", "RGB", picture.bytesPerLine()
        )
        few = whole.quantize(palette=_palette(), dither=Image.Dither.NONE)
        few.save(file, optimize=True)

    def _dress(self, look: theme.Theme, size: tuple[int, int], scale: float) -> None:
        theme.apply(self.app, look)
        theme.set_text_scale(self.app, scale)
        self.spin(0.3)
        self.window.resize(*size)
        self.spin(0.2)
        docks = self.window.docks
        docks.arrange(self.window.perspective)
        for key in self.front:
            if docks.docks[key].isVisible():
                docks.docks[key].raise_()
        self.spin(1.2)  # until the docks have their room
        for overlay in self.window.findChildren(Overlay):
            overlay.raise_()

    def ask(self, verb: Verb, text: str = "", quantity: str = "", **numbers: float) -> None:
        self.window.link.ask(verb, text, quantity, **numbers)

    @property
    def state(self) -> str:
        """The text of the state as the window shows it."""
        return self.window.run_bar.pill.text()


@cache
def _palette() -> Image.Image:
    """Return the colours of both themes, what lies between text and ground, and of the maps."""
    colours = [QColor(one) for look in (theme.LIGHT, theme.DARK) for one in _colours(look)]
    for look in (theme.LIGHT, theme.DARK):
        for first, second in ((look.text, look.window), (look.text, look.base)):
            colours += [_between(first, second, part / 8) for part in range(1, 8)]
        for tone in theme.Tone:
            colours += [_between(look.on_tone, look.tone(tone), part / 3) for part in (1, 2)]
        colours += [_of_button(look.bad).lighter(percent) for percent in range(102, 126, 2)]
        colours += [_between(look.window, look.bad, 0.14), _between(look.window, look.busy, 0.14)]
    viridis = pg.colormap.get("viridis").getLookupTable(nPts=64)
    flat = [part for one in colours for part in (one.red(), one.green(), one.blue())]
    flat += [int(part) for one in viridis for part in one]
    palette = Image.new("P", (1, 1))
    palette.putpalette((flat + 768 * [0])[:768])
    return palette


def _colours(look: theme.Theme) -> set[str]:
    values = [getattr(look, field.name) for field in fields(look)]
    named = {value for value in values if isinstance(value, str) and value.startswith("#")}
    return named | set(look.series)


def _of_button(colour: str) -> QColor:
    """Return what Fusion makes of a button's colour; it shades that from 124 % down to 102 %."""
    ground = QColor(colour)
    ground = ground.lighter(100 + max(1, (180 - qGray(ground.rgb())) // 6))
    hue, saturation, value, _ = ground.getHsv()
    return QColor.fromHsv(hue or 0, int(0.75 * (saturation or 0)), value or 0)


def _between(first: str, second: str, part: float) -> QColor:
    a, b = QColor(first), QColor(second)
    mixed = (round(x + part * (y - x)) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True))
    return QColor(*mixed)


def take_all(gallery: Gallery) -> None:
    window = gallery.window
    gallery.spin(6.0)
    gallery.picture("no_engine")
    window.search.watch(start_missing=True)
    gallery.until(lambda: window.link.latest is not None, "the engine")
    gallery.until(lambda: gallery.state == "IDLE", "the instruments")
    gallery.spin(2.0)
    gallery.picture("align_idle")
    _alignment(gallery)
    _planning(gallery)
    _running(gallery)
    _accidents(gallery)
    _browsing(gallery)
    _keyboard(gallery)
    _others(gallery)
    gallery.window.ask(Verb.QUIT)
    gallery.until(lambda: window.link.latest is None, "the engine's end")
    gallery.picture("disconnected")


def _alignment(gallery: Gallery) -> None:
    gallery.ask(Verb.MOVE, quantity="shutter", value=1.0)
    gallery.spin(1.0)
    gallery.ask(Verb.IMAGE, exposure_s=1.0)
    gallery.spin(4.0)
    gallery.ask(Verb.LIVE_STOP)
    gallery.ask(Verb.RASTER, columns=10, rows=10, step_um=0.3, exposure_s=0.2)
    gallery.spin(25.0)
    gallery.ask(Verb.STOP_NOW)
    for axis, um in (("x", -0.8), ("y", -0.4)):  # where the map is bright
        gallery.ask(Verb.MOVE, quantity=f"position_{axis}_um", value=um)
    gallery.spin(2.0)
    gallery.ask(Verb.MOVE, quantity="shutter", value=1.0)
    gallery.ask(Verb.LIVE, exposure_s=4.0)
    gallery.spin(6.0)
    gallery.picture("align_live")
    gallery.ask(Verb.MOVE, quantity="temperature_K", value=60.0)
    gallery.until(lambda: gallery.state == "MOVING", "a move")
    gallery.picture("align_moving")
    gallery.ask(Verb.STOP_MOVES)
    gallery.ask(Verb.MOVE, quantity="temperature_K", value=5.5)
    gallery.ask(Verb.LIVE_STOP)
    gallery.spin(1.0)


def _planning(gallery: Gallery) -> None:
    window = gallery.window
    gallery.until(lambda: gallery.state == "IDLE", "rest")
    window.show_perspective(Perspective.SWEEP)
    editor = window.docks.need("sweep")
    gallery.spin(1.0)
    gallery.picture("sweep_new")
    editor.open(gallery.lab / "stark.toml")  # type: ignore[attr-defined]
    gallery.spin(3.0)
    gallery.picture("sweep_planned")


def _running(gallery: Gallery) -> None:
    window = gallery.window
    window.bound.by_name["start"].trigger()
    gallery.until(lambda: window.situation.is_running, "the run")
    gallery.front = ("instruments", "strips")
    gallery.until(lambda: gallery.state == "SETTLING", "settling")
    gallery.picture("run_settling")
    gallery.until(lambda: window.model.size > 0 and window.point_cursor.point >= 14, "points")
    gallery.picture("run_measuring", "RUNNING")
    window.bound.by_name["pause"].trigger()
    gallery.until(lambda: gallery.state == "PAUSED", "the pause")
    gallery.picture("run_paused")
    window.close()
    gallery.picture("run_closing")
    window.question.dismiss()
    window.bound.by_name["resume"].trigger()
    gallery.until(lambda: not window.situation.is_running, "the end of the run")
    gallery.spin(2.0)
    gallery.complete = window.model.path
    gallery.picture("run_finished")


def _accidents(gallery: Gallery) -> None:
    """Measure a sample that leaks; then pull the plug of the shutter in the middle of a run."""
    window, lab = gallery.window, gallery.lab
    good = lab / "station_simulated.toml"
    gallery.window.ask(Verb.QUIT)
    gallery.until(lambda: window.link.latest is None, "the engine's end")
    bad, served = lab / "station_leaking.toml", lab / "station_served.toml"
    bad.write_text(good.read_text(encoding="utf-8") + LEAKS, encoding="utf-8")
    way = ("--write", served, "--scale", str(SERVED_PACE), "--transport", "elliptec=tcp")
    instruments = _cryoscan("simulate", bad, *way)
    try:
        gallery.until(served.exists, "served instruments")
        cable = _Cable.into(served, "shutter")
        _meet(gallery, served)
        window.show_perspective(Perspective.SWEEP)
        _start(gallery)
        gallery.until(lambda: gallery.state == "INTERLOCK", "the interlock")
        gallery.spin(2.0)
        gallery.picture("interlock")
        window.alarms.seen_button.click()
        _start(gallery)
        gallery.until(lambda: gallery.state == "RUNNING", "an exposure")
        cable.cut()
        gallery.until(lambda: window.situation.must_acknowledge, "a safe state not confirmed")
        gallery.until(lambda: gallery.state == "INSTRUMENTS OFF", "a refused connection")
        gallery.picture("safe_state_not_confirmed")
        window.bound.by_name["acknowledge"].trigger()
        while window.alarms.waiting:
            window.alarms.seen_button.click()
        gallery.until(lambda: not window.situation.must_acknowledge, "the acknowledgement")
        gallery.picture("instruments_off")
        gallery.window.ask(Verb.QUIT)
        gallery.until(lambda: window.link.latest is None, "the engine's end")
    finally:
        instruments.kill()
        instruments.wait()
    _meet(gallery, good)


class _Cable:
    """A TCP line through this process, that can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        Thread(target=self._serve, daemon=True).start()

    @classmethod
    def into(cls, station: Path, section: str) -> "_Cable":
        """Lead the line of an instrument of a served station through a cable."""
        text = station.read_text(encoding="utf-8")
        found = re.search(rf'\[{section}\][^\[]*?address = "tcp://127.0.0.1:(\d+)"', text)
        assert found is not None  # noqa: S101
        cable = cls(int(found[1]))
        station.write_text(text.replace(f":{found[1]}", f":{cable.port}"), encoding="utf-8")
        return cable

    def cut(self) -> None:
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [here, there]
                for one, other in ((here, there), (there, here)):
                    Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(4096):
            other.sendall(data)
    other.close()


def _meet(gallery: Gallery, station: Path) -> None:
    """Let the window start the engine of a station, and wait for its instruments."""
    gallery.window.choose_station(station)
    link = gallery.window.link
    gallery.until(lambda: link.latest is not None, "the engine")

    def is_there() -> bool:
        mode = None if link.latest is None else link.latest.mode
        if mode is Mode.DISCONNECTED:  # a line was too slow, as happens on a busy machine
            gallery.ask(Verb.CONNECT)
            gallery.spin(3.0)
        return mode is Mode.ALIGNING

    gallery.until(is_there, "lines")
    gallery.spin(1.0)


def _start(gallery: Gallery) -> None:
    editor = gallery.window.docks.need("sweep")
    gallery.until(lambda: editor.why_not_start() == "", "a sweep to start")  # type: ignore[attr-defined]
    gallery.window.bound.by_name["start"].trigger()
    gallery.until(lambda: gallery.window.situation.is_running, "the run")


def _cryoscan(*arguments: object) -> "subprocess.Popen[bytes]":
    program = "from acquisition.cli import main; main()"
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: S603 - our own program


def _browsing(gallery: Gallery) -> None:
    window = gallery.window
    if gallery.complete is not None:
        window.open(gallery.complete)
    window.show_perspective(Perspective.BROWSE)
    gallery.spin(10.0)
    window.follower.go(window.model.size // 2)
    gallery.picture("browse")


def _keyboard(gallery: Gallery) -> None:
    window = gallery.window
    window.bound.by_name["palette"].trigger()
    QTest.keyClicks(window.palette_.focusProxy() or window.palette_, "st")
    gallery.picture("palette")
    window.palette_.dismiss()
    window.bound.by_name["shortcuts"].trigger()
    gallery.picture("shortcuts")
    for sheet in window.findChildren(ShortcutSheet):
        QTest.keyClick(sheet, Qt.Key.Key_Escape)


def _others(gallery: Gallery) -> None:
    window = gallery.window
    window.show_perspective(Perspective.ALIGN)
    window.bound.by_name["release_command"].trigger()
    gallery.spin(0.5)
    address = window.link.address
    assert address is not None  # noqa: S101
    lena = WatcherLink.connect(address, "lena's window")
    lena.request(Verb.TAKE_COMMAND)
    gallery.until(lambda: "read only" in window.chip.pill.text(), "another in command")
    gallery.picture("read_only")
    lena.close()
    gallery.spin(0.5)
    window.bound.by_name["take_command"].trigger()
    gallery.spin(0.5)


def move_in(home: Path) -> Path:
    """Return the folder lab of a user who lives there: pictures show ~/lab, whoever takes them."""
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # compiled kernels
    os.environ["HOME"] = str(home)
    os.environ["CRYOSCAN_RUNTIME"] = str(home / "runtime")
    lab = home / "lab"
    lab.mkdir()
    return lab


def laboratory(folder: Path) -> Path:
    """Copy the example, with a quicker pace and fewer fields."""
    station = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    station = station.replace("[simulation]\n", f"[simulation]\nscale = {PACE}\n")
    station += POSITIONER
    (folder / "station_simulated.toml").write_text(station, encoding="utf-8")
    sweep = (EXAMPLES / "stark.toml").read_text(encoding="utf-8")
    sweep = sweep.replace("points = 3\n", "points = 1\n").replace("step = 10", "step = 20")
    (folder / "stark.toml").write_text(sweep, encoding="utf-8")
    return folder


def main() -> int:
    """Take every picture; 1 if a state did not come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/images/gallery"))
    parser.add_argument("--only", default="", help="pictures with this in their name")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([sys.argv[0]])
    with tempfile.TemporaryDirectory() as name:
        lab = move_in(Path(name))
        gallery = Gallery(app, options.folder, laboratory(lab), options.only)
        try:
            take_all(gallery)
        except TimeoutError as error:
            print(f"{error}; the window shows {gallery.state}", file=sys.stderr)
            return 1
        finally:
            gallery.ask(Verb.STOP_NOW)
            gallery.window.ask(Verb.QUIT)
            gallery.spin(2.0)
            gallery.window.close_for_good()
    return 0


if __name__ == "__main__":
    sys.exit(main())
