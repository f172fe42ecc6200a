"""Waiting with open eyes, monitors, interlocks."""

from math import inf, isnan, nan

import numpy as np
import pytest

from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.instruments.monitors import Monitor, Monitors
from acquisition.safety.interlocks import Consequence, Interlock, first_trip
from acquisition.safety.vigil import InterlockTripped, StopRequested, Vigil
from drivers.clock import VirtualClock
from drivers.errors import LinkTimeout
from drivers.roles import Reading, ReadingStatus

OVERHEAT = Interlock("T", high=320.0, max_age_s=10.0, consequence=Consequence.STOP_AND_HEATER_OFF)


def reading(value: float, time_s: float = 0.0, status: ReadingStatus = ReadingStatus.OK) -> Reading:
    return Reading(value, "K", time_s, status)


class Sensor:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.value = 5.0
        self.error: Exception | None = None
        self.times: list[float] = []

    def read(self) -> dict[str, Reading]:
        self.times.append(self.clock.now())
        if self.error is not None:
            raise self.error
        return {"T": reading(self.value, self.clock.now())}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def sensor(clock) -> Sensor:
    return Sensor(clock)


@pytest.fixture
def commands() -> CommandQueue:
    return CommandQueue()


@pytest.fixture
def vigil(clock, sensor, commands) -> Vigil:
    return Vigil(clock, Monitors([Monitor("sensor", 2.0, sensor.read)]), [OVERHEAT], commands)


def test_time_passes_to_the_end_and_monitors_keep_their_period(vigil, clock, sensor):
    vigil.pass_time("nothing", 7.0)

    assert clock.now() == pytest.approx(7.0)
    assert sensor.times == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_what_is_awaited_is_said_with_its_beginning(vigil, clock):
    clock.wait(3.0)
    texts = iter(["far away", "near"])

    vigil.await_now(lambda: next(texts))

    assert (vigil.awaited, vigil.awaited, vigil.awaited_since_s) == ("far away", "near", 3.0)


def test_a_level_is_checked_as_a_level_not_as_an_edge(vigil, sensor):
    sensor.value = 400.0

    for _ in range(2):
        with pytest.raises(InterlockTripped, match="T: 400 K is outside -inf to 320"):
            vigil.look()


def test_one_garbled_reading_is_looked_at_twice(vigil, sensor, clock):
    values = iter([505.0, 5.0])
    true_read = sensor.read

    def read():
        sensor.value = next(values, 5.0)
        return true_read()

    vigil.monitors._monitors = (Monitor("sensor", 2.0, read),)

    vigil.look()

    assert sensor.times == [0.0, 0.0]
    assert vigil.monitors.value("T") == 5.0


def test_a_stop_now_is_heard_while_waiting(vigil, commands):
    commands.put(Command(Verb.STOP_NOW, "fire"))

    with pytest.raises(StopRequested, match="fire"):
        vigil.pass_time("exposure", 100.0)


def test_a_stop_after_the_point_waits_for_a_gate(vigil, commands):
    commands.put(Command(Verb.STOP_AFTER_POINT))

    vigil.pass_time("exposure", 10.0)

    with pytest.raises(StopRequested, match="after the point"):
        vigil.gate()


def test_every_command_is_noted_in_order(vigil, commands):
    noted = []
    vigil.attend(note=lambda command: noted.append(command.verb), every_tick=())
    for verb in (Verb.PAUSE, Verb.NOTE, Verb.RESUME):
        commands.put(Command(verb))

    vigil.look()

    assert noted == [Verb.PAUSE, Verb.NOTE, Verb.RESUME]
    assert not vigil.is_pause_wanted


