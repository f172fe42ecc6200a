"""The colours: readable, told apart, and put on by one call."""

import math
from itertools import combinations, pairwise

import pyqtgraph as pg
import pytest
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QCheckBox, QLineEdit, QPushButton, QVBoxLayout, QWidget

from gui.link.engine_link import EngineLink
from gui.look import theme
from gui.look.theme import DARK, LIGHT, Role, Tone, contrast, theme_of
from gui.panels.detector_image import DetectorImagePanel
from gui.panels.raster_map import RasterMapPanel

BOTH = pytest.mark.parametrize("shown", [LIGHT, DARK], ids=lambda shown: shown.name)


def test_the_contrast_is_the_one_of_the_guideline():
    # W3C, WCAG 2.1, G18 and its examples: black on white 21, #767676 on white 4.54
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.005)


@BOTH
def test_text_can_be_read_on_everything_it_stands_on(shown):
    grounds = ("window", "base", "alternate", "raised", "pending", "refused")
    for ground in grounds:
        assert contrast(shown.text, getattr(shown, ground)) >= 4.5, ground
    for ground in grounds[:4]:
        assert contrast(shown.muted, getattr(shown, ground)) >= 4.5, ground


@BOTH
def test_states_can_be_read_as_text_and_as_ground(shown):
    for tone in Tone:
        assert contrast(shown.on_tone, shown.tone(tone)) >= 4.5, tone
        assert contrast(shown.tone(tone), shown.window) >= 4.5, tone
        assert contrast(shown.tone(tone), shown.base) >= 4.5, tone
    assert contrast(shown.on_accent, shown.accent) >= 4.5
    assert contrast(shown.on_simulated, shown.simulated) >= 4.5


@BOTH
def test_lines_stand_out_from_the_plot(shown):
    for role in Role:
        assert contrast(shown.line(role), shown.base) >= 3.0, role
    for colour in shown.series:
        assert contrast(colour, shown.base) >= 3.0, colour


@BOTH
def test_the_edges_of_fields_and_boxes_stand_out_within_and_without(qtbot, qapp, shown):
    """Looked at, not only computed: what style and palette really draw."""
    theme.apply(qapp, shown)
    page = QWidget()
    qtbot.addWidget(page)
    page.setLayout(column := QVBoxLayout())
    for widget in (field := QLineEdit(), box := QCheckBox("peak hold"), QPushButton("other")):
        column.addWidget(widget)
    try:
        page.show()
        page.findChild(QPushButton).setFocus()
        qapp.processEvents()
        edges = set()
        for widget in (field, box):
            image, middle = page.grab(widget.geometry()).toImage(), widget.height() // 2
            row = [image.pixelColor(x, middle).name() for x in range(6)]
            edges.add(max(row, key=lambda seen: contrast(seen, shown.base)))
    finally:
        theme.apply(qapp, LIGHT)
    for edge in edges:
        assert contrast(edge, shown.window) >= 3.0, edge
        assert contrast(edge, shown.base) >= 3.0, edge


@BOTH
def test_lines_beside_each_other_are_told_apart_without_red_or_green_cones(shown):
    """Lines also differ in marker or dash; colours alone shall not look the same to 8 % of men."""
    for kind in ("protan", "deutan"):
        seen = [_lab(*_seen(colour, kind)) for colour in shown.series]
        for (i, first), (j, second) in combinations(enumerate(seen), 2):
            assert math.dist(first, second) > 12.0, (kind, shown.series[i], shown.series[j])


@BOTH
@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_lines_of_one_plot_differ_for_everybody(shown, kind):
    """Also where a cone is missing, and where it is the third one; 12 is seen at a glance."""
    sights = (
        [shown.line(role) for role in (Role.DATA, Role.FIT, Role.REFERENCE, Role.PEAK_HOLD)],
        [shown.line(role) for role in (Role.DATA, Role.FIT, Role.REFERENCE, Role.COMPONENT)],
        list(shown.series),
    )
    for lines in sights:
        for first, second in combinations(lines, 2):
            apart = math.dist(_lab(*_machado(first, kind)), _lab(*_machado(second, kind)))
            assert apart > 12.0, (kind, first, second)


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_the_colours_of_maps_rise_in_lightness_for_everybody(kind):
    table = pg.colormap.get("viridis").getLookupTable(nPts=64)
    lightness = [_lab(*_machado(QColor(*rgb[:3]).name(), kind))[0] for rgb in table.tolist()]
    assert all(low < high for low, high in pairwise(lightness))
    assert lightness[-1] - lightness[0] > 60.0


@BOTH
def test_one_call_dresses_every_widget_and_each_knows_its_theme(qtbot, qapp, shown):
    widget = QWidget()
    qtbot.addWidget(widget)

    theme.apply(qapp, shown)
    try:
        qapp.processEvents()
        assert theme_of(widget) is shown
        assert widget.palette().color(QPalette.ColorRole.Window).name() == shown.window
        assert qapp.style().objectName() == "fusion"
    finally:
        theme.apply(qapp, LIGHT)


def test_marks_on_plots_follow_the_theme(qtbot, qapp):
    link = EngineLink("test")
    light_map, detector = RasterMapPanel(link), DetectorImagePanel(link)
    for panel in (light_map, detector):
        qtbot.addWidget(panel)
    try:
        theme.apply(qapp, DARK)
        qapp.processEvents()
        inks = [mark.opts["pen"].color().name() for mark in (light_map._mark, light_map._here)]
        inks += [band.brush.color().name() for band in detector.bands]
    finally:
        theme.apply(qapp, LIGHT)

    assert set(inks) == {DARK.cursor}


def _seen(colour, kind):
    """Return linear r, g, b as a dichromat sees them.

    Source: F. Vienot, H. Brettel, J. Mollon, Color Res. Appl. 24, 243 (1999).
    """
    r, g, b = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    if kind == "protan":
        mixed = 0.11238 * r + 0.88762 * g
        return mixed, mixed, 0.00401 * r - 0.00401 * g + b
    mixed = 0.29275 * r + 0.70725 * g
    return mixed, mixed, -0.02234 * r + 0.02234 * g + b


# severity 1.0; source: G. Machado, M. Oliveira, L. Fernandes, IEEE Trans. Vis. Comput. Graph. 15,
# 1291 (2009), table 1
_MACHADO = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def _machado(colour, kind):
    """Return linear r, g, b as somebody without one kind of cone sees them."""
    rgb = [_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5)]
    rows = _MACHADO[kind]
    return [min(max(sum(a * c for a, c in zip(row, rgb, strict=True)), 0.0), 1.0) for row in rows]


def _linear(channel):
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _lab(r, g, b):
    """Return CIE L*a*b* (1976) of linear sRGB, white point D65."""
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (_root(max(value, 0.0)) for value in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _root(value):
    return value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116
