"""Long runs: what is read, kept and painted does not grow with them more than it must."""

import threading
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt6.QtCore import QCoreApplication
from PyQt6.QtGui import QPixmap

from acquisition.channel.messages import Said
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_columns import FitColumns
from acquisition.storage.record import AttemptState, Level
from gui.look.theme import Role
from gui.panels import message_log
from gui.panels.message_log import MessageLog
from gui.plotting.plots import Plot
from gui.shown import file_source, journal_follower, row_counts
from gui.shown.journal_follower import JournalFollower
from gui.shown.journal_reading import JournalReading
from gui.shown.row_counts import RowCounts
from gui.shown.row_fits import RowFits
from gui.views import map_image
from gui.views.map import MapView
from gui.views.map_image import MapImage
from gui.views.parameters import NO_LAW, ParametersView
from gui.views.spectral_unit import SpectralUnit
from gui.views.spectrum import SpectrumView
from gui.views.strips import StripsView

LONGEST_ms = 20_000


@pytest.mark.parametrize("on_disk", [False, True])
def test_of_a_long_spectrum_only_the_pixels_that_are_asked_for_are_read(monkeypatch, on_disk):
    monkeypatch.setattr(row_counts, "IN_MEMORY_BYTES", 0 if on_disk else 10**9)
    kept = RowCounts((3, 1000), np.dtype("<i4"))
    kept.put(np.arange(3), np.arange(3000).reshape(3, 1000))

    found = kept.of(np.array([2, 0]), np.array([999, 5, 5]))

    assert kept.is_on_disk == on_disk
    assert found.tolist() == [[2999, 2005, 2005], [999, 5, 5]]


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_a_column_of_a_map_is_its_nearest_pixel_whatever_the_order_of_the_axis(order):
    rng = np.random.default_rng(3)
    place = np.cumsum(rng.uniform(0.5, 1.5, 500))
    if order != "rising":
        place = place[::-1].copy() if order == "falling" else rng.permutation(place)
    wanted = rng.uniform(place.min() - 1, place.max() + 1, 300)

    found = map_image._nearest(place, np.diff(place), wanted)

    nearest = np.abs(place[None, :] - wanted[:, None]).argmin(axis=1)
    np.testing.assert_array_equal(found, nearest)


# --- reading


@pytest.fixture
def asked(monkeypatch):
    """The questions that are put to a journal."""
    asked = []
    for name in ("_all", "_one"):
        put = getattr(JournalReader, name)

        def noting(self, query, *values, put=put):
            asked.append(query)
            return put(self, query, *values)

        monkeypatch.setattr(JournalReader, name, noting)
    return asked


def _read(folder):
    with JournalReader(folder) as reader:
        reading = JournalReading(reader)
        reading.head()
        return list(reading.news())


def test_ten_times_the_rows_are_not_ten_times_the_questions(made_up, tmp_path, asked):
    few = made_up(points=100, pixels=8).write(tmp_path / "few")
    many = made_up(points=1000, pixels=8).write(tmp_path / "many")

    asked.clear()
    _read(few)
    for_few = len(asked)
    asked.clear()
    _read(many)

    assert for_few <= 20
    assert len(asked) <= for_few + 10


def test_a_look_without_news_asks_for_ends_and_counts_nothing(made_up, tmp_path, asked):
    folder = made_up(points=100, pixels=8).write(tmp_path / "run")
    with JournalReader(folder) as reader:
        reading = JournalReading(reader)
        reading.head()
        list(reading.news())
        asked.clear()

        assert list(reading.news()) == []

    assert len(asked) <= 4
    assert not any("COUNT" in question for question in asked)


def test_rows_come_in_pieces_with_their_fits(made_up, tmp_path):
    made = made_up(points=1300, pixels=8)

    pieces = [news for news in _read(made.write(tmp_path / "run")) if news.rows is not None]

    assert [len(news.rows.point) for news in pieces] == [512, 512, 276]
    for news in pieces:
        assert [one.point.tolist() for one in news.fits] == [news.rows.point.tolist()]


def test_nothing_is_read_faster_than_it_is_taken(made_up, tmp_path, qtbot):
    folder = made_up(points=6000, pixels=8).write(tmp_path / "run")
    taken = []
    follower = JournalFollower(
        folder,
        opened=lambda _: None,
        news=taken.append,
        detail=lambda _: None,
        failed=taken.append,
    )
    try:
        qtbot.waitUntil(lambda: len(taken) == journal_follower.PIECES, timeout=LONGEST_ms)
        assert not threading.Event().wait(0.3)
        assert len(taken) == journal_follower.PIECES

        follower.took()

        qtbot.waitUntil(lambda: len(taken) == journal_follower.PIECES + 1, timeout=LONGEST_ms)
    finally:
        follower.end()
        follower.join()


