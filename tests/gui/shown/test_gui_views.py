"""Every view of a run: what is drawn, exported, marked and linked."""

import csv
import sys
from math import erf

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QWidget

from acquisition.channel.engine_status import Safety
from acquisition.channel.messages import ChannelReading, Mode, Snapshot
from acquisition.storage.record import AttemptState
from analysis.spectra.fit_curve import FitCurve
from gui.look import theme
from gui.plotting.colour_picture import ColourPicture
from gui.shown.run_rows import RowState
from gui.views.axis_choice import AS_MEASURED
from gui.views.map import MapView
from gui.views.parameters import NO_LAW, ParametersView
from gui.views.polar import PolarView
from gui.views.redraw import Redraw
from gui.views.spectral_unit import SpectralUnit
from gui.views.spectrum import SpectrumView
from gui.views.strips import StripsView

LONGEST_ms = 20_000
HC = 1239.8419843320026  # eV nm, exact in the SI of 2019


def drawn(view):
    """Draw what is due at once."""
    view._redraw.now()
    return view


def _table(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def spectrum(model, cursor, shown):
    return shown(SpectrumView(model, cursor))


# --- spectrum


def test_the_spectrum_shows_counts_over_energy_or_wavelength(
    opened, spectrum, cursor, whole_run, made_up
):
    made = made_up()
    opened(whole_run)

    cursor.set_point(7)
    drawn(spectrum)
    over_energy = spectrum._data
    np.testing.assert_allclose(over_energy.x, HC / made.wavelength_nm, rtol=1e-12)
    assert over_energy.y.tolist() == made.counts(7)[0].tolist()
    spectrum.set_unit(SpectralUnit.NM)

    np.testing.assert_allclose(spectrum._data.x, made.wavelength_nm, rtol=1e-12)
    assert "point 8" in spectrum.row_text
    assert "field -30 kV/cm" in spectrum.row_text


def test_shift_and_an_arrow_lead_the_energy_from_pixel_to_pixel(
    opened, spectrum, cursor, whole_run, qtbot
):
    opened(whole_run)
    cursor.set_point(7)
    drawn(spectrum)
    energies = np.sort(spectrum._data.x)
    cursor.set_energy(energies[10])

    qtbot.keyClick(spectrum, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)

    assert cursor.energy_eV == pytest.approx(energies[11], rel=1e-12)
    assert cursor.point == 7


def test_several_frames_are_shown_as_their_mean(opened, spectrum, cursor, made_up, tmp_path):
    made = made_up(points=3, frames=4)
    opened(made.write(tmp_path / "run"))

    cursor.set_point(1)

    np.testing.assert_allclose(drawn(spectrum)._data.y, made.counts(1).mean(axis=0))


def test_the_stored_fit_is_drawn_with_its_lines_and_what_is_left_over(
    opened, spectrum, model, cursor, measured, qtbot
):
    opened(measured.folder)
    point = max(
        p for p in range(model.size) if model.fit(p) and model.fit(p).verdict != "no signal"
    )

    with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms) as came:
        cursor.set_point(point)
    drawn(spectrum)

    fit = dict(zip(model.fit(point).names, model.fit(point).values, strict=True))
    detail = came.args[0]
    pixels = detail.fit.pixels
    energy = HC / model.wavelength_nm(point)
    lines = [_gauss_in_pixels(energy, fit, k)[pixels] for k in (1, 2, 3)]
    background = detail.background[pixels]
    slope = spectrum._floor.y - background.mean() - fit["background_0"]
    np.testing.assert_allclose(np.abs(slope[[0, -1]]), abs(fit["background_1"]), rtol=1e-6)
    np.testing.assert_allclose(
        spectrum._fit.y, spectrum._floor.y + sum(lines), rtol=0, atol=2e-3 * max(map(np.max, lines))
    )
    for drawn_line, line in zip(spectrum._lines, lines, strict=True):
        np.testing.assert_allclose(
            drawn_line.y - spectrum._floor.y, line, atol=2e-3 * np.max(lines)
        )
    mean = detail.frames.mean(axis=0)[pixels]
    expected = spectrum._fit.y - background.mean() + background
    np.testing.assert_allclose(spectrum._left_over.y, mean - expected, atol=1e-9)


