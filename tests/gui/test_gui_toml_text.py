"""One change in a TOML file leaves everything else as the person wrote it."""

import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.sweep_text.toml_text import (
    EditError,
    as_list,
    insert_entry,
    move_entry,
    remove,
    set_value,
    toml_value,
    value_at,
)

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))

WRITTEN = """\
# a night
title = "one" # the first

[sample]
# as on the card
gap = "10 um"   # measured twice
note = '''
[[axis]] is no header here # nor this a comment
'''

# cold first
[[axis]]
quantity = "temperature"
points = [
    5.5, # base
    10,
]

# then the angle
[[axis]]
quantity = "polarization" # inner
points = { start = 0, stop = 180, step = 30 }

[end]
cryostat = "hold"
"""


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that are only before and those that are only after."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.mark.parametrize(
    ("place", "value", "was", "becomes"),
    [
        (("title",), "two", 'title = "one" # the first', 'title = "two" # the first'),
        (
            ("sample", "gap"),
            "12 um",
            'gap = "10 um"   # measured twice',
            'gap = "12 um"   # measured twice',
        ),
        (
            ("axis", 1, "points", "step"),
            15,
            "points = { start = 0, stop = 180, step = 30 }",
            "points = { start = 0, stop = 180, step = 15 }",
        ),
        (("end", "cryostat"), True, 'cryostat = "hold"', "cryostat = true"),
    ],
)
def test_a_new_value_changes_its_own_line_only(
    place: tuple[str | int, ...], value: object, was: str, becomes: str
) -> None:
    assert changed_lines(WRITTEN, set_value(WRITTEN, place, value)) == ([was], [becomes])


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        (("sample", "material"), "CsPbBr3", 'material = "CsPbBr3"'),
        (("axis", 0, "order"), "down", 'order = "down"'),
        (("axis", 1, "settle", "inside"), "1 s", 'settle = { inside = "1 s" }'),
        (("user",), "A. Experimenter", 'user = "A. Experimenter"'),
    ],
)
def test_a_new_key_is_one_more_line(place: tuple[str | int, ...], value: object, line: str) -> None:
    after = set_value(WRITTEN, place, value)

    assert changed_lines(WRITTEN, after) == ([], [line])
    assert value_at(tomllib.loads(after), place) == value


def test_a_key_of_a_missing_section_brings_the_section_with_it() -> None:
    after = set_value(WRITTEN, ("fit", "model", "lines"), 3)

    assert after == WRITTEN + "\n[fit.model]\nlines = 3\n"


def test_a_key_beside_inner_sections_gets_its_header_before_them() -> None:
    assert set_value("[fit.model]\nlines = 1\n", ("fit", "laws"), ["cos2"]) == (
        '[fit]\nlaws = ["cos2"]\n\n[fit.model]\nlines = 1\n'
    )


def test_the_same_value_written_otherwise_is_left_as_it_is() -> None:
    text = "power = 1e-6\nnames = [ 'a',  'b' ]\n"

    assert set_value(text, ("power",), 0.000001) == text
    assert set_value(text, ("names",), ["a", "b"]) == text


def test_a_removed_key_leaves_its_comment_behind() -> None:
    after = remove(WRITTEN, ("sample", "gap"))

    assert changed_lines(WRITTEN, after) == (
        ['gap = "10 um"   # measured twice'],
        ["# measured twice"],
    )


def test_what_is_not_there_is_removed_without_a_change() -> None:
    assert remove(WRITTEN, ("sample", "substrate")) == WRITTEN


def test_a_moved_axis_takes_the_comments_above_it_along() -> None:
    after = move_entry(WRITTEN, ("axis",), 1, 0)

    order = [after.index(text) for text in ("# then the angle", "inner", "# cold first", "# base")]
    assert order == sorted(order)
    assert [axis["quantity"] for axis in tomllib.loads(after)["axis"]] == [
        "polarization",
        "temperature",
    ]
    assert sorted(after.splitlines()) == sorted(WRITTEN.splitlines())


def test_moving_there_and_back_is_no_change_at_all() -> None:
    assert move_entry(move_entry(WRITTEN, ("axis",), 0, 1), ("axis",), 1, 0) == WRITTEN


def test_a_removed_axis_goes_with_its_comments_and_the_others_stay() -> None:
    gone = ["# then the angle", 'quantity = "polarization" # inner']
    gone.append("points = { start = 0, stop = 180, step = 30 }")

    assert changed_lines(WRITTEN, remove(WRITTEN, ("axis", 1))) == (gone, [])


