"""Electrons become counts with the statistics of a CCD."""

import numpy as np
import pytest

from simulators.truth import truth_from_mapping
from simulators.world import World

OFFSET = 1000.0
QUIET = {
    "fluctuations": {
        "energy_sigma_meV": 0.0,
        "field_sigma_kV_per_cm": 0.0,
        "jump_rate_per_s": 0.0,
        "dim_rate_per_s": 0.0,
        "trion_fraction": 0.0,
    }
}
NO_COSMICS = {"cosmic_per_min_cm2": 0.0}


def make_world(seed=1, camera=None, **tables):
    nanocrystal = {**QUIET, **tables.pop("nanocrystal", {})}
    return World(
        truth_from_mapping(
            {"camera": {**NO_COSMICS, **(camera or {})}, "nanocrystal": nanocrystal, **tables}
        ),
        seed,
    )


def take(world, exposure_s=1.0, frames=1, **mode):
    mode = {"rows": (118, 20), "readout_s": 0.1, **mode}
    world.camera.start(exposure_s, frames, **mode)
    world.advance(world.now + frames * (exposure_s + mode["readout_s"]) + 1e-6)
    return np.array([counts for _, counts in world.camera.frames()])


def test_dark_frames_hold_offset_read_noise_and_dark_current():
    world = make_world(camera={"dark_e_per_px_s": 0.05})

    counts = take(world, exposure_s=100.0, frames=20, shutter_open=False)

    dark_e = 20 * 0.05 * 100.1
    assert counts.dtype == np.int32
    assert counts.shape == (20, 1024)
    assert counts.mean() == pytest.approx(OFFSET + dark_e, abs=0.3)
    assert counts.var() == pytest.approx(dark_e + 4.0**2 + 1 / 12, rel=0.03)


@pytest.mark.parametrize(("gain", "e_per_count"), [(0, 1.0), (2, 4.0)])
def test_the_photon_transfer_curve_gives_back_gain_and_read_noise(gain, e_per_count):
    world = make_world(nanocrystal={"rate_e_per_s": 2e5})
    world.optics.shutter_open = True
    world.advance(60.0)

    counts = take(world, exposure_s=0.5, frames=120, gain=gain, readout_s=0.0)

    mean = counts.mean(axis=0) - OFFSET
    variance = counts.var(axis=0, ddof=1) - 1 / 12
    weight = 1.0 / (mean + 20.0) ** 2
    slope, intercept = (
        np.polynomial.Polynomial.fit(mean, variance, 1, w=np.sqrt(weight)).convert().coef[::-1]
    )
    assert slope == pytest.approx(1.0 / e_per_count, rel=0.04)
    assert intercept == pytest.approx((4.0 / e_per_count) ** 2, rel=0.2)


def test_speed_chooses_the_read_noise():
    world = make_world(camera={"dark_e_per_px_s": 0.0})

    slow, fast = (take(world, frames=10, shutter_open=False, speed=speed) for speed in (0, 2))

    assert slow.std() == pytest.approx(4.0, rel=0.05)
    assert fast.std() == pytest.approx(16.0, rel=0.05)


def test_a_frame_holds_the_true_light_of_its_rows():
    world = make_world()
    world.optics.shutter_open = True
    world.advance(60.0)

    counts = take(world, exposure_s=10.0, frames=6, readout_s=0.0).mean(axis=0) - OFFSET

    expected = 10.0 * world.true_electrons_per_s()
    even_e = 20 * 10.0 * (0.003 + 0.02 + 0.03)
    assert counts.sum() - 1024 * even_e == pytest.approx(expected.sum(), abs=800)
    assert np.argmax(counts) == pytest.approx(np.argmax(expected), abs=1)
    scatter = (counts - even_e - expected) / np.sqrt((expected + even_e + 16.0) / 6)
    assert np.mean(scatter**2) == pytest.approx(1.0, abs=0.2)


