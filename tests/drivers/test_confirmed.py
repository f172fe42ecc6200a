"""What is looked at twice: one garbled digit never passes, wherever it is."""

import re
from itertools import chain, repeat
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.clock import VirtualClock
from drivers.confirmed import confirmed_number, confirmed_readings, confirmed_settings
from drivers.errors import ReplyError
from drivers.line import Line
from drivers.roles import Reading, ReadingStatus

NUMBER = re.compile(r"[+-]\d+\.\d+")
WHO = ("*IDN?", "LSCI,MODEL336,LSA24K7/2136045,2.9")


def kelvin(value, status=ReadingStatus.OK):
    return {"temperature_K": Reading(value, "K", 0.0, status)}


def looked(*values):
    """Return a look that shows these values one after the other, and how many are left."""
    left = list(values)
    return lambda: left.pop(0), left


@given(st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31), st.integers(0, 2))
def test_a_number_that_was_wrong_once_is_right(true, wrong, place):
    shown = [true, true, true]
    shown[place] = wrong
    look, _ = looked(*shown)

    assert confirmed_number("mono", look) == true


def test_two_equal_numbers_need_no_third_look():
    look, left = looked(5, 5, 7)

    assert confirmed_number("mono", look) == 5
    assert left == [7]


def test_two_wrong_numbers_that_differ_pass_as_little_as_one():
    look, _ = looked(7, 5, 9, 5)

    assert confirmed_number("mono", look) == 5


def test_a_place_that_dithers_by_a_pulse_is_one_place():
    look, left = looked(71680, 71681, 0)

    assert confirmed_number("polarizer", look, 4) == 71681
    assert left == [0]


def test_numbers_that_never_agree_are_an_error_that_shows_them():
    look, _ = looked(1, 5, 2, 8, 3)

    with pytest.raises(ReplyError, match=r"mono: no two of \[1, 5, 2, 8, 3\] agree"):
        confirmed_number("mono", look)


@given(st.floats(4.0, 300.0), st.floats(0.0, 1e4), st.integers(0, 2))
def test_a_reading_that_was_wrong_once_is_right_within_the_noise(true_K, wrong_K, place):
    shown = [kelvin(true_K), kelvin(true_K), kelvin(true_K)]
    shown[place] = kelvin(wrong_K)
    look, _ = looked(*shown)

    found_K = confirmed_readings("cryostat", look)["temperature_K"].value

    assert found_K == pytest.approx(true_K, rel=2.1e-3, abs=0.021)


@pytest.mark.parametrize("place", range(3))
def test_a_flag_that_was_garbled_once_neither_condemns_nor_absolves(place):
    good, bad = kelvin(5.0), kelvin(nan, ReadingStatus.FAULT)
    for most, other in ((good, bad), (bad, good)):
        shown = [most, most, most]
        shown[place] = other
        look, _ = looked(*shown)

        found = confirmed_readings("cryostat", look)["temperature_K"]
        assert found.is_good is (most is good)


def test_a_value_that_runs_costs_a_few_looks_and_no_error():
    look, left = looked(*(kelvin(5.0 + 0.5 * step) for step in range(6)))

    assert confirmed_readings("cryostat", look)["temperature_K"].value == 7.0
    assert len(left) == 1


def test_readings_that_neither_agree_nor_run_are_an_error_that_shows_them():
    look, _ = looked(*(kelvin(value) for value in (5.0, 7.0, 6.0, 9.0, 8.0)))

    with pytest.raises(ReplyError, match=r"cryostat: temperature_K: no two of .*7\.0.* agree"):
        confirmed_readings("cryostat", look)


def test_each_channel_is_confirmed_by_itself():
    def both(stage, sample):
        return {
            "temperature_K": Reading(stage, "K", 0.0),
            "sample_temperature_K": Reading(sample, "K", 0.0),
        }

    look, left = looked(both(5.0, 6.0), both(5.0, 1.0), both(2.0, 6.0), both(0.0, 0.0))

    found = confirmed_readings("cryostat", look)

    assert {name: reading.value for name, reading in found.items()} == {
        "temperature_K": 5.0, "sample_temperature_K": 6.0
    }  # fmt: skip
    assert len(left) == 1


def test_settings_are_taken_when_they_were_read_alike_twice_in_a_row():
    look, left = looked({"range": 2}, {"range": 7}, {"range": 2}, {"range": 2})

    assert confirmed_settings("cryostat", look) == {"range": 2}
    assert left == []


def test_settings_that_are_never_alike_are_an_error_that_names_them():
    numbers = chain.from_iterable(repeat((1, 2)))

    with pytest.raises(ReplyError, match="cryostat: range: never read alike twice in 5 times"):
        confirmed_settings("cryostat", lambda: {"range": next(numbers), "mode": "on"})


def test_a_setpoint_that_ramps_is_no_disagreement():
    look, _ = looked({"setpoint_K": 10.0}, {"setpoint_K": 10.004})

    assert confirmed_settings("cryostat", look) == {"setpoint_K": 10.004}


def test_a_line_believes_what_is_answered_alike_twice_in_one_message(scripted):
    link = scripted(
        ("SETP? 1;SETP? 1", "+077.350;+072.350"), WHO, ("SETP? 1;SETP? 1", "+077.350;+077.350")
    )
    line = Line("cryostat", link, VirtualClock())

    assert line.ask_twice("SETP? 1", NUMBER) == "+077.350"
    assert line.anomalies == 1


def test_a_line_returns_both_replies_where_they_may_differ(scripted):
    question = "KRDG? A;RDGST? A"
    link = scripted((f"{question};{question}", "+077.350;000;+077.351;000"))

    found = Line("cryostat", link, VirtualClock()).ask_both(question, re.compile(r"\S+;\d{3}"))

    assert found == ("+077.350;000", "+077.351;000")
