"""The laws of the nanocrystal give the values of the physics brief."""

import math

import numpy as np
import pytest
from scipy.special import iv

from simulators.emitter import (
    Nanocrystal,
    PhaseTransition,
    linewidth_meV,
    occupation,
    phonon_ladder,
    saturation,
    stark_shift_meV,
)
from simulators.optics import Optics
from simulators.truth import (
    CameraTruth,
    OpticsTruth,
    PhononTruth,
    ProfileTruth,
    StarkTruth,
    TransitionTruth,
    cspbbr3,
    fapbbr3,
    truth_from_mapping,
)
from simulators.view import Stretch, Surroundings, View, Window


def make_nanocrystal(mapping=None, seed=3):
    truth = truth_from_mapping({"nanocrystal": mapping or {}})
    sequence = np.random.SeedSequence(seed)
    return Nanocrystal(truth.nanocrystal, truth.optics.numerical_aperture, sequence, 5.5)


def surroundings(temperature_K=5.5, field_kV_per_cm=0.0):
    return Surroundings(np.array([temperature_K]), np.array([field_kV_per_cm]), np.zeros(1))


def view_of(window=None, analyser_deg=0.0, excitation=1.0):
    return View(window or make_window(), analyser_deg, excitation, 1.0)


def shine(nanocrystal, duration_s, view, temperature_K=5.5, field_kV_per_cm=0.0):
    """Absorb light and return the stretch in which that was."""
    start_s = nanocrystal.dose_s
    nanocrystal.absorb(duration_s * view.excitation)
    return [Stretch(start_s, nanocrystal.dose_s, temperature_K, field_kV_per_cm, 0.0)]


def portions_of(nanocrystal, duration_s, view, **state):
    return nanocrystal.portions(view, shine(nanocrystal, duration_s, view, **state))


def lines_of(nanocrystal, analyser_deg=0.0, excitation=1.0, **state):
    view = view_of(analyser_deg=analyser_deg, excitation=excitation)
    return {line.name: line for line in nanocrystal.true_lines(view, surroundings(**state))}


def make_window(ripple=0.0, **changes):
    optics = Optics(OpticsTruth(start_centre_nm=519.0, **changes), CameraTruth(), lambda: None)
    return Window(optics.edges_eV(), ProfileTruth(), 20.0, ripple, 0.85)


@pytest.mark.parametrize(
    ("temperature_K", "expected_meV"),
    [(5.5, 2.055), (50, 3.750), (100, 12.255), (130, 19.066), (150, 23.924), (200, 36.672)],
)
def test_the_linewidth_follows_rudin(temperature_K, expected_meV):
    width_meV = linewidth_meV(
        temperature_K,
        gamma_0_meV=2.0,
        sigma_ac_meV_per_K=0.01,
        gamma_lo_meV=50.0,
        lo_energy_meV=16.0,
    )

    assert width_meV == pytest.approx(expected_meV, abs=0.002)


@pytest.mark.parametrize(
    ("temperature_K", "expected"),
    [(50, 0.0250), (100, 0.1851), (130, 0.3153), (150, 0.4085), (200, 0.6534)],
)
def test_the_occupation_of_a_16_meV_phonon(temperature_K, expected):
    assert occupation(16.0, temperature_K) == pytest.approx(expected, abs=1e-4)
    assert occupation(16.0, 0.01) == pytest.approx(0.0, abs=1e-300)


def test_default_widths_at_base_temperature():
    caesium = make_nanocrystal()
    formamidinium = make_nanocrystal({"material": "FAPbBr3"})

    assert caesium.linewidth_meV(5.5) == pytest.approx(0.05, abs=1e-3)
    assert formamidinium.linewidth_meV(5.5) == pytest.approx(2.0, abs=1e-3)


def test_the_stark_shift_has_opposite_signs_at_both_ends_of_the_sweep():
    stark = StarkTruth(vertex_kV_per_cm=230.0, half_polarizability_ueV=0.05)

    assert stark_shift_meV(stark, 100.0) == pytest.approx(1.80)
    assert stark_shift_meV(stark, -100.0) == pytest.approx(-2.80)
    assert stark_shift_meV(stark, 0.0) == 0.0
    assert stark_shift_meV(stark, 230.0) == pytest.approx(0.05e-3 * 230.0**2)


