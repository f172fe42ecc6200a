import json
import logging
import time
from math import inf, nan

import numpy as np
import pytest

from drivers.clock import VirtualClock
from drivers.connections import Connections
from drivers.errors import (
    InstrumentError,
    LimitError,
    LinkClosed,
    LinkTimeout,
    ReplyError,
    StateError,
)
from drivers.horiba import (
    HoribaCamera,
    HoribaCameraConfig,
    HoribaMonochromator,
    HoribaMonochromatorConfig,
)
from drivers.icl import IclClient, IclError, IclModule
from drivers.roles import ExposureSettings
from simulators.icl_device import IclSettings
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import Truth

NM = [885.6389770507812, 885.2899780273438, 884.9409790039062, 884.593017578125]


class ServerLink:
    """An ICL server from a table: command -> results, error text, or None for silence.

    A list is used up answer by answer; its last answer stays.
    """

    def __init__(self, clock, **answers) -> None:
        self.clock = clock
        self.answers = answers
        self.requests = []
        self.frames = []
        self.resets = 0
        self.is_closed = False

    def send(self, message: bytes) -> None:
        request = json.loads(message)
        self.requests.append((request["command"], request["parameters"]))
        if request["command"] == "icl_binMode":
            return
        answer = self.answers[request["command"]]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is not None:
            self.frames.append(reply(request["id"], answer))

    def poll(self, timeout_s: float) -> bytes | None:
        if self.frames:
            return self.frames.pop(0)
        self.clock.wait(timeout_s)
        return None

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.is_closed = True

    def count(self, command: str) -> int:
        return sum(name == command for name, _ in self.requests)

    def parameters(self, command: str) -> dict:
        return next(parameters for name, parameters in self.requests if name == command)


def reply(number, answer, command="x") -> bytes:
    message = {"id": number, "command": command, "results": {}, "errors": []}
    if isinstance(answer, str):
        message["errors"] = [answer]
    else:
        message["results"] = answer
    return json.dumps(message).encode()


@pytest.fixture
def server(clock):
    def make(**answers):
        link = ServerLink(clock, **answers)
        return IclClient("icl", link, clock), link

    return make


# The client


def test_a_session_begins_by_switching_binary_frames_off(server):
    client, link = server(ccd_getGain={"token": 1})

    IclModule("ccd", client, "ccd", 0, "").ask("getGain")

    assert link.requests == [("icl_binMode", {"mode": "none"}), ("ccd_getGain", {"index": 0})]


def test_a_late_reply_is_dropped_and_counted_and_shifts_nothing(server):
    client, link = server(ccd_getGain=[None, {"token": 1}], ccd_getSpeed={"token": 2})
    module = IclModule("ccd", client, "ccd", 0, "")
    assert module.ask("getGain") == {"token": 1}  # asked again after the timeout

    link.frames.append(reply(2, {"token": 99}))  # the answer to the first question, at last

    assert module.ask("getSpeed") == {"token": 2}
    assert client.dropped == 1


def test_frames_that_are_no_replies_are_dropped(server, caplog):
    client, link = server(ccd_getGain={"token": 1})
    link.frames += [b"\xa5\x5a\x01\x00log", b"[]", b'{"id":2,"com', b"{}", reply(0, {"token": 7})]

    assert IclModule("ccd", client, "ccd", 0, "").ask("getGain") == {"token": 1}

    assert client.dropped == 5
    assert "not a reply" in caplog.text


def test_a_command_whose_reply_is_lost_is_not_repeated(server):
    client, link = server(ccd_setGain=None)

    with pytest.raises(LinkTimeout, match=r"no reply to ccd_setGain in 1 x 0\.5 s"):
        IclModule("ccd", client, "ccd", 0, "").ask("setGain", token=1)
    assert link.count("ccd_setGain") == 1


