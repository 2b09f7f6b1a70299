"""The JSON of COCO and the masks that it describes: instances as polygons or run lengths, panoptic as a coloured PNG.

A JSON is parsed once in a process and kept, stripped to what is needed. Load it before worker processes are forked:
they share it then, while each would need a gigabyte and half a minute for the whole of COCO.
"""

from __future__ import annotations

import functools
import json
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.errors import DataError

Mask = NDArray[np.bool_]
Outline = list["array[float]"]  # polygons, each x1, y1, x2, y2 ...
Object = tuple[int, int, tuple[int, int, int, int]]  # id, area, x y w h

UNUSED = ("bbox", "area", "category_id", "license", "coco_url", "flickr_url", "date_captured")


@dataclass(frozen=True)
class Instances:
    """An instances JSON.

    Attributes:
        sizes: H, W of each picture by its file name.
        objects: ids of the annotations of each picture, by its file name, crowds left out.
        crowds: ids of its crowds.
        shapes: by the id of an annotation: its picture, and its polygons or run lengths.
    """

    sizes: dict[str, tuple[int, int]]
    objects: dict[str, list[int]]
    crowds: dict[str, list[int]]
    shapes: dict[int, tuple[str, Outline | dict[str, Any]]]


@dataclass(frozen=True)
class Panoptic:
    """A panoptic JSON: the PNG of each picture, and the ids of things and of crowds in a PNG."""

    masks: dict[str, str]
    objects: dict[str, list[int]]
    crowds: dict[str, list[int]]


def load_instances(path: Path) -> Instances:
    """Parse an instances JSON, or take what is kept of it.

    Raises:
        DataError: it is missing, damaged, or another kind of file.
    """
    return _parse_instances(path, _version(path))


def load_panoptic(path: Path) -> Panoptic:
    """Parse a panoptic JSON, or take what is kept of it.

    Raises:
        DataError: it is missing, damaged, or another kind of file.
    """
    return _parse_panoptic(path, _version(path))


def measure_instances(path: Path, name: str) -> tuple[tuple[int, int], list[Object]]:
    """Size (H, W) and objects of a picture of an instances JSON.

    Raises:
        DataError: an outline cannot be understood.
    """
    data = load_instances(path)
    objects = []
    for number in data.objects[name]:
        runs = _runs(path, data, number)
        with _outline(path, number):
            area = int(mask_tools().area(runs))
            # Polygons cannot be nonsense; of run lengths that are too few the rest of the mask is left to chance.
            if isinstance(data.shapes[number][1], dict) and _decode(path, number, runs).sum() != area:
                raise ValueError("its runs do not fill the picture")
            x, y, w, h = (int(v) for v in mask_tools().toBbox(runs))
        objects.append((number, area, (x, y, w, h)))
    return data.sizes[name], objects


def read_instance(path: Path, number: int) -> tuple[Mask, Mask]:
    """Pixels of an annotation and of the crowds in its picture, each H x W.

    Raises:
        DataError: the JSON cannot be read or has no such annotation.
    """
    data = load_instances(path)
    if number not in data.shapes:
        raise DataError(f"{path} has no annotation {number}; start again, so that the data is indexed anew")
    name = data.shapes[number][0]
    mask = _decode(path, number, _runs(path, data, number))
    ignore = np.zeros_like(mask)
    for crowd in data.crowds.get(name, ()):
        ignore |= _decode(path, crowd, _runs(path, data, crowd))
    return mask, ignore


def measure_segments(path: Path) -> tuple[tuple[int, int], list[Object]]:
    """Size (H, W) and things of a panoptic PNG.

    Raises:
        DataError: the PNG cannot be read.
    """
    ids = _read_segments(path)
    objects = []
    for number in load_panoptic(_json_of(path)).objects[path.name]:
        mask = (ids == number).astype(np.uint8)
        x, y, w, h = (int(v) for v in cv2.boundingRect(mask))
        objects.append((number, int(mask.sum(dtype=int)), (x, y, w, h)))
    return ids.shape, objects  # type: ignore[return-value]


def read_segment(path: Path, number: int) -> tuple[Mask, Mask]:
    """Pixels of a segment of a panoptic PNG and of its crowds, each H x W.

    Raises:
        DataError: the PNG or its JSON cannot be read.
    """
    ids = _read_segments(path)
    crowds = load_panoptic(_json_of(path)).crowds.get(path.name, [])
    return ids == number, np.isin(ids, crowds)


