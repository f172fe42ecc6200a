"""Whatever comes over the wire: nothing raises, nothing grows, and splitting changes nothing."""

import json
import random
from collections.abc import Callable

import pytest

from simulators.core import LineBuffer
from simulators.setup import SimulatedSetup, SimulatorSettings
from simulators.truth import CameraTruth, Truth

MESSAGES: dict[str, list[bytes]] = {
    "cryostat": [
        b"*IDN?\n", b"KRDG? 0;RDGST? A\r\n", b"SETP 1,12.5\n", b"SETP? 1;:RAMP? 1\n", b"FOO\n",
        b"RANGE 1,2;RANGE? 1\n", b"PID 1,50,20,0;PID? 1;*ESR?\n", b"TLIMIT A,300;TLIMIT? A\n",
        b"OUTMODE 1,3,0,1\n", b'INNAME A,"x;y"\n', b"RAMP 1,1,5\n", b"*STB?;OPSTR?\n", b"\n;;\n",
    ],
    "bias": [
        b"*IDN?\r", b":SOUR:VOLT:LEV 5;:OUTP ON\r", b":READ?\r", b":SYST:ERR?\r",
        b":FORM:ELEM VOLT\r",
        b":SENS:FUNC 'CURR','VOLT';:SENS:FUNC?\r\n", b":SOUR:VOLT:PROT 40;PROT?\r", b"*RST\r",
        b":SENS:CURR:PROT 1e-6;:SENS:CURR:RANG 1e-6\r", b":OUTP?;:OUTP:SMOD?;*ESR?\n", b":FOO?\r",
        b":TRIG:COUN 3;:INIT\r", b":TRAC:DATA?;:CALC3:DATA?\r", b":SOUR:FUNC CURR\r", b"\x03",
    ],
    "elliptec": [
        b"0in", b"1in", b"0gs", b"0gp\r\n", b"0ho0", b"0ma00004600", b"0mrFFFFDD00", b"1fw", b"1bw",
        b"0st", b"0sj00001000", b"0gj", b"0sv32", b"0xx", b"5gp", b"0is01", b"0ga3", b"3gp", b"0om",
    ],
    "icl": [
        json.dumps({"id": 3, "command": command, "parameters": {"index": 0} | parameters}).encode()
        for command, parameters in [
            ("icl_info", {}), ("ccd_discover", {}), ("ccd_open", {}), ("ccd_getConfig", {}),
            ("mono_discover", {}), ("mono_open", {}), ("mono_moveToPosition", {"wavelength": 520}),
            ("ccd_setExposureTime", {"time": 10}),
            ("ccd_setAcqFormat", {"format": 1, "numberOfRois": 1}),
            ("ccd_setRoi", {"roiIndex": 1, "xOrigin": 0, "yOrigin": 0, "xSize": 32, "ySize": 8,
                            "xBin": 1, "yBin": 8}),
            ("ccd_acquisitionStart", {"openShutter": True}), ("ccd_getAcquisitionData", {}),
            ("ccd_acquisitionAbort", {}), ("mono_moveGrating", {"position": 1}),
            ("mono_isBusy", {}),
        ]
    ],
}  # fmt: skip


def seeded(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - repeatable, not secret


def small_setup() -> SimulatedSetup:
    camera = CameraTruth(pixels=32, rows=8, spot_row=3.5)
    return SimulatedSetup(Truth(camera=camera), seed=1, settings=SimulatorSettings())


def replies_to(
    port: str, messages: list[bytes], cut: Callable[[bytes], list[bytes]]
) -> list[bytes]:
    setup = small_setup()
    line, now, replies = setup.line(port), 0.0, []
    for message in messages:
        for piece in cut(message):
            line.receive(piece, now)
        now += 0.5
        replies.append(b"".join(line.transmit(now)))
    return replies


def whole(message: bytes) -> list[bytes]:
    return [message]


def bytewise(message: bytes) -> list[bytes]:
    return [message[i : i + 1] for i in range(len(message))]


@pytest.mark.parametrize("port", ["cryostat", "bias", "elliptec"])
def test_a_message_fed_byte_by_byte_has_the_same_reply(port: str) -> None:
    random_order = seeded(port)
    messages = [message for _ in range(10) for message in random_order.sample(MESSAGES[port], 10)]

    assert replies_to(port, messages, bytewise) == replies_to(port, messages, whole)


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
                changed[place:place] = chance.choice(
                    (b",", b";", b"?", b'"', b"1e309", b"nan", b"[]")
                )
    return bytes(changed)


def size_of(setup: SimulatedSetup) -> int:
    """Return how many entries all containers of the cores hold."""
    return sum(
        len(value)
        for core in (*setup.cores.values(), setup.icl.camera, setup.icl.mono)
        for value in vars(core).values()
        if isinstance(value, dict | list | set | bytearray)
    )


@pytest.mark.parametrize(
    ("port", "template"),
    [
        ("cryostat", "SETP 1,{}\n"),
        ("cryostat", "ZONE 1,1,{},1,1,1,1,1,1\n"),
        ("bias", ":SOUR:VOLT 1e-{}\r"),
        ("bias", ":READ?;:FOO{}?\r"),
        ("elliptec", "0ga3"),
        ("elliptec", "0ma{:08X}"),
        ("icl", '{{"id":{0},"command":"mono_moveSlitMM","parameters":{{"locationId":{0}}}}}'),
    ],
)
def test_many_different_messages_fill_nothing(port: str, template: str) -> None:
    setup = small_setup()
    line = setup.line(port)

    growth = 0
    before = size_of(setup)

    for number in range(6000):
        line.receive(template.format(number).encode(), 0.1 * number)
        line.transmit(0.1 * number)
        growth = max(growth, size_of(setup) - before if number % 500 == 0 else 0)

    assert growth < 1100  # the memory of parsed messages holds about a thousand


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("port", sorted(MESSAGES))
def test_mutated_messages_never_raise_and_leave_nothing_hanging(port: str, seed: int) -> None:
    chance = seeded(f"{port} {seed}")
    setup = small_setup()
    line, now, sent = setup.line(port), 0.0, 0

    for _ in range(400):
        message = mutated(chance.choice(MESSAGES[port]), chance)
        line.receive(message, now)
        sent += len(message)
        now += chance.choice((0.0, 0.001, 0.05, 0.5))
        line.transmit(now)

    now += 1000.0
    setup.line(port).transmit(now)
    due = line.next_due()
    assert due is None or due > now
    assert sent > 1000


@pytest.mark.parametrize("port", sorted(MESSAGES))
def test_noise_never_raises_and_the_instrument_still_answers(port: str) -> None:
    chance = seeded(f"noise {port}")
    setup = small_setup()
    line = setup.line(port)
    for step in range(300):
        line.receive(chance.randbytes(chance.randint(0, 300)), float(step))
        line.transmit(float(step))
    now = 1000.0
    line.transmit(now)
    setup.cores[port].power_cycle(now)

    line.transmit(now + 60.0)
    line.receive(MESSAGES[port][0], now + 60.0)

    assert line.transmit(now + 61.0)


def test_a_line_buffer_forgets_what_is_too_long_and_counts_it() -> None:
    buffer = LineBuffer(b"\r\n", max_length=10)

    assert buffer.feed(b"12345678901") == []
    assert buffer.feed(b"2345\nshort\r") == [b"short"]
    assert buffer.overruns == 1
    assert buffer.feed(b"\r\n\r\n") == []
