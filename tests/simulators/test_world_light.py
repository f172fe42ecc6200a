"""The world as a whole: what a frame shows, and that one seed gives one trace."""

import math
import time

import numpy as np
import pytest

from simulators.replay import Replay
from simulators.truth import Truth, truth_from_mapping
from simulators.world import World

OFFSET = 1000.0
STEADY = {
    "energy_sigma_meV": 0.0,
    "field_sigma_kV_per_cm": 0.0,
    "jump_rate_per_s": 0.0,
    "dim_rate_per_s": 0.0,
    "trion_fraction": 0.0,
}
DARK_ROOM = {"stray_e_per_px_s": 0.0, "laser_scatter_e_per_px_s": 0.0}
NO_PHONONS = {"energies_meV": [], "huang_rhys": [], "mode_fwhm_meV": []}
CLEAN = {"dark_e_per_px_s": 0.0, "cosmic_per_min_cm2": 0.0}


def make_world(seed=1, nanocrystal=None, **tables):
    crystal = {"fluctuations": STEADY, "rate_e_per_s": 1e5, **(nanocrystal or {})}
    optics = {**DARK_ROOM, **tables.pop("optics", {})}
    return World(
        truth_from_mapping({"nanocrystal": crystal, "optics": optics, "camera": CLEAN, **tables}),
        seed,
    )


def take(world, exposure_s=1.0):
    """Electrons of one frame whose read-out takes no time."""
    world.camera.start(exposure_s, 1, rows=(108, 40), readout_s=0.0)
    world.advance(world.now + exposure_s)
    return world.camera.frames()[0][1] - OFFSET


def centres_eV(world):
    edges = world.optics.edges_eV()
    return 0.5 * (edges[1:] + edges[:-1])


def test_lines_appear_where_they_truly_are():
    simple = {"tail_weight": 0.0, "wings_weight": 0.0}
    world = make_world(
        nanocrystal={
            "splitting_meV": [0, 0, 0],
            "biexciton_yield": 0.0,
            "phonons": NO_PHONONS,
        },
        profile=simple,
    )
    world.optics.shutter_open = True
    world.advance(120.0)

    electrons = take(world, 20.0)

    near = np.abs(centres_eV(world) - 2.392) < 2e-3
    mean_eV = float(electrons[near] @ centres_eV(world)[near] / electrons[near].sum())
    # counting error 0.1 meV / sqrt(2e6) = 0.1 ueV; the Lorentzian ends and read noise add to it
    assert mean_eV == pytest.approx(world.true_lines()[0].energy_eV, abs=2e-6)


def test_a_polarization_series_gives_back_the_projected_axis():
    world = make_world(
        nanocrystal={
            "splitting_meV": [-3.0, 0.0, 3.0],
            "population_K": 1000.0,
            "phonons": NO_PHONONS,
        },
        profile={"tail_weight": 0.0, "wings_weight": 0.0},
    )
    world.optics.shutter_open = True
    world.advance(120.0)
    truths = {line.name: line for line in world.true_lines()}
    strengths = []
    for angle_deg in range(0, 180, 15):
        world.optics.polarizer_mechanical_deg = float(angle_deg)
        electrons = take(world, 2.0)
        near = np.abs(centres_eV(world) - truths["X1"].energy_eV) < 1e-3
        strengths.append(electrons[near].sum())

    harmonic = np.exp(2j * np.radians(np.arange(0, 180, 15))) @ np.array(strengths)
    axis_deg = math.degrees(np.angle(harmonic)) / 2 % 180.0
    assert axis_deg == pytest.approx(32.15, abs=1.0)
    assert 2 * abs(harmonic) / sum(strengths) == pytest.approx(truths["X1"].visibility, abs=0.02)


def test_turning_the_polarizer_during_an_exposure_mixes_the_angles():
    world = make_world()
    world.optics.shutter_open = True
    world.advance(120.0)
    unmixed = []
    for angle_deg in (32.0, 122.0):
        world.optics.polarizer_mechanical_deg = angle_deg
        unmixed.append(take(world, 4.0).sum())

    world.optics.polarizer_mechanical_deg = 32.0
    turn_s = world.now + 1.0
    world.at(turn_s, lambda: setattr(world.optics, "polarizer_mechanical_deg", 122.0))
    mixed = take(world, 4.0).sum()

    assert unmixed[0] > 1.5 * unmixed[1]
    assert mixed == pytest.approx(0.25 * unmixed[0] + 0.75 * unmixed[1], rel=0.01)


def test_a_shutter_that_opens_late_lets_in_so_much_less():
    world = make_world()
    world.advance(120.0)
    world.at(world.now + 0.3, lambda: setattr(world.optics, "shutter_open", True))

    late = take(world, 1.0).sum()
    full = take(world, 1.0).sum()

    assert late == pytest.approx(0.7 * full, rel=0.02)


