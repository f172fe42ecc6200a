"""Light and dark: every colour of the window, each with the role it plays.

The application's palette is the only state: a widget asks `theme_of(self)` when it paints and
repaints on PaletteChange, so a switch needs no list of who must be told. Colours of text hold a
contrast of 4.5 to what they stand on, lines in plots and edges of fields 3.0 (WCAG 2.1); line
colours are told apart by people who see fewer of them (after M. Okabe and K. Ito, "Color Universal
Design", 2008).
"""

from dataclasses import dataclass
from enum import Enum

from PyQt6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PyQt6.QtWidgets import QApplication, QToolTip, QWidget

from gui.look.edged_style import EDGE, EdgedStyle

__all__ = [
    "DARK",
    "LIGHT",
    "Role",
    "Theme",
    "Tone",
    "apply",
    "contrast",
    "set_text_scale",
    "tabular",
    "text_scale",
    "theme_of",
]

TEXT_pt = 9.5


class Tone(Enum):
    """How good or bad a state is; never shown without a text and a shape."""

    NEUTRAL = "neutral"
    BUSY = "busy"
    GOOD = "good"
    HELD = "held"
    CAUTION = "caution"
    BAD = "bad"


class Role(Enum):
    """What a line of a plot stands for."""

    DATA = "data"
    FIT = "fit"
    COMPONENT = "component"
    RESIDUAL = "residual"
    REFERENCE = "reference"
    PEAK_HOLD = "peak_hold"
    LAW = "law"
    CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as #rrggbb, named by what they are for."""

    name: str
    window: str
    base: str  # behind tables, fields and plots
    alternate: str
    raised: str  # buttons, headers
    border: str
    edge: str  # of fields and boxes to tick
    text: str
    muted: str  # labels, units, hints
    disabled: str
    accent: str  # selection and focus ring
    on_accent: str
    neutral: str
    busy: str
    good: str
    held: str
    caution: str
    bad: str
    on_tone: str  # text on any of the six tones
    simulated: str  # the banner
    on_simulated: str
    pending: str  # behind a value that is typed but not applied
    refused: str  # behind a value that can't be
    grid: str
    data: str
    fit: str
    component: str
    residual: str
    reference: str
    peak_hold: str
    law: str
    cursor: str
    series: tuple[str, ...]  # lines beside each other, in this order

    def tone(self, tone: Tone) -> str:
        colour: str = getattr(self, tone.value)
        return colour

    def line(self, role: Role) -> str:
        colour: str = getattr(self, role.value)
        return colour

    @property
    def is_dark(self) -> bool:
        return luminance(self.window) < luminance(self.text)


LIGHT = Theme(
    name="light",
    window="#f2f4f7",
    base="#ffffff",
    alternate="#f7f8fa",
    raised="#fbfcfd",
    border="#c9d0d9",
    edge="#838c98",
    text="#1a1e24",
    muted="#545d69",
    disabled="#8b949f",
    accent="#0b5cad",
    on_accent="#ffffff",
    neutral="#59636f",
    busy="#0b62b8",
    good="#1a7436",
    held="#6b3fc0",
    caution="#8f5200",
    bad="#b3261e",
    on_tone="#ffffff",
    simulated="#fde68a",
    on_simulated="#4a3500",
    pending="#fff3cd",
    refused="#fde2e0",
    grid="#e3e7ec",
    data="#0b62b8",
    fit="#b8380b",
    component="#6f2ae0",
    residual="#59636f",
    reference="#7d8794",
    peak_hold="#5c1238",
    law="#00735c",
    cursor="#a3195b",
    series=("#0b62b8", "#9c3206", "#1a9494", "#aa33ee", "#a86f00", "#5c004c"),
)

DARK = Theme(
    name="dark",
    window="#262a31",
    base="#16181c",
    alternate="#1c1f24",
    raised="#343a43",
    border="#525b68",
    edge="#838e9c",
    text="#e7eaee",
    muted="#a3acb8",
    disabled="#6d7682",
    accent="#6cb2ff",
    on_accent="#0e1116",
    neutral="#aab3bf",
    busy="#6cb2ff",
    good="#5fcb8b",
    held="#c4a1ff",
    caution="#f2b84b",
    bad="#ff8a80",
    on_tone="#0e1116",
    simulated="#5c4700",
    on_simulated="#ffe9a8",
    pending="#4a3d10",
    refused="#57211e",
    grid="#2e333b",
    data="#6cb2ff",
    fit="#ff9d5c",
    component="#a870ff",
    residual="#a3acb8",
    reference="#8b95a3",
    peak_hold="#e8e85a",
    law="#4fd1b0",
    cursor="#ff8fbf",
    series=("#6cb2ff", "#d98a2b", "#66ffe5", "#a564f5", "#e0f060", "#d6406f"),
)


def apply(app: QApplication, theme: Theme) -> None:
    """Dress the whole application; every widget gets a PaletteChange."""
    if not isinstance(app.style(), EdgedStyle):
        app.setStyle(EdgedStyle())
    app.setPalette(_palette(theme))
    QToolTip.setPalette(_palette(theme))  # it has a palette of its own


def theme_of(_widget: QWidget) -> Theme:
    """Return the theme the widget wears: the application's."""
    window = QGuiApplication.palette().color(QPalette.ColorRole.Window)
    return DARK if window.name() == DARK.window else LIGHT


def set_text_scale(app: QApplication, scale: float) -> None:
    """Set the size of all text; 1.0 is right at 96 dpi. Plots and rows follow the font."""
    font = tabular(app.font())
    font.setPointSizeF(TEXT_pt * scale)
    app.setFont(font)
    for kind in ("QDockWidget", "QDockWidgetTitle"):  # have a size of their own otherwise
        app.setFont(font, kind)


def text_scale(widget: QWidget) -> float:
    """Return how large the widget's text is, 1 at 96 dpi; what is drawn beside it follows."""
    return widget.font().pointSizeF() / TEXT_pt


def tabular(font: QFont) -> QFont:
    """Return the font with digits of equal width: a value that changes does not jump."""
    font = QFont(font)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21. Source: WCAG 2.1, contrast ratio."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, 0 to 1. Source: WCAG 2.1, relative luminance."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for target, colour in {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.base,
        role.AlternateBase: theme.alternate,
        role.Text: theme.text,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.bad,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.Link: theme.accent,
        role.LinkVisited: theme.accent,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.muted,
        role.Light: theme.raised,
        role.Midlight: theme.alternate,
        role.Mid: theme.border,
        role.Dark: theme.border,
        EDGE: theme.edge,
        role.Accent: theme.accent,
    }.items():
        palette.setColor(target, QColor(colour))
    for target in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, target, QColor(theme.disabled))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(theme.border))
    return palette
