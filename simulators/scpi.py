"""SCPI messages: headers in long or short form, optional nodes, several commands in one line.

A header is declared once, in the notation of the manuals: ":SOURce[1]:VOLTage[:LEVel][:IMMediate]".
All its spellings are looked up in one dictionary.

Rules (SCPI 1999, volume 1 chapter 6)
1. Each node is spelled in full or by its capitals, in any case; nothing between.
2. Commands are separated by ";". One without a leading ":" continues at the level of the
   command before it; common commands (*RST) leave the level alone.
3. Parameters follow white space and are separated by ","; quoted strings stay whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from re import compile as regex

__all__ = [
    "ScpiCommand",
    "ScpiError",
    "parse_message",
    "short_form",
    "spelling_table",
    "spellings",
    "split_outside_quotes",
]

_NODE = regex(r"(\[)?:?(\*?[A-Za-z]+)(\d?)(?:\[(\d)\])?\]?")


class ScpiError(Exception):
    """What goes into the error queue: number and text."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f'{number:+d},"{text}"' if number else f'0,"{text}"')
        self.number = number
        self.text = text


@dataclass(frozen=True, slots=True)
class ScpiCommand:
    """One command of a message; header is the declared one, None where no declared one fits."""

    header: str | None
    arguments: tuple[str, ...]
    is_query: bool
    spelled: str


def spellings(declaration: str) -> list[str]:
    """Return every way to spell a declared header, in capitals and without a leading colon."""
    choices: list[list[str]] = []
    for optional, name, suffix, optional_suffix in _NODE.findall(declaration):
        short = "".join(letter for letter in name if not letter.islower())
        forms = {short + suffix, name.upper() + suffix}
        forms |= {form + optional_suffix for form in forms}
        choices.append(sorted(forms) + ([""] if optional else []))
    return [":".join(filter(None, nodes)) for nodes in product(*choices)]


def short_form(declaration: str) -> str:
    """Return a declared header by its capitals and without optional nodes, as in SOUR:VOLT."""
    kept = declaration
    while "[" in kept:
        start = kept.rindex("[")
        kept = kept[:start] + kept[kept.index("]", start) + 1 :]
    return "".join(letter for letter in kept if not letter.islower()).lstrip(":")


def spelling_table(declarations: Iterable[str]) -> dict[str, str]:
    """Return every spelling of every declared header with its declaration."""
    return {spelling: each for each in declarations for spelling in spellings(each)}


def parse_message(message: str, table: Mapping[str, str]) -> list[ScpiCommand]:
    """Return the commands of one line in order."""
    commands: list[ScpiCommand] = []
    level = ""
    for part in split_outside_quotes(message, ";"):
        if part:
            command, level = _parse_command(part, level, table)
            commands.append(command)
    return commands


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at the separator, but not inside quotes, and strip each part."""
    if '"' not in text and "'" not in text:
        return [part.strip() for part in text.split(separator)]
    parts, quote, start = [], "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == separator:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _parse_command(part: str, level: str, table: Mapping[str, str]) -> tuple[ScpiCommand, str]:
    """Return the command and the level at which the next one continues."""
    word, *rest = part.split(None, 1)
    is_query = word.endswith("?")
    spelled = word.upper().rstrip("?")
    path = spelled.lstrip(":")
    if level and not spelled.startswith((":", "*")) and f"{level}:{path}" in table:
        path = f"{level}:{path}"
    arguments = tuple(split_outside_quotes(rest[0], ",")) if rest else ()
    command = ScpiCommand(table.get(path), arguments, is_query, spelled)
    return command, level if spelled.startswith("*") else path.rpartition(":")[0]
