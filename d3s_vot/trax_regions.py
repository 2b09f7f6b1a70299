"""Regions of the TraX protocol and of the package, the one as the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from trax.region import Mask as TraxMask
from trax.region import Polygon as TraxPolygon
from trax.region import Rectangle as TraxRectangle
from trax.region import Region as TraxRegion

from d3s_vot.errors import InputError
from d3s_vot.mask_codes import PlacedMask, storable
from d3s_vot.regions import Box, Mask, Polygon, Region, rasterize

# What the annotations count their top-left pixel as: rectangles (VOT2013-2015, OTB) from 1, see
# Box.one_based; polygons (VOT2014-2019) are taken as they stand.
POLYGON_ORIGIN = 0.0


def region_from_trax(region: TraxRegion, height: int, width: int) -> Region:
    """A region of the protocol in the package's coordinates.

    Args:
        region: rectangle, polygon or mask (which covers a part of the image and carries its offset).
        height, width: size of the image, for masks.

    Raises:
        InputError: the region is of another kind, empty or not finite.
    """
    if region.type == TraxRegion.RECTANGLE:
        return Box.from_one_based(*region.bounds())
    if region.type == TraxRegion.POLYGON:
        return Polygon(np.array(list(region)) - POLYGON_ORIGIN)
    if region.type == TraxRegion.MASK:
        x, y = region.offset()
        part = region.array() > 0
        full = np.zeros((height, width), bool)
        top, left = max(y, 0), max(x, 0)
        bottom, right = max(min(y + part.shape[0], height), top), max(min(x + part.shape[1], width), left)
        full[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]
        return Mask(full)
    raise InputError(f"the client gave a target of kind {region.type!r}; send a rectangle, polygon or mask")


def region_to_trax(region: Region, kind: str, height: int, width: int) -> TraxRegion:
    """A region of the package as the protocol has it, in the kind that the target was given in.

    The kind decides on the corner convention too: where the tracker falls back to a box, in a sequence of
    polygons, a rectangle would lie one pixel off.

    Args:
        region: box, polygon or mask; converted where it is of another kind.
        kind: TraxRegion.RECTANGLE, POLYGON or MASK.
        height, width: size of the image, for masks.

    Raises:
        InputError: a coordinate does not fit the protocol's single precision, or a mask the toolkit's files.
    """
    if kind == TraxRegion.MASK:
        return mask_to_trax(rasterize(region, height, width))
    if kind == TraxRegion.RECTANGLE:
        return TraxRectangle.create(*_finite(region.box.one_based()))
    corners = _finite(region.polygon.points.ravel() + POLYGON_ORIGIN)
    return TraxPolygon.create(list(zip(corners[::2], corners[1::2], strict=True)))


def mask_to_trax(mask: NDArray[np.bool_]) -> TraxRegion:
    """An H x W mask of the image as the protocol has it; one that the toolkit could not store is made simpler.

    Raises:
        InputError: no file of the toolkit can say where it lies.
    """
    try:
        part = storable(PlacedMask.of(mask))
    except ValueError as error:
        raise InputError(f"the answer cannot be sent: {error}") from None
    return TraxMask.create(np.ascontiguousarray(part.window(0, 0, *mask.shape[::-1]), np.uint8))


def _finite(values: Any) -> list[float]:
    """The values in single precision: an infinite one would end the session inside the toolkit."""
    with np.errstate(over="ignore"):
        single = np.asarray(values, np.float32)
    if not np.isfinite(single).all():
        raise InputError(f"the region {list(values)} cannot be sent: its coordinates are too large")
    return single.tolist()
