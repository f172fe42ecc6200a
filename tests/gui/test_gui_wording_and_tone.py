"""Numbers and times in words, and the pitch that stands for a count rate."""

from math import inf, nan
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from PyQt6.QtCore import QByteArray, QObject
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.live import tone
from gui.live.tone import Tone, pitch_Hz, tick_ms
from gui.look.wording import ago, homely, plain_name, span, value_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (600, "10 min"),
        (3600, "1 h 0 min"),
        (90_061, "1 d 1 h"),
        (-3, "0 s"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_how_old_something_is() -> None:
    assert [ago(0.9), ago(5), ago(125)] == ["now", "5 s ago", "2 min 5 s ago"]


def test_a_missing_value_is_a_dash() -> None:
    assert [value_text(value, "K") for value in (None, nan, inf)] == ["–"] * 3
    assert value_text(0.0, "") == "0"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (4.2134567, "K", "4.213 K"),
        (5.5, "K", "5.500 K"),  # as many places as before and after: nothing jumps
        (42.9003, "V", "42.900 V"),
        (-9.2e-5, "V", "0.000 V"),
        (2.22045e-16, "um", "0.000 um"),
        (-70.0, "degC", "-70.0 degC"),
        (1.02086e-12, "A", "1.0 pA"),
        (-1.41408e-11, "A", "-14.1 pA"),
        (9.9999e-10, "A", "1.00 nA"),
        (6.3e-8, "A", "63.0 nA"),
        (1e-15, "A", "0.0 pA"),
        (2.5e-6, "W", "2.50 uW"),
        (1.2e-5, "mbar", "1.2e-05 mbar"),
        (1.0, "", "1"),
    ],
)
def test_a_value_has_the_digits_that_mean_something(value: float, unit: str, words: str) -> None:
    assert value_text(value, unit) == words


def test_a_channel_in_words_leaves_its_unit_to_the_value() -> None:
    names = ("detector_temperature_C", "field_kV_per_cm", "heater_percent", "grating")
    assert [plain_name(name) for name in names] == [
        "detector temperature",
        "field",
        "heater percent",
        "grating",
    ]


def test_the_pitch_rises_by_an_octave_for_each_factor_of_ten() -> None:
    octaves = [pitch_Hz(10.0 * 10**power) / pitch_Hz(10.0**power) for power in range(1, 6)]

    assert octaves == pytest.approx([2.0] * 5)
    assert pitch_Hz(10.0) == pitch_Hz(0.0) == pitch_Hz(nan) == pytest.approx(110.0)
    assert pitch_Hz(1e9) == pytest.approx(3520.0)


def test_more_light_ticks_faster() -> None:
    assert tick_ms(1e6) < tick_ms(1e4) < tick_ms(100.0) <= 1000


def test_the_tone_has_its_pitch_and_goes_on_without_a_click(qtbot: QtBot) -> None:
    parent = QObject()
    sound = Tone(parent)
    sound.follow(1e4)
    wave = np.concatenate([sound.samples(n) for n in (1000, 777, 20_273)]).astype(float)

    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size)))
    assert np.argmax(spectrum) * tone.SAMPLE_Hz / wave.size == pytest.approx(
        pitch_Hz(1e4), abs=tone.SAMPLE_Hz / wave.size
    )
    steepest = 0.5 * 32767 * 2 * np.pi * pitch_Hz(1e4) / tone.SAMPLE_Hz
    assert np.abs(np.diff(wave)).max() <= steepest + 1