def _gauss_in_pixels(energy, fit, k):
    """Return the integral over each pixel, by the error function of the standard library."""
    middle = 0.5 * (energy[1:] + energy[:-1])
    edges = np.concatenate([[2 * energy[0] - middle[0]], middle, [2 * energy[-1] - middle[-1]]])
    sigma = fit["width_eV"] / np.sqrt(8 * np.log(2))
    below = np.array([0.5 * erf((e - fit[f"energy_{k}_eV"]) / sigma / np.sqrt(2)) for e in edges])
    return fit[f"area_{k}_counts"] * np.abs(np.diff(below))


def test_a_row_without_fit_or_counts_leaves_nothing_of_the_row_before(
    opened, spectrum, model, cursor, measured, qtbot
):
    opened(measured.folder)
    with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms):
        cursor.set_point(model.size - 1)
    assert drawn(spectrum)._fit.x.size

    cursor.set_point(0)
    drawn(spectrum)
    assert not spectrum._fit.x.size
    assert spectrum._verdict.text() == "no fit"
    assert spectrum._data.x.size
    cursor.set_point(-1)

    assert not drawn(spectrum)._data.x.size


def test_the_state_of_a_row_is_said_in_words(opened, spectrum, cursor, made_up, tmp_path):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0])
    made.measure(journal, [1], flags=("bias not settled",))
    journal.put(made.attempt(2, AttemptState.REJECTED, flags=("too warm",)), accept=False)
    journal.close()
    opened(tmp_path / "run")

    said = []
    for point in range(4):
        cursor.set_point(point)
        drawn(spectrum)
        said.append(spectrum._state.text())

    assert said == ["accepted", "accepted, flagged", "rejected", "not measured"]
    cursor.set_point(2)
    assert "too warm" in drawn(spectrum).row_text


def test_a_saved_spectrum_holds_every_pixel_as_stored(opened, spectrum, cursor, made_up, tmp_path):
    made = made_up(points=3, frames=4)
    opened(made.write(tmp_path / "run"))
    cursor.set_point(2)

    spectrum.save_spectrum(tmp_path / "one.csv")

    comment, head, *rows = _table(tmp_path / "one.csv")
    assert "field 100 kV/cm" in comment[0]
    assert head[:4] == ["pixel", "wavelength_nm", "energy_eV", "counts"]
    assert [int(row[3]) for row in rows] == made.counts(2).sum(axis=0).tolist()
    assert [float(row[1]) for row in rows] == made.wavelength_nm.tolist()
    assert {row[4] for row in rows} == {""}  # no fit is known for it


def test_the_zoom_is_the_users_while_rows_arrive(
    opened, model, spectrum, cursor, shown, made_up, tmp_path, qtbot
):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(5))
    opened(tmp_path / "run")
    cursor.set_point(2)
    views = [shown(view(model, cursor)) for view in (MapView, ParametersView)]
    plots = [spectrum.plot, *(view.plot for view in views)]
    for view in (spectrum, *views):
        drawn(view)
    for plot in plots:
        plot.zoom_to(x=(-1.0, 3.0), y=(1.0, 4.0))
    before = [plot.view.viewRange() for plot in plots]

    made.measure(journal, range(5, 9))
    model.look()
    qtbot.waitUntil(lambda: model.holds(8) and 8 in model.rows.fits, timeout=LONGEST_ms)
    cursor.set_point(6)
    for view in (spectrum, *views):
        drawn(view)

    assert [plot.view.viewRange() for plot in plots] == before
    assert not any(plot.is_auto for plot in plots)
    journal.close()


# --- map


@pytest.fixture
def map_view(model, cursor, shown):
    return shown(MapView(model, cursor))


