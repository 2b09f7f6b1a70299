"""Training on a small data set that the tests draw: index, pairs, loop, resume, command line."""

import csv
import dataclasses
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from d3s_vot.weights import load_checkpoint
from train.config import PairConfig, TrainConfig
from train.data import DataError, PairDataset, index_stills, read_layer
from train.loop import Trainer

SMALL = TrainConfig(
    iterations=4, batch=2, workers=0, validate_every=100, validation_pairs=2, warmup=1, pairs=PairConfig(size=96)
)


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> Path:
    """Two sets: 40 pictures with two ellipses each, and a video of three frames."""
    root = tmp_path_factory.mktemp("stills")
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


@pytest.fixture(scope="module")
def items(stills):
    return index_stills(stills)


def test_index_finds_every_object_in_a_fixed_order(stills, items):
    assert len(items) == 2 * 43
    assert items == index_stills(stills)
    assert {i.group for i in items if i.collection == "video_clips"} == {"clip"}


def test_held_out_is_whole_pictures_and_about_one_in_18(items):
    by_group = {}
    for item in items:
        by_group.setdefault((item.collection, item.group), set()).add(item.held_out)
    assert all(len(kinds) == 1 for kinds in by_group.values())
    assert 0 < sum(i.held_out for i in items) < len(items) / 4


def test_layer_separates_object_and_ignored_pixels(items):
    layer = read_layer(items[0])
    assert layer.image.shape == (120, 160, 3)
    assert layer.mask[60, 50] and not layer.mask[60, 110]
    assert layer.ignore[:3].all() and not layer.ignore[3:].any()


@pytest.mark.parametrize("number", range(12))
def test_pairs_have_the_promised_form(items, number):
    pair = PairDataset(items, PairConfig(size=96), 0, 20)[number]
    for name in ("template", "search"):
        assert pair[name].shape == (3, 96, 96) and pair[name].dtype == np.uint8
    for name in ("template_mask", "mask", "weight"):
        assert pair[name].shape == (1, 96, 96) and set(np.unique(pair[name])) <= {0.0, 1.0}
    assert pair["template_mask"].sum() > 50 and pair["mask"].sum() >= 30
    assert pair["center"].shape == (2,) and (pair["center"] >= 1).all() and (pair["center"] <= 96).all()


def test_pairs_depend_on_seed_and_number_alone(items):
    a, b, other = (PairDataset(items, PairConfig(size=96), seed, 20) for seed in (0, 0, 1))
    b[3]  # what was drawn before must not matter
    assert all(np.array_equal(a[7][k], b[7][k]) for k in a[7])
    assert not np.array_equal(a[7]["search"], other[7]["search"])


def test_without_augmentation_the_target_is_the_object(items):
    """The crop is four times the target's size, so the mask of an ellipse fills about pi / 4 / 16 of it."""
    plain = PairConfig(
        96, search_shift=0, search_scale=0, location_shift=0, rotation=0, stretch=0, elastic=0, paste=0,
        lookalike=0, occluder=0, part=0, region=0, box_on_itself=0, box_mask=0, rough_mask=0,
    )  # fmt: skip
    for number in range(5):
        pair = PairDataset(items, plain, 0, 5)[number]
        assert pair["mask"].mean() == pytest.approx(np.pi / 4 / 16, rel=0.15)
        ys, xs = np.nonzero(pair["mask"][0])
        assert np.hypot(xs.mean() + 1 - pair["center"][0], ys.mean() + 1 - pair["center"][1]) < 3


def test_broken_data_is_named(tmp_path, stills):
    def copy() -> Path:
        root = tmp_path / "set"
        for name in ("images/a.jpg", "masks/a.png"):
            source = stills / "shapes" / name.replace("a.", "000.")
            (root / "one" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "one" / name).write_bytes(source.read_bytes())
        return root

    with pytest.raises(DataError, match="no data folder"):
        index_stills(tmp_path / "absent")
    root = copy()
    (root / "one/masks/a.png").unlink()
    with pytest.raises(DataError, match="has no mask"):
        index_stills(root)
    copy()
    (root / "one/masks/a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png"):
        index_stills(root)
    cv2.imwrite(str(root / "one/masks/a.png"), np.zeros((120, 160), np.uint8))
    with pytest.raises(DataError, match="holds no"):
        index_stills(root)
    copy()
    item = index_stills(root)[0]
    cv2.imwrite(str(root / "one/images/a.jpg"), np.zeros((60, 160, 3), np.uint8))
    with pytest.raises(DataError, match="pixels"):
        read_layer(item)
    (root / "one/images/a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        read_layer(item)


def test_loss_falls_and_the_export_loads(items, tmp_path):
    config = dataclasses.replace(SMALL, iterations=30, learning_rate=5e-3)
    trainer = Trainer(config, items, tmp_path, torch.device("cpu"))
    batch = next(trainer._batches())
    losses = [trainer.step(batch) for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    trainer.export(trainer.validate())
    checkpoint = load_checkpoint(tmp_path / "head.safetensors")
    assert checkpoint.trunk == "efficientnet_lite0" and checkpoint.provenance["iterations"] == 15
    assert (tmp_path / "pairs.png").stat().st_size > 1000


def test_resume_continues_as_if_never_killed(items, tmp_path):
    whole = Trainer(SMALL, items, tmp_path / "whole", torch.device("cpu"))
    whole.run()
    killed = Trainer(SMALL, items, tmp_path / "killed", torch.device("cpu"))
    batches = killed._batches()
    for _ in range(2):
        killed.step(next(batches))
    killed.save_state()
    resumed = Trainer(SMALL, items, tmp_path / "killed", torch.device("cpu"))
    resumed.resume()
    assert resumed.iteration == 2
    resumed.run()
    ours, theirs = (t.network.state_dict() for t in (resumed, whole))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    a, b = (load_checkpoint(tmp_path / n / "head.safetensors").checksum for n in ("whole", "killed"))
    assert a == b


def test_resume_refuses_what_it_cannot_continue(items, tmp_path):
    trainer = Trainer(SMALL, items, tmp_path, torch.device("cpu"))
    with pytest.raises(DataError, match="resume"):
        trainer.resume()
    trainer.save_state()
    with pytest.raises(DataError, match="batch"):
        Trainer(dataclasses.replace(SMALL, batch=3), items, tmp_path, torch.device("cpu")).resume()
    (tmp_path / "state.pt").write_bytes(b"half a file")
    with pytest.raises(DataError, match="damaged"):
        trainer.resume()


def test_command_line(stills, tmp_path):
    command = [sys.executable, "-m", "train", "--output", tmp_path / "run", "--batch", "2", "--workers", "0"]
    bad = subprocess.run([*command, "--data", tmp_path / "absent"], capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.startswith("train: ") and bad.stderr.count("\n") == 1
    none = subprocess.run([*command, "--data", stills, "--iterations", "0"], capture_output=True, text=True)
    assert none.returncode == 2 and "1 or more" in none.stderr
    good = subprocess.run([*command, "--data", stills, "--iterations", "1"], capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    assert load_checkpoint(tmp_path / "run" / "head.safetensors").provenance["iterations"] == 1


def test_log_keeps_its_rows_and_one_heading(items, tmp_path):
    trainer = Trainer(SMALL, items, tmp_path, torch.device("cpu"))
    trainer._write_log(0.5, 0.7, 12.0)
    trainer._write_log(0.4, 0.8, 12.0)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [r["loss"] for r in rows] == ["0.50000", "0.40000"]
