"""Two programs that want the same instruments, each a process of its own."""

import re
import signal

import pytest

SCALE = 40
REST = """
[[axis]]
quantity = "repeat"
points = {points}

[exposure]
time = "1 s"

[background]
kinds = []

[fit.model]
lines = 3
shape = "gauss"
window = ["2.384 eV", "2.399 eV"]
"""


@pytest.fixture
def setup(serve):
    return serve(SCALE)


def test_whoever_comes_second_is_told_who_has_the_instruments_until_that_is_killed(
    setup, cryoscan, tmp_path
):
    short = setup.write_sweep(REST.format(points=2))
    endless = setup.write_sweep(REST.format(points=2000), "endless")
    same = tmp_path / "same.toml"
    same.write_text(setup.station.read_text())
    engine = cryoscan.start("engine", setup.station)
    engine.await_text("runs, pid")

    for refused in (
        cryoscan("engine", setup.station),
        cryoscan("engine", same),
        cryoscan("run", short, "--station", same),
    ):
        assert refused.wait() == 1
        assert re.search(
            rf"StationTaken: .* belongs to the engine of .*, pid {engine.pid}, since 20.* UTC;",
            " ".join(refused.err.split()),
        ), refused.err
        assert "cryoscan gui" in refused.err
        assert "Traceback" not in refused.err
    assert not (tmp_path / "runs").exists()

    engine.send(signal.SIGKILL)
    assert engine.wait() == -signal.SIGKILL
    run = cryoscan.start("run", endless, "--station", setup.station, "--no-final")
    folder = run.run_folder()
    second = cryoscan("engine", same)
    assert second.wait() == 1
    assert f"the run of short, pid {run.pid}," in second.err.replace("\n", " ")

    run.send(signal.SIGKILL)  # with its fits in another process
    assert run.wait() == -signal.SIGKILL
    again = cryoscan("run", short, "--station", same, "--no-final")
    assert again.wait() == 0, again.err
    assert folder.exists()