def test_the_map_shows_each_row_at_its_place_along_the_axis(opened, map_view, made_up, whole_run):
    made = made_up()

    opened(whole_run)
    drawn(map_view)

    values = map_view.picture.values
    assert map_view.order.tolist() == list(range(21))
    assert values.shape == (21, 64)
    for i in (0, 10, 20):
        rising = made.counts(i)[0][::-1]  # of energy
        brightest = int(np.argmax(values[i]))
        assert values[i].max() == rising.max()
        assert abs(brightest - int(np.argmax(rising))) <= 1
        assert set(values[i].tolist()) <= set(rising.tolist())


def test_what_is_not_measured_is_left_open_and_fills_up(
    opened, map_view, model, made_up, tmp_path, qtbot
):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [3, 4])
    opened(tmp_path / "run")
    assert np.isfinite(drawn(map_view).picture.values).any(axis=1).nonzero()[0].tolist() == [3, 4]

    made.measure(journal, [10])
    model.look()
    qtbot.waitUntil(lambda: model.holds(10), timeout=LONGEST_ms)

    filled = np.isfinite(drawn(map_view).picture.values).any(axis=1).nonzero()[0]
    assert filled.tolist() == [3, 4, 10]
    journal.close()


@pytest.mark.parametrize("is_log", [False, True])
def test_a_row_that_comes_is_one_line_of_the_picture_and_the_rest_stays_as_it_was(
    opened, map_view, model, made_up, tmp_path, qtbot, monkeypatch, is_log
):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(5))
    opened(tmp_path / "run")
    map_view.set_log(is_log)
    drawn(map_view)
    renewed = []
    renew = ColourPicture.renew
    monkeypatch.setattr(
        ColourPicture,
        "renew",
        lambda self, v, lines: renewed.append(lines) or renew(self, v, lines),
    )

    made.measure(journal, [12])
    model.look()
    qtbot.waitUntil(lambda: model.holds(12), timeout=LONGEST_ms)
    shown_values = drawn(map_view).picture.values.copy()

    assert [12] in [lines.tolist() for lines in renewed]
    assert all(set(lines.tolist()) <= {12} for lines in renewed)
    map_view.set_log(is_log)  # draws all of it
    np.testing.assert_array_equal(map_view.picture.values, shown_values)
    journal.close()


def test_a_click_into_the_map_chooses_row_and_energy(opened, map_view, cursor, whole_run):
    opened(whole_run)
    drawn(map_view)

    map_view.plot.clicked.emit(2.3925, 12.2)

    assert cursor.point == 12
    assert cursor.energy_eV == pytest.approx(2.3925)


def test_the_map_can_be_logarithmic_over_wavelength_and_as_measured(opened, map_view, whole_run):
    opened(whole_run)
    linear = drawn(map_view).picture.values.copy()

    map_view.set_log(True)
    np.testing.assert_allclose(map_view.picture.values, np.log10(linear), rtol=1e-6)
    map_view.set_unit(SpectralUnit.NM)
    map_view.set_quantity(AS_MEASURED)
    drawn(map_view)

    assert map_view._image.x[0] == pytest.approx(516.0, abs=0.1)
    assert map_view._image.x[1] == pytest.approx(521.0, abs=0.1)
    assert map_view.order.tolist() == list(range(21))


def test_axes_count_in_their_unit_whatever_was_shown_before(
    opened, model, cursor, shown, whole_run
):
    views = [shown(view(model, cursor)) for view in (SpectrumView, MapView, ParametersView)]
    for view in views:
        drawn(view)  # of nothing: the axes go from 0 to 1

    opened(whole_run)
    cursor.set_point(3)
    for view in views:
        drawn(view).grab()

    for view in views:
        for side in ("left", "bottom"):
            axis = view.plot.item.getAxis(side)
            assert axis.autoSIPrefixScale == 1.0
    assert views[1].picture.bar.getAxis("right").autoSIPrefixScale == 1.0


def test_flagged_and_rejected_rows_are_marked_on_the_map(opened, map_view, made_up, tmp_path):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0, 1])
    made.measure(journal, [2], flags=("probe",))
    journal.put(made.attempt(5, AttemptState.REJECTED), accept=False)
    journal.close()
    opened(tmp_path / "run")

    drawn(map_view)

    assert map_view._doubtful.y.tolist() == [2.0]
    assert map_view._rejected.y.tolist() == [5.0]