def test_the_field_moves_the_spectrum_along_its_parabola():
    world = make_world(nanocrystal={"splitting_meV": [0, 0, 0], "phonons": NO_PHONONS})
    world.optics.shutter_open = True

    def centroid_meV(voltage_V):
        world.bias.set_source(voltage_V, True, 1e-5, 1000.0)
        world.advance(world.now + 60.0)
        electrons = take(world, 20.0)
        bright = electrons > 0.05 * electrons.max()
        return 1e3 * float(electrons[bright] @ centres_eV(world)[bright] / electrons[bright].sum())

    zero, plus, minus = (centroid_meV(voltage) for voltage in (0.0, 100.0, -100.0))

    assert plus - zero == pytest.approx(1.80, abs=0.06)
    assert minus - zero == pytest.approx(-2.80, abs=0.06)


def test_warmth_broadens_and_shifts_the_line():
    world = make_world(optics={"start_grating": 2, "start_centre_nm": 518.0})
    world.optics.shutter_open = True
    world.advance(60.0)
    cold = take(world, 5.0)
    world.cryostat.heater_W = 17.0
    world.advance(world.now + 7200.0)
    warm = take(world, 5.0)

    assert world.cryostat.true_sample_K > 150.0
    cold_eV, warm_eV = (centres_eV(world)[int(np.argmax(c))] for c in (cold, warm))
    assert warm_eV - cold_eV > 0.02
    assert np.count_nonzero(warm > warm.max() / 2) > 4 * np.count_nonzero(cold > cold.max() / 2)


def test_the_laser_doses_only_while_the_shutter_is_open():
    world = make_world()
    world.advance(100.0)
    world.optics.shutter_open = True
    world.advance(130.5)
    world.optics.shutter_open = False
    world.advance(500.0)

    assert world.dose_s == pytest.approx(30.5)


def night(world, slices):
    """A short night: heat, bias, turn, expose; the clock moves in the given slices."""
    world.every_step(
        lambda now, dt: setattr(world.cryostat, "heater_W", 0.01 if now < 400.0 else 0.02)
    )
    commands = [
        (50.0, lambda: setattr(world.optics, "shutter_open", True)),
        (60.25, lambda: world.bias.set_source(40.0, True, 1e-6, 1000.0)),
        (70.5, lambda: world.camera.start(5.3, 4, rows=(118, 20), readout_s=0.4)),
        (75.1, lambda: setattr(world.optics, "polarizer_mechanical_deg", 45.0)),
        (200.0, lambda: world.camera.start(0.05, 60, rows=(118, 20), readout_s=0.01)),
        (300.0, lambda: setattr(world.optics, "shutter_open", False)),
    ]
    results = []
    for time_s, command in commands:
        for share in slices:
            start_s = world.now
            world.advance(start_s + share * (time_s - start_s))
            world.bias.gap_voltage_V()
            world.cryostat.control_sensor_K()
            world.true_lines()
        world.advance(time_s)
        results += world.camera.frames()
        command()
    return results, world


def test_one_seed_gives_one_trace_however_the_clock_moves():
    coarse, one = night(World(Truth(), seed=11), slices=())
    fine, same = night(World(Truth(), seed=11), slices=(0.1, 0.37, 0.02, 0.5, 0.9))
    _, other = night(World(Truth(), seed=12), slices=())

    assert len(coarse) == 4 + 60
    for (start_a, counts_a), (start_b, counts_b) in zip(coarse, fine, strict=True):
        assert start_a == start_b
        assert np.array_equal(counts_a, counts_b)
    assert one.cryostat.control_sensor_K() == same.cryostat.control_sensor_K()
    assert one.log == same.log
    assert one.dose_s == same.dose_s
    assert other.cryostat.control_sensor_K() != one.cryostat.control_sensor_K()
    assert not np.array_equal(other.camera.frames()[0][1], one.camera.frames()[0][1])


def test_time_does_not_go_back():
    world = World(Truth(), seed=1)
    world.advance(10.0)

    with pytest.raises(ValueError, match=r"cannot go back from 10.0 s to 9.0 s"):
        world.advance(9.0)
    with pytest.raises(ValueError, match=r"5.0 s is before 10.0 s"):
        world.at(5.0, lambda: None)


def test_the_firmware_runs_once_in_each_step_with_its_time():
    world = World(truth_from_mapping({"cryostat": {"step_s": 0.5}}), seed=1)
    calls = []
    world.every_step(lambda now, dt: calls.append((now, dt)))

    world.advance(0.4)
    world.advance(1.7)

    assert calls == [(0.5, 0.5), (1.0, 0.5), (1.5, 0.5)]


