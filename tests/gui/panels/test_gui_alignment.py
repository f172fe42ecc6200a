"""The alignment panels against a real engine: light comes, is seen, counted, mapped and kept."""

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from acquisition.channel.messages import (
    FrameArrived,
    FrameSource,
    Mode,
    RasterProgress,
    Snapshot,
    Verb,
)
from gui.link.engine_link import EngineLink
from gui.live.live_frames import live_frames
from gui.look.theme import Tone
from gui.look.wording import DASH
from gui.panels.count_rate import CountRatePanel
from gui.panels.detector_image import DetectorImagePanel
from gui.panels.jog_pad import JogPanel
from gui.panels.live_spectrum import LiveSpectrumPanel
from gui.panels.raster_map import RasterMapPanel
from gui.views.spectral_unit import SpectralUnit

CSPBBR3_eV = (2.33, 2.45)  # where this material shines at low temperature
HC_eV_nm = 1239.841984


@pytest.fixture
def lit(watching):
    """The laser on the sample, the spectrograph where the nanocrystal shines."""
    middle = [(f"position_{axis}_um", 0.0) for axis in "xyz"]
    for quantity, value in (("shutter", 1.0), ("centre_nm", 518.3), ("grating", 0.0), *middle):
        if not watching.is_there(quantity, value):
            assert watching.asked(Verb.MOVE, quantity=quantity, value=value).ok
            watching.until_there(quantity, value)
    yield watching
    watching.asked(Verb.MOVE, quantity="shutter", value=0.0)


def typed(qtbot: QtBot, edit, text: str) -> None:
    edit.setFocus()
    edit.selectAll()
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


# --- the live spectrum


def test_an_exposure_typed_with_its_unit_begins_the_live_view(lit, shown, qtbot: QtBot) -> None:
    panel = shown(LiveSpectrumPanel(lit.link))
    typed(qtbot, panel.exposure, "500 ms")

    lit.until(lambda: panel.data.x.size > 0 and lit.latest.live is not None)  # in either order
    assert lit.latest.live.exposure_s == 0.5
    assert panel.data.x.size == lit.link.hello.pixels
    peak_eV = panel.data.x[np.argmax(panel.data.y)]
    assert CSPBBR3_eV[0] < peak_eV < CSPBBR3_eV[1]

    panel.set_unit(SpectralUnit.NM)
    lit.until(lambda: panel.data.x.size > 0 and panel.data.x.min() > 400)
    peak_nm = panel.data.x[np.argmax(panel.data.y)]
    assert HC_eV_nm / CSPBBR3_eV[1] < peak_nm < HC_eV_nm / CSPBBR3_eV[0]

    qtbot.mouseClick(panel.end_live, Qt.MouseButton.LeftButton)
    lit.until(lambda: lit.latest.live is None)
    lit.until(lambda: not panel.end_live.isEnabled())


def test_an_exposure_that_the_camera_can_not_do_is_refused_in_place(
    lit, shown, qtbot: QtBot
) -> None:
    panel = shown(LiveSpectrumPanel(lit.link))
    typed(qtbot, panel.exposure, "5000 s")

    lit.until(lambda: panel.note.said != "")
    assert "0.001 to 3600 s" in panel.note.said
    assert panel.note.tone is Tone.BAD
    typed(qtbot, panel.exposure, "3 um")
    assert "converts to s" in panel.note.said


def test_the_live_fit_gives_energy_width_and_verdict(lit, shown, qtbot: QtBot) -> None:
    panel = shown(LiveSpectrumPanel(lit.link))
    panel.fits.setChecked(True)
    typed(qtbot, panel.exposure, "4 s")

    lit.until(lambda: "FWHM" in panel.result.text(), 20_000)
    assert CSPBBR3_eV[0] < float(panel.result.text().split("(")[0]) < CSPBBR3_eV[1]
    assert panel.pill.text() in panel.result.text()
    assert panel.fitted.x.size > 0
    panel.fits.setChecked(False)
    assert panel.fitted.x.size == 0
    assert panel.result.text() == ""
    lit.until(lambda: not panel._fits.is_busy)


