"""The instruments that stand at a port only when asked for, under noise and mutated messages."""

import random

import pytest

from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import CameraTruth, CryostatTruth, Truth

LOOP = b"DEV:MB1.T1:TEMP:LOOP"
CASES: dict[tuple[str, str], list[bytes]] = {
    ("cryostat", "oxford.mercuryitc"): [
        b"*IDN?\n", b"READ:SYS:CAT\n", b"READ:DEV:MB1.T1:TEMP:SIG:TEMP\n",
        b"READ:DEV:MB1.T1:TEMP\n",
        b"SET:" + LOOP + b":TSET:10.5K\n", b"SET:" + LOOP + b":P:1:I:2:D:0\n", b"@1READ:SYS:ALRM\n",
        b"SET:" + LOOP + b":ENAB:ON:RENA:ON:RSET:5\n", b"SET:" + LOOP + b":FSET:20:FAUT:ON\n",
        b"SET:DEV:MB0.H1:HTR:VLIM:10\n", b"SET:DEV:MB0.H1:HTR:RES:25\n", b"SET::\n", b"READ:\n",
        b"SET:SYS:DISP:DIMA:ON\n", b"READ:DEV:DB4.G1:AUX:SIG:STEP\n",
    ],
    ("cryostat", "lakeshore.335"): [
        b"*IDN?\n", b"HTRSET 1,0,1,0,1.5,2\n", b"HTRSET 2,1,1,1,0,1;RANGE 2,1\n", b"EMUL 0,0\n",
        b"OUTMODE 2,4,1,0;POLARITY 2,1\n", b"SETP 1,12;RAMP 1,1,5;RANGE 1,3\n", b"KRDG? B\n",
    ],
    ("cryostat", "lakeshore.350"): [
        b"*IDN?\n", b"RANGE 1,5;RANGE? 1\n", b"RAMP 1,1,0.005;RAMP? 1\n", b"SETP 1,5;KRDG? 0\n",
    ],
    ("gauge", "pfeiffer.tpg361"): [
        b"AYT\r\n", b"PR1\r", b"\x05", b"PRX\r\n\x05", b"UNI,2\r\n", b"COM,0\r", b"\x03",
        b"SEN,1\r\x05", b"ERR\r\x05", b"FIL,2\r\x05", b"FOO\r\x05",
    ],
    ("power_meter", "thorlabs.pm100d"): [
        b"*IDN?\n", b"MEAS:POW?\n", b"SENS:CORR:WAV 520;WAV?\n", b"SENS:POW:RANG 1e-3;RANG:AUTO?\n",
        b"SENS:AVER 1000;:READ?\n", b"SYST:ERR?\n", b"SENS:POW:UNIT DBM\n", b"*ESE 300;*RST\n",
        b"SYST:SENS:IDN?\n", b"CORR -3;CORR?\n",
    ],
}  # fmt: skip


def setup_with(port: str, model: str) -> SimulatedSetup:
    truth = Truth(
        camera=CameraTruth(pixels=32, rows=8, spot_row=3.5),
        cryostat=CryostatTruth(cooling="helium_flow" if "oxford" in model else "closed_cycle"),
    )
    return SimulatedSetup(truth, 1, settings=SimulatorSettings(models={port: model}))


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
                changed[place:place] = chance.choice((b",", b":", b"?", b"@", b"1e309", b"nan"))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("port", "model"), sorted(CASES))
def test_whatever_is_sent_nothing_raises_and_the_instrument_still_answers(port, model, seed):
    chance = random.Random(f"{model} {seed}")  # noqa: S311 - repeatable, not secret
    setup = setup_with(port, model)
    line, now, messages = setup.line(port), 0.0, CASES[port, model]

    for _ in range(300):
        is_noise = chance.random() < 0.2
        message = chance.randbytes(chance.randint(0, 300)) if is_noise else b""
        line.receive(message or mutated(chance.choice(messages), chance), now)
        now += chance.choice((0.0, 0.001, 0.05, 0.5))
        line.transmit(now)
    setup.cores[port].power_cycle(now)
    now += 60.0
    line.transmit(now)
    line.receive(messages[0], now)

    assert line.transmit(now + 1.0)


@pytest.mark.parametrize(("port", "model"), sorted(CASES))
def test_a_message_fed_byte_by_byte_has_the_same_reply(port, model):
    def replies(pieces_of) -> list[bytes]:
        setup = setup_with(port, model)
        line, now, found = setup.line(port), 0.0, []
        for message in CASES[port, model]:
            for piece in pieces_of(message):
                line.receive(piece, now)
            now += 2.0
            found.append(b"".join(line.transmit(now)))
        return found

    bytewise = replies(lambda message: [message[i : i + 1] for i in range(len(message))])

    assert bytewise == replies(lambda message: [message])
    assert any(bytewise)
