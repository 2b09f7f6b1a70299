"""From a folder to the objects in it: the layouts of videos.

    youtube-vos   ROOT/JPEGImages/VIDEO/00005.jpg, ROOT/Annotations/VIDEO/00005.png, ROOT/meta.json if there is one
    davis         ROOT/JPEGImages/480p/VIDEO/00005.jpg, ROOT/Annotations/480p/VIDEO/00005.png, ROOT/ImageSets lists

Masks have ids from 1; a picture without a mask is no frame.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath

from train.data.items import IGNORE, Item
from train.data.layouts import NO_MASK, NO_PICTURE, PICTURES, Frame, Layout, Seen, checksum
from train.errors import DataError

MIN_FRAMES = 20  # annotated, of a video of YouTube-VOS: published
MIN_VISIBLE = 5  # of those that show the object: published
HELD_OUT_VIDEOS = 25  # of YouTube-VOS: published; a tenth of a smaller set


class Videos(Layout):
    """Folders of numbered pictures and masks, one for each video."""

    def __init__(self, source: str, root: Path, inner: str, images: str, masks: str) -> None:
        """List the files.

        Args:
            source: name of the source.
            root: the data set's folder, or the folder that contains it.
            inner: name of the folder in `root`, in that case.
            images: folder of the pictures' videos in the data set.
            masks: folder of the masks' videos.
        """
        super().__init__(source, root)
        within = not (root / images).is_dir() and (root / inner / images).is_dir()
        self.folder = root / inner if within else root
        prefix = f"{inner}/" if within else ""
        self._images, self._masks = self.part(f"{prefix}{images}"), self.part(f"{prefix}{masks}")
        self.pictures = {n.with_suffix(""): n for n in self.list_files(self._images, PICTURES) if len(n.parts) == 2}
        self.annotated = [n for n in self.list_files(self._masks, (".png",)) if len(n.parts) == 2]

    def collect(self, collection: str, videos: set[str] | None, *, joined: bool = False) -> list[Frame]:
        """Frames of some videos (None: of all) that have both a picture and a mask."""
        found = []
        rest = set(self.pictures)
        for name in self.annotated:
            video, key = name.parts[0], name.with_suffix("")
            rest.discard(key)
            if videos is not None and video not in videos:
                continue
            if key not in self.pictures:
                self.skipped.add(NO_PICTURE, self._masks / name)
                continue
            image, mask = self._images / self.pictures[key], self._masks / name
            found.append(Frame(collection, video, _number(name), image, mask, joined))
        rest = {key for key in rest if videos is None or key.parts[0] in videos}
        if rest:  # every frame has a picture in some packages, one in five a mask
            self.skipped.add(NO_MASK, self._images / self.pictures[min(rest)], len(rest))
        return found


class YouTubeVos(Videos):
    """YouTube-VOS 2018 or 2019, the part for training.

    Videos of at least 20 annotated frames are used, and objects in at least 5 of them. One object of each of 25
    videos is held out, which have the smallest checksums; what else these videos show is not used.
    """

    name = "youtube-vos"

    def __init__(self, source: str, root: Path) -> None:
        super().__init__(source, root, "train", "JPEGImages", "Annotations")
        self._meta = self.folder / "meta.json"
        if self._meta.is_file():
            self.stamp(self._meta)

    def frames(self) -> list[Frame]:
        return self.collect("youtube-vos", None)

    def items(self, seen: list[tuple[Frame, list[Seen]]]) -> list[Item]:
        listed = self._listed()
        videos: dict[str, list[Item]] = defaultdict(list)
        lengths = Counter(frame.group for frame, _ in seen)
        stray: Counter[tuple[str, int]] = Counter()
        for frame, objects in seen:
            if lengths[frame.group] < MIN_FRAMES:
                continue
            known = [o for o in objects if o.instance != IGNORE]
            if listed is not None:
                stray.update((frame.group, o.instance) for o in known if (frame.group, o.instance) not in listed)
                known = [o for o in known if (frame.group, o.instance) in listed]
            videos[frame.group] += self.items_of(frame, known, held_out=False)
        for video, length in lengths.items():
            if length < MIN_FRAMES:
                self.skipped.add(f"video of fewer than {MIN_FRAMES} annotated frames", self._masks / video)
        for video, instance in stray:
            self.skipped.add("object that meta.json does not list", f"{self._masks / video}, id {instance}")
        usable = {video: self._often_seen(video, found) for video, found in sorted(videos.items())}
        if listed is not None:
            for video, instance in sorted(listed - {(i.group, i.instance) for v in videos.values() for i in v}):
                if video in videos:
                    self.skipped.add("object of meta.json in no mask", f"{self._masks / video}, id {instance}")
        return self._hold_out({video: found for video, found in usable.items() if found})

    def _often_seen(self, video: str, found: list[Item]) -> list[Item]:
        counts = Counter(i.instance for i in found)
        for instance in sorted(n for n, count in counts.items() if count < MIN_VISIBLE):
            where = f"{self._masks / video}, id {instance}"
            self.skipped.add(f"object in fewer than {MIN_VISIBLE} frames", where)
        return [i for i in found if counts[i.instance] >= MIN_VISIBLE]

    def _hold_out(self, videos: dict[str, list[Item]]) -> list[Item]:
        """All items, those held out marked and the other objects of their videos removed."""
        number = min(HELD_OUT_VIDEOS, max(len(videos) // 10, 1))
        chosen = sorted(videos, key=lambda v: checksum("youtube-vos", v))[:number]
        for video in chosen:
            first = min(i.instance for i in videos[video])
            others = {i.instance for i in videos[video]} - {first}
            if others:
                where = f"{self._masks / video}, id {min(others)}"
                self.skipped.add("object beside one that is held out", where, len(others))
            videos[video] = [replace(i, held_out=True) for i in videos[video] if i.instance == first]
        return [item for found in videos.values() for item in found]

    def _listed(self) -> set[tuple[str, int]] | None:
        """Video and id of the objects in meta.json; None: there is no such file."""
        if not self._meta.is_file():
            return None
        try:
            videos = json.loads(self._meta.read_bytes())["videos"]
            return {(video, int(number)) for video, entry in videos.items() for number in entry["objects"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{self._meta} is no list of YouTube-VOS ({error!r}); replace or remove it") from None


class Davis(Videos):
    """DAVIS 2017, train and val in 480p, or DAVIS 2016; the videos of val.txt are held out.

    Of DAVIS 2016, where the lists of 2017 are missing, all that is labelled in a frame is one object.
    """

    name = "davis"

    def __init__(self, source: str, root: Path) -> None:
        super().__init__(source, root, "DAVIS", "JPEGImages/480p", "Annotations/480p")
        folders = [self.folder / "ImageSets" / name for name in ("2017", "2016", "480p")]
        lists = next((f for f in folders if (f / "train.txt").is_file() or (f / "val.txt").is_file()), None)
        if lists is None:
            raise DataError(f"{self.folder} has no ImageSets/2017/train.txt; unpack the lists of DAVIS there")
        self._joined = lists.name != "2017"
        self._train, self._val = (self._read(lists / f"{name}.txt") for name in ("train", "val"))

    def frames(self) -> list[Frame]:
        wanted = self._train | self._val
        for video in sorted(wanted - {n.parts[0] for n in self.pictures}):
            self.skipped.add("video of a list without pictures", self._images / video)
        return self.collect("davis", wanted, joined=self._joined)

    def items(self, seen: list[tuple[Frame, list[Seen]]]) -> list[Item]:
        found = []
        for frame, objects in seen:
            if not self._joined:
                objects = [o for o in objects if o.instance != IGNORE]
            found += self.items_of(frame, objects, frame.group in self._val)
        return found

    def _read(self, path: Path) -> set[str]:
        """Videos of a list, which has a name a line, or in the package of 2016 the two paths of a frame."""
        if not path.is_file():
            return set()
        self.stamp(path)
        try:
            lines = [line.split() for line in path.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise DataError(f"list {path} cannot be read ({error}); replace it") from None
        firsts = [PurePosixPath(words[0]) for words in lines if words]
        return {p.parent.name if len(p.parts) > 1 else p.name for p in firsts}


def _number(name: PurePosixPath) -> int:
    if not name.stem.isdecimal():
        raise DataError(f"frame {name} has no number for a name; remove it, or use the layout stills")
    return int(name.stem)
