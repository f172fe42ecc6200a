"""The sweep being edited: its history, its file, its fields and what the check says of them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from acquisition.configuration.config_error import ConfigError
from acquisition.planning.check import check
from acquisition.planning.price import Price
from gui.sweep_text.sweep_draft import SweepDraft
from gui.sweep_text.sweep_fields import SECTIONS, Field, Kind, Section, shown, written
from gui.sweep_text.sweep_findings import StationText, field_of, judge, places_of
from gui.sweep_text.toml_text import EditError, Place, value_at

EXAMPLES = Path(__file__).parents[2] / "examples"
SWEEPS = sorted(path for path in EXAMPLES.glob("*.toml") if "station" not in path.name)
OVERNIGHT = (EXAMPLES / "overnight.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_file_loaded_and_saved_is_the_same_to_the_byte(path: Path, tmp_path: Path) -> None:
    draft = SweepDraft.load(path)
    draft.save(tmp_path / "copy.toml")

    assert (tmp_path / "copy.toml").read_bytes() == path.read_bytes()
    assert not draft.is_changed


def test_line_ends_and_accents_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "windows.toml"
    file.write_bytes('[sweep]\r\nname = "für Ω"\r\n'.encode())

    draft = SweepDraft.load(file)
    draft.save()

    assert file.read_bytes() == '[sweep]\r\nname = "für Ω"\r\n'.encode()


def test_what_cannot_be_saved_is_still_unsaved_and_the_old_file_whole(tmp_path: Path) -> None:
    draft = SweepDraft("a = 1\n", tmp_path / "missing" / "sweep.toml")
    draft.set(("a",), 2)

    with pytest.raises(FileNotFoundError):
        draft.save()
    assert draft.is_changed


def test_a_new_sweep_asks_for_a_file_name() -> None:
    with pytest.raises(ValueError, match="needs a file name"):
        SweepDraft().save()


def test_undo_and_redo_walk_through_every_change() -> None:
    draft = SweepDraft(OVERNIGHT)
    draft.set(("sample", "name"), "FA-08")
    draft.move(("axis",), 0, 1)
    draft.remove(("exposure", 0))
    texts = [draft.text]

    assert draft.undo_change == "remove exposure 1"
    draft.undo()
    assert draft.undo_change == "move axis 1"
    draft.undo()
    draft.undo()
    assert draft.text == OVERNIGHT
    assert not draft.is_changed
    assert draft.undo_change == ""
    assert draft.redo_change == "name"
    for _ in range(3):
        draft.redo()
    assert [draft.text] == texts


def test_a_new_change_forgets_what_was_undone_but_no_change_does_not() -> None:
    draft = SweepDraft("a = 1\n")
    draft.set(("a",), 2)
    draft.undo()

    draft.set(("a",), 1)
    assert draft.redo_change == "a"
    draft.set(("a",), 3)
    assert draft.redo_change == ""


def test_what_is_typed_into_one_field_is_one_change() -> None:
    draft = SweepDraft('[sweep]\nname = "a" # kept in place\nuser = "b"\n')
    for text in ("", None, "n", "ni", "night"):
        draft.set(("sweep", "name"), text, is_typing=True)

    assert draft.text == '[sweep]\nname = "night" # kept in place\nuser = "b"\n'
    draft.undo()
    assert draft.text == '[sweep]\nname = "a" # kept in place\nuser = "b"\n'
    assert draft.undo_change == ""


def test_typing_back_what_was_there_leaves_no_change() -> None:
    draft = SweepDraft("a = 1\n")
    draft.set(("a",), 12, is_typing=True)
    draft.set(("a",), 1, is_typing=True)

    assert draft.undo_change == ""
    assert not draft.is_changed


def test_typing_again_after_a_pause_is_another_change() -> None:
    draft = SweepDraft("a = 1\n")
    draft.set(("a",), 2, is_typing=True)
    draft.end_typing()
    draft.set(("a",), 3, is_typing=True)
    draft.undo()

    assert draft.value(("a",)) == 2


def test_a_text_that_is_no_toml_has_no_values_and_takes_no_edit() -> None:
    draft = SweepDraft("a = 1\n")
    draft.write("a = [\n")

    assert draft.document is None
    assert draft.value(("a",)) is None
    with pytest.raises(EditError, match="mend the text first"):
        draft.set(("a",), 2)


def test_a_second_zone_turns_a_single_section_into_a_list() -> None:
    draft = SweepDraft('[exposure]\ntime = "1 s" # warm\n')
    draft.add(("exposure",), {"time": "2 s"})

    assert draft.text == '[[exposure]]\ntime = "1 s" # warm\n\n[[exposure]]\ntime = "2 s"\n'


def test_an_axis_moved_beyond_the_ends_stays_where_it_is() -> None:
    draft = SweepDraft(OVERNIGHT)
    draft.move(("axis",), 0, -1)
    draft.move(("axis",), 1, 2)

    assert draft.text == OVERNIGHT


def fields(
    document: object, sections: tuple[Section, ...], above: Place = ()
) -> Iterator[tuple[Place, Field]]:
    """Yield every field that a document has, rows one by one."""
    for section in sections:
        place = (*above, section.key)
        node = value_at(document, place)  # type: ignore[arg-type]
        rows = [(*place, n) for n in range(len(node))] if isinstance(node, list) else [place]
        for row in rows:
            yield from (((*row, field.key), field) for field in section.fields)
            yield from fields(document, section.sections, row)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_of_an_example_has_a_field_that_gives_it_back(path: Path) -> None:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    seen = set()
    for place, field in fields(document, SECTIONS):
        value = value_at(document, place)
        assert written(shown(value, field), field) == value, place
        if value is not None:
            seen.add(place)

    def leaves(node: object, above: Place = ()) -> Iterator[Place]:
        is_table = isinstance(node, dict) and above[-1:] != ("points",)
        if is_table or (isinstance(node, list) and node and isinstance(node[0], dict)):
            items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
            for step, item in items:
                yield from leaves(item, (*above, step))
        else:
            yield above

    assert seen == set(leaves(document))


def field(name: str, kind: Kind, unit: str = "") -> Field:
    return Field(name, kind, unit, {}, (), "", is_required=False)


@pytest.mark.parametrize(
    ("text", "kind", "unit", "value"),
    [
        ("", Kind.TEXT, "", None),
        ("  12 um ", Kind.QUANTITY, "um", "12 um"),
        ("3", Kind.NUMBER, "", 3),
        ("0.7", Kind.NUMBER, "", 0.7),
        ("seven", Kind.NUMBER, "", "seven"),
        ("LP 500, LP 480", Kind.LIST, "", ["LP 500", "LP 480"]),
        ('["a, b"]', Kind.LIST, "", ["a, b"]),
        ("[5.5, 10]", Kind.POINTS, "K", [5.5, 10]),
        ("{ start = 0, stop = 4, step = 2 }", Kind.POINTS, "K", {"start": 0, "stop": 4, "step": 2}),
        ("5.5, 10..40 step 10", Kind.POINTS, "K", "5.5, 10..40 step 10"),
        ("7", Kind.POINTS, "K", "7"),
        ("7", Kind.POINTS, "", 7),
        ("[5.5", Kind.POINTS, "K", "[5.5"),
    ],
)
def test_a_field_is_written_as_a_person_writes_it(
    text: str, kind: Kind, unit: str, value: object
) -> None:
    assert written(text, field("points", kind, unit)) == value


def test_choices_are_written_by_their_names() -> None:
    lines = Field(
        "lines", Kind.CHOICE, "", {"1": 1, "auto": "auto", "yes": True}, (), "", is_required=False
    )

    assert [written(text, lines) for text in ("1", "auto", "yes", "7")] == [1, "auto", True, "7"]
    assert [shown(value, lines) for value in (1, True, "auto")] == ["1", "yes", "auto"]


def test_the_fields_are_those_of_the_sweep_file() -> None:
    axis = next(section for section in SECTIONS if section.key == "axis")

    assert [section.key for section in SECTIONS] == [
        "sweep", "sample", "nanocrystal", "optics", "axis", "exposure", "background", "fit", "end",
        "limits",
    ]  # fmt: skip
    assert axis.is_rows
    assert not axis.of_zones
    assert {f.key: f.kind for f in axis.sections[0].fields} == {
        "tolerance": Kind.QUANTITY,
        "drift": Kind.QUANTITY,
        "inside": Kind.QUANTITY,
        "progress_timeout": Kind.QUANTITY,
        "on_timeout": Kind.CHOICE,
    }


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_verdict_is_that_of_the_command_line(path: Path) -> None:
    verdict = judge(path.read_text(encoding="utf-8"), path.parent, None)
    found = [(p.key, p.found, p.allowed) for p in verdict.problems]

    assert (verdict.result and verdict.result.price, found) == by_command(path)


def by_command(path: Path) -> tuple[Price | None, list[tuple[str, str, str]]]:
    """Return price and findings; a station's measured spectra may not be here."""
    try:
        return check(path).price, []
    except ConfigError as error:
        return None, [(p.key, p.found, p.allowed) for p in error.problems]


