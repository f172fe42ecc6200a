"""How a validator says no: what was found and what is allowed."""

from pydantic_core import PydanticCustomError

__all__ = ["refusal"]


def refusal(allowed: str, found: str | None = None) -> PydanticCustomError:
    """Return the error to raise; `found` where the validated value itself would not say it."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed, "found": found})
