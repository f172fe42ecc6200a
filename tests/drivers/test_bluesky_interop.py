"""Bluesky's own RunEngine scans our simulated instruments."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.addresses import OPENERS
from drivers.bluesky_adapter import Detector, Movable, Polled, Readable
from drivers.clock import VirtualClock
from drivers.connections import Connections
from drivers.errors import LimitError, StateError
from drivers.roles import ExposureSettings
from drivers.status import Status
from simulators.setup import SimulatedSetup
from simulators.truth import Truth

bluesky = pytest.importorskip("bluesky")

PACKAGE = Path(__file__).parents[2] / "drivers"


@pytest.fixture
def laboratory() -> Iterator[SimpleNamespace]:
    """Stage, spectrograph, thermometer and camera of one simulated world."""
    clock = VirtualClock()
    setup = SimulatedSetup(Truth(), seed=3)
    openers = {**OPENERS, "sim": lambda at, framing, _: setup.link(at[6:], clock, framing)}
    with closing(Connections(clock, openers)) as connections:
        stage: Any = connections.connect("stage", "elliptec.ell14", "sim://elliptec")
        shutter: Any = connections.connect("shutter", "elliptec.ell6", "sim://elliptec")
        mono: Any = connections.connect("mono", "horiba.monochromator", "sim://icl")
        camera: Any = connections.connect("camera", "horiba.ccd", "sim://icl")
        cryostat: Any = connections.connect("cryostat", "lakeshore.336", "sim://cryostat")
        for start in (stage.home, lambda: shutter.set(True)):
            settle(start(), clock)
        camera.arm(ExposureSettings(0.1, rows=(118, 20)))
        yield SimpleNamespace(
            world=setup.world,
            clock=clock,
            stage=stage,
            angle=Movable(stage, clock, "angle_deg", stage.set),
            centre=Movable(mono, clock, "wavelength_nm", lambda nm: mono.set(nm, 0)),
            thermometer=Readable(cryostat, clock),
            camera=Detector(
                camera,
                clock,
                camera.trigger,
                lambda: {"counts": float(camera.collect()[0].counts.sum())},
                {"counts": ""},
            ),
        )


@pytest.fixture
def engine() -> Iterator[Any]:
    from bluesky import RunEngine

    engine = RunEngine({}, context_managers=[])
    yield engine
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join()
    engine.loop.close()


def settle(status: Status, clock: VirtualClock) -> None:
    while not status.poll():
        clock.wait(0.02)
    status.check()


def run(engine: Any, plan: Any) -> list[dict[str, Any]]:
    """Run the plan and return the data of its events."""
    documents: list[tuple[str, dict[str, Any]]] = []
    engine(plan, lambda name, document: documents.append((name, document)))
    (stop,) = [document for name, document in documents if name == "stop"]
    assert stop["exit_status"] == "success"
    return [document["data"] for name, document in documents if name == "event"]


def test_they_satisfy_the_protocols(laboratory: SimpleNamespace) -> None:
    from bluesky import protocols

    for readable in (laboratory.angle, laboratory.thermometer, laboratory.camera):
        assert isinstance(readable, protocols.Readable)
        assert isinstance(readable, protocols.Configurable)
    assert isinstance(laboratory.angle, protocols.Movable)
    assert isinstance(laboratory.camera, protocols.Triggerable)
    assert isinstance(Polled(Status.finished("nothing"), laboratory.clock), protocols.Status)


def test_scan_turns_the_stage_and_exposes(engine: Any, laboratory: SimpleNamespace) -> None:
    from bluesky.plans import scan

    events = run(engine, scan([laboratory.camera], laboratory.angle, 0, 90, 3))

    assert [event["stage_angle_deg"] for event in events] == pytest.approx([0, 45, 90], abs=0.1)
    assert all(event["camera_counts"] > 0 for event in events)
    assert laboratory.world.optics.polarizer_mechanical_deg == pytest.approx(90, abs=0.1)


def test_grid_scan_moves_stage_and_spectrograph(engine: Any, laboratory: SimpleNamespace) -> None:
    from bluesky.plans import grid_scan

    angles = (laboratory.angle, 10, 20, 2)
    centres = (laboratory.centre, 515, 520, 2)
    events = run(engine, grid_scan([laboratory.thermometer], *angles, *centres))

    grid = [(event["stage_angle_deg"], event["mono_wavelength_nm"]) for event in events]
    expected = [(10, 515), (10, 520), (20, 515), (20, 520)]
    assert sorted(grid) == [pytest.approx(point, abs=0.1) for point in expected]
    assert all(event["cryostat_temperature_K"] > 4 for event in events)


def test_rel_scan_starts_and_ends_where_the_stage_is(
    engine: Any, laboratory: SimpleNamespace
) -> None:
    from bluesky.plans import rel_scan

    settle(laboratory.stage.set(30.0), laboratory.clock)
    events = run(engine, rel_scan([laboratory.thermometer], laboratory.angle, -5, 5, 3))

    assert [event["stage_angle_deg"] for event in events] == pytest.approx([25, 30, 35], abs=0.2)
    assert laboratory.angle.position == pytest.approx(30, abs=0.2)


def test_a_refused_move_ends_the_plan_with_our_error(
    engine: Any, laboratory: SimpleNamespace
) -> None:
    from bluesky.plans import scan

    with pytest.raises(LimitError, match="mono"):
        engine(scan([laboratory.thermometer], laboratory.centre, 500, 5000, 2))


def test_a_move_that_fails_on_the_way_fails_the_status(laboratory: SimpleNamespace) -> None:
    def advance() -> bool:
        raise StateError("stage", "blocked")

    called: list[Polled] = []
    status = Polled(Status("turn", advance), laboratory.clock)
    assert isinstance(status.exception(5.0), StateError)
    status.add_callback(called.append)
    assert called == [status]
    assert (status.done, status.success) == (True, False)


def test_a_status_that_is_not_done_says_so_in_time() -> None:
    class Patient(VirtualClock):
        def wait(self, seconds: float) -> None:
            self.on_advance[0](seconds)

    clock = Patient()
    done: list[float] = []
    gate = Event()
    clock.on_advance.append(lambda _: gate.wait(5.0))
    status = Polled(Status("wait", lambda: bool(done)), clock)
    with pytest.raises(TimeoutError, match="wait: not done in 0"):
        status.exception(0.0)
    done.append(1.0)
    gate.set()
    assert status.exception(5.0) is None
    assert status.success


def test_bluesky_is_no_part_of_the_program() -> None:
    imports = [
        file.name
        for file in PACKAGE.glob("*.py")
        if any(
            line.startswith(("import bluesky", "from bluesky"))
            for line in map(str.strip, file.read_text(encoding="utf-8").splitlines())
        )
    ]
    assert imports == []