def test_a_question_is_asked_four_times_at_most(server):
    client, link = server(ccd_getGain=None)

    with pytest.raises(LinkTimeout):
        IclModule("ccd", client, "ccd", 0, "").ask("getGain")
    assert link.count("ccd_getGain") == 4


def test_an_error_has_its_code(server):
    client, _ = server(ccd_setGain="[E];-317;CCD error: invalid token")

    with pytest.raises(IclError, match="invalid token") as caught:
        IclModule("ccd", client, "ccd", 0, "").ask("setGain", token=9)
    assert caught.value.code == -317


def test_an_instrument_that_the_server_forgot_is_searched_opened_and_asked_again(server):
    client, link = server(
        ccd_getGain=["[E];-307;invalid device index", "[E];-305;not open", {"token": 1}],
        ccd_discover={"count": 1},
        ccd_open={},
    )

    assert IclModule("ccd", client, "ccd", 0, "").ask("getGain") == {"token": 1}
    assert (link.count("ccd_discover"), link.count("ccd_open")) == (1, 1)


def test_a_wrong_index_stays_an_error(server):
    client, _ = server(ccd_getGain="[E];-307;invalid device index", ccd_discover={"count": 1})

    with pytest.raises(IclError, match="invalid device index"):
        IclModule("ccd", client, "ccd", 3, "").ask("getGain")


def test_after_a_lost_connection_a_new_session_begins(server):
    client, link = server(ccd_getGain={"token": 1})
    module = IclModule("ccd", client, "ccd", 0, "")
    poll = link.poll

    def fail(_):
        raise ConnectionResetError("gone")

    link.poll = fail
    with pytest.raises(LinkClosed, match="icl: line lost"):
        module.ask("getGain")
    link.poll = poll
    link.frames.clear()

    assert module.ask("getGain") == {"token": 1}
    assert (link.resets, link.count("icl_binMode")) == (2, 2)


def test_a_serial_number_that_is_another_s_is_refused(server):
    devices = {"devices": [{"index": 0, "deviceType": "iHR", "serialNumber": "Camera SN:  2244"}]}
    client, _ = server(ccd_list=devices)

    assert IclModule("ccd", client, "ccd", 0, "2244").identify().serial == "2244"
    with pytest.raises(StateError, match="serial number 2244, not 2245"):
        IclModule("ccd", client, "ccd", 0, "2245").identify()


@pytest.mark.parametrize(
    "devices",
    [[{"index": float("inf")}], [{"index": "x"}], [{}], [None], "none", 3],
)
def test_a_list_that_makes_no_sense_is_a_reply_error(server, devices):
    client, _ = server(ccd_list={"devices": devices})

    with pytest.raises(ReplyError, match="ccd_list was answered nonsense"):
        IclModule("ccd", client, "ccd", 0, "").identify()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), None, "x", [1]])
def test_a_number_that_is_none_is_a_reply_error(server, value):
    client, _ = server(ccd_getChipTemperature={"temperature": value})

    with pytest.raises(ReplyError, match="ccd_getChipTemperature was answered nonsense"):
        IclModule("ccd", client, "ccd", 0, "").number("getChipTemperature", "temperature")


# The monochromator


@pytest.fixture
def mono(server, clock):
    def make(**answers):
        table = {
            "mono_isBusy": {"busy": False},
            "mono_isInitialized": {"initialized": True},
            "mono_getGratingPosition": {"position": 0},
            "mono_getPosition": {"wavelength": 600.0},
            "mono_moveToPosition": {},
            "mono_moveGrating": {},
            "mono_init": {},
        }
        client, link = server(**{**table, **answers})
        return HoribaMonochromator("mono", client, clock, HoribaMonochromatorConfig()), link

    return make


def finish(status, clock, step_s=0.1):
    for _ in range(10_000):
        if status.poll():
            return status.check()
        clock.wait(step_s)
    raise AssertionError("never done")