def test_no_wait_is_longer_than_the_longest_tick(clock, sensor, commands):
    vigil = Vigil(
        clock, Monitors([Monitor("s", 60.0, sensor.read)]), [], commands, longest_tick_s=0.25
    )
    ticks = []
    vigil.attend(note=lambda _: None, every_tick=[lambda: ticks.append(clock.now())])

    vigil.pass_time("exposure", 1.0)

    assert ticks == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "no reading yet"),
        (reading(5.0, -11.0), "11.0 s old, allowed 10.0 s"),
        (reading(5.0, nan), "old"),
        (reading(nan), "nan K"),
        (reading(inf), "inf K"),
        (reading(5.0, status=ReadingStatus.FAULT), "fault"),
        (reading(320.1), "320.1 K is outside"),
    ],
)
def test_what_is_not_a_good_reading_within_its_band_is_a_trip(found, why):
    latest = {} if found is None else {"T": found}

    trip = first_trip([OVERHEAT], latest, 0.0)

    assert trip is not None
    assert why in trip.reason


def test_a_good_reading_within_its_band_is_none():
    assert first_trip([OVERHEAT], {"T": reading(320.0, -10.0)}, 0.0) is None


def test_only_a_reading_that_is_there_switches_the_heater_off():
    stale = first_trip([OVERHEAT], {"T": reading(5.0, -11.0)}, 0.0)
    missing = first_trip([OVERHEAT], {}, 0.0)
    hot = first_trip([OVERHEAT], {"T": reading(400.0)}, 0.0)

    assert [trip.consequence for trip in (stale, missing, hot)] == [
        Consequence.STOP,
        Consequence.STOP,
        Consequence.STOP_AND_HEATER_OFF,
    ]


def test_a_monitor_that_fails_is_absent_and_is_reported_once(clock, sensor):
    monitors, reports = Monitors([Monitor("sensor", 1.0, sensor.read)]), []
    monitors.report = reports.append
    monitors.poll(0.0)
    sensor.error = LinkTimeout("cryostat", "silent")
    for time_s in (1.0, 2.0, 3.0):
        monitors.poll(time_s)

    assert monitors.latest["T"].time_s == 0.0  # old, and an interlock sees that it is
    sensor.error = None
    monitors.poll(4.0)
    assert reports == [
        "monitor sensor fails: cryostat: silent",
        "monitor sensor reads again",
    ]


def test_extremes_hold_every_reading_since_the_mark(clock, sensor):
    monitors = Monitors([Monitor("sensor", 0.0, sensor.read)])
    for value in (50.0, 5.0):
        sensor.value = value
        monitors.poll(0.0)
    monitors.mark()
    assert monitors.extremes("T") == (inf, -inf)
    for value in (6.0, 4.0, 5.5):
        sensor.value = value
        monitors.poll(0.0)

    assert monitors.extremes("T") == (4.0, 6.0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_reading_makes_the_extremes_unknown(clock, sensor, place):
    monitors = Monitors([Monitor("sensor", 0.0, sensor.read)])
    for k in range(3):
        sensor.value = nan if k == place else 5.0
        monitors.poll(0.0)

    assert all(isnan(value) for value in monitors.extremes("T"))


def test_streams_hold_what_was_read_with_nan_for_bad_readings(clock, sensor):
    monitors = Monitors([Monitor("sensor", 1.0, sensor.read)])
    for value in (5.0, nan, 6.0):
        sensor.value = value
        monitors.poll(clock.now())
        clock.wait(1.0)

    (batch,) = monitors.batches(lambda time_s: time_s + 100.0)

    assert batch.time_s.tolist() == [100.0, 101.0, 102.0]
    np.testing.assert_array_equal(batch.value, [5.0, nan, 6.0])
    monitors.forget_batches()
    assert monitors.batches(lambda time_s: time_s) == ()


def test_the_value_of_a_channel_is_nan_unless_good(clock, sensor):
    monitors = Monitors([Monitor("sensor", 1.0, sensor.read)])
    assert isnan(monitors.value("T"))
    monitors.poll(0.0)
    assert monitors.value("T") == 5.0
    monitors.latest["T"] = reading(5.0, status=ReadingStatus.OUT_OF_RANGE)
    assert isnan(monitors.value("T"))