def test_a_disk_too_full_for_the_counts_is_told(model, whole_run, monkeypatch, qtbot):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_counts, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(row_counts, "_write", full)

    with qtbot.waitSignal(model.failed, timeout=LONGEST_ms) as failed:
        model.open(whole_run)

    assert str(whole_run) in failed.args[0]
    assert "No space left" in failed.args[0]


def test_a_file_comes_in_pieces_and_is_kept_once(opened, measured, monkeypatch, qtbot):
    whole = opened(measured.final).rows
    rows, pixels = whole.counts.shape
    counts = whole.counts.of(np.arange(rows)).tolist()
    monkeypatch.setattr(file_source, "_VALUES_AT_ONCE", 3 * pixels)

    source = file_source.open_file(measured.final)
    pieces = [piece.rows.point.tolist() for piece in source.pieces() if piece.rows is not None]
    model = opened(measured.final)
    with qtbot.waitSignal(model.detail_came, timeout=LONGEST_ms) as came:
        model.ask_detail(rows - 1)

    assert [len(piece) for piece in pieces] == [3] * (rows // 3) + [rows % 3] * (rows % 3 > 0)
    assert sorted(point for piece in pieces for point in piece) == list(range(rows))
    assert model.rows.counts.of(np.arange(rows)).tolist() == counts
    assert model.rows.state.tolist() == whole.state.tolist()
    assert came.args[0].frames.sum(axis=0).tolist() == counts[-1]
    assert source.told().run.file.spectra.size == 0


# --- keeping


@pytest.mark.parametrize("limit", [0, 10**9])
def test_counts_are_given_back_as_they_were_put(commit_seed, monkeypatch, limit):
    monkeypatch.setattr(row_counts, "IN_MEMORY_BYTES", limit)
    rng = np.random.default_rng(commit_seed)
    expected = np.zeros((200, 7), np.int32)
    kept = RowCounts((200, 7), np.dtype("<i4"))
    assert kept.is_on_disk == (limit == 0)

    for _ in range(60):
        rows = rng.permutation(200)[: rng.integers(1, 60)]
        rows = np.sort(rows) if rng.random() < 0.5 else rows
        counts = rng.integers(-(2**31), 2**31, (rows.size, 7))
        expected[rows] = counts
        kept.put(rows, counts)
        some = rng.integers(0, 200, 20)
        np.testing.assert_array_equal(kept.of(some), expected[some])

    np.testing.assert_array_equal(kept.of(np.arange(200)), expected)
    assert kept[17].tolist() == expected[17].tolist()


def _columns(fits):
    """Return fits of one kind as columns."""
    return FitColumns(
        fits[0].model,
        fits[0].version,
        fits[0].names,
        attempt=np.array([fit.attempt for fit in fits]),
        point=np.array([fit.point for fit in fits]),
        verdict=tuple(fit.verdict for fit in fits),
        reason=tuple(fit.reason for fit in fits),
        values=np.array([fit.values for fit in fits]),
        errors=np.array([fit.errors for fit in fits]),
        chi2_per_dof=np.array([fit.chi2_per_dof for fit in fits]),
    )


def test_fits_as_columns_are_the_fits(made_up):
    made = made_up()
    fits = [made.fit(i, i + 1, "poor fit" if i == 3 else "converged") for i in range(10)]
    other = replace(made.fit(12, 13), names=("energy_1_eV", "b", "c", "d"), version="2", reason="")
    kept, shown = RowFits(21), np.arange(1, 22)

    assert kept.put(_columns(fits), shown) == list(range(10))
    assert kept.put(_columns([other]), shown) == [12]

    assert list(kept) == [*range(10), 12]
    assert len(kept) == 11
    assert 11 not in kept
    assert 21 not in kept
    for fit in (*fits, other):
        found = kept[fit.point]
        for name in ("point", "attempt", "model", "version", "verdict", "reason", "names"):
            assert getattr(found, name) == getattr(fit, name), name
        assert found.values.tolist() == fit.values.tolist()
        assert found.errors.tolist() == fit.errors.tolist()
    assert np.flatnonzero(kept.has_verdict("converged")).tolist() == [0, 1, 2, *range(4, 10), 12]
    assert not kept.has_verdict("failed").any()
    assert np.isfinite(kept.parameter("width_eV")[0]).sum() == 10  # not of the other model


def test_a_fit_of_an_attempt_that_is_not_shown_is_left_out_and_goes_with_its_attempt(made_up):
    made = made_up()
    kept, shown = RowFits(5), np.array([1, 2, 9, 4, 5])

    assert kept.put(_columns([made.fit(i, i + 1) for i in range(5)]), shown) == [0, 1, 3, 4]

    kept.forget_others(np.array([0, 1]), np.array([1, 30]))

    assert list(kept) == [0, 3, 4]
    assert np.isnan(kept.parameter("energy_1_eV")[0][1])
    with pytest.raises(KeyError):
        kept[1]
    assert list(kept.grown(9)) == [0, 3, 4]
    assert kept.grown(9)[3].reason == "reason 3"


def test_a_map_of_many_rows_is_their_mean_and_a_row_measured_again_replaces_itself(
    opened, made_up, tmp_path, qtbot, monkeypatch
):
    monkeypatch.setattr("gui.views.map_image.MOST_LINES", 5)
    made = made_up(points=23, pixels=16)
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(20))
    model = opened(tmp_path / "run")
    image = MapImage(model, np.arange(23), SpectralUnit.NM)
    image.add([3, 1, 2])
    image.add(range(23))

    def means(counts):
        lines = [counts[first : first + 5] for first in range(0, 23, 5)]
        return [np.mean(line, axis=0) for line in lines if len(line)]

    counts = [made.counts(i)[0] for i in range(20)]
    expected = means(counts)
    np.testing.assert_allclose(image.values[:4], expected, rtol=1e-6)
    assert np.isnan(image.values[4]).all()

    again = made.attempt(7, counts=made.counts(19))
    journal.put(again, accept=True)
    model.look()
    qtbot.waitUntil(lambda: model.rows.attempt[7] == 21, timeout=LONGEST_ms)
    image.add([7])

    counts[7] = made.counts(19)[0]
    np.testing.assert_allclose(image.values[:4], means(counts), rtol=1e-6)
    journal.close()


