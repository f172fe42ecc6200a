"""An event of a run as a person needs it: what, which device, what was done, what to do."""

import re

from acquisition.channel.messages import Said
from acquisition.storage.record import Event, Level

__all__ = ["said_of"]

_DEVICE = re.compile(
    r"(?:^|: |monitor )"
    r"(cryostat|bias|camera|spectrograph|polarizer|shutter|positioner|lamp|gauge|power_meter)\b"
)
_DONE = {
    "monitor": "asked again; what it reads counts as unknown meanwhile",
    "attempt broken off": "the point is measured again once the instrument answers",
    "exposure aborted": "light blocked; what it had counted is not used",
    "recovered": "set up anew and read back; the run goes on",
    "homed": "homed again; the run goes on",
    "bias found on": "ramped to 0 V before anything else",
    "not settled": "the sweep file says what to do with such a point",
    "follower off": "left out from now on; the run goes on",
}
_TO_DO = {
    "interlock": 'find the cause first; then "Resume a run…" measures what is lacking',
    "failed": 'mend it; then "Resume a run…" measures what is lacking',
    "safe state": "look at the instruments, then acknowledge",
    "not settled": "look at the monitors; a longer settling time helps where it only was slow",
}


def said_of(event: Event) -> Said:
    """Return the message; what is only for information has no advice."""
    found = _DEVICE.search(event.text)
    is_news = event.level in (Level.WARNING, Level.ERROR)
    reason, safety = (str(event.details.get(key, "")) for key in ("reason", "safety"))
    done = f"the run has ended; safe state {safety}" if safety else _DONE.get(event.code, "")
    return Said(
        event.level,
        f"safe state: {event.text}" if event.code == "safe state" else event.text,
        event.utc,
        code=event.code,
        device=found[1] if found and is_news else "",
        done=done if is_news else "",
        advice=_TO_DO.get(reason or event.code, "") if is_news else "",
    )