def test_rows_beside_the_spot_see_almost_nothing():
    world = make_world()
    world.optics.shutter_open = True

    beside = take(world, exposure_s=10.0, rows=(0, 20))
    half = take(world, exposure_s=10.0, rows=(128, 20), readout_s=0.0)
    whole = take(world, exposure_s=10.0, readout_s=0.0)

    light = [float(c.sum() - 1024 * (OFFSET + 10.0)) for c in (beside, half, whole)]
    assert abs(light[0]) < 0.05 * light[2]
    assert light[1] == pytest.approx(0.5 * light[2], rel=0.08)


def test_the_image_shows_the_spot_on_its_rows():
    world = make_world(camera={"spot_row": 90.0, "rows": 128})
    world.optics.shutter_open = True

    image = take(world, exposure_s=20.0, rows=None, readout_s=0.0)[0]

    assert image.shape == (128, 1024)
    rows = np.arange(80, 101)
    spot = image[rows].sum(axis=1) - 1024.0 * (OFFSET + 1.06)
    centre = float(spot @ rows / spot.sum())
    assert centre == pytest.approx(90.0, abs=0.2)
    width = 2.3548 * np.sqrt(float(spot @ (rows - centre) ** 2 / spot.sum()))
    assert width == pytest.approx(4.0, rel=0.15)


def test_a_laser_blocked_frame_holds_the_stray_light_and_nothing_of_the_laser():
    world = make_world(optics={"stray_e_per_px_s": 0.5, "laser_scatter_e_per_px_s": 2.0})

    blocked = take(world, exposure_s=20.0, frames=4, readout_s=0.0)
    closed = take(world, exposure_s=20.0, frames=4, readout_s=0.0, shutter_open=False)
    world.optics.shutter_open = True
    world.optics.centre_nm = 560.0  # far from any line
    lit = take(world, exposure_s=20.0, frames=4, readout_s=0.0)

    assert blocked.mean() - closed.mean() == pytest.approx(20 * 20.0 * 0.5, rel=0.01)
    assert lit.mean() - blocked.mean() == pytest.approx(20 * 20.0 * 2.0, rel=0.01)


def test_light_goes_on_collecting_during_readout_unless_something_blocks_it():
    def lines_e(world, *, block_after_exposure):
        world.optics.shutter_open = True
        world.camera.start(1.0, 1, rows=(118, 20), readout_s=1.0)
        world.advance(world.now + 1.0)
        exposed = world.camera.is_exposing()
        world.optics.shutter_open = not block_after_exposure
        world.advance(world.now + 1.0)
        assert not exposed
        return float(world.camera.frames()[0][1].sum() - 1024 * OFFSET)

    smeared = lines_e(make_world(), block_after_exposure=False)
    blocked = lines_e(make_world(), block_after_exposure=True)
    own_shutter = lines_e(
        make_world(camera={"shutter_stays_open_in_readout": False}), block_after_exposure=False
    )

    assert smeared == pytest.approx(2.0 * blocked, rel=0.35)
    assert smeared > 1.5 * own_shutter


def test_counts_saturate_as_integers_at_16_bit_and_at_the_well():
    bright = {"rate_e_per_s": 1e7}
    world = make_world(nanocrystal=bright, camera={"full_well_e": 2e5})
    world.optics.shutter_open = True
    clipped = take(world, exposure_s=10.0, gain=0)[0]
    welled = take(world, exposure_s=10.0, gain=2, rows=None)[0]

    assert clipped.max() == 65535
    assert np.count_nonzero(clipped == 65535) > 3
    assert welled.max() == pytest.approx(OFFSET + 2e5 / 4.0, abs=40)


def test_cosmic_rays_come_at_their_rate_with_their_size():
    world = make_world(camera={"cosmic_per_min_cm2": 240.0, "dark_e_per_px_s": 0.0, "pixels": 256})

    counts = take(
        world, exposure_s=10.0, frames=200, rows=(0, 256), readout_s=0.0, shutter_open=False
    )

    electrons = counts.sum(axis=1) - 256.0 * OFFSET
    area_cm2 = 256 * 256 * (20e-4) ** 2
    hits = 240.0 * area_cm2 * 10.0 / 60.0  # 10.5 per frame
    mean_e = 1500.0 * np.exp(0.6**2 / 2)
    scatter_e = np.sqrt(hits * mean_e**2 * np.exp(0.6**2) / 200)
    # up to 3 of 4 pixels of a hit at the very edge are off the chip: 1.5/256 of the charge
    assert electrons.mean() == pytest.approx(hits * mean_e, abs=4 * scatter_e)


