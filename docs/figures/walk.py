"""Walk through the window as docs/tutorial/the-window.md does, and take its pictures.

    python docs/figures/walk.py [docs/images/walk]

Every step waits for what the page says one sees, and fails where that does not come.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PyQt6.QtCore import QEventLoop, QSettings, Qt, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget

from acquisition.channel.engine_address import EngineAddress, list_engines
from acquisition.channel.messages import Mode, MoveState, Verb
from gui.app import open_window
from gui.window.main_window import MainWindow
from gui.window.panel_docks import Perspective

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = (1366, 768)
PACE = 40.0
PATIENCE_S = 60.0
COLOURS = 160  # of a picture: half the size, and nobody sees it
POSITIONER = """
[positioner]
model = "attocube.anc300"
address = "sim://positioner"
step = "0.1 um"
options = { drive_V = 50.0 }
"""
NAME = "CS-03/5"


class Walk:
    """One window on one engine; pictures go into a folder, or nowhere."""

    def __init__(self, window: MainWindow, lab: Path, pictures: Path | None) -> None:
        self.window = window
        self.lab = lab
        self._pictures = pictures
        self.step = "start"

    def panel(self, key: str) -> "QWidget":
        return self.window.docks.need(key)

    def spin(self, seconds: float) -> None:
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait for what the page says one sees. Raises TimeoutError naming the step."""
        for _ in range(round(PATIENCE_S / 0.05)):
            if is_so():
                return
            self.spin(0.05)
        raise TimeoutError(f"{self.step}: what the page says did not come")

    def begin(self, step: str) -> None:
        self.step = step

    def picture(self, name: str, *, wait_s: float = 0.6) -> None:
        """Take a picture of the whole window."""
        if self._pictures is None:
            return
        from PIL import Image  # noqa: PLC0415 - only who takes pictures needs it

        self.spin(wait_s)
        picture = self.window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        bits = picture.constBits()
        assert bits is not None  # noqa: S101
        size, line = (picture.width(), picture.height()), picture.bytesPerLine()
        whole = Image.frombuffer(
            "RGB", size, bits.asstring(picture.sizeInBytes()), "raw", "RGB", line
        )
        few = whole.quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(self._pictures / f"{name}.png", optimize=True)

    def place(self, quantity: str) -> float | None:
        """Where something rests; None while it moves."""
        latest = self.window.link.latest
        moves = {} if latest is None else {move.quantity: move for move in latest.moves}
        move = moves.get(quantity)
        return move.readback if move and move.state is MoveState.RESTING else None

    def until_at(self, quantity: str, value: float, within: float) -> None:
        """Wait until something rests at a value."""

        def is_there() -> bool:
            place = self.place(quantity)
            return place is not None and abs(place - value) <= within

        self.until(is_there)

    def type_into(self, field: QWidget, text: str) -> None:
        """Type and press Enter, as a person does."""
        field.setFocus()
        field.selectAll()  # type: ignore[attr-defined]
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)

    def press(self, name: str) -> None:
        """Do what the action of that name does."""
        self.window.bound.by_name[name].trigger()


def walk_through(walk: Walk) -> None:
    """All steps of the page, in its order."""
    connect(walk)
    light(walk)
    rows(walk)
    position(walk)
    nanocrystal(walk)
    plan(walk)
    measure(walk)
    stop(walk)
    browse(walk)


def connect(walk: Walk) -> None:
    walk.begin("connect")
    link = walk.window.link
    walk.until(lambda: link.latest is not None and link.latest.mode is Mode.ALIGNING)
    walk.until(lambda: link.hello is not None and link.hello.movables)
    walk.window.show_perspective(Perspective.ALIGN)
    walk.picture("connected", wait_s=3.0)


def light(walk: Walk) -> None:
    walk.begin("light")
    instruments, live = walk.panel("instruments"), walk.panel("live")
    walk.until(lambda: "shutter" in instruments.moves)
    shutter, centre = instruments.moves["shutter"], instruments.moves["centre_nm"]
    shutter.choice.setCurrentText("open")
    shutter.choice.activated.emit(shutter.choice.currentIndex())
    walk.until(lambda: shutter.readback.text() == "open")
    walk.type_into(centre.target, "518.3 nm")
    walk.until_at("centre_nm", 518.3, within=0.1)
    walk.type_into(live.exposure, "2 s")
    walk.until(lambda: live.data.x.size > 0)
    live.fits.setChecked(True)
    walk.until(lambda: "FWHM" in live.result.text())
    walk.picture("light", wait_s=1.0)


def rows(walk: Walk) -> None:
    walk.begin("rows")
    detector = walk.panel("detector")
    walk.type_into(detector.exposure, "20 s")
    walk.until(lambda: detector.row_sums.size > 0)
    bright = int(np.argmax(np.convolve(detector.row_sums, np.ones(9), "same")))
    detector.pick(bright - 8, bright + 8)
    walk.picture("rows")
    detector.use.click()
    link = walk.window.link
    walk.until(lambda: link.latest and link.latest.live and link.latest.live.last_row == bright + 8)
    walk.type_into(walk.panel("live").exposure, "2 s")


