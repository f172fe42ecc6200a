"""The engine's loop: order, overlap, repeats, flags, what is stored and published."""

from dataclasses import replace

import numpy as np
import pytest

from acquisition.channel.commands import Verb
from acquisition.channel.engine_status import EngineState, FinishReason, Safety
from acquisition.configuration.settle import OnTimeout, SettleCriterion
from acquisition.planning.point_table import PointKind
from acquisition.running.engine import EnginePolicy
from acquisition.storage.record import AttemptState
from drivers.errors import InstrumentError
from drivers.roles import Reading


def states(bench) -> list[AttemptState]:
    return [stored.attempt.state for stored in bench.journal.attempts()]


def flags(bench) -> list[tuple[str, ...]]:
    return [stored.attempt.flags for stored in bench.journal.attempts()]


def test_every_row_is_measured_once_and_the_run_ends_safe(bench, rows):
    outcome = bench.run(rows(3, temperature_K=5.5, angle_deg=[0.0, 10.0, 20.0], voltage_V=2.0))

    assert outcome.reason is FinishReason.COMPLETED
    assert outcome.safe.safety is Safety.CONFIRMED
    assert not bench.supply.is_on
    assert not bench.shutter.is_open
    assert states(bench) == [AttemptState.OK] * 3
    assert bench.engine.status().state is EngineState.IDLE


def test_only_what_differs_is_moved(bench, rows):
    bench.run(rows(4, temperature_K=[5.5, 5.5, 9.0, 9.0], angle_deg=[0.0, 10.0, 10.0, 10.0]))

    assert [entry[3] for entry in bench.calls("cryostat", "set")] == [5.5, 9.0]
    assert [entry[3] for entry in bench.calls("polarizer", "set")] == [-2.0, 0.0, 10.0]
    assert len(bench.calls("spectrograph", "set")) == 1


def test_light_is_open_only_while_exposing_and_never_while_something_moves(bench, rows):
    bench.run(rows(3, temperature_K=[5.5, 7.0, 9.0], angle_deg=[0.0, 10.0, 20.0]))

    is_open = False
    for _, device, verb, *values in bench.log:
        if (device, verb) == ("shutter", "set"):
            is_open = values[0]
        elif verb == "set":
            assert not is_open, (device, verb, values)
        elif (device, verb) == ("camera", "trigger"):
            assert is_open


def test_the_stage_turns_while_the_camera_reads_out(bench, rows):
    bench.run(rows(2, angle_deg=[0.0, 10.0]), without=["cryostat", "bias", "spectrograph"])

    turns_s = next(t for t, *_, angle in bench.calls("polarizer", "set") if angle == 10.0)
    collects_s = bench.calls("camera", "collect")[0][0]
    closes_s = next(t for t, *_, is_open in bench.calls("shutter", "set") if not is_open)
    assert closes_s < turns_s < collects_s


def test_without_a_laser_shutter_nothing_moves_before_the_frame_is_in(bench, rows):
    bench.run(rows(2, angle_deg=[0.0, 10.0]), without=["cryostat", "bias", "shutter"])

    turns_s = next(t for t, *_, angle in bench.calls("polarizer", "set") if angle == 10.0)
    assert bench.calls("camera", "collect")[0][0] <= turns_s
    assert all(np.isnan(a.attempt.readings["laser_open_s"]) for a in bench.journal.attempts())


def test_a_second_leg_of_the_stage_runs_during_the_readout_too(bench, rows):
    bench.camera.readout_s = 2.0
    bench.detector = replace(bench.detector, readout_s=2.0)
    bench.run(rows(2, angle_deg=[20.0, 10.0]), without=["cryostat", "bias", "spectrograph"])

    legs = [(t, angle) for t, *_, angle in bench.calls("polarizer", "set")]
    collects_s = bench.calls("camera", "collect")[0][0]
    assert [angle for _, angle in legs] == [18.0, 20.0, 8.0, 10.0]
    assert legs[-1][0] < collects_s