def test_the_numbers_of_a_map_are_the_counts_as_stored(
    opened, map_view, made_up, whole_run, tmp_path
):
    made = made_up()
    opened(whole_run)
    drawn(map_view)

    map_view.plot.save_numbers(tmp_path / "map.csv")

    head, *rows = _table(tmp_path / "map.csv")
    assert [float(text) for text in head[4:]] == made.wavelength_nm.tolist()
    assert [float(row[1]) for row in rows] == pytest.approx(made.values.tolist())
    assert [[int(c) for c in row[4:]] for row in rows] == [
        made.counts(i)[0].tolist() for i in range(21)
    ]


def test_neighbours_are_averaged_where_there_are_more_rows_than_a_screen_has(
    opened, map_view, made_up, tmp_path, monkeypatch
):
    monkeypatch.setattr("gui.views.map_image.MOST_LINES", 10)
    made = made_up(points=40)

    opened(made.write(tmp_path / "run"))

    values = drawn(map_view).picture.values
    assert values.shape == (10, 64)
    whole = np.array([made.counts(i)[0] for i in range(40)]).reshape(10, 4, 64).mean(axis=1)
    np.testing.assert_allclose(values.mean(axis=1), whole.mean(axis=1), rtol=0.02)
    assert map_view._image.position(17) == 17.0


def test_the_colours_stay_as_the_user_set_them(opened, map_view, model, made_up, tmp_path, qtbot):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3))
    opened(tmp_path / "run")
    drawn(map_view)

    bar = map_view.picture.bar
    bar.setLevels((120.0, 300.0))
    bar.sigLevelsChanged.emit(bar)  # as a hand that drags it does
    made.measure(journal, range(3, 6))
    model.look()
    qtbot.waitUntil(lambda: model.holds(5), timeout=LONGEST_ms)
    drawn(map_view)

    assert tuple(bar.levels()) == (120.0, 300.0)
    journal.close()


def test_the_map_of_a_two_dimensional_sweep_is_a_slice_through_the_cursor(
    opened, map_view, cursor, measured, model
):
    opened(measured.folder)

    drawn(map_view)

    angles = model.rows.setpoint("angle_deg")[map_view.order]
    assert angles.tolist() == sorted(angles.tolist())
    assert all(model.rows.plan.kind[p].value == "sample" for p in map_view.order.tolist())


# --- parameters


@pytest.fixture
def parameters(model, cursor, shown):
    return shown(ParametersView(model, cursor))


def test_parameters_are_drawn_with_their_errors_over_what_was_read_back(
    opened, parameters, made_up, whole_run
):
    made = made_up()
    opened(whole_run)

    parameters.set_law(NO_LAW)
    drawn(parameters)

    sound = parameters.plot.marks[0]
    assert sound.x.tolist() == made.values.tolist()
    assert sound.y.tolist() == [made.fit(i, 1).values[0] for i in range(21)]
    assert set(sound.error.tolist()) == {1e-6}
    assert parameters.observable.title == "energy of the lines"


def test_the_law_over_the_points_finds_the_field_they_were_made_with(
    opened, parameters, whole_run, qtbot
):
    vertex = 2.0e-5 / (2 * 4.0e-8)  # of the parabola in conftest
    opened(whole_run)

    parameters.set_law("parabola")
    qtbot.waitUntil(lambda: "internal field" in parameters.law_text, timeout=LONGEST_ms)

    words = parameters.law_text
    found = float(words.split("internal field ")[1].split()[0])
    assert found == pytest.approx(-vertex, rel=0.01)
    assert "extrapolated" in words
    x, y = parameters.plot.law_curves[0].x, parameters.plot.law_curves[0].y
    np.testing.assert_allclose(y, 2.39 + 2.0e-5 * x - 4.0e-8 * x**2, atol=3e-6)
    assert x.max() == pytest.approx(vertex, rel=0.01)  # drawn as far as its vertex


