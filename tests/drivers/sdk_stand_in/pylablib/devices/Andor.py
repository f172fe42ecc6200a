"""Stands in for pylablib's Andor cameras, after the documentation of pylablib and of the SDK2.

SIM_HANG names a method that never returns, SIM_FAIL one that raises, SIM_DIE one that ends the
process; CAMERA_LOG a file to which every call is appended.
"""

import os
import time
from collections import namedtuple

import numpy as np

WIDTH, HEIGHT = 1024, 256
TDeviceInfo = namedtuple("TDeviceInfo", ["controller_model", "head_model", "serial_number"])


def _note(name, *values):
    with open(os.environ["CAMERA_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{name} {values}\n")
    print("an SDK that prints", flush=True)
    if os.environ.get("SIM_FAIL") == name:
        raise RuntimeError("DRV_ERROR_ACK")
    if os.environ.get("SIM_DIE") == name:
        os._exit(3)
    if os.environ.get("SIM_HANG") == name:
        time.sleep(600)


class AndorSDK2Camera:
    def __init__(self, idx=0, ini_path="", temperature=None, fan_mode="off", amp_mode=None):
        _note("open", idx, temperature)
        self._temperature = temperature
        self._roi = (0, WIDTH, 0, HEIGHT, 1, 1)
        self._exposure_s = 0.0
        self._frames = 1
        self._started_s = None

    def get_device_info(self):
        return TDeviceInfo("USB", "DU420A-BEX2-DD", 17312)

    def get_detector_size(self):
        return WIDTH, HEIGHT

    def get_temperature(self):
        _note("get_temperature")
        return self._temperature + 0.4

    def set_roi(self, hstart=0, hend=None, vstart=0, vend=None, hbin=1, vbin=1):
        self._roi = (hstart, hend, vstart, vend, hbin, vbin)

    def get_roi(self):
        return self._roi

    def set_exposure(self, exposure):
        _note("set_exposure", exposure)
        self._exposure_s = min(exposure, 1000.0)  # the SDK takes the nearest that it can

    def get_exposure(self):
        return self._exposure_s

    def set_amp_mode(self, channel=None, oamp=None, hsspeed=None, preamp=None):
        _note("set_amp_mode", hsspeed, preamp)

    def setup_shutter(self, mode, ttl_mode=None, open_time=None, close_time=None):
        _note("setup_shutter", mode)

    def setup_kinetic_mode(
        self, num_cycle, cycle_time=0.0, num_acc=1, cycle_time_acc=0, num_prescan=0
    ):
        self._frames = num_cycle

    def start_acquisition(self, *args, **kwargs):
        _note("start_acquisition", *args)
        self._started_s = time.monotonic()

    def acquisition_in_progress(self):
        _note("acquisition_in_progress")
        return time.monotonic() < self._started_s + self._frames * self._exposure_s

    def read_multiple_images(self, rng=None, peek=False):
        _, _, first, end, _, binned = self._roi
        rows = (end - first) // binned
        frames = np.arange(self._frames * rows * WIDTH).reshape(self._frames, rows, WIDTH) % 60000
        return list(
            frames.astype(np.uint16 if self._frames < 9 else np.float64) + 0.5 * (self._frames == 9)
        )

    def stop_acquisition(self):
        _note("stop_acquisition")

    def close(self):
        _note("close")
