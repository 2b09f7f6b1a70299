"""Small labelled data sets, in every layout, that the tests of the training draw for themselves."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from train.data.index import index
from train.data.items import Item, Source

WIDTH, HEIGHT = 64, 48
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [0] * 756
LEFT, RIGHT = (4, 8, 20, 24), (36, 6, 20, 30)  # boxes x, y, w, h


def draw_stills(root: Path) -> Path:
    """Draw a folder in the `stills` layout and return it: 86 objects of two sets.

    `shapes` holds 40 pictures with two ellipses each, `video_clips` one video (folder `clip`) of three frames. A
    picture is 160 x 120 pixels of smooth noise, its ellipses stand at (50, 60) as id 1 and (110, 60) as id 2 with
    half axes 20 x 30, each of one colour; the top three rows of the masks are to be ignored (255).
    """
    rng = np.random.default_rng(0)
    names = [("shapes", f"{k:03d}") for k in range(40)] + [("video_clips", f"clip/{k}") for k in range(3)]
    for collection, name in names:
        image = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 3)
        mask = np.zeros((120, 160), np.uint8)
        for instance, x in ((1, 50), (2, 110)):
            cv2.ellipse(mask, (x, 60), (20, 30), 0, 0, 360, instance, -1)
            image[mask == instance] = rng.integers(0, 256, 3)
        mask[:3] = 255
        for folder, array, end in (("images", image, "jpg"), ("masks", mask, "png")):
            path = root / collection / folder / f"{name}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), array)
    return root


def find(layout: str, root: Path, **options: object) -> tuple[list[Item], Counter[str]]:
    found = index([Source(layout, root)], **{"cache": None, "workers": 0, **options})
    return found.items, found.skipped


def draw_mask(boxes: dict[int, tuple[int, int, int, int]]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value, (x, y, w, h) in boxes.items():
        mask[y : y + h, x : x + w] = value
    return mask


def write_resnet18(path: Path) -> Path:
    """A file of random weights of a ResNet-18, for `--trunk-weights`."""
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(resnet18(weights=None).state_dict(), path)
    return path


def write_image(path: Path, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, WIDTH, 3), np.uint8)
    cv2.imwrite(str(path), noise)


def write_mask(path: Path, mask: np.ndarray, *, indexed: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    if indexed:
        picture.putpalette(PALETTE)
    picture.save(path)


def write_youtube(root: Path, videos: dict[str, tuple[int, dict[int, int]]], meta: bool = True) -> None:
    """Videos by name: their annotated frames, every fifth; and for each id how many of those show it."""
    listing: dict[str, dict] = {}
    for video, (frames, shown) in videos.items():
        listing[video] = {"objects": {str(k): {"category": "cat", "frames": []} for k in shown}}
        for k in range(frames):
            write_image(root / f"JPEGImages/{video}/{5 * k:05d}.jpg")
            boxes = {i: (LEFT, RIGHT)[i % 2] for i, count in shown.items() if k < count}
            write_mask(root / f"Annotations/{video}/{5 * k:05d}.png", draw_mask(boxes), indexed=True)
    if meta:
        (root / "meta.json").write_text(json.dumps({"videos": listing}))


def write_davis(root: Path, year: str) -> None:
    for video in ("bear", "dance", "unlisted"):
        for k in range(3):
            write_image(root / f"JPEGImages/480p/{video}/{k:05d}.jpg")
            path = root / f"Annotations/480p/{video}/{k:05d}.png"
            if year == "2017":
                write_mask(path, draw_mask({1: LEFT, 2: RIGHT, 255: (0, 0, 64, 2)}), indexed=True)
            else:
                mask = draw_mask({255: LEFT})  # a few masks of 2016 are pictures of colours
                write_mask(path, np.stack([mask, mask * 0, mask * 0], axis=2) if k == 1 else mask)
    for name, video in (("train", "bear"), ("val", "dance")):
        path = root / "ImageSets" / year / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"/JPEGImages/480p/{video}/{k:05d}.jpg /Annotations/480p/{video}/{k:05d}.png" for k in range(3)]
        path.write_text("\n".join(lines if year == "480p" else [video]) + "\n\n")


def write_coco(root: Path, kind: str, name: str = "train2017") -> None:
    """Two pictures: one with an object as polygons, one as run lengths and a crowd, one that is too small."""
    boxes = {1: LEFT, 2: RIGHT}
    for picture in ("1.jpg", "2.jpg", "empty.jpg"):
        write_image(root / name / picture)
    images = [{"id": k, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH} for k, n in ((7, "1"), (8, "2"))]
    crowd = draw_mask({1: (0, 40, 64, 8)})
    runs = {"size": [HEIGHT, WIDTH], "counts": run_lengths(crowd)}
    rest = {"category_id": 1, "iscrowd": 0}
    annotations: list[dict]
    if kind == "instances":
        x, y, w, h = LEFT
        halves = [
            [x, y, x + w / 2, y, x + w / 2, y + h, x, y + h],
            [x + w / 2, y, x + w, y, x + w, y + h, x + w / 2, y + h],
        ]
        annotations = [
            {"id": 100, "image_id": 7, "segmentation": halves, **rest},
            {
                "id": 101,
                "image_id": 8,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": run_lengths(draw_mask({1: RIGHT}))},
                **rest,
            },
            {"id": 102, "image_id": 8, "segmentation": runs, **rest, "iscrowd": 1},
            {"id": 103, "image_id": 8, "segmentation": [[0, 0, 5, 0, 5, 5], [1, 1]], **rest},
            {"id": 104, "image_id": 8, "segmentation": [], **rest},
        ]
    else:
        annotations = []
        for key, number in ((7, 1), (8, 2)):
            ids = np.zeros((HEIGHT, WIDTH), np.int32)
            segments = {70000: (boxes[number], 1, 0), 300: ((0, 0, 64, 4), 2, 0), 5: ((0, 40, 64, 8), 1, 1)}
            for segment, ((x, y, w, h), _, _) in segments.items():
                ids[y : y + h, x : x + w] = segment
            write_mask(
                root / f"annotations/panoptic_{name}/{number}.png",
                np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8),
            )
            info = [{"id": s, "category_id": c, "iscrowd": i} for s, (_, c, i) in segments.items()]
            annotations.append({"image_id": key, "file_name": f"{number}.png", "segments_info": info})
    categories = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}]
    path = root / f"annotations/{kind}_{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def run_lengths(mask: np.ndarray) -> list[int]:
    """Column by column, from a run of zeros on."""
    values = mask.T.ravel().astype(int)
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size]
    lengths = np.diff(edges).tolist()
    return [0, *lengths] if values[0] else lengths
