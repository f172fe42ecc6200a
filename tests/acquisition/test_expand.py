"""The point table of a sweep: every cell once, in the order asked for, blocks in one piece."""

from itertools import groupby, pairwise, product
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.planning.expand import expand
from acquisition.planning.point_table import Point, PointKind, PointTable

STATION = StationConfig.model_validate(
    {
        "station": {"name": "test", "runs": "runs"},
        "camera": {
            "model": "horiba.ccd",
            "address": "sim://icl",
            "pixels": 1024,
            "rows": [118, 20],
            "electrons_per_count": 1.0,
            "read_noise_electrons": 4.0,
            "offset_counts": 1000,
            "saturation_counts": 65535,
            "readout": "0.1 s",
        },
        "bias": {
            "model": "keithley.2410",
            "address": "sim://bias",
            "max_voltage": "1000 V",
            "current_limit": "100 nA",
            "current_trip": "50 nA",
            "series": "10 Mohm",
            "polarity": -1,
        },
    }
)
UNITS = {"temperature": "K", "field": "kV/cm", "bias": "V", "polarization": "deg", "repeat": ""}
SILENT = {"kinds": []}


def sweep(*axes: dict[str, object], seed: int = 1, **sections: object) -> SweepConfig:
    return SweepConfig.model_validate(
        {
            "sweep": {"name": "test", "user": "test", "seed": seed},
            "sample": {
                "name": "S",
                "material": "CsPbBr3",
                "electrodes": "parallel plate",
                "gap": "20 um",
                "max_field": "200 kV/cm",
            },
            "nanocrystal": {"id": "1"},
            "optics": {
                "laser_wavelength": "450 nm",
                "laser_power": "1 uW",
                "slit": "60 um",
                "objective": "NA 0.7",
                "numerical_aperture": 0.7,
                "spectrograph": {"grating": 0, "centre": "518 nm"},
            },
            "exposure": {"time": "5 s", "frames": 3},
            "background": SILENT,
            "axis": list(axes),
            **sections,
        }
    )


def axis(quantity: str, points: object, **keys: object) -> dict[str, object]:
    return {"quantity": quantity, "unit": UNITS[quantity], "points": points, **keys}


def table(*axes: dict[str, object], seed: int = 1, **sections: object) -> PointTable:
    return expand(sweep(*axes, seed=seed, **sections), STATION)


def samples(rows: PointTable) -> list[Point]:
    return [row for row in rows.points if row.kind is PointKind.SAMPLE]


def cells(rows: PointTable) -> list[tuple[int, ...]]:
    return [row.cell for row in samples(rows) if row.cell]


# ---- values and orders


def test_the_first_axis_is_the_outermost() -> None:
    rows = table(axis("temperature", [5, 10]), axis("bias", [0, 1, 2]))

    assert rows.shape == (2, 3)
    assert [(row.temperature_K, row.voltage_V) for row in rows.points] == [
        (5, 0), (5, 1), (5, 2), (10, 0), (10, 1), (10, 2),
    ]  # fmt: skip
    assert [column.quantity for column in rows.axes] == ["temperature_K", "voltage_V"]


def test_a_column_holds_ascending_values_in_the_quantity_s_own_unit() -> None:
    rows = table({"quantity": "bias", "unit": "mV", "points": [500, -500, 0]})

    assert rows.axes[0].values == (-0.5, 0.0, 0.5)
    assert rows.axes[0].unit == "V"
    assert [(row.voltage_V, row.cell) for row in rows.points] == [
        (-0.5, (0,)), (0.0, (1,)), (0.5, (2,)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "angles"),
    [
        ("up", [0, 30, 60, 90, 120]),
        ("down", [120, 90, 60, 30, 0]),
        ("interleaved", [0, 60, 120, 30, 90]),
    ],
)
def test_the_order_of_one_pass(order: str, angles: list[float]) -> None:
    rows = table(axis("polarization", "0..120 step 30", order=order, repeat_first=False))

    assert [row.angle_deg for row in rows.points] == angles