@functools.cache
def _parse_instances(path: Path, version: tuple[int, int]) -> Instances:
    objects: dict[str, list[int]] = defaultdict(list)
    crowds: dict[str, list[int]] = defaultdict(list)
    shapes: dict[int, tuple[str, Outline | dict[str, Any]]] = {}
    try:
        whole = _read_json(path, _shorten)
        names = {image["id"]: image["file_name"] for image in whole["images"]}
        sizes = {image["file_name"]: (image["height"], image["width"]) for image in whole["images"]}
        for entry in whole["annotations"]:
            name = names[entry["image_id"]]
            shapes[entry["id"]] = name, entry["segmentation"]
            (crowds if entry.get("iscrowd") else objects)[name].append(entry["id"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no file of COCO instances (at {error}); replace it") from None
    return Instances(sizes, dict(objects), dict(crowds), shapes)


@functools.cache
def _parse_panoptic(path: Path, version: tuple[int, int]) -> Panoptic:
    whole = _read_json(path)
    masks, objects, crowds = {}, {}, {}
    try:
        names = {image["id"]: image["file_name"] for image in whole["images"]}
        things = {c["id"] for c in whole["categories"] if c.get("isthing", 1)}
        for entry in whole["annotations"]:
            segments, png = entry["segments_info"], entry["file_name"]
            masks[names[entry["image_id"]]] = png
            kept = [s for s in segments if s["category_id"] in things]
            objects[png] = sorted(s["id"] for s in kept if not s.get("iscrowd"))
            crowds[png] = sorted(s["id"] for s in kept if s.get("iscrowd"))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no panoptic file of COCO (at {error}); replace it") from None
    return Panoptic(masks, objects, crowds)


def _version(path: Path) -> tuple[int, int]:
    """What changes with the file, so that nothing outdated is kept."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); unpack the annotations again") from None
    return stat.st_mtime_ns, stat.st_size


def _shorten(entry: dict[str, Any]) -> dict[str, Any]:
    """An object of the JSON as it is read, with what takes up memory in a smaller form or left out."""
    shape = entry.get("segmentation")
    if isinstance(shape, list):  # an array is a quarter of a list, and has no counters to write into
        entry["segmentation"] = [array("d", corners) for corners in shape if len(corners) >= 6]
    return {name: value for name, value in entry.items() if name not in UNUSED}


def _read_json(path: Path, hook: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes(), object_hook=hook)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); unpack the annotations again") from None


def _read_segments(path: Path) -> NDArray[np.int32]:
    """Ids of the segments, H x W: red + 256 green + 65536 blue."""
    try:
        colours = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        colours = None
    if colours is None:
        raise DataError(f"mask {path} cannot be read; replace it")
    return colours.astype(np.int32) @ np.array([1, 256, 65536], np.int32)  # H x W x 3 -> H x W


def _json_of(png: Path) -> Path:
    return png.parent.with_name(f"{png.parent.name}.json")


@contextmanager
def _outline(path: Path, number: int) -> Iterator[None]:
    """Say which annotation it is that cannot be understood."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"annotation {number} of {path} has no outline ({error}); correct or remove it") from None


def _runs(path: Path, data: Instances, number: int) -> Any:
    """Compressed run lengths of an annotation."""
    name, shape = data.shapes[number]
    height, width = data.sizes[name]
    with _outline(path, number):
        if isinstance(shape, dict):
            if list(shape["size"]) != [height, width]:
                raise ValueError("its size is not that of the picture")
            if not isinstance(shape["counts"], list):
                return shape
            if sum(shape["counts"]) != height * width:
                raise ValueError("its runs do not fill the picture")
            return mask_tools().frPyObjects(shape, height, width)
        if not shape:  # no polygon of three corners
            return mask_tools().encode(np.zeros((height, width), np.uint8, order="F"))
        return mask_tools().merge(mask_tools().frPyObjects([list(corners) for corners in shape], height, width))


def _decode(path: Path, number: int, runs: Any) -> Mask:
    with _outline(path, number):
        return mask_tools().decode(runs).astype(bool)  # H x W


def mask_tools() -> Any:
    """The module that decodes outlines.

    Raises:
        DataError: its package is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError:
        raise DataError("outlines of COCO need the package pycocotools; install d3s-vot[train]") from None
    return mask
