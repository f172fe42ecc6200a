"""Cameras behind an SDK, proven against a stand-in for pylablib: no hardware was ever tried."""

import os
from pathlib import Path

import numpy as np
import pytest

from drivers.addresses import AddressError, open_link
from drivers.clock import RealClock
from drivers.errors import InstrumentError, LimitError, LinkClosed, LinkTimeout, StateError
from drivers.link import Whole
from drivers.registry import known_models, model
from drivers.roles import Camera, ExposureSettings
from drivers.sdk_camera import SdkCameraConfig

STAND_IN = Path(__file__).parent / "sdk_stand_in"
ROOT = Path(__file__).parents[2]
SPECTRUM = ExposureSettings(0.05, rows=(118, 20))


class Bench:
    def __init__(self, log: Path, name: str, address: str, **options) -> None:
        self.log = log
        self.clock = RealClock()
        kind = model(name)
        self.config = SdkCameraConfig(timeout_s=0.2, **options)
        self.link = open_link(address, kind.framing)
        client = kind.line("camera", self.link, self.clock, self.config)
        self.camera = kind.driver("camera", client, self.clock, self.config)

    def wait_for(self, status) -> None:
        for _ in range(500):
            if status.poll():
                break
            self.clock.wait(0.01)
        status.check()

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def make(tmp_path, monkeypatch):
    benches = []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(STAND_IN), str(ROOT))))
    monkeypatch.setenv("CAMERA_LOG", str(tmp_path / "calls.txt"))

    def bench(name="andor.sdk2", address="process://andor", **options) -> Bench:
        benches.append(Bench(tmp_path / "calls.txt", name, address, **options))
        return benches[-1]

    yield bench
    for each in benches:
        each.camera.close()


def test_both_are_cameras_and_the_program_knows_nothing_of_pylablib():
    assert {"andor.sdk2", "princeton.picam"} <= set(known_models())
    assert model("princeton.picam").role is Camera
    import sys

    assert "pylablib" not in sys.modules
    assert "drivers.camera_process" not in sys.modules


@pytest.mark.parametrize("address", ["process://", "process://qhy", "process://andor?x=1"])
def test_only_known_sdks_can_be_addressed(address):
    with pytest.raises(AddressError):
        open_link(address, Whole())


def test_nothing_starts_before_the_first_question(make):
    bench = make()

    bench.camera.close()

    assert bench.calls() == []


def test_a_spectrum_comes_through_the_pipes(make):
    bench = make(detector_C=-80.0)
    assert bench.camera.identify().model == "DU420A-BEX2-DD"
    assert bench.camera.pixels == 1024
    bench.camera.arm(SPECTRUM)

    status = bench.camera.trigger()
    assert not bench.camera.is_exposed()
    assert bench.camera.read() == {}
    bench.wait_for(status)

    (frame,) = bench.camera.collect()
    assert frame.counts.dtype == np.int32
    np.testing.assert_array_equal(frame.counts, np.arange(1024))
    assert bench.camera.is_exposed()
    assert bench.camera.read()["detector_temperature_C"].value == pytest.approx(-79.6)
    assert "open (0, -80.0)" in bench.calls()
    assert "setup_shutter ('auto',)" in bench.calls()


def test_series_and_images_keep_their_shape(make):
    bench = make(frame_readout_s=0.0)
    bench.camera.arm(ExposureSettings(0.01, frames=3, open_shutter=False))

    bench.wait_for(bench.camera.trigger())

    frames = bench.camera.collect()
    assert [frame.counts.shape for frame in frames] == [(256, 1024)] * 3
    assert frames[2].start_s - frames[0].start_s == pytest.approx(0.02)
    assert "setup_shutter ('closed',)" in bench.calls()