def test_snake_turns_round_at_the_end_of_each_pass() -> None:
    rows = table(
        axis("temperature", [5, 10, 15]),
        axis("polarization", [0, 45, 90], order="snake", repeat_first=False),
    )

    assert [row.angle_deg for row in rows.points] == [0, 45, 90, 90, 45, 0, 0, 45, 90]


def test_a_random_order_comes_from_the_seed_and_differs_from_pass_to_pass() -> None:
    axes = axis("temperature", [5, 10]), axis("polarization", "0..180 step 10", order="random")

    first, again, other = table(*axes), table(*axes), table(*axes, seed=2)

    assert first.sha256() == again.sha256()
    assert first.sha256() != other.sha256()
    passes = [[row.angle_deg for row in rows] for _, rows in groupby(first.points, _block)]
    assert passes[0] != passes[1]
    assert sorted(passes[0][:-1]) == sorted(passes[1][:-1])  # type: ignore[type-var]


@pytest.mark.parametrize("order", ["up", "interleaved", "random"])
def test_a_polarization_series_ends_with_0_deg_once_more_outside_the_array(order: str) -> None:
    rows = table(axis("polarization", "0..180 step 15", order=order))

    assert len(rows.points) == 14
    assert (rows.points[0].angle_deg, rows.points[0].cell) == (0.0, (0,))
    assert (rows.points[-1].angle_deg, rows.points[-1].cell) == (0.0, ())
    assert rows.points[-1].kind is PointKind.SAMPLE
    assert rows.shape == (13,)


def test_fields_return_to_zero_between_all_others() -> None:
    rows = table(axis("field", [-20, -10, 0, 10, 20], order="return to zero"))

    assert [row.field_kV_per_cm for row in rows.points] == [0, 10, 0, -10, 0, 20, 0, -20, 0]
    assert [row.cell for row in rows.points] == [
        (2,), (3,), (), (1,), (), (4,), (), (0,), (),
    ]  # fmt: skip


def test_each_amplitude_of_a_return_to_zero_is_a_block() -> None:
    rows = table(axis("field", [-20, -10, 0, 10, 20], order="return to zero"))

    blocks = [
        [row.field_kV_per_cm for row in block] for _, block in groupby(rows.points, key=_block)
    ]
    assert blocks == [[0, 10, 0, -10], [0, 20, 0, -20, 0]]
    assert all(row.repeats_block for row in rows.points)


def test_zeros_come_in_even_where_the_axis_has_none() -> None:
    rows = table(axis("bias", [-1, 3], order="return to zero"))

    assert [row.voltage_V for row in rows.points] == [0, -1, 0, 3, 0]
    assert cells(rows) == [(0,), (1,)]


def test_a_zero_alone_is_one_row() -> None:
    rows = table(axis("bias", [0], order="return to zero"))

    assert [(row.voltage_V, row.cell) for row in rows.points] == [(0.0, (0,))]


def test_inner_axes_of_a_check_stand_at_their_first_value() -> None:
    rows = table(
        axis("field", [0, 10], order="return to zero"),
        axis("polarization", [90, 0], repeat_first=False),
    )

    assert [(row.field_kV_per_cm, row.angle_deg) for row in rows.points] == [
        (0, 0), (0, 90), (10, 0), (10, 90), (0, 90),
    ]  # fmt: skip
    assert rows.points[-1].cell == ()


def test_repeats_are_numbered() -> None:
    rows = table(axis("temperature", [5]), axis("repeat", 3))

    assert [row.repeat for row in rows.points] == [0, 1, 2]
    assert all(isinstance(row.repeat, int) for row in rows.points)


# ---- voltages, fields, tables over temperature


def test_a_field_becomes_a_voltage_with_the_sign_of_the_wiring() -> None:
    rows = table(axis("field", [-100, 0, 50]))

    # 100 kV/cm is 10 V/um, 20 um: 200 V; the supply's polarity is -1
    assert [row.voltage_V for row in rows.points] == [200.0, 0.0, -100.0]