def test_scheduled_actions_happen_in_order_at_their_time():
    world = World(Truth(), seed=1)
    seen = []
    for time_s in (2.0, 0.5, 2.0):
        world.at(time_s, lambda: seen.append(world.now))

    world.advance(3.0)

    assert seen == [0.5, 2.0, 2.0]


def measured(rng, n=5, pixels=400):
    counts = rng.integers(-50, 60_000, size=(n, pixels)).astype(np.int32)
    return Replay(np.linspace(-8.0, 8.0, n), counts, np.linspace(700.0, 800.0, pixels))


def test_a_replay_shows_the_measured_spectrum_nearest_in_gap_voltage_unchanged():
    replay = measured(np.random.default_rng(4))
    world = World(Truth(), seed=1, replay=replay)
    world.optics.shutter_open = True
    for index, voltage_V in enumerate((-8.0, -3.9, 0.1, 4.3, 7.9)):
        world.bias.set_source(voltage_V, True, 1e-5, 20.0)
        world.advance(world.now + 2.0)
        world.camera.start(1.0, 1, rows=(118, 20))
        world.advance(world.now + 1.2)

        shown = world.camera.frames()[0][1]

        assert shown.dtype == np.int32
        assert np.array_equal(shown, replay.counts[index])
    assert world.camera.pixels == 400
    assert np.array_equal(world.wavelengths_nm(), replay.wavelength_nm)


def test_a_replay_shows_nothing_while_the_laser_is_blocked():
    world = World(Truth(), seed=1, replay=measured(np.random.default_rng(4)))

    world.camera.start(1.0, 1, rows=(118, 20))
    world.advance(2.0)

    assert not np.any(world.camera.frames()[0][1])


@pytest.mark.parametrize(
    ("voltages", "shape", "dtype", "message"),
    [
        (5, (5, 400), np.float64, "float64, not int32"),
        (4, (5, 400), np.int32, r"\(5, 400\) do not fit 4 voltages and 400"),
        (0, (0, 400), np.int32, "do not fit 0 voltages"),
    ],
)
def test_a_replay_that_does_not_fit_together_is_refused(voltages, shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        Replay(np.zeros(voltages), np.zeros(shape, dtype), np.linspace(700.0, 800.0, 400))


def test_a_replay_with_a_voltage_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        Replay(np.array([math.nan]), np.zeros((1, 4), np.int32), np.arange(4.0))


def test_an_idle_night_and_a_kinetic_series_are_cheap():
    """The bounds are several times what is needed, for busy machines."""
    world = World(Truth(), seed=1)
    world.every_step(lambda now, dt: None)
    started = time.process_time()
    world.advance(12 * 3600.0)
    night_s = time.process_time() - started

    world.optics.shutter_open = True
    world.camera.start(0.010, 1000, rows=(118, 20), readout_s=0.002)
    started = time.process_time()
    world.advance(world.now + 12.1)
    kinetic_s = time.process_time() - started

    assert world.camera.frames_ready() == 1000
    assert night_s < 2.0
    assert kinetic_s < 1.2


def test_heating_through_the_phase_transition_shifts_the_lines_to_the_red():
    def energy_eV(depth_meV):
        world = make_world(
            nanocrystal={"material": "FAPbBr3", "transition": {"depth_meV": depth_meV}}
        )
        world.cryostat.heater_W = 17.0
        world.advance(9000.0)
        assert world.cryostat.true_sample_K > 160.0
        return world.true_lines()[0].energy_eV

    assert 1e3 * (energy_eV(22.0) - energy_eV(0.0)) == pytest.approx(-22.0)


@pytest.mark.parametrize("in_air", [False, True])
@pytest.mark.parametrize("centre_nm", [0.0, 3.0])
def test_zero_order_is_an_image_of_the_slit_with_all_the_light(centre_nm, in_air):
    world = make_world(optics={"wavelength_error_nm": 0.0, "in_air": in_air})
    world.optics.shutter_open = True
    world.advance(120.0)
    dispersed = take(world, 5.0)
    world.optics.centre_nm = centre_nm

    mirrored = take(world, 5.0)

    wavelength_nm = world.optics.nominal_wavelengths_nm()
    assert abs(mirrored.argmax() - np.abs(wavelength_nm).argmin()) <= 1
    assert mirrored.sum() == pytest.approx(dispersed.sum(), rel=0.1)  # and replicas beyond it
    place = mirrored.argmax()
    assert mirrored[place - 4 : place + 5].sum() == pytest.approx(mirrored.sum(), rel=0.01)
