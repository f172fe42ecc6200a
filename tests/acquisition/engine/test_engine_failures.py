"""What the engine does when instruments, interlocks or the disk fail; numbers as in the failure
catalogue of the reliability study."""

import itertools
from dataclasses import replace

import pytest

from acquisition.channel.engine_status import FinishReason, Safety
from acquisition.running.engine import EnginePolicy
from acquisition.safety.interlocks import Consequence
from acquisition.storage.journal import StorageFull
from acquisition.storage.record import AttemptState
from acquisition.storage.storage_errors import StorageError
from drivers.errors import (
    InstrumentError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)
from drivers.roles import ReadingStatus

OPTICS = ("cryostat", "bias", "polarizer")


def states(bench) -> list[AttemptState]:
    return [stored.attempt.state for stored in bench.journal.attempts()]


@pytest.mark.parametrize(
    ("device", "verb"),
    [
        ("camera", "arm"),
        ("camera", "trigger"),
        ("camera", "is_exposed"),
        ("camera", "is_read_out"),
        ("camera", "collect"),
        ("shutter", "set"),
        ("stage", "set"),
        ("stage", "read"),
        ("cryostat", "set"),
        ("cryostat", "read_temperature"),
        ("spectrograph", "set"),
    ],
)
@pytest.mark.parametrize("kind", [ReplyError, LinkTimeout, LinkClosed])
def test_01_to_08_one_failed_call_costs_one_attempt_at_most(bench, rows, device, verb, kind):
    stand_in = getattr(bench, device)
    bench.happens(0.01, lambda: stand_in.fail(verb, kind(stand_in.name, "once")))

    outcome = bench.run(rows(3, temperature_K=[5.5, 5.5, 7.0], angle_deg=[0.0, 5.0, 10.0]))

    assert outcome.reason is FinishReason.COMPLETED, outcome
    assert states(bench) == [AttemptState.OK] * 3
    assert outcome.safe.safety is Safety.CONFIRMED


def test_03_a_camera_that_fails_leaves_no_light_on_while_it_is_mended(bench, rows):
    bench.happens(3.0, lambda: bench.camera.die(LinkClosed("camera", "gone")))
    bench.happens(9.0, lambda: bench.camera.die(None))

    outcome = bench.run(rows(2, exposure_s=2.0), without=OPTICS)

    assert outcome.reason is FinishReason.COMPLETED
    broken = bench.events("attempt broken off")[0]
    assert broken.details["laser_open_s"] > 0
    assert bench.shutter.opened_s < 3 * 2.5