def test_saturation_has_the_slopes_of_the_brief():
    def slopes(n):
        low, high = saturation(n * 0.999), saturation(n * 1.001)
        return [math.log(b / a) / math.log(1.001 / 0.999) for a, b in zip(low, high, strict=True)]

    assert slopes(0.01) == pytest.approx([0.995, 1.993], abs=1e-3)
    assert slopes(0.1) == pytest.approx([0.951, 1.934], abs=1e-3)
    assert slopes(1.0) == pytest.approx([0.582, 1.392], abs=1e-3)


@pytest.mark.parametrize(("temperature_K", "huang_rhys"), [(5.5, 0.10), (50.0, 0.3), (200.0, 0.1)])
def test_the_phonon_ladder_has_the_weights_of_the_bessel_formula(temperature_K, huang_rhys):
    energy_meV = 3.5
    phonons = PhononTruth((energy_meV,), (huang_rhys,), (0.0,))
    size = 64  # one period of the ladder's transform resolves the weights of all orders
    k = 2.0 * np.pi * np.arange(size) / (size * energy_meV)

    weights = np.fft.fft(phonon_ladder(phonons, k, temperature_K, 1.0)).real / size

    n = occupation(energy_meV, temperature_K)
    orders = np.arange(-4, 7)
    expected = (
        math.exp(-huang_rhys * (2 * n + 1))
        * ((n + 1) / n) ** (orders / 2)
        * iv(orders, 2 * huang_rhys * math.sqrt(n * (n + 1)))
    )
    assert weights[orders] == pytest.approx(expected, abs=1e-12)
    assert weights.sum() == pytest.approx(1.0)


def test_at_base_temperature_replicas_follow_poisson():
    phonons = PhononTruth((3.5,), (0.10,), (0.0,))
    k = 2.0 * np.pi * np.arange(64) / (64 * 3.5)

    weights = np.fft.fft(phonon_ladder(phonons, k, 1.0, 1.0)).real / 64

    assert weights[1] / weights[0] == pytest.approx(0.100, abs=1e-6)
    assert weights[2] / weights[0] == pytest.approx(0.0050, abs=1e-6)


def test_biexciton_lines_mirror_the_exciton_with_the_same_axes():
    nanocrystal = make_nanocrystal({"biexciton_shift_meV": 30.0})

    lines = lines_of(nanocrystal)

    offsets_meV = [1e3 * (lines[f"B{i}"].energy_eV - 2.392) for i in (1, 2, 3)]
    assert offsets_meV == pytest.approx([-29.2, -30.1, -30.7], abs=1e-6)
    for i in (1, 2, 3):
        assert lines[f"B{i}"].axis_deg == lines[f"X{i}"].axis_deg
    assert [lines[f"X{i}"].axis_deg for i in (1, 2, 3)] == pytest.approx(
        [32.15, 118.22, 20.0], abs=0.01
    )


def test_the_trion_is_one_line_without_polarization():
    nanocrystal = make_nanocrystal()

    lines = lines_of(nanocrystal)
    rates = [
        lines_of(nanocrystal, analyser_deg=angle)["T"].rate_e_per_s for angle in (0.0, 50.0, 120.0)
    ]

    assert 1e3 * (2.392 - lines["T"].energy_eV) == pytest.approx(20.9)
    assert rates == pytest.approx([rates[0]] * 3)


def test_a_line_along_the_analyser_carries_its_population_of_the_standard_rate():
    nanocrystal = make_nanocrystal(
        {"orientation_deg": [0, 0, 0], "splitting_meV": [-0.8, 0.1, 0.7]}
    )

    lines = lines_of(nanocrystal, analyser_deg=0.0)

    thermal_meV = 0.0861733 * 10.0
    factors = [math.exp(-delta / thermal_meV) for delta in (-0.8, 0.1, 0.7)]
    assert lines["X1"].rate_e_per_s == pytest.approx(5e3 * factors[0] / sum(factors))