def test_a_move_is_over_when_busy_was_seen_and_the_position_is_the_target_s(mono, clock):
    device, link = mono(
        mono_isBusy=[{"busy": b} for b in (False, False, True, True, False)],
        mono_getPosition=[{"wavelength": w} for w in (500.0, 600.01)],
    )
    status = device.set(600.0, 0)

    assert not status.poll()  # the order came back at once and nothing moves yet
    finish(status, clock)

    assert link.parameters("mono_moveToPosition") == {"index": 0, "wavelength": 600.0}
    assert link.count("mono_moveGrating") == 0


def test_the_turret_turns_before_the_wavelength(mono, clock):
    device, link = mono(mono_getGratingPosition=[{"position": p} for p in (0, 2)])

    finish(device.set(600.0, 2), clock)

    names = [name for name, _ in link.requests]
    assert names.index("mono_moveGrating") < names.index("mono_moveToPosition")


@pytest.mark.parametrize("busy", [[False], [False, True, False]])
def test_a_move_that_ends_elsewhere_or_never_begins_is_an_error(mono, clock, busy):
    device, _ = mono(
        mono_isBusy=[{"busy": b} for b in busy], mono_getPosition={"wavelength": 500.0}
    )
    status = device.set(600.0, 0)

    with pytest.raises(InstrumentError, match="did not arrive"):
        finish(status, clock)


def test_a_move_that_never_ends_is_a_timeout(mono, clock):
    device, link = mono()
    status = device.set(600.0, 0)
    link.answers["mono_isBusy"] = {"busy": True}

    with pytest.raises(LinkTimeout, match="still busy after 180"):
        finish(status, clock, 10.0)


@pytest.mark.parametrize(
    ("wavelength_nm", "grating"), [(nan, 0), (inf, 0), (-1.0, 0), (1500.1, 0), (600.0, 3)]
)
def test_what_is_outside_the_limits_never_reaches_the_wire(mono, wavelength_nm, grating):
    device, link = mono()

    with pytest.raises(LimitError, match="allowed"):
        device.set(wavelength_nm, grating)
    assert link.requests == []


def test_nothing_moves_before_initialising_which_happens_only_when_asked(mono, clock):
    device, link = mono(mono_isInitialized=[{"initialized": b} for b in (False, False, True)])
    with pytest.raises(StateError, match="not initialised"):
        device.set(600.0, 0)
    assert link.count("mono_init") == 0

    finish(device.initialise(), clock)

    assert link.parameters("mono_init") == {"index": 0, "force": False}


def test_a_busy_monochromator_is_left_alone(mono):
    with pytest.raises(StateError, match="still moving"):
        mono(mono_isBusy={"busy": True})[0].set(600.0, 0)


def test_numbers_and_booleans_may_be_strings(mono, clock):
    device, _ = mono(
        mono_isBusy={"busy": "false"},
        mono_isInitialized={"initialized": "true"},
        mono_getPosition={"wavelength": "600.0"},
        mono_getGratingPosition={"position": "0"},
    )

    finish(device.set(600.0, 0), clock)


# The camera


SETTINGS = ExposureSettings(exposure_s=0.5, rows=(100, 20), gain=1, speed=2)


def region(counts, **form):
    return {"acqIndex": 1, "roi": [{"roiIndex": 1, **form}]}


def pairs(counts):
    return {"xyData": [[nm, count] for nm, count in zip(NM, counts, strict=False)]}


