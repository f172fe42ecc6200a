"""How the command line speaks: what goes to stdout and stderr, and which code it exits with."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from acquisition.configuration.config_error import ConfigError
from acquisition.storage.storage_errors import StorageError
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from acquisition.running.doors import Watcher

__all__ = [
    "EXIT_CONFIG",
    "EXIT_FAILED",
    "EXIT_STOPPED",
    "err",
    "log_to_stderr",
    "out",
    "progress_bar",
    "refusals_told",
    "say",
    "tell",
]

EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_STOPPED = 3

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Say in one line what went wrong, and exit with the code that a script can rely on."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        raise typer.Exit(EXIT_CONFIG) from None
    except (DeviceError, StorageError, OSError, LookupError, ValueError) as error:
        err.print(f"{type(error).__name__}: {error}", markup=False)
        raise typer.Exit(EXIT_FAILED) from None


@contextmanager
def progress_bar() -> Iterator["Watcher"]:
    from acquisition.running.doors import Watcher  # noqa: PLC0415 - keeps the start fast
    from acquisition.workbench.progress import RunProgress  # noqa: PLC0415

    with RunProgress(err) as progress:
        yield Watcher(say=say, show=progress.show)


def tell(text: str) -> None:
    out.print(text, markup=False)


def say(text: str) -> None:
    err.print(text, markup=False)


def log_to_stderr(*, verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
