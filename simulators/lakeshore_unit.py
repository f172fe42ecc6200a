"""What distinguishes the Lake Shore Models 335, 336 and 350 on the wire.

Sources: the manuals' command summaries and Lake Shore's own Python package. Unverified, from
memory: the currents of codes 1 to 4, the format of the 350's RAMP?, and that the 335 has no
`KRDG? 0`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["MODEL_335", "MODEL_336", "MODEL_350", "LakeShoreUnit"]

DECADES: Final = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True)
class LakeShoreUnit:
    """One model.

    range_fractions: of full power, by the number of the heater range; 0 is off.
    voltage_outputs: which outputs are, or can be made, unpowered voltage outputs.
    has_output_type: HTRSET begins with the type of the output.
    """

    name: str
    inputs: str
    outputs: int
    range_fractions: tuple[float, ...]
    slowest_ramp_K_per_min: float
    ramp_format: str
    max_current_A: Mapping[int, float]
    voltage_outputs: tuple[int, ...]
    has_output_type: bool = False
    reads_all_inputs: bool = True


MODEL_335: Final = LakeShoreUnit(
    name="MODEL335",
    inputs="AB",
    outputs=2,
    range_fractions=(0.0, *DECADES[3:]),
    slowest_ramp_K_per_min=0.1,
    ramp_format="+06.1f",
    max_current_A={1: 0.707, 2: 1.0, 3: 1.141, 4: 1.732},
    voltage_outputs=(2,),
    has_output_type=True,
    reads_all_inputs=False,
)
MODEL_336: Final = LakeShoreUnit(
    name="MODEL336",
    inputs="ABCD",
    outputs=4,
    range_fractions=(0.0, *DECADES[3:]),
    slowest_ramp_K_per_min=0.1,
    ramp_format="+06.1f",
    max_current_A={1: 0.707, 2: 1.0, 3: 1.141, 4: 2.0},
    voltage_outputs=(3, 4),
)
MODEL_350: Final = LakeShoreUnit(
    name="MODEL350",
    inputs="ABCD",
    outputs=4,
    range_fractions=DECADES,
    slowest_ramp_K_per_min=0.001,
    ramp_format="+08.3f",
    max_current_A={1: 0.707, 2: 1.0, 3: 1.141, 4: 1.732},
    voltage_outputs=(3, 4),
)
