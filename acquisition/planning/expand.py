"""From a sweep to its point table, without hardware.

Every cell of the rectangular array (one dimension per axis, values ascending) is a row exactly
once. Rows that have no cell lie outside the array: backgrounds, and the checks that an order adds
(the first angle once more at the end of a series, the zeros between fields). A check is a SAMPLE
row with cell (); axes inside the one that adds it stand at the first value their section lists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import count

from acquisition.configuration.axis_config import AxisConfig
from acquisition.configuration.config_model import at_temperature
from acquisition.configuration.electrodes import Electrodes, electrodes_of
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.planning.axis_order import pass_through
from acquisition.planning.background_rows import (
    BackgroundSchedule,
    DetectorSetting,
    background_rows,
)
from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable

__all__ = ["expand"]


def expand(sweep: SweepConfig, station: StationConfig) -> PointTable:
    """Return the table of a sweep that fits its station; the same files give the same table."""
    blocks = count()
    rows = _Rows(sweep, electrodes_of(sweep.sample, station.bias))
    schedule = BackgroundSchedule(sweep.background)
    points: list[Point] = []
    for place in _Walk(sweep, blocks).places():
        temperature_K = rows.temperature_K(place)
        setting = rows.setting(temperature_K)
        if schedule.is_due(setting, temperature_K):
            # within a block they belong to it, so that it stays in one piece
            within = bool(points) and points[-1].block == place.block
            points += background_rows(
                sweep.background,
                setting,
                first_index=len(points),
                block=place.block if within else next(blocks),
                repeats_block=within and place.repeats_block,
            )
        points.append(rows.sample(len(points), place, setting))
    return PointTable(axes=tuple(_column(axis) for axis in sweep.axis), points=tuple(points))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row is: the value of each axis, its cell, and the block it belongs to."""

    values: tuple[float, ...]
    cell: tuple[int, ...]  # () for a check
    block: int
    repeats_block: bool


class _Walk:
    """The nested axes, walked from the outermost to the innermost."""

    def __init__(self, sweep: SweepConfig, blocks: "count[int]") -> None:
        self._axes = sweep.axis
        self._seed = sweep.sweep.seed
        self._blocks = blocks
        self._passes = [0] * len(sweep.axis)
        self._ranks = [
            {value: rank for rank, value in enumerate(sorted(axis.points))} for axis in sweep.axis
        ]

    def places(self) -> Iterator[_Place]:
        return self._enter(0, (), (), None)

    def _enter(
        self, depth: int, values: tuple[float, ...], cell: tuple[int, ...], block: int | None
    ) -> Iterator[_Place]:
        if depth == len(self._axes):
            yield self._place(values, cell, block)
            return
        axis, number = self._axes[depth], self._passes[depth]
        self._passes[depth] += 1
        for stretch in pass_through(axis, number, self._seed):
            inner = next(self._blocks) if block is None and axis.is_block else block
            for step in stretch:
                reached = (*values, step.value)
                if step.is_check:
                    rest = (axis.points[0] for axis in self._axes[depth + 1 :])
                    yield self._place((*reached, *rest), (), inner)
                else:
                    rank = self._ranks[depth][step.value]
                    yield from self._enter(depth + 1, reached, (*cell, rank), inner)

    def _place(self, values: tuple[float, ...], cell: tuple[int, ...], block: int | None) -> _Place:
        if block is None:
            return _Place(values, cell, next(self._blocks), repeats_block=False)
        return _Place(values, cell, block, repeats_block=True)


class _Rows:
    """Turns places into rows: voltages and fields, and the tables over temperature."""

    def __init__(self, sweep: SweepConfig, electrodes: Electrodes | None) -> None:
        self._sweep = sweep
        self._electrodes = electrodes
        self._setpoints = [axis.kind.setpoint for axis in sweep.axis]
        self._temperature_place = _index_of("temperature_K", self._setpoints)
        self._exposure = cache(partial(at_temperature, sweep.exposure))
        self.setting = cache(self._setting)
        self._electric = cache(self._electric_setpoints)

    def temperature_K(self, place: _Place) -> float | None:
        index = self._temperature_place
        return None if index is None else place.values[index]

    def sample(self, index: int, place: _Place, setting: DetectorSetting) -> Point:
        exposure = self._exposure(self.temperature_K(place))
        at = dict(zip(self._setpoints, place.values, strict=True))
        voltage_V, field_kV_per_cm = self._electric(at.get("voltage_V"), at.get("field_kV_per_cm"))
        return Point(
            index=index,
            kind=PointKind.SAMPLE,
            exposure_s=exposure.longest_s,
            frames=exposure.frames,
            temperature_K=at.get("temperature_K"),
            voltage_V=voltage_V,
            field_kV_per_cm=field_kV_per_cm,
            angle_deg=at.get("angle_deg"),
            repeat=int(at.get("repeat", 0)),
            grating=setting.grating,
            centre_nm=setting.centre_nm,
            target_counts=exposure.target_counts,
            cell=place.cell,
            block=place.block,
            repeats_block=place.repeats_block,
        )

    def _setting(self, temperature_K: float | None) -> DetectorSetting:
        optics = at_temperature(self._sweep.optics.spectrograph, temperature_K)
        exposures_s = self._exposure(temperature_K).possible_s
        return DetectorSetting(exposures_s, optics.grating, optics.centre_nm)

    def _electric_setpoints(
        self, voltage_V: float | None, field_kV_per_cm: float | None
    ) -> tuple[float | None, float | None]:
        """Complete voltage and field by each other."""
        if self._electrodes is None:
            return voltage_V, field_kV_per_cm
        if field_kV_per_cm is not None:
            return _neat(self._electrodes.voltage_V(field_kV_per_cm)), field_kV_per_cm
        if voltage_V is not None:
            return voltage_V, _neat(self._electrodes.field_kV_per_cm(voltage_V))
        return None, None


def _index_of(name: str, names: list[str]) -> int | None:
    return names.index(name) if name in names else None


def _column(axis: AxisConfig) -> AxisColumn:
    return AxisColumn(axis.kind.setpoint, axis.kind.unit, tuple(sorted(axis.points)))


def _neat(value: float) -> float:
    """Leave out the last digits, which differ between machines' libraries, and the sign of 0."""
    return float(f"{value:.12g}") + 0.0
