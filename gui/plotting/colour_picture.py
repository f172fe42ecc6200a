"""Values as a picture of colours, of which single lines can be drawn anew."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtGui import QImage
from PyQt6.sip import voidptr

__all__ = ["ColourPicture"]

OPAQUE = np.uint32(0xFF000000)


class ColourPicture(pg.ImageItem):  # type: ignore[misc]  # it has no types
    """Draws values of shape (lines, columns) between its levels; NaN is left open.

    pyqtgraph colours the whole picture for every line that comes: 10 ms for a megapixel.
    """

    image: NDArray[Any] | None
    lut: NDArray[np.uint8] | None
    levels: NDArray[np.float64] | None
    _renderRequired: bool

    def __init__(self) -> None:
        super().__init__()
        self._pixels: NDArray[np.uint32] | None = None  # what the QImage lies on
        self._table: NDArray[np.uint32] | None = None

    def renew(self, values: NDArray[Any], lines: NDArray[np.intp]) -> None:
        """Show these values, which differ from those shown in these lines only."""
        self.image = values
        if self._pixels is None or self._renderRequired or self._pixels.shape != values.shape:
            self._renderRequired = True
        else:
            self._pixels[lines] = self._coloured(values[lines])
        self.update()

    def setLookupTable(self, lut: NDArray[np.uint8], update: bool = True) -> None:
        self._table = None
        super().setLookupTable(lut, update=update)

    def render(self) -> None:
        """Colour everything; called by pyqtgraph where something else than lines has changed."""
        self._unrenderable = self.image is None or not self.image.size
        if self._unrenderable or self.image is None:
            return
        self._pixels = self._coloured(self.image)
        height, width = self._pixels.shape
        form = QImage.Format.Format_ARGB32_Premultiplied
        address: Any = voidptr(self._pixels.ctypes.data)  # the stubs know bytes only, a copy
        self.qimage = QImage(address, width, height, 4 * width, form)
        self._renderRequired = False

    def _coloured(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        table = self._colours()
        low, high = (0.0, 1.0) if self.levels is None else self.levels
        last = table.size - 2
        place = (values - low) * ((last + 1) / max(high - low, 1e-300))
        np.clip(place, 0, last, out=place)  # NaN stays
        place[np.isnan(place)] = last + 1
        coloured: NDArray[np.uint32] = table[place.astype(np.uint16)]
        return coloured

    def _colours(self) -> NDArray[np.uint32]:
        """Return the colours from the lowest value to the highest, and last the open one."""
        if self._table is None:
            grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
            red, green, blue = (grey if self.lut is None else self.lut)[:, :3].T.astype(np.uint32)
            colours = OPAQUE | red << 16 | green << 8 | blue
            self._table = np.append(colours, np.uint32(0)).astype(np.uint32)
        return self._table