# --- painting


def _painted(widget):
    for _ in range(4):
        QCoreApplication.processEvents()
    return widget.screen().grabWindow(widget.winId()).toImage()


@pytest.fixture
def plot(shown):
    plot = shown(Plot("x", "eV", "y", "ct"))
    plot.curve("data", Role.DATA).show(np.arange(50.0), np.sin(np.arange(50.0)))
    _painted(plot)
    return plot


def _drawings(monkeypatch, kind):
    """Count how often items of this kind are painted."""
    painted = []
    paint = kind.paint

    def noting(self, *rest):
        painted.append(self)
        paint(self, *rest)

    monkeypatch.setattr(kind, "paint", noting)
    return painted


def test_a_step_of_the_cursor_looks_as_if_all_was_painted_anew(plot):
    for x in (10.0, 30.0, 30.2, 45.0, 3.0):
        plot.show_cross(x, 0.5 * np.cos(x))
        step = _painted(plot)
        plot._graphics.viewport().update()
        assert _painted(plot) == step

    plot.show_cross(None, None)
    bare = _painted(plot)
    plot._graphics.viewport().update()
    assert _painted(plot) == bare
    plot.show_cross(10.0, 0.0)
    assert _painted(plot) != bare


def test_what_is_drawn_between_two_steps_is_seen(plot):
    plot.show_cross(10.0)
    _painted(plot)
    plot.show_cross(20.0)
    without = _painted(plot)

    curve = plot.curve("fit", Role.FIT)
    curve.show([0.0, 49.0], [-1.0, 1.0])
    for x in (30.0, 25.0, 20.0):
        plot.show_cross(x)
        with_both = _painted(plot)

    assert with_both != without
    plot._graphics.viewport().update()
    assert _painted(plot) == with_both
    curve.clear()
    assert _painted(plot) == without
    curve.show([0.0, 49.0], [-1.0, 1.0])

    plot.zoom_to(x=(0.0, 25.0))
    plot.show_cross(20.5)
    zoomed = _painted(plot)
    plot._graphics.viewport().update()

    assert _painted(plot) == zoomed
    assert zoomed != with_both


def test_steps_of_the_cursor_paint_no_map_no_points_and_no_strips_anew(
    opened, model, cursor, shown, made_up, tmp_path, qtbot, monkeypatch
):
    made = made_up(points=300, pixels=32)
    views = [
        shown(view)
        for view in (
            MapView(model, cursor),
            ParametersView(model, cursor),
            StripsView(None, model, cursor),
        )
    ]
    spectrum = shown(SpectrumView(model, cursor))
    opened(made.write(tmp_path / "run"))
    views[1].set_law(NO_LAW)  # which else comes when it is ready
    cursor.set_point(5)
    qtbot.waitUntil(lambda: not any(view._redraw.is_due for view in views), timeout=LONGEST_ms)
    for view in (*views, spectrum):
        _painted(view)
    for point in (6, 8):  # with which the picture of each plot is taken
        cursor.set_point(point)
        for view in (*views, spectrum):
            _painted(view)

    kinds = (pg.ImageItem, pg.ErrorBarItem, pg.ScatterPlotItem)
    drawn = [_drawings(monkeypatch, kind) for kind in kinds]
    images = []
    monkeypatch.setattr(pg.ImageItem, "setImage", lambda self, *_, **__: images.append(self))
    for point in (7, 299, 0, 150, 151):
        cursor.set_point(point)
        for view in views:
            _painted(view)

    assert [len(found) for found in drawn] == [0, 0, 0]
    assert images == []
    assert views[0].plot.cross[1] == 151.0


