"""Events of a run in a person's words: what, which device, what was done, what to do."""

import pytest

from acquisition.channel.event_words import said_of
from acquisition.storage.record import Event, Level


@pytest.mark.parametrize(
    ("event", "device", "done", "advice"),
    [
        (
            Event(
                5.0,
                1e9,
                Level.ERROR,
                "finished",
                "interlock: bias: leakage 60 nA is above 50 nA",
                {"reason": "interlock", "safety": "confirmed"},
            ),
            "bias",
            "the run has ended; safe state confirmed",
            'find the cause first; then "Resume a run…" measures what is lacking',
        ),
        (
            Event(
                5.0,
                1e9,
                Level.ERROR,
                "finished",
                "failed: shutter: line lost",
                {"reason": "failed", "safety": "NOT CONFIRMED"},
            ),
            "shutter",
            "safe state NOT CONFIRMED",
            "mend it",
        ),
        (
            Event(5.0, 1e9, Level.ERROR, "safe state", "confirmed: nothing; NOT CONFIRMED: bias"),
            "",
            "",
            "look at the instruments, then acknowledge",
        ),
        (
            Event(5.0, 1e9, Level.WARNING, "monitor", "monitor cryostat fails: line lost"),
            "cryostat",
            "asked again",
            "",
        ),
    ],
)
def test_what_goes_wrong_names_device_what_was_done_and_what_to_do(
    event: Event, device: str, done: str, advice: str
) -> None:
    said = said_of(event)

    prefix = "safe state: " if event.code == "safe state" else ""  # its text says only of what
    assert (said.level, said.text, said.utc, said.code) == (
        event.level,
        prefix + event.text,
        event.utc,
        event.code,
    )
    if event.code != "safe state":
        assert said.device == device
    assert done in said.done
    assert advice in said.advice


def test_what_is_only_told_has_no_advice() -> None:
    said = said_of(Event(0.0, 1e9, Level.INFO, "instrument", "bias: KEITHLEY 2410"))

    assert (said.device, said.done, said.advice) == ("", "", "")