def test_the_station_of_the_engine_counts_and_not_the_one_in_the_file() -> None:
    station = (EXAMPLES / "station_simulated.toml").read_text(encoding="utf-8")
    hot = StationText(station.replace('max = "305 K"', 'max = "100 K"'), EXAMPLES)

    verdict = judge(OVERNIGHT, EXAMPLES, hot)

    assert [problem.key for problem in verdict.problems] == ["axis[temperature].points"]


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("[sweep\n", "TOML syntax", "valid TOML"),
        ('[sweep]\nname = "a"\nuser = "b"\n', "sweep.station", "a station file here"),
        ('[sweep]\nname = "a"\nuser = "b"\nstation = "no.toml"\n', "sweep.station", "readable"),
    ],
)
def test_without_a_station_the_verdict_says_so(
    text: str, key: str, part: str, tmp_path: Path
) -> None:
    problems = judge(text, tmp_path, None).problems

    assert part in {problem.key: problem.allowed for problem in problems}[key]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("sweep.name", [("sweep", "name")]),
        ("axis[temperature].points", [("axis", 0, "points")]),
        ("axis[polarization]", [("axis", 1)]),
        ("axis[2].quantity", [("axis", 1, "quantity")]),
        ("exposure[2].target_counts", [("exposure", 1, "target_counts")]),
        ("fit.model[3].window[2]", [("fit", "model", 2, "window", 1)]),
        ("TOML syntax", [("TOML syntax",)]),
        ("the file", [("the file",)]),
    ],
)
def test_a_findings_key_leads_to_its_place(key: str, expected: list[Place]) -> None:
    assert list(places_of(key, tomllib.loads(OVERNIGHT))) == expected


def test_a_row_of_a_single_section_is_that_section() -> None:
    document = {"exposure": {"time": "1 s"}}

    assert places_of("exposure[1].time", document) == (("exposure", "time"),)


def test_a_finding_about_two_axes_of_a_kind_stands_at_both() -> None:
    document = {"axis": [{"quantity": "repeat"}, {"quantity": "repeat"}]}

    assert places_of("axis[repeat]", document) == (("axis", 0), ("axis", 1))


def test_the_nearest_field_is_the_one_that_holds_the_place() -> None:
    known: list[Place] = [("axis", 0), ("axis", 0, "points"), ("axis", 1)]

    assert field_of(("axis", 0, "points", 3), known) == ("axis", 0, "points")
    assert field_of(("axis", 0, "naem"), known) == ("axis", 0)
    assert field_of(("swep",), known) == ()
