"""LWL through the adapters: objects of a DAVIS sequence, and masks in a session of the VOT toolkit's protocol."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import trax
from lwl_golden import random_checkpoint
from trax.region import Mask as TraxMask
from trax.region import Region as TraxRegion

from d3s_vot import load_tracker
from d3s_vot.evaluation.davis.data import encode_labels
from d3s_vot.labels import read_labels
from d3s_vot.trax_session import Session
from d3s_vot.zoo import save_checkpoint

SIZE = (64, 96)
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8), (0, 0), 2)
Request = namedtuple("Request", "type image objects")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "LWL.safetensors"
    save_checkpoint(path, random_checkpoint())
    return path


def squares():
    labels = np.zeros(SIZE, np.uint8)
    labels[10:34, 12:36], labels[30:54, 60:84] = 1, 2
    return labels


def write_frames(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05d}.png" for number in range(3)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.roll(IMAGE, 2 * number, axis=1)[..., ::-1])
    return paths


def test_davis(weights, tmp_path, capsys):
    pytest.importorskip("got10k", reason="needs got10k, of the extra got10k")
    from d3s_vot import got10k_run

    root = tmp_path / "DAVIS"
    pictures, masks = (root / kind / "480p" / "pair" for kind in ("JPEGImages", "Annotations"))
    write_frames(pictures)
    masks.mkdir(parents=True)
    for path in sorted(pictures.glob("*.png")):
        cv2.imwrite(str(path.with_suffix(".jpg")), cv2.imread(str(path)))
        path.unlink()
        (masks / path.name).write_bytes(encode_labels(squares()))
    for year in ("2016", "2017"):
        names = root / "ImageSets" / year / "val.txt"
        names.parent.mkdir(parents=True)
        names.write_text("pair\n")
    command = ["--dataset", "davis17-val", "--root", str(root), "--output", str(tmp_path / "runs"), "--device", "cpu"]
    assert got10k_run.main([*command, "--tracker", str(weights), "--name", "LWL"]) == 0, capsys.readouterr().err
    found = [read_labels(path) for path in sorted((tmp_path / "runs").rglob("pair/*.png"))]
    assert len(found) == 3 and np.array_equal(found[0], squares())
    assert set(np.unique(found[1])) <= {0, 1, 2} and found[1].any()


class Client:
    """What a session takes for its server."""

    def __init__(self, regions, frames):
        kinds = [trax.TraxStatus.INITIALIZE, *[trax.TraxStatus.FRAME] * (len(frames) - 1)]
        given = [(region, {}) for region in regions]
        self.requests = [
            Request(kind, {"color": SimpleNamespace(path=lambda p=path: str(p))}, given)
            for kind, path in zip(kinds, frames, strict=True)
        ]
        self.answers = []

    def wait(self):
        return self.requests.pop(0) if self.requests else Request(trax.TraxStatus.QUIT, {}, [])

    def status(self, objects):
        self.answers.append(objects)


def test_masks_of_several_objects_in_a_session_of_vot(weights, tmp_path):
    regions = [TraxMask.create((squares() == number).astype(np.uint8)) for number in (1, 2)]
    client = Client(regions, write_frames(tmp_path / "frames"))
    Session(client, load_tracker(weights, "cpu"), "box").run()
    assert len(client.answers) == 3
    for answers in client.answers[1:]:
        assert len(answers) == 2 and all(region.type == TraxRegion.MASK for region, _ in answers)
        filled = np.zeros((2, *SIZE), int)
        for place, (region, _) in enumerate(answers):
            part = np.atleast_2d(region.array(normalize=True)) > 0
            filled[place, : part.shape[0], : part.shape[1]] = part
        assert filled.sum(axis=0).max() == 1
        assert all(0 <= facts["confidence"] <= 1 for _, facts in answers)