def position(walk: Walk) -> None:
    walk.begin("position")
    pad, light_map = walk.panel("position"), walk.panel("raster")
    walk.until_at("position_x_um", 0.0, within=0.06)
    pad.pad.setFocus()
    QTest.keyClick(pad.pad, Qt.Key.Key_Right)
    walk.until_at("position_x_um", 0.5, within=0.06)
    for field, text in (
        (light_map.columns, "7"),
        (light_map.rows, "5"),
        (light_map.step, "0.5 um"),
        (light_map.exposure, "1 s"),
    ):
        walk.type_into(field, text)
    walk.until(light_map.start.isEnabled)
    light_map.start.click()
    walk.until(lambda: light_map.map is not None)
    walk.until(lambda: np.isfinite(light_map.map.rate_per_s).all())
    walk.until(lambda: walk.window.link.latest and walk.window.link.latest.raster is None)
    found = light_map.map
    row, column = np.unravel_index(np.argmax(found.rate_per_s), found.rate_per_s.shape)
    x_um = found.progress.left_um + column * found.progress.step_um
    y_um = found.progress.bottom_um + row * found.progress.step_um
    light_map.plot.double_clicked.emit(x_um, y_um)
    walk.picture("map")
    walk.until(light_map.go.isEnabled)
    QTest.keyClick(light_map.go, Qt.Key.Key_Return)
    walk.until_at("position_x_um", x_um, within=0.11)
    walk.until_at("position_y_um", y_um, within=0.11)


def nanocrystal(walk: Walk) -> None:
    walk.begin("nanocrystal")
    pad = walk.panel("position")
    walk.type_into(walk.panel("live").exposure, "2 s")
    walk.spin(0.5)
    walk.type_into(pad.name, NAME)
    walk.until(lambda: pad.kept.said.startswith(f"{NAME} is kept"))
    walk.panel("live").end_live.click()


def plan(walk: Walk) -> None:
    walk.begin("plan")
    walk.window.show_perspective(Perspective.SWEEP)
    editor = walk.panel("sweep")
    walk.window.docks.reveal("sweep")
    editor.open(walk.lab / "stark.toml")
    walk.until(lambda: editor.verdict is not None and editor.verdict.result is not None)
    points = editor.form.fields["axis", 2, "points"]
    editor.form.go_to(points.place)
    points.editor.selectAll()
    QTest.keyClicks(points.editor, "-300..300 step 50")
    walk.until(lambda: points.troubles)
    editor.form.go_to(points.place)
    walk.picture("finding")
    points.editor.selectAll()
    QTest.keyClicks(points.editor, "-100..100 step 50")
    walk.until(lambda: editor.why_not_start() == "")
    editor.save_to(walk.lab / "my_stark.toml")
    walk.until(lambda: editor.why_not_start() == "")
    walk.picture("planned")


def measure(walk: Walk) -> None:
    walk.begin("measure")
    window = walk.window
    walk.press("start")
    walk.until(lambda: window.situation.is_running)
    walk.until(lambda: window.model.size > 0 and window.point_cursor.point >= 3)
    queue = walk.panel("queue")
    walk.until(queue.note_down.isEnabled)
    walk.type_into(queue.text, "the line wanders")
    walk.until(lambda: queue.note.said == "noted")
    walk.picture("measuring")
    walk.press("pause")
    walk.until(lambda: window.run_bar.pill.text() == "PAUSED")
    walk.press("resume")
    walk.until(lambda: window.run_bar.pill.text() in ("SETTLING", "RUNNING"))


def stop(walk: Walk) -> None:
    walk.begin("stop")
    window = walk.window
    walk.press("stop")
    walk.until(lambda: not window.situation.is_running)
    walk.until(lambda: window.link.latest and window.link.latest.mode is Mode.ALIGNING)
    walk.picture("stopped")


def browse(walk: Walk) -> None:
    walk.begin("browse")
    window = walk.window
    window.show_perspective(Perspective.BROWSE)
    walk.until(lambda: window.model.size > 0)
    window.follower.go(2)
    walk.picture("browsing", wait_s=2.0)


def move_in(home: Path) -> Path:
    """Return the folder lab of a user who lives there: pictures show ~/lab, whoever takes them."""
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # compiled kernels
    os.environ["HOME"] = str(home)
    os.environ["CRYOSCAN_RUNTIME"] = str(home / "runtime")
    lab = home / "lab"
    lab.mkdir()
    return lab


def laboratory(folder: Path) -> Path:
    """Return a station file: the example with a positioner, at a quicker pace."""
    text = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    station = folder / "station.toml"
    text = text.replace("[simulation]\n", f"[simulation]\nscale = {PACE}\n")
    station.write_text(text + POSITIONER, encoding="utf-8")
    shutil.copy(EXAMPLES / "stark.toml", folder)
    shutil.copy(EXAMPLES / "station_simulated.toml", folder)
    return station


def engine_for(station: Path) -> "subprocess.Popen[bytes]":
    """Start an engine that knows the sample's limits."""
    program = "from acquisition.cli import main; main()"
    command = [sys.executable, "-P", "-c", program, "engine", str(station)]
    command += ["--sample", str(EXAMPLES / "stark.toml")]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=quiet, stderr=quiet, start_new_session=True
    )


def address_of(process: "subprocess.Popen[bytes]") -> EngineAddress | None:
    return next((found for found in list_engines() if found.pid == process.pid), None)


def main() -> int:
    """Take the pictures; 1 if a step failed."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images/walk")
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([sys.argv[0]])
    with tempfile.TemporaryDirectory() as name:
        lab = move_in(Path(name))
        station = laboratory(lab)
        process = engine_for(station)
        settings = QSettings(str(lab / "window.ini"), QSettings.Format.IniFormat)
        window = open_window(app, settings, station=station, starts_engine=False)
        window.resize(*SIZE)
        try:
            walk_through(Walk(window, lab, folder))
        except TimeoutError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            window.link.ask(Verb.QUIT)
            QTest.qWait(500)
            window.close_for_good()
            process.terminate()
            process.wait(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
