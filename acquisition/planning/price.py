"""What a sweep costs before it is run: time by what it goes into, laser light, disk.

Times are those of an undisturbed run: no point repeated, and each setpoint settled after its ramp,
the station's settling time of its zone and the time inside. Where the exposure is chosen from the
counts, its cap is taken.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import reduce
from math import fsum, inf

from acquisition.configuration.axis_config import AxisQuantity
from acquisition.configuration.config_model import at_temperature
from acquisition.configuration.station_file import StationConfig
from acquisition.configuration.sweep_file import SweepConfig
from acquisition.planning.point_table import Point, PointKind, PointTable

__all__ = ["Duration", "Price", "Tariff", "price"]

BYTES_PER_COUNT = 4
BYTES_PER_ROW = 2048  # readings, checksums, pages of the journal
BYTES_PER_READING = 16
MONITORED_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Duration:
    """Time by what it goes into."""

    settling_s: float = 0.0  # temperature: ramps and what follows
    moving_s: float = 0.0  # polarizer, spectrograph, laser shutter
    ramping_s: float = 0.0  # bias
    exposing_s: float = 0.0
    reading_s: float = 0.0
    cooling_s: float = 0.0  # at the end

    @property
    def total_s(self) -> float:
        return float(sum(astuple(self)))

    def __add__(self, other: "Duration") -> "Duration":
        return Duration(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Price:
    """The whole sweep. laser_s: light on the nanocrystal. disk_bytes: without any margin."""

    cells: int
    checks: int
    backgrounds: int
    duration: Duration
    laser_s: float
    disk_bytes: int

    @property
    def rows(self) -> int:
        return self.cells + self.checks + self.backgrounds


def price(table: PointTable, sweep: SweepConfig, station: StationConfig) -> Price:
    """Return what the table costs at this station."""
    tariff = Tariff(sweep, station)
    samples = [row for row in table.points if row.kind is PointKind.SAMPLE]
    cells = sum(1 for row in samples if row.cell)
    duration = tariff.whole(table)
    return Price(
        cells=cells,
        checks=len(samples) - cells,
        backgrounds=len(table.points) - len(samples),
        duration=duration,
        laser_s=sum(row.frames * row.exposure_s for row in samples),
        disk_bytes=_disk_bytes(table, station, duration.total_s),
    )


class Tariff:
    """What each row of this sweep costs at this station."""

    def __init__(self, sweep: SweepConfig, station: StationConfig) -> None:
        self._sweep = sweep
        self._station = station
        self._inside_s = {quantity: _inside_s(sweep, quantity) for quantity in AxisQuantity}

    @property
    def start(self) -> Point:
        """The state in which a sweep starts: cold, without bias, polarizer at zero."""
        cryostat = self._station.cryostat
        cold_K = None if cryostat is None else cryostat.min_K
        return Point(-1, PointKind.DARK, 0.0, 0, temperature_K=cold_K, voltage_V=0.0, angle_deg=0.0)

    def whole(self, table: PointTable) -> Duration:
        """Return the time that the whole table takes, and the end of the run."""
        rows = [astuple(duration) for duration in self.rows(table)]
        last = reduce(reached, table.points, self.start)
        return Duration(*map(fsum, zip(*rows, strict=True))) + self.end_seconds(last)

    def rows(self, table: PointTable) -> Iterator[Duration]:
        """Return the price of each row in measuring order."""
        last = self.start
        for row in table.points:
            yield self.row_seconds(last, row)
            last = reached(last, row)

    def row_seconds(self, last: Point, row: Point) -> Duration:
        """Return the price of a row, from the state that the rows before have reached."""
        settling_s = self._settling_s(last, row)
        ramping_s = self._ramping_s(last, row)
        moving_s = max(self._rotating_s(last, row), self._spectrograph_s(last, row))
        longest_s = max(settling_s, ramping_s, moving_s)  # they overlap
        return Duration(
            settling_s=settling_s if settling_s == longest_s else 0.0,
            ramping_s=ramping_s if ramping_s == longest_s > settling_s else 0.0,
            moving_s=(moving_s if moving_s == longest_s > max(settling_s, ramping_s) else 0.0)
            + self._shutter_s(row),
            exposing_s=row.frames * row.exposure_s,
            reading_s=row.frames * self._station.camera.readout_s,
        )

    def end_seconds(self, last: Point) -> Duration:
        """Return the price of what comes after the last row."""
        bias, cryostat = self._station.bias, self._station.cryostat
        volts = abs(last.voltage_V or 0.0)
        cooling_s = 0.0
        if cryostat and last.temperature_K and self._sweep.end.cryostat == "cool to base":
            kelvins = last.temperature_K - cryostat.min_K
            cooling_s = 60.0 * kelvins / min(cryostat.cooling_K_per_min, cryostat.ramp_K_per_min)
        return Duration(
            ramping_s=volts / bias.sweep_slew_V_per_s if bias else 0.0, cooling_s=cooling_s
        )

    def _settling_s(self, last: Point, row: Point) -> float:
        cryostat, target_K = self._station.cryostat, row.temperature_K
        if cryostat is None or target_K is None or target_K == last.temperature_K:
            return 0.0
        from_K = cryostat.min_K if last.temperature_K is None else last.temperature_K
        downwards = cryostat.cooling_K_per_min if target_K < from_K else inf
        ramp_s = 60.0 * abs(target_K - from_K) / min(cryostat.ramp_K_per_min, downwards)
        zone = at_temperature(cryostat.zone, target_K)
        return ramp_s + zone.settling_s + self._inside_s[AxisQuantity.TEMPERATURE]

    def _ramping_s(self, last: Point, row: Point) -> float:
        bias = self._station.bias
        if bias is None or row.voltage_V is None or row.voltage_V == last.voltage_V:
            return 0.0
        volts = abs(row.voltage_V - (last.voltage_V or 0.0))
        inside_s = max(self._inside_s[AxisQuantity.FIELD], self._inside_s[AxisQuantity.BIAS])
        return volts / bias.sweep_slew_V_per_s + inside_s

    def _rotating_s(self, last: Point, row: Point) -> float:
        """Return the time the stage turns beyond the last readout, during which it may start."""
        polarizer, camera = self._station.polarizer, self._station.camera
        if polarizer is None or row.angle_deg is None or row.angle_deg == last.angle_deg:
            return 0.0
        from_deg = polarizer.mechanical_deg(last.angle_deg or 0.0)
        degrees = polarizer.mechanical_deg(row.angle_deg) - from_deg
        overshoot_deg = 0.0 if degrees > 0 else 2 * polarizer.overshoot_deg
        turning_s = (abs(degrees) + overshoot_deg) / polarizer.speed_deg_per_s
        overlap_s = camera.readout_s if self._station.shutter and last.frames else 0.0
        return max(0.0, turning_s - overlap_s)

    def _spectrograph_s(self, last: Point, row: Point) -> float:
        spectrograph = self._station.spectrograph
        if spectrograph is None or (row.grating, row.centre_nm) == (last.grating, last.centre_nm):
            return 0.0
        if row.grating != last.grating:
            return spectrograph.grating_move_s + spectrograph.centre_move_s
        return spectrograph.centre_move_s

    def _shutter_s(self, row: Point) -> float:
        shutter = self._station.shutter
        return 2 * shutter.move_s if shutter and row.kind is PointKind.SAMPLE else 0.0


def reached(last: Point, row: Point) -> Point:
    """Return the state after a row: what it leaves alone stays as it was."""
    return replace(
        row,
        temperature_K=last.temperature_K if row.temperature_K is None else row.temperature_K,
        voltage_V=last.voltage_V if row.voltage_V is None else row.voltage_V,
        angle_deg=last.angle_deg if row.angle_deg is None else row.angle_deg,
    )


def _inside_s(sweep: SweepConfig, quantity: AxisQuantity) -> float:
    axis = sweep.axis_of(quantity)
    return 0.0 if axis is None else axis.criterion.inside_s


def _disk_bytes(table: PointTable, station: StationConfig, duration_s: float) -> int:
    """Return the bytes of journal and live view together with the monitors of that time."""
    frames = sum(row.frames for row in table.points)
    spectra = frames * station.camera.pixels * BYTES_PER_COUNT
    cryostat_s = station.cryostat.monitor_interval_s if station.cryostat else inf
    bias_s = station.bias.monitor_interval_s if station.bias else inf
    readings = MONITORED_CHANNELS * duration_s / min(cryostat_s, bias_s)
    return int(spectra + len(table.points) * BYTES_PER_ROW + readings * BYTES_PER_READING)