def test_a_bias_carries_its_nominal_field() -> None:
    rows = table(axis("bias", [-200, 0, 100]))

    assert [row.field_kV_per_cm for row in rows.points] == [100.0, 0.0, -50.0]


def test_without_electrodes_a_bias_has_no_field() -> None:
    rows = table(axis("bias", [1]), sample={"name": "S", "material": "MoSe2"})

    assert (rows.points[0].voltage_V, rows.points[0].field_kV_per_cm) == (1.0, None)


def test_what_no_axis_sets_is_left_as_it_is() -> None:
    (row,) = table(axis("repeat", 1)).points

    assert (row.temperature_K, row.voltage_V, row.angle_deg) == (None, None, None)


def test_exposure_and_optics_follow_the_temperature() -> None:
    optics = {
        "laser_wavelength": "450 nm",
        "laser_power": "1 uW",
        "slit": "60 um",
        "objective": "NA 0.7",
        "numerical_aperture": 0.7,
        "spectrograph": [
            {"up_to": "60 K", "grating": 0, "centre": "544 nm"},
            {"grating": 2, "centre": "546 nm"},
        ],
    }
    exposure = [{"up_to": "20 K", "time": "5 s"}, {"time": "20 s", "frames": 4}]

    rows = table(axis("temperature", [10, 20, 60, 61]), optics=optics, exposure=exposure)

    assert [(r.exposure_s, r.frames, r.grating, r.centre_nm) for r in rows.points] == [
        (5.0, 1, 0, 544.0),
        (5.0, 1, 0, 544.0),
        (20.0, 4, 0, 544.0),
        (20.0, 4, 2, 546.0),
    ]


def test_target_counts_are_handed_on_with_the_cap_as_exposure() -> None:
    exposure = {"target_counts": 5000, "cap": "20 s", "least": "1 s", "frames": 2}

    (row,) = table(axis("repeat", 1), exposure=exposure).points

    assert (row.target_counts, row.exposure_s, row.frames) == (5000.0, 20.0, 2)


# ---- backgrounds


def kinds(rows: PointTable) -> str:
    return "".join({"sample": ".", "dark": "d", "blocked": "b"}[r.kind.value] for r in rows.points)


def test_backgrounds_come_first_and_move_nothing() -> None:
    rows = table(axis("temperature", [5, 10]), background={"frames": 7})

    assert kinds(rows) == "db.."
    for row in rows.points[:2]:
        assert (row.temperature_K, row.voltage_V, row.angle_deg, row.cell) == (None, None, None, ())
        assert (row.exposure_s, row.frames, row.grating, row.centre_nm) == (5.0, 7, 0, 518.0)
        assert not row.repeats_block


def test_backgrounds_come_again_after_every_so_many_temperatures() -> None:
    rows = table(
        axis("temperature", "10..70 step 10"),
        axis("repeat", 2),
        background={"kinds": ["dark"], "every_temperatures": 3},
    )

    assert kinds(rows) == "d......d......d.."


def test_backgrounds_match_each_exposure_and_are_not_taken_twice() -> None:
    exposure = [{"up_to": "20 K", "time": "5 s"}, {"time": "20 s"}]

    rows = table(
        axis("bias", [0, 1]),
        axis("temperature", [10, 20, 30]),
        exposure=exposure,
        background={"kinds": ["blocked"]},
    )

    assert kinds(rows) == "b..b...."
    assert [r.exposure_s for r in rows.points if r.kind is PointKind.BLOCKED] == [5.0, 20.0]


def test_without_on_change_and_start_there_are_none() -> None:
    exposure = [{"up_to": "20 K", "time": "5 s"}, {"time": "20 s"}]
    background = {"at_start": False, "on_change": False}

    rows = table(axis("temperature", [10, 30]), exposure=exposure, background=background)

    assert kinds(rows) == ".."