@pytest.fixture
def camera(server, clock):
    def make(*, config=None, **answers):
        table = {
            "ccd_getChipSize": {"x": "4", "y": "256"},
            "ccd_getAcquisitionBusy": {"isBusy": False},
            "ccd_getAcquisitionReady": {"ready": True},
            "ccd_setTimerResolution": {},
            "ccd_getTimerResolution": {"resolutionToken": 0},
            "ccd_setAcqFormat": {},
            "ccd_setRoi": {},
            "ccd_setExposureTime": {},
            "ccd_getExposureTime": {"time": 500},
            "ccd_setAcqCount": {},
            "ccd_getAcqCount": {"count": "1"},
            "ccd_setGain": {},
            "ccd_getGain": {"info": "Best Dynamic Range", "token": 1},
            "ccd_setSpeed": {},
            "ccd_getSpeed": {"info": " 1 MHz Ultra ", "token": 2},
            "mono_getPosition": {"wavelength": 885.0},
            "mono_getGratingPosition": {"position": 1},
            "ccd_setCenterWavelength": {},
            "ccd_setXAxisConversionType": {},
            "ccd_acquisitionStart": {},
            "ccd_acquisitionAbort": {},
            "ccd_restart": {},
            "ccd_getAcquisitionData": data([976, 975, 979, 976]),
        }
        client, link = server(**{**table, **answers})
        config = config or HoribaCameraConfig()
        return HoribaCamera("ccd", client, clock, config), link

    return make


def data(*frames):
    """Return an acquisition as the manual prints it."""
    return {
        "acquisition": [
            {"acqIndex": i, "roi": [{"roiIndex": 1, "xOrigin": 0, **pairs(counts)}]}
            for i, counts in enumerate(frames, 1)
        ]
    }


def expose(device, clock, settings=SETTINGS):
    device.arm(settings)
    finish(device.trigger(), clock, 0.05)
    return device.collect()


def test_a_spectrum_is_armed_triggered_and_collected(camera, clock):
    device, link = camera()
    clock.wait(10.0)

    (frame,) = expose(device, clock)

    assert frame.counts.tolist() == [976, 975, 979, 976]
    assert frame.counts.dtype == np.int32
    assert (frame.start_s, frame.exposure_s) == (10.0, 0.5)
    assert device.wavelengths_nm().tolist() == NM
    assert link.parameters("ccd_setRoi") == {
        "index": 0, "roiIndex": 1, "xOrigin": 0, "yOrigin": 100, "xSize": 4, "ySize": 20,
        "xBin": 1, "yBin": 20,
    }  # fmt: skip
    assert link.parameters("ccd_setAcqFormat") == {"index": 0, "format": 1, "numberOfRois": 1}
    assert link.parameters("ccd_setExposureTime") == {"index": 0, "time": 500}
    assert link.parameters("ccd_acquisitionStart") == {"index": 0, "openShutter": True}
    names = [name for name, _ in link.requests]
    assert names.index("ccd_setCenterWavelength") < names.index("ccd_setXAxisConversionType")
    assert names.index("ccd_setAcqFormat") < names.index("ccd_setRoi")  # which clears the regions


@pytest.mark.parametrize(
    "form",
    [
        {"xyData": [[nm, n] for nm, n in zip(NM, (-3, 0, 53562, 7), strict=True)]},
        {"xyData": [[str(nm), str(n)] for nm, n in zip(NM, (-3, 0, 53562, 7), strict=True)]},
        {"xData": NM, "yData": [-3, 0, 53562, 7]},
        {"xData": [NM], "yData": [[-3, 0, 53562, 7]]},
        {"xData": [NM], "yData": [[-3.0, 0.0, 53562.0, 7.0]]},
        {"xData": NM, "yData": ["-3", "0", "53562", "7"]},
    ],
)
def test_every_form_of_the_data_gives_the_same_counts(camera, clock, form):
    device, _ = camera(ccd_getAcquisitionData={"acquisition": [region(None, **form)]})

    (frame,) = expose(device, clock)

    assert frame.counts.tolist() == [-3, 0, 53562, 7]
    assert device.wavelengths_nm() == pytest.approx(NM)


def test_a_request_with_id_zero_is_never_made(camera, clock):
    device, link = camera()
    numbers = []
    send = link.send
    link.send = lambda message: (numbers.append(json.loads(message)["id"]), send(message))

    expose(device, clock)

    assert min(numbers) == 1
    assert len(set(numbers)) == len(numbers)


