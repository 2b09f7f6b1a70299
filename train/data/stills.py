"""From a folder to the objects in it: the layouts of single pictures.

    stills   ROOT/SET/images/NAME.jpg beside ROOT/SET/masks/NAME.png
    coco     ROOT/annotations/{instances,panoptic}_NAME.json beside ROOT/NAME/*.jpg

Masks of stills have the ids 1 to 254, and 255 where pixels are to be ignored; or one object, 255, with hard or soft
edges.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from d3s_vot.leftovers import without_leftovers
from train.data import coco
from train.data.items import IGNORE, Item
from train.data.layouts import HELD_OUT_ONE_IN, NO_MASK, NO_PICTURE, PICTURES, Frame, Layout, Seen, checksum
from train.errors import DataError

CUTOUT_SETS = ("railvehicle",)  # of stills: objects on white


def measure_coco(frame: Frame) -> tuple[tuple[int, int], list[Seen]]:
    """Size (H, W) of a picture of COCO as its masks have it, and its objects.

    Raises:
        DataError: a mask cannot be read.
    """
    if frame.mask.suffix == ".json":
        size, objects = coco.measure_instances(frame.mask, frame.group)
    else:
        size, objects = coco.measure_segments(frame.mask)
    return size, [Seen(*values) for values in objects]


class Stills(Layout):
    """Sets of pictures with masks; the pictures of a subfolder are the frames of a video.

    In a set of which half of the masks or more have ids, 255 is to be ignored in all of them. In any other set it is
    the object of the masks that have nothing else.
    """

    name = "stills"

    def __init__(self, source: str, root: Path) -> None:
        super().__init__(source, root)
        if (root / "images").is_dir():
            raise DataError(f"{root} has a folder images, so it is one set; name the folder that contains it")
        folders = [f for f in without_leftovers(root.iterdir()) if (f / "images").is_dir()]
        if not folders:
            raise DataError(f"{root} has no folder SET/images; name the folder that contains the sets")
        if not any((f / "masks").is_dir() for f in folders):
            raise DataError(f"{root} has no folder {folders[0].name}/masks; add the masks of its pictures")
        self._images = {f: self.list_files(f / "images", PICTURES) for f in folders}
        self._masks = {f: set(self.list_files(f / "masks", (".png",))) for f in folders}

    def frames(self) -> list[Frame]:
        found = []
        for folder, names in self._images.items():
            masks = set(self._masks[folder])
            positions: Counter[PurePosixPath] = Counter()
            for name in names:
                mask, video = name.with_suffix(".png"), name.parent
                frame = positions[video] if video.parts else 0
                positions[video] += 1
                if mask not in self._masks[folder]:
                    self.skipped.add(NO_MASK, folder / "images" / name)
                    continue
                masks.discard(mask)
                group = str(video) if video.parts else str(name)
                found.append(Frame(folder.name, group, frame, folder / "images" / name, folder / "masks" / mask))
            if masks:
                self.skipped.add(NO_PICTURE, folder / "masks" / min(masks), len(masks))
        return found

    def items(self, seen: list[tuple[Frame, list[Seen]]]) -> list[Item]:
        with_ids = Counter(frame.collection for frame, objects in seen if _numbered(objects))
        with_any = Counter(frame.collection for frame, objects in seen if objects)
        found = []
        for frame, objects in seen:
            set_ = frame.collection
            if _numbered(objects) or 2 * with_ids[set_] >= with_any[set_]:
                objects = [o for o in objects if o.instance != IGNORE]
            held_out = checksum(frame.collection, frame.group) % HELD_OUT_ONE_IN == 0
            cutout = frame.collection in CUTOUT_SETS
            # Of these one person is labelled and others stand around.
            alone = frame.collection == "coco_subset" and frame.image.name.startswith("P")
            found += self.items_of(frame, objects, held_out, cutout=cutout, background=not (cutout or alone))
        return found


def _numbered(objects: list[Seen]) -> bool:
    return any(o.instance != IGNORE for o in objects)


class Coco(Layout):
    """COCO, or a data set in its format: train2017 if it is there, else all that has both JSON and pictures.

    Instances are preferred to panoptic segments. A crowd is no object, but its pixels are ignored.
    """

    name = "coco"
    measure = staticmethod(measure_coco)

    def __init__(self, source: str, root: Path) -> None:
        super().__init__(source, root)
        folder = self.part("annotations")
        names: dict[str, Path] = {}
        for kind in ("panoptic", "instances"):  # the latter overwrites the former
            for path in sorted(folder.glob(f"{kind}_*.json")):
                names[path.stem.removeprefix(f"{kind}_")] = path
        if not names:
            raise DataError(f"{folder} has no instances_NAME.json or panoptic_NAME.json; unpack the annotations there")
        there = {n: path for n, path in sorted(names.items()) if (root / n).is_dir()}
        if not there:
            raise DataError(
                f"{root} has no folder of pictures {min(names)}, as {names[min(names)]} wants; unpack it there"
            )
        self._sets = {"train2017": there["train2017"]} if "train2017" in there else there
        self._files = {}
        for name, path in self._sets.items():
            self.stamp(path)
            self._files[name] = {str(f) for f in self.list_files(root / name, PICTURES)}
            if path.stem.startswith("panoptic_"):
                if not path.with_suffix("").is_dir():
                    raise DataError(f"{folder} has no folder {path.stem} of masks; unpack it there")
                self.list_files(path.with_suffix(""), (".png",))
            else:
                coco.mask_tools()  # or every picture would be found unreadable

    def frames(self) -> list[Frame]:
        found = []
        for name, path in self._sets.items():
            for image, mask in self._pictures(path):
                if image not in self._files[name]:
                    self.skipped.add(NO_PICTURE, self.root / name / image)
                elif not mask.is_file():
                    self.skipped.add(NO_MASK, self.root / name / image)
                else:
                    found.append(Frame(name, image, 0, self.root / name / image, mask))
        return found

    def _pictures(self, path: Path) -> list[tuple[str, Path]]:
        """Name of each picture with objects, and its mask."""
        if path.stem.startswith("panoptic_"):
            masks = coco.load_panoptic(path)
            pairs = [(i, path.with_suffix("") / png) for i, png in masks.masks.items() if masks.objects[png]]
        else:
            pairs = [(i, path) for i in coco.load_instances(path).objects]
        return sorted(pairs)