def test_a_princeton_camera_is_driven_by_its_attributes(make):
    bench = make("princeton.picam", "process://picam")
    assert bench.camera.identify().serial == "2105050004"
    bench.camera.arm(ExposureSettings(0.01, rows=(0, 256), gain=2, speed=1))

    bench.wait_for(bench.camera.trigger())

    assert bench.camera.collect()[0].counts.shape == (1024,)
    assert "set ADC Speed (2.0,)" in bench.calls()
    assert "set Sensor Temperature Set Point (-70.0,)" in bench.calls()
    assert bench.camera.read()["detector_temperature_C"].value == -69.5


@pytest.mark.parametrize(
    "settings",
    [
        ExposureSettings(float("nan")),
        ExposureSettings(0.0),
        ExposureSettings(0.1, frames=0),
        ExposureSettings(0.1, rows=(250, 20)),
    ],
)
def test_impossible_settings_never_reach_the_sdk(make, settings):
    bench = make()

    with pytest.raises(LimitError):
        bench.camera.arm(settings)
    assert not any(call.startswith("set_exposure") for call in bench.calls())


def test_an_exposure_that_reads_back_otherwise_is_refused(make):
    bench = make()

    with pytest.raises(InstrumentError, match=r"1000\.0 s, not 2000"):
        bench.camera.arm(ExposureSettings(2000.0))
    with pytest.raises(StateError, match="not armed"):
        bench.camera.trigger()


def test_an_error_of_the_sdk_is_an_error_of_the_instrument(make, monkeypatch):
    monkeypatch.setenv("SIM_FAIL", "start_acquisition")
    bench = make()
    bench.camera.arm(SPECTRUM)

    with pytest.raises(InstrumentError, match="DRV_ERROR_ACK"):
        bench.camera.trigger()


def test_an_sdk_that_hangs_is_killed_and_a_new_process_works(make, monkeypatch):
    monkeypatch.setenv("SIM_HANG", "acquisition_in_progress")
    bench = make(command_timeout_s=0.6)
    bench.camera.arm(SPECTRUM)
    status = bench.camera.trigger()

    with pytest.raises(LinkTimeout, match="its process was killed"):
        bench.wait_for(status)
    assert bench.camera.settings() == {"is_armed": False}
    monkeypatch.delenv("SIM_HANG")

    bench.camera.arm(SPECTRUM)
    bench.wait_for(bench.camera.trigger())
    assert len(bench.camera.collect()) == 1


def test_a_process_that_dies_is_a_closed_line(make, monkeypatch):
    monkeypatch.setenv("SIM_DIE", "start_acquisition")
    bench = make()
    bench.camera.arm(SPECTRUM)

    with pytest.raises(LinkClosed, match="ended"):
        bench.camera.trigger()


def test_an_abort_loses_the_frames_and_harms_nothing(make):
    bench = make()
    bench.camera.abort()
    bench.camera.arm(ExposureSettings(5.0, rows=(0, 10)))
    status = bench.camera.trigger()

    bench.camera.abort()
    bench.camera.abort()

    assert status.poll()
    with pytest.raises(StateError, match="aborted"):
        status.check()
    with pytest.raises(StateError, match="no frames"):
        bench.camera.collect()
    assert bench.calls().count("stop_acquisition ()") == 1


def test_counts_that_are_no_whole_numbers_are_refused(make):
    bench = make(frame_readout_s=0.0)
    bench.camera.arm(ExposureSettings(0.001, frames=9, rows=(0, 10)))

    with pytest.raises(InstrumentError, match="32 bits"):
        bench.wait_for(bench.camera.trigger())


def test_another_camera_is_refused(make):
    with pytest.raises(StateError, match="17312, not 4711"):
        make(serial="4711").camera.identify()


def test_it_knows_no_wavelengths_and_says_who_does(make):
    with pytest.raises(StateError, match="geometry"):
        make().camera.wavelengths_nm()


def test_closing_lets_the_sdk_close_its_camera(make):
    bench = make()
    bench.camera.identify()

    bench.camera.close()
    bench.camera.close()

    assert bench.calls()[-1] == "close ()"
