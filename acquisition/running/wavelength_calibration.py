"""The wavelength axis that belongs to each setting of the spectrograph."""

import numpy as np

from acquisition.instruments.grating_axis import GratingAxis
from acquisition.planning.point_table import Point
from acquisition.storage.journal import Journal
from acquisition.storage.journal_rows import Calibration
from acquisition.storage.run_time import RunTime
from analysis.wavelength.units import vacuum_from_air_nm
from drivers.roles import Camera

__all__ = ["WavelengthCalibrations"]


class WavelengthCalibrations:
    """Finds the axis once per setting and segment, and stores it, always in vacuum.

    delivered_in: "air" or "vacuum", what the instrument's own calibration means.
    computed: gives the axis instead, where the camera can't know it.
    """

    def __init__(
        self,
        journal: Journal,
        camera: Camera,
        run_time: RunTime,
        *,
        delivered_in: str,
        computed: GratingAxis | None = None,
    ) -> None:
        self._journal = journal
        self._camera = camera
        self._run_time = run_time
        self._delivered_in = delivered_in
        self._computed = computed
        self._stored: dict[tuple[int, float], int] = {}

    def of(self, point: Point) -> int:
        """Return the journal's id of the axis in force; call with the spectrograph at rest."""
        setting = (point.grating, point.centre_nm)
        if setting not in self._stored:
            self._stored[setting] = self._store(point)
        return self._stored[setting]

    def _store(self, point: Point) -> int:
        computed = self._computed
        axis_nm = self._camera.wavelengths_nm() if computed is None else computed(point)
        delivered_nm = np.asarray(axis_nm, dtype=np.float64)
        in_air = self._delivered_in == "air"
        vacuum_nm = np.asarray(vacuum_from_air_nm(delivered_nm) if in_air else delivered_nm)
        details: dict[str, object] = {
            "medium": "vacuum",
            "delivered_in": self._delivered_in,
            "grating": point.grating,
            "centre_nm": point.centre_nm,
            "source": self._camera.name if computed is None else "grating equation",
        }
        return self._journal.calibrate(
            Calibration("wavelength", self._run_time.now(), vacuum_nm, details)
        )
