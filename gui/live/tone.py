"""A tone whose pitch follows the count rate, so that the hands can stay on the screws.

Where Qt's sound is not available the system's beep ticks instead: the faster, the more light.
"""

from math import isfinite, log2, pi
from typing import Any

import numpy as np
from PyQt6.QtCore import QByteArray, QObject, QTimer
from PyQt6.QtWidgets import QApplication

try:
    from PyQt6.QtMultimedia import QAudioFormat, QAudioSink, QMediaDevices
except ImportError:  # its system libraries are not there
    QAudioSink = None  # type: ignore[assignment, misc]

__all__ = ["Tone", "pitch_Hz", "tick_ms"]

LOWEST_Hz, HIGHEST_Hz = 110.0, 3520.0  # five octaves: from 10 to 10^6 counts per second
LEAST_RATE, MOST_RATE = 10.0, 1e6
SAMPLE_Hz = 22_050
FEED_ms = 40
VOLUME = 0.2


def pitch_Hz(rate_per_s: float) -> float:
    """Return the pitch: logarithmic, since the ear is."""
    if not isfinite(rate_per_s) or rate_per_s <= LEAST_RATE:
        return LOWEST_Hz
    share = log2(min(rate_per_s, MOST_RATE) / LEAST_RATE) / log2(MOST_RATE / LEAST_RATE)
    return float(LOWEST_Hz * (HIGHEST_Hz / LOWEST_Hz) ** share)


def tick_ms(rate_per_s: float) -> int:
    """Return the time between two beeps."""
    return int(1000 * (LOWEST_Hz / pitch_Hz(rate_per_s)) ** 0.6)


class Tone(QObject):
    """Silent until it is switched on."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._rate_per_s = 0.0
        self._phase = 0.0
        self._trouble = ""  # of the output, when it was opened last
        self._sink: Any = None
        self._pipe: Any = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._feed)

    @property
    def why_beeps(self) -> str:
        """Return why there is no tone; "" if there is one."""
        if QAudioSink is None:
            return "Qt's sound can't be loaded (on Debian it needs libpulse0)"
        if QMediaDevices.defaultAudioOutput().isNull():
            return "this computer has no audio output"
        return self._trouble

    @property
    def how(self) -> str:
        """Return in words what is heard."""
        if why := self.why_beeps:
            return f"beeps of the system, the faster the more light: {why}"
        return "a tone that rises by an octave for each factor of ten"

    @property
    def is_on(self) -> bool:
        return self._timer.isActive()

    def follow(self, rate_per_s: float) -> None:
        """Let the pitch be that of this rate."""
        self._rate_per_s = rate_per_s

    def switch(self, *, is_on: bool) -> None:
        """Begin or end."""
        if not is_on:
            self._timer.stop()
            if self._sink is not None:
                self._sink.stop()
            self._sink = self._pipe = None
            return
        self._trouble = ""
        if not self.why_beeps:
            self._open()
        self._timer.start(tick_ms(self._rate_per_s) if self._pipe is None else FEED_ms)

    def _open(self) -> None:
        form = QAudioFormat()
        form.setSampleRate(SAMPLE_Hz)
        form.setChannelCount(1)
        form.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        self._sink = QAudioSink(form, self)
        self._sink.setVolume(VOLUME)
        self._sink.setBufferSize(4 * SAMPLE_Hz * FEED_ms // 1000)
        self._pipe = self._sink.start()
        if self._pipe is None:
            self._trouble = f"the audio output can't be opened ({self._sink.error().name})"
            self._sink = None

    def _feed(self) -> None:
        if self._sink is None:
            QApplication.beep()
            self._timer.setInterval(tick_ms(self._rate_per_s))
            return
        count = self._sink.bytesFree() // 2
        self._pipe.write(QByteArray(self.samples(count).tobytes()))

    def samples(self, count: int) -> "np.ndarray[Any, np.dtype[np.int16]]":
        """Return the next samples of the tone; the phase goes on where it was."""
        step = 2 * pi * pitch_Hz(self._rate_per_s) / SAMPLE_Hz
        phases = self._phase + step * np.arange(1, count + 1)
        if count:
            self._phase = float(phases[-1] % (2 * pi))
        return np.asarray(0.5 * 32767 * np.sin(phases), dtype=np.int16)