def test_doubtful_points_have_another_marker_and_do_not_bend_the_law(
    opened, parameters, made_up, tmp_path
):
    made = made_up(points=5)
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0, 1])
    made.measure(journal, [2], flags=("probe",))
    key = journal.put(made.attempt(3), accept=True)
    journal.note(fits=[made.fit(3, key, "poor fit")])
    journal.close()
    opened(tmp_path / "run")

    drawn(parameters)

    sound, doubtful, rejected = parameters.plot.marks[:3]
    assert sound.x.tolist() == made.values[:2].tolist()
    assert doubtful.x.tolist() == made.values[2:4].tolist()
    assert rejected.x.size == 0


def test_a_reading_can_be_drawn_too_and_its_rejected_rows_are_crosses(
    opened, parameters, made_up, tmp_path
):
    made = made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, [0, 1, 2])
    journal.put(
        made.attempt(4, AttemptState.REJECTED, readings={"temperature_K": 9.0}), accept=False
    )
    journal.close()
    opened(tmp_path / "run")

    parameters.choose("temperature")
    drawn(parameters)

    assert parameters.plot.marks[0].y.tolist() == [5.5] * 3
    assert parameters.plot.marks[2].y.tolist() == [9.0]


def test_the_exported_table_holds_every_point_with_state_and_verdict(
    opened, parameters, made_up, whole_run, tmp_path
):
    made = made_up()
    opened(whole_run)
    parameters.set_law(NO_LAW)
    drawn(parameters)

    parameters.plot.save_numbers(tmp_path / "table.csv")

    head, *rows = _table(tmp_path / "table.csv")
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert [float(row["field_kV_per_cm"]) for row in table] == made.values.tolist()
    assert [float(row["energy_1_eV (eV)"]) for row in table] == [
        made.fit(i, 1).values[0] for i in range(21)
    ]
    assert {row["verdict"] for row in table} == {"converged"}
    assert {row["state"] for row in table} == {"good"}


def test_a_click_near_a_point_chooses_its_row(opened, parameters, cursor, whole_run, made_up):
    made = made_up()
    opened(whole_run)
    drawn(parameters)

    parameters.plot.clicked.emit(made.values[13] + 1.0, made.fit(13, 1).values[0])

    assert cursor.point == 13


def test_of_too_many_points_evenly_spaced_ones_are_drawn_and_all_exported(
    opened, parameters, made_up, whole_run, tmp_path, monkeypatch
):
    monkeypatch.setattr("gui.views.parameter_plot.MOST_POINTS", 7)
    opened(whole_run)

    drawn(parameters)
    parameters.plot.save_numbers(tmp_path / "table.csv")

    assert parameters.plot.marks[0].x.tolist() == made_up().values[::3].tolist()
    assert len((tmp_path / "table.csv").read_text().splitlines()) >= 22


def test_the_sweeps_own_law_of_all_frames_is_fitted_by_a_process_of_its_own(
    opened, parameters, measured, qtbot
):
    opened(measured.folder)
    qtbot.waitUntil(lambda: "axis" in parameters.law_text, timeout=LONGEST_ms)

    assert parameters.law == "all frames"
    assert parameters.law_text.startswith("line 1: axis")
    assert parameters.plot.law_curves[0].x.size


def test_a_process_that_fits_laws_ends_with_the_run(opened, model, parameters, measured, qtbot):
    opened(measured.folder)
    qtbot.waitUntil(lambda: parameters._follower.is_busy, timeout=LONGEST_ms)

    model.close()

    assert not parameters._follower.is_busy
    assert parameters._follower.overlays == ()


# --- polar plot


