"""The simulated ICL server against the API manual and the answers recorded in the vendor's SDK."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simulators.icl import IclServer
from simulators.icl_device import IclSettings
from simulators.replay import Replay
from simulators.truth import CameraTruth, OpticsTruth, Truth
from simulators.world import World

LATER_S = 0.01
TRUTH = replace(Truth(), camera=CameraTruth(pixels=64, rows=16, spot_row=7.5))
FULL = {"xOrigin": 0, "yOrigin": 0, "xSize": 64, "ySize": 16, "xBin": 1, "yBin": 16}


class Bench:
    """One server on a world, asked over and over, a little later each time."""

    def __init__(
        self,
        settings: IclSettings | None = None,
        truth: Truth = TRUTH,
        replay: Replay | None = None,
    ) -> None:
        self.world = World(truth, 1, replay)
        self.server = IclServer(
            self.world, settings, None if replay is None else replay.wavelength_nm
        )
        self.now = 0.0
        self._id = 0

    def raw(self, message: bytes) -> list[bytes]:
        self.server.receive(message, self.now)
        self.now += LATER_S
        return self.server.transmit(self.now)

    def call(self, command: str, **parameters: object) -> dict[str, Any]:
        self._id += 1
        message = {"id": self._id, "command": command, "parameters": parameters}
        (reply,) = self.raw(json.dumps(message).encode())
        answer: dict[str, Any] = json.loads(reply)
        assert (answer["id"], answer["command"]) == (self._id, command)
        return answer

    def ask(self, command: str, **parameters: object) -> dict[str, Any]:
        answer = self.call(command, index=0, **parameters)
        assert answer["errors"] == []
        results: dict[str, Any] = answer["results"]
        return results

    def error(self, command: str, **parameters: object) -> str:
        answer = self.call(command, index=0, **parameters)
        assert answer["results"] == {}
        (error,) = answer["errors"]
        return str(error)

    def open(self) -> "Bench":
        for kind in ("mono", "ccd"):
            self.ask(f"{kind}_discover")
            self.ask(f"{kind}_open")
        return self

    def arm(self, exposure_ms: int = 100, count: int = 1, **roi: int) -> None:
        self.ask("ccd_setExposureTime", time=exposure_ms)
        self.ask("ccd_setAcqCount", count=count)
        self.ask("ccd_setAcqFormat", format=1, numberOfRois=1)
        self.ask("ccd_setRoi", roiIndex=1, **(FULL | roi))

    def expose(self, open_shutter: bool = True) -> list[dict[str, Any]]:
        self.ask("ccd_acquisitionStart", openShutter=open_shutter)
        while self.ask("ccd_getAcquisitionBusy")["isBusy"]:
            self.now += 0.05
        acquisitions: list[dict[str, Any]] = self.ask("ccd_getAcquisitionData")["acquisition"]
        return acquisitions


@pytest.fixture
def bench() -> Bench:
    return Bench().open()


def test_info_names_the_server() -> None:
    assert Bench().ask("icl_info")["nodeDescription"] == "Instrument Control Library"


def test_the_id_is_echoed_and_zero_where_there_was_none() -> None:
    (reply,) = Bench().raw(b'{"command":"icl_info"}')

    assert json.loads(reply)["id"] == 0


def test_devices_are_listed_only_after_discovery() -> None:
    bench = Bench()
    assert bench.ask("ccd_list") == {"devices": []}
    assert bench.error("ccd_open").startswith("[E];-307;")

    assert bench.ask("ccd_discover") == {"count": 1}

    (camera,) = bench.ask("ccd_list")["devices"]
    assert set(camera) == {"index", "deviceType", "productId", "serialNumber"}
    assert bench.ask("ccd_listCount") == {"count": 1}


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("foo_bar", "[E];-1;ICL error: no parser found"),
        ("ccd_GETCONFIG", "[E];-2;ICL error: unknown command"),
        ("icl_Info", "[E];-2;ICL error: unknown command"),
        ("ccd_getConfig", "[E];-305;CCD error: not open"),
        ("mono_isBusy", "[E];-506;MONO error: not open"),
        ("ccd_close", "[E];-302;CCD error: already closed"),
        ("mono_close", "[E];-503;MONO error: already closed"),
    ],
)
def test_errors_have_the_numbers_and_texts_of_the_manual(command: str, error: str) -> None:
    bench = Bench()
    bench.ask("ccd_discover")
    bench.ask("mono_discover")

    assert bench.error(command) == error


def test_opening_twice_is_an_error_and_a_device_stays_open(bench: Bench) -> None:
    assert bench.error("ccd_open").startswith("[E];-301;")
    assert bench.error("mono_open").startswith("[E];-501;")
    bench.server.hang_up()
    assert bench.ask("ccd_isOpen") == {"open": True}
    assert bench.ask("mono_isOpen") == {"open": True}


def test_missing_and_wrong_parameters_have_numbers_of_their_own(bench: Bench) -> None:
    assert bench.call("ccd_getGain")["errors"][0].startswith("[E];-324;")
    assert bench.call("ccd_getGain", index=1)["errors"][0].startswith("[E];-307;")
    assert bench.error("ccd_setGain").startswith("[E];-324;")
    assert bench.error("ccd_setGain", token=17).startswith("[E];-317;")
    assert bench.error("ccd_setExposureTime", time=-1).startswith("[E];-318;")
    assert bench.error("ccd_setExposureTime", time="100").startswith("[E];-318;")
    assert bench.error("ccd_setAcqCount", count=10_001).startswith("[E];-318;")
    assert bench.error("mono_moveToPosition").startswith("[E];-521;")
    assert bench.error("mono_moveToPosition", wavelength=1e5).startswith("[E];-513;")
    assert bench.error("mono_moveGrating", position=3).startswith("[E];-513;")


@pytest.mark.parametrize("message", [b"", b"no json", b"[1,2]", b'"x"', b"{", b"[" * 5000])
def test_what_is_no_message_gets_an_error_and_no_more(message: bytes) -> None:
    (reply,) = Bench().raw(message)

    assert json.loads(reply)["errors"] == ["[E];-1;ICL error: no parser found"]


@pytest.mark.parametrize(("as_strings", "kind"), [(True, str), (False, int)])
def test_numbers_of_the_configuration_may_be_strings(as_strings: bool, kind: type) -> None:
    bench = Bench(IclSettings(numbers_as_strings=as_strings)).open()

    configuration = bench.ask("ccd_getConfig")["configuration"]

    assert isinstance(configuration["chipWidth"], kind)
    assert int(configuration["chipWidth"]) == 64
    assert {gain["token"] for gain in configuration["gains"]} == {0, 1, 2}
    assert bench.ask("ccd_getChipSize") == {"x": 64, "y": 16}


def test_settings_are_read_back_as_they_were_set(bench: Bench) -> None:
    bench.ask("ccd_setGain", token=2)
    bench.ask("ccd_setSpeed", token=1)
    bench.ask("ccd_setTimerResolution", resolutionToken=1)
    bench.ask("ccd_setCleanCount", count=3, mode=2)

    assert bench.ask("ccd_getGain") == {"info": "High Light", "token": 2}
    assert bench.ask("ccd_getSpeed")["token"] == 1
    assert bench.ask("ccd_getTimerResolution") == {"resolutionToken": 1}
    assert bench.ask("ccd_getCleanCount") == {"count": 3, "mode": 2}
    assert bench.ask("ccd_getChipTemperature")["temperature"] == pytest.approx(-70.0)


def test_an_acquisition_without_region_is_not_ready(bench: Bench) -> None:
    assert bench.ask("ccd_getAcquisitionReady") == {"ready": False}
    assert bench.error("ccd_acquisitionStart", openShutter=True).startswith("[E];-311;")

    bench.arm()
    assert bench.ask("ccd_getAcquisitionReady") == {"ready": True}
    bench.ask("ccd_setAcqFormat", format=1, numberOfRois=1)  # clears the regions

    assert bench.ask("ccd_getAcquisitionReady") == {"ready": False}


def test_an_acquisition_lasts_exposure_and_readout(bench: Bench) -> None:
    bench.arm(exposure_ms=500)
    bench.ask("ccd_acquisitionStart", openShutter=True)
    start_s = bench.now - LATER_S
    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": True}
    assert bench.error("ccd_getAcquisitionData").startswith("[E];-309;")
    assert bench.error("ccd_acquisitionStart", openShutter=True).startswith("[E];-320;")
    assert bench.error("ccd_setGain", token=1).startswith("[E];-309;")

    bench.now = start_s + 0.599  # 0.5 s and 0.1 s
    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": True}

    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": False}


@pytest.mark.parametrize(("token", "time", "seconds"), [(0, 250, 0.25), (1, 2500, 0.0025)])
def test_exposure_counts_in_units_of_the_timer(
    bench: Bench, token: int, time: int, seconds: float
) -> None:
    bench.arm()
    bench.ask("ccd_setTimerResolution", resolutionToken=token)
    bench.ask("ccd_setExposureTime", time=time)
    bench.ask("ccd_acquisitionStart", openShutter=True)
    begin_s = bench.now - LATER_S

    assert bench.world.camera.is_exposing() == (seconds > LATER_S)
    bench.world.advance(begin_s + seconds + 0.0999)
    assert bench.world.camera.is_busy()
    bench.world.advance(begin_s + seconds + 0.1001)
    assert not bench.world.camera.is_busy()


def test_spectra_come_as_axis_and_counts_with_their_region(bench: Bench) -> None:
    bench.arm()

    (acquisition,) = bench.expose()

    assert acquisition["acqIndex"] == 1
    (roi,) = acquisition["roi"]
    assert {name: roi[name] for name in ("roiIndex", "xOrigin", "yOrigin", "xSize", "ySize")} == {
        "roiIndex": 1, "xOrigin": 0, "yOrigin": 0, "xSize": 64, "ySize": 16,
    }  # fmt: skip
    assert (roi["xBinning"], roi["yBinning"]) == (1, 16)
    assert roi["xData"] == [list(range(64))]
    ((_, counts),) = bench.world.camera.frames()
    assert roi["yData"] == [counts.tolist()]


def test_older_servers_send_pairs() -> None:
    bench = Bench(IclSettings(axis_and_counts="xyData")).open()
    bench.arm()

    roi = bench.expose()[0]["roi"][0]

    ((_, counts),) = bench.world.camera.frames()
    assert "xData" not in roi
    assert roi["xyData"] == [[x, y] for x, y in zip(range(64), counts.tolist(), strict=True)]


def test_an_image_has_a_row_per_line_and_regions_are_cut_and_binned(bench: Bench) -> None:
    bench.ask("ccd_setExposureTime", time=100)
    bench.ask("ccd_setAcqFormat", format=1, numberOfRois=2)
    bench.ask("ccd_setRoi", roiIndex=1, **(FULL | {"yBin": 1}))
    bench.ask("ccd_setRoi", roiIndex=2, xOrigin=8, yOrigin=4, xSize=16, ySize=8, xBin=4, yBin=2)

    whole, part = bench.expose()[0]["roi"]

    image = np.array(whole["yData"])
    assert image.shape == (16, 64)
    expected = image[4:12, 8:24].reshape(4, 2, 4, 4).sum(axis=(1, 3))
    assert np.array_equal(np.array(part["yData"]), expected)
    assert np.array(part["xData"])[0].tolist() == [8, 12, 16, 20]


def test_several_acquisitions_come_in_one_result_one_after_another(bench: Bench) -> None:
    bench.arm(exposure_ms=10, count=300)

    acquisitions = bench.expose()

    assert [each["acqIndex"] for each in acquisitions] == list(range(1, 301))
    starts = [start_s for start_s, _ in bench.world.camera.frames()]
    assert np.diff(starts) == pytest.approx(0.11)
    for each, (_, counts) in zip(acquisitions, bench.world.camera.frames(), strict=True):
        assert each["roi"][0]["yData"] == [counts.tolist()]
    assert bench.ask("ccd_getDataSize") == {"size": 300 * 64}


def test_the_timestamp_is_the_end_of_all_acquisitions(bench: Bench) -> None:
    bench.arm(exposure_ms=900, count=2)
    bench.now = 10.0 - LATER_S
    bench.ask("ccd_getChipSize")

    bench.expose()

    assert bench.ask("ccd_getAcquisitionData")["timestamp"] == "2027.01.15 08:00:12.000"


def test_a_closed_camera_shutter_keeps_the_light_out() -> None:
    bright = replace(TRUTH, optics=OpticsTruth(stray_e_per_px_s=2000.0))
    bench = Bench(truth=bright).open()
    bench.arm(exposure_ms=1000)

    lit = np.mean(bench.expose(open_shutter=True)[0]["roi"][0]["yData"])
    dark = np.mean(bench.expose(open_shutter=False)[0]["roi"][0]["yData"])

    assert dark == pytest.approx(1000.0, abs=5.0)
    assert lit > dark + 20_000


def test_conversion_types_give_pixels_firmware_fit_and_wavelengths(bench: Bench) -> None:
    bench.arm()
    bench.ask("ccd_setFitParams", params="500,0.01,0,0,0")
    assert bench.error("ccd_setXAxisConversionType", type=2).startswith("[E];-316;")

    axes = {}
    bench.ask("ccd_setCenterWavelength", monoIndex=0, wavelength=518.3)
    for kind in (0, 1, 2):
        bench.ask("ccd_setXAxisConversionType", type=kind)
        axes[kind] = np.array(bench.expose()[0]["roi"][0]["xData"][0])

    pixel = np.arange(64)
    assert axes[0].tolist() == pixel.tolist()
    assert axes[1] == pytest.approx(500.0 + 0.01 * pixel)
    dispersion_nm = np.diff(axes[2])
    optics = TRUTH.optics  # d lambda / d x = cos(b) / (G f), with cos(b) about 0.7 to 0.9 here
    highest_nm = 1e6 / optics.gratings_per_mm[0] * 0.020 / optics.focal_length_mm
    assert np.all((0.6 * highest_nm < dispersion_nm) & (dispersion_nm < highest_nm))
    assert axes[2][31:33].mean() == pytest.approx(518.3, abs=1e-4)
    assert axes[2] == pytest.approx(bench.world.optics.nominal_wavelengths_nm(), abs=1e-9)


def test_the_axis_does_not_follow_the_monochromator_by_itself(bench: Bench) -> None:
    bench.arm()
    bench.ask("ccd_setCenterWavelength", monoIndex=0, wavelength=518.3)
    bench.ask("ccd_setXAxisConversionType", type=2)
    before = bench.expose()[0]["roi"][0]["xData"]

    bench.ask("mono_moveToPosition", wavelength=540.0)
    bench.now += 5.0

    assert bench.expose()[0]["roi"][0]["xData"] == before


def test_a_move_returns_at_once_and_is_busy_until_it_is_there(bench: Bench) -> None:
    assert bench.ask("mono_getPosition") == {"wavelength": 518.3}
    bench.ask("mono_moveToPosition", wavelength=538.3)  # 20 nm at 80 nm/s, after 0.15 s
    assert bench.ask("mono_isBusy") == {"busy": True}
    assert bench.error("mono_moveToPosition", wavelength=500.0).startswith("[E];-519;")
    assert bench.ask("mono_getPosition") == {"wavelength": 518.3}

    bench.now += 0.4

    assert bench.ask("mono_isBusy") == {"busy": False}
    assert bench.ask("mono_getPosition")["wavelength"] == pytest.approx(538.3, abs=1e-3)
    assert bench.world.optics.centre_nm == pytest.approx(538.3, abs=1e-3)


def test_the_turret_turns_slowly_and_the_wavelength_stays(bench: Bench) -> None:
    bench.ask("mono_moveGrating", position=2)
    bench.now += 17.9
    assert bench.ask("mono_getGratingPosition") == {"position": 0}
    bench.now += 0.2

    assert bench.ask("mono_getGratingPosition") == {"position": 2}
    assert bench.world.optics.grating == 2
    assert bench.ask("mono_getPosition") == {"wavelength": 518.3}


def test_an_uninitialised_monochromator_refuses_to_move() -> None:
    truth = replace(TRUTH, optics=OpticsTruth(start_grating=1))
    bench = Bench(IclSettings(mono_is_initialized=False), truth).open()
    assert bench.ask("mono_isInitialized") == {"initialized": False}
    assert bench.ask("mono_getGratingPosition") == {"position": 0}  # wrong, as on the real one
    assert bench.error("mono_moveToPosition", wavelength=500.0).startswith("[E];-505;")

    bench.ask("mono_init", force=False)
    assert bench.ask("mono_isBusy") == {"busy": True}
    bench.now += bench.server.settings.init_s

    assert bench.ask("mono_isInitialized") == {"initialized": True}
    assert bench.ask("mono_getGratingPosition") == {"position": 1}


def test_set_position_recalibrates_instead_of_moving(bench: Bench) -> None:
    bench.ask("mono_setPosition", wavelength=600.0)

    assert bench.ask("mono_getPosition") == {"wavelength": 600.0}
    assert bench.world.optics.centre_nm == 518.3
    bench.ask("mono_moveToPosition", wavelength=610.0)
    bench.now += 5.0
    assert bench.ask("mono_isBusy") == {"busy": False}
    assert bench.world.optics.centre_nm == pytest.approx(528.3, abs=1e-3)


def test_slits_mirrors_and_shutter_are_remembered(bench: Bench) -> None:
    bench.ask("mono_moveSlitMM", locationId=1, position=0.05)
    bench.now += 2.0
    bench.ask("mono_moveMirror", locationId=1, position=1)
    bench.now += 2.0
    bench.ask("mono_shutterOpen")

    assert bench.ask("mono_getSlitPositionInMM", locationId=1) == {"position": 0.05}
    assert bench.ask("mono_getMirrorPosition", locationId=1) == {"position": 1}
    assert bench.ask("mono_getMirrorPosition", locationId=2) == {"position": 0}
    assert bench.ask("mono_getShutterStatus") == {"position": 1}


def test_abort_ends_the_acquisition_without_spectra(bench: Bench) -> None:
    bench.arm(exposure_ms=60_000)
    bench.ask("ccd_acquisitionStart", openShutter=True)

    bench.ask("ccd_acquisitionAbort")

    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": False}
    assert bench.error("ccd_getAcquisitionData").startswith("[E];-312;")
    bench.arm(exposure_ms=10)
    assert len(bench.expose()) == 1


def test_some_cameras_want_a_restart_after_an_abort() -> None:
    bench = Bench(IclSettings(abort_needs_restart=True)).open()
    bench.arm(exposure_ms=60_000)
    bench.ask("ccd_acquisitionStart", openShutter=True)
    bench.ask("ccd_acquisitionAbort")
    assert bench.error("ccd_acquisitionStart", openShutter=True).startswith("[E];-311;")

    bench.ask("ccd_restart")
    assert bench.ask("ccd_getAcquisitionReady") == {"ready": False}
    bench.now += bench.server.settings.restart_s

    assert bench.ask("ccd_getAcquisitionReady") == {"ready": True}


def test_a_stalled_acquisition_never_seems_to_end(bench: Bench) -> None:
    bench.arm(exposure_ms=10)
    bench.ask("ccd_acquisitionStart", openShutter=True)

    bench.server.stall(bench.now, 30.0)
    bench.now += 29.0

    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": True}
    bench.now += 2.0
    assert bench.ask("ccd_getAcquisitionBusy") == {"isBusy": False}


def test_binary_mode_sends_log_frames_in_between() -> None:
    bench = Bench()
    assert bench.error("icl_binMode", mode="some").startswith("[E];-3;")
    bench.ask("icl_binMode", mode="all")

    frame, reply = bench.raw(b'{"id":9,"command":"icl_info"}')

    assert int.from_bytes(frame[6:10], "little") == len(frame) - 18
    assert json.loads(reply)["id"] == 9
    bench.raw(b'{"id":10,"command":"icl_binMode","parameters":{"mode":"none"}}')
    assert len(bench.raw(b'{"id":11,"command":"icl_info"}')) == 1


def test_a_server_that_shut_down_is_silent_until_started_again() -> None:
    bench = Bench()
    assert bench.ask("icl_shutdown") == {"state": "Shutting down"}
    assert bench.raw(b'{"id":1,"command":"icl_info"}') == []

    bench.server.power_cycle(bench.now)

    assert bench.ask("ccd_list") == {"devices": []}


def test_replayed_spectra_come_unchanged_and_on_their_own_axis() -> None:
    replay = Replay(
        voltage_V=np.array([-1.0, 0.0, 1.0]),
        counts=np.array([[1, -2, 3, 4], [5, 53_562, 7, 8], [9, 10, 11, 12]], dtype=np.int32),
        wavelength_nm=np.array([710.0, 711.5, 713.0, 714.5]),
    )
    bench = Bench(replay=replay).open()
    bench.world.optics.shutter_open = True
    bench.arm(exposure_ms=100, xSize=4)
    bench.ask("ccd_setCenterWavelength", monoIndex=0, wavelength=700.0)
    bench.ask("ccd_setXAxisConversionType", type=2)

    roi = bench.expose()[0]["roi"][0]

    assert roi["yData"] == [[5, 53_562, 7, 8]]
    assert roi["xData"] == [[710.0, 711.5, 713.0, 714.5]]
