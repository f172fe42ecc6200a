"""What a person should know goes into the log and to whoever watches, in the same words."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acquisition.channel.messages import Message, Said
from acquisition.storage.record import Level
from drivers.clock import Clock

__all__ = ["Publish", "Voice"]

Publish = Callable[[Message, NDArray[np.generic] | None], None]


class Voice:
    """Says things in the name of one part of the program, whose logger it uses."""

    def __init__(self, logger: logging.Logger, clock: Clock, publish: Publish) -> None:
        self._logger = logger
        self._clock = clock
        self._publish = publish

    def __call__(
        self,
        level: Level,
        text: str,
        *,
        code: str,
        device: str = "",
        done: str = "",
        advice: str = "",
    ) -> None:
        """Say what happened, to which device, what was done, and what to do."""
        self._logger.log(logging.INFO if level is Level.INFO else logging.WARNING, "%s", text)
        utc = self._clock.utc()
        said = Said(level, text, utc, code=code, device=device, done=done, advice=advice)
        self._publish(said, None)
