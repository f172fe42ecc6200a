"""A small sweep of every model with 1 % faults per message: late, perhaps never, but never wrong.

Every value that a driver returns as good is compared with the world. Where one digit turned into
another on a line without any checksum, no program can see it: such a value is counted apart, and
only if a garbled reply really arrived since the last value that was compared.
"""

import os
import random
from collections import Counter

import pytest

from drivers.errors import DeviceError
from simulators.faults import FaultKind, FaultRate, Faults

PROBABILITY = 0.01
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
        if not faults.count(FaultKind.GARBLED):
            raise AssertionError(f"{name}, seed {seed}: {error}; {faults.fired}") from error
        told["garbled digit"] += 1
    told["good values"] += bench.good
    told["faults"] += len(faults.fired)
    bench.close()


# Websocket frames carry checksums of TCP: their bytes don't change, and none is cut
BINARY_SAFE = {
    "horiba.ccd": (FaultKind.GARBLED, FaultKind.TRUNCATED),
    "horiba.monochromator": (FaultKind.GARBLED, FaultKind.TRUNCATED),
}


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
