"""What energies fall on the detector at a setting of the spectrograph, before anything is moved."""

from dataclasses import dataclass

from acquisition.configuration.station_file import StationConfig
from analysis.wavelength.axis import grating_wavelength_nm
from analysis.wavelength.units import energy_from_wavelength_eV, vacuum_from_air_nm

__all__ = ["DetectorRange", "detector_range"]

# Where the station file does not say how long the spectrograph is: the shortest that is used for
# single nanocrystals, and the largest pixels, so that nothing is refused that could be measured.
_SHORTEST_FOCUS_MM = 150.0
_LARGEST_PIXEL_UM = 30.0
_USUAL_HALF_ANGLE_DEG = 10.0


@dataclass(frozen=True, slots=True)
class DetectorRange:
    """Energies from edge to edge; is_exact: from the geometry, else the most that it can be."""

    low_eV: float
    high_eV: float
    is_exact: bool

    def overlaps(self, low_eV: float, high_eV: float) -> bool:
        return low_eV < self.high_eV and high_eV > self.low_eV

    def __str__(self) -> str:
        most = "" if self.is_exact else " at most"
        return f"{self.low_eV:.4g} to {self.high_eV:.4g} eV{most}"


def detector_range(
    station: StationConfig, *, grating: int, centre_nm: float
) -> DetectorRange | None:
    """Return the range, or None without a spectrograph, with a mirror, or with no such grating."""
    spectrograph = station.spectrograph
    if spectrograph is None:
        return None
    grooves = {one.number: one.grooves_per_mm for one in spectrograph.grating}.get(grating, 0)
    if not grooves:
        return None
    geometry, pixels = spectrograph.geometry, station.camera.pixels
    middle = (pixels - 1) / 2.0
    try:
        ends_nm = grating_wavelength_nm(
            [-0.5, pixels - 0.5],
            centre_nm=centre_nm,
            grooves_per_mm=grooves,
            focal_length_mm=geometry.focal_length_um * 1e-3 if geometry else _SHORTEST_FOCUS_MM,
            pixel_um=geometry.pixel_um if geometry else _LARGEST_PIXEL_UM,
            centre_pixel=middle
            if geometry is None or geometry.centre_pixel is None
            else geometry.centre_pixel,
            half_included_angle_deg=geometry.half_included_angle_deg
            if geometry
            else _USUAL_HALF_ANGLE_DEG,
            detector_tilt_deg=geometry.detector_tilt_deg if geometry else 0.0,
        )
    except ValueError:
        return None  # a wavelength that the grating cannot reach is another mistake
    short_nm, long_nm = sorted(max(float(end), 100.0) for end in ends_nm)
    vacuum_nm = [short_nm, long_nm]
    if spectrograph.wavelengths == "air":
        vacuum_nm = vacuum_from_air_nm(vacuum_nm).tolist()
    high, low = energy_from_wavelength_eV(vacuum_nm).tolist()
    return DetectorRange(low, high, is_exact=geometry is not None)