def test_frames_of_a_series_keep_their_order_and_their_times(camera, clock):
    frames = [[i, i, i, i] for i in range(5)]
    answer = data(*frames)
    answer["acquisition"].reverse()
    device, link = camera(ccd_getAcqCount={"count": 5}, ccd_getAcquisitionData=answer)

    found = expose(device, clock, ExposureSettings(0.5, 5, (100, 20), 1, 2))

    assert [frame.counts[0] for frame in found] == [0, 1, 2, 3, 4]
    assert [frame.start_s for frame in found] == pytest.approx([0.0, 0.6, 1.2, 1.8, 2.4])
    assert link.parameters("ccd_setAcqCount") == {"index": 0, "count": 5}


def test_an_image_keeps_its_rows(camera, clock):
    device, link = camera(
        ccd_getChipSize={"x": 4, "y": 2},
        ccd_getAcquisitionData={
            "acquisition": [region(None, xData=[NM, NM], yData=[[1, 2, 3, 4], [5, 6, 7, 8]])]
        },
    )

    (frame,) = expose(device, clock, ExposureSettings(0.5, rows=None, gain=1, speed=2))

    assert frame.counts.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert link.parameters("ccd_setRoi")["yBin"] == 1
    assert device.wavelengths_nm().tolist() == NM


def test_unsigned_16_bit_counts_are_exact(camera, clock):
    device, _ = camera(
        config=HoribaCameraConfig(unsigned_16_bit=True),
        ccd_getAcquisitionData=data([0, 65535, 1, 2]),
    )

    (frame,) = expose(device, clock)

    assert frame.counts.dtype == np.uint16
    assert frame.counts.tolist() == [0, 65535, 1, 2]


@pytest.mark.parametrize(
    ("counts", "unsigned"),
    [
        ([1, 2, 3, 4.5], False),
        ([1, 2, 3, 2**31], False),
        ([1, 2, 3, -1], True),
        ([1, 2, 3, 65536], True),
        ([1, 2, 3, None], False),
    ],
)
def test_counts_that_do_not_fit_are_refused_not_bent(camera, clock, counts, unsigned):
    device, _ = camera(
        config=HoribaCameraConfig(unsigned_16_bit=unsigned), ccd_getAcquisitionData=data(counts)
    )

    with pytest.raises(ReplyError, match="not the integers"):
        expose(device, clock)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (data([1, 2, 3]), "3 pixels instead of 1 x 4"),
        (data([1, 2, 3, 4], [1, 2, 3, 4]), "2 frames instead of 1"),
        ({"acquisition": []}, "0 frames instead of 1"),
    ],
)
def test_frames_of_another_shape_are_refused(camera, clock, answer, message):
    device, _ = camera(ccd_getAcquisitionData=answer)

    with pytest.raises(ReplyError, match=message):
        expose(device, clock)


def test_only_what_differs_is_sent_again(camera, clock):
    device, link = camera()
    device.arm(SETTINGS)
    link.requests.clear()

    device.arm(SETTINGS)
    assert link.requests == []
    device.arm(ExposureSettings(0.5, 1, (100, 20), 1, 2, open_shutter=False))
    assert link.requests == []
    link.answers["ccd_getExposureTime"] = {"time": 2000}
    device.arm(ExposureSettings(2.0, 1, (100, 20), 1, 2))

    assert [name for name, _ in link.requests] == ["ccd_setExposureTime", "ccd_getExposureTime"]


def test_a_dark_frame_keeps_the_camera_s_shutter_closed(camera, clock):
    device, link = camera()

    expose(device, clock, ExposureSettings(0.5, 1, (100, 20), 1, 2, open_shutter=False))

    assert link.parameters("ccd_acquisitionStart")["openShutter"] is False


def test_the_finer_timer_counts_microseconds(camera, clock):
    device, link = camera(
        config=HoribaCameraConfig(timer_resolution_us=1),
        ccd_getTimerResolution={"resolutionToken": 1},
        ccd_getExposureTime={"time": 1500},
    )

    device.arm(ExposureSettings(0.0015, 1, (100, 20), 1, 2))

    assert link.parameters("ccd_setTimerResolution") == {"index": 0, "resolutionToken": 1}
    assert link.parameters("ccd_setExposureTime") == {"index": 0, "time": 1500}


