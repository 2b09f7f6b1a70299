"""Short sequences with exact ground truth, rendered from the photographs that scikit-image's package carries.

Each is an object cut out of one photograph along its outline and moved over another: turning, scaling, partly
hidden, beside things that look like it, fast, in changing light. They need no download; they measure whether
an installation tracks and at what speed, not how good a tracker is.

Every value comes from a fixed formula or seed: the same machine renders the same bytes. Coordinates are
continuous, pixel i covering i .. i + 1, as in `d3s_vot.regions`; rectangles are written 1-based, polygons as
they are, like the VOT annotations.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError
from d3s_vot.mask_codes import PlacedMask, to_code
from d3s_vot.regions import Polygon
from d3s_vot.sample.scenes import OBJECT_SCENES, SCENES, Scene, Thing

WIDTH, HEIGHT = 400, 300  # pixels of a frame

FRAMES_PER_SECOND = 20  # the pace of the VOT real-time challenge
JPEG_QUALITY = 95
ANCHORS = 50  # frames from one start of a run to the next
KINDS = ("boxes", "anchors", "objects")
NOISE = 1.5  # grey levels, standard deviation


def _photo(name: str) -> NDArray[np.uint8]:
    """A photograph of scikit-image's package, H x W x 3, BGR."""
    data = (resources.files("skimage") / "data" / name).read_bytes()
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


