"""Everything a person can do in the window: one table, from which menus, buttons, shortcuts and
the command palette are made.

What an action does stands in the window that binds it, under the same name. Whether it is offered
follows from the situation alone: `why_not` returns the reason why it is not, which the button's
tooltip and the palette then say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from acquisition.channel.engine_status import EngineState
from acquisition.channel.messages import Mode
from gui.link.situation import PAUSABLE, STOPPABLE, Situation

__all__ = ["ACTIONS", "Action", "Group", "action"]


class Group(Enum):
    """A menu."""

    FILE = "&File"
    RUN = "&Run"
    INSTRUMENTS = "&Instruments"
    EDIT = "&Edit"
    VIEW = "&View"
    HELP = "&Help"


WhyNot = Callable[[Situation], str]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. text: with the accelerator behind an ampersand; keys: shortcuts."""

    name: str
    group: Group
    text: str
    keys: tuple[str, ...] = ()
    why_not: WhyNot = lambda _situation: ""
    hint: str = ""

    @property
    def plain_text(self) -> str:
        """The text without the mark of its accelerator."""
        return self.text.replace("&", "")

    def is_offered(self, situation: Situation) -> bool:
        return not self.why_not(situation)


def action(name: str) -> Action:
    """Return the action of that name. Raises KeyError."""
    return _BY_NAME[name]


def _connected(situation: Situation) -> str:
    return situation.no_engine()


def _commanded(situation: Situation) -> str:
    return situation.no_engine() or situation.not_ours()


def _start(situation: Situation) -> str:
    reason = situation.not_in(frozenset({EngineState.IDLE}), "start")
    if situation.is_running:
        reason = "a run goes on; add the sweep to the queue"
    return reason or situation.not_ours()


def _pause(situation: Situation) -> str:
    return situation.not_in(PAUSABLE, "pause") or situation.not_ours()


def _resume(situation: Situation) -> str:
    return situation.not_in(frozenset({EngineState.PAUSED}), "resume") or situation.not_ours()


def _stop(situation: Situation) -> str:
    return situation.not_in(STOPPABLE, "stop")  # whoever watches may stop


def _stop_after_point(situation: Situation) -> str:
    reason = situation.not_in(STOPPABLE, "stop")
    return reason or ("" if situation.is_running else "no run goes on")


def _take_command(situation: Situation) -> str:
    if reason := situation.no_engine():
        return reason
    return "you are in command" if _is_ours(situation) else situation.not_ours()


def _release_command(situation: Situation) -> str:
    return situation.no_engine() or ("" if _is_ours(situation) else "you are not in command")


def _is_ours(situation: Situation) -> bool:
    snapshot = situation.snapshot
    return snapshot is not None and snapshot.commander == situation.watcher != ""


def _acknowledge(situation: Situation) -> str:
    if reason := _commanded(situation):
        return reason
    return "" if situation.must_acknowledge else "no safe state awaits it"


def _connect(situation: Situation) -> str:
    if reason := _commanded(situation):
        return reason
    return "" if situation.mode is Mode.DISCONNECTED else "the instruments are connected"


def _disconnect(situation: Situation) -> str:
    if reason := _commanded(situation):
        return reason
    if situation.is_running:
        return "a run owns the instruments"
    return "" if situation.mode is Mode.ALIGNING else "the instruments are not connected"


def _quit_engine(situation: Situation) -> str:
    return _commanded(situation) or ("a run goes on; stop it first" if situation.is_running else "")


def _start_engine(situation: Situation) -> str:
    if situation.snapshot is not None:
        return "an engine is connected"
    return "" if situation.can_start_engine else "no station file was chosen"


def _has_run(situation: Situation) -> str:
    return "" if situation.has_run else "no run is open"


def _go_there(situation: Situation) -> str:
    if reason := _commanded(situation) or _has_run(situation):
        return reason
    if situation.is_running:
        return "a run owns the instruments"
    return "" if situation.mode is Mode.ALIGNING else "the instruments are not connected"


def _undo(situation: Situation) -> str:
    return "" if situation.can_undo else "nothing to undo"


def _redo(situation: Situation) -> str:
    return "" if situation.can_redo else "nothing to redo"


