"""Labels by rule, each with its reason, and none where two would do."""

import numpy as np
import pytest

from analysis.spectra.labels import Label, LineGroup, Rules, label_groups

RULES = Rules(phonons_eV=(3.5e-3, 6.5e-3, 16e-3, 19.5e-3))
X_EV = 2.392
DELTA = np.array([-0.8e-3, 0.1e-3, 0.7e-3])
AXES = np.array([32.0, 118.0, 20.0])


def group(
    below_meV: float,
    offsets: np.ndarray = DELTA,
    *,
    light: float = 1e3,
    axes: np.ndarray | None = None,
    power: tuple[float, float] | None = None,
    with_exciton: tuple[float, float] | None = None,
    error_eV: float = 10e-6,
) -> LineGroup:
    energy = X_EV - 1e-3 * below_meV + offsets
    return LineGroup(
        energy,
        np.full(offsets.size, error_eV),
        np.full(offsets.size, light / offsets.size),
        axes,
        power,
        with_exciton,
    )


SINGLE = np.zeros(1)
MIRRORED = -DELTA[::-1]


def names(*groups: LineGroup, rules: Rules = RULES) -> list[str]:
    return [label.name for label in label_groups(groups, rules)]


def test_a_whole_spectrum_is_labelled_in_any_order() -> None:
    groups = {
        "X": group(0.0, light=1e4),
        "LO1": group(3.5, light=1500.0),
        "LO2": group(6.6, light=800.0),
        "T": group(20.9, SINGLE, light=3e3),
        "Bx": group(35.9, MIRRORED, light=2e3),
        "T-LO1": group(24.4, SINGLE, light=200.0),
        "unassigned": group(11.0, light=100.0),
    }
    order = np.random.default_rng(3).permutation(len(groups))
    shuffled = [list(groups.items())[i] for i in order]

    labels = label_groups([g for _, g in shuffled], RULES)

    assert [label.name for label in labels] == [name for name, _ in shuffled]
    assert all(label.reason for label in labels)


def test_the_exciton_may_be_outshone_by_its_trion_but_not_by_a_faint_line_above_it() -> None:
    assert names(group(0.0), group(15.0, SINGLE, light=6e3)) == ["X", "T"]
    assert names(group(0.0, light=1e4), group(-12.0, SINGLE, light=500.0))[0] == "X"


def test_a_single_line_where_a_replica_would_be_is_a_trion_only_beside_a_multiplet() -> None:
    beside_multiplet = label_groups([group(0.0), group(16.0, SINGLE)], RULES)
    beside_single = label_groups([group(0.0, SINGLE, light=1e4), group(16.0, SINGLE)], RULES)

    assert beside_multiplet[1].name == "T"
    assert beside_single[1].name == "unassigned"
    assert set(beside_single[1].rivals) == {"T", "Bx", "LO3"}
    assert "fit alike" in beside_single[1].reason


@pytest.mark.parametrize(
    ("power", "with_exciton", "label"),
    [
        ((1.0, 0.05), (-0.6, 0.1), "unassigned"),  # trion and replica both may be linear
        ((1.9, 0.1), (0.8, 0.1), "Bx"),
        ((1.0, 0.05), (0.9, 0.05), "LO3"),
    ],
)
def test_power_and_time_decide_where_the_place_cannot(
    power: tuple[float, float], with_exciton: tuple[float, float], label: str
) -> None:
    other = group(16.0, SINGLE, power=power, with_exciton=with_exciton)

    assert names(group(0.0, SINGLE, light=1e4), other)[1] == label


def test_mirrored_splittings_are_a_biexciton_and_copied_ones_a_replica() -> None:
    assert names(group(0.0), group(19.5, DELTA))[1] == "LO4"
    assert names(group(0.0), group(30.0, MIRRORED))[1] == "Bx"
    assert names(group(0.0), group(30.0, DELTA))[1] == "unassigned"
    assert names(group(0.0), group(10.0, MIRRORED))[1] == "unassigned"


def test_a_doublet_mirrored_is_a_doublet_copied_and_only_the_axes_tell() -> None:
    doublet, axes = np.array([-0.5e-3, 0.5e-3]), np.array([20.0, 110.0])
    exciton = group(0.0, doublet, axes=axes, light=1e4)

    copied = group(16.0, doublet, axes=axes)
    mirrored = group(16.0, doublet, axes=axes[::-1])

    assert names(exciton, copied)[1] == "LO3"
    assert names(exciton, mirrored)[1] == "Bx"
    assert names(exciton, group(16.0, doublet))[1] == "unassigned"
    assert names(exciton, group(16.0, doublet, power=(1.9, 0.1)))[1] == "Bx"


def test_axes_agree_across_the_half_turn() -> None:
    axes = np.array([1.0, 60.0, 89.0])
    same = group(3.5, axes=np.array([179.0, 61.0, 88.0]))
    other = group(3.5, axes=np.array([20.0, 61.0, 88.0]))

    assert names(group(0.0, axes=axes, light=1e4), same)[1] == "LO1"
    assert names(group(0.0, axes=axes, light=1e4), other)[1] == "unassigned"


def test_windows_are_settings() -> None:
    narrow = Rules(trion_eV=(9e-3, 17e-3), biexciton_eV=(23e-3, 34e-3))

    assert names(group(0.0), group(21.0, SINGLE), rules=narrow)[1] == "unassigned"
    assert names(group(0.0), group(21.0, SINGLE))[1] == "T"


def test_nothing_gets_no_label() -> None:
    assert label_groups([], RULES) == ()
    assert label_groups([group(0.0)], RULES) == (
        Label("X", "the strongest multiplet at the highest energy"),
    )
