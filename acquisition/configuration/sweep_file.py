"""The sweep file: one experiment on one nanocrystal, from sample card to what happens at the end.

Exposure, spectrograph and fit may be tables over temperature: their rows hold up to and including
`up_to`, the last row has none.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from acquisition.configuration.axis_config import AxisConfig, AxisQuantity
from acquisition.configuration.config_model import ConfigModel, LocalPath, OneOrMore, Zone
from acquisition.configuration.quantity import NotNegative, Positive, Quantity
from acquisition.configuration.refusal import refusal

__all__ = [
    "BackgroundConfig",
    "EndConfig",
    "ExposureZone",
    "FitConfig",
    "FitZone",
    "LimitsConfig",
    "NanocrystalConfig",
    "OpticsConfig",
    "SampleConfig",
    "SpectrographZone",
    "SweepConfig",
    "SweepHead",
]

Name = Annotated[str, Field(min_length=1, max_length=100)]


class SweepHead(ConfigModel):
    """seed: of random orders. station: the station file, unless the command names another."""

    name: Name
    user: Name
    seed: int = Field(0, ge=0)
    station: LocalPath | None = None
    note: str = ""


class SampleConfig(ConfigModel):
    """The sample card.

    position_um: place of the nanocrystal between coplanar electrodes, 0 in mid-gap.
    edge_radius_um: of coplanar electrodes, half their thickness; the field is highest there.
    max_field_kV_per_cm: what the sample bears anywhere; gas: what surrounds the electrodes.
    """

    name: Name
    material: Name
    electrodes: Literal["none", "parallel plate", "coplanar"] = "none"
    gap_um: Positive | None = None
    position_um: Quantity = 0.0
    edge_radius_um: Positive | None = None
    max_field_kV_per_cm: Positive | None = None
    gas: Literal["vacuum", "helium", "unknown"] = "unknown"
    substrate: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _electrodes_are_complete(self) -> "SampleConfig":
        if self.electrodes != "none" and (self.gap_um is None or self.max_field_kV_per_cm is None):
            raise refusal("gap and max_field with every electrodes but none", self.electrodes)
        if self.electrodes == "coplanar":
            self._lies_between_coplanar_edges(self.gap_um or 0.0)
        return self

    def _lies_between_coplanar_edges(self, gap_um: float) -> None:
        if self.edge_radius_um is None or not self.edge_radius_um < gap_um / 2:
            found = "none" if self.edge_radius_um is None else f"{self.edge_radius_um:g} um"
            raise refusal(f"edge_radius with coplanar electrodes, below {gap_um / 2:g} um", found)
        reach_um = gap_um / 2 - self.edge_radius_um
        if not abs(self.position_um) <= reach_um:
            raise refusal(
                f"position within +-{reach_um:g} um of mid-gap", f"{self.position_um:g} um"
            )


class NanocrystalConfig(ConfigModel):
    """The emitter and where it is found again."""

    id: Name
    x_um: Quantity | None = None
    y_um: Quantity | None = None
    z_um: Quantity | None = None


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class SpectrographZone(Zone):
    """lamp: spectrum of the calibration lamp measured so, which gives the instrument profile to the
    fits; lamp_lines: lists of its lines."""

    grating: int = Field(ge=0)
    centre_nm: Positive
    lamp: LocalPath | None = None
    lamp_lines: Annotated[tuple[LocalPath, ...], BeforeValidator(_several)] = ()

    @model_validator(mode="after")
    def _lamp_and_its_lines(self) -> "SpectrographZone":
        if (self.lamp is None) != (not self.lamp_lines):
            found = "lamp_lines alone" if self.lamp is None else "lamp alone"
            raise refusal("a lamp's spectrum (lamp) together with its lines (lamp_lines)", found)
        return self


class OpticsConfig(ConfigModel):
    laser_wavelength_nm: Positive
    laser_power_W: NotNegative
    filters: tuple[str, ...] = ()
    slit_um: Positive
    objective: Name
    numerical_aperture: float = Field(gt=0, le=1.7)
    spectrograph: OneOrMore[SpectrographZone]


class ExposureZone(Zone):
    """A fixed time, or the time that brings the brightest pixel to target_counts.

    target_counts: above the offset. cap_s and least_s: bounds of the chosen time.
    """

    time_s: Positive | None = None
    target_counts: float | None = Field(None, gt=0)
    cap_s: Positive | None = None
    least_s: Positive = 0.01
    frames: int = Field(1, ge=1, le=10_000)

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> "ExposureZone":
        targeted = self.target_counts is not None and self.cap_s is not None
        fixed = self.target_counts is None and self.cap_s is None
        if not (fixed if self.time_s is not None else targeted):
            given = (
                ("time", self.time_s),
                ("target_counts", self.target_counts),
                ("cap", self.cap_s),
            )
            found = " and ".join(name for name, value in given if value is not None) or "nothing"
            raise refusal("either time, or target_counts with cap", found)
        if self.cap_s is not None and self.least_s > self.cap_s:
            raise refusal(f"least not above cap, {self.cap_s:g} s", f"{self.least_s:g} s")
        return self

    @property
    def longest_s(self) -> float:
        """The longest time that one frame may take."""
        longest = self.cap_s if self.time_s is None else self.time_s
        assert longest is not None  # noqa: S101 - validated above
        return longest

    @property
    def possible_s(self) -> tuple[float, ...]:
        """The exposure, or the shortest and the longest where it is chosen later."""
        return (self.longest_s,) if self.time_s is not None else (self.least_s, self.longest_s)


class BackgroundConfig(ConfigModel):
    """Detector-dark and laser-blocked rows, matched in exposure, ROI, gain, speed and optics.

    every_temperatures: again after so many temperatures; 0: never. on_change: whenever exposure
    or spectrograph become what they have not been since the last background.
    """

    kinds: tuple[Literal["dark", "blocked"], ...] = ("dark", "blocked")
    at_start: bool = True
    every_temperatures: int = Field(0, ge=0)
    on_change: bool = True
    frames: int = Field(3, ge=1, le=10_000)

    @field_validator("kinds")
    @classmethod
    def _once_each(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(kinds)) != len(kinds):
            raise refusal("each kind once")
        return kinds


class FitZone(Zone):
    """lines: of the exciton, or "auto" to let the data decide; window_eV: what is fitted.

    components: of the spectrum besides the exciton, trion and biexciton fitted where they are seen;
    phonons_eV: of the replicas, which laws over temperature take off the line in any case;
    broad_replicas: whether these have widths of their own.
    voigt_beside: whether Voigt profiles are fitted as well, so that a series over temperature has
    no step where the shape changes.
    """

    lines: Literal[1, 2, 3, "auto"] = "auto"
    shape: Literal["gauss", "lorentz", "voigt"] = "gauss"
    window_eV: tuple[Positive, Positive]
    components: tuple[Literal["replicas", "trion", "biexciton", "trion replicas"], ...] = ()
    phonons_eV: Annotated[tuple[Positive, ...], Field(max_length=4, validate_default=True)] = ()
    broad_replicas: bool = False
    voigt_beside: bool = False

    @field_validator("phonons_eV")
    @classmethod
    def _where_replicas_are(
        cls, phonons: tuple[float, ...], info: ValidationInfo
    ) -> tuple[float, ...]:
        components = info.data.get("components", ())
        if not phonons and any("replicas" in name for name in components):
            raise refusal("the energies of the phonons, where replicas are among the components")
        if "trion replicas" in components and "trion" not in components:
            raise refusal('"trion" among the components, where "trion replicas" are')
        return phonons

    @field_validator("window_eV")
    @classmethod
    def _low_to_high(cls, window: tuple[float, float]) -> tuple[float, float]:
        if not window[0] < window[1]:
            raise refusal("the lower energy first")
        return window


class FitConfig(ConfigModel):
    """model: what is fitted to every spectrum; laws: what to the results of the sweep."""

    model: OneOrMore[FitZone]
    laws: tuple[str, ...] = ()

    @field_validator("laws")
    @classmethod
    def _laws_of_a_run(cls, laws: tuple[str, ...]) -> tuple[str, ...]:
        if laws:
            from analysis.laws.laws import laws_of_a_run  # noqa: PLC0415 - scipy, for those who ask

            known = laws_of_a_run()
            wrong = next((law for law in laws if law not in known), None)
            if wrong is not None:
                raise refusal(f"laws out of {', '.join(known)}", wrong)
        return laws


class EndConfig(ConfigModel):
    """What the cryostat does when the sweep is complete; bias and laser are always made safe."""

    cryostat: Literal["hold", "cool to base", "heater off"] = "hold"


class LimitsConfig(ConfigModel):
    """retries: further attempts at a point whose conditions did not hold, before it is flagged.

    saturation_fraction: of the camera's full scale, above which a frame counts as saturated.
    """

    retries: int = Field(2, ge=0, le=20)
    saturation_fraction: float = Field(0.9, gt=0, le=1)


class SweepConfig(ConfigModel):
    """A whole sweep file; `[[axis]]` from the outermost to the innermost."""

    independent_entries: ClassVar[frozenset[str]] = frozenset({"axis"})

    sweep: SweepHead
    sample: SampleConfig
    nanocrystal: NanocrystalConfig
    optics: OpticsConfig
    axis: Annotated[tuple[AxisConfig, ...], Field(min_length=1)]
    exposure: OneOrMore[ExposureZone]
    background: BackgroundConfig = BackgroundConfig.model_validate({})
    fit: FitConfig | None = None
    end: EndConfig = EndConfig.model_validate({})
    limits: LimitsConfig = LimitsConfig.model_validate({})

    def axis_of(self, quantity: AxisQuantity) -> AxisConfig | None:
        """Return the axis of that quantity, None if it is not swept."""
        return next((axis for axis in self.axis if axis.quantity is quantity), None)