_G = Group
ACTIONS: tuple[Action, ...] = (
    Action("open", _G.FILE, "&Open a run or file…", ("Ctrl+O",), hint="browse it in the views"),
    Action("open_station", _G.FILE, "Choose a &station…", ("Ctrl+Shift+O",), hint="and connect"),
    Action("show_folder", _G.FILE, "Show the run's &folder", ("Ctrl+Shift+F",), _has_run),
    Action("close_run", _G.FILE, "&Close the run shown", ("Ctrl+W",), _has_run),
    Action("close", _G.FILE, "Close the &window", ("Ctrl+Q",), hint="a run goes on without it"),
    Action("start", _G.RUN, "&Start", ("F5",), _start, "begin the sweep"),
    Action("pause", _G.RUN, "&Pause", ("F8",), _pause, "after the point that is being measured"),
    Action("resume", _G.RUN, "Resu&me", ("F8",), _resume, "go on where it paused"),
    Action("stop_after_point", _G.RUN, "Stop &after this point", ("Shift+F8",), _stop_after_point),
    Action("stop", _G.RUN, "S&TOP", ("Shift+Esc",), _stop, "now, into the safe state"),
    Action("acknowledge", _G.RUN, "Ac&knowledge the safe state", ("Ctrl+Shift+A",), _acknowledge),
    Action("start_engine", _G.INSTRUMENTS, "Start the &engine", ("Ctrl+Shift+E",), _start_engine),
    Action("connect", _G.INSTRUMENTS, "&Connect the instruments", (), _connect),
    Action("disconnect", _G.INSTRUMENTS, "&Disconnect the instruments", (), _disconnect),
    Action("take_command", _G.INSTRUMENTS, "&Take command", ("Ctrl+Shift+T",), _take_command),
    Action("release_command", _G.INSTRUMENTS, "&Release command", (), _release_command),
    Action("quit_engine", _G.INSTRUMENTS, "Shut the engine do&wn", (), _quit_engine, "safe state"),
    Action(
        "go_there",
        _G.INSTRUMENTS,
        "&Go to the point shown…",
        ("Ctrl+G",),
        _go_there,
        "move by hand to what it was set to; asks first",
    ),
    Action("undo", _G.EDIT, "&Undo", ("Ctrl+Z",), _undo),
    Action("redo", _G.EDIT, "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), _redo),
    Action("align", _G.VIEW, "&Align", ("F2",), hint="panels for the first hour"),
    Action("sweep", _G.VIEW, "S&weep", ("F3",), hint="panels to plan and watch a run"),
    Action("browse", _G.VIEW, "&Browse", ("F4",), hint="panels for what was measured"),
    Action("next_point", _G.VIEW, "&Next point", ("Alt+Right",), _has_run, "also →"),
    Action("previous_point", _G.VIEW, "&Previous point", ("Alt+Left",), _has_run, "also ←"),
    Action("last_point", _G.VIEW, "&Latest point", ("Alt+End",), _has_run, "and follow the run"),
    Action("first_point", _G.VIEW, "&First point", ("Alt+Home",), _has_run),
    Action("larger", _G.VIEW, "Lar&ger text", ("Ctrl++", "Ctrl+=")),
    Action("smaller", _G.VIEW, "S&maller text", ("Ctrl+-",)),
    Action("dark", _G.VIEW, "&Dark or light", ("Ctrl+Shift+D",)),
    Action("float_panel", _G.VIEW, "Let this panel fl&oat, or stand again", ("Ctrl+Shift+L",)),
    Action("close_panel", _G.VIEW, "&Close this panel", ("Ctrl+Shift+W",)),
    Action("move_panel", _G.VIEW, "Mo&ve this panel to the next place", ("Ctrl+Shift+M",)),
    Action("wider", _G.VIEW, "This panel w&ider", ("Ctrl+Alt+Right",)),
    Action("narrower", _G.VIEW, "T&his panel narrower", ("Ctrl+Alt+Left",)),
    Action("taller", _G.VIEW, "This panel &taller", ("Ctrl+Alt+Up",)),
    Action("lower", _G.VIEW, "This panel low&er", ("Ctrl+Alt+Down",)),
    Action("divider_on", _G.VIEW, "Divider in thi&s panel down or right", ("Ctrl+Alt+PgDown",)),
    Action("divider_back", _G.VIEW, "Divider in this panel &up or left", ("Ctrl+Alt+PgUp",)),
    Action("reset_layout", _G.VIEW, "&Reset this layout"),
    Action("palette", _G.HELP, "&Command palette", ("Ctrl+K",), hint="by a few letters"),
    Action("shortcuts", _G.HELP, "&Shortcuts", ("F1",)),
)
_BY_NAME = {action.name: action for action in ACTIONS}
