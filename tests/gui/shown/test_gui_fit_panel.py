"""The fit panel: models chosen, constrained and tried on the spectrum that is shown."""

import json
import tomllib
from shutil import copytree

import numpy as np
import pytest
from PyQt6.QtGui import QGuiApplication

from acquisition.configuration.sweep_file import FitConfig
from acquisition.storage.journal import Journal, JournalReader
from gui.live.trial_fit import Limits, TrialModel, fit_toml
from gui.panels.fit import BETWEEN, FIXED, FREE, FitPanel, _value_text
from gui.views.spectrum import SpectrumView

LONGEST_ms = 20_000


@pytest.fixture
def panel(opened, model, cursor, shown, measured):
    opened(measured.folder)
    cursor.set_point(model.size - 1)
    return shown(FitPanel(model, cursor), 500, 600)


def tried(panel, qtbot):
    """Switch trials on and wait for the outcome."""
    panel.is_on.setChecked(True)
    qtbot.waitUntil(lambda: panel.outcome is not None, timeout=LONGEST_ms)
    return panel.outcome


def test_the_panel_begins_with_the_model_of_the_sweep_and_the_stored_fit(panel, model):
    stored = model.fit(model.size - 1)

    assert panel.trial_model == TrialModel(3, "gauss", (2.384, 2.399), 1)
    assert panel.verdict.text() == stored.verdict
    assert panel.reason.text() == stored.reason
    assert f"{stored.values[0]:.6f}" in panel.table.item(0, 1).text()


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("energy_1_eV", 2.3917634, 0.0000274, "2.391763(27) eV"),
        ("area_1_counts", 1241.3, 54.2, "1241(54)"),
        ("area_1_counts", 124130.0, 542.0, "124130(542)"),
        ("width_eV", 2.6e-4, 0.0, "0.00026 eV"),
        ("width_eV", float("nan"), 1.0, "–"),
    ],
)
def test_a_value_is_written_with_the_error_of_its_last_digits(name, value, error, text):
    assert _value_text(name, value, error) == text


def test_a_model_that_somebody_chose_stays_while_the_cursor_moves(panel, model, cursor):
    panel.lines.setCurrentText("2")
    panel.lines.activated.emit(1)
    cursor.set_point(model.size - 2)
    assert panel.trial_model.lines == 2

    panel.reset.click()

    assert panel.trial_model.lines == 3


def test_another_temperature_shows_the_model_that_the_sweep_has_for_it(
    opened, model, cursor, shown, measured, tmp_path
):
    folder = tmp_path / "run"
    copytree(measured.folder, folder)
    (folder / "journal.sqlite").chmod(0o644)
    with Journal.open(folder) as journal:
        sweep = journal.meta.sweep_toml
        two = sweep[: sweep.index("[fit.model]")] + ZONES
        journal._db.execute("UPDATE meta SET value=? WHERE key='sweep_toml'", (json.dumps(two),))
        _warm_up(journal, model_size=len(journal.table().points))
    opened(folder)
    panel = shown(FitPanel(model, cursor))

    cursor.set_point(model.size - 1)
    assert panel.trial_model.lines == 1
    cursor.set_point(model.size - 2)

    assert panel.trial_model.lines == 3


ZONES = """[[fit.model]]
up_to = "40 K"
lines = 3
window = ["2.384 eV", "2.399 eV"]

[[fit.model]]
lines = 1
window = ["2.3 eV", "2.5 eV"]
"""


def _warm_up(journal, *, model_size):
    """Let the last row be planned at 100 K."""
    row = json.loads(journal._one("SELECT setpoints FROM plan WHERE point=?", model_size - 1)[0])
    warm = json.dumps(row | {"temperature_K": 100.0}, sort_keys=True)
    journal._db.execute("UPDATE plan SET setpoints=? WHERE point=?", (warm, model_size - 1))


def test_a_trial_of_the_same_model_finds_what_is_stored(panel, model, qtbot):
    stored = model.fit(model.size - 1)

    outcome = tried(panel, qtbot)

    np.testing.assert_allclose(outcome.fit.values, stored.values, rtol=1e-9)
    np.testing.assert_allclose(outcome.fit.errors, stored.errors, rtol=1e-6)
    assert panel.verdict.text() == stored.verdict


