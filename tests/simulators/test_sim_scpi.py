"""SCPI parsing: spellings, levels, quotes."""

import pytest

from simulators.scpi import parse_message, spelling_table, spellings, split_outside_quotes
from simulators.scpi_settings import Choice, Real, ScpiError, Switch, Whole

LEVEL = ":SOURce[1]:VOLTage[:LEVel]"
RANGE = ":SOURce[1]:VOLTage:RANGe"
OUTPUT = ":OUTPut[1][:STATe]"
TABLE = spelling_table([LEVEL, RANGE, OUTPUT, "*RST", ":SENSe[1]:FUNCtion"])


def headers(message: str) -> list[str | None]:
    return [command.header for command in parse_message(message, TABLE)]


def test_a_header_has_every_spelling_that_the_standard_allows_and_no_other() -> None:
    assert sorted(spellings(OUTPUT)) == [
        "OUTP", "OUTP1", "OUTP1:STAT", "OUTP1:STATE", "OUTP:STAT", "OUTP:STATE",
        "OUTPUT", "OUTPUT1", "OUTPUT1:STAT", "OUTPUT1:STATE", "OUTPUT:STAT", "OUTPUT:STATE",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "message",
    ["sour:volt 5", ":Source1:Voltage:Level 5", "SOUR:VOLT:LEV\t5", " :SOUR:VOLT  5 "],
)
def test_short_long_and_mixed_case_mean_the_same(message: str) -> None:
    (command,) = parse_message(message, TABLE)

    assert (command.header, command.arguments, command.is_query) == (LEVEL, ("5",), False)


@pytest.mark.parametrize(
    "message", ["SOURC:VOLT 5", "SOUR:VO 5", "SOUR VOLT 5", "VOLT 5", "SOUR:VOLT:LEV:X 5"]
)
def test_half_spelled_and_incomplete_headers_are_unknown(message: str) -> None:
    assert headers(message) == [None]


def test_a_command_continues_at_the_level_of_the_one_before() -> None:
    assert headers(":SOUR:VOLT:LEV 5;RANG 20;:OUTP ON") == [LEVEL, RANGE, OUTPUT]


def test_common_commands_leave_the_level_alone() -> None:
    assert headers(":SOUR:VOLT:LEV 5;*RST;RANG 20") == [LEVEL, "*RST", RANGE]


def test_a_level_falls_back_to_the_root() -> None:
    assert headers(":SOUR:VOLT 5;OUTP 1") == [LEVEL, OUTPUT]


def test_empty_commands_are_skipped() -> None:
    assert headers(";;:OUTP ON;;") == [OUTPUT]


def test_separators_inside_quotes_do_not_separate() -> None:
    (command, other) = parse_message("SENS:FUNC \"a;b\", 'c,d';:OUTP 1", TABLE)

    assert command.arguments == ('"a;b"', "'c,d'")
    assert other.header == OUTPUT
    assert split_outside_quotes("'open;", ";") == ["'open;"]


def test_queries_may_have_parameters() -> None:
    (command,) = parse_message(":SOUR:VOLT:RANG? MAX", TABLE)

    assert (command.header, command.is_query, command.arguments) == (RANGE, True, ("MAX",))


@pytest.mark.parametrize(
    ("text", "value"), [("1e2", 100.0), ("MIN", -5.0), ("max", 200.0), ("DEF", 1.0)]
)
def test_numbers_and_their_names(text: str, value: float) -> None:
    assert Real(1.0, -5.0, 200.0).parse(text) == value


@pytest.mark.parametrize(
    ("text", "number"), [("abc", -104), ("nan", -104), ("1_0", -104), ("inf", -222), ("201", -222)]
)
def test_what_is_no_number_and_what_is_out_of_range(text: str, number: int) -> None:
    with pytest.raises(ScpiError) as caught:
        Whole(1, -5, 200).parse(text)

    assert caught.value.number == number


def test_switches_and_words() -> None:
    assert [Switch(False).parse(word) for word in ("ON", "off", "1", "0")] == [
        True,
        False,
        True,
        False,
    ]
    assert Choice("NORMal", "GUARd").parse("guard") == "GUAR"
    for setting in (Switch(False), Choice("NORMal")):
        with pytest.raises(ScpiError, match="-224"):
            setting.parse("2")