def test_a_step_draws_the_spectrum_once_with_its_fit(
    opened, model, cursor, shown, made_up, tmp_path, qtbot
):
    spectrum = shown(SpectrumView(model, cursor))
    opened(made_up(points=30, pixels=32).write(tmp_path / "run"))
    cursor.set_point(1)
    qtbot.waitUntil(lambda: not spectrum._redraw.is_due, timeout=LONGEST_ms)
    drawn = []
    draw = spectrum._redraw._draw
    spectrum._redraw._draw = lambda: (drawn.append(cursor.point), draw())

    for point in (5, 9, 12, 20):  # faster than anybody sees: only the last is drawn
        cursor.set_point(point)
    qtbot.waitUntil(lambda: not spectrum._redraw.is_due, timeout=LONGEST_ms)

    assert set(drawn) == {20}


def test_a_picture_that_is_saved_has_the_cursor(plot, tmp_path):
    plot.save_picture(tmp_path / "without.png")
    plot.show_cross(25.0, 0.0)
    plot.save_picture(tmp_path / "with.png")

    with_cross, without = (
        QPixmap(str(tmp_path / name)).toImage() for name in ("with.png", "without.png")
    )
    assert with_cross.size() == without.size()
    assert with_cross != without


def test_states_are_told_for_columns_as_for_single_attempts(made_up, tmp_path):
    made = made_up(points=6, frames=3)
    journal = made.begin(tmp_path / "run")
    made.measure(journal, range(3), flags=("probe",))
    journal.put(made.attempt(3, AttemptState.REJECTED), accept=False)
    empty = made.attempt(4, AttemptState.ABORTED)
    journal.put(
        replace(empty, counts=empty.counts[:0], frame_start_s=empty.frame_start_s[:0]), accept=False
    )
    journal.put(replace(empty, point=5, state=AttemptState.OK), accept=True)

    columns = journal.columns.attempts(0, 6)
    single = [journal.attempt(key) for key in range(1, 7)]

    assert columns.id.tolist() == [one.id for one in single]
    assert columns.is_accepted.tolist() == [one.is_accepted for one in single]
    for place, one in enumerate(one.attempt for one in single):
        assert columns.point[place] == one.point
        assert columns.state[place] is one.state
        assert columns.flags[place] == one.flags
        assert columns.frames[place] == len(one.counts)
        assert columns.counts[place].tolist() == one.counts.sum(axis=0).tolist()
        assert columns.readings[place].tolist() == list(one.readings.values())
        assert (columns.start_s[place], columns.exposure_s[place]) == (one.start_s, one.exposure_s)
        assert columns.calibration[place] == one.calibration
    _, batches = journal.columns.streams(0)
    assert [batch.channel for batch in batches] == ["temperature_K"]
    parts = [batch for _, batch in journal.streams()]
    np.testing.assert_array_equal(batches[0].time_s, np.concatenate([b.time_s for b in parts]))
    np.testing.assert_array_equal(batches[0].value, np.concatenate([b.value for b in parts]))
    plan = journal.columns.plan(("temperature_K", "field_kV_per_cm", "kind"))
    assert plan["field_kV_per_cm"] == made.values.tolist()
    assert set(plan["kind"]) == {"sample"}
    assert journal.progress().attempts == 6
    assert journal.progress().accepted == 4
    assert journal.extent() == (6, 6)
    assert journal.background_points() == ()
    assert journal.point(2) == made.table().points[2]
    with pytest.raises(KeyError):
        journal.point(6)
    assert journal.accepted_among([1, 3, 5]) == {1: 2, 5: 6}
    assert journal.last_code("segment", "finished") == "segment"
    assert journal.last_code("finished") is None
    journal.close()


def test_a_burst_of_messages_is_taken_in_pieces_and_in_order(qtbot):
    log = MessageLog()
    said = [
        Said(level=Level.ERROR if i == 2600 else Level.INFO, text=f"word {i}", utc=1e9 + i)
        for i in range(2700)
    ]
    blocked = []
    log.blocked.connect(blocked.append)

    log.take(said[:2650])
    assert len(log.entries) == message_log.AT_ONCE
    log.take(said[2650:])
    assert len(log.entries) == message_log.AT_ONCE  # none overtakes those that wait
    qtbot.waitUntil(lambda: len(log.entries) == len(said), timeout=LONGEST_ms)

    assert [entry.said.text for entry in log.entries] == [one.text for one in said]
    assert [entry.said.text for entry in blocked] == ["word 2600"]
    log.deleteLater()
