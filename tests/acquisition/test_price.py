"""What a sweep costs, against sums done by hand."""

import json
from dataclasses import astuple
from pathlib import Path

import pytest

from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.planning.check import check, free_bytes
from acquisition.planning.expand import expand
from acquisition.planning.point_table import PointTable
from acquisition.planning.price import Duration, Price, Tariff, price, reached

STATION: dict[str, object] = {
    "station": {"name": "test", "runs": "runs"},
    "cryostat": {
        "model": "lakeshore.336",
        "address": "sim://cryostat",
        "min": "5 K",
        "max": "300 K",
        "trip": "320 K",
        "ramp": "6 K/min",
        "cooling": "2 K/min",
        "monitor_interval": "2 s",
        "zone": [
            {"up_to": "20 K", "heater_range": "low", "settling": "30 s"},
            {"heater_range": "high", "settling": "100 s"},
        ],
    },
    "spectrograph": {
        "model": "horiba.monochromator",
        "address": "sim://icl",
        "min": "0 nm",
        "max": "1500 nm",
        "grating": [{"number": 0, "grooves_per_mm": 1800}, {"number": 1, "grooves_per_mm": 300}],
        "centre_move": "5 s",
        "grating_move": "30 s",
    },
    "camera": {
        "model": "horiba.ccd",
        "address": "sim://icl",
        "pixels": 1000,
        "rows": [118, 20],
        "electrons_per_count": 1.0,
        "read_noise_electrons": 4.0,
        "offset_counts": 1000,
        "saturation_counts": 65535,
        "readout": "0.5 s",
    },
    "polarizer": {
        "model": "elliptec.ell14",
        "address": "sim://elliptec",
        "rotates": "analyser",
        "overshoot": "2 deg",
        "speed": "10 deg/s",
    },
    "bias": {
        "model": "keithley.2410",
        "address": "sim://bias",
        "max_voltage": "1000 V",
        "current_limit": "100 nA",
        "current_trip": "50 nA",
        "series": "10 Mohm",
        "sweep_slew": "5 V/s",
        "emergency_slew": "50 V/s",
        "monitor_interval": "1 s",
    },
}
SHUTTER = {"model": "elliptec.ell6", "address": "sim://elliptec", "move": "0.5 s"}


def station(**changes: object) -> StationConfig:
    return StationConfig.model_validate({**STATION, **changes})


def sweep(*axes: dict[str, object], **sections: object) -> SweepConfig:
    return SweepConfig.model_validate(
        {
            "sweep": {"name": "test", "user": "test"},
            "sample": {"name": "S", "material": "CsPbBr3"},
            "nanocrystal": {"id": "1"},
            "optics": {
                "laser_wavelength": "450 nm",
                "laser_power": "1 uW",
                "slit": "60 um",
                "objective": "NA 0.7",
                "numerical_aperture": 0.7,
                "spectrograph": {"grating": 0, "centre": "518 nm"},
            },
            "exposure": {"time": "4 s", "frames": 3},
            "background": {"kinds": []},
            "axis": list(axes),
            **sections,
        }
    )


def priced(asked: SweepConfig, at: StationConfig | None = None) -> tuple[Price, PointTable]:
    at = at or station()
    table = expand(asked, at)
    return price(table, asked, at), table


TEMPERATURES = {
    "quantity": "temperature",
    "unit": "K",
    "points": [5, 17, 41],
    "settle": {"inside": "60 s"},
}


def test_temperatures_cost_ramp_settling_and_time_inside() -> None:
    cost, _ = priced(sweep(TEMPERATURES))

    # 5 K: already there; 17 K: 12 K at 6 K/min + 30 + 60 s; 41 K: 24 K + 100 + 60 s. The
    # spectrograph moves before the first row: 5 s
    assert cost.duration.settling_s == pytest.approx(120 + 90 + 240 + 160)
    assert cost.duration.moving_s == pytest.approx(5)
    assert cost.duration.exposing_s == pytest.approx(3 * 3 * 4)
    assert cost.duration.reading_s == pytest.approx(3 * 3 * 0.5)
    assert cost.duration.cooling_s == 0.0
    assert cost.duration.total_s == pytest.approx(610 + 5 + 36 + 4.5)
    assert (cost.rows, cost.cells, cost.checks, cost.backgrounds) == (3, 3, 0, 0)


