"""How each quantity reaches its setpoint."""

import pytest

from acquisition.configuration.settle import SettleOutcome
from acquisition.instruments.movers import AngleMover, TemperatureMover
from drivers.errors import LinkTimeout, StateError


@pytest.fixture
def angle(bench):
    return AngleMover(bench.stage, lambda a: a % 360.0, overshoot_deg=2.0)


def go(bench, mover, point) -> None:
    mover.start(point)
    for _ in range(100_000):
        if mover.advance() is SettleOutcome.SETTLED:
            return
        bench.clock.wait(0.004)
    raise AssertionError(mover.awaited())


def legs(bench) -> list[float]:
    return [entry[3] for entry in bench.calls("polarizer", "set")]


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ([0.0], [-2.0, 0.0]),
        ([10.0, 20.0], [8.0, 10.0, 20.0]),
        ([20.0, 10.0], [18.0, 20.0, 8.0, 10.0]),
        ([350.0, 0.0], [348.0, 350.0, -2.0, 0.0]),
        ([350.0, 360.0], [348.0, 350.0, -2.0, 0.0]),
    ],
)
def test_every_angle_is_approached_from_below(bench, rows, angle, angles, expected):
    for point in rows(len(angles), angle_deg=angles):
        go(bench, angle, point)

    assert legs(bench) == expected


def test_a_new_target_waits_for_the_move_under_way(bench, rows, angle):
    first, second = rows(2, angle_deg=[90.0, 30.0])
    angle.start(first)

    go(bench, angle, second)

    assert bench.stage.angle_deg == 30.0
    assert legs(bench) == [88.0, 28.0, 30.0]


def test_a_failed_move_raises_where_it_is_awaited_and_can_be_given_up(bench, rows, angle):
    (point,) = rows(1, angle_deg=90.0)
    bench.stage.fail("set", LinkTimeout("polarizer", "silent"))
    with pytest.raises(LinkTimeout):
        angle.start(point)
    angle.forget()

    assert angle.differs(point)
    go(bench, angle, point)
    assert not angle.differs(point)


def test_after_it_was_forgotten_a_moving_stage_refuses(bench, rows, angle):
    (point,) = rows(1, angle_deg=90.0)
    angle.start(point)
    angle.forget()

    with pytest.raises(StateError, match="still moving"):
        angle.start(point)


def test_a_temperature_is_judged_from_new_readings_only(bench, rows):
    bench.build(rows(1, temperature_K=9.0), without=["bias"])
    mover = TemperatureMover(bench.cryostat, bench.temperature, bench.monitors, bench.clock)
    mover.start(bench.points[0])
    bench.clock.wait(100.0)

    assert [mover.advance() for _ in range(5)] == [SettleOutcome.PENDING] * 5
    for _ in range(4):
        bench.clock.wait(1.0)
        bench.monitors.poll(bench.clock.now())
        outcome = mover.advance()
    assert outcome is SettleOutcome.SETTLED


def test_a_controller_that_refuses_the_setpoint_is_heard(bench, rows):
    bench.build(rows(1, temperature_K=9.0), without=["bias"])
    mover = TemperatureMover(bench.cryostat, bench.temperature, bench.monitors, bench.clock)
    bench.cryostat.fail("set", LinkTimeout("cryostat", "silent"))

    with pytest.raises(LinkTimeout):
        mover.start(bench.points[0])