def test_another_number_of_lines_is_tried_at_once(panel, model, cursor, qtbot):
    tried(panel, qtbot)

    panel.lines.setCurrentText("1")
    panel.lines.activated.emit(0)
    qtbot.waitUntil(lambda: len(panel.outcome.fit.names) == 5, timeout=LONGEST_ms)

    assert panel.table.rowCount() == 5
    assert model.trial is panel.outcome.curve


def test_a_trial_is_drawn_in_the_spectrum_and_goes_with_the_cursor(
    panel, model, cursor, shown, qtbot
):
    spectrum = shown(SpectrumView(model, cursor))
    outcome = tried(panel, qtbot)
    spectrum._redraw.now()
    assert spectrum._fit.y.tolist() == outcome.curve.total.tolist()

    panel.is_on.setChecked(False)

    assert model.trial is None
    assert panel.outcome is None


def test_a_parameter_can_be_fixed_at_a_value_typed_with_its_unit(panel, qtbot):
    found = tried(panel, qtbot).fit["width_eV"]
    row = panel.trial_model.parameters.index("width_eV")

    panel._how(row).setCurrentText(FIXED)
    panel._how(row).activated.emit(1)
    assert panel.trial_model.limits == {"width_eV": Limits(found, found)}
    edit = panel._edit(row, 3)
    edit.setText("0.4 meV")
    edit.returnPressed.emit()
    qtbot.waitUntil(
        lambda: panel.outcome.fit is not None and panel.outcome.fit["width_eV"] == 4e-4,
        timeout=LONGEST_ms,
    )

    assert panel.trial_model.fit_model().fixed == {"width_eV": pytest.approx(4e-4)}


def test_a_parameter_can_be_held_between_limits_and_set_free_again(panel, qtbot):
    tried(panel, qtbot)
    row = panel.trial_model.parameters.index("energy_1_eV")

    panel._how(row).setCurrentText(BETWEEN)
    panel._how(row).activated.emit(2)
    limits = panel.trial_model.limits["energy_1_eV"]
    assert limits.lower < panel._found("energy_1_eV")[0] < limits.upper
    assert panel._edit(row, 3).isEnabled()
    panel._how(row).setCurrentText(FREE)
    panel._how(row).activated.emit(0)

    assert panel.trial_model.limits == {}
    assert not panel._edit(row, 3).isEnabled()


def test_limits_the_wrong_way_round_are_refused_in_place(panel, qtbot):
    tried(panel, qtbot)
    panel.limit("energy_1_eV", Limits(2.39, 2.4))
    row = panel.trial_model.parameters.index("energy_1_eV")

    panel._edit(row, 3).setText("2.41 eV")
    panel._edit(row, 3).returnPressed.emit()

    assert "is not below" in panel.note.said
    assert panel.trial_model.limits["energy_1_eV"] == Limits(2.39, 2.4)


def test_a_window_without_light_says_so_in_the_verdict(panel, model, qtbot):
    tried(panel, qtbot)

    panel.low.setText("2.41 eV")
    panel.low.returnPressed.emit()
    panel.high.setText("2.42 eV")
    panel.high.returnPressed.emit()
    qtbot.waitUntil(lambda: panel.verdict.text() == "no signal", timeout=LONGEST_ms)

    assert "no line" in panel.reason.text()
    assert panel.table.item(0, 1).text() == "–"
    assert model.trial is None


def test_the_copied_toml_is_a_fit_section_that_the_program_accepts(panel):
    text = panel.copy_toml()

    assert QGuiApplication.clipboard().text() == text
    read = FitConfig.model_validate(tomllib.loads(text)["fit"])
    assert read.model[0].lines == 3
    assert read.model[0].window_eV == (2.384, 2.399)
    assert read.laws == ("cos2",)


@pytest.mark.parametrize("lines", [1, "auto"])
def test_every_model_that_a_sweep_can_hold_is_written_so_that_it_is_read_again(lines):
    model = TrialModel(lines, "lorentz", (2.3, 2.41))

    read = FitConfig.model_validate(tomllib.loads(fit_toml(model))["fit"]).model[0]

    assert (read.lines, read.shape, read.window_eV) == (lines, "lorentz", (2.3, 2.41))


