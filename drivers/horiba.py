"""HORIBA monochromator and CCD through the vendor's ICL server."""

from dataclasses import dataclass

__all__ = ["HoribaCameraConfig", "HoribaMonochromatorConfig"]


@dataclass(frozen=True, slots=True)
class HoribaMonochromatorConfig:
    """What the station says about the spectrograph."""

    serial: str = ""
    timeout_s: float = 0.5
    index: int = 0  # among the monochromators that ICL lists
    min_wavelength_nm: float = 0.0
    max_wavelength_nm: float = 1500.0
    gratings: tuple[int, ...] = (0, 1, 2)  # positions of the turret that hold one
    tolerance_nm: float = 0.05
    move_timeout_s: float = 180.0


@dataclass(frozen=True, slots=True)
class HoribaCameraConfig:
    """What the station says about the CCD."""

    serial: str = ""
    timeout_s: float = 0.5
    index: int = 0  # among the cameras that ICL lists
    monochromator_index: int = 0  # whose wavelength calibrates the pixels
    timer_resolution_us: int = 1000  # 1000, or 1 where the camera can
    frame_readout_s: float = 0.1  # from the end of one exposure to the start of the next
    exposed_margin_s: float = 0.01  # before is_exposed believes that no more light is collected
    readout_timeout_s: float = 30.0  # beyond exposures and readouts
    unsigned_16_bit: bool = False  # counts as uint16 instead of int32
    restart_after_abort: bool = True  # as the manual recommends