def test_peak_hold_keeps_the_highest_and_a_reference_stays(lit, shown, qtbot: QtBot) -> None:
    panel = shown(LiveSpectrumPanel(lit.link))
    panel.hold.setChecked(True)
    typed(qtbot, panel.exposure, "200 ms")
    frames = live_frames(lit.link)
    lit.until(lambda: frames.spectrum is not None and frames.spectrum.exposure_s == 0.2)
    seen = [frames.spectrum.counts]
    first = frames.spectrum.number
    panel.keep_reference()
    frames.spectrum_came.connect(lambda: seen.append(frames.spectrum.counts))
    lit.until(lambda: frames.spectrum.number > first + 3)
    lit.asked(Verb.LIVE_STOP)
    panel._redraw.now()

    assert np.all(panel.peaks.y >= np.max(seen[1:], axis=0))
    assert panel.reference.y == pytest.approx(seen[0])
    panel.hold.setChecked(False)
    panel.clear_reference()
    panel._redraw.now()
    assert panel.peaks.x.size == panel.reference.x.size == 0


def test_a_reference_comes_from_any_known_file(lit, shown, qtbot: QtBot, tmp_path: Path) -> None:
    panel = shown(LiveSpectrumPanel(lit.link))
    typed(qtbot, panel.exposure, "200 ms")
    lit.until(lambda: panel.data.x.size > 0)
    wavelength_nm = np.linspace(515, 522, 60)
    counts = 100 + 900 * np.exp(-(((wavelength_nm - 518.3) / 0.4) ** 2))
    file = tmp_path / "before.txt"
    file.write_text(
        "\n".join(f"{w:.4f}\t{c:.2f}" for w, c in zip(wavelength_nm, counts, strict=True))
    )

    panel.load_reference(file)
    assert "before.txt" in panel.note.said
    panel._redraw.now()
    assert panel.reference.x == pytest.approx(HC_eV_nm / wavelength_nm, rel=1e-6)
    assert panel.reference.y.max() == pytest.approx(panel.data.y.max())

    (tmp_path / "nothing.txt").write_text("no spectrum")
    panel.load_reference(tmp_path / "nothing.txt")
    assert panel.note.tone is Tone.BAD
    panel.load.click()
    dialog = panel.findChild(QFileDialog)
    assert not dialog.isModal()
    dialog.close()
    qtbot.waitUntil(lambda: panel.findChild(QFileDialog) is None)


def test_without_a_spectrum_nothing_is_kept(shown) -> None:
    panel = shown(LiveSpectrumPanel(EngineLink()))
    panel.keep_reference()

    assert "no spectrum yet" in panel.note.said
    assert not panel.live.isEnabled()
    assert panel.live.toolTip() == "no engine is connected"


# --- the detector


def test_the_whole_chip_is_seen_and_the_picked_rows_become_the_spectrum(
    lit, shown, qtbot: QtBot
) -> None:
    panel = shown(DetectorImagePanel(lit.link))
    typed(qtbot, panel.exposure, "10 s")
    lit.until(lambda: panel._sums.x.size > 0)
    assert panel._picture.values.shape == (lit.link.hello.rows, lit.link.hello.pixels)
    lit_rows = slice(118, 138)  # as in the station file
    dark = np.delete(panel._sums.x, lit_rows)  # sums lie along x, rows along y
    assert abs(np.median(dark)) < 0.05 * 1000 * lit.link.hello.pixels  # the offset is taken off
    assert panel._sums.x[lit_rows].mean() > np.median(dark) + 5 * dark.std() / 20**0.5

    panel.bands[0].setRegion((119.5, 130.5))
    assert panel.rows == (120, 130)
    assert (panel.first.value, panel.last.value) == (120, 130)
    assert panel.bands[1].getRegion() == pytest.approx((119.5, 130.5))
    qtbot.mouseClick(panel.use, Qt.MouseButton.LeftButton)

    lit.until(lambda: lit.latest.live is not None and lit.latest.live.last_row == 130)
    assert lit.latest.live.source is FrameSource.LIVE
    assert lit.latest.live.first_row == 120


def test_rows_are_typed_within_the_chip(lit, shown, qtbot: QtBot) -> None:
    panel = shown(DetectorImagePanel(lit.link))
    typed(qtbot, panel.exposure, "100 ms")
    lit.until(lambda: panel._sums.x.size > 0)
    typed(qtbot, panel.first, "100")
    typed(qtbot, panel.last, "110")
    assert panel.rows == (100, 110)

    typed(qtbot, panel.last, "9999")
    assert "the chip" in panel.note.said
    assert panel.rows == (100, 110)


