"""A link that plays an instrument from a script, for transcripts taken from the manuals."""

from collections.abc import Callable, Iterable

import pytest

from drivers.clock import VirtualClock

Exchange = tuple[bytes, tuple[bytes, ...]]


class ScriptedLink:
    """Expects messages in order and answers each as written; time passes only while it waits."""

    def __init__(self, clock: VirtualClock, script: Iterable[Exchange]) -> None:
        self.clock = clock
        self.script = list(script)
        self.sent: list[tuple[float, bytes]] = []
        self.replies: list[bytes] = []
        self.resets = 0
        self.is_closed = False

    def send(self, message: bytes) -> None:
        assert self.script, f"nothing more is expected, but {message!r} was sent"
        expected, replies = self.script.pop(0)
        assert message == expected
        self.sent.append((self.clock.now(), message))
        self.replies += replies

    def poll(self, timeout_s: float) -> bytes | None:
        if self.replies:
            return self.replies.pop(0)
        self.clock.wait(timeout_s)
        return None

    def reset(self) -> None:
        self.resets += 1
        self.replies.clear()

    def close(self) -> None:
        self.is_closed = True


def exchanges(script: Iterable[tuple[str, str | None]], terminator: str) -> list[Exchange]:
    return [
        ((sent + terminator).encode(), () if reply is None else (reply.encode(),))
        for sent, reply in script
    ]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def scripted(
    clock: VirtualClock,
) -> Iterable[Callable[..., ScriptedLink]]:
    """Make links from (message, reply or None) pairs; at the end every line must have been used."""
    links: list[ScriptedLink] = []

    def make(*script: tuple[str, str | None], terminator: str = "\n") -> ScriptedLink:
        links.append(ScriptedLink(clock, exchanges(script, terminator)))
        return links[-1]

    yield make
    for link in links:
        assert not link.script, f"never sent: {link.script}"