def test_rates_scale_with_power_as_saturation_says():
    nanocrystal = make_nanocrystal()

    weak, strong = lines_of(nanocrystal), lines_of(nanocrystal, excitation=10.0)

    ratio_X, ratio_B = (
        strong[name].rate_e_per_s / weak[name].rate_e_per_s for name in ("X1", "B1")
    )
    assert ratio_X == pytest.approx((1 - math.exp(-1.0)) / (1 - math.exp(-0.1)))
    two = (1 - 2 * math.exp(-1.0)) / (1 - 1.1 * math.exp(-0.1))
    assert ratio_B == pytest.approx(two)


def test_the_field_shifts_shrinks_and_couples():
    nanocrystal = make_nanocrystal({"stark": {"overlap_kV_per_cm": 500.0}})

    at_0, at_minus_100 = lines_of(nanocrystal), lines_of(nanocrystal, field_kV_per_cm=-100.0)

    def splitting(lines):
        return lines["X3"].energy_eV - lines["X1"].energy_eV

    def centroid(lines):
        return sum(lines[name].energy_eV for name in ("X1", "X2", "X3")) / 3.0

    assert 1e3 * (centroid(at_minus_100) - centroid(at_0)) == pytest.approx(-2.80)
    shrunk = math.exp((230.0**2 - 330.0**2) / 500.0**2)
    assert splitting(at_minus_100) / splitting(at_0) == pytest.approx(shrunk)
    assert at_minus_100["X1"].rate_e_per_s / at_0["X1"].rate_e_per_s == pytest.approx(shrunk)
    trion_meV = 1e3 * (at_minus_100["T"].energy_eV - at_0["T"].energy_eV)
    assert trion_meV == pytest.approx(0.7 * -2.80)
    assert nanocrystal.coupling(-100.0) == pytest.approx(1.0 + 5e-6 * (330.0**2 - 230.0**2))


@pytest.mark.parametrize(("truth", "slope"), [(cspbbr3(), 0.30), (fapbbr3(), 0.36)])
def test_the_exciton_rises_with_temperature_by_the_slope_of_the_brief(truth, slope):
    nanocrystal = make_nanocrystal(
        {"material": truth.nanocrystal.material, "transition": {"depth_meV": 0.0}}
    )

    shift_meV = nanocrystal.thermal_shift_meV(200.0, 0.0) - nanocrystal.thermal_shift_meV(
        100.0, 0.0
    )

    assert shift_meV / 100.0 == pytest.approx(slope, abs=0.02)
    assert nanocrystal.thermal_shift_meV(5.5, 0.0) == 0.0


def test_the_phase_transition_comes_later_on_cooling():
    transition = PhaseTransition(TransitionTruth(22.0, 127.0, 30.0, 4.0), start_K=5.5)

    def follow(temperatures):
        fractions = {}
        for temperature_K in temperatures:
            transition.follow(float(temperature_K))
            fractions[int(temperature_K)] = transition.fraction
        return fractions

    warming = follow(range(5, 201))
    cooling = follow(range(200, 4, -1))

    def smoothstep(x):
        x = min(max(x, 0.0), 1.0)
        return x * x * (3 - 2 * x)

    for temperature_K in (120, 127, 135, 142, 157, 170):
        assert warming[temperature_K] == pytest.approx(smoothstep((temperature_K - 127) / 30))
        assert cooling[temperature_K] == pytest.approx(smoothstep((temperature_K - 123) / 30))
    assert cooling[100] == 0.0


def test_between_the_branches_nothing_changes_when_the_temperature_turns():
    transition = PhaseTransition(TransitionTruth(22.0, 127.0, 30.0, 4.0), start_K=5.5)
    transition.follow(140.0)
    turned = transition.fraction

    transition.follow(138.0)

    assert transition.fraction == turned


