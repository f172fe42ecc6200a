"""Which action is offered when: the engine's table of states, and who is in command."""

import re

import pytest

from acquisition.channel.engine_status import EngineState, EngineStatus, FinishReason, Safety
from acquisition.channel.messages import Mode, Snapshot
from gui.link.engine_link import Connection
from gui.link.situation import Situation
from gui.panels.run_look import explanation, look_of
from gui.widgets.status_pill import Shape
from gui.window.actions import ACTIONS, action

# style of the engine's states, as the reference writes it down: start pause resume stop
TABLE = {
    EngineState.IDLE: (True, False, False, True),
    EngineState.PREPARING: (False, False, False, True),
    EngineState.SETTLING: (False, True, False, True),
    EngineState.MEASURING: (False, True, False, True),
    EngineState.PAUSED: (False, False, True, True),
    EngineState.FINISHING: (False, False, False, False),
}


def _situation(state, commander="me 1", **changes):
    status = EngineStatus(state, "run", 0, 0, 3, "", 0.0, 0.0, 10.0)
    mode = Mode.ALIGNING if state is EngineState.IDLE else Mode.RUNNING
    snapshot = Snapshot(mode, 1.8e9, status=status, commander=commander)
    return Situation(Connection.CONNECTED, snapshot, "me 1", **changes)


@pytest.mark.parametrize("state", EngineState)
def test_the_state_of_the_engine_decides(state):
    offered = tuple(
        action(name).is_offered(_situation(state)) for name in ("start", "pause", "resume", "stop")
    )

    assert offered == TABLE[state]


@pytest.mark.parametrize("state", EngineState)
def test_whoever_only_watches_may_stop_and_nothing_else(state):
    watching = _situation(state, commander="somebody else 2")

    assert action("stop").is_offered(watching) == TABLE[state][3]
    for name in ("start", "pause", "resume", "quit_engine", "connect", "disconnect"):
        assert not action(name).is_offered(watching)


def test_a_run_that_has_no_instruments_yet_says_so():
    snapshot = Snapshot(Mode.RUNNING, 1.8e9)

    arming = Situation(Connection.CONNECTED, snapshot, "me 1")

    assert arming.state is EngineState.PREPARING
    assert explanation(arming) == "the run takes over the instruments"


def test_the_reason_names_who_is_in_command():
    watching = _situation(EngineState.PAUSED, commander="lena's window 2")

    assert action("resume").why_not(watching) == "lena's window 2 is in command"


@pytest.mark.parametrize("connection", [Connection.NONE, Connection.SEARCHING])
def test_without_an_engine_nothing_of_it_is_offered_and_the_reason_says_so(connection):
    alone = Situation(connection)

    for name in ("start", "pause", "resume", "stop", "take_command", "quit_engine", "acknowledge"):
        assert action(name).why_not(alone) == "no engine is connected"


def test_with_the_instruments_off_only_connecting_is_offered():
    off = Situation(Connection.CONNECTED, Snapshot(Mode.DISCONNECTED, 1.8e9, commander="me"), "me")

    assert action("connect").is_offered(off)
    for name in ("start", "pause", "resume", "stop", "disconnect"):
        assert not action(name).is_offered(off), name


def test_command_can_be_taken_only_from_nobody_and_given_back_only_by_its_holder():
    free = _situation(EngineState.IDLE, commander="")
    ours = _situation(EngineState.IDLE)
    theirs = _situation(EngineState.IDLE, commander="else 2")

    assert [action("take_command").is_offered(s) for s in (free, ours, theirs)] == [
        True,
        False,
        False,
    ]
    assert [action("release_command").is_offered(s) for s in (free, ours, theirs)] == [
        False,
        True,
        False,
    ]


def test_a_safe_state_that_was_not_confirmed_is_acknowledged_once():
    snapshot = Snapshot(Mode.ALIGNING, 1.8e9, commander="me", unacknowledged=Safety.NOT_CONFIRMED)

    assert action("acknowledge").is_offered(Situation(Connection.CONNECTED, snapshot, "me"))
    assert not action("acknowledge").is_offered(_situation(EngineState.IDLE))


def test_every_action_says_something_in_every_situation():
    situations = [
        Situation(),
        Situation(Connection.SEARCHING),
        *(_situation(state, commander) for state in EngineState for commander in ("", "me 1", "x")),
    ]
    for one in ACTIONS:
        for situation in situations:
            reason = one.why_not(situation)
            assert one.is_offered(situation) == (reason == "")
            assert reason == reason.strip()


def test_names_shortcuts_and_accelerators_are_unique():
    names = [one.name for one in ACTIONS]
    keys = [key for one in ACTIONS for key in one.keys]
    keys.remove("F8")  # Pause and Resume share it: never both are offered

    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    for group in {one.group for one in ACTIONS}:
        letters = [re.search("&(.)", one.text) for one in ACTIONS if one.group is group]
        assert all(letters), f"{group}: an entry has no accelerator"
        found = [letter[1].lower() for letter in letters]
        assert len(set(found)) == len(found), f"{group}: {found}"


def test_states_differ_in_text_and_none_is_told_by_its_colour_alone():
    states = [_situation(state) for state in EngineState]
    ends = [Situation(Connection.CONNECTED, _ended(reason), "me") for reason in FinishReason]
    looks = [
        look_of(situation)
        for situation in (
            *states,
            *ends,
            Situation(),
            Situation(Connection.SEARCHING),
            Situation(Connection.CONNECTED, Snapshot(Mode.DISCONNECTED, 0.0)),
            Situation(Connection.CONNECTED, Snapshot(Mode.ALIGNING, 0.0, trouble="it is warm")),
            _situation(EngineState.MEASURING, silent_s=10.0),
        )
    ]

    assert len({look.text for look in looks}) == len(looks)
    assert len({(look.text, look.shape) for look in looks}) == len(looks)
    assert len({look.shape for look in looks}) >= 8
    assert look_of(states[3]).shape is Shape.PLAY
    assert look_of(_situation(EngineState.PAUSED)).shape is Shape.BARS


def _ended(reason):
    status = EngineStatus(EngineState.IDLE, "run", 2, 3, 3, "", 0.0, 9.0, 0.0, finish=reason)
    return Snapshot(Mode.ALIGNING, 1.8e9, status=status)
