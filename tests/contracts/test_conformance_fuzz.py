"""Random and mutated bytes into every simulator core, and as replies into every driver.

What goes in is mutated from what really was said on that line. Nothing but our own errors comes
out, nothing hangs (the time limit of the test), nothing grows: neither the containers of a core nor
the memory that Python has given out, once the first tenth of the strings has filled what is kept.
"""

import logging
import os
import random
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from drivers.errors import DeviceError

SHORT, CAMPAIGN = 150, int(os.environ.get("CONFORMANCE_STRINGS", "100000"))
NASTY = (
    b",",
    b";",
    b"?",
    b'"',
    b"1e309",
    b"nan",
    b"-",
    b"\r\n",
    b"\n",
    b">",
    b"\x00",
    b"[]",
    b"9" * 40,
)
LARGEST = 4000  # entries in all containers of one core
MOST_BYTES = 4_000_000  # more than after a tenth of the strings


def seeded(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - repeatable, not secret


def mutated(message: bytes, chance: random.Random) -> bytes:
    """Return a message with some bytes changed; sometimes noise instead of it."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randint(0, 120))
    changed = bytearray(message[:4000])
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[place:place] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 3)]
            case 2 if place < len(changed):
                changed[place] ^= 1 << chance.randrange(8)
            case 3:
                del changed[place:]
            case _:
                changed[place:place] = chance.choice(NASTY)
    return bytes(changed)


def spoken(stand: Callable, name: str) -> tuple[list[bytes], list[bytes]]:
    """Return what driver and instrument say to each other in a small sweep."""
    bench = stand(name)
    device = bench.connect()
    device.identify()
    device.settings()
    device.read()
    bench.part.operate(bench, device, seeded(name))
    return list(dict.fromkeys(bench.wire.sent)), list(dict.fromkeys(bench.wire.received))


class Memory:
    """What Python has given out since a tenth of the strings."""

    def __init__(self, strings: int) -> None:
        self.grown = 0
        self._first, self._before = strings // 10, 0
        tracemalloc.start()

    def look(self, number: int) -> None:
        if number == self._first:
            self._before = tracemalloc.get_traced_memory()[0]
        elif number > self._first and number % 500 == 0:
            self.grown = max(self.grown, tracemalloc.get_traced_memory()[0] - self._before)

    def close(self) -> None:
        tracemalloc.stop()


@pytest.fixture
def memory() -> Iterator[Callable[[int], Memory]]:
    made: list[Memory] = []
    logging.disable()  # pytest keeps every record

    def make(strings: int) -> Memory:
        made.append(Memory(strings))
        return made[-1]

    yield make
    logging.disable(logging.NOTSET)
    for each in made:
        each.close()


def size_of(core: object) -> int:
    containers = (dict, list, set, bytearray, deque)
    return sum(len(each) for each in vars(core).values() if isinstance(each, containers))


def fuzz_core(stand: Callable, name: str, seed: int, strings: int, memory: Memory) -> None:
    requests, _ = spoken(stand, name)
    chance, bench = seeded(f"core {name} {seed}"), stand(name)
    line, now, before = bench.setup.line(bench.stand.port), 0.0, size_of(bench.core)
    for number in range(strings):
        line.receive(mutated(chance.choice(requests), chance), now)
        now += chance.choice((0.0, 0.001, 0.02, 0.1))
        line.transmit(now)
        memory.look(number)
        if number % 100 == 0:
            assert size_of(bench.core) - before < LARGEST
    line.transmit(now + 1000.0)
    bench.core.power_cycle(now + 1000.0)
    line.transmit(now + 1060.0)
    due = line.next_due()
    assert due is None or due > now + 1060.0


def fuzz_driver(
    stand: Callable,
    name: str,
    seed: int,
    strings: int,
    *,
    memory: Memory,
    wrong_value: type[Exception],
) -> int:
    """Feed replies that were mutated as the framing would cut them; return how many.

    The driver reads, and now and then does everything else that its role can do.
    """
    _, replies = spoken(stand, name)
    chance, bench = seeded(f"driver {name} {seed}"), stand(name)
    device = bench.connect()
    device.identify()
    fed = 0

    def spoil(reply: bytes) -> tuple[float, bytes | None]:
        nonlocal fed
        if chance.random() < 0.3:
            return 0.0, reply
        fed += 1
        memory.look(fed)
        bench.wire.sent.clear()
        bench.wire.received.clear()
        source = reply if chance.random() < 0.7 else chance.choice(replies)
        return 0.0, bench.framed(mutated(source, chance))

    def work() -> None:
        with suppress(wrong_value):  # of more than one wrong digit at a time
            bench.part.operate(bench, device, chance)

    bench.wire.arrive = spoil
    rounds = 0
    while fed < strings:
        rounds += 1
        assert rounds < 20 * strings, "no replies come any more"
        before = fed
        works = rounds % 5 == 0
        for ask in (device.read, device.settings, device.identify, *([work] if works else ())):
            try:
                ask()
            except DeviceError as error:
                if error.device != name:
                    raise AssertionError(f"{error!r} names another device") from error
        if fed == before:  # its names came out wrong for good: the line refuses it, as it should
            bench.close()
            device = bench.connect()
            bench.wire.arrive = spoil
    return fed


def test_no_core_raises_hangs_or_grows(stand, simulated_model, commit_seed, memory):
    used = memory(SHORT)

    fuzz_core(stand, simulated_model, commit_seed, SHORT, used)

    assert used.grown < MOST_BYTES


def test_no_reply_is_more_than_our_error(stand, simulated_model, commit_seed, memory, wrong_value):
    used = memory(SHORT)

    fed = fuzz_driver(
        stand, simulated_model, commit_seed, SHORT, memory=used, wrong_value=wrong_value
    )

    assert fed >= SHORT
    assert used.grown < MOST_BYTES


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_campaign_into_the_core(stand, simulated_model, commit_seed, memory):
    used = memory(CAMPAIGN)

    fuzz_core(stand, simulated_model, commit_seed, CAMPAIGN, used)
    print(f"{simulated_model} core: {CAMPAIGN} strings, {used.grown / 1000:.0f} kB more")

    assert used.grown < MOST_BYTES


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_campaign_into_the_driver(stand, simulated_model, commit_seed, memory, wrong_value):
    used = memory(CAMPAIGN)

    fed = fuzz_driver(
        stand, simulated_model, commit_seed, CAMPAIGN, memory=used, wrong_value=wrong_value
    )
    print(f"{simulated_model} replies: {fed} strings, {used.grown / 1000:.0f} kB more")

    assert fed >= CAMPAIGN
    assert used.grown < MOST_BYTES
