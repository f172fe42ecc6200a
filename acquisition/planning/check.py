"""Check a sweep without any instrument: its mistakes, or what it will measure and cost."""

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from acquisition.configuration.axis_config import AxisQuantity
from acquisition.configuration.config import Configuration, load
from acquisition.configuration.electrodes import VoltageLimit, voltage_limit
from acquisition.planning.expand import expand
from acquisition.planning.price import Price, price

__all__ = ["CheckResult", "check", "free_bytes"]

GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class AxisSummary:
    """One axis in a few numbers."""

    quantity: str
    unit: str
    points: int
    lowest: float
    highest: float
    order: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A sweep that may be run; plain values only. disk_needed_bytes is what must be free."""

    name: str
    station: str
    axes: tuple[AxisSummary, ...]
    price: Price
    voltage_limit: VoltageLimit | None
    disk_needed_bytes: int
    disk_free_bytes: int

    @property
    def disk_suffices(self) -> bool:
        return self.disk_free_bytes >= self.disk_needed_bytes

    def to_json(self) -> str:
        totals = {"total_s": self.price.duration.total_s, "disk_suffices": self.disk_suffices}
        return json.dumps({**asdict(self), **totals})

    def lines(self) -> list[tuple[str, str]]:
        """Return what to show a person: a label and its text, in order."""
        cost, time = self.price, self.price.duration
        return [
            ("sweep", f"{self.name} at {self.station}"),
            *((axis.quantity, _axis_text(axis)) for axis in self.axes),
            (
                "points",
                f"{cost.rows}: {cost.cells} + {cost.checks} checks + {cost.backgrounds} "
                "backgrounds",
            ),
            ("duration", _span(time.total_s)),
            ("settling", _span(time.settling_s)),
            ("moving", _span(time.moving_s)),
            ("ramping bias", _span(time.ramping_s)),
            ("exposing", _span(time.exposing_s)),
            ("reading out", _span(time.reading_s)),
            ("cooling at the end", _span(time.cooling_s)),
            ("laser on the sample", _span(cost.laser_s)),
            ("voltage limit", _limit_text(self.voltage_limit)),
            ("disk", _disk_text(self)),
        ]


def check(sweep_path: Path, station_path: Path | None = None) -> CheckResult:
    """Return what the sweep would do. Raises ConfigError (exit code 2) with every mistake."""
    return summarise(load(sweep_path, station_path))


def summarise(configuration: Configuration) -> CheckResult:
    """Return the same for files that are already loaded."""
    sweep, station = configuration.sweep, configuration.station
    cost = price(expand(sweep, station), sweep, station)
    needed = station.disk.margin * cost.disk_bytes + station.disk.reserve_GB * GIGABYTE
    return CheckResult(
        name=sweep.sweep.name,
        station=station.station.name,
        axes=tuple(
            AxisSummary(
                quantity=axis.quantity.value,
                unit=axis.kind.unit,
                points=len(axis.points),
                lowest=min(axis.points),
                highest=max(axis.points),
                order=axis.order.value,
            )
            for axis in sweep.axis
        ),
        price=cost,
        voltage_limit=_voltage_limit(configuration),
        disk_needed_bytes=round(needed),
        disk_free_bytes=free_bytes(station.station.runs),
    )


def _voltage_limit(configuration: Configuration) -> VoltageLimit | None:
    sweep, bias = configuration.sweep, configuration.station.bias
    asked = sweep.axis_of(AxisQuantity.FIELD) or sweep.axis_of(AxisQuantity.BIAS)
    return voltage_limit(sweep.sample, bias) if asked and bias else None


def free_bytes(folder: Path) -> int:
    """Return the bytes free where the folder is, or will be created."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _axis_text(axis: AxisSummary) -> str:
    unit = f" {axis.unit}" if axis.unit else ""
    if axis.points == 1:
        return f"{axis.lowest:g}{unit}, one point"
    return f"{axis.points} from {axis.lowest:g} to {axis.highest:g}{unit}, {axis.order}"


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _limit_text(limit: VoltageLimit | None) -> str:
    return "no voltage is asked for" if limit is None else f"{limit.volts:g} V: {limit.reason}"


def _disk_text(result: CheckResult) -> str:
    needed, free = result.disk_needed_bytes / GIGABYTE, result.disk_free_bytes / GIGABYTE
    verdict = "" if result.disk_suffices else ": NOT ENOUGH"
    return f"{needed:.2f} GB needed, {free:.1f} GB free{verdict}"
