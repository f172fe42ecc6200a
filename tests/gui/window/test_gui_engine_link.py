"""The link to the engine: what arrives, in batches; what is asked; and how it comes back."""

import numpy as np
import pytest

from acquisition.channel.messages import (
    Axis,
    Committed,
    FrameArrived,
    FrameSource,
    Hello,
    Mode,
    Said,
    Snapshot,
    Verb,
)
from acquisition.channel.watcher_link import LinkLost
from acquisition.storage.record import Level
from gui.link.engine_link import Connection, EngineLink


@pytest.fixture
def link(qtbot, engine):
    one = EngineLink("tester")
    yield one
    one.leave()
    one.deleteLater()


@pytest.fixture
def connected(qtbot, engine, link):
    with qtbot.waitSignal(link.snapshot, timeout=5000):
        link.follow(lambda: next(iter(engine.addresses()), None))
    return link


def _frame(number):
    return FrameArrived(FrameSource.LIVE, number, 0.05, 1.8e9, 1.8e9, (4,), axis=7)


def test_it_greets_and_hears_of_the_engine(connected, engine):
    assert connected.connection is Connection.CONNECTED
    assert connected.hello.station == "laboratory"
    assert connected.hello.watcher.startswith("tester")
    assert connected.latest.mode is Mode.ALIGNING


def test_frames_come_with_the_wavelengths_of_their_axis(qtbot, connected, engine):
    wavelength_nm = np.array([510.0, 511.0, 512.0, np.nan])
    counts = np.array([1, 2, 3, 4], dtype="<i4")
    with qtbot.waitSignal(connected.frames, timeout=5000) as arrived:
        engine.server.publish(Axis(7, (4,)), wavelength_nm)
        engine.server.publish(_frame(1), counts)

    ((frame, got, axis_nm),) = arrived.args[0]
    assert frame.number == 1
    np.testing.assert_array_equal(got, counts)
    np.testing.assert_array_equal(axis_nm, wavelength_nm)


def test_what_comes_together_is_handed_on_together(qtbot, connected, engine):
    batches = []
    connected.committed.connect(batches.append)
    for key in range(50):
        engine.server.publish(Committed(key, key, is_accepted=True, done=key, total=50))

    qtbot.waitUntil(lambda: sum(map(len, batches)) == 50, timeout=5000)

    assert [one.key for batch in batches for one in batch] == list(range(50))
    assert len(batches) < 10


def test_a_request_is_answered_under_its_number(qtbot, connected, engine):
    with qtbot.waitSignal(connected.answered, timeout=5000) as answered:
        number = connected.ask(Verb.MOVE, quantity="temperature_K", value=6.0)

    assert answered.args[0].request == number
    assert answered.args[0].ok
    assert engine.asked[0].quantity == "temperature_K"
    assert engine.asked[0].numbers == {"value": 6.0}


def test_whoever_asks_first_is_in_command_and_knows_it(qtbot, connected, engine):
    assert not connected.is_commander

    connected.ask(Verb.TAKE_COMMAND)

    qtbot.waitUntil(lambda: connected.is_commander, timeout=5000)


def test_without_a_connection_the_answer_is_no_and_says_why(qtbot, link):
    with qtbot.waitSignal(link.answered, timeout=5000) as answered:
        number = link.ask(Verb.PAUSE)

    answer = answered.args[0]
    assert (answer.request, answer.ok) == (number, False)
    assert answer.text == "pause: no engine is connected"


def test_an_engine_that_ends_is_missed_and_its_successor_found(qtbot, connected, engine):
    with qtbot.waitSignal(connected.lost, timeout=5000):
        engine.stop()
    assert connected.connection is Connection.SEARCHING
    assert connected.latest is None

    engine.hello = Hello(engine="two", station="laboratory")
    with qtbot.waitSignal(connected.said_hello, timeout=5000):
        engine.start()

    assert connected.hello.engine == "two"
    assert connected.connection is Connection.CONNECTED


def test_leaving_is_no_loss_and_the_engine_goes_on(qtbot, connected, engine):
    losses = []
    connected.lost.connect(losses.append)

    connected.leave()

    qtbot.waitUntil(lambda: engine.server.watchers == 0, timeout=5000)
    assert losses == []
    assert connected.connection is Connection.NONE


def test_an_engine_that_does_not_greet_is_tried_again_without_waiting_for_it(qtbot, link, engine):
    tries = []

    def refuse(address):
        tries.append(address)
        raise LinkLost("does not answer")

    link._connect = refuse
    link.follow(lambda: engine.addresses()[0])

    qtbot.waitUntil(lambda: len(tries) >= 2, timeout=5000)
    qtbot.waitUntil(lambda: link.trouble == "does not answer", timeout=2000)
    assert link.connection is Connection.SEARCHING


def test_a_greeting_that_comes_after_we_left_is_hung_up(qtbot, link, engine):
    import threading

    may_go, hung_up = threading.Event(), threading.Event()

    class Slow:
        hello = Hello()

        def close(self):
            hung_up.set()

    def greet(_address):
        may_go.wait(5.0)
        return Slow()

    link._connect = greet
    link.follow(lambda: engine.addresses()[0])
    link.leave()
    may_go.set()

    qtbot.waitUntil(hung_up.is_set, timeout=5000)
    assert link.connection is Connection.NONE


def test_only_the_newest_of_the_snapshots_of_a_batch_is_shown(qtbot, link):
    shown = []
    link.snapshot.connect(shown.append)

    link._hand_on([(Snapshot(Mode.ALIGNING, utc), None) for utc in (1.0, 2.0, 3.0)])

    assert [snapshot.utc for snapshot in shown] == [3.0]


def test_messages_keep_their_order(qtbot, connected, engine):
    said = []
    connected.said.connect(said.extend)
    for number in range(5):
        engine.server.publish(Said(Level.INFO, f"step {number}", 1.8e9))

    qtbot.waitUntil(lambda: len(said) == 5, timeout=5000)

    assert [one.text for one in said] == [f"step {number}" for number in range(5)]
