"""Cameras behind an SDK: exposures while their process dies, hangs, errs and talks nonsense.

What counts as good is compared with what the stand-in is known to expose: frames that count up
from 0, and the temperature of its detector.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from drivers.addresses import open_link
from drivers.clock import RealClock, VirtualClock
from drivers.errors import DeviceError, LinkClosed
from drivers.registry import model
from drivers.roles import ExposureSettings
from drivers.sdk_camera import SdkCameraConfig

STAND_IN = Path(__file__).parent / "sdk_stand_in"
ROOT = Path(__file__).parents[2]
MAKES = {"andor.sdk2": "process://andor", "princeton.picam": "process://picam"}
DETECTOR_C = {"andor.sdk2": -69.6, "princeton.picam": -69.5}  # of the stand-ins
CONFIG = SdkCameraConfig(command_timeout_s=0.5, open_timeout_s=5.0, timeout_s=0.1)
RUNS = int(os.environ.get("CONFORMANCE_RUNS", "1000"))
STRINGS = int(os.environ.get("CONFORMANCE_STRINGS", "100000"))
SERIES = (ExposureSettings(0.002, frames=2, rows=(4, 8)), ExposureSettings(0.001, rows=(2, 3)))
FAULTS = ("lost request", "lost reply", "late", "duplicated", "refused", "cut", "nonsense", "dead")


@pytest.fixture(autouse=True)
def _stand_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(STAND_IN), str(ROOT))))
    monkeypatch.setenv("CAMERA_LOG", str(tmp_path / "calls.txt"))


class FaultyLink:
    """A link to the process on which something goes wrong now and then."""

    def __init__(self, link, chance: random.Random, probability: float) -> None:
        self.fired: Counter[str] = Counter()
        self._link, self._chance, self._probability = link, chance, probability
        self._waiting: list[bytes] = []
        self._held: list[bytes] = []
        self._fault = ""

    def send(self, message: bytes) -> None:
        struck = self._chance.random() < self._probability
        self._fault = self._chance.choice(FAULTS) if struck else ""
        self.fired[self._fault] += 1
        self._waiting += self._held  # what was late comes before the next answer
        self._held.clear()
        if self._fault == "dead":
            self._link.reset()
            raise LinkClosed("process", "the process is gone")
        if self._fault != "lost request":
            self._link.send(message)

    def poll(self, timeout_s: float) -> bytes | None:
        if self._waiting:
            return self._waiting.pop(0)
        reply = self._link.poll(timeout_s)
        if reply is None:
            return None
        fault, self._fault = self._fault, ""
        if fault == "late":
            self._held.append(reply)
        if fault == "duplicated":
            self._waiting.append(reply)
        return None if fault in ("lost reply", "late") else damaged(reply, fault)

    def reset(self) -> None:
        self._waiting.clear()
        self._held.clear()
        self._link.reset()

    def close(self) -> None:
        self._link.close()


def damaged(reply: bytes, fault: str) -> bytes:
    header, _, content = reply.partition(b"\n")
    match fault:
        case "refused":
            return json.dumps({**json.loads(header), "error": "DRV_ERROR_ACK"}).encode() + b"\n"
        case "cut":
            return header + b"\n" + content[: len(content) // 2]
        case "nonsense":
            return header[: len(header) // 2]
        case _:
            return reply


def expose(name: str, camera, clock) -> int:
    """Take two series and a temperature; return how many values were compared."""
    good = 0
    for settings in SERIES:
        camera.arm(settings)
        status = camera.trigger()
        while not status.poll():
            clock.wait(0.002)
        status.check()
        frames = camera.collect()
        true = np.arange(settings.frames * camera.pixels).reshape(settings.frames, -1) % 60000
        assert [frame.exposure_s for frame in frames] == [settings.exposure_s] * settings.frames
        assert np.array_equal([frame.counts for frame in frames], true)
        good += len(frames)
    reading = camera.read()["detector_temperature_C"]
    assert reading.value == pytest.approx(DETECTOR_C[name])
    return good + 1


@contextmanager
def counting(told: Counter[str]) -> Iterator[None]:
    """Count what fails with an error of ours that names the camera; anything else is raised."""
    try:
        yield
    except DeviceError as error:
        if error.device != "camera":
            raise AssertionError(f"{error!r} names another device") from error
        told["refused"] += 1


def run_under_faults(name: str, runs: int, seed: int, probability: float) -> Counter[str]:
    """Expose again and again with one process; what is wrong raises, what fails is counted."""
    kind, clock, told = model(name), RealClock(), Counter[str]()
    chance = random.Random(f"{name} {seed}")  # noqa: S311 - repeatable, not secret
    link = FaultyLink(open_link(MAKES[name], kind.framing), chance, probability)
    try:
        for _ in range(runs):
            client = kind.line("camera", link, clock, CONFIG)
            camera = kind.driver("camera", client, clock, CONFIG)
            with counting(told):
                told["good values"] += expose(name, camera, clock)
                told["completed"] += 1
    finally:
        link.close()
    told["faults"] = sum(number for fault, number in link.fired.items() if fault)
    return told


@pytest.mark.parametrize("name", MAKES)
def test_no_wrong_frame_is_returned_as_good(name, commit_seed):
    told = run_under_faults(name, 12, commit_seed, 0.06)

    assert told["completed"]
    assert told["faults"]


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MAKES)
def test_campaign_of_exposures_under_faults(name, commit_seed):
    told = run_under_faults(name, RUNS, commit_seed, 0.01)
    print(f"{name}: {dict(told)}")

    assert told["good values"] > told["faults"] > 0


# -- nonsense for answers ------------------------------------------------------------------------

ANSWERS = {
    "open": {"manufacturer": "Andor", "model": "DU420A", "serial": "17", "pixels": 8, "rows": 4},
    "arm": {"exposure_s": 0.001, "roi": [0, 8, 0, 4, 1, 1]},
    "start": None,
    "is_acquiring": False,
    "temperature": -69.6,
    "abort": None,
    "frames": {"shape": [1, 4, 8]},
}


class Babbler:
    """A process that answers at once, but now and then with something else."""

    def __init__(self, chance: random.Random) -> None:
        self.said = 0
        self._chance = chance
        self._reply: bytes | None = None

    def send(self, message: bytes) -> None:
        request = json.loads(message)
        answer = {"id": request["id"], "result": ANSWERS[request["command"]], "bytes": 0}
        content = bytes(4 * 32) if request["command"] == "frames" else b""
        self._reply = json.dumps(answer).encode() + b"\n" + content
        if self._chance.random() < 0.5:
            self.said += 1
            self._reply = self._spoilt(answer, content)

    def poll(self, timeout_s: float) -> bytes | None:
        reply, self._reply = self._reply, None
        return reply

    def reset(self) -> None:
        self._reply = None

    close = reset

    def _spoilt(self, answer: dict, content: bytes) -> bytes:
        chance = self._chance
        if chance.random() < 0.5:  # still JSON, with another value
            odd = (None, [], {}, "x", 1e400, -1, [3], {"shape": "x"}, {"shape": [1, 1 << 70]}, "")
            answer[chance.choice(("result", "result", "id", "error"))] = chance.choice(odd)
            return json.dumps(answer).encode() + b"\n" + content[: chance.randint(0, len(content))]
        changed = bytearray(json.dumps(answer).encode() + b"\n" + content)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)


def babble(strings: int, seed: int) -> int:
    """Use a camera whose process babbles; return how many odd replies it gave."""
    kind, clock = model("andor.sdk2"), VirtualClock()
    link = Babbler(random.Random(f"babble {seed}"))  # noqa: S311 - repeatable, not secret
    client = kind.line("camera", link, clock, CONFIG)
    camera = kind.driver("camera", client, clock, CONFIG)
    settings, told = ExposureSettings(0.001), Counter[str]()
    while link.said < strings:
        for ask in (camera.identify, lambda: camera.arm(settings), camera.read, camera.abort):
            with counting(told):
                ask()
                status = camera.trigger()
                while not status.poll():
                    clock.wait(0.05)
                status.check()
                assert camera.collect()[0].counts.shape == (4, 8)
        if link.said % 7 == 0:
            client.identity = {}
    return link.said


def test_no_nonsense_of_the_process_is_more_than_our_error(commit_seed):
    assert babble(3000, commit_seed) >= 3000


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_campaign_of_nonsense(commit_seed):
    assert babble(STRINGS, commit_seed) >= STRINGS
