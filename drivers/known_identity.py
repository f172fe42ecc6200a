"""Who answers on a line, and when another one is believed to.

One reply may be garbled, a name in it too. So another instrument than before is not believed in
until it was heard twice in a row: until then it is an error that may be retried, and from then on
one that may not. A name that was heard but once itself gives way to one that is heard twice.
"""

from drivers.errors import ReplyError, StateError
from drivers.roles import Identity

__all__ = ["KnownIdentity"]


class KnownIdentity:
    """The instrument that is expected at one line.

    serial: refuse any other instrument, or none if empty; an instrument that tells the number of
    its option behind a slash is known by either.
    """

    def __init__(self, name: str, serial: str = "") -> None:
        self._name = name
        self._serial = serial
        self._known: Identity | None = None
        self._is_sure = False  # whether that one was heard twice
        self._doubted: Identity | None = None  # another one, heard once

    @property
    def is_known(self) -> bool:
        """Return whether anybody answered yet."""
        return self._known is not None

    def meet(self, identity: Identity) -> Identity:
        """Return the identity that was heard. Raises ReplyError in doubt, StateError if sure."""
        if identity == self._known:
            self._is_sure, self._doubted = True, None
            return identity
        if self._known is not None:
            self._doubt(identity)
        if self._serial and self._serial not in identity.serial.split("/"):
            raise StateError(self._name, f"serial number {identity.serial}, not {self._serial}")
        self._known, self._doubted = identity, None
        return identity

    def forget(self) -> None:
        """Take whoever answers next: somebody has put another instrument there on purpose."""
        self._known, self._is_sure, self._doubted = None, False, None

    def _doubt(self, other: Identity) -> None:
        heard = f"{other} answers where {self._known} was before"
        if other != self._doubted:
            self._doubted = other
            raise ReplyError(self._name, f"{heard}; not believed until it is heard again")
        if self._is_sure:
            raise StateError(self._name, heard)
