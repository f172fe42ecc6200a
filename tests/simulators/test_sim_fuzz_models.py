"""Noise and mutated messages into the cores of the other models: nothing raises, nothing grows."""

import random

import pytest
import thorlabs_apt_protocol as apt

from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import CameraTruth, Truth

STANDING = {
    "bias": "keithley.2470",
    "spectrograph": "acton.spectrapro",
    "rotator": "thorlabs.k10cr1",
    "flip": "thorlabs.mff101",
    "relay": "numato.relay",
    "positioner": "attocube.anc300",
}
UNIT = (0x50, 0x01)
MESSAGES: dict[str, list[bytes]] = {
    "bias": [
        b"*IDN?\n", b":SOUR:VOLT 5;:OUTP ON\n", b':READ? "defbuffer1",SOUR,READ\n', b":SYST:ERR?\n",
        b":SOUR:VOLT:PROT PROT40;PROT?\n", b":SOUR:VOLT:ILIM 1e-6;:SENS:CURR:RANG 1e-6\n",
        b"*RST\n",
        b":SENS:FUNC 'VOLT';:SENS:COUN 3\n", b":TRAC:DATA? 1,5,\"defbuffer1\",READ\n", b":FOO?\n",
        b"*LANG?;*ESR?\n", b":OUTP:SMOD HIMP\n",
    ],
    "spectrograph": [
        b"MODEL\r", b"?NM\r", b"546.1 GOTO\r", b"2 GRATING\r", b"?GRATINGS\r", b"530 >NM\r",
        b"ECHO\r",
        b"MONO-?DONE\r", b"NO-ECHO\r", b"EXIT-MIRROR SIDE ?MIRROR\r", b"100 NM/MIN\r", b"FOO\r",
    ],
    "rotator": [
        apt.hw_req_info(*UNIT), apt.mot_move_home(*UNIT, 1),
        apt.mot_move_absolute(*UNIT, 1, 50_000), apt.mot_move_stop(*UNIT, 1, 1),
        apt.mot_req_statusupdate(*UNIT, 1), apt.mot_move_jog(*UNIT, 1, 2),
        apt.hw_start_updatemsgs(*UNIT), apt.mot_set_velparams(*UNIT, 1, 0, 15020, 73291090),
        apt.mot_move_velocity(*UNIT, 1, 1), apt.mot_set_poscounter(*UNIT, 1, 77),
    ],
    "flip": [
        apt.hw_req_info(*UNIT), apt.mot_move_jog(*UNIT, 1, 2), apt.mot_move_jog(*UNIT, 1, 1),
        apt.mot_req_statusupdate(*UNIT, 1), apt.mot_req_mmf_operparams(*UNIT, 1),
    ],
    "relay": [b"id get\r", b"relay on 1\r", b"relay read 1\r", b"relay writeall ff\r", b"ver\r"],
    "positioner": [
        b"123456\r\n", b"getcser\r\n", b"setm 1 stp\r\n", b"setv 1 60\r\n", b"setf 1 500\r\n",
        b"stepu 1 100\r\n", b"stepd 1 c\r\n", b"stop 1\r\n", b"setm 2 cap\r\n", b"capw 2\r\n",
        b"stepw 1\r\n", b"echo off\r\n", b"getc 1\r\n",
    ],
}  # fmt: skip


def small_setup() -> SimulatedSetup:
    truth = Truth(camera=CameraTruth(pixels=32, rows=8, spot_row=3.5))
    return SimulatedSetup(truth, seed=1, settings=SimulatorSettings(models=STANDING))


def mutated(message: bytes, chance: random.Random) -> bytes:
    changed = bytearray(message)
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[place:place] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 3)]
            case 2 if place < len(changed):
                changed[place] ^= 1 << chance.randrange(8)
            case _:
                changed[place:place] = chance.choice((b",", b";", b" ", b'"', b"1e309", b"nan"))
    return bytes(changed)


def size_of(setup: SimulatedSetup, port: str) -> int:
    """Return how many entries all containers of a core hold."""
    containers = (dict, list, set, bytearray)
    core = setup.cores[port]
    return sum(len(value) for value in vars(core).values() if isinstance(value, containers))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("port", sorted(MESSAGES))
def test_mutated_messages_never_raise_and_fill_nothing(port: str, seed: int) -> None:
    chance = random.Random(f"{port} {seed}")  # noqa: S311 - repeatable, not secret
    setup = small_setup()
    line, now, before = setup.line(port), 0.0, size_of(setup, port)

    for _ in range(300):
        line.receive(mutated(chance.choice(MESSAGES[port]), chance), now)
        now += chance.choice((0.0, 0.001, 0.05, 0.5))
        line.transmit(now)

    assert size_of(setup, port) - before < 700
    assert setup.world.now == now


@pytest.mark.parametrize("port", sorted(MESSAGES))
def test_after_noise_and_a_power_cycle_the_instrument_answers(port: str) -> None:
    chance = random.Random(f"noise {port}")  # noqa: S311 - repeatable, not secret
    setup = small_setup()
    line = setup.line(port)
    for step in range(200):
        line.receive(chance.randbytes(chance.randint(0, 300)), float(step))
        line.transmit(float(step))
    setup.cores[port].power_cycle(1000.0)
    line.transmit(1060.0)

    line.receive(MESSAGES[port][0], 1060.0)

    assert line.transmit(1061.0)