def test_a_timer_that_the_camera_does_not_have_is_noticed(camera):
    device, _ = camera(config=HoribaCameraConfig(timer_resolution_us=1))

    with pytest.raises(InstrumentError, match="TimerResolution reads back 0, not 1"):
        device.arm(SETTINGS)


def test_a_setting_that_reads_back_wrong_leaves_the_camera_unarmed(camera):
    device, _ = camera(ccd_getGain={"token": 0})

    with pytest.raises(InstrumentError, match="Gain reads back 0, not 1"):
        device.arm(SETTINGS)
    with pytest.raises(StateError, match="not armed"):
        device.trigger()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ExposureSettings(0.0, rows=(0, 1)), "exposure 0.0 s"),
        (ExposureSettings(0.0004, rows=(0, 1)), "at least 1000 us"),
        (ExposureSettings(nan, rows=(0, 1)), "exposure nan s"),
        (ExposureSettings(1.0, frames=0, rows=(0, 1)), "0 frames"),
        (ExposureSettings(1.0, rows=(250, 7)), "the chip has 256"),
        (ExposureSettings(1.0, rows=(-1, 2)), "the chip has 256"),
        (ExposureSettings(1.0, rows=(0, 0)), "the chip has 256"),
    ],
)
def test_what_the_camera_can_t_do_is_refused(camera, settings, message):
    with pytest.raises(LimitError, match=message):
        camera()[0].arm(settings)


def test_light_is_collected_until_exposures_and_readouts_between_them_are_over(camera, clock):
    device, _ = camera(ccd_getAcqCount={"count": 3})
    assert device.is_exposed()
    device.arm(ExposureSettings(0.5, 3, (100, 20), 1, 2))
    device.trigger()

    clock.wait(1.70)
    assert not device.is_exposed()
    clock.wait(0.006)  # 3 x 0.5 + 2 x 0.1 and the stated margin of 5 ms

    assert device.is_exposed()


def test_nothing_is_asked_before_the_foreseen_end(camera, clock):
    device, link = camera()
    device.arm(SETTINGS)
    status = device.trigger()
    link.requests.clear()

    clock.wait(0.59)
    assert not status.poll()
    assert link.requests == []
    clock.wait(0.02)
    assert status.poll()


def test_an_exposure_that_is_still_busy_is_waited_for_and_at_last_given_up(camera, clock):
    device, link = camera()
    device.arm(SETTINGS)
    status = device.trigger()
    link.answers["ccd_getAcquisitionBusy"] = {"isBusy": "true"}
    clock.wait(20.0)
    assert not status.poll()
    clock.wait(11.0)

    assert status.poll()
    with pytest.raises(LinkTimeout, match="no data"):
        status.check()


def test_a_start_whose_reply_is_lost_counts_if_the_camera_is_busy(camera, clock):
    device, link = camera(
        ccd_acquisitionStart=None,
        ccd_getAcquisitionBusy=[{"isBusy": b} for b in (False, True, False)],
    )

    expose(device, clock)

    assert link.count("ccd_acquisitionStart") == 1


def test_a_start_that_never_arrived_is_a_timeout(camera):
    device, _ = camera(ccd_acquisitionStart=None)
    device.arm(SETTINGS)

    with pytest.raises(LinkTimeout):
        device.trigger()


def test_a_second_exposure_must_wait_for_the_first(camera):
    device, _ = camera()
    device.arm(SETTINGS)
    device.trigger()

    with pytest.raises(StateError, match="an exposure is running"):
        device.trigger()
    with pytest.raises(StateError, match="an exposure is running"):
        device.arm(SETTINGS)
    with pytest.raises(StateError, match="not finished"):
        device.collect()