def test_a_net_redshift_appears_across_the_transition():
    nanocrystal = make_nanocrystal({"material": "FAPbBr3"})
    shifts_meV = []
    for temperature_K in (110.0, 127.0, 157.0):
        nanocrystal.transition.follow(temperature_K)
        shifts_meV.append(
            nanocrystal.thermal_shift_meV(temperature_K, nanocrystal.transition.fraction)
        )

    assert shifts_meV[1] > shifts_meV[0]
    assert shifts_meV[2] < shifts_meV[1] - 5.0


def test_an_orientation_that_is_not_given_is_drawn_from_the_seed():
    one, same, other = (make_nanocrystal({"orientation_deg": []}, seed) for seed in (1, 1, 2))

    assert np.array_equal(one.axes, same.axes)
    assert not np.allclose(one.axes, other.axes)
    assert one.axes.T @ one.axes == pytest.approx(np.eye(3), abs=1e-12)


def test_random_orientations_are_isotropic():
    axes = [make_nanocrystal({"orientation_deg": []}, seed).axes for seed in range(250)]

    assert np.mean(np.abs([a[2, 2] for a in axes])) == pytest.approx(0.5, abs=0.07)


def test_field_noise_broadens_least_at_the_vertex():
    quiet = {
        "energy_sigma_meV": 0.0,
        "jump_rate_per_s": 0.0,
        "dim_rate_per_s": 0.0,
        "trion_fraction": 0.0,
        "correlation_time_s": 0.1,
    }

    def spread_meV(field_kV_per_cm):
        nanocrystal = make_nanocrystal({"fluctuations": quiet})
        portions = portions_of(nanocrystal, 50.0, view_of(), field_kV_per_cm=field_kV_per_cm)
        return 1e3 * float(np.std(portions.energy_eV))

    assert spread_meV(0.0) == pytest.approx(0.023 * 9.0, rel=0.1)
    assert spread_meV(230.0) < 0.02


def test_charging_replaces_the_exciton_by_the_trion():
    nanocrystal = make_nanocrystal({"fluctuations": {"trion_fraction": 0.5}})

    portions = portions_of(nanocrystal, 2000.0, view_of())

    is_trion = portions.energy_eV < 2.381
    assert np.array_equal(is_trion, portions.is_charged)
    assert 0.3 < np.mean(is_trion) < 0.7


def steady(**changes):
    still = {
        "energy_sigma_meV": 0.0,
        "field_sigma_kV_per_cm": 0.0,
        "jump_rate_per_s": 0.0,
        "dim_rate_per_s": 0.0,
        "trion_fraction": 0.0,
    }
    return {**still, **changes}


def test_a_dim_episode_sends_a_tenth():
    nanocrystal = make_nanocrystal({"fluctuations": steady(dim_rate_per_s=0.2)})
    rate = sum(line.rate_e_per_s for line in nanocrystal.true_lines(view_of(), surroundings())[:6])

    electrons = portions_of(nanocrystal, 500.0, view_of()).electrons

    assert electrons.max() == pytest.approx(rate)  # of a cell of 1 s
    assert electrons[1:-1].min() < 0.1 * rate
    total = electrons.sum() / (500.0 * rate)
    assert total == pytest.approx(0.5 + 0.5 * 0.1, abs=0.12)


def test_strong_light_sends_its_rate_in_every_second():
    nanocrystal = make_nanocrystal({"fluctuations": steady()})
    strong = view_of(excitation=10.0)
    rate = sum(line.rate_e_per_s for line in nanocrystal.true_lines(strong, surroundings())[:6])

    portions = portions_of(nanocrystal, 3.0, strong)

    assert portions.electrons.sum() == pytest.approx(3.0 * rate)
    assert nanocrystal.dose_s == pytest.approx(30.0)