def test_going_down_takes_the_time_that_cooling_takes() -> None:
    down = {**TEMPERATURES, "order": "down"}

    cost, _ = priced(sweep(down))

    # 41 K: 36 K at 6 K/min + 160; 17 K: 24 K at 2 K/min + 90; 5 K: 12 K at 2 K/min + 90
    assert cost.duration.settling_s == pytest.approx(360 + 160 + 720 + 90 + 360 + 90)


@pytest.mark.parametrize(
    ("end", "cooling_s"), [("hold", 0.0), ("heater off", 0.0), ("cool to base", 36 / 2 * 60)]
)
def test_only_cooling_to_base_is_waited_for(end: str, cooling_s: float) -> None:
    cost, _ = priced(sweep(TEMPERATURES, end={"cryostat": end}))

    assert cost.duration.cooling_s == pytest.approx(cooling_s)


def test_the_bias_costs_its_ramps_and_the_way_back_to_zero() -> None:
    bias = {"quantity": "bias", "unit": "V", "points": [10, 20, 30], "settle": {"inside": "2 s"}}

    cost, _ = priced(sweep(bias), station(spectrograph=None))

    assert cost.duration.ramping_s == pytest.approx(3 * (10 / 5 + 2) + 30 / 5)


def test_moves_overlap_and_the_longest_counts() -> None:
    bias = {"quantity": "bias", "unit": "V", "points": [100], "settle": {"inside": "0 s"}}

    cost, _ = priced(sweep({**TEMPERATURES, "points": [11]}, bias))

    assert cost.duration.settling_s == pytest.approx(60 + 30 + 60)  # 150 s hide 20 s of ramp
    assert cost.duration.ramping_s == pytest.approx(20)  # back to zero
    assert cost.duration.moving_s == 0.0


ANGLES = {"quantity": "polarization", "unit": "deg", "points": [30, 60], "repeat_first": False}


def test_without_a_laser_shutter_the_polarizer_waits_for_the_readout() -> None:
    cost, _ = priced(sweep(ANGLES), station(spectrograph=None))

    assert cost.duration.moving_s == pytest.approx(2 * 30 / 10)


def test_a_laser_shutter_costs_its_moves_and_lets_the_polarizer_turn_during_readout() -> None:
    cost, _ = priced(sweep(ANGLES), station(spectrograph=None, shutter=SHUTTER))

    assert cost.duration.moving_s == pytest.approx(3.0 + (3.0 - 0.5) + 2 * 2 * 0.5)


def test_turning_back_costs_the_approach_from_below() -> None:
    cost, _ = priced(sweep({**ANGLES, "order": "down"}), station(spectrograph=None))

    assert cost.duration.moving_s == pytest.approx(60 / 10 + (30 + 2 * 2) / 10)


def test_a_half_wave_plate_turns_half_as_far() -> None:
    polarizer = {**STATION["polarizer"], "rotates": "half-wave plate"}  # type: ignore[dict-item]

    cost, _ = priced(sweep(ANGLES), station(spectrograph=None, polarizer=polarizer))

    assert cost.duration.moving_s == pytest.approx(60 / 2 / 10)


def test_a_grating_change_costs_more_than_a_move() -> None:
    optics = {
        "laser_wavelength": "450 nm",
        "laser_power": "1 uW",
        "slit": "60 um",
        "objective": "NA 0.7",
        "numerical_aperture": 0.7,
        "spectrograph": [
            {"up_to": "10 K", "grating": 0, "centre": "518 nm"},
            {"grating": 1, "centre": "518 nm"},
        ],
    }
    at = station(cryostat={**STATION["cryostat"], "ramp": "100 K/min"})  # type: ignore[dict-item]

    asked = sweep(
        {**TEMPERATURES, "points": [5, 11], "settle": {"inside": "0 s"}},
        optics=optics,
    )
    cost, _ = priced(asked, at)

    # the first move to 518 nm: 5 s; at 11 K the grating's 35 s are longer than 3.6 + 30 s
    assert cost.duration.moving_s == pytest.approx(5 + 35)
    assert cost.duration.settling_s == 0.0


def test_light_and_backgrounds_are_counted_apart() -> None:
    cost, _ = priced(sweep(ANGLES, background={"frames": 5}), station(shutter=SHUTTER))

    assert cost.laser_s == pytest.approx(2 * 3 * 4)
    assert cost.duration.exposing_s == pytest.approx(2 * 3 * 4 + 2 * 5 * 4)
    assert (cost.cells, cost.checks, cost.backgrounds) == (2, 0, 2)


