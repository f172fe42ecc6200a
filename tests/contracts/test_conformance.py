"""What every registered driver must do, whatever it drives; the models are found by themselves."""

import random
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import count
from math import isclose, isfinite, isnan
from typing import Any

import numpy as np
import pytest

from drivers.errors import DeviceError, LimitError, LinkTimeout, StateError
from drivers.registry import known_models
from drivers.roles import (
    BiasSettings,
    BiasSupply,
    ExposureSettings,
    Identity,
    Positioner,
    Reading,
    Shutter,
)
from simulators.core import LineBuffer, Outbox

pytestmark = pytest.mark.transports("in process", "tcp", "pty", "websocket")
UNITS = {
    "K": "_K", "%": "_percent", "nm": "_nm", "deg": "_deg", "V": "_V", "A": "_A", "W": "_W",
    "mbar": "_mbar", "degC": "_C",
}  # fmt: skip
SETTING = float | int | str | bool


def chance(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - repeatable, not secret


# -- every model has its place -------------------------------------------------------------------


def test_every_registered_model_stands_somewhere_and_no_row_is_left_over(stands, why_missing):
    missing = [why_missing(name) for name in known_models() if name not in stands]
    assert not missing, "\n".join(missing)
    assert not set(stands) - set(known_models())


def test_a_model_without_a_row_is_told_what_to_add(stand):
    with pytest.raises(pytest.fail.Exception, match=r"'acme\.new'.*add a row.*setup\.MODELS"):
        stand("acme.new")


# -- names, units, limits ------------------------------------------------------------------------


def test_names_units_and_limits_are_there(stand, model_name):
    bench = stand(model_name)
    device = bench.connect()

    found = device.identify()
    assert isinstance(found, Identity)
    assert found.manufacturer
    assert found.model
    assert found.serial
    assert device.name == model_name
    readings = device.read()
    assert set(bench.part.channels) <= set(readings)
    for channel, reading in readings.items():
        assert isinstance(reading, Reading)
        suffix = UNITS[reading.unit] if reading.unit else ""
        assert channel.endswith(suffix)
        assert isfinite(reading.value) or not reading.is_good
        assert reading.time_s <= bench.clock.now()
    assert all(isinstance(value, SETTING) for value in device.settings().values())
    for limit in bench.part.limits:
        assert hasattr(bench.config, limit), f"{limit} is not in the configuration"


def test_the_configuration_is_frozen_has_defaults_and_the_role_is_complete(stand, model_name):
    bench = stand(model_name)
    config = bench.kind.config()
    device = bench.connect()

    assert is_dataclass(config)
    assert {"serial", "timeout_s"} <= {item.name for item in fields(config)}
    assert 0 < config.timeout_s <= 0.5
    with pytest.raises(AttributeError):
        config.serial = "other"
    verbs = [name for name in dir(bench.kind.role) if not name.startswith("_")]
    assert not [name for name in verbs if not hasattr(type(device), name) and name != "name"]


# -- what is forbidden never reaches the wire ----------------------------------------------------


def test_limits_and_what_is_not_finite_are_refused_before_the_wire(stand, model_name):
    bench = stand(model_name)
    device = bench.connect()
    device.identify()
    if bench.kind.role is BiasSupply:
        device.configure(BiasSettings(10.0, 1e-5, 20.0))
    if hasattr(device, "pixels"):
        assert device.pixels > 0
    sent = len(bench.wire.sent)

    for ask in bench.part.refuses(device):
        with pytest.raises(LimitError, match=f"^{model_name}: .*allowed|^{model_name}: .*\\d"):
            ask()

    assert bench.wire.sent[sent:] == []


# -- silence, garbage and late replies -----------------------------------------------------------


def test_silence_becomes_our_error_with_device_action_and_time(stand, model_name):
    bench = stand(model_name)
    device = bench.connect()
    device.identify()
    bench.wire.arrive = lambda reply: (0.0, None)

    with pytest.raises(DeviceError) as caught:
        read_all(bench, device)

    assert caught.value.device == model_name
    assert isinstance(caught.value, LinkTimeout)
    assert str(caught.value).startswith(f"{model_name}: ")
    assert any(digit in str(caught.value) for digit in "0123456789")


GARBAGE = (b"\xff\x00garbage", b"0x", b"nan", b"", b"{}", b'{"id": 1}', b"[1]", b"null", b"9" * 500)


@pytest.mark.parametrize("garbage", GARBAGE, ids=[str(number) for number in range(len(GARBAGE))])
def test_garbage_becomes_our_error(stand, simulated_model, garbage):
    bench = stand(simulated_model)
    device = bench.connect()
    device.identify()
    framed = bench.framed(garbage)
    bench.wire.arrive = lambda reply: (0.0, framed)

    with pytest.raises(DeviceError) as caught:
        read_all(bench, device)

    assert caught.value.device == simulated_model
    assert str(caught.value).startswith(f"{simulated_model}: ")


def read_all(bench, device):
    """Ask for something that every model can't know by itself."""
    if bench.kind.role in (BiasSupply, Positioner):
        return device.settings()
    return device.read()


def test_a_late_reply_never_answers_the_next_question(stand, simulated_model):
    """Each reply in turn comes late by up to three timeouts, and is the reply to nothing else."""
    for nth in range(4):
        for delay_s in (0.55, 0.9, 1.3):
            bench = stand(simulated_model)
            device = bench.connect()
            device.identify()
            arrived = count()

            def late(reply, nth=nth, delay_s=delay_s, arrived=arrived):
                return (delay_s if next(arrived) == nth else 0.0), reply

            bench.wire.arrive = late
            with suppress(DeviceError):
                bench.part.operate(bench, device, chance(simulated_model))
            assert next(arrived) > nth


# -- nothing changes by being looked at ----------------------------------------------------------

PASSING = ("_lines", "_compiled", "_parsed", "_identity_cache")
UNCOMPARED = (Outbox, LineBuffer, np.random.Generator, np.random.SeedSequence)


def walk(thing: Any, path: str, seen: set[int], found: dict[str, Any]) -> None:
    """Collect every number, text and array below an object, by its path."""
    if isinstance(thing, Enum | str | bytes | bool | int | float | type(None)):
        found[path] = thing
        return
    if id(thing) in seen or isinstance(thing, UNCOMPARED) or callable(thing):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        found[path] = thing.tobytes()
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            walk(value, f"{path}[{key}]", seen, found)
    elif isinstance(thing, list | tuple | deque | set | frozenset):
        found[f"{path}.len"] = len(thing)
        for index, value in enumerate(thing):
            walk(value, f"{path}[{index}]", seen, found)
    else:
        for name in (*getattr(thing, "__dict__", ()), *slots_of(type(thing))):
            if name not in PASSING and hasattr(thing, name):
                walk(getattr(thing, name), f"{path}.{name}", seen, found)


def slots_of(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]


def whole_state(bench: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    seen: set[int] = set()
    walk(bench.world, "world", seen, found)
    for port, core in bench.setup.cores.items():
        walk(core, port, seen, found)
    return found


# What passes by itself, or belongs to the connection and not to the instrument
ALLOWED = (
    "._quiet_until", "._busy_until", "._last_byte_s", "._client", "._is_authorized", "._echoes",
    ".is_open", ".is_listed", "._sends_binary", "gauge._asked", "gauge._talk",
    "._update_chain",
)  # fmt: skip


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        path: (left.get(path), right.get(path))
        for path in left.keys() | right.keys()
        if not same(left.get(path), right.get(path)) and not path.endswith(ALLOWED)
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (isnan(one) and isnan(other))
    return bool(one == other)


def test_connecting_attaching_reconnecting_and_closing_change_nothing(stand, simulated_model):
    """Compare with a twin that nobody looked at, down to the last variable of cores and world."""
    looked_at, left_alone = stand(simulated_model), stand(simulated_model)
    for bench in (looked_at, left_alone):
        device = bench.connect()
        device.identify()
        bench.part.operate(bench, device, chance(simulated_model))
        device.close()
        bench.clock.wait(5.0)
    assert differences(whole_state(looked_at), whole_state(left_alone)) == {}

    for _ in range(2):
        device = looked_at.connect()
        device.identify()
        device.settings()
        device.read()
        looked_at.wire.reset()
        device.settings()
        device.close()
        device.close()
    looked_at.clock.wait(1.0)
    left_alone.clock.wait(looked_at.clock.now() - left_alone.clock.now())

    assert differences(whole_state(looked_at), whole_state(left_alone)) == {}


def test_closing_twice_is_harmless_and_a_closed_device_says_so(stand, model_name):
    bench = stand(model_name)
    device = bench.connect()
    device.identify()

    device.close()
    device.close()

    if bench.setup is not None:
        with pytest.raises(DeviceError) as caught:
            device.settings()
        assert caught.value.device == model_name


# -- power cycles --------------------------------------------------------------------------------

# What a power cycle changes after the small sweep; everything else is in non-volatile memory
FORGOTTEN: Mapping[str, set[str]] = {
    "acton.spectrapro": {"wavelength_nm"},
    "attocube.anc300": {"drive_z_V"},
    "elliptec.ell14": {"is_homed"},
    "horiba.ccd": {"exposure_s"},
    "horiba.monochromator": {"is_initialised"},
    "keithley.2410": {"off_state", "source_range_V", "protection_V", "current_limit_A"},
    "keithley.2470": {"source_range_V", "protection_V", "current_limit_A", "current_range_A"},
    "lakeshore.335": {"heater_range"},
    "lakeshore.336": {"heater_range"},
    "lakeshore.350": {"heater_range"},
    "numato.relay": {"is_on"},
    "oxford.mercuryitc": {"loop_enabled"},
    "thorlabs.k10cr1": {"is_homed"},
}


def test_after_a_power_cycle_the_settings_tell_and_are_reconciled(stand, simulated_model):
    bench = stand(simulated_model)
    device = bench.connect()
    device.identify()
    bench.part.operate(bench, device, chance(simulated_model))
    before = dict(device.settings())

    bench.core.power_cycle(bench.clock.now())
    bench.clock.wait(60.0)
    after = dict(settings_at_last(bench, device))

    changed = {key for key in before if before[key] != after[key]}
    assert before.keys() == after.keys()
    assert FORGOTTEN.get(simulated_model, set()) <= changed
    assert bool(changed) is (simulated_model in FORGOTTEN), f"say {changed} in FORGOTTEN"

    if hasattr(device, "initialise"):
        bench.finish(device.initialise())
    bench.part.operate(bench, device, chance(simulated_model))
    assert set(device.settings().items()) >= {(key, before[key]) for key in changed}


def test_a_camera_that_was_restarted_after_arming_exposes_nothing(stand):
    bench = stand("horiba.ccd")
    device = bench.connect()
    device.arm(ExposureSettings(0.5, rows=(4, 8)))
    bench.core.power_cycle(bench.clock.now())
    bench.clock.wait(60.0)

    with pytest.raises(DeviceError):
        device.trigger()
    assert not bench.world.camera.is_exposing()
    device.arm(ExposureSettings(0.5, rows=(4, 8)))
    bench.finish(device.trigger())
    assert device.settings()["exposure_s"] == 0.5


def settings_at_last(bench, device):
    """Read the settings; what the boot left on the line may cost a few tries, never a lie."""
    for _ in range(5):
        try:
            return device.settings()
        except DeviceError:
            bench.clock.wait(2.0)
    return device.settings()


# -- safety --------------------------------------------------------------------------------------


def test_no_range_changes_while_the_output_is_on(stand, bias_model):
    bench = stand(bias_model)
    device = bench.connect()
    for max_V in (15.0, 150.0, 1.0, 15.0):
        device.configure(BiasSettings(max_V, 1e-6, 500.0))
        device.switch_output(True)
        for level_V in (0.5, -0.5):
            device.set_level(level_V)
            bench.clock.wait(0.5)
            device.measure()
        with pytest.raises(StateError):
            device.configure(BiasSettings(100.0, 1e-6, 500.0))
        device.set_level(0.0)
        device.switch_output(False)

    log, is_on = bench.world.bias.log, False
    assert any("range" in event for *_, event in log)
    for *_, event in log:
        assert not (is_on and "range" in event), event
        is_on = ("output on" in event) or (is_on and "output off" not in event)
    assert not any("spike" in event for *_, event in log)


def test_the_safe_state_is_reached_from_work_read_back_and_reached_again(stand, model_name):
    bench = stand(model_name)
    device = bench.connect()
    device.identify()
    bench.part.operate(bench, device, chance(model_name))
    if bench.kind.role is BiasSupply:
        device.switch_output(True)
        device.set_level(5.0)

    for _ in range(2 if bench.part.safe else 0):
        bench.part.safe(bench, device)


def test_stopping_on_the_way_is_idempotent(stand, simulated_model):
    bench = stand(simulated_model)
    device = bench.connect()
    device.identify()
    stop = getattr(device, "stop", None) or getattr(device, "hold", None)
    if stop is None:
        assert not hasattr(device, "move_by")
        return
    if hasattr(device, "home"):
        bench.finish(device.home())
        moving = device.set(170.0)
    elif hasattr(device, "axes"):
        moving = device.move_by("x", 400)
    elif hasattr(device, "positions"):
        moving = device.set(device.positions[1])
    elif hasattr(device, "hold"):
        moving = device.set(8.0)
    elif bench.kind.role is Shutter:
        moving = device.set(True)
    else:
        moving = device.set(600.0, 1)
    bench.clock.wait(0.1)

    for _ in range(3):
        stop()

    for _ in range(4000):
        if moving.poll():
            break
        bench.clock.wait(0.05)
    assert moving.done
    assert moving.exception() is None or isinstance(moving.exception(), DeviceError)
    before = optics(bench)
    bench.clock.wait(2.0)
    assert optics(bench) == before


def optics(bench):
    world = bench.world
    return world.optics.polarizer_mechanical_deg, world.optics.centre_nm, dict(bench.steps)
