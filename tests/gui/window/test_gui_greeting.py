"""Greeting an engine in a thread: its outcome, and a channel that nobody wants any more."""

import threading

import pytest

from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.watcher_link import LinkLost
from gui.link.greeting import Greeting

ADDRESS = EngineAddress("127.0.0.1", 1, "token", 2, "bench", "bench.toml", "", 3.0)
PATIENCE_s = 5.0


class Hung:
    """A channel that only knows how often it was hung up."""

    def __init__(self):
        self.times = 0
        self.once = threading.Event()

    def close(self):
        self.times += 1
        self.once.set()


def _settled(greeting):
    """Return its outcome, waited for."""
    done = threading.Event()
    while (outcome := greeting.outcome()) is None:
        assert not done.wait(0.005)
    return outcome


def test_an_engine_that_answers_is_handed_over_once():
    channel = Hung()
    greeting = Greeting(lambda: ADDRESS, lambda _: channel)

    assert _settled(greeting) == (ADDRESS, channel)
    assert greeting.outcome() is None
    greeting.give_up()
    assert channel.times == 0  # it is somebody's


@pytest.mark.parametrize(
    ("find", "why"),
    [(lambda: None, "no engine is running"), (lambda: ADDRESS, "does not answer")],
)
def test_what_went_wrong_is_said(find, why):
    def refuse(_address):
        raise LinkLost("does not answer")

    assert _settled(Greeting(find, refuse)) == why


def test_a_channel_that_comes_after_it_was_given_up_is_hung_up():
    channel, may_go = Hung(), threading.Event()

    def slowly(_address):
        may_go.wait(PATIENCE_s)
        return channel

    greeting = Greeting(lambda: ADDRESS, slowly)
    greeting.give_up()
    may_go.set()

    assert channel.once.wait(PATIENCE_s)
    assert greeting.outcome() is None
    assert channel.times == 1


def test_a_channel_that_nobody_took_before_it_was_given_up_is_hung_up():
    channel, is_connected = Hung(), threading.Event()

    def connect(_address):
        is_connected.set()
        return channel

    greeting = Greeting(lambda: ADDRESS, connect)
    assert is_connected.wait(PATIENCE_s)
    greeting.give_up()

    assert channel.once.wait(PATIENCE_s)
    assert channel.times == 1