def test_a_chosen_exposure_gets_backgrounds_at_both_of_its_ends() -> None:
    exposure = {"target_counts": 5000, "cap": "20 s", "least": "1 s"}

    rows = table(axis("repeat", 2), exposure=exposure, background={"kinds": ["dark"]})

    assert [(row.kind.value, row.exposure_s) for row in rows.points[:2]] == [
        ("dark", 1.0),
        ("dark", 20.0),
    ]


def test_a_background_between_series_belongs_to_neither() -> None:
    rows = table(
        axis("temperature", [10, 20]),
        axis("polarization", [0, 90]),
        background={"kinds": ["dark"], "every_temperatures": 1},
    )

    assert kinds(rows) == "d...d..."
    assert len({row.block for row in rows.points}) == 4


# ---- whatever the axes

VALUES = st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True)
ORDERS = ["up", "down", "snake", "interleaved", "random"]


@st.composite
def axes(draw: st.DrawFn) -> list[dict[str, object]]:
    quantities = draw(
        st.lists(
            st.sampled_from(["temperature", "field", "polarization", "repeat"]),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    return [
        axis(
            quantity,
            [abs(v) + 1 for v in values] if quantity == "temperature" else values,
            order=draw(
                st.sampled_from([*ORDERS, *(["return to zero"] if quantity == "field" else [])])
            ),
            block=draw(st.sampled_from([True, False])),
            repeat_first=draw(st.booleans()),
        )
        for quantity, values in ((quantity, draw(VALUES)) for quantity in quantities)
        if quantity != "temperature" or len({abs(v) for v in values}) == len(values)
    ] or [axis("repeat", 1)]


def _block(row: Point) -> int:
    return row.block


BACKGROUNDS = st.sampled_from(
    [SILENT, {"frames": 1}, {"frames": 1, "every_temperatures": 1}, {"every_temperatures": 2}]
)


@given(axes=axes(), background=BACKGROUNDS, seed=st.integers(0, 5))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_cell_is_measured_exactly_once(
    axes: list[dict[str, object]], background: dict[str, object], seed: int
) -> None:
    rows = table(*axes, seed=seed, background=background)

    assert sorted(cells(rows)) == sorted(product(*(range(n) for n in rows.shape)))
    assert [row.index for row in rows.points] == list(range(len(rows.points)))
    for row in samples(rows):
        for column, rank in zip(rows.axes, row.cell, strict=False):
            assert getattr(row, column.quantity) == column.values[rank]


@given(axes=axes(), background=BACKGROUNDS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_block_is_in_one_piece(
    axes: list[dict[str, object]], background: dict[str, object]
) -> None:
    rows = table(*axes, background=background)

    pieces = [block for block, _ in groupby(rows.points, key=_block)]
    assert len(pieces) == len(set(pieces))
    for _, block in groupby(rows.points, key=_block):
        assert len({row.repeats_block for row in block}) == 1


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_snake_moves_one_axis_by_one_step_at_a_time(lengths: list[int]) -> None:
    names = ["temperature", "bias", "polarization", "repeat"]
    rows = table(
        *(
            axis(name, list(range(1, n + 1)), order="snake", repeat_first=False)
            for name, n in zip(names, lengths, strict=False)
        )
    )

    for before, after in pairwise(cells(rows)):
        steps = [abs(b - a) for a, b in zip(before, after, strict=True)]
        assert sum(steps) == 1


@given(axes=axes(), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_equal_files_give_equal_tables_that_survive_json(
    axes: list[dict[str, object]], seed: int
) -> None:
    rows = table(*axes, seed=seed)

    assert table(*axes, seed=seed) == rows
    assert PointTable.from_json(rows.to_json()) == rows


def test_a_hundred_thousand_rows_take_about_a_second() -> None:
    started_s = process_time()

    rows = table(axis("temperature", "1..100 step 1"), axis("bias", "0..99.9 step 0.1"))

    assert len(rows.points) == 100_000
    assert process_time() - started_s < 4.0  # about 1 s; the margin is for a busy machine