def test_07_a_lost_line_comes_back_and_the_run_goes_on(bench, rows):
    gone = LinkClosed("cryostat", "gone")
    bench.happens(5.0, lambda: bench.cryostat.die(gone))
    bench.happens(25.0, lambda: bench.cryostat.die(None))

    outcome = bench.run(rows(3, temperature_K=5.5, exposure_s=4.0), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED
    codes = [event.text for event in bench.events("monitor")]
    assert codes[0].startswith("monitor cryostat fails")
    assert codes[-1] == "monitor cryostat reads again"
    assert len(bench.journal.accepted()) == 3


def test_08_a_safety_reading_that_stays_away_trips_and_the_heater_holds(bench, rows):
    bench.happens(5.0, lambda: bench.cryostat.die(LinkTimeout("cryostat", "silent")))

    outcome = bench.run(
        rows(3, temperature_K=5.5, exposure_s=400.0, voltage_V=5.0),
    )

    assert outcome.reason is FinishReason.INTERLOCK
    assert "temperature_K: last reading" in outcome.text
    assert bench.clock.now() < 100.0
    assert not bench.calls("cryostat", "heater_off")
    assert not bench.supply.is_on


def test_08_an_instrument_that_never_answers_again_fails_the_run_safely(bench, rows):
    bench.happens(3.0, lambda: bench.stage.die(LinkClosed("polarizer", "unplugged")))

    outcome = bench.run(rows(3, angle_deg=[0.0, 10.0, 20.0]), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.FAILED
    assert "unplugged" in outcome.text
    assert outcome.safe.safety is Safety.NOT_CONFIRMED
    assert "polarizer stopped (polarizer: unplugged)" in outcome.safe.failed
    assert "laser shutter closed" in outcome.safe.confirmed


def test_10_another_instrument_at_the_address_ends_the_run(bench, rows):
    bench.happens(3.0, lambda: bench.camera.fail("trigger", LinkClosed("camera", "gone")))
    bench.camera.identify = lambda: (_ for _ in ()).throw(StateError("camera", "serial 9, not 1"))

    outcome = bench.run(rows(3, exposure_s=5.0), without=OPTICS, arm=False)

    assert outcome.reason is FinishReason.FAILED
    assert "serial 9, not 1" in outcome.text


def test_11_a_controller_that_rebooted_gets_its_setpoint_again(bench, rows):
    def reboot() -> None:
        bench.cryostat._from_K, bench.cryostat.setpoint_K = 20.0, 4.0
        bench.cryostat._set_s = bench.clock.now()

    bench.happens(30.0, reboot)

    outcome = bench.run(rows(2, temperature_K=20.0, exposure_s=20.0), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED
    assert AttemptState.REJECTED in states(bench)
    assert [entry[3] for entry in bench.calls("cryostat", "set")] == [20.0, 20.0]


def test_11_a_setting_that_nobody_changed_is_named_when_it_is_found_changed(bench, rows):
    bench.happens(5.0, lambda: bench.camera.own_settings.update(knob=2))
    bench.happens(5.0, lambda: bench.camera.fail("is_exposed", LinkTimeout("camera", "silent")))

    bench.run(rows(2, exposure_s=4.0), without=OPTICS)

    assert bench.events("recovered")[0].details["changed"] == {"knob": [1, 2]}


def test_12_a_supply_that_rebooted_ends_the_run(bench, rows):
    def reboot() -> None:
        bench.supply.is_on, bench.supply.level_V = False, 0.0

    bench.happens(12.0, reboot)

    outcome = bench.run(rows(3, voltage_V=10.0, exposure_s=10.0), without=["cryostat"])

    assert outcome.reason is FinishReason.INTERLOCK
    assert "went off by itself" in outcome.text
    assert outcome.safe.safety is Safety.CONFIRMED


def test_13_a_stage_that_lost_its_reference_is_homed_and_the_row_repeated(bench, rows):
    bench.build(rows(3, angle_deg=[10.0, 20.0, 30.0], exposure_s=3.0), without=["cryostat", "bias"])
    bench.stage.own_settings = {"is_homed": True}

    def lose_the_reference() -> None:
        bench.stage.is_homed = False
        bench.stage.own_settings = {"is_homed": False}

    bench.happens(5.0, lose_the_reference)

    outcome = bench.run(())

    assert outcome.reason is FinishReason.COMPLETED
    assert len(bench.calls("polarizer", "home")) == 1
    assert bench.events("homed")


def test_14_a_stage_that_is_stuck_is_tried_again_and_ends_the_run_when_it_stays_so(bench, rows):
    stuck = [InstrumentError("polarizer", "stands at 3 deg, not at 10 deg")] * 2
    bench.happens(3.0, lambda: bench.stage.fail("set", *stuck))
    outcome = bench.run(rows(2, angle_deg=[0.0, 10.0]), without=["cryostat", "bias"])
    assert outcome.reason is FinishReason.COMPLETED


def test_14_a_stage_stuck_for_good_ends_the_run(bench, rows):
    stuck = [InstrumentError("polarizer", "stands at 3 deg, not at 10 deg")] * 50
    bench.happens(0.5, lambda: bench.stage.fail("set", *stuck))

    outcome = bench.run(rows(2, angle_deg=[0.0, 10.0]), without=["cryostat", "bias"])

    assert outcome.reason is FinishReason.FAILED
    assert "stands at 3 deg" in outcome.text


def test_16_a_shutter_stuck_open_is_not_confirmed(bench, rows):
    def stick() -> None:
        bench.shutter.fail("set", *[InstrumentError("shutter", "stands at 1, not at 0")] * 99)

    bench.happens(2.0, stick)

    outcome = bench.run(rows(2, exposure_s=5.0), without=OPTICS)

    assert outcome.reason is FinishReason.FAILED
    assert any("laser shutter closed" in text for text in outcome.safe.failed)
    assert "exposure ended" in outcome.safe.confirmed


def test_18_a_warm_detector_stops_the_run(bench, rows):
    bench.happens(15.0, lambda: setattr(bench.camera, "detector_C", -40.0))

    outcome = bench.run(rows(9, exposure_s=10.0), without=OPTICS)

    assert outcome.reason is FinishReason.INTERLOCK
    assert "detector_temperature_C: -40 degC is outside" in outcome.text


def test_19_an_exposure_that_never_ends_is_aborted_and_repeated(bench, rows):
    bench.happens(1.0, lambda: setattr(bench.camera, "hangs", True))
    bench.happens(60.0, lambda: setattr(bench.camera, "hangs", False))

    outcome = bench.run(rows(2, exposure_s=10.0), without=OPTICS)

    assert outcome.reason is FinishReason.COMPLETED
    assert bench.calls("camera", "abort")
    assert "not finished 30.0 s after its time" in bench.events("attempt broken off")[0].text


def test_23_nan_from_the_sensor_is_never_a_temperature(bench, rows):
    bench.happens(8.0, lambda: setattr(bench.cryostat, "offset_K", float("nan")))
    bench.happens(8.5, lambda: setattr(bench.cryostat, "offset_K", 0.0))
    bench.interlocks = bench.interlocks[1:]

    outcome = bench.run(rows(1, temperature_K=5.5, exposure_s=8.0), without=["bias"])

    assert outcome.reason is FinishReason.COMPLETED


def test_24_a_sensor_fault_ends_the_run_with_the_heater_off(bench, rows):
    bench.interlocks[0] = replace(bench.interlocks[0], consequence=Consequence.STOP_AND_HEATER_OFF)
    bench.happens(9.0, lambda: setattr(bench.cryostat, "status", ReadingStatus.FAULT))

    outcome = bench.run(rows(3, temperature_K=5.5, voltage_V=5.0, exposure_s=10.0))

    assert outcome.reason is FinishReason.INTERLOCK
    assert "heater off" in outcome.safe.confirmed
    assert not bench.supply.is_on


def test_25_a_heater_fault_is_not_retried(bench, rows):
    bench.happens(2.0, lambda: bench.cryostat.fail("set", InstrumentError("cryostat", "open")))

    outcome = bench.run(rows(2, temperature_K=[5.5, 9.0]), without=["bias"])

    assert outcome.reason is FinishReason.FAILED
    assert outcome.text.startswith("cryostat: open")  # the instrument's words, no class's name


@pytest.mark.parametrize("when_s", [8.0, 13.0, 16.0])
def test_28_to_30_a_bias_trip_ends_the_run_at_zero(bench, rows, when_s):
    bench.happens(when_s, lambda: setattr(bench.supply, "resistance_ohm", 1e7))

    outcome = bench.run(rows(3, voltage_V=[10.0, 20.0, 30.0], exposure_s=5.0), without=["cryostat"])

    assert outcome.reason is FinishReason.INTERLOCK
    assert "leakage" in outcome.text
    assert not bench.supply.is_on
    assert outcome.safe.safety is Safety.CONFIRMED


def test_30_after_a_breakdown_the_output_is_off_before_anything_else(bench, rows):
    bench.happens(20.0, lambda: setattr(bench.supply, "is_broken", True))

    outcome = bench.run(rows(3, voltage_V=50.0, exposure_s=30.0), without=["cryostat"])

    assert outcome.reason is FinishReason.INTERLOCK
    assert "breakdown" in outcome.text
    off_s = next(t for t, *_, on in bench.calls("bias", "switch_output") if not on)
    assert off_s < 20.0 + 1.3
    assert off_s <= bench.calls("camera", "abort")[0][0]


def test_a_bias_request_beyond_the_limit_fails_the_run_before_anything_moves(bench, rows):
    outcome = bench.run(rows(1, voltage_V=150.0), without=["cryostat"])

    assert outcome.reason is FinishReason.FAILED
    assert "150.0 V is beyond the sample's limit" in outcome.text
    assert max(abs(volts) for _, volts in bench.supply.levels) <= 2.0


def test_instruments_that_fail_too_often_in_an_hour_end_the_run(bench, rows):
    def fail_again() -> None:
        bench.camera.fail("trigger", LinkTimeout("camera", "again"))
        bench.happens(bench.clock.now() + 5.0, fail_again)

    bench.happens(1.0, fail_again)

    outcome = bench.run(rows(60, exposure_s=4.0), without=OPTICS)

    assert outcome.reason is FinishReason.FAILED
    assert "failed 20 times within 3600 s" in outcome.text


def test_a_preparation_that_fails_still_ends_in_the_safe_state(bench, rows):
    bench.supply.is_on, bench.supply.level_V = True, 40.0  # left by a process that was killed
    bench.build(rows(1, voltage_V=5.0))

    def prepare() -> None:
        raise StateError("camera", "has 16 pixels, not 1024")

    outcome = bench.engine.run(bench.points, prepare=prepare)

    assert outcome.reason is FinishReason.FAILED
    assert outcome.safe.safety is Safety.CONFIRMED
    assert not bench.supply.is_on
    assert bench.supply.levels[0][1] > 30.0  # ramped, not switched


class Disk:
    """A journal on a disk that is full for a while."""

    def __init__(self, bench) -> None:
        self.is_full = False
        self.kind: type[Exception] = StorageFull
        for verb in ("put", "note"):
            setattr(bench.journal, verb, self._guard(getattr(bench.journal, verb)))

    def _guard(self, verb):
        def guarded(*args, **kwargs):
            if self.is_full:
                raise self.kind("the disk is full")
            return verb(*args, **kwargs)

        return guarded


def test_35_a_full_disk_is_waited_out_with_the_light_blocked(bench, rows):
    bench.build(rows(3, exposure_s=5.0), without=OPTICS)
    disk = Disk(bench)
    seen = []
    bench.happens(2.0, lambda: setattr(disk, "is_full", True))
    bench.happens(30.0, lambda: seen.append((bench.engine.status().awaited, bench.shutter.is_open)))
    bench.happens(40.0, lambda: setattr(disk, "is_full", False))

    outcome = bench.run(())

    assert outcome.reason is FinishReason.COMPLETED
    assert seen == [("room on the disk", False)]
    assert states(bench) == [AttemptState.OK] * 3
    streams = [batch for _, batch in bench.journal.streams(channel="detector_temperature_C")]
    assert sum(len(batch.value) for batch in streams) >= 5


def test_35_a_disk_that_stays_full_ends_the_run_with_a_clear_message(bench, rows):
    bench.build(rows(3, exposure_s=5.0, voltage_V=3.0), without=["cryostat"])
    disk = Disk(bench)
    bench.happens(12.0, lambda: setattr(disk, "is_full", True))

    outcome = bench.run(())

    assert outcome.reason is FinishReason.FAILED
    assert "the disk is full" in outcome.text
    assert outcome.safe.safety is Safety.CONFIRMED
    assert not bench.supply.is_on


def test_35_monitors_that_find_no_room_during_a_long_settling_do_not_end_it(bench, rows):
    bench.cryostat.arrival_s = 300.0
    bench.build(rows(1, temperature_K=50.0), without=["bias"])
    disk = Disk(bench)
    bench.happens(20.0, lambda: setattr(disk, "is_full", True))
    bench.happens(250.0, lambda: setattr(disk, "is_full", False))

    outcome = bench.run(())

    assert outcome.reason is FinishReason.COMPLETED
    times = [t for _, b in bench.journal.streams(channel="temperature_K") for t in b.time_s]
    assert max(b - a for a, b in itertools.pairwise(times)) < 1.5


def test_a_journal_that_is_broken_ends_the_run_at_once(bench, rows):
    bench.build(rows(3, exposure_s=5.0), without=OPTICS)
    disk = Disk(bench)
    disk.kind = StorageError
    bench.happens(2.0, lambda: setattr(disk, "is_full", True))

    outcome = bench.run(())

    assert outcome.reason is FinishReason.FAILED
    assert "not noted in the journal" in outcome.text
    assert outcome.safe.safety is Safety.CONFIRMED


def test_retries_of_conditions_and_of_instruments_are_counted_apart(bench, rows):
    bench.policy = EnginePolicy(retries=0)
    bench.happens(2.0, lambda: bench.camera.fail("trigger", *[LinkTimeout("camera", "x")] * 3))

    outcome = bench.run(rows(3, exposure_s=2.0), without=OPTICS)

    assert outcome.reason is FinishReason.COMPLETED