def test_a_cosmic_ray_hits_1_to_4_neighbouring_pixels():
    world = make_world(camera={"cosmic_per_min_cm2": 1.0, "cosmic_spread": 0.0})

    counts = take(world, exposure_s=30.0, frames=400, rows=(0, 20), shutter_open=False)

    lengths = [np.flatnonzero(frame > 1000 + 150) for frame in counts]
    single = [hit for hit in lengths if 1 <= hit.size <= 4]
    assert 10 < len(single) < 80  # 16.4 cm2 min expects 41 hits per 20 rows
    assert all(np.all(np.diff(hit) == 1) for hit in single)
    assert {hit.size for hit in single} == {1, 2, 3, 4}


def test_a_warm_detector_doubles_its_dark_current_every_7_K():
    world = make_world(camera={"dark_e_per_px_s": 0.01, "cooling_time_s": 10.0})
    cold = take(world, exposure_s=50.0, frames=6, shutter_open=False).mean() - OFFSET
    world.camera.cooling_to_C = -49.0
    world.advance(world.now + 200.0)

    warm = take(world, exposure_s=50.0, frames=6, shutter_open=False).mean() - OFFSET

    assert world.camera.detector_temperature_C == pytest.approx(-49.0, abs=1e-3)
    assert warm / cold == pytest.approx(8.0, rel=0.05)


def test_a_series_is_taken_back_to_back_and_tells_where_it_stands():
    world = make_world()
    camera = world.camera

    camera.start(1.0, 3, rows=(118, 20), readout_s=0.5)
    seen = []
    for time_s in (0.5, 1.2, 1.6, 3.9, 4.2, 4.6):
        world.advance(time_s)
        seen.append((camera.is_exposing(), camera.is_busy(), camera.frames_ready()))

    assert seen == [
        (True, True, 0),
        (True, True, 0),
        (True, True, 1),
        (True, True, 2),
        (False, True, 2),
        (False, False, 3),
    ]
    assert [start_s for start_s, _ in camera.frames()] == [0.0, 1.5, 3.0]


def test_an_aborted_series_keeps_the_frames_it_has_and_another_can_start():
    world = make_world()
    world.camera.start(1.0, 10, rows=(118, 20))
    world.advance(2.5)

    world.camera.abort()
    world.advance(20.0)

    assert world.camera.frames_ready() == 2
    assert not world.camera.is_busy()
    assert take(world, frames=1).shape == (1, 1024)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"exposure_s": 0.0}, "above 0 s"),
        ({"frames": 0}, "at least 1 frame"),
        ({"gain": 3}, "gain 3 .0 to 2"),
        ({"speed": -1}, "speed -1 .0 to 2"),
        ({"rows": (250, 20)}, r"rows \(250, 20\) are not within 0 to 256"),
    ],
)
def test_what_the_detector_cannot_do_is_refused(mode, message):
    world = make_world()

    with pytest.raises(ValueError, match=message):
        world.camera.start(**{"exposure_s": 1.0, **mode})


def test_a_second_start_is_refused_while_a_series_runs():
    world = make_world()
    world.camera.start(1.0)

    with pytest.raises(ValueError, match="while a series is running"):
        world.camera.start(1.0)


def test_dark_current_goes_on_during_readout():
    world = make_world(camera={"dark_e_per_px_s": 0.1})

    counts = take(world, exposure_s=1.0, frames=4, readout_s=50.0, shutter_open=False)

    assert counts.mean() - OFFSET == pytest.approx(20 * 0.1 * 51.0, rel=0.02)
