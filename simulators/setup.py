"""The whole simulated laboratory: one world and the instruments that look at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from simulators.acton import SpectraPro
from simulators.anc300 import ANC300
from simulators.core import InstrumentCore
from simulators.elliptec import ElliptecBus
from simulators.elliptec_modules import ElliptecSettings
from simulators.faults import Faults, Line
from simulators.icl import IclServer
from simulators.icl_device import IclSettings
from simulators.in_process import Framing, InProcessLink, Waiter
from simulators.k10cr1 import K10CR1
from simulators.keithley import Keithley2410, KeithleySettings
from simulators.keithley_2470 import Keithley2470, Keithley2470Settings
from simulators.lakeshore import LakeShore335, LakeShore336, LakeShore350
from simulators.lakeshore_command import LakeShoreSettings
from simulators.mercury import MercuryITC, MercurySettings
from simulators.mff101 import MFF101
from simulators.numato import NumatoRelays
from simulators.pfeiffer import PfeifferTPG361
from simulators.pm100d import ThorlabsPM100D
from simulators.replay import Replay
from simulators.truth import Truth
from simulators.world import World

__all__ = ["MODELS", "SimulatedSetup", "SimulatorSettings"]

Core = Callable[[World, Any], InstrumentCore]

# Ports at which one of several models may stand, by the names that the drivers register. The first
# is the default at cryostat and bias; at the other ports something stands only if asked for.
MODELS: Final[Mapping[str, Mapping[str, Core]]] = {
    "cryostat": {
        "lakeshore.336": LakeShore336,
        "lakeshore.335": LakeShore335,
        "lakeshore.350": LakeShore350,
        "oxford.mercuryitc": MercuryITC,
    },
    "bias": {
        "keithley.2410": Keithley2410,
        "keithley.2470": Keithley2470,
    },
    "gauge": {"pfeiffer.tpg361": PfeifferTPG361},
    "power_meter": {"thorlabs.pm100d": ThorlabsPM100D},
    "spectrograph": {"acton.spectrapro": SpectraPro},
    "rotator": {"thorlabs.k10cr1": K10CR1},
    "flip": {"thorlabs.mff101": MFF101},
    "relay": {"numato.relay": NumatoRelays},
    "positioner": {"attocube.anc300": ANC300},
}


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """What is disputed or differs from unit to unit, per instrument.

    models: which model stands at a port, where it is not the default.
    others: settings of what stands at the ports without a default.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    cryostat: LakeShoreSettings | MercurySettings | None = None
    bias: KeithleySettings | Keithley2470Settings | None = None
    elliptec: ElliptecSettings = field(default_factory=ElliptecSettings)
    icl: IclSettings = field(default_factory=IclSettings)
    others: Mapping[str, Any] = field(default_factory=dict)


class SimulatedSetup:
    """World, cores and lines. Ports: cryostat, bias, elliptec (stage and shutter), icl, and what
    the settings ask for.

    `cores` are the instruments themselves, for checkers; shells talk to `lines`, where the faults
    are. Everything lives on when a shell goes.
    """

    def __init__(
        self,
        truth: Truth,
        seed: int,
        replay: Replay | None = None,
        settings: SimulatorSettings | None = None,
        faults: Faults | None = None,
    ) -> None:
        settings = settings or SimulatorSettings()
        self.world = World(truth, seed, replay)
        self.faults = faults or Faults()
        self.cryostat: Any = _core("cryostat", settings)(self.world, settings.cryostat)
        self.bias: Any = _core("bias", settings)(self.world, settings.bias)
        self.elliptec = ElliptecBus(self.world, seed, _elliptec(settings))
        measured_nm = None if replay is None else replay.wavelength_nm
        self.icl = IclServer(self.world, settings.icl, measured_nm)
        self.cores: dict[str, InstrumentCore] = {
            "cryostat": self.cryostat,
            "bias": self.bias,
            "elliptec": self.elliptec,
            "icl": self.icl,
        }
        for port in MODELS:
            if port in settings.models and port not in self.cores:
                core = _core(port, settings)(self.world, settings.others.get(port))
                self.cores[port] = core
        self.lines = {port: Line(port, core, self.faults) for port, core in self.cores.items()}

    def link(self, port: str, clock: Waiter, framing: Framing) -> InProcessLink:
        """Return a link into this process. Raises LookupError for an unknown port."""
        return InProcessLink(self.line(port), clock, framing)

    def line(self, port: str) -> Line:
        """Return the line at a port. Raises LookupError for an unknown one."""
        if port not in self.lines:
            raise LookupError(
                f"no simulated instrument {port!r}; there are {', '.join(self.lines)}"
            )
        return self.lines[port]


def _core(port: str, settings: SimulatorSettings) -> Core:
    """Return the model that stands at a port. Raises ValueError if it can't."""
    known = MODELS[port]
    name = settings.models.get(port, next(iter(known)))
    if name not in known:
        raise ValueError(f"no simulated {name!r} at port {port!r}; there are {', '.join(known)}")
    return known[name]


def _elliptec(settings: SimulatorSettings) -> ElliptecSettings:
    """Return the settings of the bus: only one stage can turn the polarizing element."""
    return replace(settings.elliptec, turns_polarizer="rotator" not in settings.models)
