"""The fit panel: choose and constrain the model, see at once what it says of the spectrum shown."""

import logging
import sys
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QProcess, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from acquisition.fits.point_fitter import detector_noise, fit_model
from analysis.detector.detector_noise import DetectorNoise
from analysis.detector.noise_estimate import estimate_noise
from gui.live.trial_fit import (
    LINES,
    SHAPES,
    Limits,
    TrialFit,
    TrialModel,
    fit_toml,
    parameter_unit,
    try_fit,
)
from gui.look.theme import Tone
from gui.shown.cursor import Cursor
from gui.shown.run_model import RunModel
from gui.shown.shown_run import Detail
from gui.threads.latest_wins import LatestWins
from gui.views.row_look import DASH, verdict_look
from gui.widgets.choice_box import ChoiceBox
from gui.widgets.file_question import ask_save
from gui.widgets.note import Note
from gui.widgets.quantity_edit import QuantityEdit
from gui.widgets.status_pill import StatusPill

__all__ = ["FitPanel"]

logger = logging.getLogger(__name__)

FREE, FIXED, BETWEEN = "free", "fixed", "between"
BACKGROUNDS = ("constant", "linear", "quadratic", "cubic")
_NAME, _VALUE, _HOW, _LOWER, _UPPER = range(5)
FAREWELL_ms = 2000
LIMIT_px = 104
# -P keeps a user's own analysis.py out of its way
_CRYOSCAN = "import sys; from acquisition.cli import main; sys.argv[0] = 'cryoscan'; main()"


