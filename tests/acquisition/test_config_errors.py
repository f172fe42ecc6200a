"""Every mistake of both files, named with file, key, what was found and what is allowed."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from acquisition.configuration.config import ConfigError, Problem, load, load_texts

EXAMPLES = Path(__file__).parents[2] / "examples"
Edit = tuple[str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(EXAMPLES / "stark.toml", tmp_path / "sweep.toml")
    shutil.copy(EXAMPLES / "station_simulated.toml", tmp_path / "station.toml")
    return tmp_path


@pytest.fixture
def mistakes(folder: Path) -> Callable[..., list[Problem]]:
    """Edit the two files, load them and return what is reported."""

    def report(sweep: list[Edit] | None = None, station: list[Edit] | None = None) -> list[Problem]:
        _edit(folder / "sweep.toml", sweep or [])
        _edit(folder / "station.toml", station or [])
        with pytest.raises(ConfigError) as caught:
            load(folder / "sweep.toml", folder / "station.toml")
        return list(caught.value.problems)

    return report


def _edit(path: Path, edits: list[Edit]) -> None:
    text = path.read_text()
    for old, new in edits:
        assert old in text, f"{old!r} is not in {path.name}"
        text = text.replace(old, new, 1)
    path.write_text(text)


def test_the_files_themselves_are_without_mistake(folder: Path) -> None:
    configuration = load(folder / "sweep.toml", folder / "station.toml")

    assert configuration.sweep.sample.gap_um == 10.0
    assert configuration.station.bias is not None
    assert configuration.station.bias.series_ohm == 1e7
    assert configuration.station.bias.current_limit_A == 1e-7
    assert configuration.station.station.runs == folder / "runs"


def test_texts_from_a_journal_give_the_same_configuration(folder: Path) -> None:
    first = load(folder / "sweep.toml", folder / "station.toml")

    again = load_texts(first.sweep_text, first.station_text, folder=folder, station_folder=folder)

    assert again == first


SWEEP_MISTAKES = [
    (
        "unknown key",
        ('gas = "vacuum"', 'gass = "vacuum"'),
        "sample.gass",
        "an unknown key",
        "did you mean gas?",
    ),
    (
        "unknown section",
        ("[background]", "[backgroun]"),
        "backgroun",
        "an unknown key",
        "did you mean background?",
    ),
    (
        "bare number",
        ('gap = "10 um"', "gap = 10"),
        "sample.gap",
        "10",
        'a finite number with a unit that converts to um, such as "10 um"',
    ),
    ("wrong unit", ('gap = "10 um"', 'gap = "10 V"'), "sample.gap", '"10 V"', "converts to um"),
    ("NaN", ('gap = "10 um"', "gap = nan"), "sample.gap", "nan", "a finite number"),
    (
        "NaN with a unit",
        ('gap = "10 um"', 'gap = "nan um"'),
        "sample.gap",
        '"nan um"',
        "a finite number",
    ),
    (
        "infinity with a unit",
        ('gap = "10 um"', 'gap = "1e999 um"'),
        "sample.gap",
        '"1e999 um"',
        "a finite number",
    ),
    (
        "negative length",
        ('gap = "10 um"', 'gap = "-10 um"'),
        "sample.gap",
        '"-10 um"',
        "greater than 0",
    ),
    ("missing key", ('material = "CsPbBr3"', ""), "sample.material", "nothing", "required"),
    (
        "unknown gas",
        ('gas = "vacuum"', 'gas = "argon"'),
        "sample.gas",
        '"argon"',
        "'vacuum', 'helium' or 'unknown'",
    ),
    (
        "electrodes without gap",
        ('gap = "10 um"', ""),
        "sample",
        "parallel plate",
        "gap and max_field",
    ),
    (
        "coplanar without edge radius",
        ('"parallel plate"', '"coplanar"'),
        "sample",
        "none",
        "edge_radius with coplanar electrodes",
    ),
    (
        "empty axis",
        ("points = [5.5]", "points = []"),
        "axis[temperature].points",
        "[]",
        "at least one value",
    ),
    (
        "NaN in a list",
        ("points = [5.5]", "points = [nan]"),
        "axis[temperature].points",
        "[nan]",
        "finite values only",
    ),
    (
        "value twice",
        ("points = [5.5]", "points = [5.5, 7, 5.5]"),
        "axis[temperature].points",
        "[5.5, 7, 5.5]",
        "5.5 occurs twice",
    ),
    (
        "step that misses the end",
        ("step = 10 }", "step = 30 }"),
        "axis[field].points",
        "30",
        "a step that ends at 100",
    ),
    (
        "step that leads away",
        ("step = 10 }", "step = -10 }"),
        "axis[field].points",
        "-10",
        "a step that leads from -100 to 100",
    ),
    (
        "step zero",
        ("step = 10 }", "step = 0 }"),
        "axis[field].points",
        "0",
        "a step that leads from -100 to 100",
    ),
    (
        "unit of another quantity",
        ('unit = "K"', 'unit = "kV/cm"'),
        "axis[temperature].unit",
        '"kV/cm"',
        "converts to K",
    ),
    ("axis without unit", ('unit = "K"', ""), "axis[temperature].unit", '""', "converts to K"),
    (
        "unknown quantity",
        ('quantity = "field"', 'quantity = "pressure"'),
        "axis[pressure].quantity",
        '"pressure"',
        "'temperature', 'field', 'bias'",
    ),
    (
        "return to zero of a temperature",
        ("points = [5.5]", 'points = [5.5]\norder = "return to zero"'),
        "axis[temperature].order",
        "return to zero",
        "up, down, snake, interleaved, random",
    ),
    (
        "tolerance in the wrong unit",
        ('tolerance = "0.5 kV/cm"', 'tolerance = "0.5 K"'),
        "axis[field].settle.tolerance",
        '"0.5 K"',
        "converts to kV/cm",
    ),
    (
        "unknown policy",
        ('on_timeout = "stop"', 'on_timeout = "wait"'),
        "axis[field].settle.on_timeout",
        '"wait"',
        "'flag', 'skip' or 'stop'",
    ),
    (
        "axis twice",
        (
            'quantity = "field"\nunit = "kV/cm"\npoints = { start = -100, stop = 100, '
            'step = 10 }\norder = "return to zero"\nsettle = { tolerance = "0.5 kV/cm", '
            'inside = "2 s", progress_timeout = "1 min", on_timeout = "stop" }',
            'quantity = "temperature"\nunit = "K"\npoints = [10]',
        ),
        "axis[temperature]",
        "2 times",
        "one axis per quantity",
    ),
    (
        "time and target",
        ('time = "2 s"', 'time = "2 s"\ntarget_counts = 100'),
        "exposure",
        "time and target_counts",
        "either time, or target_counts with cap",
    ),
    (
        "target without cap",
        ('time = "2 s"', "target_counts = 100"),
        "exposure",
        "target_counts",
        "either time, or target_counts with cap",
    ),
    ("no exposure", ('time = "2 s"', ""), "exposure", "nothing", "either time"),
    (
        "too many frames",
        ("frames = 5", "frames = 10001"),
        "exposure.frames",
        "10001",
        "less than or equal to 10000",
    ),
    (
        "exposure beyond the camera",
        ('time = "2 s"', 'time = "2 h"'),
        "exposure[1]",
        "7200 s",
        "0.001 to 3600 s, the camera's limits",
    ),
    (
        "target beyond saturation",
        ('time = "2 s"', 'target_counts = 60000\ncap = "10 s"'),
        "exposure[1].target_counts",
        "60000",
        "up to 57981.5, 0.9 of the full scale",
    ),
    (
        "table without temperature rising",
        ('time = "2 s"', 'time = "2 s"\nup_to = "20 K"'),
        "exposure",
        "20 K",
        "up_to rising from row to row, and none in the last",
    ),
    (
        "grating that is not there",
        ("grating = 0", "grating = 3"),
        "optics.spectrograph[1].grating",
        "3",
        "one of 0, 1, 2",
    ),
    (
        "centre out of range",
        ('centre = "518.3 nm"', 'centre = "1.6 um"'),
        "optics.spectrograph[1].centre",
        "1600 nm",
        "0 to 1500 nm",
    ),
    (
        "temperature out of limits",
        ("points = [5.5]", "points = [4, 5.5, 310]"),
        "axis[temperature].points",
        "4, 310 K",
        "5.2 to 305 K (the cryostat's limits)",
    ),
    (
        "field beyond the sample",
        ('max_field = "120 kV/cm"', 'max_field = "80 kV/cm"'),
        "axis[field].points",
        "-100, -90, 90 and 1 more kV/cm",
        "-80 to 80 kV/cm (80 V, the sample's max_field, 80 kV/cm",
    ),
    (
        "field beyond the gas",
        ("stop = 100, step = 10 }", "stop = 110, step = 10 }"),
        "axis[field].points",
        "110 kV/cm",
        "-100 to 100 kV/cm (100 V, the gas",
    ),
    (
        "fit window upside down",
        ('["2.384 eV", "2.399 eV"]', '["2.399 eV", "2.384 eV"]'),
        "fit.model.window",
        "2.384 eV",
        "the lower energy first",
    ),
    (
        "fit window off the detector",
        ('["2.384 eV", "2.399 eV"]', '["1.6 eV", "1.7 eV"]'),
        "fit.model[1].window",
        "1.6 to 1.7 eV",
        "within 2.21 to 2.626 eV at most, which the detector sees at 518.3 nm",
    ),
    (
        "background kind twice",
        ("[background]", '[background]\nkinds = ["dark", "dark"]'),
        "background.kinds",
        "['dark', 'dark']",
        "each kind once",
    ),
]


@pytest.mark.parametrize(
    ("edit", "key", "found", "allowed"),
    [pytest.param(*rest, id=name) for name, *rest in SWEEP_MISTAKES],
)
def test_each_mistake_of_a_sweep_is_named(
    mistakes: Callable[..., list[Problem]], edit: Edit, key: str, found: str, allowed: str
) -> None:
    edits = [edit]
    if "stop = 110" in edit[1]:
        edits += [('max_field = "120', 'max_field = "200'), ('gas = "vacuum"', 'gas = "unknown"')]

    problems = mistakes(sweep=edits)

    named = next((p for p in problems if p.key == key and allowed in p.allowed), None)
    assert named is not None, [str(problem) for problem in problems]
    assert named.file == "sweep.toml"
    assert found in named.found


STATION_MISTAKES = [
    (
        "unknown key",
        ('trip = "325 K"', 'trip = "325 K"\nmaxx = 3'),
        "cryostat.maxx",
        "an unknown key",
        "did you mean max?",
    ),
    (
        "limits out of order",
        ('trip = "325 K"', 'trip = "200 K"'),
        "cryostat",
        "5.2 K, 305 K, 200 K",
        "min below max below trip",
    ),
    (
        "ramp too fast",
        ('ramp = "3 K/min"', 'ramp = "500 K/min"'),
        "cryostat.ramp",
        '"500 K/min"',
        "less than or equal to 100",
    ),
    (
        "address",
        ("sim://cryostat", "cryostat:7777"),
        "cryostat.address",
        '"cryostat:7777"',
        "tcp://HOST:PORT",
    ),
    (
        "model",
        ("lakeshore.336", "lakeshore.337"),
        "cryostat.model",
        '"lakeshore.337"',
        "did you mean 'lakeshore.336'?",
    ),
    (
        "model of another role",
        ("lakeshore.336", "keithley.2410"),
        "cryostat.model",
        '"keithley.2410"',
        "a model that is a TemperatureController",
    ),
    (
        "option",
        ('trip = "325 K"', 'trip = "325 K"\noptions = { speed = 1 }'),
        "cryostat.options.speed",
        "an unknown option",
        "one of serial, ",
    ),
    (
        "zones out of order",
        ('up_to = "40 K"', 'up_to = "5 K"'),
        "cryostat.zone",
        "10 K, 5 K, none",
        "up_to rising from row to row",
    ),
    (
        "voltage of the supply",
        ('max_voltage = "1000 V"', 'max_voltage = "2 kV"'),
        "bias.max_voltage",
        '"2 kV"',
        "less than or equal to 1100",
    ),
    (
        "slews",
        ('emergency_slew = "50 V/s"', 'emergency_slew = "1 V/s"'),
        "bias",
        "1 V/s",
        "emergency_slew not below sweep_slew, 5 V/s",
    ),
    (
        "trip above the limit",
        ('current_trip = "50 nA"', 'current_trip = "1 uA"'),
        "bias",
        "1e-06 A",
        "current_trip not above current_limit, 1e-07 A",
    ),
    ("polarity", ("polarity = 1", "polarity = 2"), "bias.polarity", "2", "1 or -1"),
    (
        "bus address twice",
        ("bus_address = 1", "bus_address = 0"),
        "shutter.bus_address",
        "0, which is the polarizer's",
        "a bus address of its own",
    ),
    (
        "grating twice",
        ("number = 1", "number = 0"),
        "spectrograph.grating",
        "number 0 twice",
        "every number once",
    ),
    (
        "spectrograph range",
        ('max = "1500 nm"', 'max = "0 nm"'),
        "spectrograph.max",
        '"0 nm"',
        "greater than 0",
    ),
    (
        "exposure range",
        ("[polarizer]", 'max_exposure = "1 ms"\n[polarizer]'),
        "camera.max_exposure",
        "0.001 s",
        "above 0.001 s",
    ),
    (
        "rotating element",
        ('"analyser"', '"plate"'),
        "polarizer.rotates",
        '"plate"',
        "'analyser' or 'half-wave plate'",
    ),
    (
        "missing file",
        ("seed = 1", 'seed = 1\nreplay = "spectra.zip"'),
        "simulation.replay",
        "spectra.zip",
        "an existing file",
    ),
    (
        "real supply without guardian",
        ('"sim://bias"', '"visa://GPIB0::24::INSTR"'),
        "axis[field].points",
        "more kV/cm",
        "-20 to 20 kV/cm (20 V, a real supply without a guardian",
    ),
]


@pytest.mark.parametrize(
    ("edit", "key", "found", "allowed"),
    [pytest.param(*rest, id=name) for name, *rest in STATION_MISTAKES],
)
def test_each_mistake_of_a_station_is_named(
    mistakes: Callable[..., list[Problem]], edit: Edit, key: str, found: str, allowed: str
) -> None:
    problems = mistakes(station=[edit])

    named = next((p for p in problems if p.key == key and allowed in p.allowed), None)
    assert named is not None, [str(problem) for problem in problems]
    assert found in named.found


@pytest.mark.parametrize(
    ("section", "key", "allowed"),
    [
        ("cryostat", "axis[temperature]", "none: the station has no [cryostat]"),
        ("bias", "axis[field]", "none: the station has no [bias]"),
        ("shutter", "background.kinds", "only with a laser [shutter]"),
    ],
)
def test_an_axis_or_background_without_its_instrument_is_refused(
    folder: Path, section: str, key: str, allowed: str
) -> None:
    text = (folder / "station.toml").read_text()
    parts = text.split("\n[")
    kept = [part for part in parts if not part.lstrip("[").startswith(section)]
    (folder / "station.toml").write_text("\n[".join(kept))

    with pytest.raises(ConfigError) as caught:
        load(folder / "sweep.toml", folder / "station.toml")

    assert [(p.key, p.allowed.startswith(allowed)) for p in caught.value.problems] == [(key, True)]


def test_one_mistake_hides_no_other(mistakes: Callable[..., list[Problem]]) -> None:
    problems = mistakes(
        sweep=[
            ('name = "Stark effect"', 'name = "Stark effect"\ncolour = "red"'),
            ('tolerance = "0.5 kV/cm"', 'tolerance = "0.5 V"'),  # the field axis is faulty
            ("points = [5.5]", "points = [500]"),  # and the temperature axis still judged
            ('time = "2 s"', 'time = "2 h"'),
            ("grating = 0", "grating = 9"),
        ],
        station=[
            ('current_limit = "100 nA"', 'current_limit = "100 uA/s"'),
            ("bus_address = 1", "bus_address = 0"),
            ("number = 1", "number = 0"),
        ],
    )

    assert {(problem.file, problem.key) for problem in problems} == {
        ("sweep.toml", "sweep.colour"),
        ("sweep.toml", "axis[field].settle.tolerance"),
        ("sweep.toml", "axis[temperature].points"),
        ("sweep.toml", "exposure[1]"),
        ("sweep.toml", "optics.spectrograph[1].grating"),
        ("station.toml", "bias.current_limit"),
        ("station.toml", "shutter.bus_address"),
        ("station.toml", "spectrograph.grating"),
    }


def test_a_faulty_temperature_axis_does_not_make_a_table_look_wrong(
    mistakes: Callable[..., list[Problem]],
) -> None:
    problems = mistakes(
        sweep=[
            ('unit = "K"', 'unit = "V"'),
            ("[exposure]\n", '[[exposure]]\nup_to = "10 K"\ntime = "1 s"\n[[exposure]]\n'),
        ]
    )

    assert [problem.key for problem in problems] == ["axis[temperature].unit"]


def test_a_table_over_temperature_needs_a_temperature_axis(
    mistakes: Callable[..., list[Problem]],
) -> None:
    axis = '[[axis]]\nquantity = "temperature"\nunit = "K"\npoints = [5.5]\n'
    table = '[[exposure]]\nup_to = "10 K"\ntime = "1 s"\n[[exposure]]\n'

    problems = mistakes(sweep=[(axis, ""), ("[exposure]\n", table)])

    assert [(problem.key, problem.found) for problem in problems] == [("exposure", "2 rows")]


def test_syntax_is_reported_with_its_line_and_the_other_file_all_the_same(
    mistakes: Callable[..., list[Problem]],
) -> None:
    problems = mistakes(
        sweep=[('gap = "10 um"', 'gap = "10 um')], station=[('trip = "325 K"', "trip = 325")]
    )

    assert [problem.key for problem in problems] == ["TOML syntax", "cryostat.trip"]
    assert "line 14" in problems[0].found


def test_a_key_twice_is_reported(mistakes: Callable[..., list[Problem]]) -> None:
    (problem,) = mistakes(sweep=[('gap = "10 um"', 'gap = "10 um"\ngap = "11 um"')])

    assert problem.key == "TOML syntax"
    assert "overwrite" in problem.found


def test_missing_files_are_both_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no_sweep.toml", tmp_path / "no_station.toml")

    assert [problem.file for problem in caught.value.problems] == [
        "no_sweep.toml",
        "no_station.toml",
    ]
    assert all("No such file" in problem.found for problem in caught.value.problems)


def test_a_sweep_that_names_no_station_needs_one_from_the_command(folder: Path) -> None:
    _edit(folder / "sweep.toml", [('station = "station_simulated.toml"', "")])

    with pytest.raises(ConfigError, match=r"sweep\.toml: sweep\.station: found nothing"):
        load(folder / "sweep.toml")


def test_the_station_that_a_sweep_names_lies_beside_it(folder: Path) -> None:
    (folder / "station.toml").rename(folder / "station_simulated.toml")

    assert load(folder / "sweep.toml").station_folder == folder


def test_an_error_prints_one_line_per_problem() -> None:
    error = ConfigError([Problem("a.toml", "b.c", "1", "2"), Problem("d.toml", "e", "3", "4")])

    assert str(error) == "a.toml: b.c: found 1; allowed: 2\nd.toml: e: found 3; allowed: 4"
    assert error.exit_code == 2


@pytest.mark.parametrize("junk", ["3", '"x"', "[]", "{}", "nan", "true", "[[1], [2]]", '"5 K"'])
@pytest.mark.parametrize("name", ["sweep.toml", "station.toml"])
def test_whatever_stands_for_a_value_nothing_but_a_problem_comes_out(
    folder: Path, name: str, junk: str
) -> None:
    lines = (folder / name).read_text().splitlines()
    for number, line in enumerate(lines):
        key, equals, value = line.partition(" = ")
        if not equals or line.startswith("#") or value == "[":
            continue
        changed = [*lines[:number], f"{key} = {junk}", *lines[number + 1 :]]
        (folder / name).write_text("\n".join(changed))

        for problem in _problems(folder):
            assert problem.file in {"sweep.toml", "station.toml"}
            assert problem.key
            assert problem.found
            assert problem.allowed


def _problems(folder: Path) -> Sequence[Problem]:
    try:
        load(folder / "sweep.toml", folder / "station.toml")
    except ConfigError as error:
        return error.problems
    return ()