def test_without_the_sound_library_the_system_beeps(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    beeps: list[int] = []
    monkeypatch.setattr(tone, "QAudioSink", None)
    monkeypatch.setattr(QApplication, "beep", lambda: beeps.append(1))
    parent = QObject()
    sound = Tone(parent)
    sound.follow(1e6)

    assert "beeps" in sound.how
    sound.switch(is_on=True)
    qtbot.waitUntil(lambda: len(beeps) > 1)
    sound.switch(is_on=False)
    assert not sound.is_on


class _MuteSink:
    """An output that the system won't open."""

    def __init__(self, *_: object) -> None:
        self.is_stopped = False

    def start(self) -> None:
        return None

    def error(self) -> SimpleNamespace:
        return SimpleNamespace(name="OpenError")

    def __getattr__(self, _name: str) -> object:
        return lambda *_: None


@pytest.mark.parametrize(
    ("is_null", "why"), [(True, "no audio output"), (False, "can't be opened (OpenError)")]
)
def test_an_output_that_fails_is_named_and_the_system_beeps(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, is_null: bool, why: str
) -> None:
    beeps: list[int] = []
    output = SimpleNamespace(isNull=lambda: is_null)
    devices = SimpleNamespace(defaultAudioOutput=lambda: output)
    monkeypatch.setattr(tone, "QAudioSink", _MuteSink)
    monkeypatch.setattr(tone, "QMediaDevices", devices, raising=False)
    monkeypatch.setattr(tone, "QAudioFormat", MagicMock(), raising=False)
    monkeypatch.setattr(QApplication, "beep", lambda: beeps.append(1))
    parent = QObject()
    sound = Tone(parent)
    sound.follow(1e6)

    sound.switch(is_on=True)

    assert why in sound.how
    qtbot.waitUntil(lambda: len(beeps) > 1)
    sound.switch(is_on=False)


class _Speaker:
    """An output that keeps what it is given; it has room for some samples at a time."""

    ROOM = 1764  # samples, as much as two feeds

    def __init__(self, *_: object) -> None:
        self.heard: list[bytes] = []
        speakers.append(self)

    def start(self) -> "_Speaker":
        return self

    def bytesFree(self) -> int:
        return 2 * self.ROOM

    def write(self, samples: QByteArray) -> None:
        self.heard.append(bytes(samples.data()))

    @property
    def wave(self) -> "np.ndarray":
        return np.frombuffer(b"".join(self.heard), np.int16).astype(float)

    def __getattr__(self, _name: str) -> object:
        return lambda *_: None


speakers: list[_Speaker] = []


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> list[_Speaker]:
    """A computer with a loudspeaker; the outputs that were opened."""
    speakers.clear()
    output = SimpleNamespace(isNull=lambda: False)
    devices = SimpleNamespace(defaultAudioOutput=lambda: output)
    monkeypatch.setattr(tone, "QAudioSink", _Speaker)
    monkeypatch.setattr(tone, "QMediaDevices", devices, raising=False)
    monkeypatch.setattr(tone, "QAudioFormat", MagicMock(), raising=False)
    return speakers


def _rising_zeros_per_s(wave: "np.ndarray") -> float:
    """Count how often the wave comes up through zero: its frequency in Hz."""
    at = np.flatnonzero((wave[:-1] < 0) & (wave[1:] >= 0))
    between = wave[at] / (wave[at] - wave[at + 1])
    places = at + between
    return float((places.size - 1) / (places[-1] - places[0]) * tone.SAMPLE_Hz)


@pytest.mark.parametrize(
    ("rate_per_s", "frequency_Hz"),  # 110 Hz at 10 counts/s, an octave for each factor of ten
    [(0.0, 110.0), (10.0, 110.0), (100.0, 220.0), (3162.28, 622.25), (1e6, 3520.0), (nan, 110.0)],
)
def test_what_is_put_out_has_the_frequency_of_the_count_rate(
    qtbot: QtBot, speaker: list[_Speaker], rate_per_s: float, frequency_Hz: float
) -> None:
    parent = QObject()
    sound = Tone(parent)
    sound.follow(rate_per_s)

    sound.switch(is_on=True)
    qtbot.waitUntil(lambda: len(speaker[0].heard) >= 4)
    sound.switch(is_on=False)

    assert not sound.why_beeps
    assert _rising_zeros_per_s(speaker[0].wave) == pytest.approx(frequency_Hz, rel=2e-3)
    assert np.abs(speaker[0].wave).max() == pytest.approx(0.5 * 32767, rel=0.02)


def test_more_light_raises_the_tone_without_a_click_and_off_is_silent(
    qtbot: QtBot, speaker: list[_Speaker]
) -> None:
    parent = QObject()
    sound = Tone(parent)
    sound.follow(100.0)
    sound.switch(is_on=True)
    qtbot.waitUntil(lambda: len(speaker[0].heard) >= 3)
    before = len(speaker[0].heard)
    sound.follow(1e4)
    qtbot.waitUntil(lambda: len(speaker[0].heard) >= before + 3)
    sound.switch(is_on=False)
    count = len(speaker[0].heard)
    qtbot.wait(3 * tone.FEED_ms)

    wave, step = speaker[0].wave, before * _Speaker.ROOM
    assert _rising_zeros_per_s(wave[:step]) == pytest.approx(220.0, rel=2e-3)
    assert _rising_zeros_per_s(wave[step:]) == pytest.approx(880.0, rel=2e-3)
    steepest = 0.5 * 32767 * 2 * np.pi * 880.0 / tone.SAMPLE_Hz
    assert np.abs(np.diff(wave)).max() <= steepest + 1  # no jump where the pitch changes
    assert len(speaker[0].heard) == count


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/lena")
    assert homely("final file: /home/lena/runs/a.nxs") == "final file: ~/runs/a.nxs"
    monkeypatch.setenv("HOME", "/")
    assert homely("/runs/a.nxs") == "/runs/a.nxs"