def test_zero_order_and_back(lit, shown, qtbot: QtBot) -> None:
    panel = shown(DetectorImagePanel(lit.link))
    lit.until(panel.zero_order.isEnabled)
    lit.sent(Verb.LIVE, exposure_s=1.0)
    panel.zero_order.click()
    lit.until_there("centre_nm", 0.0)
    assert panel.zero_order.text() == "Back to 518.3 nm"
    frames = live_frames(lit.link)
    lit.until(lambda: frames.spectrum is not None and 508 < frames.spectrum.counts.argmax() < 516)

    lit.until(panel.zero_order.isEnabled)
    panel.zero_order.click()
    lit.until_there("centre_nm", 518.3)
    assert panel.zero_order.text() == "&Zero order"


# --- the map


def test_a_map_is_measured_and_the_marked_place_is_reached(lit, shown, qtbot: QtBot) -> None:
    panel = shown(RasterMapPanel(lit.link))
    for edit, text in ((panel.columns, "4"), (panel.rows, "3"), (panel.step, "400 nm")):
        typed(qtbot, edit, text)
    typed(qtbot, panel.exposure, "100 ms")
    frames = live_frames(lit.link)
    lit.until(panel.start.isEnabled)
    panel.begin()

    lit.until(lambda: frames.map is not None and np.isfinite(frames.map.rate_per_s).all(), 60_000)
    assert frames.map.rate_per_s.shape == (3, 4)
    assert frames.map.x_um[1] - frames.map.x_um[0] == pytest.approx(1.6)
    lit.until(lambda: lit.latest.raster is None)

    x_um, y_um = frames.map.progress.left_um + 0.4, frames.map.progress.bottom_um
    panel.plot.double_clicked.emit(x_um, y_um)
    assert panel.focusWidget() is panel.go
    assert panel.go.text() == f"&Go to {x_um:.4g}, {y_um:.4g} um"
    before = lit.readback("position_x_um")
    QTest.qWait(150)
    assert lit.readback("position_x_um") == before  # it only offers
    lit.until(panel.go.isEnabled)
    qtbot.keyClick(panel.go, Qt.Key.Key_Return)
    lit.until_there("position_x_um", x_um, within=0.11)
    lit.until_there("position_y_um", y_um, within=0.11)


def test_a_map_is_stopped_and_refused_without_light(lit, shown, qtbot: QtBot) -> None:
    panel = shown(RasterMapPanel(lit.link))
    lit.until(panel.start.isEnabled)
    panel.begin()
    lit.until(panel.stop.isEnabled)
    panel.end()
    lit.until(lambda: lit.latest.raster is None)

    lit.asked(Verb.MOVE, quantity="shutter", value=0.0)
    lit.until_there("shutter", 0.0)
    panel.begin()
    lit.until(lambda: "open the laser shutter first" in panel.note.said)


def raster(done: int, left_um: float = 0.0) -> Snapshot:
    progress = RasterProgress(done, 4, 2, 2, left_um, 0.0, 1.0)
    return Snapshot(Mode.ALIGNING, 0.0, raster=progress)


def place(point: int, counts: float):
    arrived = FrameArrived(FrameSource.RASTER, point, 1.0, 0.0, 0.0, (1,), point=point)
    return arrived, np.array([counts]), np.array([518.0])


def test_places_that_come_before_their_map_is_known_are_not_lost() -> None:
    link = EngineLink()
    frames = live_frames(link)
    link.frames.emit([place(0, 10.0)])
    assert frames.map is None
    link.snapshot.emit(raster(1))
    link.frames.emit([place(1, 20.0), place(3, 40.0), place(2, 30.0)])
    assert frames.map.rate_per_s.tolist() == [[10.0, 20.0], [30.0, 40.0]]

    link.snapshot.emit(raster(4))
    link.frames.emit([place(0, 11.0)])  # the same map once more
    assert frames.map.rate_per_s[0, 0] == 10.0
    link.snapshot.emit(raster(1))
    assert frames.map.rate_per_s[0, 0] == 11.0
    assert np.isnan(frames.map.rate_per_s[1]).all()
    assert live_frames(link) is frames
    link.deleteLater()


# --- the count rate


def test_the_rate_is_counts_above_the_offset_per_second_within_the_window() -> None:
    link = EngineLink()
    frames = live_frames(link)
    frames.noise = type(frames.noise)(offset_counts=100.0)
    arrived = FrameArrived(FrameSource.LIVE, 1, 0.5, 0.0, 7.0, (3,))
    wavelength_nm = HC_eV_nm / np.array([2.30, 2.40, 2.50])
    link.frames.emit([(arrived, np.array([110, 300, 120]), wavelength_nm)])
    assert frames.rates[-1] == (7.0, pytest.approx((10 + 200 + 20) / 0.5))

    frames.set_window((2.45, 2.35))
    assert frames.rate_per_s(frames.spectrum) == pytest.approx(200 / 0.5)
    frames.set_window((1.0, 1.1))
    assert np.isnan(frames.rate_per_s(frames.spectrum))
    link.deleteLater()