def test_the_polar_plot_finds_the_axis_of_the_light(
    opened, model, cursor, shown, made_up, tmp_path
):
    made = made_up(points=18, quantity="angle_deg")
    view = shown(PolarView(model, cursor))
    opened(made.write(tmp_path / "run"))

    drawn(view)

    law = view.laws["area_1_counts"]
    assert law.axis_deg == pytest.approx(40.0, abs=0.2)
    assert law.visibility == pytest.approx(800.0 / 1200.0, abs=0.005)
    assert view.law_text.startswith("line 1: axis 40.0")
    distance = np.hypot(view._sound[0].x, view._sound[0].y)
    expected = [made.fit(i, 1).values[2] for i in range(18)]
    np.testing.assert_allclose(distance, expected, rtol=1e-9)


def test_laws_that_are_not_loaded_yet_are_drawn_when_they_have_come(
    opened, model, cursor, shown, made_up, tmp_path, qtbot, monkeypatch
):
    monkeypatch.delitem(sys.modules, "gui.views.point_law")
    polar = shown(PolarView(model, cursor))
    parameters = shown(ParametersView(model, cursor))
    opened(made_up(points=18, quantity="angle_deg").write(tmp_path / "run"))

    qtbot.waitUntil(lambda: "axis 40.0" in polar.law_text, timeout=LONGEST_ms)
    qtbot.waitUntil(lambda: "axis 40.0" in parameters.law_text, timeout=LONGEST_ms)

    assert parameters.law == "cos2"


def test_the_polar_plot_says_where_there_are_no_angles(opened, model, cursor, shown, whole_run):
    view = shown(PolarView(model, cursor))
    opened(whole_run)

    drawn(view)

    assert view.law_text == "this run has no polarization axis"
    assert not view.laws


def test_a_click_into_the_polar_plot_chooses_the_nearest_angle(
    opened, model, cursor, shown, made_up, tmp_path
):
    view = shown(PolarView(model, cursor))
    opened(made_up(points=18, quantity="angle_deg").write(tmp_path / "run"))
    drawn(view)

    view.plot.clicked.emit(0.0, 500.0)

    assert model.rows.setpoint("angle_deg")[cursor.point] == pytest.approx(90.0)


def test_the_numbers_of_the_polar_plot_are_the_areas(
    opened, model, cursor, shown, made_up, tmp_path
):
    made = made_up(points=18, quantity="angle_deg")
    view = shown(PolarView(model, cursor))
    opened(made.write(tmp_path / "run"))
    drawn(view)

    view.plot.save_numbers(tmp_path / "polar.csv")

    _, head, *rows = _table(tmp_path / "polar.csv")
    assert head == ["row", "angle_deg", "area_1_counts", "area_1_counts error", "verdict"]
    assert [float(row[1]) for row in rows] == made.values.tolist()
    assert [float(row[2]) for row in rows] == [made.fit(i, 1).values[2] for i in range(18)]


# --- monitors


def test_monitors_are_drawn_over_run_time_with_gaps_where_they_were_not_good(
    opened, model, cursor, shown, whole_run
):
    view = shown(StripsView(None, model, cursor))
    opened(whole_run)

    drawn(view)

    assert view.channels == ("temperature_K",)
    curve = view.plot_of("temperature_K")._curves[0]
    assert curve.x.tolist() == [(10.0 * i + j) / 60.0 for i in range(21) for j in (0.0, 5.0)]
    assert np.isnan(curve.y).sum() == 4
    assert view.latest_text("temperature_K") == "temperature   5.500 K"


def test_a_reading_that_is_missing_is_a_dash(opened, model, cursor, shown, made_up, tmp_path):
    view = shown(StripsView(None, model, cursor))
    opened(made_up().write(tmp_path / "run", range(5)))  # the last reading of row 4 is none

    drawn(view)

    assert view.latest_text("temperature_K") == "temperature   –"


def test_a_click_into_a_strip_chooses_what_was_measured_then(
    opened, model, cursor, shown, whole_run
):
    view = shown(StripsView(None, model, cursor))
    opened(whole_run)
    drawn(view)

    view.plot_of("temperature_K").clicked.emit(81.0 / 60.0, 5.5)

    assert cursor.point == 8


