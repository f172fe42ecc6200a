"""The spectrum as it comes, with peak hold, a reference, and a fit that keeps pace."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.messages import Answer, FrameSource, LiveExposure, Snapshot, Verb
from analysis.estimation.verdict import Verdict
from analysis.spectra.spectrum_fit import FitModel
from gui.link.engine_link import EngineLink
from gui.link.hands_off import hands_off
from gui.link.requests import Requests
from gui.live.live_fit import LiveFit, fit_live, in_words
from gui.live.live_frames import live_frames
from gui.live.reference_spectrum import Reference, reference_from, reference_in
from gui.look.theme import Role, Tone
from gui.plotting.plots import Plot
from gui.threads.latest_wins import LatestWins
from gui.views.redraw import Redraw
from gui.views.row_look import verdict_look
from gui.views.spectral_unit import SpectralUnit
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.compact_button import CompactButton
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.file_question import ask_open
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.status_pill import StatusPill
from gui.widgets.text_width import TextWidth

__all__ = ["LiveSpectrumPanel"]

Array = NDArray[np.float64]
FIRST_EXPOSURE_s = 0.2
LINES: dict[str, object] = {"1 line": 1, "2 lines": 2, "3 lines": 3, "auto": "auto"}
SHAPES = ("gauss", "lorentz")
NO_LINE = (Verdict.NO_SIGNAL, Verdict.FAILED)


class LiveSpectrumPanel(QWidget):
    """Exposure typed with its unit: Enter begins the live view, or changes it."""

    title = "Live spectrum"

    def __init__(self, link: EngineLink, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self._frames = live_frames(link)
        self._requests = Requests(link, self)
        self._fits = LatestWins("fit the live spectrum", self, tells_overtaken=True)
        self._fits.done.connect(self._on_fit)
        self._unit = SpectralUnit.EV
        self._held: Array | None = None
        self._held_key: tuple[float, int] = (0.0, 0)  # exposure and pixels of the peak hold
        self._reference: Reference | None = None
        self._fit: LiveFit | None = None
        self.exposure = QuantityEdit("s", 0.0, value=FIRST_EXPOSURE_s)
        self.live, self.end_live = CompactButton("&Live"), CompactButton("Stop")
        self.hold, self.fits = QCheckBox("peak hol&d"), QCheckBox("fi&t")
        self.lines, self.shape, self.units = ChoiceBox(), ChoiceBox(), ChoiceBox()
        self.keep = CompactButton("&Keep", "keep what is seen now as reference")
        self.load = CompactButton("File…", "take a reference from a file")
        self.clear = CompactButton("None", "draw no reference")
        self.note, self.result, self.pill = Note(), ElidedLabel(), StatusPill()
        self.readout = ElidedLabel("", Qt.TextElideMode.ElideLeft)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.plot = Plot("photon energy", "eV", "counts", name="live spectrum")
        self.data = self.plot.curve("live", Role.DATA)
        self.reference = self.plot.curve("reference", Role.REFERENCE)
        self.peaks = self.plot.curve("peak hold", Role.PEAK_HOLD)
        self.fitted = self.plot.curve("fit", Role.FIT)
        self.plot.invite("No spectrum yet: type an exposure and press Live")
        self._lay_out()
        self._redraw = Redraw(self, self._draw)
        self._listen()
        self._show_permission()

    # --- what a user does

    def begin(self) -> None:
        """Expose again and again, with the rows that are in use."""
        exposure_s = self.exposure.value or FIRST_EXPOSURE_s
        rows = _rows(self._link.latest.live if self._link.latest else None)
        self._requests.ask(
            Verb.LIVE, self._on_answer, text="", quantity="", exposure_s=exposure_s, **rows
        )

    def end(self) -> None:
        """Expose no more."""
        self._requests.ask(Verb.LIVE_STOP, self._on_answer)

    def keep_reference(self) -> None:
        """Keep what is seen now and draw it behind what comes."""
        seen = self._frames.spectrum
        if seen is None:
            self.note.say("there is no spectrum yet that could be kept", Tone.CAUTION)
            return
        self._set_reference(reference_from(seen, self._frames.noise.offset_counts))

    def load_reference(self, path: Path) -> None:
        """Draw the first spectrum of a file, as high as the live one."""
        try:
            self._set_reference(reference_in(path))
        except (OSError, ValueError) as error:
            self.note.say(str(error), Tone.BAD)
            return
        self.note.say(f"reference: {path.name}, drawn as high as the live spectrum")

    def clear_reference(self) -> None:
        self._set_reference(None)

    def set_unit(self, unit: SpectralUnit) -> None:
        """Show photon energies or wavelengths."""
        self._unit = unit
        self.units.show_choice(unit.value)
        self.plot.set_x_axis(unit.label, unit.value)
        self.plot.restore_auto()
        self._redraw.soon()

    def memory(self) -> dict[str, object]:
        """Return how it was left."""
        return {
            "exposure_s": self.exposure.value,
            "unit": self._unit.value,
            "lines": self.lines.currentText(),
            "shape": self.shape.currentText(),
            "fit": self.fits.isChecked(),
        }

    def recall(self, remembered: Mapping[str, object]) -> None:
        """Be as it was left; nothing is asked of the engine."""
        exposure_s = remembered.get("exposure_s")
        if isinstance(exposure_s, float) and exposure_s > 0:
            self.exposure.set_value(exposure_s)
        self.lines.setCurrentText(str(remembered.get("lines", "auto")))
        self.shape.setCurrentText(str(remembered.get("shape", SHAPES[0])))
        self.fits.setChecked(remembered.get("fit") is True)
        if remembered.get("unit") == SpectralUnit.NM.value:
            self.set_unit(SpectralUnit.NM)

    # --- inside

    def _lay_out(self) -> None:
        self.exposure.setAccessibleName("exposure of the live view")
        TextWidth(self.exposure, least="0.2 s", most="0.001 min")
        self.lines.addItems(list(LINES))
        self.lines.setCurrentText("auto")
        self.shape.addItems(list(SHAPES))
        self.units.addItems([unit.value for unit in SpectralUnit])
        for box, name in (
            (self.lines, "lines of the live fit"),
            (self.shape, "shape of the lines"),
            (self.units, "unit of the spectral axis"),
        ):
            box.setAccessibleName(name)
            box.setToolTip(name)
        self.plot.tools.insertWidget(0, self.units)
        self.plot.tools.insertWidget(1, self.readout, 8)
        label = QLabel("e&xposure")
        label.setBuddy(self.exposure)
        first, second, third = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        shown = (label, self.exposure, self.live, self.end_live, self.hold, self.fits)
        for widget in shown:
            first.addWidget(widget)
        first.addStretch(1)
        for widget in (QLabel("reference"), self.keep, self.load, self.clear):
            second.addWidget(widget)
        second.addSpacing(8)
        for choice in (self.lines, self.shape):
            second.addWidget(choice)
        second.addStretch(1)
        third.addWidget(self.pill)
        third.addWidget(self.result, 1)
        self.pill.hide()
        self.result.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        column.addLayout(first)
        column.addLayout(second)
        column.addLayout(third)
        column.addWidget(self.note)
        column.addWidget(self.plot, 1)

    def _listen(self) -> None:
        self.exposure.applied.connect(lambda _value: self.begin())
        self.exposure.refused.connect(lambda why: self.note.say(why, Tone.BAD))
        self.live.clicked.connect(lambda _c: self.begin())
        self.end_live.clicked.connect(lambda _c: self.end())
        self.keep.clicked.connect(lambda _c: self.keep_reference())
        self.load.clicked.connect(lambda _c: self._ask_file())
        self.clear.clicked.connect(lambda _c: self.clear_reference())
        self.hold.toggled.connect(self._on_hold)
        self.fits.toggled.connect(self._on_fits)
        self.lines.activated.connect(lambda _i: self._ask_fit())
        self.shape.activated.connect(lambda _i: self._ask_fit())
        self.units.activated.connect(
            lambda _i: self.set_unit(SpectralUnit(self.units.currentText()))
        )
        self._frames.spectrum_came.connect(self._on_spectrum)
        self._link.snapshot.connect(self._on_snapshot)
        self._link.lost.connect(self._show_permission)
        self.plot.hovered.connect(self._read_out)
        self.plot.left.connect(lambda: self.readout.setText(""))

    def _ask_file(self) -> None:
        ask_open(self, "Reference spectrum", (), self.load_reference)

    def _set_reference(self, reference: Reference | None) -> None:
        self._reference = reference
        self.note.say("")
        self._redraw.soon()

    def _on_answer(self, answer: Answer) -> None:
        self.note.say("" if answer.ok else answer.text, Tone.NEUTRAL if answer.ok else Tone.BAD)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._show_permission()
        live = snapshot.live
        if live is not None and live.source is FrameSource.LIVE:
            self.exposure.set_value(live.exposure_s)

    def _show_permission(self) -> None:
        why_not, latest = hands_off(self._link), self._link.latest
        self.live.setEnabled(not why_not)
        self.exposure.setEnabled(not why_not)
        self.live.setToolTip(why_not or "expose again and again")
        self.end_live.setEnabled(latest is not None and latest.live is not None)

    # --- drawing

    def _on_spectrum(self) -> None:
        seen = self._frames.spectrum
        assert seen is not None  # noqa: S101 - the signal says so
        key = (seen.exposure_s, seen.counts.size)
        if self.hold.isChecked():
            held = self._held if key == self._held_key else None
            self._held = seen.counts if held is None else np.maximum(held, seen.counts)
            self._held_key = key
        if self.fits.isChecked():
            self._ask_fit()
        self._redraw.soon()

    def _draw(self) -> None:
        seen = self._frames.spectrum
        if seen is None:
            return
        self.data.show(self._places(seen.energy_eV, seen.wavelength_nm), seen.counts)
        x = self.data.x
        if self._held is not None and self._held.size == x.size:
            self.peaks.show(x, self._held)
        if self._reference is None:
            self.reference.clear()
        else:
            there = self._reference
            heights = there.beside(seen, self._frames.noise.offset_counts)
            self.reference.show(self._places(there.energy_eV, there.wavelength_nm), heights)

    def _places(self, energy_eV: Array, wavelength_nm: Array) -> Array:
        """Return where the pixels lie; their numbers where no axis is known."""
        place = energy_eV if self._unit is SpectralUnit.EV else wavelength_nm
        return place if np.isfinite(place).any() else np.arange(float(place.size))

    def _on_hold(self, is_on: bool) -> None:
        self._held = None
        if not is_on:
            self.peaks.clear()

    # --- the fit

    def _on_fits(self, is_on: bool) -> None:
        self.pill.setVisible(is_on)
        self.result.setVisible(is_on)
        if is_on:
            self._ask_fit()
        else:
            self._fits.forget()
            self.fitted.clear()
            self.result.setText("")

    def _ask_fit(self) -> None:
        seen = self._frames.spectrum
        if seen is None or not self.fits.isChecked():
            return
        model = FitModel(
            lines=LINES[self.lines.currentText()],  # type: ignore[arg-type] # of the choices
            shape=self.shape.currentText(),  # type: ignore[arg-type]
            window_eV=self._frames.window_eV,
        )
        self._fits.ask(partial(fit_live, seen, model, self._frames.noise))

    def _on_fit(self, live: object) -> None:
        assert isinstance(live, LiveFit)  # noqa: S101
        if not self.fits.isChecked():
            return
        self.result.setText(in_words(live))
        self.pill.show_look(verdict_look(live.fit.verdict.value if live.fit else None))
        if live.curve is None or live.fit is None or live.fit.verdict in NO_LINE:
            self.fitted.clear()
            return
        axis = live.spectrum
        x = self._places(axis.energy_eV, axis.wavelength_nm)[live.curve.pixels]
        self.fitted.show(x, live.curve.total)

    def _read_out(self, x: float, _y: float) -> None:
        if not self.data.x.size:
            return
        nearest = int(np.nanargmin(np.abs(self.data.x - x)))
        at, counts = self.data.x[nearest], self.data.y[nearest]
        self.readout.setText(f"{at:.5g} {self._unit.value}  {counts:.6g} ct")


def _rows(live: LiveExposure | None) -> dict[str, float]:
    if live is None or not live.last_row or live.source is not FrameSource.LIVE:
        return {}
    return {"first_row": float(live.first_row), "last_row": float(live.last_row)}
