"""The sweep, the engine, the journal, the safety and the command line.

A script uses `from acquisition import check_sweep, start_run, resume_run`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acquisition.scripting import check_sweep, resume_run, start_run

__all__ = ["check_sweep", "resume_run", "start_run"]


def __getattr__(name: str) -> object:
    """Import the door for scripts only when a script asks for it: the command line starts fast."""
    if name in __all__:
        from acquisition import scripting  # noqa: PLC0415

        return getattr(scripting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
