"""The station file that reaches simulators in another process."""

import re
from collections.abc import Mapping

__all__ = ["served_station", "with_simulation"]

ADDRESS = re.compile(r'^(?P<indent>\s*)address\s*=\s*"sim://(?P<port>\w+)"[^\n]*$', re.MULTILINE)
SECTION = re.compile(r"^\[simulation\][^\n]*$", re.MULTILINE)


def served_station(text: str, addresses: Mapping[str, str], scale: float) -> str:
    """Return the text of a station file with its sim:// addresses replaced by served ones.

    addresses: port name -> address. Comments and everything else stay as written. Raises
    ValueError for a port that is not served and where nothing is simulated.
    """
    missing = sorted({m["port"] for m in ADDRESS.finditer(text)} - set(addresses))
    if missing:
        raise ValueError(f"no simulator for sim://{missing[0]}: there are {', '.join(addresses)}")
    if not ADDRESS.search(text):
        raise ValueError("no address of this station file begins with sim://")
    reached = ADDRESS.sub(
        lambda m: f'{m["indent"]}address = "{addresses[m["port"]]}"\n{m["indent"]}simulated = true',
        text,
    )
    return with_simulation(reached, "scale", scale)


def with_simulation(text: str, key: str, value: float) -> str:
    """Return the text of a station file with a number set in its [simulation] section."""
    line = f"{key} = {value:.17g}"
    text = re.sub(rf"^\s*{key}\s*=[^\n]*\n", "", text, flags=re.MULTILINE)
    if SECTION.search(text):
        return SECTION.sub(lambda m: f"{m[0]}\n{line}", text, count=1)
    return f"{text.rstrip()}\n\n[simulation]\n{line}\n"