def test_field_noise_moves_the_trion_less():
    noisy = steady(field_sigma_kV_per_cm=9.0, trion_fraction=0.5, correlation_time_s=0.5)
    nanocrystal = make_nanocrystal({"fluctuations": noisy})

    energies_eV = portions_of(nanocrystal, 400.0, view_of()).energy_eV

    trion, exciton = (1e3 * energies_eV[energies_eV < 2.38], 1e3 * energies_eV[energies_eV > 2.38])
    assert np.std(trion) / np.std(exciton) == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize(
    "changes", [{"field_kV_per_cm": -100.0}, {"temperature_K": 90.0}, {"analyser_deg": 118.0}]
)
def test_a_spectrum_is_computed_anew_when_what_shapes_it_changed(changes):
    nanocrystal = make_nanocrystal(
        {"fluctuations": steady(), "stark": {"overlap_kV_per_cm": 300.0}}
    )
    window = make_window()
    before = view_of(window)
    nanocrystal.electrons(before, shine(nanocrystal, 1.0, before))

    view = view_of(window, analyser_deg=changes.get("analyser_deg", 0.0))
    state = {key: value for key, value in changes.items() if key != "analyser_deg"}
    sent = nanocrystal.electrons(view, shine(nanocrystal, 1.0, view, **state))

    expected = nanocrystal.steady(view, surroundings(**state))
    assert sent == pytest.approx(expected, abs=0.01)


def test_a_spectrum_is_computed_anew_in_the_middle_of_a_frame():
    nanocrystal = make_nanocrystal({"fluctuations": steady()})
    view = view_of()

    stretches = [
        stretch
        for temperature_K in (5.5, 5.5, 90.0, 90.0)
        for stretch in shine(nanocrystal, 0.5, view, temperature_K=temperature_K)
    ]
    sent = nanocrystal.electrons(view, stretches)

    expected = nanocrystal.steady(view, surroundings(5.5))
    expected += nanocrystal.steady(view, surroundings(90.0))
    assert sent == pytest.approx(expected, abs=0.01)


def test_light_that_nobody_saw_lies_between_two_stretches_that_were_seen():
    seen, unseen = (make_nanocrystal(), make_nanocrystal())
    view = view_of()
    for nanocrystal in (seen, unseen):
        nanocrystal.electrons(view, shine(nanocrystal, 100.0, view))

    middle = seen.portions(view, shine(seen, 5000.0, view))
    shine(unseen, 5000.0, view)

    assert middle.electrons.size > 4999
    assert np.array_equal(
        seen.electrons(view, shine(seen, 10.0, view)),
        unseen.electrons(view, shine(unseen, 10.0, view)),
    )
    with_gap = [*shine(seen, 1.0, view), *shine(seen, 5.0, view), *shine(seen, 1.0, view)]
    portions = seen.portions(view, with_gap[::2])
    assert set(portions.stretch[portions.electrons > 0.0]) == {0, 1}


def test_another_window_gets_a_spectrum_of_its_own():
    nanocrystal = make_nanocrystal({"fluctuations": steady()})
    fine = make_window()
    coarse = make_window(start_grating=2)

    nanocrystal.electrons(view_of(fine), shine(nanocrystal, 1.0, view_of(fine)))

    view = view_of(coarse)
    sent = nanocrystal.electrons(view, shine(nanocrystal, 1.0, view))

    expected = nanocrystal.steady(view, surroundings())
    assert sent == pytest.approx(expected, abs=0.01)
    above = np.flatnonzero(sent > sent.max() / 2)
    width_meV = 1e3 * float(coarse.edges_eV[above[0]] - coarse.edges_eV[above[-1] + 1])
    assert width_meV > 5 * fine.core_fwhm_meV  # the same slit on a sixth of the dispersion


def test_a_detector_window_ripples_the_response():
    plain, rippled = make_window(), make_window(ripple=0.05)
    nanocrystal = make_nanocrystal({"fluctuations": steady()})

    sent = [nanocrystal.steady(view_of(window), surroundings()) for window in (rippled, plain)]
    ratio = sent[0] / sent[1]

    assert (ratio.min(), ratio.max()) == pytest.approx((0.95, 1.05), abs=2e-3)
    crossings = np.count_nonzero(np.diff(np.sign(ratio - 1.0)))
    span_meV = 1e3 * (plain.edges_eV[0] - plain.edges_eV[-1])
    assert crossings == pytest.approx(2.0 * span_meV / 0.85, abs=2)
