"""A paced clock: experiment time passes in waits, and each wait takes its time of life."""

import pytest

from drivers import clock as clock_module
from drivers.clock import MOST_LATE_S, PacedClock


class Life:
    """Real time under the hands of a test."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def time(self) -> float:
        return 1.8e9 + self.now_s


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    life = Life()
    monkeypatch.setattr(clock_module, "time", life)
    return life


def test_time_passes_in_waits_only_and_a_wait_takes_its_share_of_life(life: Life) -> None:
    clock = PacedClock(4.0)
    life.now_s += 0.1  # the computer is busy with something else
    assert clock.now() == 0.0

    clock.wait(2.0)

    assert clock.now() == 2.0
    assert life.slept == [pytest.approx(0.4)]  # 2 s are 0.5 s of life, 0.1 s had gone by already


def test_what_is_late_is_made_up_for_but_not_all_of_it(life: Life) -> None:
    clock = PacedClock(1.0)
    life.now_s += 10.0

    clock.wait(1.0)
    assert life.slept == []
    clock.wait(1.0)

    assert clock.now() == 2.0
    assert life.slept == [pytest.approx(1.0 - MOST_LATE_S)]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_wait_passes_no_time(life: Life, seconds: float) -> None:
    clock = PacedClock(2.0)

    clock.wait(seconds)

    assert (clock.now(), life.slept) == (0.0, [])


def test_the_wall_clock_is_that_of_life(life: Life) -> None:
    clock = PacedClock(2.0)
    clock.wait(10.0)

    assert clock.utc() == 1.8e9 + 1005.0


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_factor_must_be_positive(factor: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        PacedClock(factor)