def test_the_rate_is_seen_against_time_and_its_window_is_typed(lit, shown, qtbot: QtBot) -> None:
    panel = shown(CountRatePanel(lit.link))
    lit.asked(Verb.LIVE, exposure_s=0.5)
    lit.until(lambda: panel._curve.x.size > 4)
    whole = float(panel.number.text().replace("\u2009", ""))
    assert panel._curve.x[-1] == 0
    assert np.all(np.diff(panel._curve.x) > 0)

    typed(qtbot, panel.low, "2.38 eV")
    typed(qtbot, panel.high, "2.40 eV")
    assert live_frames(lit.link).window_eV == (2.38, 2.40)
    count = len(live_frames(lit.link).rates)
    lit.until(lambda: len(live_frames(lit.link).rates) > count + 2)
    assert 0 < float(panel.number.text().replace("\u2009", "")) < 2 * whole
    panel.whole.click()
    assert panel.low.text() == ""
    typed(qtbot, panel.low, "red")
    assert "red" in panel.note.said


def test_where_nothing_is_counted_any_more_no_old_number_stays(lit, shown) -> None:
    panel = shown(CountRatePanel(lit.link))
    lit.asked(Verb.LIVE, exposure_s=0.5)
    lit.until(lambda: panel.number.text() != DASH)
    lit.asked(Verb.LIVE_STOP)

    lit.until(lambda: lit.latest.live is None)
    lit.until(lambda: panel.number.text() == DASH)
    assert panel._curve.x.size  # what was counted stays in the plot


# --- keys and the nanocrystal


def test_the_keys_move_the_sample_while_the_pad_has_the_focus(
    watching, shown, qtbot: QtBot
) -> None:
    panel = shown(JogPanel(watching.link))
    here = [f"position_{axis}_um" for axis in "xyz"]
    watching.until(lambda: None not in [watching.readback(quantity) for quantity in here])
    start = {axis: watching.readback(f"position_{axis}_um") for axis in "xyz"}
    typed(qtbot, panel.step, "0.5 um")
    assert panel.focusWidget() is panel.pad

    for key, axis, step_um in (
        (Qt.Key.Key_Right, "x", 0.5),
        (Qt.Key.Key_Up, "y", 0.5),
        (Qt.Key.Key_PageDown, "z", -0.5),
        (Qt.Key.Key_Left, "x", 0.0),
        (Qt.Key.Key_Down, "y", 0.0),
        (Qt.Key.Key_PageUp, "z", 0.0),
    ):
        qtbot.keyClick(panel.pad, key)
        watching.until_there(f"position_{axis}_um", start[axis] + step_um, within=0.06)
    qtbot.keyClicks(panel.pad, "+")
    assert panel.step.value == 1.0
    qtbot.keyClicks(panel.pad, "-")
    assert panel.step.value == 0.5
    assert panel.places["x"].text().endswith("um")


def test_a_jog_beyond_the_travel_is_refused_in_place(watching, shown, qtbot: QtBot) -> None:
    panel = shown(JogPanel(watching.link))
    watching.until(lambda: watching.readback("position_x_um") is not None)
    typed(qtbot, panel.step, "9 mm")
    panel.jog("x", +1)

    watching.until(lambda: "positioner.travel" in panel.note.said)


def test_this_is_my_nanocrystal_keeps_it_under_the_typed_name(lit, shown, qtbot: QtBot) -> None:
    panel = shown(JogPanel(lit.link))
    panel.save.click()
    assert "give it a name" in panel.kept.said
    assert panel.focusWidget() is panel.name

    lit.asked(Verb.LIVE, exposure_s=0.5)
    lit.until(lambda: live_frames(lit.link).spectrum is not None)
    qtbot.keyClicks(panel.name, "CS-03/5")
    qtbot.keyClick(panel.name, Qt.Key.Key_Return)

    lit.until(lambda: panel.kept.tone is Tone.GOOD)
    assert panel.kept.said.startswith("CS-03/5 is kept")


def test_without_a_positioner_the_pad_says_so(shown) -> None:
    panel = shown(JogPanel(EngineLink()))
    assert panel.pad._text() == "no engine is connected"
    panel.jog("x", 1)
    assert "no engine is connected" in panel.note.said