def test_a_row_that_must_be_repeated_after_the_stage_has_left_moves_back(bench, rows):
    bench.camera.spectrum = iter_spectra([70_000, 500, 500, 500])
    points = rows(2, angle_deg=[0.0, 30.0], target_counts=[1000.0, None], exposure_s=2.0)

    outcome = bench.run(points, without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.COMPLETED
    assert states(bench)[:2] == [AttemptState.REJECTED, AttemptState.REJECTED]
    accepted = bench.journal.accepted_attempt(0).attempt
    assert accepted.readings["angle_deg"] == pytest.approx(0.0)


def iter_spectra(peaks):
    left = iter(peaks)

    def spectrum(exposure_s: float):
        counts = np.full(16, 100, dtype=np.int32)
        counts[3] = next(left)
        return counts

    return spectrum


def test_backgrounds_are_taken_with_the_laser_blocked(bench, rows):
    kinds = [PointKind.DARK, PointKind.BLOCKED, PointKind.SAMPLE]

    outcome = bench.run(rows(3, kind=kinds), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.COMPLETED
    assert [entry[3].open_shutter for entry in bench.calls("camera", "arm")] == [False, True, True]
    assert len([e for e in bench.calls("shutter", "set") if e[3]]) == 1
    doses_s = [a.attempt.readings["laser_open_s"] for a in bench.journal.attempts()]
    assert doses_s == [0.0, 0.0, pytest.approx(1.1, abs=0.02)]


def test_a_background_with_the_laser_on_is_never_accepted_silently(bench, rows):
    bench.policy = EnginePolicy(retries=1)
    true_read = bench.shutter.read
    bench.shutter.read = lambda: {
        "is_open": type(true_read()["is_open"])(1.0, "", bench.clock.now())
    }

    outcome = bench.run(rows(1, kind=PointKind.BLOCKED), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert states(bench) == [AttemptState.REJECTED, AttemptState.OK]
    assert all("laser shutter" in text for (text,) in flags(bench))


def test_a_point_after_which_light_leaks_is_never_accepted_silently(bench, rows):
    bench.policy = EnginePolicy(retries=1)
    bench.shutter.read = lambda: {"is_open": Reading(1.0, "", bench.clock.now())}

    outcome = bench.run(rows(1), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert states(bench) == [AttemptState.REJECTED, AttemptState.OK]
    assert all("laser shutter after the exposure" in text for (text,) in flags(bench))
    assert any("laser shutter closed" in text for text in outcome.safe.failed)


def test_watchers_see_shutter_and_dose_of_a_point_with_light_and_no_instrument_that_lacks(
    bench, rows
):
    bench.run(rows(1), without=["cryostat", "bias"])

    latest = bench.engine.latest_readings()
    assert latest["shutter_open"].value == 0.0  # closed again after the exposure
    assert latest["laser_open_s"].value == pytest.approx(1.1, abs=0.02)
    assert not {"temperature_K", "gap_voltage_V", "field_kV_per_cm"} & latest.keys()


def test_the_angle_is_read_after_the_exposure_while_the_light_goes_out(bench, rows):
    bench.shutter.move_s = 0.3
    reads_s: list[float] = []
    true_read = bench.stage.read

    def read() -> dict:
        reads_s.append(bench.clock.now())
        return true_read()

    bench.stage.read = read
    bench.run(rows(1, angle_deg=10.0, exposure_s=5.0), without=["cryostat", "bias"])

    exposed_s = bench.calls("camera", "trigger")[0][0] + 5.0
    closes_s = next(t for t, *_, is_open in bench.calls("shutter", "set") if not is_open)
    assert len([t for t in reads_s if exposed_s <= t <= closes_s + 0.3]) == 1
    assert closes_s >= exposed_s


def test_the_dose_is_the_time_the_shutter_was_open(bench, rows):
    bench.run(rows(2, exposure_s=3.0), without=["cryostat", "bias", "polarizer"])

    doses_s = [a.attempt.readings["laser_open_s"] for a in bench.journal.attempts()]
    assert sum(doses_s) >= bench.shutter.opened_s
    assert sum(doses_s) == pytest.approx(bench.shutter.opened_s, abs=0.25)


def test_frames_keep_their_own_times(bench, rows):
    bench.run(rows(1, frames=5, exposure_s=0.5), without=["cryostat", "bias", "polarizer"])

    attempt = next(bench.journal.attempts()).attempt
    assert attempt.counts.shape == (5, 16)
    assert np.diff(attempt.frame_start_s) == pytest.approx([0.6] * 4)


def test_a_point_measured_while_the_temperature_left_the_band_is_repeated(bench, rows):
    points = rows(1, temperature_K=5.5, exposure_s=20.0)
    bench.happens(10.0, lambda: setattr(bench.cryostat, "offset_K", 0.5))
    bench.happens(15.0, lambda: setattr(bench.cryostat, "offset_K", 0.0))

    outcome = bench.run(points, without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED
    assert states(bench) == [AttemptState.REJECTED, AttemptState.OK]
    first, second = (stored.attempt for stored in bench.journal.attempts())
    assert "temperature_max_K is off by 0.5 K" in first.flags[0]
    assert first.readings["temperature_max_K"] == pytest.approx(6.0)
    assert second.readings["temperature_max_K"] == pytest.approx(5.5)


def test_what_never_holds_is_accepted_with_its_flags_after_the_retries(bench, rows):
    bench.policy = EnginePolicy(retries=2)
    bench.stage.slips_deg = 3.0

    outcome = bench.run(rows(1, angle_deg=10.0), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert "1 points carry flags" in outcome.text
    assert states(bench) == [AttemptState.REJECTED, AttemptState.REJECTED, AttemptState.OK]
    assert "angle is off by 3 deg" in flags(bench)[-1][0]


def test_a_wrong_grating_is_found_after_the_exposure(bench, rows):
    bench.happens(5.0, lambda: setattr(bench.spectrograph, "place", (510.0, 2)))

    bench.run(rows(1, exposure_s=10.0), without=["cryostat", "bias", "polarizer"])

    assert states(bench) == [AttemptState.REJECTED, AttemptState.OK]
    assert "grating" in flags(bench)[0][0]
    assert len(bench.calls("spectrograph", "set")) == 2


def test_a_temperature_that_never_settles_is_measured_once_per_row_and_flagged(bench, rows):
    bench.temperature = SettleCriterion(0.1, 2.0, progress_timeout_s=20.0)
    bench.cryostat.reaches = lambda kelvin: kelvin + 1.0

    outcome = bench.run(rows(3, temperature_K=7.0), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert states(bench) == [AttemptState.OK] * 3
    assert all(any("not settled" in text for text in row) for row in flags(bench))
    assert len(bench.calls("cryostat", "set")) == 1
    assert len(bench.events("not settled")) == 1


def test_rows_of_a_setpoint_out_of_reach_are_skipped_where_the_axis_says_so(bench, rows):
    bench.temperature = SettleCriterion(
        0.1, 2.0, progress_timeout_s=20.0, on_timeout=OnTimeout.SKIP
    )
    bench.cryostat.reaches = lambda kelvin: min(kelvin, 8.0)

    outcome = bench.run(rows(5, temperature_K=[5.5, 9.0, 9.0, 7.0, 9.0]), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert outcome.text == "3 points skipped"
    assert sorted(bench.journal.accepted()) == [0, 3]
    assert bench.engine.status().done == 2


def test_a_setpoint_out_of_reach_ends_the_run_where_the_axis_says_so(bench, rows):
    bench.temperature = SettleCriterion(
        0.1, 2.0, progress_timeout_s=20.0, on_timeout=OnTimeout.STOP
    )
    bench.cryostat.reaches = lambda kelvin: min(kelvin, 8.0)

    outcome = bench.run(rows(2, temperature_K=[5.5, 9.0]), without=["bias"])

    assert outcome.reason is FinishReason.STOPPED
    assert "not settled: temperature 9.0 K" in outcome.text


def test_target_counts_are_reached_after_a_probe(bench, rows):
    bench.camera.rate = 5000.0

    bench.run(
        rows(2, exposure_s=60.0, target_counts=20_000.0),
        without=["cryostat", "bias", "polarizer"],
    )

    attempts = [stored.attempt for stored in bench.journal.attempts()]
    assert [a.flags for a in attempts] == [("probe",), (), ()]
    assert [a.exposure_s for a in attempts] == [3.0, pytest.approx(4.0), pytest.approx(4.0)]


def test_a_saturated_frame_is_repeated_shorter(bench, rows):
    bench.camera.rate = 50_000.0

    outcome = bench.run(
        rows(1, exposure_s=60.0, target_counts=20_000.0),
        without=["cryostat", "bias", "polarizer"],
    )

    attempts = [stored.attempt for stored in bench.journal.attempts()]
    assert outcome.reason is FinishReason.COMPLETED
    assert attempts[0].flags == ("saturated", "probe")
    assert attempts[-1].exposure_s == pytest.approx(0.4)
    assert attempts[-1].flags == ()


def test_a_saturated_frame_of_fixed_time_is_flagged_and_not_repeated(bench, rows):
    bench.camera.rate = 1e6

    outcome = bench.run(rows(1), without=["cryostat", "bias", "polarizer"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert flags(bench) == [("saturated",)]


class Broken:
    def __init__(self, on_point: bool) -> None:
        self.raises_on_point = on_point
        self.calls = 0

    def on_point(self, key, point, attempt, *, accepted: bool) -> None:
        self.calls += 1
        if self.raises_on_point:
            raise RuntimeError("the window is gone")

    def results(self) -> list:
        if not self.raises_on_point:
            raise ValueError("garbage")
        return []


@pytest.mark.parametrize("on_point", [True, False])
def test_a_follower_that_fails_is_switched_off_and_the_run_goes_on(bench, rows, on_point):
    broken = Broken(on_point)
    bench.followers.insert(0, broken)

    outcome = bench.run(rows(3), without=["cryostat", "bias", "polarizer"])

    assert outcome.reason is FinishReason.COMPLETED
    assert broken.calls <= 1
    assert bench.recorder.points == [(0, True), (1, True), (2, True)]
    assert "Broken" in bench.events("follower off")[0].text


def test_the_run_cools_down_with_the_bias_at_zero_and_the_optics_left_alone(bench, rows):
    bench.policy = EnginePolicy(end_temperature_K=5.5)
    bench.cryostat.arrival_s = 60.0
    at_start: list[bool] = []
    true_set = bench.cryostat.set

    def cryostat_set(kelvin: float):
        at_start.append(bench.shutter.is_open)
        return true_set(kelvin)

    bench.cryostat.set = cryostat_set
    outcome = bench.run(rows(1, temperature_K=20.0, voltage_V=10.0))

    assert outcome.reason is FinishReason.COMPLETED
    assert [entry[3] for entry in bench.calls("cryostat", "set")] == [20.0, 5.5]
    assert len(bench.calls("spectrograph", "set")) == 1
    cooling_s = bench.calls("cryostat", "set")[1][0]
    off_s = next(t for t, *_, on in bench.calls("bias", "switch_output") if not on)
    assert off_s < cooling_s + 5.0


@pytest.mark.parametrize("way", ["stop", "unreachable", "refused"])
def test_trouble_on_the_way_to_the_end_temperature_does_not_undo_the_run(bench, rows, way):
    bench.policy = EnginePolicy(end_temperature_K=5.5)
    bench.cryostat.reaches = lambda kelvin: max(kelvin, 9.0)
    if way == "stop":
        bench.command(20.0, Verb.STOP_AFTER_POINT)
    elif way == "refused":
        bench.happens(10.0, lambda: bench.cryostat.fail("set", InstrumentError("cryostat", "no")))

    outcome = bench.run(rows(1, temperature_K=20.0, exposure_s=5.0), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED_WITH_FLAGS
    assert "not at the end temperature" in outcome.text
    assert list(bench.journal.accepted()) == [0]


def test_the_heater_goes_off_at_the_end_only_if_the_sweep_asks(bench, rows):
    bench.policy = EnginePolicy(heater_off_at_end=True)

    outcome = bench.run(rows(1, temperature_K=5.5), without=["bias"])

    assert "heater off" in outcome.safe.confirmed
    assert len(bench.calls("cryostat", "heater_off")) == 1


def test_a_run_without_rows_left_is_complete(bench, rows):
    bench.build(rows(1), without=["bias"])

    outcome = bench.engine.run([], done=1)

    assert outcome.reason is FinishReason.COMPLETED
    assert bench.engine.status().done == bench.engine.status().total == 1


def test_the_same_rows_give_the_same_journal(bench, rows, tmp_path):
    points = rows(3, temperature_K=[5.5, 7.0, 9.0], angle_deg=[0.0, 20.0, 10.0], voltage_V=2.0)
    bench.run(points)
    first = bench.journal.digest()
    other = type(bench)(tmp_path / "other")
    other.folder.mkdir()

    other.run(points)

    assert other.journal.digest() == first
    other.journal.close()
