"""Find a command by a few of its letters."""

__all__ = ["likeness"]

_START_OF_WORD = 8
_NEXT_TO_LAST = 5
_GAP = 1
_WHOLE = 10  # letters as they stand in the text, at the start of a word


def likeness(wanted: str, text: str) -> int | None:
    """Return how well the letters fit, higher is better; None if they are not in the text in order.

    Spaces in `wanted` part it into words, each of which must fit somewhere.
    """
    total = 0
    for word in wanted.lower().split():
        score = _word(word, text.lower())
        if score is None:
            return None
        total += score
    return total


def _word(word: str, text: str) -> int | None:
    """Return the best score over all places where the word may begin."""
    whole = _WHOLE if text.startswith(word) or f" {word}" in text else 0
    starts = [at for at, letter in enumerate(text) if letter == word[0]]
    scores = [score for at in starts if (score := _from(at, word, text)) is not None]
    return max(scores) + whole if scores else None


def _from(start: int, word: str, text: str) -> int | None:
    at, score = start, 0
    for number, letter in enumerate(word):
        found = text.find(letter, at)
        if found < 0:
            return None
        if found == 0 or not text[found - 1].isalnum():
            score += _START_OF_WORD
        elif number and found == at:
            score += _NEXT_TO_LAST
        else:
            score -= _GAP * min(found - at, 3)
        at = found + 1
    return score