def test_without_its_last_axis_a_file_has_no_list_of_axes() -> None:
    after = remove(remove(WRITTEN, ("axis", 1)), ("axis", 0))

    assert "axis" not in tomllib.loads(after)
    assert "[end]" in after


def test_a_new_axis_comes_behind_the_others_and_before_what_follows() -> None:
    after = insert_entry(WRITTEN, ("axis",), {"quantity": "repeat", "points": 3})

    assert changed_lines(WRITTEN, after) == ([], ['quantity = "repeat"', "points = 3"])
    assert after.index("inner") < after.index("repeat") < after.index("[end]")


def test_lists_within_a_line_are_edited_within_that_line() -> None:
    text = 'axis = [{ quantity = "a" }, { quantity = "b" }] # both\n'

    assert move_entry(text, ("axis",), 0, 1) == (
        'axis = [{ quantity = "b" }, { quantity = "a" }] # both\n'
    )
    assert remove(text, ("axis", 0)) == 'axis = [{ quantity = "b" }] # both\n'
    assert insert_entry(text, ("axis",), {"quantity": "c"}).startswith(
        'axis = [{ quantity = "a" }, { quantity = "b" }, { quantity = "c" }]'
    )


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ('# first\n[exposure]\ntime = "1 s"\n', '# first\n[[exposure]]\ntime = "1 s"\n'),
        ('exposure = { time = "1 s" }\n', 'exposure = [{ time = "1 s" }]\n'),
        ('[[exposure]]\ntime = "1 s"\n', '[[exposure]]\ntime = "1 s"\n'),
    ],
)
def test_a_single_section_becomes_a_list_of_one(text: str, becomes: str) -> None:
    assert as_list(text, ("exposure",)) == becomes


def test_line_ends_of_windows_stay() -> None:
    text = WRITTEN.replace("\n", "\r\n")
    edited = set_value(set_value(text, ("sample", "gap"), "9 um"), ("sample", "substrate"), "Si")

    assert edited.count("\n") == edited.count("\r\n") == text.count("\r\n") + 1
    assert remove(text, ("sample", "gap")).count("\r") == text.count("\r")


def test_a_comment_within_a_value_is_never_lost_silently() -> None:
    with pytest.raises(EditError, match="a comment within this value would be lost"):
        set_value(WRITTEN, ("axis", 0, "points"), "5.5, 10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sample\n", "mend the text first"),
        ("a = 1\na = 2\n", "mend the text first"),
    ],
)
def test_what_is_no_toml_is_not_edited(text: str, message: str) -> None:
    with pytest.raises(EditError, match=message):
        set_value(text, ("sample", "gap"), "1 um")


def test_an_entry_that_is_not_there_can_not_be_written() -> None:
    with pytest.raises(EditError, match=r"axis\[5\].points is not there"):
        set_value(WRITTEN, ("axis", 4, "points"), [1])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_value_of_every_example_can_be_changed_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    for place in places(document):
        expected = deepcopy(document)
        value_at(expected, place[:-1])[place[-1]] = "another"
        assert tomllib.loads(set_value(text, place, "another")) == expected


def places(node: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the place of every value that is no table or list."""
    if isinstance(node, dict):
        return [found for key, item in node.items() for found in places(item, (*above, key))]
    if isinstance(node, list):
        return [found for key, item in enumerate(node) for found in places(item, (*above, key))]
    return [above]


PLAIN = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("aB_-9. ", max_size=4), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(VALUES)
def test_every_value_is_read_as_it_was_written(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


@given(
    st.dictionaries(st.text("ab.# \"'é", min_size=1, max_size=4), PLAIN, max_size=4),
    st.text("ab.# \"'é", min_size=1, max_size=4),
    VALUES,
)
def test_any_key_takes_any_value(section: dict[str, object], key: str, value: object) -> None:
    lines = [f"{toml_value(name)} = {toml_value(item)} # {name}" for name, item in section.items()]
    text = "\n".join(["[sample]", *lines, ""])

    after = set_value(text, ("sample", key), value)

    assert tomllib.loads(after) == {"sample": {**section, key: value}}


def test_what_toml_does_not_know_is_refused() -> None:
    with pytest.raises(EditError, match="TOML has no value for None"):
        toml_value(None)
