"""Every parameter of the simulated world can be overridden, and no wrong one slips through."""

import math

import pytest

from simulators.truth import (
    BiasTruth,
    NanocrystalTruth,
    cspbbr3,
    fapbbr3,
    truth_from_mapping,
)


def test_defaults_are_those_of_the_brief_for_both_materials():
    caesium, formamidinium = cspbbr3().nanocrystal, fapbbr3().nanocrystal

    assert (caesium.exciton_eV, formamidinium.exciton_eV) == (2.392, 2.286)
    assert caesium.splitting_meV == (-0.8, 0.1, 0.7)
    assert (caesium.stark.vertex_kV_per_cm, formamidinium.stark.vertex_kV_per_cm) == (230, 150)
    assert (caesium.transition.depth_meV, formamidinium.transition.depth_meV) == (0, 22)
    assert formamidinium.transition.onset_K == 127


@pytest.mark.parametrize(
    ("truth", "edge_nm", "mass", "permittivity", "rydberg_meV"),
    [(cspbbr3(), 8.0, 0.126, 7.3, 33.0), (fapbbr3(), 9.0, 0.115, 8.42, 22.0)],
)
def test_trion_and_biexciton_follow_the_universal_form_in_size(
    truth, edge_nm, mass, permittivity, rydberg_meV
):
    x = edge_nm / (0.0529177 * permittivity / mass)  # in Bohr radii of the exciton

    trion_meV = rydberg_meV * (0.25 + 2.6 / x**2)
    biexciton_meV = rydberg_meV * (0.45 + 4.35 / x**2)

    assert truth.nanocrystal.trion_shift_meV == pytest.approx(trion_meV, abs=0.1)
    assert truth.nanocrystal.biexciton_shift_meV == pytest.approx(biexciton_meV, abs=0.1)


def test_the_material_chooses_the_defaults_of_all_that_is_not_given():
    truth = truth_from_mapping(
        {"nanocrystal": {"material": "FAPbBr3", "stark": {"vertex_kV_per_cm": -80}}}
    )

    assert truth.nanocrystal.stark.vertex_kV_per_cm == -80
    assert truth.nanocrystal.trion_shift_meV == 16.1


def test_lists_and_nested_tables_are_taken_over():
    truth = truth_from_mapping(
        {
            "electrodes": {"geometry": "coplanar", "gap_um": 8},
            "nanocrystal": {"splitting_meV": [-0.5, 0.0, 0.5], "orientation_deg": []},
        }
    )

    assert truth.electrodes.geometry == "coplanar"
    assert truth.nanocrystal.splitting_meV == (-0.5, 0.0, 0.5)
    assert truth.nanocrystal.orientation_deg == ()
    assert truth.cryostat == cspbbr3().cryostat


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"bias": {"cable_pF": 1}}, ["bias.cable_pF", "unknown key", "cable_F"]),
        ({"biass": {}}, ["biass", "unknown key", "bias"]),
        ({"bias": {"cable_F": "1 nF"}}, ["bias.cable_F", "'1 nF'", "number", "1e-13 to 1e-06 F"]),
        ({"bias": {"cable_F": True}}, ["bias.cable_F", "True", "number"]),
        ({"bias": {"cable_F": math.nan}}, ["bias.cable_F", "nan", "finite"]),
        ({"bias": {"cable_F": math.inf}}, ["bias.cable_F", "inf", "finite"]),
        ({"bias": {"cable_F": 1.0}}, ["bias.cable_F", "1.0", "out of bounds", "1e-13 to 1e-06 F"]),
        ({"camera": {"pixels": 512.5}}, ["camera.pixels", "512.5", "whole number"]),
        ({"electrodes": {"geometry": "ring"}}, ["electrodes.geometry", "'ring'", "coplanar"]),
        ({"electrodes": {"position_um": 6}}, ["electrodes", "position_um 6", "+-5.0 um"]),
        ({"electrodes": {"polarity": 0}}, ["electrodes", "polarity 0"]),
        ({"optics": {"in_air": 1}}, ["optics.in_air", "1", "True, False"]),
        ({"optics": {"gratings_per_mm": [1800, 0]}}, ["optics.gratings_per_mm", "0", "10 to 6000"]),
        ({"optics": {"gratings_per_mm": 1800}}, ["optics.gratings_per_mm", "list of numbers"]),
        ({"optics": {"start_grating": 5}}, ["optics", "start_grating 5", "3 gratings"]),
        ({"nanocrystal": 3}, ["nanocrystal", "3", "not a table"]),
        ({"nanocrystal": {"splitting_meV": [0, 1, 2]}}, ["nanocrystal", "add up to 0"]),
        ({"nanocrystal": {"orientation_deg": [1, 2]}}, ["nanocrystal", "3 angles"]),
        (
            {"nanocrystal": {"phonons": {"huang_rhys": [0.1]}}},
            ["nanocrystal.phonons", "4 energies_meV", "1 huang_rhys"],
        ),
    ],
)
def test_a_mistake_is_refused_with_key_value_and_bound(mapping, named):
    with pytest.raises(ValueError, match=r"(?s).+") as refused:
        truth_from_mapping(mapping)

    for part in named:
        assert part in str(refused.value)


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(ValueError, match=r"cable_F(?s:.)*spot_row"):
        truth_from_mapping({"bias": {"cable_F": -1.0}, "camera": {"spot_row": -3}})


def test_a_truth_built_by_hand_is_checked_too():
    with pytest.raises(ValueError, match=r"BiasTruth.series_ohm: 0.0 is out of bounds"):
        BiasTruth(series_ohm=0.0)
    with pytest.raises(ValueError, match="needs 3 lines"):
        NanocrystalTruth(splitting_meV=(0.0,))