class FitPanel(QWidget):
    """A trial fits the frames of the row at the cursor as a run would; nothing of it is stored.

    To keep a model it is copied as [fit] into the sweep file. "Fit the rest" lets the program fit
    what has no fit yet, by the model of the run's own sweep file; of a file, "Fit all" fits every
    spectrum with the model shown. Both are done by a process of their own.
    """

    title = "Fit"

    def __init__(self, model: RunModel, cursor: Cursor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._cursor = model, cursor
        self._detail: Detail | None = None
        self._limits: dict[str, Limits] = {}
        self._outcome: TrialFit | None = None
        self._is_own = False  # the model was changed by a person: another row keeps it
        self._process: QProcess | None = None
        self._fits = LatestWins("try a fit", self)
        self._make_fields()
        self._lay_out()
        self._listen()
        self._begin()

    @property
    def trial_model(self) -> TrialModel:
        """What the fields say."""
        text = self.lines.currentText()
        low, high = self.low.value, self.high.value
        return TrialModel(
            lines="auto" if text == "auto" else int(text),
            shape=self.shape.currentText(),
            window_eV=None if low is None or high is None else (low, high),
            background_order=BACKGROUNDS.index(self.background.currentText()),
            limits=dict(self._limits),
        )

    @property
    def outcome(self) -> TrialFit | None:
        """How the last trial came out."""
        return self._outcome

    def show_model(self, model: TrialModel) -> None:
        """Put a model into the fields, and try it if trials are on; other rows keep it."""
        self._is_own = True
        self._show_model(model)

    def _show_model(self, model: TrialModel) -> None:
        self.lines.show_choice(str(model.lines))
        self.shape.show_choice(model.shape)
        self.background.show_choice(BACKGROUNDS[model.background_order])
        low, high = model.window_eV or (None, None)
        self.low.set_value(low)
        self.high.set_value(high)
        self._limits = dict(model.limits)
        self._list_parameters()
        self._try()

    def limit(self, name: str, limits: Limits | None) -> None:
        """Hold a parameter between limits; None sets it free."""
        self._is_own = True
        if limits is None:
            self._limits.pop(name, None)
        else:
            self._limits[name] = limits
        self._list_parameters()
        self._try()

    def copy_toml(self) -> str:
        """Put the model as [fit] onto the clipboard and return it; "" where it is none yet."""
        configuration = self._model.configuration
        fit = None if configuration is None else configuration.sweep.fit
        try:
            text = fit_toml(self.trial_model, () if fit is None else fit.laws)
        except ValueError as error:
            self.note.say(str(error), Tone.CAUTION)
            return ""
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None  # noqa: S101 - there is an application
        clipboard.setText(text)
        self.note.say("copied: put it into the sweep file in place of its [fit]", Tone.GOOD)
        return text

    def fit_the_rest(self) -> None:
        """Let a process of its own fit what has no fit yet, as `cryoscan fit RUN` does."""
        if self._model.has_journal:
            self._fit_beside([str(self._model.path)])

    def fit_all(self, table: Path) -> None:
        """Let a process of its own fit every spectrum of a file with this model into a table."""
        model = self.trial_model
        asked = [str(self._model.path), "--lines", str(model.lines), "--shape", model.shape]
        if model.window_eV is not None:
            asked += ["--window", f"{model.window_eV[0]:.9g}:{model.window_eV[1]:.9g}"]
        self._fit_beside([*asked, "--out", str(table)])

    def _fit_beside(self, asked: list[str]) -> None:
        if self._model.path is None or self._process is not None:
            return
        self._process = QProcess(self)
        self._process.finished.connect(self._on_rest)
        self._process.errorOccurred.connect(self._on_rest_error)
        self._process.start(sys.executable, ["-P", "-c", _CRYOSCAN, "fit", *asked])
        self.rest.setEnabled(False)
        self.note.say("fitting beside the window; you can go on")

    def _on_fit_all(self) -> None:
        if self._model.has_journal:
            self.fit_the_rest()
            return
        kinds = ("CSV (*.csv)", "HDF5 (*.h5)")
        ask_save(self, "Table of all fits", "fits.csv", kinds, self.fit_all)

    # --- inside

    def _make_fields(self) -> None:
        self.lines, self.shape, self.background = ChoiceBox(), ChoiceBox(), ChoiceBox()
        self.lines.addItems([str(number) for number in LINES])
        self.shape.addItems(SHAPES)
        self.background.addItems(BACKGROUNDS)
        self.background.setCurrentText("linear")
        self.low, self.high = (QuantityEdit("eV", 0.1, 20.0, digits=7) for _ in range(2))
        self.is_on = QCheckBox("&Try on the spectrum shown")
        self.verdict = StatusPill(verdict_look(None))
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        self.table = QTableWidget(0, 5)
        self.table.setHorizontalHeaderLabels(["parameter", "value", "", "from", "to"])
        self.table.setAccessibleName("Fitted parameters")
        self.note = Note(always_there=True)
        self.copy = QPushButton("&Copy as [fit]")
        self.copy.setToolTip("Copy this model as [fit] of a sweep file")
        self.rest = QPushButton("Fit the &rest")
        self.reset = QPushButton("As in the &sweep")
        self.reset.setToolTip("The model that the sweep file has for this row")

    def _lay_out(self) -> None:
        form = QFormLayout()
        window = QHBoxLayout()
        window.addWidget(self.low)
        window.addWidget(QLabel("to"))
        window.addWidget(self.high)
        for words, field in (
            ("&Lines", self.lines),
            ("S&hape", self.shape),
            ("&Background", self.background),
        ):
            form.addRow(words, field)
        form.addRow("Window", window)
        self.low.setAccessibleName("Lower end of the window")
        self.high.setAccessibleName("Upper end of the window")
        said = QHBoxLayout()
        said.addWidget(self.verdict)
        said.addWidget(self.reason, 1)
        buttons = QHBoxLayout()
        for button in (self.reset, self.copy, self.rest):
            buttons.addWidget(button)
        header = self.table.horizontalHeader()
        assert header is not None  # noqa: S101 - a table has one
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_VALUE, QHeaderView.ResizeMode.Stretch)
        for limit in (_LOWER, _UPPER):
            header.setSectionResizeMode(limit, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(limit, LIMIT_px)
        vertical = self.table.verticalHeader()
        assert vertical is not None  # noqa: S101 - a table has one
        vertical.hide()
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.is_on)
        column.addLayout(said)
        column.addWidget(self.table, 1)
        column.addWidget(self.note)
        column.addLayout(buttons)

    def _listen(self) -> None:
        model = self._model
        for box in (self.lines, self.shape, self.background):
            box.activated.connect(lambda _: self._on_model())
        for edit in (self.low, self.high):
            edit.applied.connect(lambda _: self._on_model())
        self.is_on.toggled.connect(self._on_toggled)
        self.copy.clicked.connect(lambda _: self.copy_toml())
        self.rest.clicked.connect(lambda _: self._on_fit_all())
        self.reset.clicked.connect(lambda _: self._as_in_the_sweep())
        self._fits.done.connect(self._on_fit)
        model.opened.connect(self._begin)
        model.closed.connect(self._begin)
        model.phase_changed.connect(lambda _: self._follow_phase())
        model.detail_came.connect(self._on_detail)
        model.fits_changed.connect(self._on_stored)
        self._cursor.point_changed.connect(self._on_point)

    def _begin(self) -> None:
        self._end_process()
        self._forget_trial()
        self._detail = None
        self._follow_phase()
        self._as_in_the_sweep()

    def _follow_phase(self) -> None:
        is_run = self._model.has_journal
        self.rest.setText("Fit the &rest" if is_run else "Fit &all…")
        self.rest.setEnabled(
            self._model.is_open and not self._model.is_running and self._process is None
        )
        self.rest.setToolTip(self._rest_words(is_run=is_run))

    def _rest_words(self, *, is_run: bool) -> str:
        if not is_run:
            return "Fit every spectrum of this file with this model, into a table"
        if self._model.is_running:
            return "Only for a run that has ended: a running one fits by itself"
        return "Fit every accepted point that has no fit yet, by the run's own sweep file"

    def _as_in_the_sweep(self) -> None:
        """Show what the run's own sweep file has for this row; one line where it has nothing."""
        configuration = self._model.configuration
        fit = None if configuration is None else configuration.sweep.fit
        self._is_own = False
        if fit is None:
            self._show_model(TrialModel(window_eV=self._whole_window()))
            return
        point = self._cursor.point
        temperature = self._model.rows.setpoint("temperature_K")
        at = float(temperature[point]) if 0 <= point < temperature.size else float("nan")
        self._show_model(TrialModel.of(fit_model(fit, None if np.isnan(at) else at)))

    def _whole_window(self) -> tuple[float, float] | None:
        energy = self._model.energy_eV(self._cursor.point) if self._has_row() else None
        return None if energy is None else (float(energy.min()), float(energy.max()))

    def _has_row(self) -> bool:
        return self._model.holds(self._cursor.point)

    # --- trials

    def _on_toggled(self, is_on: bool) -> None:
        if is_on:
            if self.low.value is None and (whole := self._whole_window()) is not None:
                self.low.set_value(whole[0])
                self.high.set_value(whole[1])
            self._model.ask_detail(self._cursor.point)
        else:
            self._forget_trial()

    def _on_point(self, _point: int) -> None:
        if not self._is_own:
            self._as_in_the_sweep()  # which may schedule another model for another temperature
        self._fits.forget()
        self._outcome = None
        self._model.show_trial(None)
        self._show_outcome()
        if self.is_on.isChecked():
            self._model.ask_detail(self._cursor.point)

    def _on_detail(self, detail: Detail) -> None:
        self._detail = detail
        if detail.point == self._cursor.point and self.is_on.isChecked():
            self._try()

    def _on_stored(self, points: list[int]) -> None:
        if self._cursor.point in points and not self.is_on.isChecked():
            self._show_outcome()

    def _on_model(self) -> None:
        self._is_own = True
        self._list_parameters()
        self._try()

    def _try(self) -> None:
        detail = self._detail
        if not self.is_on.isChecked() or detail is None or detail.point != self._cursor.point:
            return
        if not self._has_row() or (axis := self._model.wavelength_nm(detail.point)) is None:
            self.note.say("this row has no energies: nothing to fit", Tone.CAUTION)
            return
        self._fits.ask(
            partial(
                try_fit,
                detail.point,
                axis,
                detail.frames,
                detail.background,
                model=self.trial_model,
                noise=self._noise(detail),
            )
        )

    def _noise(self, detail: Detail) -> DetectorNoise:
        configuration = self._model.configuration
        if configuration is not None:
            return detector_noise(configuration.station.camera)
        return estimate_noise(np.asarray(detail.frames, dtype=np.float64))

    def _on_fit(self, outcome: object) -> None:
        assert isinstance(outcome, TrialFit)  # noqa: S101 - what try_fit returns
        if outcome.point != self._cursor.point or not self.is_on.isChecked():
            return
        self._outcome = outcome
        self._model.show_trial(outcome.curve)
        self.note.say(outcome.trouble, Tone.CAUTION if outcome.trouble else Tone.NEUTRAL)
        self._show_outcome()

    def _forget_trial(self) -> None:
        self._fits.forget()
        self._outcome = None
        self._model.show_trial(None)
        self._show_outcome()

    def _show_outcome(self) -> None:
        """Show the trial; without one, the stored fit of the row."""
        trial = None if self._outcome is None else self._outcome.fit
        stored = self._model.fit(self._cursor.point)
        if trial is not None:
            verdict, reason = trial.verdict.value, trial.reason
            values = dict(
                zip(trial.names, zip(trial.values, trial.errors, strict=True), strict=True)
            )
        elif stored is not None and self._outcome is None:
            verdict, reason = stored.verdict, stored.reason
            values = dict(
                zip(stored.names, zip(stored.values, stored.errors, strict=True), strict=True)
            )
        else:
            verdict, reason, values = None, "", {}
        self.verdict.show_look(verdict_look(verdict), reason)
        self.reason.setText(reason)
        for row in range(self.table.rowCount()):
            name = self._name(row)
            self._write(row, _VALUE, _value_text(name, *values.get(name, (np.nan, np.nan))))

    # --- the table of parameters

    def _name(self, row: int) -> str:
        item = self.table.item(row, _NAME)
        return "" if item is None else item.text()

    def _list_parameters(self) -> None:
        names = self.trial_model.parameters
        if [self._name(row) for row in range(self.table.rowCount())] != list(names):
            self._fill(names)
        for row, name in enumerate(names):
            self._show_limits(row, self._limits.get(name))
        for column in (_LOWER, _UPPER):
            self.table.setColumnHidden(column, not self._limits)
        self._show_outcome()

    def _fill(self, names: tuple[str, ...]) -> None:
        self.table.setRowCount(0)
        self.table.setRowCount(len(names))
        for row, name in enumerate(names):
            self._write(row, _NAME, name)
            self._write(row, _VALUE, DASH)
            how = ChoiceBox()
            how.addItems([FREE, FIXED, BETWEEN])
            how.setAccessibleName(f"How {name} is held")
            how.activated.connect(partial(self._on_how, row))
            self.table.setCellWidget(row, _HOW, how)
            for column in (_LOWER, _UPPER):
                edit = QuantityEdit(parameter_unit(name), digits=9)
                edit.setAccessibleName(f"{name} {'from' if column == _LOWER else 'to'}")
                edit.applied.connect(partial(self._on_limit, row))
                self.table.setCellWidget(row, column, edit)

    def _show_limits(self, row: int, limits: Limits | None) -> None:
        how = self._how(row)
        how.show_choice(FREE if limits is None else FIXED if limits.is_fixed else BETWEEN)
        lower, upper = self._edit(row, _LOWER), self._edit(row, _UPPER)
        lower.setEnabled(limits is not None)
        upper.setEnabled(limits is not None and not limits.is_fixed)
        lower.set_value(None if limits is None else limits.lower)
        upper.set_value(None if limits is None or limits.is_fixed else limits.upper)

    def _on_how(self, row: int, _index: int) -> None:
        """Begin with the value that was found; between: 20 widths of its error around it."""
        name, how = self._name(row), self._how(row).currentText()
        value, error = self._found(name)
        if how == FREE:
            self.limit(name, None)
        elif not np.isfinite(value):
            self._show_limits(row, self._limits.get(name))
            self.note.say("fit once first: a held value begins with the one that was found")
        elif how == FIXED:
            self.limit(name, Limits(value, value))
        else:
            reach = 20.0 * error if np.isfinite(error) and error > 0 else max(abs(value), 1.0)
            self.limit(name, Limits(value - reach, value + reach))

    def _on_limit(self, row: int, _value: float) -> None:
        name = self._name(row)
        lower, upper = self._edit(row, _LOWER).value, self._edit(row, _UPPER).value
        if self._how(row).currentText() == FIXED and lower is not None:
            self.limit(name, Limits(lower, lower))
        elif lower is not None and upper is not None:
            if lower < upper:
                self.limit(name, Limits(lower, upper))
            else:
                self.note.say(f"{name}: {lower:g} is not below {upper:g}", Tone.CAUTION)

    def _found(self, name: str) -> tuple[float, float]:
        """Return value and error of the trial, or of the stored fit."""
        trial = None if self._outcome is None else self._outcome.fit
        fit = trial or self._model.fit(self._cursor.point)
        if fit is None or name not in fit.names:
            return float("nan"), float("nan")
        place = fit.names.index(name)
        return float(fit.values[place]), float(fit.errors[place])

    def _how(self, row: int) -> ChoiceBox:
        box = self.table.cellWidget(row, _HOW)
        assert isinstance(box, ChoiceBox)  # noqa: S101 - put there by _fill
        return box

    def _edit(self, row: int, column: int) -> QuantityEdit:
        edit = self.table.cellWidget(row, column)
        assert isinstance(edit, QuantityEdit)  # noqa: S101 - put there by _fill
        return edit

    def _write(self, row: int, column: int, text: str) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.table.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)

    # --- fitting the rest

    def _on_rest(self, code: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        said = bytes(process.readAllStandardOutput().data()).decode(errors="replace").strip()
        trouble = bytes(process.readAllStandardError().data()).decode(errors="replace").strip()
        process.deleteLater()
        last = ((trouble if code else said) or said or trouble or "done").splitlines()[-1]
        self.note.say(last, Tone.BAD if code else Tone.GOOD)
        self._follow_phase()
        self._model.look(for_old_fits=True)

    def _on_rest_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            self.note.say(f"could not be started: {self._process.errorString()}", Tone.BAD)
            self._end_process()
            self._follow_phase()

    def _end_process(self) -> None:
        """Break off; what was fitted so far is stored, and the rest can be done again."""
        process, self._process = self._process, None
        if process is not None:
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(FAREWELL_ms)
            process.deleteLater()


def _value_text(name: str, value: float, error: float) -> str:
    """Return value and, in brackets, the error of its last two digits; a dash for a missing one."""
    if not np.isfinite(value):
        return DASH
    unit = parameter_unit(name)
    if not np.isfinite(error) or error <= 0.0:
        return f"{value:.6g} {unit}".rstrip()
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 9))
    return f"{value:.{digits}f}({round(error * 10**digits)}) {unit}".rstrip()
