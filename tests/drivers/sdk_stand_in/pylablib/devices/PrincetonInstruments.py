"""Stands in for pylablib's PICam cameras, after the documentation of pylablib and of PICam."""

from collections import namedtuple

from pylablib.devices import Andor

TCameraInfo = namedtuple("TCameraInfo", ["name", "serial_number", "model", "interface"])
Attribute = namedtuple("Attribute", ["values"])


def list_cameras():
    return [TCameraInfo("PIXIS", "2105050004", "PIXIS: 100B eXcelon", "USB2")]


class PicamCamera(Andor.AndorSDK2Camera):
    def __init__(self, serial_number=None):
        super().__init__(idx=serial_number)
        self._attributes = {"Sensor Temperature Reading": -69.5}

    def get_device_info(self):
        return list_cameras()[0]

    def get_attribute(self, name):
        return Attribute({"ADC Analog Gain": (1, 2, 3), "ADC Speed": (0.1, 2.0)}[name])

    def set_attribute_value(self, name, value):
        Andor._note(f"set {name}", value)
        self._attributes[name] = value

    def get_attribute_value(self, name):
        return self._attributes[name]

    def start_acquisition(self, mode="sequence", nframes=100):
        super().start_acquisition(mode)
        self._frames = nframes