def test_an_abort_restarts_the_camera_and_everything_is_sent_again(camera, clock):
    device, link = camera()
    device.arm(SETTINGS)
    status = device.trigger()

    device.abort()

    assert status.poll()
    with pytest.raises(StateError, match="aborted"):
        status.check()
    assert device.is_exposed()
    assert (link.count("ccd_acquisitionAbort"), link.count("ccd_restart")) == (1, 1)
    expose(device, clock)
    assert link.count("ccd_setRoi") == 2
    assert link.count("ccd_setCenterWavelength") == 2


def test_a_place_that_was_read_lately_is_not_asked_for_again(camera, clock):
    device, link = camera()
    expose(device, clock)
    asked = link.count("mono_getPosition")

    mono = IclModule("mono", device._module.client, "mono", 0, "")
    clock.wait(5.0)
    mono.ask("getPosition")
    mono.ask("getGratingPosition")
    clock.wait(0.9)
    expose(device, clock)
    assert link.count("mono_getPosition") == asked + 1

    clock.wait(1.1)
    expose(device, clock)
    assert link.count("mono_getPosition") == asked + 2


def test_after_an_order_to_the_monochromator_its_place_is_asked_for_again(camera, clock):
    device, link = camera(mono_moveToPosition={})
    mono = IclModule("mono", device._module.client, "mono", 0, "")
    mono.ask("getPosition")
    mono.ask("getGratingPosition")
    mono.ask("moveToPosition", wavelength=700.0)
    link.answers["mono_getPosition"] = {"wavelength": 700.0}

    expose(device, clock)

    assert link.parameters("ccd_setCenterWavelength")["wavelength"] == 700.0


def test_an_abort_is_harmless_when_nothing_runs(camera):
    device, link = camera()

    device.abort()

    assert link.count("ccd_acquisitionAbort") == 0


def test_an_exposure_of_somebody_else_is_aborted_too(camera):
    device, link = camera(ccd_getAcquisitionBusy={"isBusy": True})

    device.abort()

    assert link.count("ccd_acquisitionAbort") == 1


def test_a_camera_that_restarts_is_waited_for(camera, clock):
    device, _ = camera(
        ccd_getAcquisitionBusy=["[E];-304;not initialized", {"isBusy": False}],
        ccd_getAcquisitionReady=[{"ready": r} for r in (False, False, True)],
    )

    device.arm(SETTINGS)

    assert clock.now() == pytest.approx(0.75)


def test_a_camera_that_never_gets_ready_is_given_up(camera):
    device, _ = camera(ccd_getAcquisitionReady={"ready": False})

    with pytest.raises(StateError, match="not ready after 15"):
        device.arm(SETTINGS)


def test_the_detector_s_temperature_is_absent_where_it_can_t_be_read(camera):
    device, link = camera(ccd_getChipTemperature={"temperature": -50.15999984741211})
    assert device.read()["detector_temperature_C"].value == pytest.approx(-50.16)

    link.answers["ccd_getChipTemperature"] = "[E];-309;acquiring"
    assert device.read() == {}
    link.answers["ccd_getChipTemperature"] = "[E];-316;command failed"
    with pytest.raises(IclError):
        device.read()


def test_before_the_first_frame_there_are_no_wavelengths(camera):
    with pytest.raises(StateError, match="first frame"):
        camera()[0].wavelengths_nm()


