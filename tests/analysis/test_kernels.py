"""Which code fits: numpy until the kernels are there, and one code for whoever settled."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from analysis.estimation import kernels
from analysis.estimation.kernel_cache import cache_folder
from analysis.estimation.kernels import FitCode

LONG_S = 60.0


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that has decided nothing, with a cache of its own, in which nothing compiles."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("CRYOSCAN_KERNELS", raising=False)
    monkeypatch.setattr(kernels, "_KERNELS", kernels._Kernels())
    monkeypatch.setattr(kernels, "_load", lambda: None)


def compiled_before() -> None:
    mark = kernels._ready_mark()
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def ended() -> None:
    assert kernels._KERNELS.thread is not None
    kernels._KERNELS.thread.join(LONG_S)


def test_numpy_fits_until_somebody_asks_for_kernels() -> None:
    assert kernels.code_in_use() is FitCode.NUMPY
    assert kernels.status() == "fits by numpy"


def test_kernels_compiled_before_are_loaded_in_the_background() -> None:
    compiled_before()

    kernels.prepare()
    ended()

    assert kernels.code_in_use() is FitCode.COMPILED
    assert kernels.status() == "fits by compiled kernels"


def test_whoever_settles_waits_for_loading_but_not_for_compiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "_compile_elsewhere", compiled_before)
    is_read = Event()
    monkeypatch.setattr(kernels, "_load", is_read.wait)
    first = kernels.settle(longest_s=0.0)
    is_read.set()
    ended()

    assert first is FitCode.NUMPY
    assert kernels.code_in_use() is FitCode.NUMPY  # though they are ready by now

    monkeypatch.setattr(kernels, "_KERNELS", kernels._Kernels())
    assert kernels.settle(longest_s=LONG_S) is FitCode.COMPILED


def test_what_began_with_kernels_waits_for_them_and_what_began_without_stays_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "_compile_elsewhere", compiled_before)
    monkeypatch.setenv("CRYOSCAN_KERNELS", "compiled")
    assert kernels.settle(longest_s=LONG_S) is FitCode.COMPILED

    monkeypatch.setattr(kernels, "_KERNELS", kernels._Kernels())
    monkeypatch.setenv("CRYOSCAN_KERNELS", "numpy")
    assert kernels.settle(longest_s=LONG_S) is FitCode.NUMPY
    assert kernels._KERNELS.thread is None


def test_while_it_compiles_the_status_says_so_and_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []

    def fails() -> None:
        said.append(kernels.status())
        raise OSError("no space left on device")

    monkeypatch.setattr(kernels, "_compile_elsewhere", fails)

    kernels.prepare()
    ended()

    assert said == ["fits by numpy while the kernels compile, once for this version"]
    assert kernels.status() == "fits by numpy: no compiled kernels (no space left on device)"
    assert "no space left on device" in caplog.text


def test_a_word_that_names_no_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYOSCAN_KERNELS", "fortran")

    with pytest.raises(ValueError, match="fortran"):
        kernels.settle(longest_s=LONG_S)


def test_kernels_of_another_source_or_interpreter_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled_before()
    monkeypatch.setattr(sys, "version", "9.99")

    assert not kernels._ready_mark().exists()


def test_a_compilation_that_goes_on_is_waited_for_and_a_forgotten_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = cache_folder()
    folder.mkdir(parents=True)
    assert not kernels._is_going_on(folder)

    (folder / "compiling").touch()
    assert kernels._is_going_on(folder)

    monkeypatch.setattr(kernels, "COMPILATION_S", -1.0)
    assert not kernels._is_going_on(folder)


def test_the_compiling_process_leaves_the_mark_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    kernels.main()
    assert kernels._ready_mark().exists()
    assert not (cache_folder() / "compiling").exists()

    kernels._ready_mark().unlink()

    def dies() -> None:
        raise ImportError("numba")

    monkeypatch.setattr(kernels, "_load", dies)
    with pytest.raises(ImportError):
        kernels.main()
    assert not kernels._ready_mark().exists()
    assert not (cache_folder() / "compiling").exists()


def test_nothing_that_fits_imports_numba_before_it_is_asked_to() -> None:
    modules = (
        "acquisition.cli, acquisition.running.run, "
        "acquisition.fits.fit_run, analysis.spectra.model_fit"
    )
    script = f"import sys, {modules}; sys.exit('numba' in sys.modules)"

    subprocess.run([sys.executable, "-c", script], check=True)