def test_live_readings_are_drawn_where_no_run_is_open(model, cursor, shown):
    view = shown(StripsView(None, model, cursor))

    for i in range(4):
        value = None if i == 3 else 5.0 + i
        view._on_snapshot(_snapshot(100.0 + 30.0 * i, value))
        view._on_snapshot(_snapshot(100.0 + 30.0 * i, value))  # the same reading once more
    drawn(view)

    curve = view.plot_of("temperature_K")._curves[0]
    np.testing.assert_equal(curve.x, [0.0, 0.5, 1.0, 1.5])
    np.testing.assert_equal(curve.y, [5.0, 6.0, 7.0, np.nan])
    assert view.latest_text("temperature_K") == "temperature   –"


def test_every_strip_gives_its_numbers_away_with_what_the_time_is_in(
    model, cursor, shown, tmp_path
):
    view, channels = shown(StripsView(None, model, cursor)), ("temperature_K", "leakage_A")
    readings = tuple(ChannelReading(name, name[-1], 5.0, 100.0) for name in channels)
    view._on_snapshot(Snapshot(Mode.ALIGNING, 100.0, readings=readings))
    drawn(view)

    assert view.channels == channels
    for channel in channels:
        view.plot_of(channel).save_numbers(tmp_path / "strip.csv")
        head = (tmp_path / "strip.csv").read_text(encoding="utf-8").splitlines()[0]
        assert head.startswith(f"{channel}: time (min),"), channel
    labels = [view.plot_of(channel).item.getAxis("bottom").label for channel in channels]
    assert [label.isVisible() for label in labels] == [False, True]


def test_monitors_of_a_run_go_on_with_what_each_row_read(
    opened, model, cursor, shown, made_up, tmp_path, qtbot
):
    view, made = shown(StripsView(None, model, cursor)), made_up()
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3))  # a monitor's last reading is that at 25 s
    opened(tmp_path / "run")

    for row, value in ((3, 6.0), (4, 7.0)):  # with no monitor read
        readings = {"temperature_K": value, "field_kV_per_cm": np.nan}
        journal.put(made.attempt(row, readings=readings), accept=True)
        with qtbot.waitSignal(model.rows_changed):
            model.look()
    drawn(view)

    curve = view.plot_of("temperature_K")._curves[0]
    assert curve.x[-3:].tolist() == [25.0 / 60.0, 31.0 / 60.0, 41.0 / 60.0]
    assert curve.y[-3:].tolist() == [5.5, 6.0, 7.0]
    assert view.latest_text("temperature_K") == "temperature   7.000 K"

    made.measure(journal, [5])  # a monitor's word is what the journal keeps
    with qtbot.waitSignal(model.streams_changed):
        model.look()
    drawn(view)

    assert curve.x[-3:].tolist() == [25.0 / 60.0, 50.0 / 60.0, 55.0 / 60.0]
    journal.close()


@pytest.mark.parametrize(
    ("took_ms", "period_ms"), [(0, 40), (10, 40), (15, 60), (20, 80), (40, 80), (100, 200)]
)
def test_a_view_is_drawn_again_within_80_ms_unless_one_drawing_takes_half_of_them(
    took_ms, period_ms, shown, monkeypatch
):
    clock = [1000]

    class Elapsed:
        def __init__(self):
            self.begun = None

        def start(self):
            self.begun = clock[0]

        def isValid(self):
            return self.begun is not None

        def elapsed(self):
            return clock[0] - self.begun

    def draw():
        clock[0] += took_ms

    monkeypatch.setattr("gui.views.redraw.QElapsedTimer", Elapsed)
    redraw = Redraw(shown(QWidget()), draw)

    redraw.now()
    redraw.soon()

    assert redraw._timer.interval() == period_ms - took_ms
    redraw._timer.stop()


def _snapshot(utc, value):
    reading = ChannelReading("temperature_K", "K", value, utc)
    return Snapshot(Mode.ALIGNING, utc, readings=(reading,), unacknowledged=Safety.NOT_ASKED)


# --- all of them