def test_what_a_sweep_file_cannot_hold_is_said_in_its_comments():
    model = TrialModel(
        1, "gauss", (2.3, 2.4), 2, {"width_eV": Limits(1e-3, 1e-3), "energy_1_eV": Limits(2.3, 2.4)}
    )

    text = fit_toml(model)

    assert "# tried with width_eV = 0.001" in text
    assert "# tried with energy_1_eV between 2.3 and 2.4" in text
    assert "# tried with a background of order 2" in text
    tomllib.loads(text)


def test_without_a_window_nothing_is_copied_and_the_reason_is_said(model, cursor, shown):
    panel = shown(FitPanel(model, cursor))

    assert panel.copy_toml() == ""
    assert "window" in panel.note.said


def test_a_foreign_spectrum_is_fitted_with_estimated_noise(
    opened, model, cursor, shown, shared, qtbot
):
    panel = shown(FitPanel(model, cursor))
    opened(shared / "mose2ws2_bias" / "electric_field.zip")
    cursor.set_point(int(np.argmin(np.abs(model.rows.setpoint("voltage_V")))))

    panel.show_model(TrialModel(1, "gauss", (1.635, 1.65)))
    outcome = tried(panel, qtbot)

    assert outcome.fit["energy_1_eV"] == pytest.approx(1.6430, abs=3e-4)  # README of the data


def test_the_rest_is_fitted_by_a_process_of_its_own(
    opened, model, cursor, shown, measured, tmp_path, qtbot
):
    folder = tmp_path / "run"
    copytree(measured.folder, folder)
    (folder / "journal.sqlite").chmod(0o644)
    with Journal.open(folder) as journal:
        journal._db.execute("DELETE FROM fit")
    opened(folder)
    panel = shown(FitPanel(model, cursor))
    assert panel.rest.isEnabled()

    panel.fit_the_rest()
    assert not panel.rest.isEnabled()
    qtbot.waitUntil(lambda: len(model.rows.fits) > 0, timeout=30_000)

    accepted = model.rows.is_accepted & model.rows.is_sample
    qtbot.waitUntil(lambda: len(model.rows.fits) == accepted.sum(), timeout=30_000)
    qtbot.waitUntil(panel.rest.isEnabled, timeout=30_000)  # fits are shown before it has ended
    assert "points fitted" in panel.note.said


def test_all_spectra_of_a_file_are_fitted_into_a_table(
    opened, model, cursor, shown, tmp_path, qtbot
):
    wavelength = np.linspace(515.0, 521.0, 300)
    energy = 1239.8419843320026 / wavelength
    counts = np.round(50.0 + 900.0 * np.exp(-(((energy - 2.3921) / 1.5e-3) ** 2)))
    spectrum = tmp_path / "one.txt"
    spectrum.write_text(
        "\n".join(f"{x:.6f}\t{y:.0f}" for x, y in zip(wavelength, counts, strict=True))
    )
    panel = shown(FitPanel(model, cursor))
    opened(spectrum)
    assert "all" in panel.rest.text()
    panel.show_model(TrialModel(1, "gauss", (2.385, 2.40)))

    panel.fit_all(tmp_path / "fits.csv")
    qtbot.waitUntil((tmp_path / "fits.csv").exists, timeout=30_000)
    qtbot.waitUntil(panel.rest.isEnabled, timeout=30_000)

    head, row = (line.split(",") for line in (tmp_path / "fits.csv").read_text().splitlines())
    fitted = dict(zip(head, row, strict=False))
    assert float(fitted["energy_1_eV"]) == pytest.approx(2.3921, abs=1e-4)
    assert float(fitted["width_eV"]) == pytest.approx(1.5e-3 * 2 * np.log(2) ** 0.5, rel=0.05)


def test_a_running_run_is_not_fitted_by_hand(opened, model, cursor, shown, made_up, tmp_path):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    opened(tmp_path / "run")

    panel = shown(FitPanel(model, cursor))

    assert not panel.rest.isEnabled()
    assert "running" in panel.rest.toolTip()
    journal.close()


def test_nothing_of_a_trial_is_stored(panel, measured, qtbot):
    with JournalReader(measured.folder) as reader:
        before = reader.fingerprint()

    panel.limit("width_eV", Limits(3e-4, 3e-4))
    tried(panel, qtbot)

    with JournalReader(measured.folder) as reader:
        assert reader.fingerprint() == before
