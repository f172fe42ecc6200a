"""A small sweep of every model with 1 % faults per message: late, perhaps never, but never wrong.

Every value that a driver returns as good is compared with the world. A digit that turned into
another one on a line without checksum is no exception: what decides something is read twice
(drivers/confirmed.py), so that it takes the same digit garbled alike in two replies in a row.
"""

import os
import random
from collections import Counter
from contextlib import suppress
from itertools import count

import pytest

from drivers.errors import DeviceError
from simulators.faults import FaultKind, FaultRate, Faults

PROBABILITY = 0.01
DIGITS = b"0123456789"
SHORT, LONGEST, CAMPAIGN = 6, 60, int(os.environ.get("CONFORMANCE_RUNS", "1000"))


def operate(make, name: str, seed: int, wrong_value, told: Counter[str], rate=PROBABILITY) -> None:
    """Run one sweep under faults, and count how it ended; what is wrong raises."""
    kinds = tuple(k for k in FaultKind if k not in BINARY_SAFE.get(name, ()))
    faults = Faults(rate=FaultRate(seed, rate, kinds))
    bench = make(name, seed, faults)
    chance = random.Random(f"{name} {seed}")  # noqa: S311 - repeatable, not secret
    try:
        device = bench.connect()
        device.identify()
        bench.part.operate(bench, device, chance)
        told["completed"] += 1
    except DeviceError as error:
        if error.device != name or not str(error).startswith(f"{name}: "):
            raise AssertionError(f"seed {seed}: {error!r} names another device") from error
        told["refused"] += 1
    except wrong_value as error:
        raise AssertionError(f"{name}, seed {seed}: {error}; {faults.fired}") from error
    told["good values"] += bench.good
    told["faults"] += len(faults.fired)
    bench.close()


# Websocket frames carry checksums of TCP: their bytes don't change, and none is cut
BINARY_SAFE = {
    "horiba.ccd": (FaultKind.GARBLED, FaultKind.TRUNCATED),
    "horiba.monochromator": (FaultKind.GARBLED, FaultKind.TRUNCATED),
}


@pytest.mark.transports("in process", "tcp", "pty", "websocket")
def test_nothing_wrong_is_returned_as_good(stand, simulated_model, wrong_value, commit_seed):
    told: Counter[str] = Counter()
    number = 0
    while number < SHORT or not (told["faults"] and told["good values"] + told["refused"]):
        assert number < LONGEST, told  # a few messages may well be spared by 5 % of faults
        seed = commit_seed % 1_000_000 + number
        operate(stand, simulated_model, seed, wrong_value, told, 5 * PROBABILITY)
        number += 1


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_campaign_of_sweeps_under_faults(stand, simulated_model, wrong_value, commit_seed):
    told: Counter[str] = Counter()
    for number in range(CAMPAIGN):
        operate(stand, simulated_model, commit_seed % 1_000_000 + number, wrong_value, told)
    print(f"{simulated_model}: {dict(told)}")

    assert told["good values"] > told["faults"] > 0


def garbled(reply: bytes, chance: random.Random) -> bytes:
    """Return a reply with one byte wrong, a digit for a digit if there is one."""
    digits = [place for place, byte in enumerate(reply) if byte in DIGITS]
    place = chance.choice(digits or range(len(reply)))
    others = [byte for byte in DIGITS if byte != reply[place]] if digits else [reply[place] ^ 5]
    return reply[:place] + bytes((chance.choice(others),)) + reply[place + 1 :]


def sweep_with_one_garbled(make, name: str, nth: int, seed: int) -> bool:
    """Run one sweep whose n-th reply has a wrong digit; return whether there were so many."""
    bench = make(name)
    device = bench.connect()
    device.identify()
    arrived, chance = count(), random.Random(f"{name} {nth} {seed}")  # noqa: S311 - repeatable

    def spoil(reply: bytes) -> tuple[float, bytes | None]:
        is_due = next(arrived) == nth and reply
        return 0.0, bench.framed(garbled(reply, chance)) if is_due else reply

    bench.wire.arrive = spoil
    with suppress(DeviceError):
        bench.part.operate(bench, device, random.Random(name))  # noqa: S311 - repeatable
    bench.close()
    return next(arrived) > nth


def test_no_single_wrong_digit_makes_a_wrong_value(stand, simulated_model, commit_seed):
    """Six replies of the sweep in turn, others with each commit."""
    if simulated_model in BINARY_SAFE:
        return
    length = 0
    while sweep_with_one_garbled(stand, simulated_model, 2**length, commit_seed):
        length += 1
    chance = random.Random(commit_seed)  # noqa: S311 - repeatable, not secret
    for _ in range(6):
        nth = chance.randrange(2 ** (length - 1))
        assert sweep_with_one_garbled(stand, simulated_model, nth, commit_seed)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_campaign_of_single_wrong_digits(stand, simulated_model, commit_seed):
    """Every reply of the sweep in turn, with ten wrong digits each."""
    replies = 0
    if simulated_model in BINARY_SAFE:
        return
    for nth in count():
        if not sweep_with_one_garbled(stand, simulated_model, nth, commit_seed):
            break
        for number in range(1, 10):
            sweep_with_one_garbled(stand, simulated_model, nth, commit_seed + number)
        replies += 1
    print(f"{simulated_model}: {replies} replies garbled in ten ways each")

    assert replies > 5