class Sprite:
    """A thing ready for compositing: premultiplied BGRA at its size, and its outline around its middle."""

    def __init__(self, thing: Thing) -> None:
        photo = _photo(thing.photo)
        outline = np.array(thing.outline.split(), np.float64).reshape(-1, 2)
        x0, y0 = np.floor(outline.min(axis=0)).astype(int)
        x1, y1 = np.ceil(outline.max(axis=0)).astype(int)
        photo = photo[y0:y1, x0:x1]
        fine = 4  # the outline is drawn at four times the resolution, so that its edge is soft
        alpha = np.zeros((photo.shape[0] * fine, photo.shape[1] * fine), np.float32)
        cv2.fillPoly(alpha, [np.rint((outline - (x0, y0)) * fine).astype(np.int32)], 1.0)
        scale = thing.width / np.ptp(outline[:, 0])
        size = (max(round(photo.shape[1] * scale), 1), max(round(photo.shape[0] * scale), 1))
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(photo.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        clear = np.dstack([small * alpha[..., None], alpha])
        # a border lets the warp soften the rim
        self.image = cv2.copyMakeBorder(clear, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        ratio = np.array(size) / photo.shape[1::-1]
        middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
        self.middle = (middle - (x0, y0)) * ratio + 1  # in the image
        self.outline = (outline - middle) * ratio
        self.way = thing.way

    def matrix(self, t: float) -> NDArray[np.float64]:
        """2 x 3 map from offsets around the middle to the frame."""
        pose = self.way(t)
        turn = math.radians(pose.angle)
        c, s = pose.scale * math.cos(turn), pose.scale * math.sin(turn)
        return np.array([[c, s, pose.x], [-s, c, pose.y]])

    def layer(self, t: float) -> NDArray[np.float32]:
        """The thing alone: H x W x 4, premultiplied BGRA."""
        matrix = self.matrix(t)
        # pixel i has its centre at i + 0.5 on both sides
        matrix[:, 2] += matrix[:, :2] @ (0.5 - self.middle) - 0.5
        return np.asarray(cv2.warpAffine(self.image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.float32)

    def draw(self, frame: NDArray[np.float32], t: float) -> None:
        """Puts the thing over the frame, in place."""
        layer = self.layer(t)
        frame *= 1 - layer[..., 3:]
        frame += layer[..., :3]

    def outline_at(self, t: float) -> NDArray[np.float64]:
        """N x 2 outline in the frame."""
        matrix = self.matrix(t)
        return self.outline @ matrix[:, :2].T + matrix[:, 2]

    def rectangle_at(self, t: float) -> Polygon:
        """The rectangle around the upright outline, turned with the thing."""
        (x0, y0), (x1, y1) = self.outline.min(axis=0), self.outline.max(axis=0)
        matrix = self.matrix(t)
        return Polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ matrix[:, :2].T + matrix[:, 2])


def annotation(scene: Scene, kind: str) -> dict[str, str]:
    """The texts of a sequence's files but its frames, by their names; kinds are those of `write_sample`."""
    if kind == "boxes":
        files = {"groundtruth.txt": ground_truth(scene)}
    elif kind == "anchors":
        files = {"groundtruth.txt": true_masks(scene)[0], "anchor.value": list(map(str, anchors_of(scene.length)))}
    else:
        named = zip(scene.objects, true_masks(scene), strict=True)
        files = {f"groundtruth_{name}.txt": codes for name, codes in named if name}
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()} | {"sequence": _description(scene)}


def anchors_of(length: int) -> list[int]:
    """The numbers of anchor.value: every 50 frames 1 or -1, to the longer side."""
    return [(1 if length - 1 - i >= i else -1) if i % ANCHORS == 0 else 0 for i in range(length)]


def true_masks(scene: Scene) -> list[list[str]]:
    """The lines of ground truth of the target and of all others: the pixels that they fill by more than half."""
    sprites = [Sprite(thing) for thing in (scene.target, *scene.others)]
    lines: list[list[str]] = [[] for _ in sprites]
    for t in np.linspace(0, 1, scene.length):
        shown = np.ones((HEIGHT, WIDTH), np.float32)
        for sprite, codes in reversed(list(zip(sprites, lines, strict=True))):  # from the front
            alpha = sprite.layer(t)[..., 3]
            codes.append(to_code(PlacedMask.of(shown * alpha > 0.5)))
            shown *= 1 - alpha
    return lines


def ground_truth(scene: Scene) -> list[str]:
    """The lines of groundtruth.txt: 8 numbers (x, y of four corners), or x, y, w, h counted from 1."""
    sprite = Sprite(scene.target)
    lines = []
    for t in np.linspace(0, 1, scene.length):
        upright = Polygon(sprite.outline_at(t)).box
        values = sprite.rectangle_at(t).flat() if scene.rotated else upright.one_based()
        lines.append(",".join(f"{value:.4f}" for value in values))
    return lines


def _background(name: str) -> NDArray[np.float32]:
    """The photograph, half as large again as a frame, H x W x 3."""
    photo = _photo(name)
    scale = 1.5 * max(WIDTH / photo.shape[1], HEIGHT / photo.shape[0])
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.clip(cv2.resize(photo, size, interpolation=method), 0, 255).astype(np.float32)


def render(scene: Scene, folder: Path, kind: str = "boxes") -> None:
    """Writes one sequence in VOT layout into an existing, empty folder; kinds are those of `write_sample`."""
    background = _background(scene.background)
    target, others = Sprite(scene.target), [Sprite(other) for other in scene.others]
    noise = np.random.default_rng(sum(scene.name.encode()))
    (folder / "color").mkdir()
    for index, t in enumerate(np.linspace(0, 1, scene.length), start=1):
        across, down = scene.pan(t)
        corner = across * (background.shape[1] - WIDTH), down * (background.shape[0] - HEIGHT)
        shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]])
        frame = np.asarray(
            cv2.warpAffine(background, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.float32
        )
        target.draw(frame, t)
        for other in others:
            other.draw(frame, t)
        frame = frame * np.array(scene.light(t)[::-1], np.float32)
        frame += noise.normal(0, NOISE, frame.shape).astype(np.float32)
        path = folder / "color" / f"{index:08d}.jpg"
        done, data = cv2.imencode(
            ".jpg", np.clip(np.rint(frame), 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        if not done:
            raise InputError(f"OpenCV cannot encode {path}; install an opencv-python with JPEG support")
        path.write_bytes(data.tobytes())
    for name, text in annotation(scene, kind).items():
        (folder / name).write_text(text)


def _description(scene: Scene) -> str:
    """The text of the file `sequence`."""
    return (
        f"channels.color=color/%08d.jpg\nfps={FRAMES_PER_SECOND}\nlength={scene.length}\n"
        f"width={WIDTH}\nheight={HEIGHT}\nname={scene.name}\n"
    )


def is_complete(scene: Scene, folder: Path, kind: str = "boxes") -> bool:
    """Whether the folder holds the whole sequence with this version's ground truth."""
    texts = annotation(scene, kind)
    frames = [folder / "color" / f"{index:08d}.jpg" for index in range(1, scene.length + 1)]
    return all(
        (folder / name).is_file() and (folder / name).read_text() == text for name, text in texts.items()
    ) and all(frame.is_file() and frame.stat().st_size > 0 for frame in frames)


def write_sample(
    output: Path, report: Callable[[str], None] = lambda text: None, kind: str = "boxes"
) -> list[Path]:
    """Renders the sequences that are not there yet, each whole or not at all, then writes list.txt.

    Args:
        output: folder of sequences, made when missing.
        report: is told one line for each sequence.
        kind: "boxes": the truth is rectangles and polygons; "anchors": masks, and where runs start (VOT2020);
            "objects": the masks of several objects (VOTS).

    Returns:
        The folders of all sequences.

    Raises:
        InputError: the folder's list.txt names other sequences, or the folder cannot be written.
    """
    scenes = OBJECT_SCENES if kind == "objects" else SCENES
    names = [scene.name for scene in scenes]
    listing = output / "list.txt"
    try:
        if listing.is_file() and listing.read_text().split() != names:
            raise InputError(f"{listing} lists other sequences; give an empty folder with --output")
        output.mkdir(parents=True, exist_ok=True)
        for scene in scenes:
            folder = output / scene.name
            if is_complete(scene, folder, kind):
                report(f"{folder}: there already")
                continue
            partial = Path(tempfile.mkdtemp(prefix=f".{scene.name}-", dir=output))
            try:
                render(scene, partial, kind)
                partial.chmod(0o755)  # mkdtemp's folders are private
                if folder.exists():
                    shutil.rmtree(folder)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            report(f"{folder}: {scene.length} frames")
        partial_list = output / ".list.txt"
        partial_list.write_text("\n".join(names) + "\n")
        partial_list.replace(listing)
    except OSError as error:
        raise InputError(
            f"{output} cannot be written ({error.strerror}); give another folder with --output"
        ) from None
    return [output / name for name in names]