def test_one_cursor_is_seen_in_every_view(opened, model, cursor, shown, whole_run):
    views = [
        shown(SpectrumView(model, cursor)),
        shown(MapView(model, cursor)),
        shown(ParametersView(model, cursor)),
        shown(StripsView(None, model, cursor)),
    ]
    opened(whole_run)
    for view in views:
        drawn(view)
    spectrum, map_view, parameters, strips = views

    map_view.plot.clicked.emit(2.392, 15.0)
    for view in views:
        drawn(view)

    assert "point 16" in spectrum.row_text
    assert spectrum.plot.cross[0] == pytest.approx(2.392)
    assert map_view.plot.cross[1] == 15.0
    assert parameters.plot.cross[0] == pytest.approx(50.0)
    assert strips.plot_of("temperature_K").cross[0] == pytest.approx(150.0 / 60.0)


@pytest.mark.parametrize(
    ("view", "key", "to"),
    [
        (SpectrumView, Qt.Key.Key_Right, 11),
        (SpectrumView, Qt.Key.Key_Left, 9),
        (MapView, Qt.Key.Key_Up, 11),
        (MapView, Qt.Key.Key_Down, 9),
        (ParametersView, Qt.Key.Key_Right, 11),
        (ParametersView, Qt.Key.Key_Left, 9),
    ],
)
def test_arrows_step_the_cursor_by_one_row(opened, model, cursor, shown, whole_run, view, key, to):
    made = shown(view(model, cursor))
    opened(whole_run)
    cursor.set_point(10)
    drawn(made)

    QTest.keyClick(made, key)

    assert cursor.point == to


@pytest.mark.parametrize("view", [SpectrumView, MapView, ParametersView, PolarView])
def test_a_view_that_is_made_later_shows_the_run_that_is_open(
    opened, model, cursor, shown, qtbot, measured, view
):
    opened(measured.folder)
    cursor.set_point(model.size - 1)

    made = shown(view(model, cursor))

    qtbot.waitUntil(lambda: any(c.x.size for c in _curves(made)) or _has_image(made))


@pytest.mark.parametrize("view", [SpectrumView, MapView, ParametersView, PolarView])
def test_views_wear_the_dark_theme_and_draw_without_a_run(qapp, model, cursor, shown, view):
    theme.apply(qapp, theme.DARK)
    try:
        made = drawn(shown(view(model, cursor)))
        picture = made.grab().toImage()
    finally:
        theme.apply(qapp, theme.LIGHT)

    assert picture.pixelColor(picture.width() // 2, picture.height() - 2).lightness() < 128


def _curves(view):
    return view.plot._curves


def _has_image(view):
    return any(np.isfinite(image.values).any() for image in view.plot._images)


def test_a_foreign_spectrum_is_shown_in_every_view(opened, model, cursor, shown, shared):
    views = [shown(view(model, cursor)) for view in (SpectrumView, MapView, ParametersView)]

    opened(shared / "andor" / "kinetic_series.sif")
    cursor.set_point(4)
    for view in views:
        drawn(view)

    assert views[0]._data.x.size == 1024
    assert views[1].order.size == 20
    assert RowState(model.rows.state[4]) is RowState.GOOD


def test_what_was_found_is_named_above_its_place_in_either_unit(
    opened, spectrum, model, cursor, made_up, tmp_path
):
    opened(made_up(points=3).write(tmp_path / "run"))
    cursor.set_point(1)
    energy = HC / model.wavelength_nm(1)
    size = energy.size
    top = np.exp(-(((energy - 2.390) / 5e-4) ** 2))
    labels = (("X", 2.390), ("unassigned", 2.385))
    nothing = np.zeros(size)

    model.show_trial(FitCurve(slice(0, size), nothing, top, nothing, (top,), labels))
    drawn(spectrum)
    named = spectrum.labels.shown
    spectrum.set_unit(SpectralUnit.NM)
    in_nm = drawn(spectrum).labels.shown
    model.show_trial(None)

    assert [word for word, _, _ in named] == ["X", "?"]
    assert named[0][1:] == pytest.approx((2.390, top.max()))
    assert in_nm[0][1] == pytest.approx(HC / 2.390)
    assert drawn(spectrum).labels.shown == ()
