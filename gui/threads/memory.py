"""Memory that is free again goes back to the system, where its C library would keep it."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["give_memory_back"]


def give_memory_back() -> None:
    """Hand back what is free: after a long run is left. Takes some milliseconds.

    glibc keeps what lies below the newest piece in use; elsewhere nothing needs to be done.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
