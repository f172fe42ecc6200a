import tomllib
from pathlib import Path

import pytest

from acquisition.instruments.served_station import served_station, with_simulation

STATION = (Path(__file__).parents[2] / "examples" / "station_simulated.toml").read_text()
ADDRESSES = {
    "cryostat": "tcp://127.0.0.1:4001",
    "icl": "ws://127.0.0.1:4002",
    "elliptec": "serial:///dev/pts/7",
    "bias": "tcp://127.0.0.1:4003",
}


def test_a_served_station_differs_in_addresses_and_scale_only():
    before = tomllib.loads(STATION)

    served = tomllib.loads(served_station(STATION, ADDRESSES, 60.0))

    assert served.pop("simulation") == {**before.pop("simulation"), "scale": 60}
    for section, entries in served.items():
        if "address" in entries:
            port = before[section].pop("address").removeprefix("sim://")
            assert entries.pop("address") == ADDRESSES[port]
            assert entries.pop("simulated") is True
    assert served == before


def test_comments_stay():
    assert served_station(STATION, ADDRESSES, 1.0).count("#") == STATION.count("#")


def test_a_port_that_nobody_serves_is_named():
    with pytest.raises(ValueError, match="no simulator for sim://bias: there are cryostat, icl"):
        served_station(STATION, {k: v for k, v in ADDRESSES.items() if k != "bias"}, 1.0)


def test_a_station_of_real_instruments_has_nothing_to_serve():
    with pytest.raises(ValueError, match="no address of this station file begins with sim://"):
        served_station('[camera]\naddress = "ws://127.0.0.1:25010"\n', ADDRESSES, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "[simulation]\nseed = 1\n",
        "[simulation]\nscale = 2.5\n[simulation.truth.bias]\ncable_F = 1e-10\n",
        '[station]\nname = "no section yet"\n',
    ],
)
def test_a_number_of_the_simulation_is_set_once_and_nothing_else_changes(text):
    before = tomllib.loads(text)

    after = tomllib.loads(with_simulation(text, "seed", 4242))

    assert after.pop("simulation") == {**before.pop("simulation", {}), "seed": 4242}
    assert after == before
