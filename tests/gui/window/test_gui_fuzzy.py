"""A few letters find a command."""

import pytest

from gui.window.actions import ACTIONS
from gui.window.fuzzy import likeness

TEXTS = [action.plain_text for action in ACTIONS]


def _best(wanted):
    fitting = [text for text in TEXTS if likeness(wanted, text) is not None]
    return min(fitting, key=lambda text: (-likeness(wanted, text), len(text)))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("start", "Start"),
        ("sto", "STOP"),
        ("sap", "Stop after this point"),
        ("stap", "Stop after this point"),
        ("folder", "Show the run's folder"),
        ("safe", "Acknowledge the safe state"),
        ("dark", "Dark or light"),
        ("take", "Take command"),
        ("command tak", "Take command"),
        ("shut down", "Shut the engine down"),
    ],
)
def test_letters_find_what_one_thinks_of(wanted, found):
    assert _best(wanted) == found


def test_letters_that_are_not_there_in_order_find_nothing():
    assert likeness("xq", "Start") is None
    assert likeness("tras", "Start") is None
    assert likeness("start xq", "Start") is None


def test_nothing_typed_fits_everything_alike():
    assert {likeness("", text) for text in TEXTS} == {0}
