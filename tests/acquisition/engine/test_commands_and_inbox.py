"""Commands as documents, and their way from other processes into the engine."""

import json

import pytest

from acquisition.channel.commands import Command, CommandQueue, Verb
from acquisition.channel.inbox import Inbox, post
from drivers.clock import VirtualClock


@pytest.fixture
def clock():
    clock = VirtualClock()
    clock.wait(1000.0)
    return clock


@pytest.fixture
def queue():
    return CommandQueue()


@pytest.fixture
def inbox(tmp_path, queue, clock):
    return Inbox(tmp_path, queue, clock)


def taken(queue) -> list[Command]:
    return list(iter(queue.take, None))


@pytest.mark.parametrize("verb", Verb)
def test_a_command_survives_the_journey(verb):
    command = Command(verb, "Grüße, \u00b5m", "window")

    assert Command.from_json(command.to_json()) == command


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "[]", "3", "null", "{}", '{"verb": "explode"}', '{"verb": ["pause"]}'],
)
def test_what_is_no_command_is_refused(text):
    with pytest.raises((ValueError, KeyError)):
        Command.from_json(text)


def test_a_queue_hands_out_in_order(queue):
    for verb in (Verb.PAUSE, Verb.NOTE, Verb.RESUME):
        queue.put(Command(verb))

    assert [command.verb for command in taken(queue)] == [Verb.PAUSE, Verb.NOTE, Verb.RESUME]
    assert queue.take() is None


def test_letters_are_taken_in_the_order_in_which_they_were_posted(tmp_path, inbox, queue):
    for k in range(20):
        post(tmp_path, Command(Verb.NOTE, str(k)))

    inbox.look()

    assert [command.text for command in taken(queue)] == [str(k) for k in range(20)]
    assert list((tmp_path / "inbox").iterdir()) == []


def test_the_folder_is_looked_at_twice_a_second_of_real_time(tmp_path, inbox, queue, clock):
    inbox.look()
    post(tmp_path, Command(Verb.PAUSE))

    inbox.look()
    assert taken(queue) == []
    clock.wait(0.6)
    inbox.look()
    assert len(taken(queue)) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 60_000, b'{"verb": "explode"}', b"x" * 100_000],
)
def test_junk_is_left_alone_and_ends_nothing(tmp_path, inbox, queue, clock, content):
    (tmp_path / "inbox" / "junk.json").write_bytes(content)
    post(tmp_path, Command(Verb.STOP_NOW))

    inbox.look()
    clock.wait(1.0)
    inbox.look()

    assert [command.verb for command in taken(queue)] == [Verb.STOP_NOW]
    assert (tmp_path / "inbox" / "junk.json").exists()


def test_an_unfinished_letter_is_not_read(tmp_path, inbox, queue):
    (tmp_path / "inbox" / ".half").write_text('{"verb": "pau')

    inbox.look()

    assert taken(queue) == []


def test_a_letter_that_cannot_be_removed_is_taken_once(tmp_path, inbox, queue, clock, monkeypatch):
    letter = post(tmp_path, Command(Verb.NOTE, "once"))
    monkeypatch.setattr(type(letter), "unlink", _refuse)

    for _ in range(3):
        inbox.look()
        clock.wait(1.0)

    assert len(taken(queue)) == 1


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError("read-only")


def test_a_folder_that_is_gone_ends_nothing(tmp_path, inbox, queue):
    (tmp_path / "inbox").rmdir()

    inbox.look()

    assert taken(queue) == []


def test_what_was_meant_for_an_earlier_segment_is_dropped_except_notes(tmp_path, inbox, queue):
    post(tmp_path, Command(Verb.STOP_NOW))
    post(tmp_path, Command(Verb.PAUSE))
    post(tmp_path, Command(Verb.NOTE, "cryostat refilled"))

    inbox.drop_old()
    inbox.look()

    assert [command.text for command in taken(queue)] == ["cryostat refilled"]


def test_a_letter_is_a_whole_json_document(tmp_path):
    letter = post(tmp_path, Command(Verb.NOTE, "x", "me"))

    assert json.loads(letter.read_text()) == {"verb": "note", "text": "x", "sender": "me"}
