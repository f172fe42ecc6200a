"""What this window may ask of the engine, and why not."""

from acquisition.channel.messages import Mode
from gui.link.engine_link import EngineLink

__all__ = ["hands_off", "not_in_command"]


def hands_off(link: EngineLink) -> str:
    """Return why nothing can be moved from here, "" if it can."""
    if link.latest is not None and link.latest.mode is Mode.RUNNING:
        return "a run owns the instruments"
    return not_in_command(link)


def not_in_command(link: EngineLink) -> str:
    """Return why nothing can be asked for from here, "" if it can."""
    latest = link.latest
    if latest is None:
        return "no engine is connected"
    if latest.mode is Mode.DISCONNECTED:
        return f"no instrument is connected: {latest.trouble or 'connect first'}"
    if latest.commander and not link.is_commander:
        return f"{latest.commander} is in command"
    return ""
