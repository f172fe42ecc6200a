"""A plot as this program wants it, around one of pyqtgraph's.

- It shows everything until the user zooms; from then on the view is the user's, whatever arrives,
  until "A" (or the button) gives it back.
- Axes carry their unit and never an SI prefix: 0.0021 keV is no energy anybody reads.
- Colours come from the theme and follow it. Logarithmic counts leave out what is not positive.
- Every plot gives away its picture (PNG, SVG) and the numbers behind it (CSV).
- Where there is nothing yet, it says what will appear and how to get it.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from math import log10
from pathlib import Path
from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QImage, QKeyEvent, QPaintDevice, QPainter
from PyQt6.QtWidgets import QBoxLayout, QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from gui.look.theme import Role, text_scale, theme_of
from gui.plotting.colour_limits import ColourLimits
from gui.plotting.plot_axis import Axis
from gui.plotting.plot_canvas import PlotCanvas
from gui.plotting.plot_curve import Curve
from gui.plotting.plot_image import Image, shortened, without_prefix
from gui.plotting.plot_words import PlotWords
from gui.widgets.file_question import ask_save
from gui.widgets.invitation import Invitation

__all__ = ["Curve", "Image", "Plot"]

PICTURE_SCALE = 2  # dots of a saved picture for each of the screen
UNDER_VIEW = -200  # height of what lies below pyqtgraph's ViewBox, which is at -100

pg.setConfigOptions(antialias=False, imageAxisOrder="row-major")


class Plot(QWidget):
    """One plot with its buttons; `item` is pyqtgraph's PlotItem for whatever is not offered here.

    hovered: x, y under the mouse in the units of the axes. left: the mouse went away.
    clicked, double_clicked: x, y of a press without a drag. auto_changed: who owns the view.
    """

    hovered = pyqtSignal(float, float)
    left = pyqtSignal()
    clicked = pyqtSignal(float, float)
    double_clicked = pyqtSignal(float, float)
    auto_changed = pyqtSignal(bool)
    log_changed = pyqtSignal(bool)

    def __init__(
        self,
        x_label: str = "",
        x_unit: str = "",
        y_label: str = "",
        y_unit: str = "",
        *,
        name: str = "plot",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._curves: list[Curve] = []
        self._images: list[Image] = []
        self._words: list[PlotWords] = []
        self._colour_limits: list[ColourLimits] = []
        self._is_log = False
        self._is_auto = True
        self._is_empty = True
        self._hides_x = False
        self._titles = {"bottom": "", "left": ""}
        self._graphics = PlotCanvas()
        self._invitation = Invitation(self._graphics)
        self._graphics.ci.layout.setContentsMargins(2, 2, 6, 2)
        self.item: Any = self._graphics.addPlot(
            viewBox=pg.ViewBox(enableMenu=False),
            axisItems={side: Axis(side) for side in ("left", "bottom")},
        )
        self._adopt_menus(self.item)
        self.item.hideButtons()
        self.item.showGrid(x=True, y=True, alpha=0.25)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setStyle(maxTickLevel=1)  # finer lines say nothing
            axis.setZValue(UNDER_VIEW)  # its grid is not transparent
            without_prefix(axis)
        self.view: Any = self.item.getViewBox()
        self._graphics.view = self.view
        self.set_x_axis(x_label, x_unit)
        self.set_y_axis(y_label, y_unit)
        self._auto_button = self._button(
            "A", "Show everything, and go on doing so (A)", self.restore_auto
        )
        self._auto_button.setCheckable(True)
        self._auto_button.setChecked(True)
        self._log_button = self._button("log", "Logarithmic vertical axis (L)", self._flip_log)
        self._log_button.setCheckable(True)
        self._more_button = self._button("⋯", "Save the picture or its numbers, and more", None)
        self._more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more_button.setMenu(self._export_menu())
        self._lay_out()
        self._listen()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"{name}: {y_label} against {x_label}")
        self._dress()

    # --- what is shown

    def curve(
        self, name: str, role: Role | str, *, marker: str = "none", line: bool = True
    ) -> Curve:
        """Add a line, markers or both; role is a Role of the theme, or a colour."""
        curve = Curve(
            self.item,
            name,
            role,
            theme=theme_of(self),
            marker=marker,
            line=line,
            is_log=self._is_log,
            shown=self._on_shown,
        )
        curve.set_scale(text_scale(self))
        self._curves.append(curve)
        return curve

    def words(self) -> PlotWords:
        """Add words that stand at places."""
        words = PlotWords(self.item, theme=theme_of(self), font=self.font(), is_log=self._is_log)
        self._words.append(words)
        return words

    def image(self, name: str, colours: str = "viridis", unit: str = "") -> Image:
        """Add a map of colours with its bar."""
        image = Image(self.item, name, colours, unit, theme_of(self), self._on_shown)
        self._images.append(image)
        self._adopt_menus(image.bar)
        limits = ColourLimits(image, self)
        self._whole.insertWidget(1, limits)
        self._colour_limits.append(limits)
        self._limits_action.setVisible(True)
        return image

    def remove(self, curve: Curve) -> None:
        """Take a curve out for good."""
        self._curves.remove(curve)
        curve.drop()

    @property
    def invitation(self) -> str:
        """What is said where nothing is to be seen; "" where something is."""
        return self._invitation.text() if self._invitation.isVisibleTo(self) else ""

    def invite(self, words: str) -> None:
        """Say this as long as there is nothing: what will appear, and how to get it."""
        self._invitation.setText(words)
        self._show_invitation()

    def set_x_axis(self, label: str, unit: str = "") -> None:
        self._label("bottom", label, unit)

    def set_y_axis(self, label: str, unit: str = "") -> None:
        self._label("left", label, unit)

    # --- whose view it is

    @property
    def is_auto(self) -> bool:
        """Whether the view follows what is shown."""
        return self._is_auto

    def restore_auto(self) -> None:
        """Show everything, now and when more arrives."""
        self.view.enableAutoRange(x=True, y=True)
        self._set_auto(True)

    def zoom_to(
        self, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
    ) -> None:
        """Show a part; the view is the user's from now on."""
        if x is not None:
            self.view.setXRange(*x, padding=0)
        if y is not None:
            low, high = y
            self.view.setYRange(*((log10(low), log10(high)) if self._is_log else y), padding=0)
        self._set_auto(False)

    # --- scale

    @property
    def is_log(self) -> bool:
        return self._is_log

    def set_log(self, is_log: bool) -> None:
        """Make the vertical axis logarithmic or linear; the horizontal view stays."""
        self._log_button.setChecked(is_log)
        if is_log == self._is_log:
            return
        self._is_log = is_log
        self.item.getAxis("left").setLogMode(is_log)
        for curve in self._curves:
            curve.set_log(is_log)
        for words in self._words:
            words.set_log(is_log)
        self.view.enableAutoRange(y=True)
        self.log_changed.emit(is_log)

    def offer_log(self, is_offered: bool) -> None:
        """Show or hide the button for the logarithmic axis."""
        self._log_button.setVisible(is_offered)

    def settle(self) -> None:
        """Bring the view up to what is shown: else it is painted once before, and once after."""
        self.view.prepareForPaint()

    # --- colours

    def ask_colour_limits(self) -> None:
        """Let the ends of the colours be typed."""
        for limits in self._colour_limits:
            limits.ask()

    # --- room

    def put_tools_beside(self) -> None:
        """Put the buttons to the right of the plot: for one that is low."""
        self._whole.setDirection(QBoxLayout.Direction.RightToLeft)
        self.tools.setDirection(QBoxLayout.Direction.TopToBottom)
        self.tools.takeAt(0)  # the stretch
        self.tools.addStretch(1)

    def hide_x_axis(self, *, is_hidden: bool = True) -> None:
        """Write nothing at the horizontal axis: the plot above or below has the same.

        What is given away says it all the same."""
        self._hide_x(is_hidden=is_hidden)

    # --- the linked cursor

    def show_cross(self, x: float | None = None, y: float | None = None) -> None:
        """Show the linked cursor at x, at y, at both; None hides a line."""
        self._graphics.show_cross(x, y)

    @property
    def cross(self) -> tuple[float | None, float | None]:
        """Where the linked cursor is shown; None for a line that is not."""
        return self._graphics.cross

    # --- giving away

    def save_picture(self, path: Path) -> None:
        """Write the plot as PNG or SVG, by the name's ending. Raises ValueError, OSError."""
        ending = path.suffix.lower()
        if ending not in (".png", ".svg"):
            raise ValueError(f"{path.name}: a picture ends in .png or .svg")
        (self._save_png if ending == ".png" else self._save_svg)(path)

    def save_numbers(self, path: Path) -> None:
        """Write what is behind the plot as CSV: each curve's x, y and error; maps as a table."""
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(self._rows())

    # --- inside

    def _hide_x(self, *, is_hidden: bool) -> None:
        self._hides_x = is_hidden
        axis = self.item.getAxis("bottom")
        axis.setStyle(showValues=not is_hidden)
        axis.showLabel(not is_hidden and bool(self._titles["bottom"]))

    def _on_shown(self, has: bool) -> None:
        """One of the curves or maps has been shown anew."""
        if has == self._is_empty:
            self._is_empty = not has and not self._has_any()
            self._show_invitation()

    def _has_any(self) -> bool:
        return any(curve.x.size for curve in self._curves) or any(
            image.has_values for image in self._images
        )

    def _show_invitation(self) -> None:
        self._invitation.setVisible(self._is_empty and bool(self._invitation.text()))

    def _save_png(self, path: Path) -> None:
        size = self._graphics.size() * PICTURE_SCALE
        image = QImage(size, QImage.Format.Format_RGB32)
        image.fill(QColor(theme_of(self).base))
        self._draw_on(image, QRectF(QPointF(), QSizeF(size)))
        if not image.save(str(path)):
            raise OSError(f"{path}: the picture could not be written")

    def _save_svg(self, path: Path) -> None:
        from PyQt6.QtSvg import QSvgGenerator  # noqa: PLC0415 - starts faster without

        drawing = QSvgGenerator()
        drawing.setFileName(str(path))
        drawing.setSize(self._graphics.size())
        drawing.setViewBox(self._graphics.rect())
        drawing.setTitle(self._name)
        self._draw_on(drawing, QRectF(self._graphics.rect()))
        if not path.exists():
            raise OSError(f"{path}: the picture could not be written")

    def _draw_on(self, device: QPaintDevice, place: QRectF) -> None:
        """Draw it, with the axis that the plot beside has on the screen."""
        is_hidden = self._hides_x
        if is_hidden:
            self._hide_x(is_hidden=False)
            self.item.layout.activate()
        painter = QPainter(device)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._graphics.scene().render(painter, place, QRectF(self._graphics.rect()))
        painter.scale(
            place.width() / self._graphics.width(), place.height() / self._graphics.height()
        )
        self._graphics.draw_cross(painter)
        painter.end()
        if is_hidden:
            self._hide_x(is_hidden=True)
            self.item.layout.activate()

    def _rows(self) -> Iterator[list[object]]:
        x_title, y_title = (self._titles[side] for side in ("bottom", "left"))
        columns: list[Sequence[object]] = []
        for curve in self._curves:
            if not curve.x.size:
                continue
            columns.append([f"{curve.name}: {x_title}", *curve.x.tolist()])
            columns.append([f"{curve.name}: {y_title}", *curve.y.tolist()])
            if curve.error is not None:
                columns.append([f"{curve.name}: error", *curve.error.tolist()])
        for row in zip_longest(*columns, fillvalue=""):
            yield list(row)
        for image in self._images:
            if image.values.size:
                yield from image.rows(x_title, y_title)

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction("Save &picture…", self._ask_picture)
        menu.addAction("Save &numbers…", self._ask_numbers)
        menu.addAction("&Copy picture", self._copy_picture)
        self._limits_action = QAction("Colour &limits… (C)", menu)
        self._limits_action.triggered.connect(lambda _checked: self.ask_colour_limits())
        self._limits_action.setVisible(False)
        menu.addAction(self._limits_action)
        return menu

    def _ask_picture(self) -> None:
        kinds = ("PNG (*.png)", "SVG (*.svg)")
        ask_save(self, "Save picture", f"{self._name}.png", kinds, self.save_picture)

    def _ask_numbers(self) -> None:
        ask_save(self, "Save numbers", f"{self._name}.csv", ("CSV (*.csv)",), self.save_numbers)

    def _copy_picture(self) -> None:
        from PyQt6.QtWidgets import QApplication  # noqa: PLC0415

        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setPixmap(self._graphics.grab())

    def _adopt_menus(self, item: Any) -> None:
        """Own what pyqtgraph gives no parent: such menus outlive their plot."""
        item.setMenuEnabled(False)
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())  # else it is shown with us

    def _flip_log(self) -> None:
        self.set_log(not self._is_log)

    def _button(self, text: str, hint: str, act: Any) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if act is not None:
            button.clicked.connect(lambda _checked: act())
        return button

    def _lay_out(self) -> None:
        self.tools = QHBoxLayout()
        """The line above the plot; a view may put its own choices to the left."""
        self.tools.setContentsMargins(0, 0, 0, 0)
        self.tools.setSpacing(2)
        self.tools.addStretch(1)
        for button in (self._log_button, self._auto_button, self._more_button):
            self.tools.addWidget(button)
        self._whole = QVBoxLayout(self)
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._whole.setSpacing(0)
        self._whole.addLayout(self.tools)
        self._whole.addWidget(self._graphics, 1)

    def _listen(self) -> None:
        self.view.sigRangeChangedManually.connect(self._on_zoom)
        self.view.sigResized.connect(lambda _: self._fit_titles())
        scene = self._graphics.scene()
        scene.sigMouseMoved.connect(self._on_mouse)
        scene.sigMouseClicked.connect(self._on_click)
        self._graphics.viewport().installEventFilter(self)

    def _on_zoom(self, *_: object) -> None:
        self._set_auto(False)

    def _set_auto(self, is_auto: bool) -> None:
        if not is_auto:
            self.view.disableAutoRange()
        self._auto_button.setChecked(is_auto)
        if is_auto != self._is_auto:
            self._is_auto = is_auto
            self.auto_changed.emit(is_auto)

    def _place(self, scene_place: QPointF) -> tuple[float, float] | None:
        if not self.view.sceneBoundingRect().contains(scene_place):
            return None
        place = self.view.mapSceneToView(scene_place)
        y = place.y()
        if self._is_log:
            y = 10.0 ** min(y, 300.0)
        return place.x(), y

    def _on_mouse(self, scene_place: QPointF) -> None:
        place = self._place(scene_place)
        if place is None:
            self.left.emit()
        else:
            self.hovered.emit(*place)

    def _on_click(self, event: Any) -> None:
        place = self._place(event.scenePos())
        if place is None or event.button() != Qt.MouseButton.LeftButton:
            return
        (self.double_clicked if event.double() else self.clicked).emit(*place)

    def eventFilter(self, watched: Any, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Leave:
            self.left.emit()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        match event.key():
            case Qt.Key.Key_A:
                self.restore_auto()
            case Qt.Key.Key_L if self._log_button.isVisibleTo(self):
                self._flip_log()
            case Qt.Key.Key_C if self._colour_limits:
                self.ask_colour_limits()
            case Qt.Key.Key_Plus:
                self._zoom_by(0.8)
            case Qt.Key.Key_Minus:
                self._zoom_by(1.25)
            case _:
                super().keyPressEvent(event)

    def _zoom_by(self, factor: float) -> None:
        self.view.scaleBy((factor, factor))
        self._set_auto(False)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() in _REDRESS:
            self._dress()

    def _label(self, side: str, label: str, unit: str) -> None:
        title = f"{label} ({unit})" if unit else label
        if title == self._titles[side]:
            return
        self._titles[side] = title
        self._fit_title(side)

    def _fit_titles(self) -> None:
        """Write the titles, shortened where an axis is short."""
        for side in self._titles:
            self._fit_title(side)
        for image in self._images:
            image.fit_title()

    def _fit_title(self, side: str) -> None:
        length_px = self.view.width() if side == "bottom" else self.view.height()
        axis = self.item.getAxis(side)
        written = shortened(self._titles[side], self.font(), length_px)
        if written != axis.labelText:
            axis.setLabel(written)
            axis.resizeEvent()  # puts it in the middle again
        if side == "bottom" and self._hides_x:
            axis.showLabel(False)

    def _dress(self) -> None:
        theme = theme_of(self)
        if not hasattr(self, "tools"):
            return
        self._graphics.setBackground(theme.base)
        for side in ("bottom", "left"):
            axis = self.item.getAxis(side)
            axis.ground = QColor(theme.base)
            axis.setPen(pg.mkPen(theme.border))
            axis.setTextPen(pg.mkPen(theme.muted))
            axis.setStyle(tickFont=self.font(), tickTextOffset=4)
            axis.label.setFont(self.font())
            axis.labelStyle = {"color": theme.text}
            axis.setLabel(self._titles[side])
            self._fit_title(side)
        self._graphics.set_cross_pen(pg.mkPen(theme.cursor, width=1, style=Qt.PenStyle.DashLine))
        for curve in self._curves:
            curve.dress(theme)
            curve.set_scale(text_scale(self))
        for words in self._words:
            words.dress(theme, self.font())
        for image in self._images:
            image.dress(theme, self.font())


_REDRESS = (QEvent.Type.PaletteChange, QEvent.Type.FontChange)
