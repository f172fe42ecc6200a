"""Where compiled kernels are kept between processes."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the folder of this version's kernels; NUMBA_CACHE_DIR moves it."""
    try:
        release = version("cryoscan")
    except PackageNotFoundError:
        release = "source"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(chosen) if chosen else user_cache_path("cryoscan", appauthor=False)
    return root / f"kernels-{release}"