def test_a_million_pixels_are_parsed_in_less_than_a_second(camera, clock, caplog):
    frames, pixels = 1000, 1024
    counts = np.random.default_rng(1).integers(500, 1500, (frames, pixels))
    axis = json.dumps(np.linspace(600, 700, pixels).tolist())
    acquisitions = ",".join(
        f'{{"acqIndex":{i},"roi":[{{"xData":[{axis}],"yData":[{row.tolist()}]}}]}}'
        for i, row in enumerate(counts, 1)
    )
    device, link = camera(
        ccd_getChipSize={"x": pixels, "y": 256},
        ccd_getAcqCount={"count": frames},
        ccd_getAcquisitionData=None,
    )
    device.arm(ExposureSettings(0.5, frames, (100, 20), 1, 2))
    status = device.trigger()
    clock.wait(601.0)
    status.poll()
    number = link.requests and len(link.requests)
    link.frames.append(
        f'{{"id":{number},"command":"x","errors":[],"results":{{"acquisition":[{acquisitions}]}}}}'.encode()
    )

    begin = time.process_time()
    with caplog.at_level(logging.WARNING):
        finish(status, clock)
        found = device.collect()

    assert time.process_time() - begin < 1.0  # a tenth of a kinetic series
    assert np.array_equal([frame.counts for frame in found], counts)


# On the simulated server


class Bench:
    def __init__(self, **settings) -> None:
        self.clock = VirtualClock()
        self.setup = SimulatedSetup(
            Truth(), 1, settings=SimulatorSettings(icl=IclSettings(**settings))
        )
        opener = {"sim": lambda _, framing, __: self.setup.link("icl", self.clock, framing)}
        connections = Connections(self.clock, opener)
        self.mono = connections.connect("mono", "horiba.monochromator", "sim://icl")
        self.camera = connections.connect("ccd", "horiba.ccd", "sim://icl")

    def finish(self, status, step_s=0.002):
        while not status.poll():
            self.clock.wait(step_s)
        status.check()


@pytest.mark.parametrize("axis_and_counts", ["xData+yData", "xyData"])
@pytest.mark.parametrize("rows", [(100, 20), None])
def test_the_simulated_camera_delivers_what_it_counted(axis_and_counts, rows):
    bench = Bench(axis_and_counts=axis_and_counts)
    bench.finish(bench.mono.set(520.0, 0), 0.1)
    frames = 1 if rows is None else 2
    settings = ExposureSettings(0.2, frames, rows)
    bench.camera.arm(settings)

    bench.finish(bench.camera.trigger())
    found = bench.camera.collect()

    true = bench.setup.world.camera.frames()
    assert len(found) == frames
    for frame, (start_s, counts) in zip(found, true, strict=True):
        assert np.array_equal(frame.counts, counts)
        assert frame.start_s == pytest.approx(start_s, abs=1e-3)
    wavelengths_nm = bench.camera.wavelengths_nm()
    assert wavelengths_nm.shape == (bench.camera.pixels,)
    assert wavelengths_nm.min() < 520.0 < wavelengths_nm.max()


def test_the_simulated_monochromator_takes_its_time_with_the_turret():
    bench = Bench()

    bench.finish(bench.mono.set(600.0, 1), 0.1)

    assert bench.clock.now() > 18.0
    assert bench.mono.read()["wavelength_nm"].value == pytest.approx(600.0, abs=0.05)
    assert bench.setup.world.optics.grating == 1


def test_a_simulated_monochromator_after_power_up_wants_to_be_initialised():
    bench = Bench(mono_is_initialized=False)
    with pytest.raises(StateError, match="not initialised"):
        bench.mono.set(600.0, 0)

    bench.finish(bench.mono.initialise(), 0.1)
    bench.finish(bench.mono.set(600.0, 0), 0.1)


def test_the_simulated_camera_recovers_from_an_abort():
    bench = Bench(abort_needs_restart=True)
    settings = ExposureSettings(10.0, rows=(100, 20))
    bench.camera.arm(settings)
    bench.camera.trigger()
    bench.clock.wait(1.0)

    bench.camera.abort()
    bench.camera.arm(ExposureSettings(0.1, rows=(100, 20)))
    bench.finish(bench.camera.trigger())

    assert bench.camera.collect()[0].counts.shape == (bench.camera.pixels,)


def test_a_server_that_was_restarted_is_opened_again():
    bench = Bench()
    bench.camera.read()

    bench.setup.icl.power_cycle(bench.clock.now())

    assert bench.camera.read()["detector_temperature_C"].is_good