def test_the_price_of_the_rows_adds_up_to_that_of_the_sweep() -> None:
    asked = sweep(TEMPERATURES, {**ANGLES, "repeat_first": True}, end={"cryostat": "cool to base"})
    cost, table = priced(asked, station(shutter=SHUTTER))
    tariff = Tariff(asked, station(shutter=SHUTTER))

    total = sum(tariff.rows(table), Duration())
    last = tariff.start
    for row in table.points:
        last = reached(last, row)

    assert astuple(total + tariff.end_seconds(last)) == pytest.approx(astuple(cost.duration))
    assert cost.checks == 3


def test_raw_counts_rows_and_monitors_make_the_size() -> None:
    few, _ = priced(sweep({"quantity": "repeat", "points": 10}))
    many, _ = priced(sweep({"quantity": "repeat", "points": 1010}))

    per_row = (many.disk_bytes - few.disk_bytes) / 1000
    spectra = 3 * 1000 * 4  # frames x pixels x i4
    assert spectra < per_row < 1.5 * spectra


# ---- check

EXAMPLES = Path(__file__).parents[2] / "examples"
SWEEPS = ["overnight", "stark", "polarization", "field_polarization_map", "bias_replay"]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples, with a file where the replayed spectra belong."""
    for example in EXAMPLES.glob("*.toml"):
        (tmp_path / example.name).write_text(example.read_text())
    (tmp_path / "electric_field.zip").touch()
    return tmp_path


@pytest.mark.parametrize("name", SWEEPS)
def test_each_example_passes_check_and_says_everything(examples: Path, name: str) -> None:
    result = check(examples / f"{name}.toml")

    labels = [label for label, _ in result.lines()]
    for label in ("points", "settling", "moving", "exposing", "reading out", "cooling at the end"):
        assert label in labels
    document = json.loads(result.to_json())
    assert document["total_s"] == pytest.approx(result.price.duration.total_s)
    assert document["price"]["cells"] == result.price.cells
    assert result.disk_free_bytes == pytest.approx(free_bytes(examples), rel=0.5)


@pytest.mark.parametrize(
    ("name", "shape", "rows"),
    [
        ("overnight", [29, 7], 29 * 8),
        ("stark", [1, 3, 21], 3 * (21 + 20)),
        ("polarization", [1, 19], 20),
        ("field_polarization_map", [1, 7, 13], 91),
        ("bias_replay", [161], 161),
    ],
)
def test_the_examples_are_the_sweeps_they_claim_to_be(
    examples: Path, name: str, shape: list[int], rows: int
) -> None:
    result = check(examples / f"{name}.toml")

    assert [axis.points for axis in result.axes] == shape
    assert result.price.cells + result.price.checks == rows


def test_the_overnight_example_lasts_a_night(examples: Path) -> None:
    result = check(examples / "overnight.toml")

    assert 12.0 <= result.price.duration.total_s / 3600 <= 20.0
    assert (result.axes[0].lowest, result.axes[0].highest) == (5.5, 200.0)


def test_the_stark_example_asks_for_the_field_range_of_the_experiment(examples: Path) -> None:
    result = check(examples / "stark.toml")

    assert (result.axes[2].lowest, result.axes[2].highest) == (-100.0, 100.0)
    assert result.voltage_limit is not None
    assert result.voltage_limit.volts == pytest.approx(120.0)


def test_the_laboratory_station_can_be_checked_without_its_instruments(examples: Path) -> None:
    result = check(examples / "polarization.toml", examples / "station_laboratory.toml")

    assert result.station == "low-temperature microscope, room 112"


def test_the_two_simulated_stations_differ_in_the_nanocrystal_alone() -> None:
    first = (EXAMPLES / "station_simulated.toml").read_text().splitlines()
    second = (EXAMPLES / "station_simulated_fapbbr3.toml").read_text().splitlines()

    body = [line for line in first if not line.startswith("#")]
    other = [line for line in second if not line.startswith("#")]
    different = [(a, b) for a, b in zip(body, other, strict=True) if a != b]
    assert different == [
        ('name = "simulated laboratory, CsPbBr3"', 'name = "simulated laboratory, FAPbBr3"'),
        ('material = "CsPbBr3"', 'material = "FAPbBr3"'),
    ]


def test_a_full_disk_is_said_aloud(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acquisition.planning.check.free_bytes", lambda _: 1000)

    result = check(examples / "stark.toml")

    assert not result.disk_suffices
    assert ("disk", "1.01 GB needed, 0.0 GB free: NOT ENOUGH") in result.lines()


def test_free_space_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
