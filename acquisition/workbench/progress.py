"""A running run on the terminal, from status snapshots and nothing else."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from acquisition.channel.engine_status import EngineStatus

__all__ = ["RunProgress", "status_line", "time_text"]

SHOWN = (
    ("temperature_K", "T {:.2f} K"),
    ("gap_voltage_V", "V {:.2f} V"),
    ("angle_deg", "angle {:.1f} deg"),
)


def time_text(seconds: float) -> str:
    """Return a duration as 12h05m or 3m20s."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def status_line(status: EngineStatus) -> str:
    """Return what a person wants to know, in one line."""
    parts = [status.state.value]
    if status.awaited:
        waited_s = status.time_s - status.awaited_since_s
        parts.append(f"{status.awaited} (since {time_text(waited_s)})")
    readings = [text.format(status.readings[c]) for c, text in SHOWN if c in status.readings]
    parts += readings
    if status.latest_fit:
        parts.append(status.latest_fit)
    parts.append(f"about {time_text(status.remaining_s)} left")
    return " | ".join(parts)


class RunProgress:
    """A bar of points with the status line under it; plain lines where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.fields[run]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=not console.is_terminal,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "RunProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, status: EngineStatus) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", total=status.total, run=status.run[-30:])
        self._progress.update(self._task, completed=status.done, description=status_line(status))
